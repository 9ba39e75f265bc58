// What became of an image: against another of its repository, by updates of the
// advisories, and each time it was read.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Segmented, Select, Table } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import { client, numberOf, ok, type Schemas } from '../api'
import { useAddress, useOwnSearch } from '../list/address'
import { List } from '../list/list'
import { Clip } from '../parts/clip'
import { Empty, Loaded, Problem } from '../parts/problem'
import { Reason, Tag, useWord } from '../parts/tags'
import { exact, Time, useDuration, useNumber } from '../parts/time'
import { read } from './state'

type Image = Schemas['ImageDetail']
type Diff = Schemas['ImageDiff']
type Change = Schemas['Change']

export function History({ image }: { image: Image }) {
  const { t } = useTranslation('images')
  return (
    <div className="stack">
      <section className="card">
        <h2>{t('compare')}</h2>
        {read(image) ? <Compare image={image} /> : <span className="muted">{t('notReadHint')}</span>}
      </section>
      <section className="stack" style={{ gap: 8 }}>
        <h2 className="part">{t('scans')}</h2>
        <Scans image={image} />
      </section>
      <section>
        <h2 className="part">{t('advisoryChanges')}</h2>
        <Changes id={image.id} />
      </section>
    </div>
  )
}

/** The name of an image without tag and digest. */
export function repositoryOf(name: string): string {
  const plain = name.split('@')[0] ?? ''
  const tag = plain.lastIndexOf(':')
  return tag > plain.lastIndexOf('/') ? plain.slice(0, tag) : plain
}

const nearby = 200 // other images of a repository that are offered

function Compare({ image }: { image: Image }) {
  const { t, i18n } = useTranslation('images')
  const [search, change] = useAddress()
  const repository = repositoryOf(image.names?.[0] ?? '')
  const others = useQuery({
    queryKey: ['images', 'of', repository],
    queryFn: () => ok(client.GET('/api/v1/images', { params: { query: { repository, gone: 'any', sort: 'created', order: 'desc', limit: nearby } } })),
    enabled: repository !== '',
  })
  const known = (others.data?.items ?? []).filter((other) => other.id !== image.id && read(other))
  const asked = numberOf(search.with)
  // Who looks at a new image wants to know what became of the one before.
  const before = known.find((other) => (other.created ?? other.firstSeen) <= (image.created ?? image.firstSeen))
  const other = asked ?? (before ?? known[0])?.id
  if (others.error) return <Problem error={others.error} retry={() => void others.refetch()} />
  if (others.isPending && repository !== '' && asked === undefined) return <span className="muted">{t('loading', { ns: 'common' })}</span>
  if (other === undefined) return <span className="muted">{t('nothingToCompare')}</span>
  const label = (one: Schemas['Image']) => `${one.names?.[0] ?? one.digest.slice(0, 19)} · ${one.created ? exact(i18n.language, new Date(one.created)) : one.digest.slice(7, 19)}`
  return (
    <div className="stack">
      <label className="row">
        {t('compareWith')}
        <Select
          showSearch={{ optionFilterProp: 'label' }}
          style={{ width: 480, maxWidth: '100%' }}
          aria-label={t('compareWith')}
          value={other}
          options={[...known.map((one) => ({ value: one.id, label: label(one) })), ...(known.some((one) => one.id === other) ? [] : [{ value: other, label: `#${other}` }])]}
          onChange={(value: number) => change({ with: String(value) })}
        />
      </label>
      <Difference id={image.id} other={other} />
    </div>
  )
}

const sides = ['gone', 'new', 'added', 'removed', 'changed'] as const

function Difference({ id, other }: { id: number; other: number }) {
  const { t } = useTranslation('images')
  const number = useNumber()
  const [chosen, choose] = useState<(typeof sides)[number]>()
  const diff = useQuery({
    queryKey: ['images', 'diff', other, id],
    queryFn: () => ok(client.GET('/api/v1/images/{id}/diff', { params: { path: { id }, query: { with: other } } })),
  })
  return (
    <Loaded of={diff}>
      {(data) => {
        const some = sides.filter((side) => data[side].total > 0)
        const side = chosen ?? some[0] ?? 'gone'
        return (
          <div className="stack">
            <div className="row">
              <span>{t('diffFrom')}</span>
              <Link to="/images/$id" params={{ id: String(other) }}>
                {data.from.names?.[0] ?? data.from.digest.slice(0, 19)}
              </Link>
            </div>
            {(data.from.state !== 'succeeded' || data.to.state !== 'succeeded') && <span className="tag high">{t('diffUnsure')}</span>}
            {some.length === 0 ? (
              <Empty title={t('diffNone')} />
            ) : (
              <>
                <Segmented
                  aria-label={t('compare')}
                  value={side}
                  onChange={choose}
                  options={sides.map((one) => ({ value: one, label: `${t(`diff.${one}`)} ${number(data[one].total)}` }))}
                />
                <Side diff={data} side={side} />
              </>
            )}
          </div>
        )
      }}
    </Loaded>
  )
}

function Side({ diff, side }: { diff: Diff; side: (typeof sides)[number] }) {
  const { t } = useTranslation('images')
  const word = useWord()
  const number = useNumber()
  const { total } = diff[side]
  const shown = diff[side].items?.length ?? 0
  const pages = { pageSize: 20, showSizeChanger: false, hideOnSinglePage: true, size: 'small' as const }
  const versions = (list: string[] | null | undefined) => <Clip text={list?.join(', ')} width={280} mono />
  return (
    <>
      {side === 'gone' || side === 'new' ? (
        <div className="list list-box">
          <Table
            aria-label={t(`diff.${side}`)}
            size="small"
            pagination={pages}
            rowKey={(row) => `${row.vulnerability} ${row.class} ${row.type} ${row.package}`}
            dataSource={diff[side].items ?? []}
            locale={{ emptyText: t('diffNone') }}
            columns={[
              {
                key: 'vulnerability',
                title: t('vulnerability'),
                render: (_, row) => (
                  <Link to="/vulnerabilities/$name" params={{ name: row.vulnerability }} className="clip">
                    {row.vulnerability}
                  </Link>
                ),
              },
              { key: 'severity', title: t('severity'), render: (_, row) => <Tag group="severity" value={row.severity} /> },
              { key: 'package', title: t('package'), render: (_, row) => <Clip text={row.package} width={320} /> },
              { key: 'type', title: t('type'), render: (_, row) => row.type },
              { key: 'class', title: t('class'), render: (_, row) => word('class', row.class) },
            ]}
          />
        </div>
      ) : (
        <div className="list list-box">
          <Table
            aria-label={t(`diff.${side}`)}
            size="small"
            pagination={pages}
            rowKey={(row) => `${row.type} ${row.name}`}
            dataSource={diff[side].items ?? []}
            locale={{ emptyText: t('diffNone') }}
            columns={[
              { key: 'name', title: t('package'), render: (_, row) => <Clip text={row.name} width={360} /> },
              { key: 'type', title: t('type'), render: (_, row) => row.type },
              ...(side === 'added' ? [] : [{ key: 'from', title: t('versionBefore'), render: (_: unknown, row: Schemas['PackageChange']) => versions(row.from) }]),
              ...(side === 'removed' ? [] : [{ key: 'to', title: t('versionNow'), render: (_: unknown, row: Schemas['PackageChange']) => versions(row.to) }]),
            ]}
          />
        </div>
      )}
      {total > shown && <span className="muted">{t('firstOf', { shown: number(shown), total: number(total) })}</span>}
    </>
  )
}

function Changes({ id }: { id: number }) {
  const { t } = useTranslation('images')
  const [search, change] = useOwnSearch()
  return (
    <List<Change>
      id="image-changes"
      label={t('advisoryChanges')}
      path={`/api/v1/images/${id}/changes`}
      search={search}
      change={change}
      rowKey={(c) => `${c.generation} ${c.kind} ${c.vulnerability} ${c.type} ${c.package} ${c.version}`}
      rowName={(c) => `${c.vulnerability} ${c.package}`}
      empty={<Empty title={t('noChanges')} hint={t('noChangesHint')} />}
      columns={[
        {
          key: 'vulnerability',
          title: t('vulnerability'),
          render: (c) => (
            <Link to="/vulnerabilities/$name" params={{ name: c.vulnerability }} className="clip">
              {c.vulnerability}
            </Link>
          ),
        },
        { key: 'kind', title: t('changeKind'), render: (c) => <span className={`tag ${c.kind === 'new' ? 'high' : c.kind === 'gone' ? 'safe' : ''}`}>{t(`change.${c.kind}`)}</span> },
        { key: 'severity', title: t('severity'), render: (c) => <Tag group="severity" value={c.severity} /> },
        { key: 'at', title: t('when'), render: (c) => <Time at={c.at} /> },
        { key: 'package', title: t('package'), render: (c) => <Clip text={c.package} /> },
        { key: 'version', title: t('version'), render: (c) => <Clip text={c.version} width={140} mono /> },
        { key: 'type', title: t('type'), render: (c) => c.type },
        { key: 'reason', title: t('reason'), render: (c) => <Clip text={c.reason} width={420} /> },
      ]}
    />
  )
}

function Scans({ image }: { image: Image }) {
  const { t } = useTranslation('images')
  const number = useNumber()
  const duration = useDuration()
  const scans = image.scans ?? []
  return (
    <div className="list list-box">
      <Table
        aria-label={t('scans')}
        size="small"
        pagination={false}
        rowKey="id"
        dataSource={scans}
        locale={{ emptyText: <Empty title={t('noScans')} /> }}
        columns={[
          { key: 'ended', title: t('when'), render: (_, s) => <Time at={s.ended} /> },
          { key: 'state', title: t('result'), render: (_, s) => <Tag group="task" value={s.state} /> },
          {
            key: 'host',
            title: t('readBy'),
            render: (_, s) =>
              s.hostID ? (
                <Link to="/hosts/$id" params={{ id: String(s.hostID) }} className="clip" style={{ maxWidth: 240 }}>
                  {s.host}
                </Link>
              ) : (
                <span className="muted">–</span>
              ),
          },
          { key: 'took', title: t('took'), align: 'right', className: 'number', render: (_, s) => duration(Math.max(0, (Date.parse(s.ended) - Date.parse(s.started)) / 1000)) },
          { key: 'packages', title: t('packages'), align: 'right', className: 'number', render: (_, s) => number(s.packages) },
          { key: 'layers', title: t('layersRead'), render: (_, s) => t('layersReused', { analyzed: number(s.analyzed), reused: number(s.reused) }) },
          { key: 'reason', title: t('reason'), render: (_, s) => (s.code ? <Reason code={s.code} detail={s.detail} /> : <span className="muted">–</span>) },
          { key: 'report', title: t('logName'), render: (_, s) => <Clip text={s.report} width={140} mono /> },
        ]}
      />
    </div>
  )
}
