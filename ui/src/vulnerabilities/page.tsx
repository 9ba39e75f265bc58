// One vulnerability: what is known about it, where it is, and what was done about it.
import { useQuery } from '@tanstack/react-query'
import { Link, useParams } from '@tanstack/react-router'
import { Button, Segmented, Table, Tabs } from 'antd'
import { useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { DecideButton } from '../decisions/decide'
import { DecisionLink } from '../decisions/events'
import { History } from '../decisions/list'
import { useRuleWords } from '../decisions/rule'
import { Ends, Hits, State } from '../decisions/words'
import { useAddress, useOwnSearch } from '../list/address'
import { Clip } from '../parts/clip'
import { Head } from '../parts/head'
import { Loaded } from '../parts/problem'
import { ScanButton } from '../parts/scan'
import { Marks, Tag, useWord } from '../parts/tags'
import { Day, Time, useNumber } from '../parts/time'
import { Findings } from './findings'
import { AffectedContainers, AffectedHosts, AffectedImages } from './places'
import { Epss, Severity } from './rating'

type Detail = Schemas['VulnerabilityDetail']

export function VulnerabilityPage() {
  const { name = '' } = useParams({ strict: false })
  const [search, change] = useAddress()
  const kind = search.class === 'system' || search.class === 'application' ? search.class : undefined
  const asked = useQuery({
    queryKey: ['vulnerabilities', 'one', name, kind],
    queryFn: () => ok(client.GET('/api/v1/vulnerabilities/{name}', { params: { path: { name }, query: { class: kind } } })),
  })
  return <Loaded of={asked}>{(detail) => <Whole key={detail.class} detail={detail} choose={(to) => change({ class: to, cursor: undefined, page: undefined, finding: undefined })} />}</Loaded>
}

function Whole({ detail: v, choose }: { detail: Detail; choose: (kind: Detail['class']) => void }) {
  const { t } = useTranslation('vulnerabilities')
  const word = useWord()
  const number = useNumber()
  const [search, change] = useAddress()
  const counted = (label: string, n: number | undefined) => (
    <>
      {label} {n !== undefined && <span className="muted number">{number(n)}</span>}
    </>
  )
  // Where it is in both classes, figures of one would not be those of the lists of places.
  const places = (n: number) => ((v.classes?.length ?? 0) > 1 ? undefined : n)
  const tabs = [
    { key: 'findings', label: counted(t('findings'), v.findings), children: <Findings fixed={{ vulnerability: v.name, class: v.class }} without="vulnerability" /> },
    { key: 'images', label: counted(t('images'), places(v.images)), children: <AffectedImages name={v.name} /> },
    { key: 'hosts', label: counted(t('hosts'), places(v.hosts)), children: <AffectedHosts name={v.name} /> },
    { key: 'containers', label: counted(t('running'), places(v.containers)), children: <AffectedContainers name={v.name} /> },
    { key: 'handling', label: counted(t('handlingHistory'), v.decisions?.length ?? 0), children: <Handling detail={v} /> },
    { key: 'changes', label: counted(t('advisoryChanges'), v.changes?.length ?? 0), children: <Changes changes={v.changes ?? []} /> },
  ]
  return (
    <>
      <Head
        title={v.name}
        marks={
          <>
            <Tag group="severity" value={v.severity} />
            <Marks kev={v.kev} malicious={v.malicious} fixable={v.fixable} />
            {v.disputed && <span className="tag">{t('disputed')}</span>}
            {(v.classes?.length ?? 0) > 1 ? (
              <Segmented aria-label={t('class')} value={v.class} onChange={choose} options={(v.classes ?? []).map((value) => ({ value, label: word('class', value) }))} />
            ) : (
              <span className="tag">{word('class', v.class)}</span>
            )}
          </>
        }
      >
        <ScanButton request={{ filter: { vulnerability: v.name }, force: true }} label={t('rescan')} />
        <DecideButton target={{ rule: { vulnerability: v.name } }} label={t('decideByRule')} primary />
      </Head>
      <div className="stack">
        <div className="beside">
          <div className="stack">
            <Notice detail={v} />
          </div>
          <div className="stack">
            <Suggestion detail={v} />
            <Ratings ratings={v.ratings ?? []} />
            <References references={v.references ?? []} />
          </div>
        </div>
        <Tabs
          activeKey={tabs.find((tab) => tab.key === search.tab)?.key ?? 'findings'}
          destroyOnHidden
          items={tabs}
          onChange={(key) => change({ tab: key === 'findings' ? undefined : key, finding: undefined })}
        />
      </div>
    </>
  )
}

function Card({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="card">
      <h2>{title}</h2>
      {children}
    </section>
  )
}

const long = 900 // characters of details that are shown at once

function Notice({ detail: v }: { detail: Detail }) {
  const { t } = useTranslation('vulnerabilities')
  const [all, setAll] = useState(false)
  const details = v.details ?? ''
  const shown = all || details.length <= long * 1.2 ? details : details.slice(0, long) + '…'
  return (
    <Card title={t('notice')}>
      <div className="stack">
        {v.summary && <strong className="text">{v.summary}</strong>}
        {shown
          .split(/\n\s*\n/)
          .filter((paragraph) => paragraph.trim() !== '')
          .map((paragraph, i) => (
            <p key={i} className="text" style={{ margin: 0 }}>
              {paragraph.trim()}
            </p>
          ))}
        {!v.summary && !details && <span className="muted">{t('noDetails')}</span>}
        {details.length > long * 1.2 && (
          <Button type="link" style={{ alignSelf: 'flex-start', padding: 0 }} aria-expanded={all} onClick={() => setAll(!all)}>
            {all ? t('less', { ns: 'common' }) : t('more', { ns: 'common' })}
          </Button>
        )}
        <dl className="facts">
          <dt>{t('aliases')}</dt>
          <dd>{v.aliases?.join(', ') ?? '–'}</dd>
          <dt>{t('severity')}</dt>
          <dd>
            <Severity severity={v.severity} score={v.score} />
          </dd>
          <dt>{t('epss')}</dt>
          <dd>
            <Epss score={v.epss} percentile={v.epssPercentile} spell />
          </dd>
          <dt>{t('kev')}</dt>
          <dd>{v.kev ? <Known entry={v.kevEntry} /> : <span className="muted">{t('kevNot')}</span>}</dd>
          <dt>{t('published')}</dt>
          <dd>
            <Time at={v.published} precise />
          </dd>
          <dt>{t('firstSeen')}</dt>
          <dd>
            <Time at={v.firstSeen} precise />
          </dd>
          <dt>{t('lastSeen')}</dt>
          <dd>
            <Time at={v.lastSeen} precise />
          </dd>
        </dl>
      </div>
    </Card>
  )
}

/** What CISA's catalogue says. */
function Known({ entry }: { entry: Detail['kevEntry'] }) {
  const { t } = useTranslation('vulnerabilities')
  return (
    <div className="stack" style={{ gap: 2 }}>
      <div className="row">
        <Marks kev />
        {entry?.ransomware && <span className="tag critical">{t('ransomware')}</span>}
        {entry?.added && (
          <span>
            {t('kevAdded')} <Day at={entry.added} />
          </span>
        )}
        {entry?.due && (
          <span>
            {t('kevDue')} <Day at={entry.due} />
          </span>
        )}
      </div>
      {entry?.action && <span className="text">{entry.action}</span>}
    </div>
  )
}

function Suggestion({ detail: v }: { detail: Detail }) {
  const { t } = useTranslation('vulnerabilities')
  const word = useWord()
  const number = useNumber()
  return (
    <Card title={t('suggestion')}>
      <div className="sample" tabIndex={0} role="region" aria-label={t('suggestion')}>
        <Table
          aria-label={t('suggestion')}
          size="small"
          pagination={false}
          scroll={{ x: 'max-content' }}
          rowKey={(fix) => `${fix.type} ${fix.package} ${fix.system} ${fix.to} ${fix.state}`}
          dataSource={v.fixes ?? []}
          locale={{ emptyText: t('noFixes') }}
          columns={[
            {
              key: 'package',
              title: t('package'),
              render: (_, fix) => (
                <span className="row" style={{ flexWrap: 'nowrap' }}>
                  <Clip text={fix.package} width={200} />
                  <span className="muted" style={{ whiteSpace: 'nowrap' }}>
                    {fix.system ?? fix.type}
                  </span>
                </span>
              ),
            },
            { key: 'to', title: t('upgradeTo'), render: (_, fix) => (fix.to ? <Clip text={fix.to} width={160} mono /> : <span className="muted">{word('fix', fix.state)}</span>) },
            { key: 'images', title: t('images'), align: 'right', className: 'number', render: (_, fix) => number(fix.images) },
          ]}
        />
      </div>
    </Card>
  )
}

function Ratings({ ratings }: { ratings: Schemas['Rating'][] }) {
  const { t } = useTranslation('vulnerabilities')
  return (
    <Card title={t('ratings')}>
      {ratings.length === 0 ? (
        <span className="muted">{t('noRatings')}</span>
      ) : (
        <ul className="entries">
          {ratings.map((rating, i) => (
            <li key={i}>
              <div className="row">
                <Severity severity={rating.severity} score={rating.score} />
                <span className="text">{rating.source}</span>
                {rating.method && <span className="muted">{rating.method.replace('_', ' ')}</span>}
              </div>
              {rating.vector && <div className="mono text">{rating.vector}</div>}
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}

function References({ references }: { references: string[] }) {
  const { t } = useTranslation('vulnerabilities')
  return (
    <Card title={t('references')}>
      {references.length === 0 ? (
        <span className="muted">{t('noReferences')}</span>
      ) : (
        <ul className="entries sample" tabIndex={0} aria-label={t('references')}>
          {references.map((reference, i) => (
            <li key={i} className="text">
              {/^https?:\/\//i.test(reference) ? (
                <a href={reference} rel="noreferrer" target="_blank">
                  {reference}
                </a>
              ) : (
                reference
              )}
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}

function Handling({ detail: v }: { detail: Detail }) {
  const { t } = useTranslation('vulnerabilities')
  const words = useRuleWords()
  const [search, change] = useOwnSearch()
  return (
    <div className="stack">
      <Card title={t('decisionsNow')}>
        {(v.decisions?.length ?? 0) === 0 ? (
          <span className="muted">{t('noDecisions')}</span>
        ) : (
          <ul className="entries">
            {v.decisions?.map((d) => (
              <li key={d.id}>
                <div className="row">
                  <Tag group="decision" value={d.kind} />
                  <State decision={d} />
                  <DecisionLink id={d.id} text={words(d)} />
                  <Ends decision={d} />
                  <span>
                    {t('handled')}: <Hits decision={d} />
                  </span>
                </div>
                <div className="text muted">{d.remark}</div>
              </li>
            ))}
          </ul>
        )}
      </Card>
      <Card title={t('handlingHistory')}>
        <History search={search} change={change} fixed={{ vulnerability: v.name }} />
      </Card>
    </div>
  )
}

function Changes({ changes }: { changes: Schemas['Change'][] }) {
  const { t } = useTranslation('vulnerabilities')
  const number = useNumber()
  return (
    <Table
      aria-label={t('advisoryChanges')}
      size="small"
      pagination={false}
      scroll={{ x: 'max-content' }}
      rowKey={(change) => `${change.generation} ${change.kind} ${change.type} ${change.package} ${change.version}`}
      dataSource={changes}
      locale={{ emptyText: t('noChanges') }}
      columns={[
        { key: 'at', title: t('when'), render: (_, change) => <Time at={change.at} /> },
        { key: 'kind', title: t('change'), render: (_, change) => t(`change.${change.kind}`) },
        { key: 'severity', title: t('severity'), render: (_, change) => <Tag group="severity" value={change.severity} /> },
        {
          key: 'package',
          title: t('package'),
          render: (_, change) => (
            <span className="text">
              {change.package} <span className="mono">{change.version}</span> <span className="muted">{change.type}</span>
            </span>
          ),
        },
        { key: 'images', title: t('images'), align: 'right', className: 'number', render: (_, change) => number(change.images) },
        {
          key: 'reason',
          title: t('reason'),
          render: (_, change) => (
            <div className="text" style={{ maxWidth: 480 }}>
              {change.reason}
            </div>
          ),
        },
        { key: 'link', title: t('software', { ns: 'common' }), render: (_, change) => <Link to="/software" search={{ name: change.package } as never}>{t('open', { ns: 'common' })}</Link> },
      ]}
    />
  )
}
