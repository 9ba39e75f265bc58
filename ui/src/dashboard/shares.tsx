// A whole in parts: a bar, and below it each part in words, as a link to its list.
import { Link } from '@tanstack/react-router'

import type { Search } from '../api'
import { shapes } from '../parts/tags'
import { useNumber } from '../parts/time'

export interface Share {
  /** Value of the API; gives colour and shape. */
  value: string
  label: string
  count: number
  search: Search
}

/** filled is how much of the width the whole takes, to compare it with another. */
export function Shares({ to, shares, filled = 1, label }: { to: string; shares: Share[]; filled?: number; label: string }) {
  const number = useNumber()
  const some = shares.filter((s) => s.count > 0)
  return (
    <>
      <div className="shares" aria-hidden="true">
        {some.map((s) => (
          <Link key={s.value} to={to} search={s.search as never} tabIndex={-1} className={s.value} style={{ flexGrow: s.count }} title={`${s.label}: ${number(s.count)}`} />
        ))}
        {filled < 1 && <span style={{ flexGrow: (some.reduce((sum, s) => sum + s.count, 0) * (1 - filled)) / Math.max(filled, 0.01) }} />}
      </div>
      <ul className="legend" aria-label={label}>
        {shares.map((s) => (
          <li key={s.value}>
            <Link to={to} search={s.search as never} className={`tag ${s.value} ${s.count === 0 ? 'zero' : ''}`}>
              <span aria-hidden="true">{shapes[s.value]}</span>
              {s.label} <strong className="number">{number(s.count)}</strong>
            </Link>
          </li>
        ))}
      </ul>
    </>
  )
}
