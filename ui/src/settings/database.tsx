// The advisories: how old they are, where they come from, and how to get newer ones.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Alert, App, Button, Table } from 'antd'
import { useTranslation } from 'react-i18next'

import { client, list, ok, type Schemas } from '../api'
import { Digest } from '../parts/copy'
import { Head } from '../parts/head'
import { CloudDownloadOutlined } from '../parts/icons'
import { Loaded, useSentence } from '../parts/problem'
import { Time, useDuration, useNumber } from '../parts/time'
import { TaskActions } from '../tasks/actions'
import { isOver, useTask } from '../tasks/live'
import { Progress, State } from '../tasks/progress'
import { useMayAll } from '../session'
import { FleetForm } from './fleet'
import { Generations } from './generations'
import { Import } from './import'

type Database = Schemas['Database']
type Source = Schemas['DataSource']
type Task = Schemas['Task']

export function Advisories() {
  const { t } = useTranslation('settings')
  const may = useMayAll()
  const database = useQuery({ queryKey: ['database', 'state'], queryFn: () => ok(client.GET('/api/v1/database')), refetchInterval: 60_000 })
  const tasks = useQuery({ queryKey: ['tasks', 'database'], queryFn: () => list<Task>('/api/v1/tasks', { kind: 'database', limit: '1' }) })
  const last = tasks.data?.items?.[0]
  return (
    <>
      <Head title={t('section.database')}>{may && <Update running={last !== undefined && !isOver(last)} />}</Head>
      <Loaded of={database}>
        {(data) => (
          <div className="stack">
            <Warnings database={data} />
            {last && (isOver(last) ? (last.state === 'failed' || last.state === 'partial') && <Failed task={last} /> : <Running id={last.id} />)}
            <Current database={data} />
            {data.current && <Sources sources={data.current.sources ?? []} />}
            <section className="card" aria-labelledby="updates">
              <h2 id="updates">{t('updates')}</h2>
              <FleetForm group="database" />
            </section>
            {may && <Import />}
            <section aria-labelledby="history">
              <h2 id="history" style={{ fontSize: 14 }}>
                {t('generations')}
              </h2>
              <Generations />
            </section>
          </div>
        )}
      </Loaded>
    </>
  )
}

function Update({ running }: { running: boolean }) {
  const { t } = useTranslation('settings')
  const { message } = App.useApp()
  const sentence = useSentence()
  const queries = useQueryClient()
  const update = useMutation({
    mutationFn: () => ok(client.POST('/api/v1/database/update')),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['tasks'] }),
    onError: (error) => void message.error(t('failed', { ns: 'common', reason: sentence(error) }), 8),
  })
  return (
    <Button type="primary" icon={<CloudDownloadOutlined />} disabled={running} loading={update.isPending} onClick={() => update.mutate()}>
      {t('updateNow')}
    </Button>
  )
}

function Warnings({ database: { current, stale } }: { database: Database }) {
  const { t } = useTranslation('settings')
  if (!current) return <Alert type="error" showIcon title={t('noAdvisories')} description={t('noAdvisoriesHint')} />
  if (current.sample) return <Alert type="warning" showIcon title={t('sampleAdvisories')} description={t('sampleAdvisoriesHint')} />
  if (stale) return <Alert type="warning" showIcon title={t('staleAdvisories')} description={t('staleAdvisoriesHint')} />
  return null
}

/** The last try to get newer ones has failed, or brought those of some sources only. */
function Failed({ task }: { task: Task }) {
  const { t } = useTranslation('settings')
  return (
    <Alert
      type={task.state === 'failed' ? 'error' : 'warning'}
      showIcon
      title={t(task.state === 'failed' ? 'updateFailed' : 'updatePartial')}
      description={
        <div className="stack">
          <span className="text">{task.detail}</span>
          <div className="row">
            <Time at={task.ended} />
            <Link to="/tasks/$id" params={{ id: String(task.id) }}>
              {t('toTask')}
            </Link>
          </div>
        </div>
      }
    />
  )
}

function Running({ id }: { id: number }) {
  const { t } = useTranslation('settings')
  const task = useTask(id)
  return (
    <section className="card stack" aria-labelledby="running">
      <h2 id="running">{t('updateRuns')}</h2>
      <Loaded of={task}>
        {(k) => (
          <>
            <div className="row">
              <State task={k} />
              <span className="text grow">{k.detail}</span>
              <TaskActions task={k} />
            </div>
            <Progress task={k} wide />
          </>
        )}
      </Loaded>
    </section>
  )
}

function Current({ database: { current, ageSeconds, pending } }: { database: Database }) {
  const { t } = useTranslation('settings')
  const number = useNumber()
  const duration = useDuration()
  if (!current) return null
  return (
    <section className="card" aria-labelledby="current">
      <h2 id="current">{t('current')}</h2>
      <dl className="across">
        <div>
          <dt>{t('newestRecord')}</dt>
          <dd>
            <Time at={current.built} precise absent={t('unknown', { ns: 'common' })} />
          </dd>
        </div>
        <div>
          <dt>{t('age')}</dt>
          <dd>{ageSeconds === undefined ? t('unknown', { ns: 'common' }) : duration(ageSeconds)}</dd>
        </div>
        <div>
          <dt>{t('advisories')}</dt>
          <dd>{number(current.advisories)}</dd>
        </div>
        <div>
          <dt>{t('activated')}</dt>
          <dd>
            <Time at={current.activated} precise />
          </dd>
        </div>
        <div>
          <dt>{t('evaluated')}</dt>
          <dd>{pending > 0 ? t('pending', { count: pending }) : <Time at={current.evaluated} precise absent={t('notYet')} />}</dd>
        </div>
        <div>
          <dt>{t('digest')}</dt>
          <dd>
            <Digest value={current.digest} copy />
          </dd>
        </div>
      </dl>
    </section>
  )
}

function Sources({ sources }: { sources: Source[] }) {
  const { t } = useTranslation('settings')
  const number = useNumber()
  return (
    <section className="card" aria-labelledby="sources">
      <h2 id="sources">{t('sources')}</h2>
      <Table<Source>
        aria-label={t('sources')}
        size="small"
        pagination={false}
        scroll={{ x: 'max-content', y: 360 }}
        rowKey="name"
        dataSource={sources}
        columns={[
          { key: 'name', title: t('source'), render: (_, s) => s.name },
          { key: 'records', title: t('records'), align: 'right', className: 'number', render: (_, s) => number(s.records) },
          { key: 'newest', title: t('newestRecord'), render: (_, s) => <Age at={s.newest} /> },
          { key: 'fetched', title: t('fetched'), render: (_, s) => <Age at={s.fetched} /> },
        ]}
      />
    </section>
  )
}

/** A date and how long ago it was. */
function Age({ at }: { at: string | undefined }) {
  const { t } = useTranslation('settings')
  if (!at) return <span className="muted">{t('unknown', { ns: 'common' })}</span>
  return (
    <>
      <Time at={at} precise />{' '}
      <span className="muted">
        (<Time at={at} />)
      </span>
    </>
  )
}
