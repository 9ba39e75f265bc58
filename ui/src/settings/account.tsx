// The signed-in user's own account.
import { useMutation } from '@tanstack/react-query'
import { App, Button, Form, Input, Radio } from 'antd'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { choose, type Language } from '../i18n'
import { Head } from '../parts/head'
import { Refused } from '../parts/refused'
import { useWord } from '../parts/tags'
import { remember, usePreference } from '../preferences'
import { useMe } from '../session'
import { Labels } from './labels'

export function Account() {
  const { t } = useTranslation('settings')
  const word = useWord()
  const me = useMe()
  return (
    <>
      <Head title={t('section.account')} />
      <div className="stack">
        <section className="card" aria-labelledby="who">
          <h2 id="who">{t('whoYouAre')}</h2>
          <dl className="facts">
            <dt>{t('name')}</dt>
            <dd>{me?.name}</dd>
            <dt>{t('role')}</dt>
            <dd>{me && word('role', me.role)}</dd>
            <dt>{t('sees')}</dt>
            <dd>
              <Labels labels={me?.labels} />
            </dd>
          </dl>
        </section>
        <section className="card" aria-labelledby="looks">
          <h2 id="looks">{t('looks')}</h2>
          <Looks />
        </section>
        <section className="card" aria-labelledby="password">
          <h2 id="password">{t('changePassword')}</h2>
          <Password name={me?.name} />
        </section>
      </div>
    </>
  )
}

function Looks() {
  const { t, i18n } = useTranslation('settings')
  const theme = usePreference('theme') || 'system'
  return (
    <div className="stack">
      <Radio.Group aria-label={t('language', { ns: 'common' })} value={i18n.language} onChange={(event) => choose(event.target.value as Language)}>
        <Radio value="en">
          <span lang="en">English</span>
        </Radio>
        <Radio value="zh">
          <span lang="zh-CN">中文</span>
        </Radio>
      </Radio.Group>
      <Radio.Group
        aria-label={t('theme', { ns: 'common' })}
        value={theme}
        onChange={(event) => remember('theme', event.target.value === 'system' ? '' : String(event.target.value))}
        options={(['light', 'dark', 'system'] as const).map((value) => ({ value, label: t(`theme.${value}`, { ns: 'common' }) }))}
      />
      <span className="muted">{t('looksHint')}</span>
    </div>
  )
}

type Passwords = Schemas['PasswordChange'] & { repeat: string }

function Password({ name }: { name?: string }) {
  const { t } = useTranslation('settings')
  const { message } = App.useApp()
  const [form] = Form.useForm<Passwords>()
  const required = { required: true, message: t('required', { ns: 'common' }) }
  const change = useMutation({
    mutationFn: (body: Schemas['PasswordChange']) => ok(client.POST('/api/v1/me/password', { body })),
    onSuccess: () => {
      form.resetFields()
      void message.success(t('passwordChanged'))
    },
  })
  return (
    <Form form={form} layout="vertical" requiredMark={false} style={{ maxWidth: 360 }} onFinish={(values) => change.mutate({ old: values.old, new: values.new })}>
      <Refused error={change.error} form={form} />
      {/* Password managers keep what belongs together. */}
      <input className="visually-hidden" type="text" autoComplete="username" aria-hidden="true" tabIndex={-1} readOnly value={name ?? ''} />
      <Form.Item name="old" label={t('oldPassword')} rules={[required]}>
        <Input.Password autoComplete="current-password" maxLength={200} />
      </Form.Item>
      <Form.Item name="new" label={t('newPassword')} extra={t('passwordHint')} rules={[required, { min: 12, message: t('passwordHint') }]}>
        <Input.Password autoComplete="new-password" maxLength={200} />
      </Form.Item>
      <Form.Item
        name="repeat"
        label={t('repeatPassword')}
        dependencies={['new']}
        rules={[required, ({ getFieldValue }) => ({ validator: (_, value) => (value === getFieldValue('new') ? Promise.resolve() : Promise.reject(new Error(t('passwordsDiffer')))) })]}
      >
        <Input.Password autoComplete="new-password" maxLength={200} />
      </Form.Item>
      <p className="muted">{t('passwordEnds')}</p>
      <Button type="primary" htmlType="submit" loading={change.isPending}>
        {t('changePassword')}
      </Button>
    </Form>
  )
}
