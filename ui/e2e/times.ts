// How soon pages can be used with much behind them. `make pagetimes` measures the
// console at PLIMSOLL_URL, as PLIMSOLL_LOGIN (NAME:PASSWORD): each page is opened
// anew, with the scripts in the browser's cache, as by somebody who follows a link.
import { test, type Browser, type Page } from '@playwright/test'

import { items } from './console'

const [name, password] = (process.env.PLIMSOLL_LOGIN ?? '').split(/:(.*)/)
const times = 7

async function pages(page: Page): Promise<Record<string, string>> {
  const [image] = await items<'Image'>(page, '/images?limit=1')
  const [host] = await items<'Host'>(page, '/hosts?limit=1')
  const [task] = await items<'Task'>(page, '/tasks?kind=scan&limit=1')
  const [vulnerability] = await items<'Vulnerability'>(page, '/vulnerabilities?limit=1&sort=images')
  const [software] = await items<'Software'>(page, '/software?limit=1&sort=images')
  if (!image || !host || !task || !vulnerability || !software) throw new Error('there is nothing to show')
  return {
    dashboard: '/',
    images: '/images',
    'images, by name, filtered': '/images?q=service-1&sort=name&risk=critical',
    ...Object.fromEntries(['', 'system', 'application', 'software', 'layers', 'where', 'history', 'plan'].map((tab) => [`image, ${tab || 'overview'}`, `/images/${image.id}?tab=${tab}`])),
    'vulnerabilities, system': '/vulnerabilities?class=system',
    'vulnerabilities, application, by images': '/vulnerabilities?class=application&sort=images',
    'vulnerability in the most images': `/vulnerabilities/${vulnerability.name}?class=${vulnerability.class}`,
    software: '/software',
    'software by path': '/software?path=*ssl*',
    'software by licence': '/software?license=MIT',
    places: `/software/places?name=${encodeURIComponent(software.name)}`,
    hosts: '/hosts',
    host: `/hosts/${host.id}`,
    tasks: '/tasks',
    task: `/tasks/${task.id}`,
    decisions: '/decisions',
    'steps of handling': '/decisions?tab=history',
    ...Object.fromEntries(['scanning', 'database', 'users', 'tokens', 'audit'].map((section) => ['settings, ' + section, '/settings/' + section])),
  }
}

/** In the page: milliseconds since the navigation began, once it shows what a window holds; charts come after that. */
const usable = () =>
  document.querySelector('main :is(h1, h2)') && !document.querySelector('.empty[role=status], .ant-spin-spinning:not(.chart *), .ant-skeleton') ? performance.now() : 0

async function openedIn(page: Page, path: string): Promise<number> {
  await page.goto(path, { waitUntil: 'commit' })
  return (await page.waitForFunction(usable, undefined, { polling: 'raf', timeout: 60_000 })).jsonValue()
}

async function firstLoad(browser: Browser, path: string): Promise<number> {
  const context = await browser.newContext({ ignoreHTTPSErrors: true, baseURL: process.env.PLIMSOLL_URL })
  const page = await context.newPage()
  await page.request.post('/api/v1/login', { data: { name, password } })
  const took = await openedIn(page, path)
  await context.close()
  return took
}

test('times', async ({ page, browser }) => {
  test.setTimeout(900_000)
  const ms = (n: number) => String(Math.round(n)).padStart(6)
  await page.request.post('/api/v1/login', { data: { name, password } })
  const cold: number[] = []
  for (let i = 0; i < times; i++) cold.push(await firstLoad(browser, '/'))
  cold.sort((a, b) => a - b)
  console.log(`${'page'.padEnd(44)} median  worst, ms of ${times}`)
  console.log(`${'dashboard, nothing in the cache'.padEnd(44)} ${ms(cold[times >> 1] ?? 0)} ${ms(cold.at(-1) ?? 0)}`)
  for (const [title, path] of Object.entries(await pages(page))) {
    await openedIn(page, path) // its scripts are in the cache now
    const took: number[] = []
    for (let i = 0; i < times; i++) took.push(await openedIn(page, path))
    took.sort((a, b) => a - b)
    console.log(`${title.padEnd(44)} ${ms(took[times >> 1] ?? 0)} ${ms(took.at(-1) ?? 0)}`)
  }
})
