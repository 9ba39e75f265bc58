import { expect, test } from 'vitest'

import { exactly, parseQuestion, question } from './question'

test('a question about versions becomes filters', () => {
  expect(parseQuestion('log4j-core < 2.17.1')).toEqual({ name: 'log4j-core', below: '2.17.1' })
  expect(parseQuestion('org.apache.logging.log4j:log4j-core>=2.0, <2.17.1')).toEqual({ name: 'org.apache.logging.log4j:log4j-core', atLeast: '2.0', below: '2.17.1' })
  expect(parseQuestion('@angular/core == 17.0.0')).toEqual({ name: '@angular/core', version: '17.0.0' })
  expect(parseQuestion(' openssl ')).toEqual({ q: 'openssl' })
  expect(parseQuestion('')).toEqual({ q: undefined })
})

test('what the console cannot answer is not answered otherwise', () => {
  for (const text of ['log4j-core <= 2.17', 'log4j-core > 2', '< 2', 'log4j-core <', 'a < 1 < 2']) expect(parseQuestion(text), text).toBeUndefined()
})

test('filters can be said as the question that they answer', () => {
  for (const text of ['openssl', 'log4j-core < 2.17.1', 'lodash ≥ 3 < 4.17.21', 'lodash = 4.17.21']) expect(question(parseQuestion(text) ?? {})).toBe(text)
})

test('a name longer than the console takes is searched by its beginning', () => {
  const long = '😀'.repeat(5000)
  expect([...String(exactly({ name: long, type: 'npm', version: '1' }).q)]).toHaveLength(300)
  expect(exactly({ name: 'left-pad', type: 'npm', version: '1' })).toEqual({ name: 'left-pad', type: 'npm', version: '1', system: undefined })
})
