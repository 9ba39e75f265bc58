import { Link } from '@tanstack/react-router'
import { Button } from 'antd'
import { useTranslation } from 'react-i18next'

import { list, textOf, type Schemas, type Search } from '../api'
import { useAddress } from '../list/address'
import type { Filter } from '../list/filters'
import { List, type Column, type Selection } from '../list/list'
import { Clip } from '../parts/clip'
import { Head } from '../parts/head'
import { PlusOutlined } from '../parts/icons'
import { Empty } from '../parts/problem'
import { ScanButton } from '../parts/scan'
import { agentStates, Tag, useWord } from '../parts/tags'
import { Time, useNumber } from '../parts/time'
import { useMay, useMayAll } from '../session'
import { AddHost } from './add'
import { Marks } from './health'
import { Labels } from './labels'
import { SyncButton } from './sync'

type Host = Schemas['Host']

export function Hosts() {
  const { t } = useTranslation('hosts')
  const [search, change] = useAddress()
  const columns = useColumns()
  const filters = useFilters()
  const mayAdd = useMayAll()
  const mayAct = useMay('operator')
  const add = mayAdd && (
    <Button type="primary" icon={<PlusOutlined />} onClick={() => change({ add: '1' })}>
      {t('addHost')}
    </Button>
  )
  return (
    <>
      <Head title={t('hosts', { ns: 'common' })}>
        <SyncButton request={() => ({ all: true })} label={t('syncAll')} />
        {add}
      </Head>
      <List<Host>
        id="hosts"
        label={t('hosts', { ns: 'common' })}
        path="/api/v1/hosts"
        search={search}
        change={change}
        columns={columns}
        filters={filters}
        box="q"
        sort="name"
        every={30_000}
        rowKey={(host) => host.id}
        rowName={(host) => host.name}
        actions={
          mayAct
            ? (selection) => (
                <>
                  <SyncButton request={() => meant(selection)} label={t('sync')} done={selection.clear} />
                  <ScanButton request={() => meant(selection)} label={t('scanImages')} done={selection.clear} />
                </>
              )
            : undefined
        }
        empty={<Empty title={t('noHosts')} hint={mayAdd ? t('noHostsHint') : t('noHostsAsk')} action={add} />}
      />
      {mayAdd && <AddHost open={textOf(search.add) !== ''} close={() => change({ add: undefined })} />}
    </>
  )
}

/** What an action on hosts is about. The API takes all, a label or a list. */
async function meant(selection: Selection): Promise<Schemas['SyncRequest']> {
  if (!selection.all) return { hosts: selection.keys.map(Number) }
  const inForce = Object.entries(selection.filter).filter(([, value]) => textOf(value) !== '')
  if (inForce.length === 0) return { all: true }
  const label = textOf(selection.filter.label)
  if (inForce.length === 1 && label !== '') return { label }
  return { hosts: await every(selection.filter) }
}

async function every(filter: Search): Promise<number[]> {
  const ids: number[] = []
  for (let cursor: string | undefined = ''; cursor !== undefined; ) {
    const page: { items: Host[] | null; next?: string } = await list<Host>('/api/v1/hosts', { ...filter, cursor, limit: '500' })
    ids.push(...(page.items ?? []).map((host) => host.id))
    cursor = page.next || undefined
  }
  return ids
}

function useColumns(): Column<Host>[] {
  const { t } = useTranslation('hosts')
  const number = useNumber()
  const never = t('never', { ns: 'common' })
  return [
    {
      key: 'name',
      title: t('host'),
      sort: 'name',
      upwards: true,
      render: (h) => (
        <Link to="/hosts/$id" params={{ id: String(h.id) }} className="clip" style={{ maxWidth: 280 }} title={h.name}>
          {h.name}
        </Link>
      ),
    },
    { key: 'state', title: t('agent'), render: (h) => <Tag group="agent" value={h.state} /> },
    { key: 'problems', title: t('problems'), render: (h) => <Marks host={h} /> },
    { key: 'lastSeen', title: t('lastSeen'), sort: 'lastSeen', render: (h) => <Time at={h.lastSeen} absent={never} /> },
    {
      key: 'lastSync',
      title: t('lastSync'),
      render: (h) => (
        <span className="row" style={{ flexWrap: 'nowrap', justifyContent: 'space-between' }}>
          <Time at={h.lastSync} absent={never} />
          {h.state !== 'revoked' && <SyncButton request={() => ({ hosts: [h.id] })} label={t('sync')} name={h.name} />}
        </span>
      ),
    },
    { key: 'images', title: t('images'), sort: 'images', numeric: true, render: (h) => number(h.images) },
    { key: 'running', title: t('running'), numeric: true, render: (h) => <span title={t('nContainers', { count: h.containers })}>{number(h.running)}</span> },
    { key: 'labels', title: t('labels'), render: (h) => <Labels labels={h.labels} /> },
    { key: 'stores', title: t('stores'), render: (h) => <Clip text={h.stores?.map((s) => s.name).join(', ')} width={220} /> },
    { key: 'os', title: t('os'), render: (h) => <Clip text={h.os} width={180} /> },
    { key: 'version', title: t('version'), render: (h) => <Clip text={h.agentVersion} width={120} /> },
    { key: 'kernel', title: t('kernel'), optional: true, render: (h) => <Clip text={[h.kernel, h.arch].filter(Boolean).join(' · ')} width={220} /> },
    { key: 'containers', title: t('containers'), optional: true, numeric: true, render: (h) => number(h.containers) },
    { key: 'addresses', title: t('addresses'), optional: true, render: (h) => <Clip text={h.addresses?.join(', ')} width={240} /> },
    { key: 'enrolled', title: t('enrolled'), optional: true, render: (h) => <Time at={h.enrolled} /> },
  ]
}

function useFilters(): Filter[] {
  const { t } = useTranslation('hosts')
  const word = useWord()
  return [
    { key: 'q', label: t('searchHosts'), kind: 'text' },
    { key: 'state', label: t('agent'), kind: 'one', choices: agentStates.map((value) => ({ value, label: word('agent', value) })) },
    { key: 'problems', label: t('withProblems'), kind: 'flag' },
    { key: 'label', label: t('label'), kind: 'text', hint: t('labelHint') },
    { key: 'vulnerability', label: t('vulnerability'), kind: 'text' },
  ]
}
