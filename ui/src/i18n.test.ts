import { expect, test } from 'vitest'

import { texts as en } from './text/en'
import { texts as zh } from './text/zh'

const plural = /_(one|other)$/

/** Keys without the number that English tells apart and Chinese does not. */
function keys(words: object): string[] {
  return [...new Set(Object.keys(words).map((key) => key.replace(plural, '')))].sort()
}

/** What stands between braces: a translation must use the same. */
function variables(text: string): string[] {
  return [...text.matchAll(/\{\{(\w+)/g)].map((found) => found[1] ?? '').sort()
}

for (const area of Object.keys(en) as (keyof typeof en)[]) {
  test(`both languages have the same texts: ${area}`, () => {
    expect(keys(zh[area])).toEqual(keys(en[area]))
    for (const [key, text] of Object.entries(zh[area])) {
      const original = Object.entries(en[area]).find(([k]) => k === key || k.replace(plural, '_other') === key)
      expect(text.trim(), key).not.toBe('')
      expect(variables(text), key).toEqual(variables(original?.[1] ?? ''))
    }
  })
}
