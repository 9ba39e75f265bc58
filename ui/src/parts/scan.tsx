// Asking for a scan, from wherever images are shown.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { App, Button } from 'antd'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { useMay } from '../session'
import { ScanOutlined } from './icons'
import { useSentence } from './problem'

type Request = Schemas['ScanRequest']

/** Starts a scan and says where its progress is. What is meant may have to be asked for first. */
export function ScanButton({ request, label, done, primary }: { request: Request | (() => Promise<Request>); label?: string; done?: () => void; primary?: boolean }) {
  const { t } = useTranslation()
  const { message } = App.useApp()
  const sentence = useSentence()
  const queries = useQueryClient()
  const may = useMay('operator')
  const scan = useMutation({
    mutationFn: async () => ok(client.POST('/api/v1/scans', { body: typeof request === 'function' ? await request() : request })),
    onSuccess: (task) => {
      void queries.invalidateQueries()
      void message.success(
        <Link to="/tasks/$id" params={{ id: String(task.id) }}>
          {t('scanStarted', { count: task.total })}
        </Link>,
        6,
      )
      done?.()
    },
    onError: (error) => void message.error(t('failed', { reason: sentence(error) }), 8),
  })
  if (!may) return null
  return (
    <Button type={primary ? 'primary' : 'default'} icon={<ScanOutlined />} loading={scan.isPending} onClick={() => scan.mutate()}>
      {label ?? t('scan')}
    </Button>
  )
}
