import { ask, expect, image, open, row, scanned, settled, test, type Schemas } from './console'

test('the figures are those of the lists that they lead to', async ({ page }) => {
  await scanned(page)
  await open(page, '/')
  const dashboard = await ask<Schemas['Dashboard']>(page, '/dashboard')
  const figures = page.getByRole('list', { name: 'The fleet in figures' })
  await expect(figures).toContainText('Hosts online')
  await expect(figures.getByRole('listitem').filter({ hasText: 'Images' }).first()).toContainText(String(dashboard.images))
  await expect(page.locator('main')).toContainText('node-app:1')
  await page.locator('main').getByRole('link', { name: 'node-app:1' }).first().click()
  await settled(page)
  await expect(page.getByRole('heading', { level: 1 })).toContainText('node-app:1')
  expect(page.url()).toContain(`/images/${(await image(page, 'node-app:1')).id}`)
})

test('everything is searched from everywhere', async ({ page }) => {
  await scanned(page)
  await open(page, '/tasks')
  await page.keyboard.press('/')
  await page.keyboard.type('node-app')
  await page.locator('.ant-select-item-option').filter({ hasText: 'node-app:1' }).click()
  await expect(page).toHaveURL(`/images/${(await image(page, 'node-app:1')).id}`)
})

test('language and appearance are chosen, and kept', async ({ page }) => {
  await open(page, '/images')
  await page.getByRole('button', { name: 'Language, Appearance' }).click()
  await page.getByRole('menuitem', { name: '中文' }).click()
  await expect(page.locator('html')).toHaveAttribute('lang', 'zh-CN')
  await expect(page.getByRole('heading', { level: 1, name: '镜像' })).toBeVisible()
  await page.reload()
  await settled(page)
  await expect(page.locator('html')).toHaveAttribute('lang', 'zh-CN')
  await expect(row(page, 'node-app:1')).toBeVisible()
})
