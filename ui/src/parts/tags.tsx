// Words of the API as tags: always a word and a shape, never colour alone.
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'

export const severities = ['critical', 'high', 'medium', 'low', 'unknown', 'none'] as const
export const scanStates = ['never', 'succeeded', 'partial', 'failed', 'unreadable'] as const
export const risks = ['critical', 'high', 'medium', 'low', 'unknown', 'safe', 'unscanned'] as const
export const taskStates = ['queued', 'running', 'succeeded', 'partial', 'failed', 'cancelled'] as const
export const agentStates = ['online', 'late', 'offline', 'never', 'revoked'] as const
export const findingStates = ['open', 'ignored', 'whitelisted', 'fixed'] as const

export const shapes: Record<string, string> = {
  critical: '◆',
  high: '▲',
  medium: '●',
  low: '▽',
  unknown: '?',
  none: '○',
  safe: '✓',
  unscanned: '–',
  never: '–',
  succeeded: '✓',
  partial: '◐',
  failed: '✕',
  unreadable: '⊘',
  running: '…',
  queued: '⋯',
  cancelled: '■',
  online: '●',
  late: '◐',
  offline: '○',
  revoked: '✕',
}

/** The word of a value of the API in the user's language; what is unknown stays as it is. */
export function useWord() {
  const { t, i18n } = useTranslation()
  return (group: string, value: string): string => {
    const key = `${group}.${value}`
    return i18n.exists(key) ? t(key as 'severity.critical') : value
  }
}

interface TagProps {
  group: 'severity' | 'risk' | 'scan' | 'task' | 'agent' | 'finding' | 'decision'
  value: string
  title?: string
}

/** A state or severity. */
export function Tag({ group, value, title }: TagProps) {
  const word = useWord()
  return (
    <span className={`tag ${value}`} title={title}>
      {shapes[value] && <span aria-hidden="true">{shapes[value]}</span>}
      {word(group, value)}
    </span>
  )
}

/** Open findings by severity. Not scanned (undefined) is not the same as none. */
export function Counts({ counts }: { counts: Schemas['Counts'] | undefined }) {
  const word = useWord()
  if (!counts) return <span className="muted">–</span>
  const shown = (['critical', 'high', 'medium', 'low'] as const).map((s) => [s, counts[s]] as const)
  const rest = counts.unknown + counts.none
  const all = rest > 0 ? [...shown, ['unknown', rest] as const] : shown
  return (
    <span className="counts number" role="img" aria-label={all.map(([s, n]) => `${word('severity', s)} ${n}`).join(', ')}>
      {all.map(([s, n]) => (
        <span key={s} className={`tag ${s} ${n === 0 ? 'zero' : ''}`} title={`${word('severity', s)}: ${n}`}>
          {short(n)}
        </span>
      ))}
    </span>
  )
}

function short(n: number): string {
  return n < 10_000 ? String(n) : n < 1_000_000 ? `${Math.floor(n / 1000)}k` : `${(n / 1_000_000).toFixed(1)}M`
}

/** What a finding or image has besides its severity. */
export function Marks({ kev, malicious, fixable }: { kev?: boolean; malicious?: boolean; fixable?: boolean }) {
  const { t } = useTranslation()
  return (
    <>
      {malicious && <span className="tag critical">☠ {t('malicious')}</span>}
      {kev && (
        <span className="tag critical" title={t('kevHint')}>
          ⚡ {t('kev')}
        </span>
      )}
      {fixable && (
        <span className="tag safe" title={t('fixableHint')}>
          ↑ {t('fixable')}
        </span>
      )}
    </>
  )
}

/** A reason code in words, with what helps. */
export function Reason({ code, detail }: { code: string; detail?: string }) {
  const { t, i18n } = useTranslation('reasons')
  const known = i18n.exists(code, { ns: 'reasons' })
  return (
    <span className="text">
      {known ? t(code as 'limit') : code}
      {known && <span className="muted"> {t(`${code}!` as 'limit!')}</span>}
      {detail && <span className="muted"> {detail}</span>}
    </span>
  )
}
