import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { useWord } from '../parts/tags'
import { total } from './figures'
import { Shares } from './shares'

/** Open vulnerabilities by severity: those of the system's packages and those of applications. */
export function Vulnerabilities({ d }: { d: Schemas['Dashboard'] }) {
  const { t } = useTranslation('dashboard')
  const word = useWord()
  const rows = [
    { kind: 'system', counts: d.vulnerabilities.system, findings: total(d.system) },
    { kind: 'application', counts: d.vulnerabilities.application, findings: total(d.application) },
  ] as const
  const most = Math.max(...rows.map((r) => total(r.counts)))
  return (
    <section className="card wide">
      <h2>{t('openVulnerabilities')}</h2>
      {most === 0 ? (
        <p>
          <span className="tag safe">✓ {t('noVulnerabilities')}</span> <span className="muted">{t('noVulnerabilitiesHint')}</span>
        </p>
      ) : (
        rows.map(({ kind, counts, findings }) => {
          const severities = (['critical', 'high', 'medium', 'low', 'unknown', 'none'] as const).filter((s) => counts[s] > 0 || (s !== 'unknown' && s !== 'none'))
          return (
            <div key={kind} className="part">
              <div className="row">
                <h3>
                  <Link to="/vulnerabilities" search={{ class: kind } as never}>
                    {t(`packages.${kind}`)}
                  </Link>
                </h3>
                <span className="muted grow">{t('nVulnerabilities', { count: total(counts), findings: t('nFindings', { ns: 'common', count: findings }) })}</span>
              </div>
              <Shares
                to="/vulnerabilities"
                label={t(`packages.${kind}`)}
                filled={total(counts) / most}
                shares={severities.map((s) => ({ value: s, label: word('severity', s), count: counts[s], search: { class: kind, severity: s } }))}
              />
            </div>
          )
        })
      )}
    </section>
  )
}
