// Deciding about findings: ignore, mark as fixed or whitelist, after a look at what it would change.
import type { Schemas } from '../api'

/** What is decided about: findings by ID, all that a filter finds, or a rule as a beginning. */
export type Target = { findings: string[] } | { filter: Schemas['FindingFilter'] } | { rule: Partial<Schemas['Decision']> }

interface Props {
  target: Target
  label?: string
  done?: () => void
}

export function DecideButton(_: Props) {
  return null
}
