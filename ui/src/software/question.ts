// "log4j-core < 2.17.1": a question as people ask it, and the filters that it means.
import { textOf, type Search } from '../api'

/** The filters that say which software is meant. */
export const identity = ['q', 'name', 'type', 'version', 'below', 'atLeast', 'system'] as const

/** How a bound of the API is written. */
const signs = { version: '=', atLeast: '≥', below: '<' } as const

const operators: Record<string, keyof typeof signs> = { '=': 'version', '==': 'version', '>=': 'atLeast', '≥': 'atLeast', '<': 'below' }

/**
 * Reads "name", "name < 2", "name >= 1 < 2" or "name = 1.2". A text without a version
 * is a part of a name; nothing is answered for what cannot be asked ("name > 1").
 */
export function parseQuestion(text: string): Search | undefined {
  const [name = '', ...rest] = text.split(/(<=?|>=?|≥|={1,2})/).map((part) => part.replace(/^[\s,]+|[\s,]+$/g, ''))
  if (rest.length === 0) return { q: name || undefined }
  const asked: Search = { name }
  while (rest.length > 0) {
    const [operator = '', version = ''] = rest.splice(0, 2)
    const bound = operators[operator]
    if (!bound || name === '' || version === '' || asked[bound] !== undefined) return undefined
    asked[bound] = version
  }
  return asked
}

/** The question that filters answer, in words: the opposite of parseQuestion. */
export function question(search: Search): string {
  const name = textOf(search.name) || textOf(search.q)
  return [name, ...(Object.keys(signs) as (keyof typeof signs)[]).filter((bound) => textOf(search[bound]) !== '').map((bound) => `${signs[bound]} ${textOf(search[bound])}`)].join(' ')
}

const longest = 300 // of a name that the API takes

/** The filters that find a package and nothing else, however long its name is. */
export function exactly(p: { name: string; type: string; version: string; system?: string | undefined }): Search {
  const letters = [...p.name]
  const name = letters.length > longest ? { q: letters.slice(0, longest).join('') } : { name: p.name }
  return { ...name, type: p.type, version: p.version, system: p.system }
}
