import { Link, useParams } from '@tanstack/react-router'
import { useQuery } from '@tanstack/react-query'
import { Alert, Tooltip } from 'antd'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { useAddress } from '../list/address'
import type { Filter } from '../list/filters'
import { List, type Column } from '../list/list'
import { Head } from '../parts/head'
import { Empty, Loaded } from '../parts/problem'
import { Reason, Tag, taskStates, useWord } from '../parts/tags'
import { Time, useBytes, useDuration, useNumber } from '../parts/time'
import { useMay } from '../session'
import { TaskActions } from './actions'
import { Download } from './exports'
import { isOver, secondsOf, useTask } from './live'
import { Progress, State } from './progress'
import { useTitle } from './title'

type Task = Schemas['Task']
type Item = Schemas['TaskItem']

export function TaskPage() {
  const { t } = useTranslation('tasks')
  const id = Number((useParams({ strict: false }) as { id?: string }).id)
  if (!Number.isSafeInteger(id) || id < 1) return <Empty title={t('notATask')} action={<Link to="/tasks">{t('backToTasks')}</Link>} />
  return <One key={id} id={id} />
}

function One({ id }: { id: number }) {
  const { t } = useTranslation('tasks')
  const title = useTitle()
  const word = useWord()
  const task = useTask(id)
  return (
    <Loaded of={task}>
      {(k) => (
        <>
          <Head
            title={title(k)}
            marks={
              <>
                <span className="tag">{word('taskKind', k.kind)}</span>
                <State task={k} />
                {task.live && (
                  <Tooltip title={t('liveHint')}>
                    <span className="tag online">● {t('live')}</span>
                  </Tooltip>
                )}
              </>
            }
          >
            <TaskActions task={k} />
          </Head>
          <div className="stack">
            <section className="card stack" aria-label={t('progress')}>
              <Progress task={k} wide />
              {(k.kind === 'scan' || k.kind === 'sync') && <ByState task={k} />}
              <Facts task={k} />
            </section>
            {k.kind === 'export' && <File task={k} />}
            {k.kind === 'database' && <Database task={k} />}
            {(k.kind === 'scan' || k.kind === 'sync') && <Items task={k} />}
          </div>
        </>
      )}
    </Loaded>
  )
}

/** How many items are in which state; each is a filter of the list below. */
function ByState({ task }: { task: Task }) {
  const { t } = useTranslation('tasks')
  const number = useNumber()
  const counts = { succeeded: task.succeeded, partial: task.partial, failed: task.failed, cancelled: task.cancelled, running: task.running, queued: task.queued }
  return (
    <div className="row" style={{ gap: 16 }}>
      {taskStates
        .filter((state) => counts[state] > 0)
        .map((state) => (
          <Link key={state} to="." search={{ state } as never} className="row" style={{ gap: 4 }}>
            <Tag group="task" value={state} /> <span className="number">{number(counts[state])}</span>
          </Link>
        ))}
      {task.waiting > 0 && (
        <span className="tag late" title={t('waitingHint')}>
          {t('waiting')} {number(task.waiting)}: {t('waitingHint')}
        </span>
      )}
    </div>
  )
}

function Facts({ task }: { task: Task }) {
  const { t } = useTranslation('tasks')
  const duration = useDuration()
  const seconds = secondsOf(task)
  const facts: [string, ReactNode][] = [
    [t('createdBy'), task.createdBy || t('bySystem')],
    [t('created'), <Time at={task.created} precise />],
    [t('started'), <Time at={task.started} precise />],
    [t('ended'), <Time at={task.ended} precise />],
    [t('duration'), seconds === undefined ? '–' : duration(seconds)],
  ]
  if (!isOver(task)) facts.push([t('remaining'), task.remaining === undefined ? <span className="muted">{t('remainingUnknown')}</span> : duration(task.remaining)])
  return (
    <dl className="across">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  )
}

/** The file that an export task makes. */
function File({ task }: { task: Task }) {
  const { t } = useTranslation('tasks')
  const may = useMay('operator')
  const number = useNumber()
  const bytes = useBytes()
  const id = task.exportID
  const file = useQuery({
    queryKey: ['exports', 'one', id, task.state],
    queryFn: () => ok(client.GET('/api/v1/exports/{id}', { params: { path: { id: id ?? 0 } } })),
    enabled: may && id !== undefined,
  })
  if (!may) return <Alert type="info" title={t('exportsOperators')} />
  if (id === undefined || file.error) return <Alert type="info" showIcon title={t('exportGone')} />
  return (
    <section className="card" aria-labelledby="file">
      <h2 id="file">{t('file')}</h2>
      <Loaded of={file}>
        {(f) => (
          <div className="stack">
            <dl className="facts">
              <dt>{t('file')}</dt>
              <dd>{f.fileName}</dd>
              <dt>{t('exportKind')}</dt>
              <dd>{t(`export.${f.kind}` as 'export.images')}</dd>
              {f.state === 'succeeded' && (
                <>
                  <dt>{t('rows')}</dt>
                  <dd>{number(f.rows)}</dd>
                  <dt>{t('size')}</dt>
                  <dd>{bytes(f.size)}</dd>
                </>
              )}
            </dl>
            {f.state === 'failed' && f.detail && <Alert type="error" showIcon title={<span className="text">{f.detail}</span>} />}
            <div>
              <Download file={f} />
            </div>
          </div>
        )}
      </Loaded>
    </section>
  )
}

/** What became of an update or import of the advisories. */
function Database({ task }: { task: Task }) {
  const { t } = useTranslation('tasks')
  return (
    <section className="card stack" aria-labelledby="result">
      <h2 id="result">{t(isOver(task) ? 'result' : 'stage')}</h2>
      {task.state === 'failed' ? (
        <Alert type="error" showIcon title={<span className="text">{task.detail}</span>} />
      ) : (
        <span className="text">{task.state === 'succeeded' ? t('databaseDone') : (task.detail ?? '–')}</span>
      )}
      <Link to="/settings/$section" params={{ section: 'database' }}>
        {t('toDatabase')}
      </Link>
    </section>
  )
}

// Their code says all: the detail beside it would say it again.
const saysAll = ['outside-window', 'host-offline', 'host-busy', 'hourly-limit', 'stopped', 'no-host']

function Items({ task }: { task: Task }) {
  const { t } = useTranslation('tasks')
  const [search, change] = useAddress()
  const word = useWord()
  const duration = useDuration()
  const sync = task.kind === 'sync'
  const host = (item: Item) =>
    item.hostID ? (
      <Link to="/hosts/$id" params={{ id: String(item.hostID) }} className="clip" style={{ maxWidth: 240 }}>
        {item.host}
      </Link>
    ) : (
      <span className="muted">–</span>
    )
  const image = (item: Item) => (
    <Link to="/images/$id" params={{ id: String(item.imageID) }} className="clip" style={{ maxWidth: 420 }} title={item.image}>
      {item.image}
    </Link>
  )
  const columns: Column<Item>[] = [
    { key: 'item', title: t(sync ? 'itemSync' : 'item'), render: sync ? host : image },
    {
      key: 'state',
      title: t('state'),
      render: (item) => (
        <span className="row" style={{ flexWrap: 'nowrap' }}>
          <Tag group="task" value={item.state} />
          {item.state === 'running' && item.progress !== undefined && <span className="number">{Math.round(100 * item.progress)}%</span>}
          {item.reused && (
            <span className="tag" title={t('reusedHint')}>
              {t('reused')}
            </span>
          )}
        </span>
      ),
    },
    {
      key: 'reason',
      title: t('reason'),
      render: (item) =>
        item.code || item.detail ? (
          <div style={{ maxWidth: 400 }}>
            <Reason code={item.code ?? ''} detail={saysAll.includes(item.code ?? '') ? undefined : item.detail} />
          </div>
        ) : (
          <span className="muted">–</span>
        ),
    },
    ...(sync ? [] : [{ key: 'host', title: t('doneBy'), render: host }]),
    { key: 'attempts', title: t('attempts'), numeric: true, render: (item) => item.attempts ?? '–' },
    { key: 'started', title: t('started'), render: (item) => <Time at={item.started} /> },
    {
      key: 'duration',
      title: t('duration'),
      numeric: true,
      render: (item) => {
        const seconds = secondsOf(item)
        return seconds === undefined ? '–' : duration(seconds)
      },
    },
  ]
  const filters: Filter[] = [{ key: 'state', label: t('state'), kind: 'one', choices: taskStates.map((value) => ({ value, label: word('task', value) })) }]
  return (
    <section aria-labelledby="items">
      <h2 id="items" className="visually-hidden">
        {t(sync ? 'itemsSync' : 'items')}
      </h2>
      <List<Item>
        id={sync ? 'sync-items' : 'scan-items'}
        label={t(sync ? 'itemsSync' : 'items')}
        path={`/api/v1/tasks/${task.id}/items`}
        search={search}
        change={change}
        columns={columns}
        filters={filters}
        rowKey={(item) => (sync ? item.hostID : item.imageID) ?? 0}
        rowName={(item) => item.image ?? item.host ?? ''}
        empty={<Empty title={t('noItems')} hint={t('noItemsHint')} />}
      />
    </section>
  )
}
