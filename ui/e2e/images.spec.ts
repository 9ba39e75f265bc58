// Images: find them, take their list away, look into one.
import { cells, choose, downloaded, expect, image, items, open, row, scanned, settled, test } from './console'

test('filters are in the address and survive a reload', async ({ page }) => {
  await scanned(page)
  await open(page, '/images')
  await page.getByLabel('Name, registry or image ID').fill('node-app')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/q=node-app/)
  await expect(row(page, 'debian:11')).toHaveCount(0)
  await choose(page, 'Add filter', 'With a fix')
  await expect(page).toHaveURL(/fixable=true/)
  await page.getByRole('columnheader', { name: 'Image', exact: true }).click()
  await expect(page).toHaveURL(/sort=name/)
  await page.reload()
  await settled(page)
  await expect(page.getByLabel('Name, registry or image ID')).toHaveValue('node-app')
  await expect(row(page, 'node-app:1')).toBeVisible()
  await expect(row(page, 'debian:11')).toHaveCount(0)

  await page.getByRole('button', { name: 'Clear filters' }).click()
  await expect(row(page, 'debian:11')).toBeVisible()
  await page.goBack()
  await expect(row(page, 'debian:11')).toHaveCount(0)
  await page.getByLabel('Name, registry or image ID').fill('nothing-is-called-this')
  await page.keyboard.press('Enter')
  await expect(page.getByText('Nothing matches these filters')).toBeVisible()
})

test('the list is taken away as CSV, whole and in part', async ({ page }) => {
  await scanned(page)
  const all = await items<'Image'>(page, '/images')
  await open(page, '/images')
  const whole = cells(await downloaded(page, () => choose(page, 'Export', 'CSV')))
  expect(whole.length - 1).toBe(all.length)
  for (const one of all) expect(whole.flat().join(' ')).toContain(one.digest)

  await row(page, 'node-app:1').getByRole('checkbox').check()
  await row(page, 'debian:11').getByRole('checkbox').check()
  const bar = page.getByRole('region', { name: '2 selected' })
  const part = cells(
    await downloaded(page, async () => {
      await bar.getByRole('button', { name: 'Export' }).click()
      await page.getByRole('menuitem', { name: 'CSV', exact: true }).last().click()
    }),
  )
  expect(part.length - 1).toBe(2)
  expect(part.flat().join(' ')).toContain('node-app:1')
})

test('an image tells what is in it, from which layer, where it runs and what to do', async ({ page }) => {
  await scanned(page)
  const node = await image(page, 'node-app:1')
  await open(page, `/images/${node.id}`)
  await expect(page.getByRole('heading', { level: 1 })).toContainText('node-app:1')
  await expect(page.locator('.page-head')).toContainText('1 running container')
  const tab = (name: string) => page.locator('main').getByRole('tab', { name })

  await tab('Application vulnerabilities').click()
  await expect(page).toHaveURL(/tab=application/)
  await settled(page)
  const [finding] = await items<'Finding'>(page, `/findings?image=${node.id}&class=application`)
  await expect(row(page, finding?.vulnerability ?? '')).toContainText(finding?.package ?? '-')

  await tab('Software').click()
  await settled(page)
  await expect(row(page, 'npm')).toBeVisible()
  await tab('Layers').click()
  await settled(page)
  await expect(page.locator('main')).toContainText('COPY')
  await tab('Where it runs').click()
  await settled(page)
  await expect(page.locator('main')).toContainText('shop')
  await tab('History').click()
  await settled(page)
  await expect(page.locator('main')).toContainText('Compare with another image')
  await tab('Plan').click()
  await settled(page)
  await expect(page.locator('main')).toContainText('npm')

  await page.reload()
  await settled(page)
  await expect(tab('Plan')).toHaveAttribute('aria-selected', 'true')
})
