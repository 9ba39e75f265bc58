import { ask, expect, items, open, row, scanned, settled, test, type Schemas } from './console'

test('which images hold a package in versions below another is asked and answered', async ({ page }) => {
  await scanned(page)
  // A package that is there in one version at least: that and no later one is found.
  const [known] = (await items<'Software'>(page, '/software?name=lodash')).filter((p) => p.type === 'npm')
  if (!known) throw new Error('there is no lodash')
  const question = async (text: string) => {
    await open(page, '/software')
    await page.getByLabel('Package', { exact: true }).fill(text)
    await page.getByRole('button', { name: /Search$/ }).click()
    await settled(page)
  }
  await question('lodash < 99.0.0')
  await expect(page).toHaveURL(/name=lodash.*below=99/)
  await expect(row(page, known.version)).toContainText('lodash')
  await page.reload()
  await settled(page)
  await expect(row(page, known.version)).toContainText('lodash')

  await question('lodash < 0.0.1')
  await expect(page.getByText('No image has such a package')).toBeVisible()

  await question('lodash < 99.0.0')
  await page.getByRole('link', { name: 'Hosts and containers that have it' }).click()
  await settled(page)
  await expect(row(page, 'node-app:1')).toContainText((await ask<{ items: Schemas['Host'][] }>(page, '/hosts')).items[0]?.name ?? '-')
})
