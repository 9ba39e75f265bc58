import { expect, test } from 'vitest'

import { calendar, type Day } from './days'

const counts = { critical: 1, high: 0, medium: 0, low: 0, unknown: 0, none: 0 }
const day = (day: string): Day => ({ day, findings: counts, images: 1, kev: 0 })

test('days on which nothing was kept are there, without findings', () => {
  const shown = calendar([day('2026-02-26'), day('2026-03-01')], 5)
  expect(shown.map((d) => d.day)).toEqual(['2026-02-25', '2026-02-26', '2026-02-27', '2026-02-28', '2026-03-01'])
  expect(shown.map((d) => d.findings !== undefined)).toEqual([false, true, false, false, true])
})

test('older days than are asked for are left out', () => {
  expect(calendar([day('2026-01-01'), day('2026-03-01')], 2).map((d) => d.day)).toEqual(['2026-02-28', '2026-03-01'])
})

test('without a day there is nothing to show', () => {
  expect(calendar([], 7)).toEqual([])
})
