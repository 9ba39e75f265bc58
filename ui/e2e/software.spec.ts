// Software: what is installed where, asked by name, version, path, licence and purl.
import { readFileSync } from 'node:fs'
import type { Page } from '@playwright/test'

import type { Schemas } from '../src/api'
import { expect, image, items, open, row, scanned, send, settled, test } from './console'
import { build, cell, choose, docker, ended, narrow, npm } from './steps'

test.beforeEach(async ({ page }) => scanned(page))

/** Where lodash is in the image that "shop" runs, as the container itself says: version by path. */
function installed(): Record<string, string> {
  const files = docker('exec', 'shop', 'grep', '-rlE', '--include=package.json', '"name": "lodash"', '/app').split('\n')
  const said = docker('exec', 'shop', 'grep', '-H', '"version": ', ...files).split('\n')
  return Object.fromEntries(
    said.map((line) => {
      const [, path = '', version = ''] = /^\/(.*\.json): *"version": "(.*)"/.exec(line) ?? []
      return [path, version]
    }),
  )
}

const older = (a: string, b: string) => a.localeCompare(b, 'en', { numeric: true }) < 0

const packages = (page: Page) => page.getByRole('table', { name: 'Software' }).locator('tbody').getByRole('row')

/** What the list shows, as "name version". */
async function listed(page: Page): Promise<string[]> {
  await settled(page)
  const found: string[] = []
  for (const line of await packages(page).filter({ has: page.getByRole('link') }).all())
    found.push(`${await (await cell(line, 'Name')).innerText()} ${await (await cell(line, 'Version')).innerText()}`)
  return found.sort()
}

const form = (page: Page) => page.getByRole('form', { name: 'Find software' })

async function ask(page: Page, question: string) {
  await form(page).getByLabel('Package', { exact: true }).fill(question)
  await form(page).getByRole('button', { name: 'Search' }).click()
}

test('a question about versions finds exactly what is installed below, and leads to where it is', async ({ page }) => {
  const all = Object.entries(installed())
  const old = all.filter(([, version]) => older(version, '4.17.21'))
  expect(old.length).toBeGreaterThan(1)
  expect(old.length).toBeLessThan(all.length)
  const versions = [...new Set(old.map(([, version]) => version))]

  await open(page, '/software')
  await ask(page, 'lodash < 4.17.21')
  await expect(page).toHaveURL(/\?name=lodash&below=4\.17\.21$/)
  await expect(packages(page)).toHaveCount(versions.length)
  expect(await listed(page)).toEqual(versions.map((version) => 'lodash ' + version).sort())
  await page.reload()
  expect(await listed(page)).toEqual(versions.map((version) => 'lodash ' + version).sort())
  await expect(page.getByRole('textbox', { name: 'Below' })).toHaveValue('4.17.21')

  await page.getByRole('link', { name: 'Hosts and containers that have it' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'lodash < 4.17.21' })).toBeVisible()
  const places = page.getByRole('table', { name: 'Hosts and running containers' }).locator('tbody').getByRole('row')
  await expect(places).toHaveCount(old.length)
  for (const [path, version] of old) {
    const line = places.filter({ hasText: path })
    await expect(await cell(line, 'Version')).toHaveText(version)
    await expect(await cell(line, 'Running containers')).toHaveText('shop')
    await expect(await cell(line, 'Image')).toHaveText('node-app:1')
  }
  const [host] = await items<'Host'>(page, '/hosts')
  await places.first().getByRole('link', { name: host?.name }).click()
  await expect(page).toHaveURL(`/hosts/${host?.id}`)
  await page.goBack()
  await places.first().getByRole('link', { name: 'node-app:1' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'node-app:1' })).toBeVisible()
  await page.goBack()

  await page.getByRole('tab', { name: 'All versions' }).click()
  const every = new Set(all.map(([, version]) => version))
  await expect(page.getByRole('table', { name: 'All versions' }).locator('tbody').getByRole('row')).toHaveCount(every.size)
  await page.getByRole('link', { name: 'Images with this package' }).click()
  await expect(page).toHaveURL(/\/images\?software=lodash$/)
  await expect(page.getByRole('link', { name: 'node-app:1' })).toBeVisible()
  await expect(page.getByRole('link', { name: 'debian:11' })).toHaveCount(0)
})

test('versions between two and one version alone are asked for in the form', async ({ page }) => {
  const versions = Object.values(installed())
  await open(page, '/software')
  await page.getByLabel('Package', { exact: true }).fill('lodash')
  await choose(page, 'Versions', 'Between')
  await page.getByRole('textbox', { name: 'At least' }).fill('4')
  await page.getByRole('textbox', { name: 'Below' }).fill('4.18')
  await form(page).getByRole('button', { name: 'Search' }).click()
  const between = [...new Set(versions.filter((v) => !older(v, '4') && older(v, '4.18')))]
  await expect(packages(page)).toHaveCount(between.length)
  expect(await listed(page)).toEqual(between.map((version) => 'lodash ' + version).sort())

  await ask(page, 'lodash = 3.10.1')
  await expect(page).toHaveURL(/\?name=lodash&version=3\.10\.1$/)
  expect(await listed(page)).toEqual(['lodash 3.10.1'])
  await ask(page, 'lodash > 3')
  await expect(page.getByRole('alert')).toHaveText(/This cannot be asked/)
  await expect(page.getByLabel('Package', { exact: true })).toHaveValue('lodash > 3')
  await ask(page, 'nobody-has-this')
  await expect(page.getByRole('heading', { name: 'No image has such a package' })).toBeVisible()
  await expect(page.getByText('Images that were never scanned', { exact: false })).toBeVisible()
})

test('path, licence and purl narrow the list, in an address that can be kept', async ({ page }) => {
  const all = installed()
  await open(page, '/software?name=lodash')
  await narrow(page, 'Path', '**/lodash-old/**')
  const there = Object.entries(all).filter(([path]) => path.includes('/lodash-old/'))
  expect(there.length).toBe(1)
  await expect(packages(page)).toHaveCount(1)
  expect(await listed(page)).toEqual(there.map(([, version]) => 'lodash ' + version))

  await page.getByRole('button', { name: 'Remove filter Path' }).click()
  await narrow(page, 'Package URL', 'pkg:npm/lodash@4')
  const fours = [...new Set(Object.values(all).filter((version) => version.startsWith('4')))].map((version) => 'lodash ' + version).sort()
  await expect(packages(page)).toHaveCount(fours.length)
  expect(await listed(page)).toEqual(fours)

  await open(page, '/software?type=npm')
  await narrow(page, 'Licence', 'BSD-2-Clause')
  const address = page.url()
  await expect(packages(page).first()).toContainText('BSD-2-Clause')
  const shown = await listed(page)
  expect(shown).toEqual((await items<'Software'>(page, '/software?type=npm&license=BSD-2-Clause&limit=50')).map((p) => `${p.name} ${p.version}`).sort())
  for (const line of await packages(page).all()) await expect(await cell(line, 'Licence')).toContainText('BSD-2-Clause')

  await open(page, '/')
  await page.goto(address)
  expect(await listed(page)).toEqual(shown)
})

test('what nobody would know of is told apart from what is known to be clean', async ({ page }) => {
  // A system of which no source speaks.
  build('strange:1', {
    'etc/os-release': 'ID=strange\nVERSION_ID=1\nPRETTY_NAME="Strange 1"\n',
    'var/lib/dpkg/status': 'Package: strange-tool\nStatus: install ok installed\nVersion: 1.0-1\nArchitecture: amd64\nMaintainer: somebody\nDescription: none\n\n',
    ...npm('strange-neighbour', '1.0.0'),
  })
  await expect.poll(async () => (await items<'Image'>(page, '/images?q=strange')).length, { timeout: 40_000 }).toBe(1)
  await ended(page, (await send<Schemas['Task']>(page, 'POST', '/scans', { images: [(await image(page, 'strange:1')).id] })).id)

  await open(page, '/software?q=strange-')
  const judged = async (name: string) => cell(row(page, name), 'Vulnerabilities')
  await expect(await judged('strange-tool')).toHaveText(/Not covered/)
  await expect(await judged('strange-tool')).not.toContainText('None known')
  await expect(await judged('strange-neighbour')).toHaveText(/None known/)
  await expect(await judged('strange-neighbour')).not.toContainText('Not covered')
  await narrow(page, 'Coverage', 'Not covered')
  await expect(packages(page)).toHaveCount(1)
  expect(await listed(page)).toEqual(['strange-tool 1.0-1'])
  await row(page, 'strange-tool').getByRole('link', { name: 'strange-tool' }).click()
  await expect(page.getByRole('region', { name: 'About the package' })).toContainText('Not covered')
  await open(page, `/images/${(await image(page, 'strange:1')).id}`)
  await expect(page.locator('main')).toContainText(/not covered|no advisor/i)
  docker('rmi', 'strange:1')
})

test('the list that filters find is taken away as CSV', async ({ page }) => {
  await open(page, '/software?name=lodash&below=4.17.21')
  const versions = (await listed(page)).map((line) => line.replace('lodash ', ''))
  const coming = page.waitForEvent('download')
  await page.getByRole('button', { name: 'Export' }).click()
  await page.getByRole('menuitem', { name: 'CSV' }).click()
  const file = await coming
  expect(file.suggestedFilename()).toMatch(/\.csv$/)
  const [header = '', ...rows] = readFileSync(await file.path(), 'utf8').replace(/^\ufeff/, '').trim().split(/\r?\n/)
  const columns = header.split(',')
  const column = (line: string, name: string) => line.split(',')[columns.indexOf(name)]
  expect(columns).toEqual(expect.arrayContaining(['package', 'version', 'type']))
  expect(rows.map((line) => column(line, 'package'))).toEqual(versions.map(() => 'lodash'))
  expect(rows.map((line) => column(line, 'version')).sort()).toEqual(versions.sort())
  await expect(page.getByText(`File with ${versions.length} rows made`)).toBeVisible()
  const [made] = await items<'Export'>(page, '/exports')
  expect(made).toMatchObject({ kind: 'software', format: 'csv', rows: versions.length, fileName: file.suggestedFilename() })
})
