// What others state about vulnerabilities, from the file to the finding.
import { ask, expect, items, open, row, scanned, test, type Schemas } from './console'

test.use({ refusals: [400, 422] }) // a file that is no VEX document

test('a VEX document handles a finding as long as it is there, and tells so', async ({ page }) => {
  await scanned(page)
  const finding = (await items<'Finding'>(page, '/findings?class=application&state=open')).find((f) => f.purl)
  if (!finding) throw new Error('there is nothing to state')
  const state = async () => (await ask<Schemas['Finding']>(page, `/findings/${finding.id}`)).state
  const statement = { vulnerability: { name: finding.vulnerability }, status: 'not_affected', justification: 'vulnerable_code_not_in_execute_path', products: [{ '@id': finding.purl }] }
  const document = { '@context': 'https://openvex.dev/ns/v0.2.0', '@id': 'https://shop.example/vex/1', author: 'Shop Security', timestamp: '2026-11-01T00:00:00Z', version: 1, statements: [statement] }
  const add = (name: string, content: unknown) =>
    page.getByLabel('Add a document').setInputFiles({ name, mimeType: 'application/json', buffer: Buffer.from(JSON.stringify(content)) })

  await open(page, '/decisions?tab=vex')
  await add('shopping-list.json', { milk: 2 })
  await expect(page.locator('.ant-message-error')).toBeVisible()
  await add('shop.openvex.json', document)
  await expect(row(page, 'shop.openvex.json')).toContainText('Shop Security')
  await expect.poll(state).toBe('ignored')

  await open(page, `/images/${finding.imageID}?tab=application&finding=${finding.id}`)
  const drawer = page.getByRole('dialog')
  await expect(drawer.getByText('Shop Security').first()).toBeVisible()
  await expect(drawer.getByText('Confidence', { exact: true })).toBeVisible()

  await open(page, '/decisions?tab=vex')
  await row(page, 'shop.openvex.json').getByRole('button', { name: 'Remove' }).click()
  await page.getByRole('tooltip').getByRole('button', { name: 'Remove', exact: true }).click()
  await expect(row(page, 'shop.openvex.json')).toHaveCount(0)
  await expect.poll(state).toBe('open')
})
