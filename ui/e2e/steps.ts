// Steps that tests of several areas take.
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Browser, Locator, Page } from '@playwright/test'

import type { Schemas } from '../src/api'
import { ask, expect, send, settled } from './console'

/** Docker of the host that plimsoll up looks after. */
export const docker = (...args: string[]) => execFileSync('docker', args, { encoding: 'utf8', stdio: 'pipe', env: { ...process.env, DOCKER_BUILDKIT: '0' } }).trim()

/** Builds an image of files and nothing else. */
export function build(name: string, files: Record<string, string>) {
  const dir = mkdtempSync(join(tmpdir(), 'image-'))
  try {
    for (const [path, text] of Object.entries({ ...files, Dockerfile: 'FROM scratch\nCOPY root /\n' })) {
      const file = join(dir, path === 'Dockerfile' ? '' : 'root', path)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, text)
    }
    docker('build', '--quiet', '--tag', name, dir)
  } finally {
    rmSync(dir, { recursive: true })
  }
}

/** The files of an npm package that is installed in /app. */
export const npm = (name: string, version: string) => ({ [`app/node_modules/${name}/package.json`]: JSON.stringify({ name, version, license: 'MIT' }) })

/** What a row of a table has in a column. */
export async function cell(line: Locator, column: string): Promise<Locator> {
  const headers = line.locator('xpath=ancestor::table[1]').getByRole('columnheader')
  await expect(headers.filter({ hasText: column }).first()).toBeAttached()
  const at = (await headers.allTextContents()).findIndex((text) => text.trim() === column)
  return line.getByRole('cell').nth(at)
}

const optionOf = (page: Page, name: string) => page.locator('.ant-select-dropdown:visible').getByTitle(name, { exact: true })

/** Chooses an option of a list that drops down. */
export async function choose(within: Page | Locator, label: string, option: string) {
  await within.getByRole('combobox', { name: label, exact: true }).click()
  const page = 'page' in within ? within.page() : within
  await optionOf(page, option).click()
}

/** Adds a filter to a list: its value is typed, chosen or, for a flag, none. */
export async function narrow(page: Page, filter: string, value?: string) {
  await page.getByRole('button', { name: 'Add filter' }).click()
  await page.getByRole('menuitem', { name: filter, exact: true }).click()
  const typed = page.getByRole('textbox', { name: filter, exact: true })
  const option = optionOf(page, value ?? '')
  if (value !== undefined) {
    await typed.or(option).first().waitFor()
    // Options that have just come may be out of sight for a frame, while they find their place.
    if ((await typed.count()) === 0) await option.click()
    else {
      await typed.fill(value)
      await page.getByRole('button', { name: 'Apply' }).click()
    }
  }
  await settled(page)
}

/** The page of somebody who has just signed in, in a browser of their own. */
export async function signedIn(browser: Browser, { name, password }: { name: string; password: string }): Promise<Page> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: process.env.PLIMSOLL_URL, locale: 'en-US', storageState: { cookies: [], origins: [] } })
  const theirs = await context.newPage()
  await theirs.goto('/login')
  await theirs.getByLabel('Name').fill(name)
  await theirs.getByLabel('Password').fill(password)
  await theirs.getByRole('button', { name: 'Sign in' }).click()
  await expect(theirs.getByRole('navigation', { name: 'Main menu' })).toBeVisible()
  return theirs
}

/** Waits until a task has ended. */
export async function ended(page: Page, id: number): Promise<Schemas['Task']> {
  const task = () => ask<Schemas['Task']>(page, `/tasks/${id}`)
  await expect.poll(async () => (await task()).state, { message: `task ${id}`, timeout: 60_000 }).not.toMatch(/queued|running/)
  return task()
}

/** Changes settings of the fleet and leaves all others. */
export async function set(page: Page, change: Partial<Schemas['Settings']>) {
  await send(page, 'PUT', '/settings', { ...(await ask<Schemas['Settings']>(page, '/settings')), ...change })
}

/** The number at the end of an address. */
export const idOf = (url: string) => Number(/\/(\d+)(\?|$)/.exec(url)?.[1])
