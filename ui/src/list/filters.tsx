// Filters of a list: each is one parameter of its address and of the API.
import { Button, Checkbox, Dropdown, Input, Popover, Select } from 'antd'
import { lazy, Suspense, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { listOf, textOf, type Search } from '../api'
import { CloseOutlined, FilterOutlined, SearchOutlined } from '../parts/icons'
import { exact } from '../parts/time'
import { HostChoice, useHostName } from './host'

const Since = lazy(() => import('./since')) // a calendar is heavy and rarely wanted

export interface Choice {
  value: string
  label: string
}

export type Filter = { key: string; label: string; hint?: string } & (
  | { kind: 'text' } // what the API compares
  | { kind: 'one' | 'many'; choices: Choice[] }
  | { kind: 'flag' } // "true" or nothing
  | { kind: 'since' } // unix milliseconds
  | { kind: 'time' } // as in RFC 3339
  | { kind: 'host' } // ID of a host, chosen by name
)

interface Props {
  filters: Filter[]
  search: Search
  change: (patch: Search) => void
  /** Key of the filter that is the search box. */
  box?: string
}

/** The search box, the filters in force as chips, and a menu of all others. */
export function Filters({ filters, search, change, box }: Props) {
  const { t } = useTranslation()
  const [opened, setOpened] = useState<string>()
  const others = filters.filter((f) => f.key !== box)
  const shown = others.filter((f) => textOf(search[f.key]) !== '' || f.key === opened)
  const hidden = others.filter((f) => !shown.includes(f))
  const boxed = filters.find((f) => f.key === box)
  return (
    <>
      {boxed && <SearchBox key={textOf(search[boxed.key])} label={boxed.label} value={textOf(search[boxed.key])} change={(value) => change({ [boxed.key]: value })} />}
      {shown.map((f) => (
        <Chip key={f.key} filter={f} search={search} change={change} opened={opened === f.key} open={(is) => setOpened(is ? f.key : undefined)} />
      ))}
      {hidden.length > 0 && (
        <Dropdown
          trigger={['click']}
          autoFocus
          menu={{
            style: { maxHeight: 420, overflow: 'auto' },
            items: hidden.map((f) => ({ key: f.key, label: f.label })),
            onClick: ({ key }) => {
              if (filters.find((f) => f.key === key)?.kind === 'flag') change({ [key]: 'true' })
              else setOpened(key)
            },
          }}
        >
          <Button icon={<FilterOutlined />}>{t('addFilter')}</Button>
        </Dropdown>
      )}
      {filters.some((f) => textOf(search[f.key]) !== '') && (
        <Button type="link" onClick={() => change(Object.fromEntries(filters.map((f) => [f.key, undefined])))}>
          {t('clearFilters')}
        </Button>
      )}
    </>
  )
}

function SearchBox({ label, value, change }: { label: string; value: string; change: (value: string | undefined) => void }) {
  const [text, setText] = useState(value)
  return (
    <Input
      style={{ width: 280 }}
      prefix={<SearchOutlined />}
      aria-label={label}
      placeholder={label}
      maxLength={300}
      allowClear
      value={text}
      onChange={(event) => {
        setText(event.target.value)
        if (event.target.value === '' && value !== '') change(undefined)
      }}
      onPressEnter={() => change(text.trim() || undefined)}
      onBlur={() => text.trim() !== value && change(text.trim() || undefined)}
    />
  )
}

interface ChipProps {
  filter: Filter
  search: Search
  change: (patch: Search) => void
  opened: boolean
  open: (is: boolean) => void
}

function Chip({ filter, search, change, opened, open }: ChipProps) {
  const { t, i18n } = useTranslation()
  const value = search[filter.key]
  const host = useHostName(filter.kind === 'host' ? textOf(value) : '')
  const says =
    filter.kind === 'flag'
      ? filter.label
      : `${filter.label}: ${
          filter.kind === 'since' || filter.kind === 'time'
            ? textOf(value) && exact(i18n.language, new Date(filter.kind === 'since' ? Number(textOf(value)) : textOf(value)))
            : filter.kind === 'host'
              ? host
              : filter.kind === 'text'
                ? textOf(value)
                : listOf(value)
                    .map((v) => filter.choices.find((c) => c.value === v)?.label ?? v)
                    .join(', ')
        }`
  const remove = () => {
    open(false)
    change({ [filter.key]: undefined })
  }
  return (
    <span className="chip">
      {filter.kind === 'flag' ? (
        <Button color="default" variant="filled" className="clip" style={{ borderEndEndRadius: 0, borderStartEndRadius: 0 }} onClick={remove}>
          {says}
        </Button>
      ) : (
        <Popover
          open={opened}
          onOpenChange={open}
          trigger="click"
          placement="bottomLeft"
          destroyOnHidden
          // Beside its button: the next stop of the tab key.
          getPopupContainer={(chip) => chip.parentElement ?? document.body}
          content={<Editor filter={filter} value={value} change={(v) => change({ [filter.key]: v })} close={() => open(false)} />}
        >
          <Button color="default" variant="filled" title={says} style={{ borderEndEndRadius: 0, borderStartEndRadius: 0, minWidth: 0 }}>
            <span className="clip">{says}</span>
          </Button>
        </Popover>
      )}
      <Button
        color="default"
        variant="filled"
        style={{ borderEndStartRadius: 0, borderStartStartRadius: 0, flex: 'none' }}
        icon={<CloseOutlined />}
        aria-label={t('removeFilter', { name: filter.label })}
        onClick={remove}
      />
    </span>
  )
}

function focusFirst(group: HTMLElement | null) {
  group?.querySelector('input')?.focus({ preventScroll: true })
}

interface EditorProps {
  filter: Filter
  value: Search[string]
  change: (value: Search[string]) => void
  close: () => void
}

function Editor({ filter, value, change, close }: EditorProps) {
  const { t } = useTranslation()
  const [text, setText] = useState(textOf(value))
  switch (filter.kind) {
    case 'text':
      return (
        <form
          className="stack"
          style={{ width: 280 }}
          onSubmit={(event) => {
            event.preventDefault()
            change(text.trim() || undefined)
            close()
          }}
        >
          <label>
            {filter.label}
            <Input autoFocus maxLength={300} value={text} onChange={(event) => setText(event.target.value)} />
          </label>
          {filter.hint && <span className="muted">{filter.hint}</span>}
          <Button type="primary" htmlType="submit">
            {t('apply')}
          </Button>
        </form>
      )
    case 'many':
      return (
        <div style={{ maxHeight: 360, overflow: 'auto' }} role="group" aria-label={filter.label} ref={focusFirst}>
          <Checkbox.Group
            style={{ display: 'flex', flexDirection: 'column' }}
            options={filter.choices}
            value={listOf(value)}
            onChange={(values) => change(values.length > 0 ? values.map(String) : undefined)}
          />
        </div>
      )
    case 'one':
      return (
        <Select
          autoFocus
          defaultOpen
          style={{ width: 240 }}
          aria-label={filter.label}
          options={filter.choices}
          value={textOf(value) || undefined}
          onChange={(v) => {
            change(v)
            close()
          }}
        />
      )
    case 'host':
      return (
        <HostChoice
          label={filter.label}
          change={(id) => {
            change(id)
            close()
          }}
        />
      )
    case 'since':
    case 'time':
      return (
        <Suspense fallback={null}>
          <Since
            label={filter.label}
            value={filter.kind === 'since' ? Number(textOf(value)) : Date.parse(textOf(value))}
            change={(at) => {
              change(at && (filter.kind === 'since' ? String(at.getTime()) : at.toISOString()))
              close()
            }}
          />
        </Suspense>
      )
    case 'flag':
      return null
  }
}
