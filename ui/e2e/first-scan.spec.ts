// The first scan of all images: nothing is known of them yet.
import { ask, expect, items, open, row, send, settled, test, type Schemas } from './console'

test('all images are scanned, and the page follows until the end', async ({ page }) => {
  // No scan may start in this hour: the task waits until the page shows it.
  const settings = await ask<Schemas['Settings']>(page, '/settings')
  const hour = new Date().getUTCHours()
  await send(page, 'PUT', '/settings', { ...settings, window: `${String((hour + 2) % 24).padStart(2, '0')}:00-${String((hour + 3) % 24).padStart(2, '0')}:00` })
  await expect.poll(async () => (await items(page, '/images')).length, { timeout: 60_000 }).toBeGreaterThan(3)
  await open(page, '/images')
  await page.getByRole('button', { name: 'Scan all' }).click()
  await page.getByRole('link', { name: /Scan of \d+ images started/ }).click()
  await settled(page)
  await expect(page.getByText('Live')).toBeVisible()
  await expect(page.locator('main').getByText('Queued').first()).toBeVisible()
  await page.evaluate(() => Object.assign(window, { loadedOnce: true }))

  await send(page, 'PUT', '/settings', settings)
  await expect(page.locator('.page-head').getByText('Succeeded')).toBeVisible({ timeout: 80_000 })
  expect(await page.evaluate(() => 'loadedOnce' in window), 'the page followed without being loaded again').toBe(true)
  await expect(row(page, 'node-app:1')).toContainText('Succeeded')

  await page.getByRole('menuitem', { name: 'Images' }).getByRole('link').click()
  await expect(row(page, 'node-app:1')).toContainText('Scanned')
  await expect(row(page, 'node-app:1')).toContainText('Critical')
})
