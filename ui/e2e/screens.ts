// Pictures of the pages for the user guide, in both appearances. `make screenshots`
// takes them from the console at PLIMSOLL_URL, as PLIMSOLL_LOGIN (NAME:PASSWORD).
import { test, type Page } from '@playwright/test'

import type { Schemas } from '../src/api'
import { items, open } from './console'

const [name, password] = (process.env.PLIMSOLL_LOGIN ?? '').split(/:(.*)/)

/** Shows what a picture is of. */
type Show = (page: Page) => Promise<unknown>

const pictures: Record<string, Show> = {
  setup: (page) => page.goto('/setup#token=shown-by-the-console'),
  dashboard: (page) => open(page, '/'),
  images: (page) => open(page, '/images'),
  image: async (page) => open(page, `/images/${(await worst(page)).id}`),
  'image-plan': async (page) => open(page, `/images/${(await worst(page)).id}?tab=plan`),
  'image-history': async (page) => open(page, `/images/${(await worst(page)).id}?tab=history`),
  'image-layers': async (page) => open(page, `/images/${(await worst(page)).id}?tab=layers`),
  vulnerabilities: (page) => open(page, '/vulnerabilities'),
  vulnerability: async (page) => open(page, `/vulnerabilities/${(await gravest(page)).name}?class=system`),
  finding: evidence,
  decide: async (page) => {
    await evidence(page)
    await page.getByRole('dialog').getByRole('button', { name: 'Decide…' }).click()
    await page.getByText(/Handles .* in/).waitFor()
  },
  software: (page) => open(page, '/software'),
  hosts: (page) => open(page, '/hosts'),
  host: async (page) => open(page, `/hosts/${(await items<'Host'>(page, '/hosts?limit=1'))[0]?.id}`),
  tasks: (page) => open(page, '/tasks'),
  task: async (page) => open(page, `/tasks/${(await items<'Task'>(page, '/tasks?kind=scan&limit=1'))[0]?.id}`),
  decisions: (page) => open(page, '/decisions'),
  settings: (page) => open(page, '/settings/scanning'),
  'settings-database': (page) => open(page, '/settings/database'),
}

async function worst(page: Page): Promise<Schemas['Image']> {
  const [image] = await items<'Image'>(page, '/images?limit=1&inUse=yes')
  if (!image) throw new Error('no image')
  return image
}

async function gravest(page: Page): Promise<Schemas['Vulnerability']> {
  const [vulnerability] = await items<'Vulnerability'>(page, '/vulnerabilities?class=system&limit=1')
  if (!vulnerability) throw new Error('no vulnerability')
  return vulnerability
}

async function evidence(page: Page) {
  const image = await worst(page)
  const [finding] = await items<'Finding'>(page, `/findings?image=${image.id}&class=application&limit=1`)
  await open(page, `/images/${image.id}?tab=application&finding=${finding?.id}`)
  await page.getByText('Why does this match?').waitFor()
}

for (const colorScheme of ['light', 'dark'] as const) {
  test(colorScheme, async ({ page }) => {
    test.setTimeout(300_000)
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    await page.request.post('/api/v1/login', { data: { name, password } })
    for (const [picture, show] of Object.entries(pictures)) {
      await show(page)
      await page.waitForTimeout(1000) // charts and drawers have come to rest
      await page.screenshot({ path: `../docs/console/${picture}-${colorScheme}.png` })
    }
  })
}
