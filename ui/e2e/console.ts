// What all tests share: they are signed in, and their page never complains.
import { readFileSync } from 'node:fs'
import { expect, test as base, type APIRequestContext, type Page } from '@playwright/test'

import type { Schemas } from '../src/api'

export { expect, type Schemas }

export const admin = { name: 'root', password: 'correct horse battery' }

interface Given {
  /** Statuses of answers that a test asks for, which a page would never get otherwise. */
  refusals: number[]
}

export const test = base.extend<Given, { session: Awaited<ReturnType<APIRequestContext['storageState']>> }>({
  refusals: [[], { option: true }],
  session: [
    async ({ playwright }, give) => {
      const request = await playwright.request.newContext({ baseURL: process.env.PLIMSOLL_URL, ignoreHTTPSErrors: true })
      await must(request.post('/api/v1/login', { data: admin }))
      await give(await request.storageState())
      await request.dispose()
    },
    { scope: 'worker' },
  ],
  storageState: ({ session }, give) => give(session),
  page: async ({ page, refusals, baseURL }, give) => {
    const complaints = listen(page, refusals, baseURL ?? '')
    await give(page)
    expect(complaints, 'what the page complained of').toEqual([])
  },
})

/** Notes errors of scripts, breaches of the policy, refused requests and requests to other hosts. */
export function listen(page: Page, refusals: number[], own: string): string[] {
  const complaints: string[] = []
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('console', (message) => {
    // Refused requests are told below, with their status.
    if (['error', 'warning'].includes(message.type()) && !message.text().startsWith('Failed to load resource')) complaints.push(message.text())
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(own + '/') && !request.url().startsWith('data:') && !request.url().startsWith('blob:')) complaints.push('another host: ' + request.url())
  })
  page.on('response', (response) => {
    if (response.status() >= 400 && !refusals.includes(response.status())) complaints.push(`${response.status()} ${response.url()}`)
  })
  return complaints
}

async function must(answer: ReturnType<APIRequestContext['get']>) {
  const response = await answer
  expect(response.ok(), `${response.url()}: ${response.status()} ${await response.text()}`).toBe(true)
  return response
}

/** Asks the API, as the page would. */
export async function ask<T>(page: Page, path: string): Promise<T> {
  return (await must(page.request.get('/api/v1' + path))).json() as Promise<T>
}

export async function items<K extends keyof Schemas>(page: Page, path: string): Promise<Schemas[K][]> {
  return (await ask<{ items: Schemas[K][] | null }>(page, path)).items ?? []
}

export async function send<T>(page: Page, method: 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, data?: unknown): Promise<T> {
  const response = await must(page.request.fetch('/api/v1' + path, { method, data }))
  return (response.status() === 204 ? undefined : await response.json()) as T
}

/** The image that a host stores under a name. */
export async function image(page: Page, name: string): Promise<Schemas['Image']> {
  const found = (await items<'Image'>(page, `/images?q=${encodeURIComponent(name)}`)).find((i) => i.names?.includes(name))
  if (!found) throw new Error('no image ' + name)
  return found
}

/** Sees to it that every image has been scanned. */
export async function scanned(page: Page) {
  await expect.poll(async () => (await items(page, '/images')).length, { message: 'images of the host', timeout: 60_000 }).toBeGreaterThan(3)
  if ((await items(page, '/images?state=never')).length === 0) return
  const task = await send<Schemas['Task']>(page, 'POST', '/scans', { all: true })
  await expect.poll(async () => (await ask<Schemas['Task']>(page, `/tasks/${task.id}`)).state, { timeout: 80_000 }).toMatch(/succeeded|partial/)
}

/** Opens a page and waits until it shows what it is about. */
export async function open(page: Page, path: string) {
  await page.goto(path)
  await settled(page)
}

/** Waits until nothing loads any more. */
export async function settled(page: Page) {
  await expect(page.locator('main :is(h1, h2)').first()).toBeVisible()
  await expect(page.locator('.empty[role=status], .ant-spin-spinning, .ant-skeleton, main [aria-busy=true]')).toHaveCount(0)
}

/** A row of a table by some of its text. */
export function row(page: Page, text: string | RegExp) {
  return page.getByRole('row').filter({ hasText: text }).first()
}

/** Takes one of the menu of a button, whose name may begin with that of its icon. */
export async function choose(page: Page, button: string, item: string) {
  await page.getByRole('button', { name: new RegExp(`(^|\\s)${button}$`) }).first().click()
  await page.getByRole('menuitem', { name: item, exact: true }).click()
}

/** The text of the file that an action downloads. */
export async function downloaded(page: Page, action: () => Promise<void>): Promise<string> {
  const [download] = await Promise.all([page.waitForEvent('download'), action()])
  return readFileSync(await download.path(), 'utf8')
}

/** Cells of a CSV file (RFC 4180). */
export function cells(csv: string): string[][] {
  const rows: string[][] = [[]]
  for (const [, quoted, plain, end] of csv.replace(/^\uFEFF/, '').matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r?\n|$)/g)) {
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain ?? '')
    if (end === '') break
    if (end !== ',') rows.push([])
  }
  return rows.filter((row) => row.length > 1)
}

/** Starts and stops the console itself. */
export async function remote(what: 'stop' | 'start') {
  expect((await fetch(`${process.env.PLIMSOLL_REMOTE}/${what}`)).ok).toBe(true)
}
