// What lets programs in.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Alert, App, Button, Form, Input, Modal, Popconfirm, Select, Table } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { Command } from '../parts/copy'
import { Head } from '../parts/head'
import { PlusOutlined, StopOutlined } from '../parts/icons'
import { Empty, Loaded, useSentence } from '../parts/problem'
import { Refused } from '../parts/refused'
import { useWord } from '../parts/tags'
import { Time } from '../parts/time'
import { useMe } from '../session'
import { Labels, LabelsItem } from './labels'

type Token = Schemas['APIToken']

const tokensKey = ['tokens']

export function Tokens() {
  const { t } = useTranslation('settings')
  const word = useWord()
  const [making, setMaking] = useState(false)
  const tokens = useQuery({ queryKey: tokensKey, queryFn: () => ok(client.GET('/api/v1/tokens')) })
  return (
    <>
      <Head title={t('section.tokens')}>
        <Button type="primary" icon={<PlusOutlined />} onClick={() => setMaking(true)}>
          {t('addToken')}
        </Button>
      </Head>
      <Loaded of={tokens}>
        {({ items }) => (
          <div className="list">
            <Table<Token>
              aria-label={t('section.tokens')}
              size="small"
              pagination={false}
              scroll={{ x: 'max-content' }}
              rowKey="id"
              dataSource={items ?? []}
              locale={{ emptyText: <Empty title={t('noTokens')} hint={t('noTokensHint')} /> }}
              columns={[
                {
                  key: 'name',
                  title: t('name'),
                  render: (_, token) => (
                    <span className="clip" style={{ maxWidth: 240 }} title={token.name}>
                      {token.name}
                    </span>
                  ),
                },
                { key: 'state', title: t('state'), render: (_, token) => <State token={token} /> },
                { key: 'prefix', title: t('prefix'), render: (_, token) => <span className="mono">{token.prefix}…</span> },
                { key: 'user', title: t('user'), render: (_, token) => token.user },
                { key: 'role', title: t('role'), render: (_, token) => word('role', token.role) },
                { key: 'labels', title: t('sees'), render: (_, token) => <Labels labels={token.labels} /> },
                { key: 'expires', title: t('expires'), render: (_, token) => <Time at={token.expires} absent={t('never', { ns: 'common' })} /> },
                { key: 'lastUsed', title: t('lastUsed'), render: (_, token) => <Time at={token.lastUsed} absent={t('never', { ns: 'common' })} /> },
                { key: 'created', title: t('made'), render: (_, token) => <Time at={token.created} /> },
                { key: 'actions', title: t('actions'), render: (_, token) => !token.revoked && <End token={token} /> },
              ]}
            />
          </div>
        )}
      </Loaded>
      {making && <TokenForm close={() => setMaking(false)} />}
    </>
  )
}

function State({ token }: { token: Token }) {
  const { t } = useTranslation('settings')
  const [now] = useState(Date.now)
  if (token.revoked) return <span className="tag revoked">✕ {t('tokenEnded')}</span>
  if (token.expires && Date.parse(token.expires) <= now) return <span className="tag late">◐ {t('tokenExpired')}</span>
  return <span className="tag safe">✓ {t('tokenActive')}</span>
}

function End({ token }: { token: Token }) {
  const { t } = useTranslation('settings')
  const { message } = App.useApp()
  const sentence = useSentence()
  const queries = useQueryClient()
  const end = useMutation({
    mutationFn: () => ok(client.DELETE('/api/v1/tokens/{id}', { params: { path: { id: token.id } } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: tokensKey }),
    onError: (error) => void message.error(t('failed', { ns: 'common', reason: sentence(error) }), 8),
  })
  return (
    <Popconfirm title={t('endToken')} description={t('endTokenHint')} okText={t('end')} onConfirm={() => end.mutate()}>
      <Button size="small" type="text" danger icon={<StopOutlined />} loading={end.isPending} aria-label={t('endNamed', { name: token.name })} title={t('end')} />
    </Popconfirm>
  )
}

const ranks = ['viewer', 'operator', 'admin'] as const
const lives = [7, 30, 90, 365, 0] // days; 0: without end

interface Values {
  name: string
  role: (typeof ranks)[number]
  labels?: string[]
  days: number
}

/** Makes a token, then shows it: never again afterwards. */
function TokenForm({ close }: { close: () => void }) {
  const { t } = useTranslation('settings')
  const word = useWord()
  const me = useMe()
  const queries = useQueryClient()
  const [form] = Form.useForm<Values>()
  const make = useMutation({
    mutationFn: ({ name, role, labels, days }: Values) =>
      ok(client.POST('/api/v1/tokens', { body: { name, role, labels: labels ?? [], expires: days > 0 ? new Date(Date.now() + days * 86_400_000).toISOString() : undefined } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: tokensKey }),
  })
  const role = Form.useWatch('role', form) ?? 'viewer'
  const own = ranks.findIndex((role) => role === me?.role)
  if (make.data) {
    return (
      <Modal open title={t('tokenMade')} onCancel={close} mask={{ closable: false }} footer={<Button onClick={close}>{t('close', { ns: 'common' })}</Button>}>
        <div className="stack">
          <Alert type="warning" showIcon title={t('tokenOnce')} />
          <Command text={make.data.secret} label={t('token')} />
          <span className="muted">{t('tokenUse')}</span>
          <Command text={`curl -H "Authorization: Bearer $TOKEN" ${location.origin}/api/v1/images`} label={t('example')} />
        </div>
      </Modal>
    )
  }
  return (
    <Modal open title={t('addToken')} onCancel={close} okText={t('makeToken')} okButtonProps={{ loading: make.isPending }} onOk={() => form.submit()}>
      <Form form={form} layout="vertical" requiredMark={false} initialValues={{ role: 'viewer', labels: me?.labels ?? [], days: 90 }} onFinish={(values) => make.mutate(values)}>
        <Refused error={make.error} form={form} />
        <Form.Item name="name" label={t('name')} extra={t('tokenNameHint')} rules={[{ required: true, whitespace: true, message: t('required', { ns: 'common' }) }]}>
          <Input autoFocus maxLength={100} />
        </Form.Item>
        <Form.Item name="role" label={t('role')} extra={t(`roleSays.${role}`)}>
          <Select options={ranks.slice(0, own + 1).map((value) => ({ value, label: word('role', value) }))} />
        </Form.Item>
        <LabelsItem />
        <Form.Item name="days" label={t('expires')}>
          <Select options={lives.map((days) => ({ value: days, label: days > 0 ? t('inDays', { count: days }) : t('never', { ns: 'common' }) }))} />
        </Form.Item>
      </Form>
    </Modal>
  )
}
