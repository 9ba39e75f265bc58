import { expect, test } from 'vitest'

import { nextRuns, parseCron, rhythmOf } from './cron'

const after = new Date('2026-11-25T09:30:00Z') // a Wednesday

function runs(text: string, count = 2): string[] | undefined {
  const cron = parseCron(text)
  return cron && nextRuns(cron, after, count).map((at) => at.toISOString().slice(0, 16))
}

test('next runs', () => {
  expect(runs('0 2 * * *')).toEqual(['2026-11-26T02:00', '2026-11-27T02:00'])
  expect(runs('30 9 * * *')).toEqual(['2026-11-26T09:30', '2026-11-27T09:30']) // not now
  expect(runs('*/20 9,23 * * *', 3)).toEqual(['2026-11-25T09:40', '2026-11-25T23:00', '2026-11-25T23:20'])
  expect(runs('50/5 * * * *')).toEqual(['2026-11-25T09:50', '2026-11-25T09:55'])
  expect(runs('0 0 * * MON-fri', 3)).toEqual(['2026-11-26T00:00', '2026-11-27T00:00', '2026-11-30T00:00'])
  expect(runs('0 0 1 jan *')).toEqual(['2027-01-01T00:00', '2028-01-01T00:00'])
  expect(runs('@weekly')).toEqual(['2026-11-29T00:00', '2026-12-06T00:00'])
  expect(runs('0 0 29 2 *')).toEqual(['2028-02-29T00:00'])
  expect(runs('0 0 31 2 *')).toEqual([])
})

test('a date and a day of the week: either is enough, unless one says any', () => {
  expect(runs('0 0 28 * thu')).toEqual(['2026-11-26T00:00', '2026-11-28T00:00'])
  expect(runs('0 0 1 * */2')).toEqual(['2026-11-26T00:00', '2026-11-28T00:00'])
  expect(runs('0 0 28 * ?')).toEqual(['2026-11-28T00:00', '2026-12-28T00:00'])
})

test('what the console refuses or reads otherwise has no preview', () => {
  for (const text of ['', '* * * *', '60 * * * *', '0 24 * * *', '0 0 0 * *', '0 0 * 13 *', '0 0 * * 7', '5-1 * * * *', '*/0 * * * *', 'a * * * *', '1-2-3 * * * *', '@every 1h', 'TZ=UTC 0 0 * * *', '1,, * * * *']) {
    expect(runs(text), text).toBeUndefined()
  }
})

test('common shapes have words', () => {
  const rhythm = (text: string) => {
    const cron = parseCron(text)
    return cron && rhythmOf(cron)
  }
  expect(rhythm('5 * * * *')).toMatchObject({ rhythm: 'hourly', minute: 5 })
  expect(rhythm('5 2 * * *')).toMatchObject({ rhythm: 'daily', hour: 2, minute: 5 })
  expect(rhythm('0 2 * * 1,5')).toMatchObject({ rhythm: 'weekly', days: [1, 5] })
  expect(rhythm('0 2 15 * *')).toMatchObject({ rhythm: 'monthly', date: 15 })
  for (const text of ['*/5 * * * *', '0 2,3 * * *', '0 2 1 1 *', '0 2 1 * 1', '0 */2 * * *']) expect(rhythm(text), text).toBeUndefined()
})
