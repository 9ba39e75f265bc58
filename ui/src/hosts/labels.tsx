// Labels of hosts: "env=prod". They say who sees a host, and which decisions hold on it.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Alert, Button, Input } from 'antd'
import { useState, type FormEvent } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { EditOutlined } from '../parts/icons'
import { useSentence } from '../parts/problem'
import { useMayAll } from '../session'

/** Each host has a label "id" besides, which nobody gives it. */
export function labelsOf(labels: Record<string, string> | undefined): string[] {
  return Object.entries(labels ?? {})
    .filter(([key]) => key !== 'id')
    .map(([key, value]) => `${key}=${value}`)
    .sort()
}

export function Labels({ labels, wrap }: { labels: Record<string, string> | undefined; wrap?: boolean }) {
  const all = labelsOf(labels)
  if (all.length === 0) return <span className="muted">–</span>
  return (
    <span className="row" style={{ flexWrap: wrap ? 'wrap' : 'nowrap' }}>
      {all.map((label) => (
        <span key={label} className="tag" title={label}>
          <span className="clip" style={{ maxWidth: 200 }}>
            {label}
          </span>
        </span>
      ))}
    </span>
  )
}

/** "env=prod, rack=7" as labels, undefined when one of them has no name or no "=". */
export function parseLabels(text: string): Record<string, string> | undefined {
  const labels: Record<string, string> = {}
  for (const part of text.split(',').map((p) => p.trim())) {
    if (part === '') continue
    const at = part.indexOf('=')
    if (at < 1) return undefined
    labels[part.slice(0, at).trim()] = part.slice(at + 1).trim()
  }
  return labels
}

/** The labels of a host, which an administrator of the whole fleet can change. */
export function LabelEditor({ host }: { host: Schemas['Host'] }) {
  const { t } = useTranslation('hosts')
  const sentence = useSentence()
  const queries = useQueryClient()
  const may = useMayAll()
  const [text, setText] = useState<string>()
  const [wrong, setWrong] = useState(false)
  const save = useMutation({
    mutationFn: (labels: Record<string, string>) => ok(client.PATCH('/api/v1/hosts/{id}', { params: { path: { id: host.id } }, body: { labels } })),
    onSuccess: () => {
      setText(undefined)
      return queries.invalidateQueries({ queryKey: ['hosts'] })
    },
  })
  if (text === undefined) {
    return (
      <div className="row">
        <Labels labels={host.labels} wrap />
        {may && (
          <Button size="small" type="text" icon={<EditOutlined />} aria-label={t('editLabels')} title={t('editLabels')} onClick={() => setText(labelsOf(host.labels).join(', '))} />
        )}
      </div>
    )
  }
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const labels = parseLabels(text)
    setWrong(!labels)
    if (labels) save.mutate(labels)
  }
  return (
    <form className="stack" onSubmit={submit}>
      <label>
        <span className="muted">{t('labelsHint')}</span>
        <Input.TextArea autoFocus rows={3} maxLength={20_000} value={text} onChange={(event) => setText(event.target.value)} />
      </label>
      {(wrong || save.error) && <Alert type="error" showIcon role="alert" title={wrong ? t('labelsWrong') : sentence(save.error)} />}
      <div className="row">
        <Button type="primary" htmlType="submit" loading={save.isPending}>
          {t('save', { ns: 'common' })}
        </Button>
        <Button
          onClick={() => {
            setText(undefined)
            setWrong(false)
            save.reset()
          }}
        >
          {t('cancel', { ns: 'common' })}
        </Button>
      </div>
    </form>
  )
}
