// Hosts: what they hold, how they come and go, and who may do what with them.
import { execFile, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Page } from '@playwright/test'

import type { Schemas } from '../src/api'
import { ask, expect, items, open, row, scanned, send, settled, test } from './console'
import { build, cell, docker, ended, idOf, narrow, npm, signedIn } from './steps'

type Host = Schemas['Host']

const plimsoll = process.env.PLIMSOLL_BIN ?? ''

/** The host that plimsoll up looks after. */
async function own(page: Page): Promise<Host> {
  const host = (await items<'Host'>(page, '/hosts')).find((h) => h.stores?.some((s) => s.name.startsWith('docker')))
  if (!host) throw new Error('no host has a Docker')
  return host
}

test('the list leads to a host, whose page says what it holds and what is read there', async ({ page }) => {
  await scanned(page)
  const host = await own(page)
  const names = docker('images', '--format', '{{.Repository}}:{{.Tag}}').split('\n')
  await open(page, '/hosts')
  const line = row(page, host.name)
  await expect(await cell(line, 'Agent')).toContainText('Online')
  await expect(await cell(line, 'Images')).toHaveText(String(names.length))
  await expect(await cell(line, 'Running containers')).toHaveText('1')
  await expect(await cell(line, 'Problems')).toHaveText('–')
  await line.getByRole('link', { name: host.name }).click()

  await expect(page).toHaveURL(`/hosts/${host.id}`)
  await expect(page.getByRole('heading', { level: 1, name: host.name })).toBeVisible()
  const root = docker('info', '--format', '{{.DockerRootDir}}')
  await expect(page.getByRole('list', { name: 'Image stores found' })).toHaveText(`docker ${root}${names.length} images`)
  await expect(page.getByText('Everything that the agent has found can be read.')).toBeVisible()
  await expect(page.getByText(execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim())).toBeVisible()
  const images = page.getByRole('table', { name: 'Images' })
  for (const name of names) await expect(images.getByRole('link', { name, exact: true })).toBeVisible()

  await page.getByRole('tab', { name: /containers/i }).click()
  const shop = row(page, 'shop')
  await expect(shop).toContainText('running')
  await expect(shop).toContainText(docker('ps', '--quiet', '--filter', 'name=shop'))
  await shop.getByRole('link', { name: 'node-app:1' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'node-app:1' })).toBeVisible()
  await page.goBack()

  await page.getByRole('tab', { name: 'Software' }).click()
  await page.getByRole('textbox', { name: 'Part of a name' }).fill('lodash')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/tab=software/)
  await expect(page).toHaveURL(/q=lodash/)
  const { total } = await ask<{ total: number }>(page, `/software?host=${host.id}&q=lodash`)
  expect(total).toBeGreaterThan(2)
  await expect(page.getByRole('table', { name: 'Software' }).locator('tbody').getByRole('link', { name: 'lodash' })).toHaveCount(total)
})

test('a list that no filter finds says so, and the filter is in the address', async ({ page }) => {
  const host = await own(page)
  await open(page, '/hosts')
  await narrow(page, 'Agent', 'Offline')
  await expect(page.getByRole('heading', { name: 'Nothing matches these filters' })).toBeVisible()
  await page.reload()
  await expect(page.getByRole('heading', { name: 'Nothing matches these filters' })).toBeVisible()
  await page.getByRole('button', { name: 'Clear filters' }).click()
  await expect(page.getByRole('link', { name: host.name })).toBeVisible()
  await expect(page).toHaveURL('/hosts')
})

test('an image that is built appears by itself and goes by itself; a sync is a task', async ({ page }) => {
  const host = await own(page)
  await open(page, `/hosts/${host.id}`)
  await page.evaluate(() => (window.name = 'the same page'))
  const images = page.getByRole('table', { name: 'Images' })
  const stores = page.getByRole('list', { name: 'Image stores found' })
  await expect(images.getByRole('link', { name: 'debian:11' })).toBeVisible()
  await expect(images.getByRole('link', { name: 'built-here:1' })).toHaveCount(0)
  build('built-here:1', npm('built-here', '1.0.0'))
  await expect(images.getByRole('link', { name: 'built-here:1' })).toBeVisible({ timeout: 40_000 })
  await expect(images.getByRole('row').filter({ hasText: 'built-here:1' })).toContainText('Never scanned')
  await expect(stores).toContainText(`${host.images + 1} images`)

  const before = (await own(page)).lastSync
  await page.getByRole('button', { name: 'Sync now' }).click()
  await page.getByRole('link', { name: 'Sync of 1 host started' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'List images again' })).toBeVisible()
  await expect(page.locator('header.page-head')).toContainText('Succeeded', { timeout: 30_000 })
  await expect(await cell(row(page, host.name), 'State')).toContainText('Succeeded')
  expect(await ended(page, idOf(page.url()))).toMatchObject({ kind: 'sync', state: 'succeeded', total: 1, succeeded: 1 })
  expect(Date.parse((await own(page)).lastSync ?? '')).toBeGreaterThan(Date.parse(before ?? ''))

  await page.goBack()
  await expect(images.getByRole('link', { name: 'built-here:1' })).toBeVisible()
  docker('rmi', 'built-here:1')
  await expect(images.getByRole('link', { name: 'built-here:1' })).toHaveCount(0, { timeout: 40_000 })
  expect(await page.evaluate(() => window.name)).toBe('the same page')
})

test('a host joins with the command that it is given, is seen to come, and is shut out', async ({ page }) => {
  const dir = mkdtempSync(join(tmpdir(), 'agent-'))
  const state = ['--data-dir', join(dir, 'data'), '--cache-dir', join(dir, 'cache')]
  const known = (await items<'Host'>(page, '/hosts')).map((h) => h.id)
  await open(page, '/hosts')
  await page.getByRole('button', { name: 'Add a host' }).click()
  const drawer = page.getByRole('dialog', { name: 'Add a host' })
  await drawer.getByLabel('Labels they get (optional)').fill('nonsense')
  await drawer.getByRole('button', { name: 'Make token' }).click()
  await expect(drawer.getByRole('alert')).toHaveText('Write labels as name=value, separated by commas.')
  await drawer.getByLabel('Labels they get (optional)').fill('env=new, rack=7')
  await drawer.getByRole('button', { name: 'Make token' }).click()

  const command = (await drawer.getByLabel('Command to join', { exact: true }).textContent()) ?? ''
  const [, token = '', address = ''] = /^PLIMSOLL_TOKEN=(\S+) plimsoll agent join (\S+)$/.exec(command) ?? []
  expect(address).toBe(process.env.PLIMSOLL_URL)
  await expect(drawer.getByText('Other hosts do not reach this address')).toBeVisible() // the console of the test is on loopback
  await expect(drawer.getByText('Waiting for the first contact')).toBeVisible()
  const made = drawer.getByRole('table', { name: 'Tokens made so far' }).getByRole('row').nth(1)
  await expect(made).toContainText('Valid')
  await expect(made).toContainText('0 of 1')
  await expect(made).toContainText('env=new')

  await promisify(execFile)(plimsoll, ['agent', 'join', address, ...state], { env: { ...process.env, PLIMSOLL_TOKEN: token } })
  await expect(drawer.getByText('A host has joined. Waiting for its agent to start')).toBeVisible()
  await expect(drawer.getByRole('region', { name: 'Joined' })).toContainText('Never seen')
  await expect(made).toContainText('Used up')
  const agent = spawn(plimsoll, ['agent', ...state, '--engine', 'podman', '--storage-root', join(dir, 'empty')], { stdio: 'ignore' })
  const gone = new Promise<number | null>((done) => agent.on('exit', done))
  try {
    await expect(drawer.getByText('1 host has joined')).toBeVisible({ timeout: 30_000 })
    await expect(drawer.getByRole('region', { name: 'Joined' })).toContainText('Online')
    await drawer.getByRole('button', { name: 'Close' }).click()
    await page.reload()
    await page.getByRole('button', { name: 'Add a host' }).click()
    await expect(made).toContainText('1 of 1')
    expect(await page.content()).not.toContain(token) // shown once
    await drawer.getByRole('button', { name: 'Close' }).click()

    const { id } = (await items<'Host'>(page, '/hosts')).find((h) => !known.includes(h.id)) as Host
    await open(page, `/hosts/${id}`)
    await expect(page.getByText('env=new')).toBeVisible()
    await expect(page.getByText('The agent found no image store')).toBeVisible()
    await page.getByRole('button', { name: 'Change labels' }).click()
    const labels = page.getByLabel(/^name=value, separated by commas/)
    await expect(labels).toHaveValue('env=new, rack=7')
    await labels.fill('env=old, =me')
    await page.getByRole('button', { name: 'Save' }).click()
    await expect(page.getByRole('alert').filter({ hasText: 'Write labels as name=value' })).toBeVisible()
    await expect(labels).toHaveValue('env=old, =me')
    await labels.fill('env=old, owner=me')
    await page.getByRole('button', { name: 'Save' }).click()
    await expect(page.getByText('owner=me')).toBeVisible()
    await expect(page.getByText('rack=7')).toHaveCount(0)
    expect((await ask<Host>(page, `/hosts/${id}`)).labels).toEqual({ id: String(id), env: 'old', owner: 'me' })
    await open(page, '/hosts')
    await narrow(page, 'Label', 'owner=me')
    await expect(page.locator('tbody tr a[href^="/hosts/"]')).toHaveCount(1)
    await page.locator(`tbody a[href="/hosts/${id}"]`).click()

    await page.getByRole('button', { name: 'Remove' }).click()
    await page.getByRole('menuitem', { name: 'Revoke' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click()
    await expect(page.getByText('Its identity was taken away')).toBeVisible()
    expect(await gone, 'how the agent ended').toBe(6)
    expect((await ask<Host>(page, `/hosts/${id}`)).state).toBe('revoked')

    await page.getByRole('button', { name: 'Remove' }).click()
    await page.getByRole('menuitem', { name: 'Forget' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Forget' }).click()
    await expect(page).toHaveURL('/hosts')
    await expect(page.locator(`tbody a[href="/hosts/${id}"]`)).toHaveCount(0)
    expect((await items<'Host'>(page, '/hosts')).map((h) => h.id)).toEqual(known)
  } finally {
    agent.kill()
    await gone
    rmSync(dir, { recursive: true, force: true })
  }
})

test('no host joins with a token that was ended', async ({ page }) => {
  await open(page, '/hosts')
  await page.getByRole('button', { name: 'Add a host' }).click()
  const drawer = page.getByRole('dialog', { name: 'Add a host' })
  await drawer.getByRole('button', { name: 'Make token' }).click()
  const command = (await drawer.getByLabel('Command to join', { exact: true }).textContent()) ?? ''
  const made = drawer.getByRole('table', { name: 'Tokens made so far' }).getByRole('row').nth(1)
  await made.getByRole('button', { name: 'End' }).click()
  await page.getByRole('tooltip').getByRole('button', { name: 'End' }).click()
  await expect(made).toContainText('Ended')
  await expect(made.getByRole('button', { name: 'End' })).toHaveCount(0)

  const dir = mkdtempSync(join(tmpdir(), 'agent-'))
  const joining = promisify(execFile)(plimsoll, ['agent', 'join', process.env.PLIMSOLL_URL ?? '', '--data-dir', dir], { env: { ...process.env, PLIMSOLL_TOKEN: /=(\S+)/.exec(command)?.[1] } })
  await expect(joining).rejects.toThrow(/the token is unknown, over, revoked or used up/)
  rmSync(dir, { recursive: true })
})

for (const role of ['viewer', 'operator'] as const) {
  test(`whoever is ${role} sees hosts, and no more actions than the console takes`, async ({ page, browser }) => {
    const user = { name: `host-${role}`, password: 'a long enough one', role, labels: [] }
    const { id } = await send<Schemas['User']>(page, 'POST', '/users', user)
    const host = await own(page)
    const theirs = await signedIn(browser, user)
    const button = (name: string) => theirs.getByRole('button', { name })
    const operates = role === 'operator' ? 1 : 0
    await open(theirs, '/hosts')
    await expect(button('Sync all')).toHaveCount(operates)
    await expect(button('Add a host')).toHaveCount(0)
    await theirs.goto('/hosts?add=1')
    await settled(theirs)
    await expect(theirs.getByRole('dialog')).toHaveCount(0)
    await theirs.getByRole('link', { name: host.name }).click()
    await expect(theirs.getByRole('list', { name: 'Image stores found' })).toBeVisible()
    await expect(button('Sync now')).toHaveCount(operates)
    await expect(button('Scan all images')).toHaveCount(operates)
    await expect(button('Remove')).toHaveCount(0)
    await expect(button('Change labels')).toHaveCount(0)

    const api = async (method: string, path: string, data?: unknown) => (await theirs.request.fetch('/api/v1' + path, { method, data })).status()
    expect(await api('POST', '/syncs', { hosts: [host.id] })).toBe(operates ? 200 : 403)
    expect(await api('POST', '/enrolment-tokens', { uses: 1 })).toBe(403)
    expect(await api('PATCH', `/hosts/${host.id}`, { labels: {} })).toBe(403)
    expect(await api('DELETE', `/hosts/${host.id}`)).toBe(403)
    await theirs.context().close()
    await send(page, 'DELETE', `/users/${id}`)
  })
}
