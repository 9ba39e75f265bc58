import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { Tabs } from 'antd'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas, type Search } from '../api'
import { useColumns as useImageColumns, useFilters as useImageFilters } from '../images/list'
import { useAddress } from '../list/address'
import type { Filter } from '../list/filters'
import { filterBody, List, type Column } from '../list/list'
import { Head } from '../parts/head'
import { Empty, Loaded } from '../parts/problem'
import { ScanButton } from '../parts/scan'
import { Tag } from '../parts/tags'
import { Time, useNumber } from '../parts/time'
import { useMay } from '../session'
import { useColumns as useSoftwareColumns } from '../software/list'
import { EndMenu } from './end'
import { Health, Unreadable } from './health'
import { LabelEditor } from './labels'
import { SyncButton } from './sync'

type Host = Schemas['Host']

export function HostPage() {
  const { id } = useParams({ strict: false })
  const host = useQuery({
    queryKey: ['hosts', 'one', id],
    queryFn: () => ok(client.GET('/api/v1/hosts/{id}', { params: { path: { id: Number(id) } } })),
    refetchInterval: 30_000,
  })
  return <Loaded of={host}>{(data) => <Shown host={data} />}</Loaded>
}

function Shown({ host }: { host: Host }) {
  const { t } = useTranslation('hosts')
  return (
    <>
      <Head title={host.name} marks={<Tag group="agent" value={host.state} />}>
        <Link to="/vulnerabilities" search={{ host: String(host.id) } as never}>
          {t('vulnerabilitiesOn')}
        </Link>
        {host.state !== 'revoked' && <SyncButton request={() => ({ hosts: [host.id] })} label={t('sync')} />}
        {host.state !== 'revoked' && <ScanButton request={{ hosts: [host.id] }} label={t('scanImages')} />}
        <EndMenu host={host} />
      </Head>
      <div className="stack">
        <Health host={host} />
        <div className="grid" style={{ gridTemplateColumns: 'repeat(auto-fit, minmax(320px, 1fr))' }}>
          <Facts host={host} />
          <Stores host={host} />
          <section className="card">
            <h2>{t('unreadable')}</h2>
            <Unreadable host={host} />
          </section>
        </div>
        <On host={host} />
      </div>
    </>
  )
}

function Facts({ host }: { host: Host }) {
  const { t } = useTranslation('hosts')
  const never = t('never', { ns: 'common' })
  const facts: [string, ReactNode][] = [
    [t('lastSeen'), <Time key="s" at={host.lastSeen} absent={never} />],
    [t('lastSync'), <Time key="y" at={host.lastSync} absent={never} />],
    [t('enrolled'), <Time key="e" at={host.enrolled} />],
    [t('version'), host.agentVersion],
    [t('os'), host.os],
    [t('kernel'), [host.kernel, host.arch].filter(Boolean).join(' · ')],
    [t('addresses'), host.addresses?.join(', ')],
    [t('labels'), <LabelEditor key="l" host={host} />],
  ]
  return (
    <section className="card">
      <h2>{t('agentAndHost')}</h2>
      <dl className="facts">
        {facts.map(([name, value]) => value && [<dt key={name}>{name}</dt>, <dd key={name + '.'}>{value}</dd>])}
      </dl>
    </section>
  )
}

function Stores({ host }: { host: Host }) {
  const { t } = useTranslation('hosts')
  const stores = host.stores ?? []
  return (
    <section className="card">
      <h2>{t('stores')}</h2>
      {stores.length === 0 ? (
        <p className="muted">{host.lastSync ? t('noStores') : t('notToldYet')}</p>
      ) : (
        <ul className="plain-list" tabIndex={0} aria-label={t('stores')}>
          {stores.map((store, i) => (
            <li key={i} className="row">
              <span className="text mono grow">{store.name}</span>
              <span className="muted">{t('nImages', { ns: 'common', count: store.images })}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

/** What the host holds: images, containers, software. */
function On({ host }: { host: Host }) {
  const { t } = useTranslation('hosts')
  const number = useNumber()
  const [search, change] = useAddress()
  const tab = search.tab === 'containers' || search.tab === 'software' ? search.tab : 'images'
  const fixed = { host: String(host.id) }
  return (
    <Tabs
      activeKey={tab}
      // Filters of one list are none of another.
      onChange={(to) => change({ ...Object.fromEntries(Object.keys(search).map((key) => [key, undefined])), tab: to === 'images' ? undefined : to })}
      destroyOnHidden
      items={[
        { key: 'images', label: `${t('images')} (${number(host.images)})`, children: <Images fixed={fixed} search={search} change={change} /> },
        { key: 'containers', label: `${t('containers')} (${number(host.containers)})`, children: <Containers fixed={fixed} search={search} change={change} /> },
        { key: 'software', label: t('software', { ns: 'common' }), children: <Packages fixed={fixed} search={search} change={change} /> },
      ]}
    />
  )
}

interface Held {
  fixed: { host: string }
  search: Search
  change: (patch: Search) => void
}

const ofHosts = ['hosts', 'hostName', 'address', 'label']

function Images({ fixed, search, change }: Held) {
  const { t } = useTranslation('hosts')
  const columns = useImageColumns().filter((c) => !ofHosts.includes(c.key))
  const mayAct = useMay('operator')
  const filters = useImageFilters().filter((f) => f.kind !== 'host' && !ofHosts.includes(f.key))
  return (
    <List<Schemas['Image']>
      id="host-images"
      label={t('images')}
      path="/api/v1/images"
      fixed={fixed}
      search={search}
      change={change}
      columns={columns}
      filters={filters}
      box="q"
      sort="risk"
      rowKey={(i) => i.id}
      rowName={(i) => i.names?.[0] ?? i.digest}
      actions={
        mayAct
          ? (selection) => (
              <ScanButton
                request={selection.all ? { filter: filterBody(filters, selection.filter, { host: Number(fixed.host) }) } : { images: selection.keys.map(Number) }}
                done={selection.clear}
              />
            )
          : undefined
      }
      empty={<Empty title={t('noImages')} hint={t('noImagesHint')} />}
    />
  )
}

function Containers({ fixed, search, change }: Held) {
  const { t } = useTranslation('hosts')
  const columns: Column<Schemas['Container']>[] = [
    {
      key: 'name',
      title: t('container'),
      render: (c) => (
        <span className="clip" style={{ maxWidth: 260 }} title={`${c.name}\n${c.containerID}`}>
          {c.name || c.containerID.slice(0, 12)}
        </span>
      ),
    },
    {
      key: 'state',
      title: t('state'),
      render: (c) =>
        c.gone ? (
          <span className="tag">
            {t('gone', { ns: 'common' })} · <Time at={c.gone} />
          </span>
        ) : (
          <span className={`tag ${c.running ? 'running' : ''}`}>{c.state || t(c.running ? 'runs' : 'stopped')}</span>
        ),
    },
    {
      key: 'image',
      title: t('image'),
      render: (c) => (
        <Link to="/images/$id" params={{ id: String(c.imageID) }} className="clip" style={{ maxWidth: 320 }} title={c.image}>
          {c.image}
        </Link>
      ),
    },
    {
      key: 'pod',
      title: t('pod'),
      render: (c) => (
        <span className="clip" style={{ maxWidth: 240 }} title={c.pod}>
          {c.pod || '–'}
        </span>
      ),
    },
    {
      key: 'entrypoint',
      title: t('entrypoint'),
      render: (c) => (
        <span className="clip mono" style={{ maxWidth: 320 }} title={c.entrypoint?.join(' ')}>
          {c.entrypoint?.join(' ') || '–'}
        </span>
      ),
    },
    { key: 'id', title: t('containerID'), render: (c) => <span className="mono" title={c.containerID}>{c.containerID.slice(0, 12)}</span> },
    { key: 'firstSeen', title: t('firstSeen'), render: (c) => <Time at={c.firstSeen} /> },
    { key: 'seen', title: t('seen'), optional: true, render: (c) => <Time at={c.lastSeen} /> },
  ]
  const filters: Filter[] = [
    { key: 'q', label: t('searchContainers'), kind: 'text' },
    { key: 'running', label: t('runningOnly'), kind: 'flag' },
    { key: 'gone', label: t('goneToo'), kind: 'flag' },
  ]
  return (
    <List<Schemas['Container']>
      id="host-containers"
      label={t('containers')}
      path="/api/v1/containers"
      fixed={fixed}
      search={search}
      change={change}
      columns={columns}
      filters={filters}
      box="q"
      rowKey={(c) => c.containerID}
      rowName={(c) => c.name || c.containerID}
      empty={<Empty title={t('noContainers')} hint={t('noContainersHint')} />}
    />
  )
}

function Packages({ fixed, search, change }: Held) {
  const { t } = useTranslation('hosts')
  const columns = useSoftwareColumns()
  const filters: Filter[] = [
    { key: 'q', label: t('searchSoftware'), kind: 'text' },
    { key: 'affected', label: t('affected'), kind: 'flag' },
  ]
  return (
    <List<Schemas['Software']>
      id="host-software"
      label={t('software', { ns: 'common' })}
      path="/api/v1/software"
      fixed={fixed}
      search={search}
      change={change}
      columns={columns}
      filters={filters}
      box="q"
      sort="name"
      rowKey={(p) => p.id}
      rowName={(p) => `${p.name} ${p.version}`}
      tools={
        <Link to="/software" search={fixed as never}>
          {t('searchMore')}
        </Link>
      }
      empty={<Empty title={t('noSoftware')} hint={t('noSoftwareHint')} />}
    />
  )
}
