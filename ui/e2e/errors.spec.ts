import { expect, open, remote, row, settled, test } from './console'

test('a console that is gone is told of, and found again without reloading', async ({ page }) => {
  await open(page, '/images')
  await expect(row(page, 'node-app:1')).toBeVisible()
  await page.evaluate(() => Object.assign(window, { loadedOnce: true }))
  await remote('stop')
  try {
    await page.getByRole('menuitem', { name: 'Hosts' }).getByRole('link').click()
    await expect(page.getByRole('alert').filter({ hasText: 'The console does not answer' }).first()).toBeVisible({ timeout: 40_000 })
  } finally {
    await remote('start')
  }
  await expect(row(page, 'Online')).toBeVisible({ timeout: 60_000 })
  await page.getByRole('menuitem', { name: 'Images' }).getByRole('link').click()
  await settled(page)
  await expect(row(page, 'node-app:1')).toBeVisible()
  expect(await page.evaluate(() => 'loadedOnce' in window)).toBe(true)
})

test.describe('what is not there', () => {
  test.use({ refusals: [404] })
  test('is said to be not there', async ({ page }) => {
    await page.goto('/images/999999')
    await expect(page.getByText('It does not exist, or you may not see it')).toBeVisible()
    await page.goto('/vulnerabilities/CVE-1999-0000')
    await expect(page.getByText('It does not exist, or you may not see it')).toBeVisible()
    await page.goto('/settings/nothing')
    await expect(page.getByText('There are no such settings for you')).toBeVisible()
  })
})

test.describe('a filter that the console refuses', () => {
  test.use({ refusals: [400, 422] })
  test('is said to be wrong, and can be cleared', async ({ page }) => {
    await page.goto('/images?risk=terrible')
    await expect(page.getByRole('alert')).toBeVisible()
    await page.getByRole('button', { name: 'Clear filters' }).click()
    await expect(row(page, 'node-app:1')).toBeVisible()
  })
})
