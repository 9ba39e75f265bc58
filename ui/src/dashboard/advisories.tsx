// How old the advisories are that everything here was judged by.
import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { Time, useNumber } from '../parts/time'

const day = 86_400_000 // ms

/** Fresh within a day, old within a week, stale beyond: a word and a shape, and their colour. */
function ageOf(at: string | undefined) {
  if (!at) return undefined
  const age = Date.now() - new Date(at).getTime()
  return age <= day ? ({ word: 'fresh', shape: '✓', tone: 'safe' } as const) : age <= 7 * day ? ({ word: 'old', shape: '◐', tone: 'medium' } as const) : ({ word: 'stale', shape: '✕', tone: 'critical' } as const)
}

function Age({ at }: { at: string | undefined }) {
  const { t } = useTranslation('dashboard')
  const age = ageOf(at)
  if (!age) return <span className="tag">? {t('age.unknown')}</span>
  return (
    <span className={`tag ${age.tone}`}>
      <span aria-hidden="true">{age.shape}</span> {t(`age.${age.word}`)}
    </span>
  )
}

export function Advisories({ current }: { current: Schemas['Generation'] }) {
  const { t } = useTranslation('dashboard')
  const number = useNumber()
  // A quiet provider has no new records and is up to date all the same: what counts is when it was asked.
  const when = (s: Schemas['DataSource']) => s.fetched ?? s.newest
  // The oldest first: that is what somebody has to look at.
  const sources = (current.sources ?? []).toSorted((a, b) => (when(a) ?? '').localeCompare(when(b) ?? '') || a.name.localeCompare(b.name))
  return (
    <section className="card slim">
      <h2>
        <Link to="/settings/$section" params={{ section: 'database' }}>
          {t('advisories')}
        </Link>
      </h2>
      <p className="row">
        {current.sample ? <span className="tag high">▲ {t('sample')}</span> : <Age at={current.built} />}
        <span className="muted">{t('nAdvisories', { count: current.advisories })}</span>
        <span className="muted">
          {t('newest')} <Time at={current.built} absent={t('unknown', { ns: 'common' })} />
        </span>
      </p>
      <div className="scrolled" tabIndex={0} role="region" aria-label={t('providers')}>
        <table className="lines">
          <caption className="visually-hidden">{t('providers')}</caption>
          <thead>
            <tr>
              <th scope="col">{t('provider')}</th>
              <th scope="col">{t('newestRecord')}</th>
              <th scope="col">{t('age')}</th>
              <th scope="col" className="figure">
                {t('records')}
              </th>
            </tr>
          </thead>
          <tbody>
            {sources.map((s) => (
              <tr key={s.name}>
                <th scope="row" className="long">
                  <span className="clip" title={s.name}>
                    {s.name}
                  </span>
                </th>
                <td>
                  <Time at={s.newest} absent={t('unknown', { ns: 'common' })} />
                </td>
                <td>
                  <Age at={when(s)} />
                </td>
                <td className="figure">{number(s.records)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

/** The sample shows how things work, not what is in the images. */
export function SampleAdvisories() {
  const { t } = useTranslation('dashboard')
  return (
    <div className="notice" role="note">
      <span aria-hidden="true">▲</span>
      <span className="grow">
        <strong>{t('sampleTitle')}</strong> {t('sampleHint')}
      </span>
      <Link to="/settings/$section" params={{ section: 'database' }}>
        {t('sampleAction')}
      </Link>
    </div>
  )
}
