import { Link } from '@tanstack/react-router'
import { Tabs } from 'antd'
import { useTranslation } from 'react-i18next'

import { textOf, type Schemas, type Search } from '../api'
import { useAddress } from '../list/address'
import type { Filter } from '../list/filters'
import { List, type Column } from '../list/list'
import { Head } from '../parts/head'
import { Empty } from '../parts/problem'
import { ScanButton } from '../parts/scan'
import { taskStates, useWord } from '../parts/tags'
import { Time, useDuration } from '../parts/time'
import { useMay } from '../session'
import { TaskActions } from './actions'
import { Exports } from './exports'
import { secondsOf } from './live'
import { Progress, State } from './progress'
import { Schedules } from './schedules'
import { useTitle } from './title'

type Task = Schemas['Task']

export function Tasks() {
  const { t } = useTranslation('tasks')
  const [search, change] = useAddress()
  const operator = useMay('operator')
  const tabs = [
    { key: 'all', label: t('all'), children: <All search={search} change={change} /> },
    { key: 'schedules', label: t('schedules'), children: <Schedules /> },
    // Files are for those who may make them.
    ...(operator ? [{ key: 'exports', label: t('exports'), children: <Exports search={search} change={change} /> }] : []),
  ]
  return (
    <>
      <Head title={t('tasks', { ns: 'common' })}>
        <ScanButton request={{ all: true }} label={t('scanAll', { ns: 'images' })} />
      </Head>
      <Tabs
        items={tabs}
        activeKey={tabs.find((tab) => tab.key === textOf(search.tab))?.key ?? 'all'}
        destroyOnHidden
        // What one list is narrowed by means nothing to another.
        onChange={(tab) => change({ ...Object.fromEntries(Object.keys(search).map((key) => [key, undefined])), tab: tab === 'all' ? undefined : tab })}
      />
    </>
  )
}

function All({ search, change }: { search: Search; change: (patch: Search) => void }) {
  const { t } = useTranslation('tasks')
  const word = useWord()
  const title = useTitle()
  const duration = useDuration()
  const columns: Column<Task>[] = [
    {
      key: 'title',
      title: t('task'),
      render: (task) => (
        <Link to="/tasks/$id" params={{ id: String(task.id) }} className="clip" style={{ maxWidth: 360 }} title={title(task)}>
          {title(task)}
        </Link>
      ),
    },
    { key: 'kind', title: t('kind'), render: (task) => word('taskKind', task.kind) },
    { key: 'state', title: t('state'), render: (task) => <State task={task} /> },
    { key: 'progress', title: t('progress'), render: (task) => <Progress task={task} /> },
    {
      key: 'remaining',
      title: t('remaining'),
      numeric: true,
      render: (task) => (task.remaining === undefined ? '–' : duration(task.remaining)),
    },
    {
      key: 'createdBy',
      title: t('createdBy'),
      render: (task) => (task.createdBy ? <span className="clip" style={{ maxWidth: 160 }}>{task.createdBy}</span> : <span className="muted">{t('bySystem')}</span>),
    },
    { key: 'created', title: t('created'), sort: 'created', render: (task) => <Time at={task.created} /> },
    {
      key: 'duration',
      title: t('duration'),
      numeric: true,
      render: (task) => {
        const seconds = secondsOf(task)
        return seconds === undefined ? '–' : duration(seconds)
      },
    },
    { key: 'ended', title: t('ended'), optional: true, render: (task) => <Time at={task.ended} /> },
    { key: 'actions', title: t('actions'), render: (task) => <TaskActions task={task} small /> },
  ]
  const filters: Filter[] = [
    { key: 'kind', label: t('kind'), kind: 'one', choices: (['scan', 'sync', 'export', 'database'] as const).map((value) => ({ value, label: word('taskKind', value) })) },
    { key: 'state', label: t('state'), kind: 'one', choices: taskStates.map((value) => ({ value, label: word('task', value) })) },
    { key: 'createdBy', label: t('createdBy'), kind: 'text', hint: t('exactName') },
  ]
  return (
    <List<Task>
      id="tasks"
      label={t('all')}
      path="/api/v1/tasks"
      search={search}
      change={change}
      columns={columns}
      filters={filters}
      sort="created"
      rowKey={(task) => task.id}
      rowName={title}
      empty={<Empty title={t('noTasks')} hint={t('noTasksHint')} action={<Link to="/images">{t('images', { ns: 'common' })}</Link>} />}
    />
  )
}
