// Letting hosts join: a token, the command that takes it, and the wait for the first contact.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Alert, App, Button, Drawer, Input, InputNumber, Popconfirm, Select, Spin, Table } from 'antd'
import { useState, type FormEvent } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { Command } from '../parts/copy'
import { StopOutlined } from '../parts/icons'
import { Loaded, useSentence } from '../parts/problem'
import { Tag } from '../parts/tags'
import { Time, useDuration, useNumber } from '../parts/time'
import { Labels, parseLabels } from './labels'

type Token = Schemas['EnrolmentToken']

const lives = [3_600, 86_400, 604_800, 2_592_000] // seconds
const loopback = /https:\/\/(localhost|127\.|\[::1\])/ // of the console, in a command
const soon = 2_000 // ms between two looks for a new host

export function AddHost({ open, close }: { open: boolean; close: () => void }) {
  const { t } = useTranslation('hosts')
  return (
    <Drawer open={open} onClose={close} title={t('addHost')} size={720} destroyOnHidden>
      <Adding />
    </Drawer>
  )
}

function Adding() {
  const { t } = useTranslation('hosts')
  const [made, setMade] = useState<Schemas['NewSecret']>()
  const tokens = useQuery({
    queryKey: ['enrolment-tokens'],
    queryFn: () => ok(client.GET('/api/v1/enrolment-tokens')),
    refetchInterval: made ? soon : 30_000,
  })
  const token = tokens.data?.items?.find((one) => one.id === made?.id)
  return (
    <div className="stack">
      {made ? <Join made={made} token={token} again={() => setMade(undefined)} /> : <Make made={setMade} />}
      <h2 className="part">{t('tokens')}</h2>
      <Loaded of={tokens}>{(data) => <Tokens tokens={data.items ?? []} />}</Loaded>
    </div>
  )
}

function Make({ made }: { made: (secret: Schemas['NewSecret']) => void }) {
  const { t } = useTranslation('hosts')
  const duration = useDuration()
  const sentence = useSentence()
  const queries = useQueryClient()
  const [uses, setUses] = useState<number | null>(1)
  const [life, setLife] = useState(lives[0])
  const [labels, setLabels] = useState('')
  const [wrong, setWrong] = useState(false)
  const make = useMutation({
    mutationFn: (body: Schemas['EnrolmentTokenRequest']) => ok(client.POST('/api/v1/enrolment-tokens', { body })),
    onSuccess: async (secret) => {
      await queries.invalidateQueries({ queryKey: ['enrolment-tokens'] })
      made(secret)
    },
  })
  const submit = (event: FormEvent) => {
    event.preventDefault()
    const parsed = parseLabels(labels)
    setWrong(!parsed)
    if (parsed) make.mutate({ uses: uses ?? 1, ttl: life, labels: parsed })
  }
  return (
    <form className="stack ask" onSubmit={submit}>
      <p className="muted">{t('addHint')}</p>
      <div className="row">
        <label>
          {t('uses')}
          <InputNumber style={{ width: 110 }} min={1} max={10_000} precision={0} required value={uses} onChange={setUses} />
        </label>
        <label>
          {t('life')}
          <Select style={{ width: 130 }} aria-label={t('life')} value={life} onChange={setLife} options={lives.map((value) => ({ value, label: duration(value) }))} />
        </label>
        <label className="grow">
          {t('labelsGiven')}
          <Input maxLength={20_000} placeholder="env=prod, team=web" value={labels} onChange={(event) => setLabels(event.target.value)} />
        </label>
        <Button type="primary" htmlType="submit" loading={make.isPending}>
          {t('makeToken')}
        </Button>
      </div>
      {(wrong || make.error) && <Alert type="error" showIcon role="alert" title={wrong ? t('labelsWrong') : sentence(make.error)} />}
    </form>
  )
}

/** The command for a new host, and who has used it. */
function Join({ made, token, again }: { made: Schemas['NewSecret']; token: Token | undefined; again: () => void }) {
  const { t } = useTranslation('hosts')
  const number = useNumber()
  const joined = useJoined(token)
  const used = token ? token.total - token.uses : 0
  const heard = joined.filter((host) => host.state !== 'never').length
  const complete = token !== undefined && heard >= token.total
  return (
    <div className="stack">
      <ol className="points">
        <li>{t('step1')}</li>
        <li>
          {t('step2')}
          <Command text={made.command ?? made.secret} label={t('command')} />
        </li>
        <li>
          {t('step3')}
          <Command text="plimsoll agent" label={t('commandAgent')} />
        </li>
      </ol>
      {loopback.test(made.command ?? '') && <Alert type="warning" showIcon title={t('loopbackTitle')} description={t('loopbackHint')} />}
      <Alert type="warning" showIcon title={t('shownOnce')} />
      <section className="card" aria-label={t('joined')}>
        <div role="status" className="row">
          {!complete && <Spin size="small" />}
          <strong>
            {complete
              ? t('allJoined', { count: token.total })
              : used > heard
                ? t('waitingForAgent')
                : used > 0 && token
                  ? t('someJoined', { n: number(used), total: number(token.total) })
                  : t('waiting')}
          </strong>
        </div>
        {joined.length > 0 && (
          <ul className="plain-list">
            {joined.map((host) => (
              <li key={host.id} className="row">
                <Tag group="agent" value={host.state} />
                <Link to="/hosts/$id" params={{ id: String(host.id) }} className="clip" style={{ maxWidth: 400 }}>
                  {host.name}
                </Link>
                <span className="muted">{t('nImages', { ns: 'common', count: host.images })}</span>
              </li>
            ))}
          </ul>
        )}
      </section>
      <div className="row">
        <Button onClick={again}>{t('another')}</Button>
      </div>
    </div>
  )
}

/** Hosts that have joined since a token was made, with its labels. */
function useJoined(token: Token | undefined): Schemas['Host'][] {
  const { data } = useQuery({
    queryKey: ['hosts', 'joined', token?.id],
    enabled: token !== undefined && token.uses < token.total,
    refetchInterval: soon,
    queryFn: async ({ signal }) => {
      // Those whose agent was never heard of come last in the order of contact.
      const [heard, silent] = await Promise.all([
        ok(client.GET('/api/v1/hosts', { params: { query: { sort: 'lastSeen', limit: 200 } }, signal })),
        ok(client.GET('/api/v1/hosts', { params: { query: { state: 'never', limit: 200 } }, signal })),
      ])
      return [...(silent.items ?? []), ...(heard.items ?? []).filter((host) => host.state !== 'never')]
    },
  })
  if (!token || !data) return []
  const given = Object.entries(token.labels ?? {})
  return data.filter((host) => host.enrolled >= token.created && given.every(([key, value]) => host.labels[key] === value))
}

function stateOf(token: Token): 'revoked' | 'expired' | 'usedUp' | 'valid' {
  if (token.revoked) return 'revoked'
  if (new Date(token.expires).getTime() < Date.now()) return 'expired'
  return token.uses === 0 ? 'usedUp' : 'valid'
}

function Tokens({ tokens }: { tokens: Token[] }) {
  const { t } = useTranslation('hosts')
  const { message } = App.useApp()
  const sentence = useSentence()
  const number = useNumber()
  const queries = useQueryClient()
  const end = useMutation({
    mutationFn: (id: number) => ok(client.DELETE('/api/v1/enrolment-tokens/{id}', { params: { path: { id } } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['enrolment-tokens'] }),
    onError: (error) => void message.error(t('failed', { ns: 'common', reason: sentence(error) }), 8),
  })
  return (
    <Table<Token>
      aria-label={t('tokens')}
      size="small"
      rowKey="id"
      pagination={{ hideOnSinglePage: true, pageSize: 10, showSizeChanger: false }}
      scroll={{ x: 'max-content' }}
      dataSource={[...tokens].sort((a, b) => b.id - a.id)}
      locale={{ emptyText: <span className="muted">{t('noTokens')}</span> }}
      columns={[
        { key: 'state', title: t('tokenState'), render: (_, one) => <span className={`tag ${stateOf(one) === 'valid' ? 'online' : ''}`}>{t(`token.${stateOf(one)}`)}</span> },
        { key: 'joined', title: t('joined'), render: (_, one) => t('nOf', { n: number(one.total - one.uses), total: number(one.total) }) },
        { key: 'labels', title: t('labels'), render: (_, one) => <Labels labels={one.labels} /> },
        { key: 'expires', title: t('expires'), render: (_, one) => <Time at={one.expires} /> },
        {
          key: 'made',
          title: t('madeBy'),
          render: (_, one) => (
            <>
              {one.createdBy}, <Time at={one.created} />
            </>
          ),
        },
        {
          key: 'end',
          title: <span className="visually-hidden">{t('endToken')}</span>,
          render: (_, one) =>
            stateOf(one) === 'valid' && (
              <Popconfirm title={t('endToken')} description={t('endTokenHint')} okText={t('endToken')} cancelText={t('cancel', { ns: 'common' })} okButtonProps={{ danger: true }} onConfirm={() => end.mutate(one.id)}>
                <Button size="small" danger icon={<StopOutlined />}>
                  {t('endToken')}
                </Button>
              </Popconfirm>
            ),
        },
      ]}
    />
  )
}
