// Stopping a task, and doing again what failed of it.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { App, Button } from 'antd'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { RedoOutlined, StopOutlined } from '../parts/icons'
import { useSentence } from '../parts/problem'
import { useMay } from '../session'
import { isOver } from './live'
import { useTitle } from './title'

type Task = Schemas['Task']

/** What can be done with a task; in a row of a list as icons. */
export function TaskActions({ task, small }: { task: Task; small?: boolean }) {
  const { t } = useTranslation('tasks')
  const title = useTitle()
  const { message } = App.useApp()
  const sentence = useSentence()
  const queries = useQueryClient()
  const navigate = useNavigate()
  const may = useMay('operator')
  const onError = (error: unknown) => void message.error(t('failed', { ns: 'common', reason: sentence(error) }), 8)
  const path = { params: { path: { id: task.id } } }
  const stop = useMutation({
    mutationFn: () => ok(client.POST('/api/v1/tasks/{id}/stop', path)),
    onSuccess: (stopped) => {
      queries.setQueryData(['task', task.id], stopped)
      void queries.invalidateQueries()
      void message.success(isOver(stopped) ? t('stopped') : t('stopping'))
    },
    onError,
  })
  const retry = useMutation({
    mutationFn: () => ok(client.POST('/api/v1/tasks/{id}/retry', path)),
    onSuccess: (again) => {
      void queries.invalidateQueries()
      void message.success(t('retried'))
      void navigate({ to: '/tasks/$id', params: { id: String(again.id) } })
    },
    onError,
  })
  if (!may) return null
  const look = (named: string, plain: string) => (small ? { size: 'small' as const, type: 'text' as const, 'aria-label': named, title: plain } : { children: plain })
  const again = isOver(task) && (task.kind === 'scan' || task.kind === 'sync') && task.failed + task.partial + task.cancelled > 0
  return (
    <>
      {!isOver(task) && (
        <Button icon={<StopOutlined />} disabled={task.stopping} loading={stop.isPending} onClick={() => stop.mutate()} {...look(t('stopNamed', { name: title(task) }), t('stop'))} />
      )}
      {again && <Button icon={<RedoOutlined />} loading={retry.isPending} onClick={() => retry.mutate()} {...look(t('retryNamed', { name: title(task) }), t('retryFailed'))} />}
    </>
  )
}
