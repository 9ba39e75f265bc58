// How bad a vulnerability is, and how likely to be used.
import { useTranslation } from 'react-i18next'

import { Tag } from '../parts/tags'
import { usePercent } from '../parts/time'

/** A severity with the CVSS score, and on hover whose judgement it is. */
export function Severity({ severity, score, source }: { severity: string; score?: number; source?: string }) {
  const { t } = useTranslation('vulnerabilities')
  return (
    <span className="row" style={{ flexWrap: 'nowrap', gap: 4 }}>
      <Tag group="severity" value={severity} title={source && t('severityBy', { source })} />
      {score ? <span className="number">{score.toFixed(1)}</span> : null}
    </span>
  )
}

/** The probability of exploitation within 30 days. Not estimated is not the same as zero. */
export function Epss({ score, percentile, spell }: { score?: number; percentile?: number; spell?: boolean }) {
  const { t } = useTranslation('vulnerabilities')
  const percent = usePercent()
  if (!score) return <span className="muted">–</span>
  const rank = percentile ? t('epssPercentile', { percentile: percent(percentile) }) : undefined
  return (
    <span className="number" title={spell ? undefined : rank}>
      {percent(score)}
      {spell && rank && <span className="muted"> · {rank}</span>}
    </span>
  )
}
