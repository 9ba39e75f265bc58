// Walks over all pages and their tabs. That no page complains, breaks the policy or
// asks another host is part of every test (console.ts).
import { readFileSync } from 'node:fs'
import type { Page } from '@playwright/test'
import type axe from 'axe-core'

import { texts } from '../src/text/en'
import { addresses, eachTab } from './addresses'
import { expect, items, open, test } from './console'

test.use({ refusals: [404] }) // two addresses lead nowhere
test.setTimeout(900_000)

const axeSource = readFileSync('node_modules/axe-core/axe.min.js', 'utf8')

/** Visits everything and says what was found, by place. */
async function walk(page: Page, look: (page: Page) => Promise<string[]>): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {}
  for (const [name, path] of Object.entries(await addresses(page))) {
    try {
      await open(page, path)
      await eachTab(page, async (tab) => {
        const faults = await look(page)
        if (faults.length > 0) found[`${name} (${path})${tab}`] = faults
      })
    } catch (error) {
      found[`${name} (${path})`] = [String(error).split('\n', 4).join(' ')] // the others are looked at all the same
    }
  }
  return found
}

// Only colours depend on the theme, and they do not depend on the language: everything
// in each of four combinations would take a quarter of an hour.
for (const { locale, colorScheme, width, rules } of [
  { locale: 'en-US', colorScheme: 'light', width: 1280, rules: { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] } },
  { locale: 'en-US', colorScheme: 'dark', width: 1920, rules: { type: 'rule', values: ['color-contrast'] } },
  { locale: 'zh-CN', colorScheme: 'light', width: 1280, rules: { type: 'tag', values: ['wcag2a', 'wcag21a'] } },
] as const) {
  test.describe(`${locale}, ${colorScheme}, ${width} px`, () => {
    test.use({ locale, colorScheme, viewport: { width, height: 900 }, contextOptions: { reducedMotion: 'reduce' } })
    test('every page is accessible, holds all its texts, and nothing overflows', async ({ page }) => {
      const keys = Object.values(texts).flatMap((area) => Object.keys(area))
      const found = await walk(page, async () => {
        await expect(page.locator('html')).toHaveAttribute('data-theme', colorScheme)
        await still(page)
        return [...(await page.evaluate(faultsOfTexts, keys)), ...(await inaccessible(page, { type: rules.type, values: [...rules.values] }))]
      })
      expect(found).toEqual({})
      await expect(page.locator('html')).toHaveAttribute('lang', locale === 'zh-CN' ? 'zh-CN' : 'en')
    })
  })
}

/** Waits until nothing moves any more. */
async function still(page: Page) {
  await page.waitForFunction(() => document.getAnimations().every((a) => a.playState !== 'running' || a.effect?.getTiming().iterations === Infinity))
}

/** What axe finds that is serious or critical, by some of its rules. */
async function inaccessible(page: Page, runOnly: axe.RunOnly): Promise<string[]> {
  await page.evaluate(axeSource)
  const result = await page.evaluate(
    (runOnly) => (window as unknown as { axe: typeof axe }).axe.run(document, { runOnly, resultTypes: ['violations'] }),
    runOnly,
  )
  return result.violations
    .filter((v) => v.impact === 'serious' || v.impact === 'critical')
    .flatMap((v) => v.nodes.slice(0, 3).map((n) => `${v.id}: ${n.html.slice(0, 200)} ${n.failureSummary?.split('\n').slice(1, 3).join(' ') ?? ''}`))
}

/** In the page: text that does not fit where it stands, and keys that stand for a text. */
function faultsOfTexts(keys: string[]): string[] {
  const faults: string[] = []
  const root = document.documentElement
  if (root.scrollWidth > root.clientWidth) faults.push(`the page is ${root.scrollWidth} px wide in a window of ${root.clientWidth}`)
  for (const element of document.querySelectorAll('button, .tag, .ant-tag, h1, h2, h3, nav a, [role=tab], [role=menuitem], .ant-alert, .ant-segmented-item-label')) {
    if (element.matches('.clip, .visually-hidden') || element.clientWidth === 0) continue
    if (element.scrollWidth > element.clientWidth + 1) faults.push(`clipped: ${element.textContent?.slice(0, 80)} (${element.scrollWidth} px in ${element.clientWidth})`)
  }
  // A key that is no word itself: "severity.high", "noRows".
  const telling = new Set(keys.filter((key) => /\.|[a-z][A-Z]/.test(key)))
  const groups = new Set([...telling].filter((key) => key.includes('.')).map((key) => key.split('.')[0]))
  const check = (text: string) => {
    if (telling.has(text) || text.includes('{{') || (/^[a-zA-Z]+\.[a-zA-Z-]+$/.test(text) && groups.has(text.split('.')[0]))) faults.push('no text: ' + text)
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  while (walker.nextNode()) check(walker.currentNode.textContent?.trim() ?? '')
  for (const name of ['aria-label', 'title', 'placeholder', 'alt']) {
    for (const element of document.querySelectorAll(`[${name}]`)) check(element.getAttribute(name)?.trim() ?? '')
  }
  return faults
}

test('the first load is small, and charts come after it', async ({ browser, baseURL, session }) => {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL, storageState: session })
  const page = await context.newPage()
  const devtools = await context.newCDPSession(page)
  await devtools.send('Network.enable')
  const sizes = new Map<string, { url: string; bytes: number }>()
  devtools.on('Network.responseReceived', ({ requestId, response }) => sizes.set(requestId, { url: response.url, bytes: 0 }))
  devtools.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
    const known = sizes.get(requestId)
    if (known) known.bytes = encodedDataLength
  })
  await open(page, '/')
  const all = [...sizes.values()]
  const scripts = await Promise.all(all.filter(({ url }) => url.endsWith('.js')).map(async (file) => ({ ...file, charts: (await (await page.request.get(file.url)).text()).includes('recharts-') })))
  const charts = scripts.filter((file) => file.charts).map((file) => file.url)
  const bytes = all.filter(({ url }) => !charts.includes(url)).reduce((sum, file) => sum + file.bytes, 0)
  test.info().annotations.push({ type: 'first load', description: `${bytes} bytes, ${all.length} requests` })
  console.log(`first load: ${bytes} bytes in ${all.length} requests, charts apart`)
  expect(bytes).toBeGreaterThan(100_000)
  expect(bytes).toBeLessThan(450_000)

  const needed = await page.locator('script[src], link[rel=modulepreload]').evaluateAll((all) => all.filter((e) => !e.hasAttribute('as')).map((e) => (e as HTMLScriptElement).src || (e as HTMLLinkElement).href))
  expect(needed.filter((url) => charts.includes(url))).toEqual([])
  expect((await items(page, '/images')).length).toBeGreaterThan(0) // it was shown to somebody
  await context.close()
})
