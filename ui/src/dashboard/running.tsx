import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import { client, ok } from '../api'
import { useDuration } from '../parts/time'
import { Progress } from '../tasks/progress'
import { useTitle } from '../tasks/title'

const shown = 3

/** What is being done right now; nothing when nothing is. */
export function Running() {
  const { t } = useTranslation('dashboard')
  const title = useTitle()
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
      <ul className="going">
        {tasks.slice(0, shown).map((task) => (
          <li key={task.id} className="row">
            <Link to="/tasks/$id" params={{ id: String(task.id) }} className="clip" title={title(task)}>
              {title(task)}
            </Link>
            <span className="row" style={{ flex: 'none' }}>
              <Progress task={task} />
              {task.remaining !== undefined && <span className="muted">{t('remaining', { time: duration(task.remaining) })}</span>}
            </span>
          </li>
        ))}
      </ul>
      {tasks.length > shown && <Link to="/tasks">{t('moreTasks', { count: tasks.length - shown })}</Link>}
    </section>
  )
}
