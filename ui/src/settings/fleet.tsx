// Settings that hold for the whole fleet.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useBlocker } from '@tanstack/react-router'
import { App, Button, Form, Input, InputNumber } from 'antd'
import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok } from '../api'
import { Head } from '../parts/head'
import { Loaded } from '../parts/problem'
import { Refused } from '../parts/refused'
import { useNumber } from '../parts/time'
import { useMayAll } from '../session'
import { fields, type Field, type Name, type Settings } from './fields'

type Group = keyof typeof fields

const settingsQuery = { queryKey: ['settings'], queryFn: () => ok(client.GET('/api/v1/settings')) }

export function Fleet({ group }: { group: Group }) {
  const { t } = useTranslation('settings')
  return (
    <>
      <Head title={t(`section.${group}`)} />
      <section className="card" aria-label={t(`section.${group}`)}>
        <p className="muted" style={{ marginTop: 0 }}>
          {t(`about.${group as 'scanning' | 'retention'}`)}
        </p>
        <FleetForm group={group} />
      </section>
    </>
  )
}

export function FleetForm({ group }: { group: Group }) {
  const settings = useQuery(settingsQuery)
  return <Loaded of={settings}>{(data) => <Fields group={group} settings={data} />}</Loaded>
}

function Fields({ group, settings }: { group: Group; settings: Settings }) {
  const { t } = useTranslation('settings')
  const { message } = App.useApp()
  const queries = useQueryClient()
  const may = useMayAll()
  const [form] = Form.useForm<Settings>()
  const [before, setBefore] = useState<Settings>() // what stood there before the first change; nothing is changed without it
  const changed = before !== undefined
  useEffect(() => {
    if (!changed) form.setFieldsValue(settings) // somebody else's changes
  }, [changed, form, settings])
  useBlocker({ shouldBlockFn: () => !window.confirm(t('leaveUnsaved', { ns: 'common' })), disabled: !changed, enableBeforeUnload: () => changed })
  const save = useMutation({
    // What others have changed meanwhile, on this page too, and what it does not show stays.
    mutationFn: async (values: Partial<Settings>) => {
      const own = Object.fromEntries(Object.entries(values).filter(([name, value]) => value !== before?.[name as Name]))
      return ok(client.PUT('/api/v1/settings', { body: { ...(await settingsQuery.queryFn()), ...own } }))
    },
    onSuccess: (kept) => {
      queries.setQueryData(settingsQuery.queryKey, kept)
      setBefore(undefined)
      void message.success(t('saved', { ns: 'common' }))
    },
  })
  return (
    <Form form={form} layout="vertical" requiredMark={false} disabled={!may} initialValues={settings} onValuesChange={() => setBefore(before ?? settings)} onFinish={(values) => save.mutate(values)}>
      <Refused error={save.error} form={form} />
      <div className="form-grid">
        {fields[group].map((field) => (
          <Setting key={field.name} field={field} />
        ))}
      </div>
      {may ? (
        <Button type="primary" htmlType="submit" disabled={!changed} loading={save.isPending}>
          {t('save', { ns: 'common' })}
        </Button>
      ) : (
        <span className="muted">{t('adminsChange')}</span>
      )}
    </Form>
  )
}

const clock = '([01]\\d|2[0-3]):[0-5]\\d'

function Setting({ field }: { field: Field }) {
  const { t } = useTranslation('settings')
  const number = useNumber()
  const required = { required: true, message: t('required', { ns: 'common' }) }
  if ('text' in field) {
    return (
      <Form.Item name={field.name} label={t(`field.${field.name}`)} extra={<Hint name={field.name} />} rules={[{ pattern: new RegExp(`^(${clock}-${clock})?$`), message: t('windowShape') }]}>
        <Input style={{ width: 200 }} maxLength={100} placeholder={t('always')} />
      </Form.Item>
    )
  }
  const bounds = t('bounds', { min: number(field.min), max: number(field.max) })
  return (
    <Form.Item
      name={field.name}
      label={t(`field.${field.name}`)}
      extra={<Hint name={field.name} bounds={bounds} />}
      rules={[required, { type: 'integer', min: field.min, max: field.max, message: t('outside', { bounds }) }]}
    >
      <InputNumber style={{ width: 200 }} suffix={t(`unit.${field.unit}`)} />
    </Form.Item>
  )
}

function Hint({ name, bounds }: { name: Name; bounds?: string }) {
  const { t } = useTranslation('settings')
  return (
    <>
      {t(`hint.${name}`)} {bounds}
      {name === 'window' && <Here />}
    </>
  )
}

/** The hours in which scans start as clocks show them here. */
function Here() {
  const { t, i18n } = useTranslation('settings')
  const window: unknown = Form.useWatch('window')
  if (typeof window !== 'string' || !new RegExp(`^${clock}-${clock}$`).test(window)) return null
  const local = (time: string) => {
    const at = new Date()
    at.setUTCHours(Number(time.slice(0, 2)), Number(time.slice(3)), 0)
    return new Intl.DateTimeFormat(i18n.language, { timeStyle: 'short' }).format(at)
  }
  const [from = '', to = ''] = window.split('-')
  return <> {t('windowHere', { from: local(from), to: local(to) })}</>
}
