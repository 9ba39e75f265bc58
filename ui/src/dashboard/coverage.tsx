// What is not seen. No findings there means nothing.
import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import type { Schemas, Search } from '../api'

interface Warning {
  key: string
  title: string
  hint: string
  to: string
  search?: Search
}

export function Coverage({ d }: { d: Schemas['Dashboard'] }) {
  const { t } = useTranslation('dashboard')
  const warnings = useWarnings(d)
  return (
    <section className="card wide">
      <h2>{t('coverage')}</h2>
      {warnings.length === 0 ? (
        <p>
          <span className="tag safe">✓ {t('covered')}</span> <span className="muted">{t('coveredHint')}</span>
        </p>
      ) : (
        <ul className="warnings">
          {warnings.map((w) => (
            <li key={w.key}>
              <Link to={w.to} search={(w.search ?? {}) as never}>
                {w.title}
              </Link>
              <span className="muted">{w.hint}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

function useWarnings(d: Schemas['Dashboard']): Warning[] {
  const { t } = useTranslation('dashboard')
  const images = (key: string, count: number | undefined, title: (count: number) => string, hint: string, search: Search): (Warning | false)[] => [
    (count ?? 0) > 0 && { key, title: title(count ?? 0), hint, to: '/images', search },
  ]
  const { current, stale, pending } = d.database
  const advisories = !current ? 'none' : current.sample ? 'sample' : stale ? 'old' : undefined
  const warnings = [
    advisories && { key: 'advisories', title: t(`warn.advisories.${advisories}`), hint: t(`warn.advisories.${advisories}!`), to: '/settings/database' },
    ...images('never', d.imageStates.never, (count) => t('warn.never', { count }), t('warn.never!'), { state: 'never' }),
    ...images('unreadable', d.imageStates.unreadable, (count) => t('warn.unreadable', { count }), t('warn.unreadable!'), { state: 'unreadable' }),
    ...images('failed', d.imageStates.failed, (count) => t('warn.failed', { count }), t('warn.failed!'), { state: 'failed' }),
    ...images('problems', d.warnings.problems, (count) => t('warn.problems', { count }), t('warn.problems!'), { warning: 'problems' }),
    ...images('uncovered', d.warnings.uncovered, (count) => t('warn.uncovered', { count }), t('warn.uncovered!', { count: d.uncovered }), { warning: 'uncovered' }),
    ...images('unidentified', d.warnings.unidentified, (count) => t('warn.unidentified', { count }), t('warn.unidentified!', { count: d.unidentified }), { warning: 'unidentified' }),
    ...images('ended', d.warnings.ended, (count) => t('warn.ended', { count }), t('warn.ended!'), { warning: 'ended' }),
    ...images('stale', d.warnings.stale, (count) => t('warn.stale', { count }), t('warn.stale!'), { warning: 'stale' }),
    ...images('offline', d.warnings.offline, (count) => t('warn.offline', { count }), t('warn.offline!'), { warning: 'offline' }),
    d.hostProblems > 0 && { key: 'hosts', title: t('warn.hosts', { count: d.hostProblems }), hint: t('warn.hosts!'), to: '/hosts', search: { problems: 'true' } },
    pending > 0 && { key: 'pending', title: t('warn.pending', { count: pending }), hint: t('warn.pending!'), to: '/settings/database' },
  ]
  return warnings.filter((w) => w !== false && w !== undefined)
}
