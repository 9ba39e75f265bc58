// Ending decisions: what they alone handled is open again.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { App, Alert, Button, Input, Modal } from 'antd'
import { useId, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok } from '../api'
import { UndoOutlined } from '../parts/icons'
import { Loaded, useSentence } from '../parts/problem'
import { Tag } from '../parts/tags'
import { useMay } from '../session'
import { useRuleWords } from './rule'

interface Props {
  label?: string
  /** The decisions that are meant, found out when it is asked for. */
  of: () => Promise<number[]>
  done?: () => void
  small?: boolean
}

/** Shows which decisions would end and how much they handle, then ends them. */
export function EndButton({ label, of, done, small }: Props) {
  const { t } = useTranslation('decisions')
  const may = useMay('operator')
  const [open, setOpen] = useState(false)
  const [ended, setEnded] = useState(false)
  if (!may) return null
  return (
    <>
      <Button size={small ? 'small' : undefined} icon={<UndoOutlined />} onClick={() => setOpen(true)}>
        {label ?? t('end')}
      </Button>
      <Modal
        open={open}
        title={label ?? t('end')}
        footer={null}
        width={640}
        destroyOnHidden
        onCancel={() => setOpen(false)}
        afterClose={() => {
          if (ended) done?.()
          setEnded(false)
        }}
      >
        <End
          of={of}
          close={(is) => {
            setEnded(is)
            setOpen(false)
          }}
        />
      </Modal>
    </>
  )
}

function End({ of, close }: { of: Props['of']; close: (ended: boolean) => void }) {
  const { t } = useTranslation('decisions')
  const { message } = App.useApp()
  const sentence = useSentence()
  const words = useRuleWords()
  const queries = useQueryClient()
  const field = useId()
  const [remark, setRemark] = useState('')
  const asked = useQuery({
    queryKey: ['decisions', 'ending', field],
    gcTime: 0,
    queryFn: async ({ signal }) => {
      const decisions = []
      for (const id of await of()) decisions.push(await ok(client.GET('/api/v1/decisions/{id}', { params: { path: { id } }, signal })))
      return decisions.filter((d) => d.state !== 'revoked')
    },
  })
  const end = useMutation({
    mutationFn: async () => {
      for (const d of asked.data ?? []) await ok(client.DELETE('/api/v1/decisions/{id}', { params: { path: { id: d.id ?? 0 }, query: { remark: remark.trim() || undefined } } }))
    },
    onSuccess: () => {
      void message.success(t('ended', { count: asked.data?.length ?? 0 }))
      close(true)
    },
    onError: (error) => void message.error(t('failed', { ns: 'common', reason: sentence(error) }), 8),
    onSettled: () => queries.invalidateQueries(),
  })
  return (
    <Loaded of={asked}>
      {(decisions) => (
        <form
          className="stack"
          onSubmit={(event) => {
            event.preventDefault()
            end.mutate()
          }}
        >
          {decisions.length === 0 ? (
            <Alert type="info" showIcon title={t('nothingToEnd')} />
          ) : (
            <>
              <p style={{ margin: 0 }}>{t('endSays')}</p>
              <ul className="entries" tabIndex={0} aria-label={t('decisions', { ns: 'common' })} style={{ maxHeight: 260, overflow: 'auto' }}>
                {decisions.map((d) => (
                  <li key={d.id}>
                    <div className="row">
                      <Tag group="decision" value={d.kind} />
                      <span>{t('handlesNow', { count: d.hits ?? 0 })}</span>
                      <span className="muted">{d.author}</span>
                    </div>
                    <div className="text">{words(d)}</div>
                    <div className="text muted">{d.remark}</div>
                  </li>
                ))}
              </ul>
              <label htmlFor={field}>{t('endRemark')}</label>
              <Input.TextArea id={field} rows={2} maxLength={2000} value={remark} onChange={(event) => setRemark(event.target.value)} />
            </>
          )}
          <div className="row" style={{ justifyContent: 'flex-end' }}>
            <Button onClick={() => close(false)}>{t('cancel', { ns: 'common' })}</Button>
            <Button type="primary" danger htmlType="submit" disabled={decisions.length === 0} loading={end.isPending}>
              {t('endThem', { count: decisions.length })}
            </Button>
          </div>
        </form>
      )}
    </Loaded>
  )
}
