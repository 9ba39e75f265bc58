import { ask, expect, items, open, row, scanned, send, settled, test, type Schemas } from './console'

test('a scan that waits is stopped, and what was not done is done later', async ({ page }) => {
  await scanned(page)
  const settings = await ask<Schemas['Settings']>(page, '/settings')
  const hour = new Date().getUTCHours()
  await send(page, 'PUT', '/settings', { ...settings, window: `${String((hour + 2) % 24).padStart(2, '0')}:00-${String((hour + 3) % 24).padStart(2, '0')}:00` })
  const task = await send<Schemas['Task']>(page, 'POST', '/scans', { all: true, force: true })
  await open(page, '/tasks')
  await expect(row(page, /Scan of \d+ images/)).toContainText(/Queued|Running/)
  await open(page, `/tasks/${task.id}`)
  await page.getByRole('button', { name: 'Stop' }).click()
  await expect(page.locator('.page-head').getByText('Stopped')).toBeVisible({ timeout: 30_000 })

  await send(page, 'PUT', '/settings', settings)
  await page.getByRole('button', { name: 'Retry what failed' }).click()
  await expect(page).not.toHaveURL(`/tasks/${task.id}`)
  await settled(page)
  await expect(page.locator('.page-head').getByText('Succeeded')).toBeVisible({ timeout: 80_000 })
  await expect(row(page, 'node-app:1')).toContainText('Succeeded')
})

test('a schedule is made, says when it runs next, and is removed', async ({ page }) => {
  await open(page, '/tasks?tab=schedules')
  await page.getByRole('button', { name: 'Add a schedule' }).click()
  const form = page.getByRole('dialog')
  await form.getByLabel('Name', { exact: true }).fill('every night')
  await form.getByText('Every night', { exact: true }).click()
  await form.getByRole('button', { name: 'Save' }).click()
  await expect(form).toBeHidden()
  await expect(row(page, 'every night')).toContainText(/UTC/)
  expect((await items<'Schedule'>(page, '/schedules')).map((s) => s.name)).toContain('every night')
  await page.getByRole('button', { name: 'Remove every night' }).click()
  await page.getByRole('button', { name: 'Delete' }).click()
  await expect(row(page, 'every night')).toHaveCount(0)
})

test('files that were made are found again', async ({ page }) => {
  const made = await send<Schemas['Export']>(page, 'POST', '/exports', { kind: 'images', format: 'json' })
  await expect.poll(async () => (await ask<Schemas['Export']>(page, `/exports/${made.id}`)).state).toBe('succeeded')
  await open(page, '/tasks?tab=exports')
  const [download] = await Promise.all([page.waitForEvent('download'), page.locator('main').getByRole('link', { name: /Download/ }).first().click()])
  expect(download.suggestedFilename()).toMatch(/\.json$/)
})
