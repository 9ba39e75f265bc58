// Where software is: hosts, images and running containers, and its other versions.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Tabs } from 'antd'
import { useTranslation } from 'react-i18next'

import { list, textOf, type Schemas, type Search } from '../api'
import { useAddress } from '../list/address'
import type { Filter } from '../list/filters'
import { List, type Column } from '../list/list'
import { CopyButton } from '../parts/copy'
import { Head } from '../parts/head'
import { Empty, Problem } from '../parts/problem'
import { Time, useNumber } from '../parts/time'
import { Judged } from './judged'
import { useColumns } from './list'
import { exactly, identity, question } from './question'

type Place = Schemas['Place']
type Package = Schemas['Software']

/** What says which software is meant; where it is can be narrowed besides. */
const meant = [...identity, 'license', 'purl', 'covered', 'affected', 'image'] as const

export function Places() {
  const { t } = useTranslation('software')
  const [search, change] = useAddress()
  const asked: Search = Object.fromEntries(meant.map((key) => [key, textOf(search[key]) || undefined]))
  const columns = usePlaceColumns()
  const filters = usePlaceFilters()
  const versions = useVersionColumns()
  const name = textOf(search.name)
  const tab = name !== '' && search.tab === 'versions' ? 'versions' : 'places'
  if (meant.every((key) => asked[key] === undefined)) {
    return (
      <>
        <Head title={t('where')} />
        <Empty title={t('askFirst')} action={<Link to="/software">{t('software', { ns: 'common' })}</Link>} />
      </>
    )
  }
  return (
    <>
      <Head title={question(asked) || t('where')} marks={[asked.type, asked.system].map((mark) => mark && <span key={textOf(mark)} className="tag">{mark}</span>)}>
        {name !== '' && (
          <Link to="/images" search={{ software: name } as never}>
            {t('imagesWith')}
          </Link>
        )}
        <Link to="/software" search={asked as never}>
          {t('changeQuestion')}
        </Link>
      </Head>
      <Which asked={asked} />
      <Tabs
        style={{ marginTop: 8 }}
        activeKey={tab}
        onChange={(to) => change({ tab: to === 'places' ? undefined : to, sort: undefined, order: undefined, cursor: undefined, page: undefined })}
        destroyOnHidden
        items={[
          {
            key: 'places',
            label: t('hostsAndContainers'),
            children: (
              <List<Place>
                id="places"
                label={t('hostsAndContainers')}
                path="/api/v1/software/places"
                fixed={asked}
                search={search}
                change={change}
                columns={columns}
                filters={filters}
                rowKey={(p) => JSON.stringify([p.hostID, p.imageID, p.type, p.package, p.version, p.path])}
                rowName={(p) => `${p.host} ${p.image}`}
                empty={<Empty title={t('nowhere')} hint={t('nowhereHint')} />}
              />
            ),
          },
          ...(name !== ''
            ? [
                {
                  key: 'versions',
                  label: t('allVersions'),
                  children: (
                    <List<Package>
                      id="versions"
                      label={t('allVersions')}
                      path="/api/v1/software"
                      fixed={{ name, type: asked.type }}
                      search={search}
                      change={change}
                      columns={versions}
                      sort="name"
                      rowKey={(p) => p.id}
                      rowName={(p) => `${p.name} ${p.version}`}
                    />
                  ),
                },
              ]
            : []),
        ]}
      />
    </>
  )
}

/** Columns of packages that have one name: the version leads on. */
function useVersionColumns(): Column<Package>[] {
  return useColumns()
    .filter((c) => !['name', 'licences'].includes(c.key))
    .map((c) =>
      c.key !== 'version'
        ? c
        : {
            ...c,
            render: (p) => (
              <Link to="/software/places" search={exactly(p) as never} className="clip" style={{ maxWidth: 240 }} title={p.version}>
                {p.version || p.name}
              </Link>
            ),
          },
    )
}

/** The package, when it is one; else how many there are. */
function Which({ asked }: { asked: Search }) {
  const { t } = useTranslation('software')
  const number = useNumber()
  const query = useQuery({
    queryKey: ['software', 'which', asked],
    queryFn: ({ signal }) => list<Package>('/api/v1/software', { ...asked, limit: '2' }, signal),
  })
  if (query.error) return <Problem error={query.error} retry={() => void query.refetch()} />
  const found = query.data?.items ?? []
  const one = found.length === 1 ? found[0] : undefined
  if (!one) {
    return (
      <p className="muted" aria-live="polite">
        {query.data && query.data.total >= 0 ? (
          <Link to="/software" search={asked as never}>
            {t('nPackages', { count: query.data.total })}
          </Link>
        ) : (
          ' '
        )}
      </p>
    )
  }
  const facts: [string, string | undefined][] = [
    [t('source'), one.source],
    [t('module'), one.module],
    [t('licences'), one.licenses?.join(', ')],
    [t('supplier'), [one.supplier, one.origin].filter(Boolean).join(' · ')],
    [t('arch'), one.arch],
  ]
  return (
    <section className="card" aria-label={t('about')}>
      <dl className="facts wide">
        <dt>{t('findings')}</dt>
        <dd>
          <Judged counts={one.vulnerabilities} covered={one.covered} />
        </dd>
        <dt>{t('images')}</dt>
        <dd>{number(one.images)}</dd>
        <dt>{t('firstSeen')}</dt>
        <dd>
          <Time at={one.firstSeen} />
        </dd>
        {facts.map(([name, value]) => value && [<dt key={name}>{name}</dt>, <dd key={name + '.'}>{value}</dd>])}
        {one.purl && (
          <>
            <dt>{t('purl')}</dt>
            <dd>
              <span className="mono">{one.purl}</span> <CopyButton text={one.purl} label={t('purl')} />
            </dd>
          </>
        )}
      </dl>
    </section>
  )
}

const shown = 3 // containers of a row

function usePlaceColumns(): Column<Place>[] {
  const { t } = useTranslation('software')
  return [
    {
      key: 'host',
      title: t('host'),
      render: (p) => (
        <Link to="/hosts/$id" params={{ id: String(p.hostID) }} className="clip" style={{ maxWidth: 240 }} title={p.host}>
          {p.host}
        </Link>
      ),
    },
    {
      key: 'image',
      title: t('image'),
      render: (p) => (
        <Link to="/images/$id" params={{ id: String(p.imageID) }} className="clip" style={{ maxWidth: 320 }} title={p.image}>
          {p.image}
        </Link>
      ),
    },
    {
      key: 'containers',
      title: t('running'),
      render: (p) =>
        p.containers?.length ? (
          <span className="row" style={{ flexWrap: 'nowrap' }}>
            {p.containers.slice(0, shown).map((c) => (
              <span key={c.containerID} className="tag running" title={[c.name, c.pod, c.containerID].filter(Boolean).join('\n')}>
                <span className="clip" style={{ maxWidth: 180 }}>
                  {c.name || c.containerID.slice(0, 12)}
                </span>
              </span>
            ))}
            {p.containers.length > shown && (
              <span className="tag" title={p.containers.slice(shown).map((c) => c.name || c.containerID.slice(0, 12)).join('\n')}>
                +{p.containers.length - shown}
              </span>
            )}
          </span>
        ) : (
          <span className="muted">{t('notRunning')}</span>
        ),
    },
    {
      key: 'package',
      title: t('name'),
      render: (p) => (
        <span className="clip" style={{ maxWidth: 240 }} title={p.package}>
          {p.package}
        </span>
      ),
    },
    {
      key: 'version',
      title: t('version'),
      render: (p) => (
        <span className="clip" style={{ maxWidth: 160 }} title={p.version}>
          {p.version}
        </span>
      ),
    },
    {
      key: 'path',
      title: t('path'),
      render: (p) => (
        <span className="clip mono" style={{ maxWidth: 360 }} title={p.path}>
          {p.path || t('packageDatabase')}
        </span>
      ),
    },
    { key: 'type', title: t('type'), optional: true, render: (p) => p.type },
  ]
}

function usePlaceFilters(): Filter[] {
  const { t } = useTranslation('software')
  return [
    { key: 'host', label: t('host'), kind: 'host' },
    { key: 'label', label: t('label'), kind: 'text', hint: t('labelHint') },
    { key: 'path', label: t('path'), kind: 'text', hint: t('pathHint') },
  ]
}
