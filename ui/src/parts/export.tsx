// Taking a list away as a file. The console makes it in the background.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { App, Button, Dropdown } from 'antd'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { useMay } from '../session'
import { DownloadOutlined } from './icons'
import { useSentence } from './problem'

type Request = Schemas['ExportRequest']

const formats: Record<Request['kind'], Request['format'][]> = {
  findings: ['csv', 'xlsx', 'json', 'html'],
  vulnerabilities: ['csv', 'xlsx', 'json', 'html'],
  images: ['csv', 'xlsx', 'json', 'html'],
  software: ['csv', 'xlsx', 'json', 'html'],
  decisions: ['csv', 'xlsx', 'json', 'html'],
  report: ['html', 'json', 'csv', 'cyclonedx', 'spdx'],
  vex: ['openvex', 'cyclonedx'],
}

const names: Record<Request['format'], string> = { csv: 'CSV', xlsx: 'Excel (XLSX)', json: 'JSON', html: 'HTML', cyclonedx: 'CycloneDX', spdx: 'SPDX', openvex: 'OpenVEX' }

const patience = 10 * 60_000 // ms; a longer one is found under tasks

/** A menu of formats; the file comes as soon as it is made. */
export function ExportButton({ request, label, small }: { request: Omit<Request, 'format'>; label?: string; small?: boolean }) {
  const { t } = useTranslation()
  const { message } = App.useApp()
  const sentence = useSentence()
  const queries = useQueryClient()
  const may = useMay('operator')
  const make = useMutation({
    mutationFn: async (format: Request['format']) => {
      let made = await ok(client.POST('/api/v1/exports', { body: { ...request, format } }))
      const end = Date.now() + patience
      for (let wait = 200; made.state === 'queued' || made.state === 'running'; wait = Math.min(wait * 1.5, 3000)) {
        if (Date.now() > end) throw new Error(t('exportLong'))
        await new Promise((resolve) => setTimeout(resolve, wait))
        made = await ok(client.GET('/api/v1/exports/{id}', { params: { path: { id: made.id } } }))
      }
      if (made.state !== 'succeeded') throw new Error(made.detail ?? made.state)
      return made
    },
    onSuccess: (made) => {
      void queries.invalidateQueries({ queryKey: ['exports'] })
      const link = document.createElement('a')
      link.href = `/api/v1/exports/${made.id}/content`
      link.download = ''
      link.click()
      void message.success(t('exportMade', { count: made.rows }))
    },
    onError: (error) => void message.error(t('failed', { reason: sentence(error) }), 8),
  })
  if (!may) return null
  return (
    <Dropdown trigger={['click']} autoFocus disabled={make.isPending} menu={{ items: formats[request.kind].map((f) => ({ key: f, label: names[f] })), onClick: ({ key }) => make.mutate(key as Request['format']) }}>
      <Button size={small ? 'small' : undefined} icon={<DownloadOutlined />} loading={make.isPending}>
        {label ?? t('export')}
      </Button>
    </Dropdown>
  )
}
