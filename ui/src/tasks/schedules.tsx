// Scans that start by themselves.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { App, Button, Popconfirm, Switch, Table } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { DeleteOutlined, EditOutlined, PlusOutlined } from '../parts/icons'
import { Empty, Loaded, useSentence } from '../parts/problem'
import { Time } from '../parts/time'
import { useMay } from '../session'
import { ScheduleForm, written } from './schedule-form'
import { useSelectionWords } from './selection'
import { useRhythm } from './times'

type Schedule = Schemas['Schedule']

export function Schedules() {
  const { t } = useTranslation('tasks')
  const rhythm = useRhythm()
  const selected = useSelectionWords()
  const may = useMay('operator')
  const [edited, setEdited] = useState<Schedule | 'new'>()
  const schedules = useQuery({ queryKey: ['tasks', 'schedules'], queryFn: () => ok(client.GET('/api/v1/schedules')) })
  const add = may && (
    <Button type="primary" icon={<PlusOutlined />} onClick={() => setEdited('new')}>
      {t('addSchedule')}
    </Button>
  )
  return (
    <>
      <div className="toolbar">
        <div className="end">{add}</div>
      </div>
      <Loaded of={schedules}>
        {({ items }) => (
          <div className="list">
            <Table<Schedule>
              aria-label={t('schedules')}
              size="small"
              pagination={false}
              scroll={{ x: 'max-content' }}
              rowKey={(schedule) => schedule.id ?? 0}
              dataSource={items ?? []}
              locale={{ emptyText: <Empty title={t('noSchedules')} hint={t('noSchedulesHint')} /> }}
              columns={[
                {
                  key: 'name',
                  title: t('name'),
                  render: (_, s) => (
                    <span className="clip" style={{ maxWidth: 300 }} title={s.name}>
                      {s.name}
                    </span>
                  ),
                },
                { key: 'enabled', title: t('enabled'), render: (_, s) => <Enabled schedule={s} may={may} /> },
                {
                  key: 'when',
                  title: t('when'),
                  render: (_, s) => (s.trigger === 'cron' ? <span title={s.cron}>{rhythm(s.cron ?? '')}</span> : t(`trigger.${s.trigger}`)),
                },
                {
                  key: 'what',
                  title: t('what'),
                  render: (_, s) => (
                    <span className="row" style={{ flexWrap: 'nowrap' }}>
                      <span className="clip" style={{ maxWidth: 320 }} title={selected(s.selection)}>
                        {selected(s.selection)}
                      </span>
                      {s.changed && (
                        <span className="tag" title={t('changed')}>
                          {t('changedShort')}
                        </span>
                      )}
                    </span>
                  ),
                },
                {
                  key: 'next',
                  title: t('nextRun'),
                  render: (_, s) => (!s.enabled ? <span className="muted">{t('off')}</span> : s.trigger === 'cron' ? <Time at={s.nextRun} /> : <span className="muted">{t('onEvent')}</span>),
                },
                { key: 'last', title: t('lastRun'), render: (_, s) => <Time at={s.lastRun} absent={s.trigger === 'cron' ? t('never', { ns: 'common' }) : undefined} /> },
                {
                  key: 'task',
                  title: t('lastTask'),
                  render: (_, s) =>
                    s.lastTask ? (
                      <Link to="/tasks/$id" params={{ id: String(s.lastTask) }}>
                        #{s.lastTask}
                      </Link>
                    ) : (
                      <span className="muted">–</span>
                    ),
                },
                { key: 'by', title: t('createdBy'), render: (_, s) => <span title={s.createdBy && t('scheduleBy', { name: s.createdBy })}>{s.createdBy ?? '–'}</span> },
                ...(may
                  ? [
                      {
                        key: 'actions',
                        title: t('actions'),
                        render: (_: unknown, s: Schedule) => (
                          <span className="row" style={{ flexWrap: 'nowrap' }}>
                            <Button size="small" type="text" icon={<EditOutlined />} aria-label={t('editNamed', { name: s.name })} title={t('edit', { ns: 'common' })} onClick={() => setEdited(s)} />
                            <Remove schedule={s} />
                          </span>
                        ),
                      },
                    ]
                  : []),
              ]}
            />
          </div>
        )}
      </Loaded>
      {edited && <ScheduleForm schedule={edited === 'new' ? undefined : edited} close={() => setEdited(undefined)} />}
    </>
  )
}

/** What follows a change of a schedule: the list is asked for anew, or why not is said. */
function useChange() {
  const { t } = useTranslation('tasks')
  const { message } = App.useApp()
  const sentence = useSentence()
  const queries = useQueryClient()
  return {
    onSettled: () => queries.invalidateQueries({ queryKey: ['tasks', 'schedules'] }),
    onError: (error: unknown) => void message.error(t('failed', { ns: 'common', reason: sentence(error) }), 8),
  }
}

function Enabled({ schedule, may }: { schedule: Schedule; may: boolean }) {
  const { t } = useTranslation('tasks')
  const put = useMutation({
    mutationFn: (enabled: boolean) => ok(client.PUT('/api/v1/schedules/{id}', { params: { path: { id: schedule.id ?? 0 } }, body: { ...written(schedule), enabled } })),
    ...useChange(),
  })
  return <Switch size="small" aria-label={t('enabledNamed', { name: schedule.name })} disabled={!may} loading={put.isPending} checked={schedule.enabled} onChange={(enabled) => put.mutate(enabled)} />
}

function Remove({ schedule }: { schedule: Schedule }) {
  const { t } = useTranslation('tasks')
  const remove = useMutation({
    mutationFn: () => ok(client.DELETE('/api/v1/schedules/{id}', { params: { path: { id: schedule.id ?? 0 } } })),
    ...useChange(),
  })
  return (
    <Popconfirm title={t('removeSchedule')} description={t('removeScheduleHint')} okText={t('delete', { ns: 'common' })} onConfirm={() => remove.mutate()}>
      <Button size="small" type="text" danger icon={<DeleteOutlined />} loading={remove.isPending} aria-label={t('removeNamed', { name: schedule.name })} title={t('delete', { ns: 'common' })} />
    </Popconfirm>
  )
}
