// Open findings day by day, as a chart or as a table.
import { Segmented, Spin } from 'antd'
import { lazy, Suspense, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { useWord } from '../parts/tags'
import { useNumber } from '../parts/time'
import { calendar, series, useDay, type Day, type Point } from './days'
import { total } from './figures'

const Chart = lazy(() => import('./chart')) // the library is heavy, and nothing else needs it

const spans = [7, 30, 90] as const

/** alone means that no card stands beside it. */
export function RiskOverTime({ days, alone }: { days: Day[]; alone: boolean }) {
  const { t } = useTranslation('dashboard')
  const word = useWord()
  const day = useDay()
  const [span, setSpan] = useState<number>(days.length <= 7 ? 7 : 30)
  const [shape, setShape] = useState<'chart' | 'table'>('chart')
  const first = days[0]
  const shown = calendar(days, span)
  const begins = first && shown[0] && first.day > shown[0].day ? first.day : undefined
  return (
    <section className={`card over-time ${alone ? 'full' : 'wide'}`}>
      <div className="row">
        <h2 className="grow">{t('riskOverTime')}</h2>
        <Segmented size="small" aria-label={t('span')} value={span} onChange={setSpan} options={spans.map((n) => ({ value: n, label: t('nDays', { count: n }) }))} />
        <Segmented
          size="small"
          aria-label={t('shape')}
          value={shape}
          onChange={setShape}
          options={[
            { value: 'chart', label: t('chart') },
            { value: 'table', label: t('table') },
          ]}
        />
      </div>
      {shape === 'table' ? (
        <Table days={shown} />
      ) : shown.every((d) => !d.findings || total(d.findings) === 0) ? (
        <p className="muted">{t('noneOpen')}</p>
      ) : (
        <>
          <ul className="legend" aria-label={t('severity')}>
            {series
              .filter((s) => shown.some((d) => (d.findings?.[s] ?? 0) > 0))
              .map((s) => (
                <li key={s}>
                  <span className={`swatch ${s}`} aria-hidden="true" /> {word('severity', s)}
                </li>
              ))}
          </ul>
          <div className="chart">
            <Suspense fallback={<Spin />}>
              <Chart days={shown} />
            </Suspense>
          </div>
        </>
      )}
      {begins && <p className="muted">{t('recordedSince', { day: day(begins, true) })}</p>}
    </section>
  )
}

function Table({ days }: { days: Point[] }) {
  const { t } = useTranslation('dashboard')
  const word = useWord()
  const number = useNumber()
  const day = useDay()
  const known = days.filter((d): d is Day => d.findings !== undefined).toReversed()
  return (
    <div className="scrolled chart" tabIndex={0} role="region" aria-label={t('riskOverTime')}>
      <table className="lines">
        <caption className="visually-hidden">{t('riskOverTime')}</caption>
        <thead>
          <tr>
            <th scope="col">{t('day')}</th>
            <th scope="col" className="figure">
              {t('openFindings')}
            </th>
            {series.map((s) => (
              <th key={s} scope="col" className="figure">
                {word('severity', s)}
              </th>
            ))}
            <th scope="col" className="figure">
              {t('kev', { ns: 'common' })}
            </th>
            <th scope="col" className="figure">
              {t('images', { ns: 'common' })}
            </th>
          </tr>
        </thead>
        <tbody>
          {known.map((d) => (
            <tr key={d.day}>
              <th scope="row">{day(d.day, true)}</th>
              <td className="figure">{number(total(d.findings))}</td>
              {series.map((s) => (
                <td key={s} className="figure">
                  {number(d.findings[s])}
                </td>
              ))}
              <td className="figure">{number(d.kev)}</td>
              <td className="figure">{number(d.images)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
