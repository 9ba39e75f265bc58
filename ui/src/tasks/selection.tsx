// Which images a schedule is about.
import { keepPreviousData, useQueries, useQuery } from '@tanstack/react-query'
import { Input, Radio, Select } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import { client, list, listOf, ok, textOf, type Schemas, type Search } from '../api'
import { useFilters } from '../images/list'
import { Filters, type Filter } from '../list/filters'
import { filterBody } from '../list/list'
import { useSettled } from '../search-everything'

export type Selection = Schemas['Selection']

type Kind = 'all' | 'hosts' | 'label' | 'filter'

function kindOf(selection: Selection): Kind {
  return selection.hosts ? 'hosts' : selection.label !== undefined ? 'label' : selection.filter ? 'filter' : 'all'
}

/** A filter of images as an address has it: all as texts. */
function searchOf(filters: Filter[], body: Record<string, unknown>): Search {
  return Object.fromEntries(filters.filter((f) => body[f.key] !== undefined).map((f) => [f.key, Array.isArray(body[f.key]) ? (body[f.key] as unknown[]).map(String) : String(body[f.key])]))
}

/** A selection in words. */
export function useSelectionWords() {
  const { t } = useTranslation('tasks')
  const filters = useFilters()
  return (selection: Selection): string => {
    switch (kindOf(selection)) {
      case 'hosts':
        return t('nHosts', { ns: 'common', count: selection.hosts?.length ?? 0 })
      case 'label':
        return `${t('selection.label')}: ${selection.label}`
      case 'filter': {
        const search = searchOf(filters, selection.filter as Record<string, unknown>)
        return filters
          .filter((f) => search[f.key] !== undefined)
          .map((f) => {
            const choice = (value: string) => ('choices' in f ? f.choices.find((c) => c.value === value)?.label : undefined) ?? value
            return f.kind === 'flag' ? f.label : `${f.label}: ${listOf(search[f.key]).map(choice).join(', ')}`
          })
          .join(' · ')
      }
      default:
        return t('selectionAll')
    }
  }
}

interface Props {
  id?: string
  value?: Selection
  onChange?: (selection: Selection) => void
}

/** A part of a form: everything, or what narrows it. */
export function SelectionInput({ id, value = { all: true }, onChange }: Props) {
  const { t } = useTranslation('tasks')
  const filters = useFilters()
  const kind = kindOf(value)
  const change = (selection: Selection) => onChange?.(selection)
  const empty: Record<Kind, Selection> = { all: { all: true }, hosts: { hosts: [] }, label: { label: '' }, filter: { filter: {} } }
  const search = value.filter ? searchOf(filters, value.filter as Record<string, unknown>) : {}
  return (
    <div className="stack" id={id}>
      <Radio.Group
        aria-label={t('selection')}
        value={kind}
        onChange={(event) => change(empty[event.target.value as Kind])}
        options={(['all', 'hosts', 'label', 'filter'] as const).map((k) => ({ value: k, label: t(`selection.${k}`) }))}
      />
      {kind === 'all' && <span className="muted">{t('selectionAge')}</span>}
      {kind === 'hosts' && <HostInput value={value.hosts ?? []} change={(hosts) => change({ hosts })} />}
      {kind === 'label' && <Input aria-label={t('label')} placeholder="env=prod" maxLength={320} value={value.label} onChange={(event) => change({ label: event.target.value.trim() })} />}
      {kind === 'filter' && (
        <div className="row">
          <Filters filters={filters} box="q" search={search} change={(patch) => change({ filter: filterBody(filters, { ...search, ...patch }) })} />
        </div>
      )}
      {kind === 'filter' && Object.keys(search).length > 0 && <Matching search={search} />}
      {kind === 'label' && /^[^=]+=/.test(value.label ?? '') && <Matching search={{ label: value.label }} />}
    </div>
  )
}

function Matching({ search }: { search: Search }) {
  const { t } = useTranslation('tasks')
  const { data } = useQuery({ queryKey: ['images', 'matching', search], queryFn: ({ signal }) => list('/api/v1/images', { ...search, limit: '1' }, signal), placeholderData: keepPreviousData })
  return <span aria-live="polite">{data && data.total >= 0 ? t('matches', { count: data.total }) : ' '}</span>
}

function HostInput({ value, change }: { value: number[]; change: (hosts: number[]) => void }) {
  const { t } = useTranslation('tasks')
  const [q, setQ] = useState('')
  const asked = useSettled(q.trim())
  const found = useQuery({ queryKey: ['hosts', 'named', asked], queryFn: ({ signal }) => list<Schemas['Host']>('/api/v1/hosts', { q: asked, limit: '20' }, signal), placeholderData: keepPreviousData })
  const chosen = useQueries({ queries: value.map((id) => ({ queryKey: ['hosts', 'one', id], queryFn: () => ok(client.GET('/api/v1/hosts/{id}', { params: { path: { id } } })) })) })
  const names = new Map([...(found.data?.items ?? []), ...chosen.flatMap(({ data }) => data ?? [])].map((host) => [host.id, host.name]))
  return (
    <Select
      mode="multiple"
      aria-label={t('hosts')}
      placeholder={t('hostsHint')}
      showSearch={{ filterOption: false, onSearch: setQ }}
      loading={found.isFetching}
      value={value}
      onChange={change}
      options={[...new Set([...(found.data?.items ?? []).map(({ id }) => id), ...value])].map((id) => ({ value: id, label: names.get(id) ?? `#${id}` }))}
    />
  )
}

/** Whether a selection says something. */
export function complete(selection: Selection): boolean {
  return kindOf(selection) === 'all' || (selection.hosts?.length ?? 0) > 0 || textOf(selection.label) !== '' || Object.keys(selection.filter ?? {}).length > 0
}
