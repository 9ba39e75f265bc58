// Every package that ends in the binary may be passed on by anybody for any purpose.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const permissive = ['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', 'Apache-2.0', '0BSD', 'Unlicense']

test('licences of the packages in the binary are permissive', () => {
  const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, { dev?: boolean; license?: string }> }
  const shipped = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && !dev)
  expect(shipped.length).toBeGreaterThan(50)
  const others = shipped.filter(([, { license = '' }]) => !license.split(' AND ').every((part) => permissive.includes(part)))
  expect(others).toEqual([])
})
