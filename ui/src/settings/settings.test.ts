import { expect, test } from 'vitest'

import document from '../../openapi.json'
import { actions } from './actions'
import { fields } from './fields'

test('every setting is shown, with the bounds that the console checks', () => {
  const shown = Object.values(fields).flat()
  const asked = Object.entries(document.components.schemas.Settings.properties).filter(([name]) => name !== '$schema')
  expect(shown.map((f) => f.name).sort()).toEqual(asked.map(([name]) => name).sort())
  for (const [name, schema] of asked) {
    const field = shown.find((f) => f.name === name)
    const bounds = schema as { minimum?: number; maximum?: number }
    if (field && 'min' in field) expect([field.min, field.max], name).toEqual([bounds.minimum, bounds.maximum])
    else expect(bounds.minimum, name).toBeUndefined()
  }
})

test('every operation that changes something has words in the audit log', () => {
  const changing = Object.values(document.paths).flatMap((methods) =>
    Object.entries(methods).flatMap(([method, operation]) => (method === 'get' ? [] : [(operation as { operationId: string }).operationId])),
  )
  expect(changing.filter((id) => !(actions as readonly string[]).includes(id))).toEqual([])
})
