// Hosts: what their agents tell, and how another one joins.
import { execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, items, open, row, send, settled, test, type Schemas } from './console'

test('a host lists its images again when asked', async ({ page }) => {
  const [host] = await items<'Host'>(page, '/hosts')
  await open(page, '/hosts')
  await expect(row(page, host?.name ?? '-')).toContainText('Online')
  await page.getByRole('link', { name: host?.name }).click()
  await settled(page)
  await expect(page.getByRole('heading', { level: 1 })).toContainText(host?.name ?? '-')
  await expect(page.locator('main')).toContainText('docker')
  execFileSync('docker', ['tag', 'node-app:1', 'shop/front:2'])
  await page.getByRole('button', { name: 'Sync now' }).click()
  await page.getByRole('link', { name: 'Sync of 1 host started' }).click()
  await settled(page)
  await expect(page.locator('.page-head').getByText('Succeeded')).toBeVisible({ timeout: 60_000 })
  await open(page, '/images?q=shop/front')
  await expect(row(page, 'node-app:1').or(row(page, 'shop/front:2'))).toBeVisible()
  execFileSync('docker', ['rmi', 'shop/front:2'])
})

test('another host joins by the command that is shown, and is forgotten', async ({ page }) => {
  await open(page, '/hosts')
  await page.getByRole('button', { name: 'Add a host' }).click()
  await page.getByLabel('Labels they get').fill('env=trial')
  await page.getByRole('button', { name: 'Make token' }).click()
  const command = await page.getByLabel('Command to join').textContent()
  expect(command).toMatch(/plimsoll agent join https:\/\/\S+ --token \S+/)
  await expect(page.getByText('Waiting for the first contact …')).toBeVisible()

  // As it stands, but for where this host keeps the program and its state.
  const dir = mkdtempSync(join(tmpdir(), 'agent'))
  const argv = (/agent join.*/.exec(command ?? '')?.[0] ?? '').trim().split(/\s+/)
  execFileSync(process.env.PLIMSOLL_BIN ?? 'plimsoll', [...argv, '--data-dir', dir, '--cache-dir', join(dir, 'cache')])
  await expect(page.getByText('A host has joined. Waiting for its agent to start …')).toBeVisible()
  await page.keyboard.press('Escape')

  const trial = (await items<'Host'>(page, '/hosts?label=env%3Dtrial'))[0] as Schemas['Host']
  await open(page, `/hosts/${trial.id}`)
  await expect(page.locator('.page-head').getByText('Never seen')).toBeVisible()
  await page.getByRole('button', { name: /^Remove/ }).click()
  await page.getByRole('menuitem', { name: /^Forget/ }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Forget' }).click()
  await expect(page.getByText('The host is forgotten')).toBeVisible()
  expect(await items(page, '/hosts?label=env%3Dtrial')).toEqual([])
})

test('who may only look is offered nothing else', async ({ page, browser, baseURL }) => {
  const account = { name: 'looker', password: 'looks, and changes nothing' }
  await send(page, 'POST', '/users', { ...account, role: 'viewer' })
  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL, locale: 'en-US', storageState: { cookies: [], origins: [] } })
  expect((await context.request.post('/api/v1/login', { data: account })).ok()).toBe(true)
  const theirs = await context.newPage()
  for (const path of ['/', '/images', '/vulnerabilities', '/software', '/hosts', '/tasks', '/decisions']) {
    await open(theirs, path)
    await expect(theirs.locator('main').getByRole('button', { name: /^(Scan|Scan all|Export|Export all|Add a host|Sync now|New rule|Decide…|Stop)$/ })).toHaveCount(0)
  }
  await open(theirs, '/settings/users')
  await expect(theirs.getByText('There are no such settings for you')).toBeVisible()
  await context.close()
})
