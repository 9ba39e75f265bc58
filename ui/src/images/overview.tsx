// An image at a glance: how bad, how sure, what it is.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Fragment, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { CopyButton } from '../parts/copy'
import { Problem } from '../parts/problem'
import { Reason, severities, Tag, useWord } from '../parts/tags'
import { Time, useBytes, useNumber } from '../parts/time'
import { judged, judgement, read, Uncovered } from './state'

type Image = Schemas['ImageDetail']

export function Overview({ image }: { image: Image }) {
  return (
    <div className="beside">
      <div className="stack">
        <Risk image={image} />
        <LastUpdate image={image} />
        <Issues image={image} />
        <Coverage image={image} />
      </div>
      <div className="stack">
        <Facts image={image} />
        <Config image={image} />
      </div>
    </div>
  )
}

function Card({ title, children }: { title: ReactNode; children: ReactNode }) {
  return (
    <section className="card">
      <h2>{title}</h2>
      {children}
    </section>
  )
}

/** A part of this page with filters. */
function To({ search, children, label }: { search: Record<string, string>; children: ReactNode; label?: string }) {
  return (
    <Link to="." search={search as never} aria-label={label}>
      {children}
    </Link>
  )
}

const parts = [
  ['system', 'systemFindings'],
  ['application', 'applicationFindings'],
] as const

function Risk({ image }: { image: Image }) {
  const { t } = useTranslation('images')
  const word = useWord()
  const number = useNumber()
  if (!judged(image)) {
    return (
      <Card title={t('risk')}>
        <span className="muted">{read(image) ? t('notJudgedHint') : t('notReadHint')}</span>
      </Card>
    )
  }
  const shown = severities.filter((s) => (s !== 'none' && s !== 'unknown') || image.systemFindings[s] + image.applicationFindings[s] > 0)
  return (
    <Card title={t('findingsOpen')}>
      <div className="stack">
        <table className="figures number">
          <thead>
            <tr>
              <td />
              {shown.map((s) => (
                <th key={s} scope="col">
                  <Tag group="severity" value={s} />
                </th>
              ))}
              <td />
            </tr>
          </thead>
          <tbody>
            {parts.map(([tab, key]) => {
              const { packages, uncovered } = judgement(image, tab)
              const unknown = packages === 0 ? <span className="muted">{t('noneOfKind')}</span> : uncovered === packages && <Uncovered />
              return (
                <tr key={tab}>
                  <th scope="row">{t(key)}</th>
                  {unknown ? (
                    <td colSpan={shown.length} style={{ textAlign: 'start' }}>
                      {unknown}
                    </td>
                  ) : (
                    shown.map((s) => (
                      <td key={s}>
                        {image[key][s] === 0 ? (
                          <span className="muted">0</span>
                        ) : (
                          <To search={{ tab, severity: s }} label={`${t(key)}, ${word('severity', s)}: ${number(image[key][s])}`}>
                            {number(image[key][s])}
                          </To>
                        )}
                      </td>
                    ))
                  )}
                  <td style={{ textAlign: 'start' }}>
                    {uncovered > 0 && uncovered < packages && (
                      <To search={{ tab: 'software', covered: 'no' }}>
                        <Uncovered count={uncovered} />
                      </To>
                    )}
                  </td>
                </tr>
              )
            })}
          </tbody>
        </table>
        <dl className="across">
          <Figure name={t('fixable')} value={image.fixable} />
          <Figure name={t('kev', { ns: 'common' })} value={image.kev} />
          {image.malicious > 0 && <Figure name={t('malicious', { ns: 'common' })} value={image.malicious} />}
          <Figure name={t('handled')} value={image.handled} />
          <Figure name={t('uncovered')} value={image.uncovered} />
        </dl>
        <span className="muted">
          {t('judgedBy')} <Time at={image.evaluatedAt} /> · {t('readAt')} <Time at={image.scannedAt} />
        </span>
      </div>
    </Card>
  )
}

function Figure({ name, value }: { name: string; value: number }) {
  const number = useNumber()
  return (
    <div>
      <dt>{name}</dt>
      <dd className="number">
        <strong>{number(value)}</strong>
      </dd>
    </div>
  )
}

const kinds = ['new', 'gone', 'changed'] as const

/** What the newest update of the advisories that was about this image changed. */
function LastUpdate({ image }: { image: Image }) {
  const { t } = useTranslation('images')
  const number = useNumber()
  const asked = useQuery({
    queryKey: ['images', 'one', String(image.id), 'changes'],
    queryFn: () => ok(client.GET('/api/v1/images/{id}/changes', { params: { path: { id: image.id }, query: { limit: 200 } } })),
    enabled: read(image),
  })
  if (!read(image)) return null
  const items = asked.data?.items ?? []
  const newest = items.filter((change) => change.generation === items[0]?.generation)
  const more = newest.length === items.length && asked.data?.next !== undefined
  return (
    <Card title={t('lastUpdate')}>
      {asked.error ? (
        <Problem error={asked.error} retry={() => void asked.refetch()} />
      ) : newest[0] ? (
        <div className="row">
          <Time at={newest[0].at} />
          {kinds.map((kind) => {
            const count = newest.filter((change) => change.kind === kind).length
            return (
              count > 0 && (
                <span key={kind} className={`tag ${kind === 'new' ? 'high' : kind === 'gone' ? 'safe' : ''}`}>
                  {t(`change.${kind}`)} {number(count)}
                  {more && '+'}
                </span>
              )
            )
          })}
          <To search={{ tab: 'history' }}>{t('details', { ns: 'common' })}</To>
        </div>
      ) : (
        <span className="muted">{asked.isPending ? t('loading', { ns: 'common' }) : t('noChanges')}</span>
      )}
    </Card>
  )
}

function Issues({ image }: { image: Image }) {
  const { t } = useTranslation('images')
  const issues = image.issues ?? []
  if (!read(image)) return null
  return (
    <Card title={t('issues')}>
      {issues.length === 0 ? (
        <span className="muted">{t('noIssues')}</span>
      ) : (
        <ul className="plain-list" tabIndex={0} aria-label={t('issues')}>
          {issues.map((issue, i) => (
            <li key={i}>
              <Reason code={issue.code} detail={issue.detail} />
              <div className="row">
                {issue.path && (
                  <span className="clip mono" title={issue.path}>
                    {issue.path}
                  </span>
                )}
                {(issue.count ?? 1) > 1 && <span className="tag">× {issue.count}</span>}
                {issue.layer && <span className="muted">{t('layerN', { n: (image.stack?.findIndex((layer) => layer.diffID === issue.layer) ?? -1) + 1 })}</span>}
              </div>
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}

/** Who was asked about which packages. What nobody judges is not clean. */
function Coverage({ image }: { image: Image }) {
  const { t } = useTranslation('images')
  const word = useWord()
  const number = useNumber()
  const groups = image.coverage ?? []
  if (!read(image)) return null
  return (
    <Card title={t('coverage')}>
      {groups.length === 0 ? (
        <span className="muted">{image.evaluatedAt ? t('noPackages') : t('notJudgedHint')}</span>
      ) : (
        <div className="stack">
          <table className="figures wide">
            <thead>
              <tr>
                <th scope="col">{t('group')}</th>
                <th scope="col">{t('class')}</th>
                <th scope="col" className="number">
                  {t('packages')}
                </th>
                <th scope="col">{t('judgedByWhom')}</th>
              </tr>
            </thead>
            <tbody>
              {groups.map((group) => (
                <tr key={`${group.group} ${group.ecosystem ?? ''}`}>
                  <th scope="row" className="text">
                    {group.group || t('otherPackages')}
                  </th>
                  <td>{word('class', group.class)}</td>
                  <td className="number">{number(group.packages)}</td>
                  <td>
                    <span className="row">
                      {group.ecosystem ? <span className="text">{group.ecosystem}</span> : <Uncovered />}
                      {group.ended && (
                        <span className="tag high">
                          {t('endOfLife', { ns: 'common' })} {group.endOfLife && <Time at={group.endOfLife} />}
                        </span>
                      )}
                    </span>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          {image.uncovered > 0 && <To search={{ tab: 'software', covered: 'no' }}>{t('showUncovered', { count: image.uncovered })}</To>}
        </div>
      )}
    </Card>
  )
}

function Facts({ image }: { image: Image }) {
  const { t } = useTranslation('images')
  const bytes = useBytes()
  const number = useNumber()
  const digest = (value: string) => (
    <span className="row" style={{ flexWrap: 'nowrap' }} key={value}>
      <span className="clip mono" title={value}>
        {value}
      </span>
      <CopyButton text={value} label={value.slice(0, 19)} />
    </span>
  )
  const facts: [string, ReactNode][] = [
    [
      t('allNames'),
      (image.names?.length ?? 0) > 0 && (
        <div className="sample" tabIndex={0} role="group" aria-label={t('allNames')} key="names">
          {image.names?.map((name) => (
            <div key={name} className="text">
              {name}
            </div>
          ))}
        </div>
      ),
    ],
    [t('digest'), digest(image.digest)],
    [t('manifests'), (image.manifests?.length ?? 0) > 0 && image.manifests?.map(digest)],
    [t('platform'), image.platform],
    [t('system'), image.system],
    [t('size'), image.size > 0 && bytes(image.size)],
    [t('packages'), read(image) && number(image.packages)],
    [t('hosts'), number(image.hosts)],
    [t('containers'), `${number(image.containers)} · ${t('nContainers', { count: image.running, ns: 'common' })}`],
    [t('created'), image.created && <Time at={image.created} precise />],
    [t('firstSeen'), <Time key="f" at={image.firstSeen} precise />],
    [t('lastSeen'), <Time key="l" at={image.lastSeen} precise />],
  ]
  return (
    <Card title={t('image')}>
      <Listed facts={facts} />
    </Card>
  )
}

function Listed({ facts }: { facts: [string, ReactNode][] }) {
  return (
    <dl className="facts">
      {facts.map(
        ([name, value]) =>
          value && (
            <Fragment key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </Fragment>
          ),
      )}
    </dl>
  )
}

function Config({ image }: { image: Image }) {
  const { t } = useTranslation('images')
  const config = image.config
  const command = (words: string[] | null | undefined) => words && words.length > 0 && <code className="text mono">{words.map(quoted).join(' ')}</code>
  const facts: [string, ReactNode][] = [
    [t('user'), config.user ? <span className="text">{config.user}</span> : <span className="muted">{t('rootUser')}</span>],
    [t('workingDir'), config.workingDir && <code className="text mono">{config.workingDir}</code>],
    [t('entrypoint'), command(config.entrypoint)],
    [t('command'), command(config.cmd)],
  ]
  const labels = Object.entries(config.labels ?? {})
  return (
    <Card title={t('config')}>
      <div className="stack">
        <Listed facts={facts} />
        {labels.length > 0 && (
          <details>
            <summary>{t('nLabels', { count: labels.length })}</summary>
            <div className="sample" tabIndex={0} role="group" aria-label={t('nLabels', { count: labels.length })}>
              <Listed facts={labels.map(([name, value]) => [name, <span key={name} className="text">{value}</span>])} />
            </div>
          </details>
        )}
      </div>
    </Card>
  )
}

/** A word of a command line as one would have to type it. */
function quoted(word: string): string {
  return /^[\w./:=@%+,-]+$/.test(word) ? word : JSON.stringify(word)
}
