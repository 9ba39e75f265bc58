// Times: how long ago, the exact one on hover, in the local zone and in UTC.
import { useTranslation } from 'react-i18next'

const units = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
  ['second', 1],
] as const

/** "3 hours ago", "in 2 days". */
export function relative(language: string, time: Date, now = Date.now()): string {
  const seconds = Math.round((time.getTime() - now) / 1000)
  const [unit, size] = units.find(([, size]) => Math.abs(seconds) >= size) ?? (['second', 1] as const)
  // "now" is true; "yesterday" need not be: what is 26 hours old may be of the day before.
  return new Intl.RelativeTimeFormat(language, { numeric: seconds === 0 ? 'auto' : 'always' }).format(Math.trunc(seconds / size), unit)
}

export function exact(language: string, time: Date): string {
  if (Number.isNaN(time.getTime())) return ''
  return new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'medium' }).format(time)
}

export function Time({ at, absent, precise }: { at: string | undefined | null; absent?: string; precise?: boolean }) {
  const { t, i18n } = useTranslation()
  const time = at ? new Date(at) : undefined
  if (!time || Number.isNaN(time.getTime())) return <span className="muted">{absent ?? '–'}</span>
  const local = exact(i18n.language, time)
  const utc = t('utc', { time: time.toISOString().slice(0, 19).replace('T', ' ') })
  return (
    <time dateTime={time.toISOString()} title={`${local}\n${utc}`}>
      {precise ? local : relative(i18n.language, time)}
    </time>
  )
}

/** A date without a time of day: that of UTC, for no zone may move it. */
export function Day({ at }: { at: string }) {
  const { i18n } = useTranslation()
  const time = new Date(at)
  return (
    <time dateTime={at.slice(0, 10)} title={relative(i18n.language, time)}>
      {new Intl.DateTimeFormat(i18n.language, { dateStyle: 'medium', timeZone: 'UTC' }).format(time)}
    </time>
  )
}

/** Seconds as "2 hr 5 min". */
export function duration(language: string, seconds: number): string {
  const format = (n: number, unit: string) => new Intl.NumberFormat(language, { style: 'unit', unit, unitDisplay: 'short' }).format(n)
  if (seconds > 0 && seconds < 1) return format(Math.ceil(seconds * 1000), 'millisecond')
  if (Math.round(seconds) < 60) return format(Math.round(seconds), 'second')
  const minutes = Math.round(seconds / 60) // before it is cut: 1 hr 60 min is no time
  if (minutes < 60) return format(minutes, 'minute')
  if (minutes >= 48 * 60 || (minutes >= 24 * 60 && seconds % 86_400 === 0)) return format(Math.round(minutes / (24 * 60)), 'day')
  const rest = minutes % 60
  return `${format(Math.floor(minutes / 60), 'hour')}${rest > 0 ? ` ${format(rest, 'minute')}` : ''}`
}

export function useDuration() {
  const { i18n } = useTranslation()
  return (seconds: number): string => duration(i18n.language, seconds)
}

/** Bytes as "1.2 GB". */
export function useBytes() {
  const { i18n } = useTranslation()
  return (bytes: number): string => {
    const unit = ['byte', 'kilobyte', 'megabyte', 'gigabyte', 'terabyte']
    const n = bytes < 1 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3))
    return new Intl.NumberFormat(i18n.language, { style: 'unit', unit: unit[n], unitDisplay: 'short', maximumFractionDigits: n > 1 ? 1 : 0 }).format(bytes / 1000 ** n)
  }
}

/** A share of one as "12.3%". It is not rounded up: nearly all is not all. */
export function usePercent() {
  const { i18n } = useTranslation()
  return (share: number): string => new Intl.NumberFormat(i18n.language, { style: 'percent', maximumFractionDigits: 2 }).format(share < 0.1 ? share : Math.floor(share * 1000) / 1000)
}

/** Numbers as the language groups them. */
export function useNumber() {
  const { i18n } = useTranslation()
  return (n: number): string => new Intl.NumberFormat(i18n.language).format(n)
}
