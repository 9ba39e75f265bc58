// Texts of an image, an advisory and a user that would do harm if anything took them
// for more than texts: nothing runs, nothing leads elsewhere, everything can be read.
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import type { Page } from '@playwright/test'

import { eachTab } from './addresses'
import { ask, cells, expect, image, items, open, scanned, send, test, type Schemas } from './console'

const script = '</script><script>window.hostile=1</script>' // as the image has it, see ../../e2e/lab/recipes/hostile
const handler = '"><img src=x onerror=window.hostile=2>'
const formula = '=HYPERLINK("javascript:window.hostile=3","x")'
const remark = `</textarea></script><script>window.hostile=10</script>${handler}\u202e =cmd|' /C calc'!A0`

test.setTimeout(400_000)

/** Nothing has run, no picture is not ours, no link leads to anything but http. */
async function harmless(page: Page, where: string) {
  const found = await page.evaluate(() => ({
    ran: (window as unknown as { hostile?: number }).hostile,
    pictures: [...document.images].map((i) => i.src).filter((src) => !src.startsWith(location.origin + '/assets/')),
    links: [...document.querySelectorAll<HTMLElement>('a[href], area[href], [xlink\\:href]')].map((a) => (a as HTMLAnchorElement).href).filter((href) => !/^https?:/.test(href)),
    forms: [...document.querySelectorAll('iframe, object, embed, base, form[action]')].length,
    scripts: [...document.scripts].filter((s) => s.text !== '' || !s.src.startsWith(location.origin + '/assets/')).length,
  }))
  expect(found, where).toEqual({ ran: undefined, pictures: [], links: [], forms: 0, scripts: 0 })
}

/** Decides about findings of the hostile image, in hostile words. */
async function decided(page: Page): Promise<Schemas['Image']> {
  await scanned(page)
  const hostile = await image(page, 'hostile:1')
  if ((await items<'Decision'>(page, '/decisions?state=active')).some((d) => d.remark === remark)) return hostile
  const [finding] = await items<'Finding'>(page, `/findings?image=${hostile.id}&package=hostile-victim`)
  await send(page, 'POST', '/decisions', { kind: 'ignore', remark, findings: [finding?.id] })
  await send(page, 'POST', '/tokens', { name: remark.slice(0, 100), role: 'viewer' })
  return hostile
}

test('pages show them as texts', async ({ page }) => {
  const hostile = await decided(page)
  const { id } = hostile
  const [finding] = await items<'Finding'>(page, `/findings?image=${id}&vulnerability=GHSA-3333-3333-3333`)
  if (!finding) throw new Error('no finding in a package of a hostile name')
  expect(finding.package).toBe(script)
  const encoded = encodeURIComponent(script)
  for (const [path, text] of [
    [`/images/${id}`, 'hostile:1'],
    [`/images/${id}?tab=application`, script],
    [`/images/${id}?tab=application&finding=${finding.id}`, script],
    [`/images/${id}?tab=software`, 'hostile-victim'],
    [`/images/${id}?tab=software&name=${encoded}`, script],
    [`/images/${id}?tab=layers`, script],
    ['/vulnerabilities/GHSA-2222-2222-2222?class=application', 'window.hostile=4'],
    ['/vulnerabilities/GHSA-3333-3333-3333?class=application', script],
    ['/vulnerabilities?class=application&q=GHSA-5555', handler],
    [`/software?name=${encoded}`, script],
    [`/software?name=${encodeURIComponent(formula)}`, formula],
    [`/software/places?name=${encoded}`, script],
    ['/software?q=hostile-version', script],
    ['/decisions', 'window.hostile=10'],
    ['/decisions?tab=history', 'window.hostile=10'],
    ['/settings/tokens', '</textarea>'],
    ['/hosts', ''],
    [`/images?q=${encoded}`, ''],
  ] as const) {
    await open(page, path)
    await expect(page.locator('body'), path).toContainText(text)
    if (path.includes('finding=')) await harmless(page, path) // a drawer is before the tabs
    else await eachTab(page, (tab) => harmless(page, path + tab))
  }
  // The references of an advisory: the one of http leads there, the others are no links.
  await open(page, '/vulnerabilities/GHSA-2222-2222-2222?class=application')
  await expect(page.locator('main')).toContainText('javascript:window.hostile=7')
  const away = await page.locator('main a[target=_blank]').evaluateAll((all) => all.map((a) => ({ href: (a as HTMLAnchorElement).href, rel: a.getAttribute('rel') ?? '' })))
  expect(away.some(({ href }) => href.startsWith('https://advisory.invalid/'))).toBe(true)
  for (const { rel } of away.filter(({ href }) => href.startsWith('https://advisory.invalid/'))) expect(rel).toContain('noreferrer')
  // What a preview and a dialog repeat.
  await open(page, `/images/${id}?tab=application&finding=${finding.id}`)
  await page.getByRole('dialog').getByRole('button', { name: 'Decide…' }).click()
  await expect(page.getByText(/Handles \d+ findings? in/)).toBeVisible()
  await harmless(page, 'the preview of a decision')
})

test('marks that turn or hide text cannot disguise a name', async ({ page }) => {
  await scanned(page)
  await open(page, `/software?q=${encodeURIComponent('gpj.exe')}`)
  // Either isolated, so that the rest of the line keeps its direction, or made visible.
  const name = page.locator('main').getByRole('link', { name: /gpj/ }).first()
  await expect(name).toBeVisible()
  expect(await name.evaluate((e) => [getComputedStyle(e).unicodeBidi, e.textContent])).toEqual([expect.stringMatching(/isolate|plaintext/), expect.stringContaining('gpj')])
})

const exported = {
  findings: { findings: { state: ['open', 'ignored', 'fixed', 'whitelisted'] } },
  vulnerabilities: { vulnerabilities: { handled: 'any' } },
  images: {},
  software: {},
  decisions: {},
} as const

for (const [kind, request] of Object.entries(exported)) {
  test(`exports of ${kind} hold them as texts`, async ({ page, context }) => {
    await decided(page)
    const marker = { findings: script, vulnerabilities: handler, images: 'hostile:1', software: script, decisions: 'window.hostile=10' }[kind] ?? ''
    const files: Record<string, Buffer> = {}
    for (const format of ['csv', 'xlsx', 'json', 'html']) {
      const made = await send<Schemas['Export']>(page, 'POST', '/exports', { kind, format, ...request })
      await expect.poll(async () => (await ask<Schemas['Export']>(page, `/exports/${made.id}`)).state).toBe('succeeded')
      files[format] = await (await page.request.get(`/api/v1/exports/${made.id}/content`)).body()
    }

    const table = cells(files.csv?.toString() ?? '')
    expect(table.length).toBeGreaterThan(1)
    expect(new Set(table.map((row) => row.length)).size, 'each row has a cell for each column').toBe(1)
    const dangerous = table.flat().filter((cell) => /^[=+\-@\t\r]/.test(cell) && !/^-?\d+(\.\d+)?$/.test(cell))
    expect(dangerous).toEqual([])
    expect(table.flat().join('\n')).toContain(marker)

    expect(JSON.stringify(JSON.parse(files.json?.toString() ?? ''))).toContain(JSON.stringify(marker).slice(1, -1))

    const xlsx = test.info().outputPath('list.xlsx')
    writeFileSync(xlsx, files.xlsx ?? '')
    const parts = execFileSync('python3', ['-c', 'import sys,zipfile\nz=zipfile.ZipFile(sys.argv[1])\nfor n in z.namelist(): print(n); print(z.read(n).decode())', xlsx], { encoding: 'utf8', maxBuffer: 1 << 28 })
    expect(parts).toContain('xl/worksheets/sheet1.xml')
    expect(parts, 'no cell is a formula, none is a link').not.toMatch(/<f[ >]|<hyperlink|externalLink/)
    expect(parts).not.toContain('<script')

    // The page of the file, opened from the disk, where no policy of the console holds.
    const html = test.info().outputPath('list.html')
    writeFileSync(html, files.html ?? '')
    const file = await context.newPage()
    await file.goto('file://' + html)
    await expect(file.locator('body')).toContainText(marker)
    expect(await file.evaluate(() => [(window as unknown as { hostile?: number }).hostile, document.images.length, document.querySelectorAll('a[href^="javascript:"]').length])).toEqual([undefined, 0, 0])
    await file.close()
  })
}

test('reports and bills of materials of the image hold them as texts', async ({ page, context }) => {
  const { id } = await decided(page)
  const get = async (what: string) => (await page.request.get(`/api/v1/images/${id}/${what}`)).body()
  for (const what of ['report?format=json', 'sbom?format=cyclonedx', 'sbom?format=spdx']) {
    expect(JSON.stringify(JSON.parse((await get(what)).toString())), what).toContain('hostile-victim')
  }
  const csv = cells((await get('report?format=csv')).toString())
  expect(csv.flat().filter((cell) => /^[=+\-@\t\r]/.test(cell) && !/^-?\d+(\.\d+)?$/.test(cell))).toEqual([])
  const html = test.info().outputPath('report.html')
  writeFileSync(html, await get('report?format=html'))
  const file = await context.newPage()
  await file.goto('file://' + html)
  await expect(file.locator('body')).toContainText(script)
  expect(await file.evaluate(() => [(window as unknown as { hostile?: number }).hostile, document.images.length, document.querySelectorAll('a[href^="javascript:"]').length])).toEqual([undefined, 0, 0])
})
