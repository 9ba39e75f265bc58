// Asking agents for their images now.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { App, Button } from 'antd'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { SyncOutlined } from '../parts/icons'
import { useSentence } from '../parts/problem'
import { useMay } from '../session'

interface Props {
  request: () => Schemas['SyncRequest'] | Promise<Schemas['SyncRequest']>
  label: string
  /** What is meant, where the label does not say it: a row of a table has but an icon. */
  name?: string
  done?: () => void
}

/** Starts a sync and says where its progress is. */
export function SyncButton({ request, label, name, done }: Props) {
  const { t } = useTranslation('hosts')
  const { message } = App.useApp()
  const sentence = useSentence()
  const queries = useQueryClient()
  const may = useMay('operator')
  const sync = useMutation({
    mutationFn: async () => ok(client.POST('/api/v1/syncs', { body: await request() })),
    onSuccess: (task) => {
      void queries.invalidateQueries({ queryKey: ['tasks'] })
      void message.success(
        <Link to="/tasks/$id" params={{ id: String(task.id) }}>
          {t('syncStarted', { count: task.total })}
        </Link>,
        6,
      )
      done?.()
    },
    onError: (error) => void message.error(t('failed', { ns: 'common', reason: sentence(error) }), 8),
  })
  if (!may) return null
  return (
    <Button
      icon={<SyncOutlined />}
      type={name === undefined ? 'default' : 'text'}
      size={name === undefined ? 'medium' : 'small'}
      title={label}
      aria-label={name === undefined ? undefined : `${label}: ${name}`}
      loading={sync.isPending}
      onClick={() => sync.mutate()}
    >
      {name === undefined && label}
    </Button>
  )
}
