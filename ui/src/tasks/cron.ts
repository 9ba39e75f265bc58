// Times of a schedule, to show while it is written: five fields as the console
// reads them (robfig/cron, in UTC). The console judges; what is not understood
// here has no preview.

const names = {
  month: ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'],
  day: ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'],
}

const short: Record<string, string> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}

interface Field {
  values: Set<number>
  /** Whether it says "any", not a list that happens to hold all. */
  any: boolean
}

export interface Cron {
  minute: Field
  hour: Field
  date: Field
  month: Field
  day: Field
}

function field(text: string, min: number, max: number, words: string[] = []): Field | undefined {
  const number = (part: string): number => {
    const word = words.indexOf(part.toLowerCase())
    return word >= 0 ? word + min : /^\d{1,2}$/.test(part) ? Number(part) : NaN
  }
  const values = new Set<number>()
  let any = false
  for (const part of text.split(',')) {
    const [range = '', step, ...more] = part.split('/')
    const star = range === '*' || range === '?'
    const [from = '', to, ...rest] = range.split('-')
    const first = star ? min : number(from)
    const last = star || (to === undefined && step !== undefined) ? max : number(to ?? from)
    const by = step === undefined ? 1 : /^\d{1,2}$/.test(step) ? Number(step) : NaN
    if (more.length > 0 || rest.length > 0 || !(first >= min && last <= max && first <= last && by > 0)) return undefined
    any ||= star && by === 1
    for (let n = first; n <= last; n += by) values.add(n)
  }
  return { values, any }
}

export function parseCron(text: string): Cron | undefined {
  const parts = (short[text.trim()] ?? text).trim().split(/\s+/)
  if (parts.length !== 5) return undefined
  const [m = '', h = '', d = '', month = '', w = ''] = parts
  const cron = { minute: field(m, 0, 59), hour: field(h, 0, 23), date: field(d, 1, 31), month: field(month, 1, 12, names.month), day: field(w, 0, 6, names.day) }
  return Object.values(cron).every((f) => f !== undefined) ? (cron as Cron) : undefined
}

const longest = 5 * 366 // days to look ahead, as the console does

/** The next times after one, at most so many. */
export function nextRuns(cron: Cron, after: Date, count: number): Date[] {
  const found: Date[] = []
  const sorted = (f: Field) => [...f.values].sort((a, b) => a - b)
  const [hours, minutes] = [sorted(cron.hour), sorted(cron.minute)]
  for (let n = 0; n < longest && found.length < count; n++) {
    const day = new Date(Date.UTC(after.getUTCFullYear(), after.getUTCMonth(), after.getUTCDate() + n))
    const [date, week] = [cron.date.values.has(day.getUTCDate()), cron.day.values.has(day.getUTCDay())]
    // Given both, either is enough.
    const fits = cron.date.any || cron.day.any ? date && week : date || week
    if (!fits || !cron.month.values.has(day.getUTCMonth() + 1)) continue
    for (const hour of hours) {
      for (const minute of minutes) {
        const at = new Date(day.getTime() + (hour * 60 + minute) * 60_000)
        if (at > after && found.length < count) found.push(at)
      }
    }
  }
  return found
}

export type Rhythm = { rhythm: 'hourly' | 'daily' | 'weekly' | 'monthly'; minute: number; hour: number; days: number[]; date: number }

/** The common shapes, which can be said in words. */
export function rhythmOf(cron: Cron): Rhythm | undefined {
  const one = (f: Field) => (f.values.size === 1 ? [...f.values][0] : undefined)
  const [minute, hour, date] = [one(cron.minute), one(cron.hour), one(cron.date)]
  if (minute === undefined || !cron.month.any) return undefined
  const said = { minute, hour: hour ?? 0, days: [...cron.day.values].sort(), date: date ?? 0 }
  if (cron.date.any && cron.day.any) return cron.hour.any ? { ...said, rhythm: 'hourly' } : hour !== undefined ? { ...said, rhythm: 'daily' } : undefined
  if (hour === undefined) return undefined
  if (cron.date.any) return { ...said, rhythm: 'weekly' }
  if (cron.day.any && date !== undefined) return { ...said, rhythm: 'monthly' }
  return undefined
}
