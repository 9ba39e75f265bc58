// Everything without a mouse: what has the focus is seen, and a dialog gives it back.
import type { Page } from '@playwright/test'

import { admin, expect, image, items, scanned, settled, test } from './console'

test.use({ storageState: { cookies: [], origins: [] }, refusals: [401] })
test.setTimeout(180_000)

/** What has the focus, in the words that a screen reader says. */
function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const element = document.activeElement as HTMLElement | null
    if (!element) return ''
    const labels = 'labels' in element ? [...((element as HTMLInputElement).labels ?? [])].map((label) => label.textContent) : []
    return [element.getAttribute('aria-label'), ...labels, element.textContent].filter(Boolean).join(' ').trim()
  })
}

/** Presses Tab until what is meant has the focus; each stop on the way must be seen. */
async function tabTo(page: Page, meant: RegExp, key: 'Tab' | 'Shift+Tab' = 'Tab') {
  for (let presses = 0; presses < 80; presses++) {
    await page.keyboard.press(key)
    const seen = await page.evaluate(() => {
      // The mark of the focus may be drawn by the box around an input.
      for (let e = document.activeElement; e && e !== document.body; e = e.parentElement) {
        const style = getComputedStyle(e)
        if ((style.outlineStyle !== 'none' && style.outlineWidth !== '0px') || style.boxShadow !== 'none') return true
        if (e.parentElement && e.parentElement.childElementCount > 3) break
      }
      return document.activeElement === document.body || document.activeElement?.id === 'content'
    })
    const what = await focused(page)
    expect(seen, `the focus is seen on “${what.slice(0, 80)}”`).toBe(true)
    if (meant.test(what)) return
  }
  throw new Error(`Tab never reaches ${meant}`)
}

test('sign in, find an image, open a finding, decide, and come back, by keyboard alone', async ({ page }) => {
  await page.goto('/login')
  await expect(page.getByLabel('Name')).toBeFocused()
  await page.keyboard.type(admin.name)
  await page.keyboard.press('Tab')
  await page.keyboard.type(admin.password)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('navigation', { name: 'Main menu' })).toBeVisible()
  await scanned(page)
  const node = await image(page, 'node-app:1')
  await settled(page)

  // Through the menu.
  await page.keyboard.press('g')
  await page.keyboard.press('t')
  await expect(page).toHaveURL('/tasks')
  await settled(page)
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur())
  await tabTo(page, /^Images$/)
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL('/images')
  await settled(page)

  // Filter, then the row.
  await tabTo(page, /Name, registry or image ID/)
  await page.keyboard.type('node-app')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/q=node-app/)
  await settled(page)
  await tabTo(page, /Add filter/)
  await page.keyboard.press('j')
  expect(await focused(page)).toContain('node-app:1')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(`/images/${node.id}`)
  await settled(page)

  // The tab of application vulnerabilities, and the first finding there.
  await tabTo(page, /Overview$/)
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('ArrowRight')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/tab=application/)
  await settled(page)
  await page.keyboard.press('j')
  const opener = await focused(page)
  await page.keyboard.press('Enter')
  const drawer = page.getByRole('dialog').filter({ hasText: 'Why does this match?' })
  await expect(drawer).toBeVisible()
  const finding = new URL(page.url()).searchParams.get('finding')

  await tabTo(page, /^Decide…$/)
  await page.keyboard.press('Enter')
  const dialog = page.getByRole('dialog', { name: 'Decide…' })
  await expect(dialog.getByText(/Handles \d+ findings? in/)).toBeVisible()
  await tabTo(page, /^Reason/)
  await page.keyboard.type('Typed, not clicked')
  await page.keyboard.press('Escape')
  await expect(dialog).toBeHidden()
  await expect.poll(() => focused(page), { message: 'the dialog gives the focus back' }).toBe('Decide…')

  await page.keyboard.press('Enter')
  await expect(dialog.getByText(/Handles \d+ findings? in/)).toBeVisible()
  await tabTo(page, /^Reason/)
  await page.keyboard.type('Typed, not clicked')
  await tabTo(page, /^Whitelist$/)
  await page.keyboard.press('Enter')
  await expect(dialog).toBeHidden()
  const decided = (await items<'Decision'>(page, '/decisions?q=Typed')).filter((d) => d.state === 'active')
  expect(decided.length).toBe(1)
  expect((await items<'Finding'>(page, `/findings?image=${node.id}&state=whitelisted`)).map((f) => f.id)).toContain(finding)

  await page.keyboard.press('Escape')
  await expect(drawer).toBeHidden()
  await expect(page).not.toHaveURL(/finding=/)
  expect(opener).not.toBe('')

  // What was decided is taken back, from the list of rules.
  await page.keyboard.press('g')
  await page.keyboard.press('w')
  await expect(page).toHaveURL('/decisions')
  await settled(page)
  await tabTo(page, /(^|\s)End$/)
  await page.keyboard.press('Enter')
  await tabTo(page, /^End 1 decision$/)
  await page.keyboard.press('Enter')
  await expect(page.getByText('1 decision ended')).toBeVisible()
  expect((await items<'Decision'>(page, '/decisions?q=Typed')).filter((d) => d.state === 'active')).toEqual([])
})

test('a drawer that is closed gives the focus to the row that opened it', async ({ page }) => {
  expect((await page.request.post('/api/v1/login', { data: admin })).ok()).toBe(true)
  await scanned(page)
  const node = await image(page, 'node-app:1')
  await page.goto(`/images/${node.id}?tab=application`)
  await settled(page)
  await page.keyboard.press('j')
  await page.keyboard.press('j')
  const opener = await focused(page)
  expect(opener).not.toBe('')
  await page.keyboard.press('Enter')
  await expect(page.getByText('Why does this match?')).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(page.getByText('Why does this match?')).toBeHidden()
  await expect.poll(() => focused(page)).toBe(opener)
})

test('the shortcuts are told, and the skip link skips', async ({ page }) => {
  expect((await page.request.post('/api/v1/login', { data: admin })).ok()).toBe(true)
  await page.goto('/hosts')
  await settled(page)
  await page.keyboard.press('?')
  await expect(page.getByRole('dialog', { name: 'Keyboard shortcuts' })).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(page.getByRole('dialog', { name: 'Keyboard shortcuts' })).toBeHidden()
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur())
  await page.keyboard.press('Tab')
  expect(await focused(page)).toBe('Skip to content')
  await page.keyboard.press('Enter')
  await expect(page.locator('main')).toBeFocused()
})
