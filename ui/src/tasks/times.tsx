// When a schedule starts, in words.
import { useTranslation } from 'react-i18next'

import { exact } from '../parts/time'
import { nextRuns, parseCron, rhythmOf } from './cron'

/** A cron expression in words where it has a common shape, else as it is written. */
export function useRhythm() {
  const { t, i18n } = useTranslation('tasks')
  return (text: string): string => {
    const cron = parseCron(text)
    const said = cron && rhythmOf(cron)
    if (!cron || !said) return text
    const two = (n: number) => String(n).padStart(2, '0')
    const time = `${two(said.hour)}:${two(said.minute)}`
    const weekday = new Intl.DateTimeFormat(i18n.language, { weekday: 'long', timeZone: 'UTC' })
    const sunday = Date.UTC(2026, 0, 4)
    const days = new Intl.ListFormat(i18n.language).format(said.days.map((day) => weekday.format(new Date(sunday + day * 86_400_000))))
    return t(`rhythm.${said.rhythm}`, { time, days, minute: said.minute, date: said.date })
  }
}

/** What a cron expression means, and when it comes next, here. */
export function NextRuns({ cron: text }: { cron: string }) {
  const { t, i18n } = useTranslation('tasks')
  const rhythm = useRhythm()
  if (text.trim() === '') return null
  const cron = parseCron(text)
  if (!cron) return <span className="muted">{t('cronUnread')}</span>
  const next = nextRuns(cron, new Date(), 3)
  if (next.length === 0) return <span>{t('cronNever')}</span>
  return (
    <div aria-live="polite">
      {rhythm(text) !== text && <div>{rhythm(text)}</div>}
      <div>
        {t('cronNext')} {next.map((at) => exact(i18n.language, at)).join(' · ')}
      </div>
    </div>
  )
}
