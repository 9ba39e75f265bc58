// Days of the risk over time.
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'

export type Day = Schemas['RiskPoint']

export const series = ['critical', 'high', 'medium', 'low', 'unknown', 'none'] as const

export type Point = Partial<Day> & { day: string }

/** The last days up to the last recorded one; those on which nothing was kept have no findings at all. */
export function calendar(days: Day[], span: number): Point[] {
  const known = new Map(days.map((d) => [d.day, d]))
  const newest = days.at(-1)
  if (!newest) return []
  const last = Date.parse(newest.day)
  return Array.from({ length: span }, (_, n) => {
    const day = new Date(last - (span - 1 - n) * 86_400_000).toISOString().slice(0, 10)
    return known.get(day) ?? { day }
  })
}

export function useDay() {
  const { i18n } = useTranslation()
  // Days are those of the console, in UTC: no zone may move them.
  return (day: string, long?: boolean) =>
    new Intl.DateTimeFormat(i18n.language, { timeZone: 'UTC', ...(long ? { dateStyle: 'medium' } : { month: 'short', day: 'numeric' }) }).format(new Date(day))
}
