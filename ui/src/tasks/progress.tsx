// How far a task is: what succeeded, what did not, what is left.
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { Tag, useWord } from '../parts/tags'
import { isOver } from './live'

type Task = Schemas['Task']

export function Progress({ task, wide }: { task: Task; wide?: boolean }) {
  const { t } = useTranslation('tasks')
  const word = useWord()
  const items = task.kind === 'scan' || task.kind === 'sync'
  const done = task.succeeded + task.partial + task.failed + task.cancelled
  // There is nothing to count any more: why it failed says more.
  if (isOver(task) && (task.kind === 'database' || (task.kind === 'export' && task.state !== 'succeeded')))
    return task.detail && !wide ? (
      <span className="clip muted" style={{ maxWidth: 280 }} title={task.detail}>
        {task.detail}
      </span>
    ) : null
  if (task.total === 0) return wide ? null : <span className="muted">–</span>
  if (task.kind === 'export') return <span className="number">{isOver(task) ? t('nRows', { ns: 'common', count: task.succeeded }) : t('rowsSoFar', { count: task.succeeded })}</span>
  const parts = [
    ['succeeded', task.succeeded],
    ['partial', task.partial],
    ['failed', task.failed],
    ['cancelled', task.cancelled],
    ['running', task.running],
  ] as const
  const said = items
    ? [t('doneOf', { done, total: task.total }), ...parts.filter(([, n]) => n > 0).map(([state, n]) => `${word('task', state)} ${n}`), ...(task.waiting > 0 ? [`${t('waiting')} ${task.waiting}`] : [])].join(', ')
    : `${Math.round((100 * task.succeeded) / task.total)}%`
  return (
    <span className="row" style={{ flexWrap: wide ? 'wrap' : 'nowrap' }}>
      <span className="segments" role="img" aria-label={said} style={wide ? { flex: 1, height: 10 } : undefined}>
        {parts.map(([state, n]) => n > 0 && <span key={state} className={state} style={{ width: `${(100 * n) / task.total}%` }} />)}
      </span>
      <span className="number" style={{ whiteSpace: 'nowrap' }}>
        {items ? t('doneOf', { done, total: task.total }) : said}
      </span>
      {!wide && items && (
        <>
          {task.partial > 0 && <Figure state="partial" count={task.partial} />}
          {task.failed > 0 && <Figure state="failed" count={task.failed} />}
        </>
      )}
      {!wide && task.waiting > 0 && (
        <span className="tag late" title={t('waitingHint')}>
          {t('waiting')} {task.waiting}
        </span>
      )}
    </span>
  )
}

function Figure({ state, count }: { state: 'partial' | 'failed'; count: number }) {
  const word = useWord()
  return (
    <span className={`tag ${state}`}>
      {word('task', state)} {count}
    </span>
  )
}

/** A task's state, with what has been asked of it meanwhile. */
export function State({ task }: { task: Task }) {
  const { t } = useTranslation('tasks')
  return (
    <span className="row" style={{ flexWrap: 'nowrap' }}>
      <Tag group="task" value={task.state} />
      {task.stopping && !isOver(task) && <span className="tag">{t('stopping')}</span>}
    </span>
  )
}
