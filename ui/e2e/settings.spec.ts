// Settings that stay, and who may do what.
import { ask, expect, items, open, row, settled, test, type Schemas } from './console'

test.use({ refusals: [401] })

test('a limit is changed and stays; nonsense is refused at its field', async ({ page }) => {
  await open(page, '/settings/scanning')
  const field = page.getByLabel('Scans per hour')
  await field.fill('77')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect.poll(async () => (await ask<Schemas['Settings']>(page, '/settings')).scansPerHour).toBe(77)
  await page.reload()
  await settled(page)
  await expect(field).toHaveValue('77')
  await page.getByLabel('Hours in which scans start').fill('sometimes')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect(page.getByText('Like 22:00-06:00, or empty')).toBeVisible()
  await page.getByLabel('Hours in which scans start').fill('')
  await field.fill('0')
  await page.getByRole('button', { name: 'Save' }).click()
  await expect.poll(async () => (await ask<Schemas['Settings']>(page, '/settings')).scansPerHour).toBe(0)
})

test('a user is added, signs in, and is in the audit log', async ({ page, browser, baseURL }) => {
  await open(page, '/settings/users')
  await page.getByRole('button', { name: 'Add a user' }).click()
  const form = page.getByRole('dialog')
  await form.getByLabel('Name').fill('anna')
  await form.getByLabel('Password').fill('a password of anna')
  await form.getByRole('button', { name: 'Save' }).click()
  await expect(row(page, 'anna')).toContainText('Viewer')

  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL, locale: 'en-US', storageState: { cookies: [], origins: [] } })
  const hers = await context.newPage()
  await hers.goto('/login')
  await hers.getByLabel('Name').fill('anna')
  await hers.getByLabel('Password').fill('a password of anna')
  await hers.getByRole('button', { name: 'Sign in' }).click()
  await expect(hers.getByRole('button', { name: 'Account' })).toContainText('anna')
  await context.close()

  await open(page, '/settings/audit')
  await expect(row(page, 'Add user')).toContainText('root')
})

test('a token is shown once, works, and ends', async ({ page, playwright, baseURL }) => {
  await open(page, '/settings/tokens')
  await page.getByRole('button', { name: 'Make an API token' }).click()
  const form = page.getByRole('dialog')
  await form.getByLabel('Name').fill('reports')
  await form.getByRole('button', { name: 'Make', exact: true }).click()
  const secret = await page.getByLabel('Token', { exact: true }).textContent()
  await page.getByRole('button', { name: 'Close', exact: true }).last().click()
  await expect(page.getByText(secret ?? '-')).toHaveCount(0)

  const program = await playwright.request.newContext({ baseURL, ignoreHTTPSErrors: true, extraHTTPHeaders: { Authorization: 'Bearer ' + (secret ?? '').trim() } })
  expect((await program.get('/api/v1/images')).status()).toBe(200)
  expect((await program.post('/api/v1/scans', { data: { all: true } })).status()).toBe(403)
  await page.getByRole('button', { name: 'End reports' }).click()
  await page.getByRole('button', { name: 'End', exact: true }).click()
  await expect(row(page, 'reports')).toContainText('Ended')
  expect((await program.get('/api/v1/images')).status()).toBe(401)
  await program.dispose()
})

test('the advisories say where they come from, and are brought up to date', async ({ page }) => {
  await open(page, '/settings/database')
  await expect(row(page, 'osv/npm')).toBeVisible()
  const before = await items<'Task'>(page, '/tasks?kind=database')
  await page.getByRole('button', { name: 'Update now' }).click()
  await expect.poll(async () => (await items<'Task'>(page, '/tasks?kind=database')).filter((t) => t.state === 'succeeded').length, { timeout: 80_000 }).toBe(before.length + 1)
  await expect(page.getByRole('button', { name: 'Update now' })).toBeEnabled({ timeout: 30_000 })
})
