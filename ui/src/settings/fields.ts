// The fleet's settings, in the order in which they are shown. A test holds the
// bounds against the API's.
import type { Schemas } from '../api'

export type Settings = Schemas['Settings']
export type Name = Exclude<keyof Settings, '$schema'>
export type Unit = 'images' | 'hours' | 'days' | 'seconds' | 'mib' | 'percent'

/** A figure with bounds, or a text. */
export type Field = { name: Name } & ({ min: number; max: number; unit: Unit } | { text: true })

export const fields: Record<'scanning' | 'database' | 'retention', Field[]> = {
  scanning: [
    { name: 'window', text: true },
    { name: 'scansPerHour', min: 0, max: 1_000_000, unit: 'images' },
    { name: 'hostConcurrency', min: 1, max: 16, unit: 'images' },
    { name: 'scanTimeout', min: 10, max: 86_400, unit: 'seconds' },
    { name: 'agentMemoryMB', min: 64, max: 65_536, unit: 'mib' },
    { name: 'agentCPUPercent', min: 5, max: 1600, unit: 'percent' },
    { name: 'maxImageAgeDays', min: 0, max: 36_500, unit: 'days' },
    { name: 'syncHours', min: 1, max: 168, unit: 'hours' },
  ],
  database: [{ name: 'databaseHours', min: 0, max: 720, unit: 'hours' }],
  retention: [
    { name: 'keepPresenceDays', min: 1, max: 3650, unit: 'days' },
    { name: 'keepHistoryDays', min: 1, max: 3650, unit: 'days' },
    { name: 'keepTaskDays', min: 1, max: 3650, unit: 'days' },
  ],
}
