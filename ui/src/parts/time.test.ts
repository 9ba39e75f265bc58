import { expect, test } from 'vitest'

import { duration, relative } from './time'

test.each([
  [0, '0 sec'],
  [0.25, '250 ms'],
  [59.7, '1 min'],
  [3_599, '1 hr'],
  [7_199, '2 hr'], // not 1 hr 60 min
  [7_500, '2 hr 5 min'],
  [86_400, '1 day'],
  [90_000, '25 hr'],
  [7 * 86_400, '7 days'],
])('%d seconds last %s', (seconds, says) => {
  expect(duration('en', seconds)).toBe(says)
})

test('a time is so many days ago, whatever day of the calendar that was', () => {
  const now = Date.parse('2026-03-04T01:00:00Z')
  expect(relative('en', new Date('2026-03-02T23:00:00Z'), now)).toBe('1 day ago') // the day before yesterday
  expect(relative('en', new Date('2026-03-05T02:00:00Z'), now)).toBe('in 1 day')
  expect(relative('en', new Date(now), now)).toBe('now')
})
