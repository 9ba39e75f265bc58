// The HTTP API: a typed client made from the console's own OpenAPI document.
import createClient from 'openapi-fetch'

import type { components, paths } from './schema'

export type Schemas = components['schemas']

/** What every list answers with. */
export interface Page<T> {
  items: T[] | null
  next?: string
  total: number // -1 when not counted
}

/** A refusal of the console (RFC 9457), or no answer at all (status 0). */
export class ApiError extends Error {
  readonly status: number
  readonly code: string
  readonly hint: string | undefined
  readonly errors: string[]
  readonly request: string | undefined

  constructor(status: number, problem: Partial<Schemas['Refusal']>, request?: string) {
    super(problem.detail ?? problem.title ?? '')
    this.status = status
    this.code = problem.code ?? (status === 0 ? 'unreachable' : 'internal')
    this.hint = problem.hint
    this.errors = problem.errors ?? []
    this.request = request
  }
}

/** Client of all routes; wrap its calls in ok. */
export const client = createClient<paths>({ baseUrl: '' })

/** The answer's body, or an ApiError. */
export async function ok<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  let result
  try {
    result = await call
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error
    throw new ApiError(0, { detail: error instanceof Error ? error.message : String(error) })
  }
  if (result.response.ok) return result.data as T
  const problem = typeof result.error === 'object' && result.error !== null ? result.error : {}
  throw new ApiError(result.response.status, problem, result.response.headers.get('X-Request-Id') ?? undefined)
}

/** Search of an address: what the address bar holds is what the API is asked. */
export type Search = Record<string, string | string[] | undefined>

/** Asks one of the lists with the filters of an address. */
export async function list<T>(path: string, search: Search, signal?: AbortSignal): Promise<Page<T>> {
  const query = Object.fromEntries(Object.entries(search).filter(([, value]) => value !== undefined && value !== ''))
  // One path for all lists: their parameters are text, checked by the console.
  return ok(client.GET(path as '/api/v1/images', { params: { query: query as never }, signal }) as never)
}

/** A number of the address, undefined when it is none. */
export function numberOf(value: string | string[] | undefined): number | undefined {
  const n = typeof value === 'string' ? Number(value) : NaN
  return Number.isSafeInteger(n) ? n : undefined
}

/** A value of the address as a list. */
export function listOf(value: string | string[] | undefined): string[] {
  return value === undefined || value === '' ? [] : Array.isArray(value) ? value : [value]
}

/** A value of the address as text. */
export function textOf(value: string | string[] | undefined): string {
  return Array.isArray(value) ? (value[0] ?? '') : (value ?? '')
}
