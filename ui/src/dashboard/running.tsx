import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import { client, ok } from '../api'
import { useDuration, useNumber } from '../parts/time'

const shown = 3

/** What is being done right now; nothing when nothing is. */
export function Running() {
  const { t } = useTranslation('dashboard')
  const number = useNumber()
  const duration = useDuration()
  // The same question as the menu's: it is asked once.
  const { data } = useQuery({
    queryKey: ['tasks', 'running'],
    queryFn: () => ok(client.GET('/api/v1/tasks', { params: { query: { state: 'running', limit: 100 } } })),
    refetchInterval: 60_000,
  })
  const tasks = data?.items ?? []
  if (tasks.length === 0) return null
  return (
    <section className="card full">
      <h2>
        <Link to="/tasks">{t('runningNow')}</Link>
      </h2>
      <ul className="running">
        {tasks.slice(0, shown).map((task) => {
          const done = task.succeeded + task.partial + task.failed + task.cancelled
          return (
            <li key={task.id} className="row">
              <Link to="/tasks/$id" params={{ id: String(task.id) }} className="clip">
                {task.title}
              </Link>
              <progress className="grow" max={Math.max(task.total, 1)} value={task.total > 0 ? done : undefined} aria-label={task.title} />
              {task.total > 0 && <span className="number">{t('doneOf', { done: number(done), total: number(task.total) })}</span>}
              {task.failed > 0 && <span className="tag failed">✕ {t('nFailed', { count: task.failed })}</span>}
              {task.waiting > 0 && <span className="tag">⋯ {t('nWaiting', { count: task.waiting })}</span>}
              {task.remaining !== undefined && <span className="muted">{t('remaining', { time: duration(task.remaining) })}</span>}
            </li>
          )
        })}
      </ul>
      {tasks.length > shown && <Link to="/tasks">{t('moreTasks', { count: tasks.length - shown })}</Link>}
    </section>
  )
}
