// Every page of the console, with things to show: what walks over all pages visits.
import type { Page } from '@playwright/test'

import { image, items, scanned, settled } from './console'

/** Addresses of pages, by a name that says what is at them. */
export async function addresses(page: Page): Promise<Record<string, string>> {
  await scanned(page)
  const [debian, node, hostile] = [await image(page, 'debian:11'), await image(page, 'node-app:1'), await image(page, 'hostile:1')]
  const [host] = await items<'Host'>(page, '/hosts')
  const [task] = await items<'Task'>(page, '/tasks?kind=scan')
  const [system] = await items<'Vulnerability'>(page, '/vulnerabilities?class=system')
  const [application] = await items<'Finding'>(page, `/findings?class=application&image=${node.id}`)
  if (!host || !task || !system || !application) throw new Error('there is nothing to show')
  return {
    dashboard: '/',
    images: '/images',
    'images that no filter finds': '/images?q=nothing-is-called-this',
    'a Debian image': `/images/${debian.id}`,
    'an image of applications': `/images/${node.id}`,
    'an image of hostile texts': `/images/${hostile.id}`,
    vulnerabilities: '/vulnerabilities',
    'a system vulnerability': `/vulnerabilities/${system.name}?class=system`,
    'an application vulnerability': `/vulnerabilities/${application.vulnerability}?class=application`,
    'a hostile advisory': '/vulnerabilities/GHSA-2222-2222-2222?class=application',
    software: '/software',
    places: `/software/places?name=${encodeURIComponent('hostile-victim')}`,
    hosts: '/hosts',
    'a host': `/hosts/${host.id}`,
    tasks: '/tasks',
    'a task': `/tasks/${task.id}`,
    handling: '/decisions',
    ...Object.fromEntries(['scanning', 'database', 'retention', 'users', 'roles', 'tokens', 'audit', 'account', 'about'].map((section) => ['settings of ' + section, '/settings/' + section])),
    'every step of handling': '/decisions?tab=history',
    'adding a host': '/hosts?add=1',
    'no such image': '/images/999999',
    'no such page': '/settings/nothing',
    'no page at all': '/images/1/2',
  }
}

/** Calls look for a page as it opens and for each of its tabs. */
export async function eachTab(page: Page, look: (where: string) => Promise<void>) {
  await look('')
  const tabs = page.locator('main').getByRole('tab')
  const names = await tabs.allTextContents()
  for (const [i, name] of names.entries()) {
    if (names.length !== (await tabs.count())) throw new Error('the tabs changed')
    await tabs.nth(i).click()
    await settled(page)
    await look(' › ' + name)
  }
}

