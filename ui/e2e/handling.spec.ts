// Rules: made before anything fits, changed, found when they match nothing, ended.
import { choose, downloaded, expect, items, open, row, scanned, settled, test } from './console'

test('a rule that matches nothing is made, gets an end, is found and ended', async ({ page }) => {
  await scanned(page)
  await open(page, '/decisions')
  await page.getByRole('button', { name: 'New rule' }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog.getByText('Fill in at least one condition to see what it would change.')).toBeVisible()
  await dialog.getByLabel('Package', { exact: true }).fill('no-such-package*')
  await expect(dialog.getByText('No open finding changes')).toBeVisible()
  await dialog.getByRole('textbox', { name: 'Reason' }).fill('Comes with the next release')
  await dialog.getByRole('button', { name: 'Whitelist' }).click()
  await expect(dialog).toBeHidden()
  await expect(row(page, 'no-such-package*')).toContainText('Never')

  await choose(page, 'Add filter', 'Matches nothing')
  await expect(page).toHaveURL(/idle=true/)
  await settled(page)
  await row(page, 'no-such-package*').getByRole('button', { name: 'Edit' }).click()
  await dialog.getByLabel('Ends', { exact: true }).click()
  await page.locator('.ant-select-item-option').filter({ hasText: 'After 30 days' }).click()
  await dialog.getByRole('button', { name: 'Save' }).click()
  await expect(dialog).toBeHidden()
  const rule = (await items<'Decision'>(page, '/decisions?q=no-such-package')).find((d) => d.state === 'active')
  const days = (new Date(rule?.expires ?? 0).getTime() - Date.now()) / 86_400_000
  expect(days).toBeGreaterThan(29)
  expect(days).toBeLessThan(31)
  await page.reload()
  await settled(page)
  await expect(row(page, 'no-such-package*')).not.toContainText('Never')

  const json = JSON.parse(await downloaded(page, () => choose(page, 'Export all', 'JSON'))) as unknown
  expect(JSON.stringify(json)).toContain('no-such-package*')

  await row(page, 'no-such-package*').getByRole('button', { name: 'End' }).click()
  await page.getByRole('button', { name: 'End 1 decision' }).click()
  await expect(page.getByText('1 decision ended')).toBeVisible()
  await open(page, '/decisions?tab=history')
  await expect(row(page, 'no-such-package*')).toContainText('Ended')
})
