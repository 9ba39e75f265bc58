// From a finding to its end: why it is one, what accepting it would change, and back.
import { cells, choose, downloaded, expect, image, items, open, row, scanned, settled, test } from './console'

test('a finding is understood, whitelisted after a look, found in the history, and reopened', async ({ page }) => {
  await scanned(page)
  const node = await image(page, 'node-app:1')
  const [finding] = await items<'Finding'>(page, `/findings?image=${node.id}&class=application&sort=priority`)
  if (!finding) throw new Error('no finding')
  await open(page, `/images/${node.id}?tab=application`)
  await page.getByRole('link', { name: finding.vulnerability }).first().click()
  const drawer = page.getByRole('dialog').filter({ hasText: 'Why does this match?' })
  await expect(drawer).toBeVisible()
  const shown = (await items<'Finding'>(page, `/findings?image=${node.id}&class=application&state=open`)).find((f) => f.id === new URL(page.url()).searchParams.get('finding'))
  if (!shown) throw new Error('the address does not name the finding')
  await expect(drawer).toContainText(shown.package)
  await expect(drawer).toContainText(shown.reasons?.[0]?.advisory ?? 'an advisory')
  await expect(drawer).toContainText(shown.path ?? 'a path')

  // The preview says what would change before anything does.
  const before = (await items(page, '/decisions')).length
  await drawer.getByRole('button', { name: 'Decide…' }).click()
  const dialog = page.getByRole('dialog', { name: 'Decide…' })
  await dialog.getByRole('radio', { name: 'Whitelist' }).check()
  await expect(dialog.getByText(/Handles \d+ findings? in/)).toBeVisible()
  expect((await items(page, '/decisions')).length).toBe(before)
  await dialog.getByRole('button', { name: 'Whitelist' }).click()
  await expect(dialog.getByText('Say why: whoever reads this later has to understand it.')).toBeVisible()
  await dialog.getByRole('textbox', { name: 'Reason' }).fill('Not reachable: only the build uses it')
  // The quickest of all users: Escape as soon as the dialog gives the focus back.
  await drawer.getByRole('button', { name: 'Decide…' }).evaluate((button) =>
    button.addEventListener('focus', () => button.dispatchEvent(new KeyboardEvent('keydown', { key: 'Escape', bubbles: true })), { once: true }),
  )
  await dialog.getByRole('button', { name: 'Whitelist' }).click()
  await expect(page.getByText('1 decision made')).toBeVisible()
  await expect(dialog).toBeHidden()
  await expect(drawer).toBeHidden()

  // Gone from what is open, there among what is handled.
  const open1 = await items<'Finding'>(page, `/findings?image=${node.id}&class=application&state=open`)
  expect(open1.some((f) => f.id === shown.id)).toBe(false)
  const handled = await items<'Finding'>(page, `/findings?image=${node.id}&state=whitelisted`)
  expect(handled.map((f) => f.id)).toContain(shown.id)
  await page.getByText('Handled', { exact: true }).click()
  await settled(page)
  await expect(row(page, shown.vulnerability)).toContainText('Whitelisted')

  // In the history, of the vulnerability and of everything.
  await open(page, `/vulnerabilities/${shown.vulnerability}?class=application`)
  await page.getByRole('tab', { name: /Handling history/ }).click()
  await expect(page.locator('main')).toContainText('Not reachable: only the build uses it')
  await open(page, '/decisions?tab=history')
  await expect(row(page, 'Not reachable: only the build uses it')).toContainText('Decided')

  // And back.
  await open(page, '/decisions')
  await row(page, 'Not reachable: only the build uses it').getByRole('button', { name: 'End' }).click()
  await page.getByRole('button', { name: 'End 1 decision' }).click()
  await expect(page.getByText('1 decision ended')).toBeVisible()
  const open2 = await items<'Finding'>(page, `/findings?image=${node.id}&class=application&state=open`)
  expect(open2.map((f) => f.id)).toContain(shown.id)
})

test('the risk view has both classes and the page of a vulnerability', async ({ page }) => {
  await scanned(page)
  await open(page, '/vulnerabilities')
  const [system] = await items<'Vulnerability'>(page, '/vulnerabilities?class=system&sort=priority')
  await expect(row(page, system?.name ?? '-')).toBeVisible()
  await page.getByRole('tab', { name: 'Application' }).click()
  await settled(page)
  const applications = await items<'Vulnerability'>(page, '/vulnerabilities?class=application&sort=priority&limit=50')
  await expect(row(page, applications[0]?.name ?? '-')).toBeVisible()
  const csv = cells(await downloaded(page, () => choose(page, 'Export', 'CSV')))
  expect(csv.flat()).toContain(applications[0]?.name)
  expect(csv.flat()).not.toContain(system?.name)

  const lodash = applications.find((v) => v.packages?.includes('lodash')) ?? applications[0]
  await row(page, lodash?.name ?? '-').getByRole('link').first().click()
  await settled(page)
  await expect(page.getByRole('heading', { level: 1 })).toContainText(lodash?.name ?? '-')
  await expect(page.getByText('node-app:1').first()).toBeVisible()
})
