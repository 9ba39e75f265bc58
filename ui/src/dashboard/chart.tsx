import { useTranslation } from 'react-i18next'
import { Bar, BarChart, CartesianGrid, ResponsiveContainer, Tooltip, XAxis, YAxis } from 'recharts'

import { useWord } from '../parts/tags'
import { useNumber } from '../parts/time'
import { series, useDay, type Point } from './days'
import { total } from './figures'

/** A bar a day, not a line: days on which nothing was kept stay empty instead of being guessed. */
export default function Chart({ days }: { days: Point[] }) {
  const { t, i18n } = useTranslation('dashboard')
  const word = useWord()
  const day = useDay()
  const short = new Intl.NumberFormat(i18n.language, { notation: 'compact' })
  const shown = series.filter((s) => days.some((d) => (d.findings?.[s] ?? 0) > 0))
  return (
    <ResponsiveContainer width="100%" height="100%">
      <BarChart data={days} title={t('riskOverTime')} margin={{ top: 8, right: 20, bottom: 0, left: 0 }} barCategoryGap="15%">
        <CartesianGrid vertical={false} stroke="var(--border)" />
        <XAxis dataKey="day" tickFormatter={(value: string) => day(value)} minTickGap={32} tick={{ fill: 'var(--muted)', fontSize: 12 }} stroke="var(--border)" />
        <YAxis allowDecimals={false} width={48} tickFormatter={(n: number) => short.format(n)} tick={{ fill: 'var(--muted)', fontSize: 12 }} stroke="var(--border)" />
        <Tooltip cursor={{ fill: 'var(--unknown-tint)' }} isAnimationActive={false} content={({ active, label }) => (active ? <Said point={days.find((d) => d.day === label)} /> : null)} />
        {shown.toReversed().map((s) => (
          <Bar key={s} dataKey={(d: Point) => d.findings?.[s]} name={word('severity', s)} stackId="open" fill={`var(--${s === 'none' ? 'unknown' : s}-bar)`} maxBarSize={48} isAnimationActive={false} />
        ))}
      </BarChart>
    </ResponsiveContainer>
  )
}

function Said({ point }: { point: Point | undefined }) {
  const { t } = useTranslation('dashboard')
  const word = useWord()
  const number = useNumber()
  const day = useDay()
  if (!point) return null
  return (
    <div className="card said">
      <strong>{day(point.day, true)}</strong>
      {point.findings ? (
        <dl className="facts">
          {series
            .filter((s) => (point.findings?.[s] ?? 0) > 0)
            .map((s) => (
              <div key={s} style={{ display: 'contents' }}>
                <dt>
                  <span className={`swatch ${s}`} /> {word('severity', s)}
                </dt>
                <dd className="number">{number(point.findings?.[s] ?? 0)}</dd>
              </div>
            ))}
          <dt>{t('openFindings')}</dt>
          <dd className="number">{number(total(point.findings))}</dd>
          <dt>{t('images', { ns: 'common' })}</dt>
          <dd className="number">{number(point.images ?? 0)}</dd>
        </dl>
      ) : (
        <p className="muted">{t('notRecorded')}</p>
      )}
    </div>
  )
}
