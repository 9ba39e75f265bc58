// The way of a new console to its first findings.
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { ScanButton } from '../parts/scan'
import { useMay, useMayAll } from '../session'
import { hostsOf, isScanned } from './figures'

interface Step {
  key: string
  done: boolean
  title: string
  hint: string
  /** What to do about it, once the steps before are done. */
  action?: ReactNode
}

export function Start({ d }: { d: Schemas['Dashboard'] }) {
  const { t } = useTranslation('dashboard')
  const steps = useSteps(d)
  const next = steps.findIndex((s) => !s.done)
  return (
    <section className="card full">
      <h2>{t('start')}</h2>
      <ol className="first-steps">
        {steps.map((s, n) => (
          <li key={s.key} aria-current={n === next ? 'step' : undefined} className={s.done ? 'done' : n === next ? 'next' : undefined}>
            <span className="mark" aria-hidden="true">
              {s.done ? '✓' : n + 1}
            </span>
            <div>
              <h3>
                {s.title}
                {s.done && <span className="visually-hidden"> {t('stepDone')}</span>}
              </h3>
              <p className="muted">{s.hint}</p>
              {n === next && s.action}
            </div>
          </li>
        ))}
      </ol>
    </section>
  )
}

function useSteps(d: Schemas['Dashboard']): Step[] {
  const { t } = useTranslation('dashboard')
  const scans = useMay('operator')
  const administers = useMay('admin')
  const enrols = useMayAll()
  const hosts = hostsOf(d)
  const tried = d.images - (d.imageStates.never ?? 0)
  return [
    {
      key: 'host',
      done: hosts > 0,
      title: t('step.host'),
      hint: hosts > 0 ? t('step.hostDone', { count: hosts }) : enrols ? t('step.hostHint') : t('step.askAdmin'),
      action: enrols && (
        <Link to="/hosts" search={{ add: '1' } as never} className="button">
          {t('step.hostAction')}
        </Link>
      ),
    },
    {
      key: 'images',
      done: d.images > 0,
      title: t('step.images'),
      hint: d.images > 0 ? t('step.imagesDone', { count: d.images }) : hosts > 0 ? t('step.imagesHint') : t('step.imagesLater'),
      action: (
        <Link to="/hosts" className="button">
          {t('step.imagesAction')}
        </Link>
      ),
    },
    {
      key: 'advisories',
      done: d.database.current !== undefined,
      title: t('step.advisories'),
      hint: d.database.current
        ? d.database.current.sample
          ? t('step.advisoriesSample')
          : t('step.advisoriesDone', { count: d.database.current.advisories })
        : d.database.task
          ? t('advisoriesFetched')
          : administers
            ? t('step.advisoriesHint')
            : t('step.askAdmin'),
      action: (
        <Link to="/settings/$section" params={{ section: 'database' }} className="button">
          {t('step.advisoriesAction')}
        </Link>
      ),
    },
    {
      key: 'scan',
      done: isScanned(d),
      title: t('step.scan'),
      hint: isScanned(d) ? t('step.scanDone') : d.runningTasks > 0 ? t('step.scanRunning') : tried > 0 ? t('step.scanFailed', { count: tried }) : scans ? t('step.scanHint') : t('step.askOperator'),
      action: d.runningTasks > 0 ? <Link to="/tasks">{t('runningNow')}</Link> : <ScanButton request={{ all: true }} label={t('scanAll')} primary />,
    },
  ]
}
