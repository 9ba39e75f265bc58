// What to look at first: the worst vulnerabilities, the worst images, the latest failures.
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { ImageName } from '../images/name'
import { Counts, Reason, Tag } from '../parts/tags'
import { Time, useNumber } from '../parts/time'

function Kev() {
  const { t } = useTranslation()
  return (
    <span className="tag critical" title={t('kevHint')}>
      <span aria-hidden="true">⚡ KEV</span>
      <span className="visually-hidden">{t('kev')}</span>
    </span>
  )
}

/** A table of a few rows; the columns in figures come last. */
function Top({ title, to, heads, figures, children }: { title: string; to: string; heads: string[]; figures: string[]; children: ReactNode[] }) {
  if (children.length === 0) return null
  return (
    <section className="card half">
      <h2>
        <Link to={to}>{title}</Link>
      </h2>
      <table className="lines">
        <caption className="visually-hidden">{title}</caption>
        <thead>
          <tr>
            {[...heads, ...figures].map((head) => (
              <th key={head} scope="col" className={figures.includes(head) ? 'figure' : undefined}>
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </section>
  )
}

export function TopVulnerabilities({ rows }: { rows: Schemas['Vulnerability'][] }) {
  const { t } = useTranslation('dashboard')
  const number = useNumber()
  return (
    <Top
      title={t('topVulnerabilities')}
      to="/vulnerabilities"
      heads={[t('vulnerability'), t('severity'), t('whatToDo')]}
      figures={[t('images', { ns: 'common' }), t('hosts', { ns: 'common' })]}
    >
      {rows.map((v) => (
        <tr key={`${v.id} ${v.class}`}>
          <td className="name">
            <span className="row">
              <Link to="/vulnerabilities/$name" params={{ name: v.name }} search={{ class: v.class } as never} className="clip" title={v.summary}>
                {v.name}
              </Link>
              {v.kev && <Kev />}
            </span>
          </td>
          <td>
            <Tag group="severity" value={v.severity} />
          </td>
          <td className="long">
            <span className="clip" title={v.packages?.join('\n')}>
              {v.suggestion ?? v.packages?.join(', ')}
            </span>
          </td>
          <td className="figure">
            <Link to="/images" search={{ vulnerability: v.name } as never}>
              {number(v.images)}
            </Link>
          </td>
          <td className="figure">
            <Link to="/hosts" search={{ vulnerability: v.name } as never}>
              {number(v.hosts)}
            </Link>
          </td>
        </tr>
      ))}
    </Top>
  )
}

export function TopImages({ rows }: { rows: Schemas['Image'][] }) {
  const { t } = useTranslation('dashboard')
  const number = useNumber()
  return (
    <Top title={t('topImages')} to="/images" heads={[t('image'), t('openFindings')]} figures={[t('fixable', { ns: 'common' }), t('running')]}>
      {rows.map((i) => (
        <tr key={i.id}>
          <td className="long">
            <span className="row">
              <ImageName id={i.id} names={i.names} digest={i.digest} />
              {i.kev > 0 && <Kev />}
            </span>
          </td>
          <td>
            <Counts counts={sum(i.systemFindings, i.applicationFindings)} />
          </td>
          <td className="figure">{number(i.fixable)}</td>
          <td className="figure">{number(i.running)}</td>
        </tr>
      ))}
    </Top>
  )
}

function sum(a: Schemas['Counts'], b: Schemas['Counts']): Schemas['Counts'] {
  return { critical: a.critical + b.critical, high: a.high + b.high, medium: a.medium + b.medium, low: a.low + b.low, unknown: a.unknown + b.unknown, none: a.none + b.none }
}

/** alone means that no card stands beside it. */
export function FailedImages({ rows, alone }: { rows: Schemas['Image'][]; alone: boolean }) {
  const { t } = useTranslation('dashboard')
  return (
    <section className={alone ? 'card full' : 'card slim'}>
      <h2>
        <Link to="/images" search={{ state: ['failed', 'unreadable'], sort: 'scannedAt' } as never}>
          {t('failedImages')}
        </Link>
      </h2>
      <ul className="warnings single">
        {rows.map((i) => (
          <li key={i.id}>
            <span className="row">
              <ImageName id={i.id} names={i.names} digest={i.digest} />
              <Tag group="scan" value={i.state} />
              {i.scannedAt && (
                <span className="muted">
                  <Time at={i.scannedAt} />
                </span>
              )}
            </span>
            {i.code && <Reason code={i.code} />}
          </li>
        ))}
      </ul>
    </section>
  )
}
