// The first administrator, made with the one-time link of the console's first start.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { Alert, Button, Form, Input } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok } from '../api'
import { Empty } from '../parts/problem'
import { useSentence } from '../parts/problem'
import { Frame } from './frame'

/** The token stands behind the #, so that no server and no log ever sees it, and leaves the history at once. */
function takeToken(): string {
  const token = new URLSearchParams(location.hash.slice(1)).get('token') ?? ''
  if (token !== '') history.replaceState(history.state, '', '/setup')
  return token
}

export function Setup() {
  const { t } = useTranslation('access')
  const sentence = useSentence()
  const queries = useQueryClient()
  const navigate = useNavigate()
  const [token] = useState(takeToken)
  const create = useMutation({
    mutationFn: ({ name, password }: { name: string; password: string }) => ok(client.POST('/api/v1/setup', { body: { token, name, password } })),
    onSuccess: () => {
      queries.clear()
      void navigate({ to: '/' })
    },
  })
  return (
    <Frame title={t('setupTitle')} hint={t('setupHint')}>
      {token === '' ? (
        <Empty title={t('setupNoToken')} hint={t('setupNoTokenHint')} />
      ) : (
        <Form layout="vertical" requiredMark={false} onFinish={(values: { name: string; password: string }) => create.mutate(values)}>
          <Form.Item
            name="name"
            label={t('name')}
            rules={[
              { required: true, message: t('required') },
              { pattern: /^[A-Za-z0-9._@-]+$/, message: t('nameShape') },
            ]}
          >
            <Input autoFocus autoComplete="username" maxLength={100} />
          </Form.Item>
          <Form.Item name="password" label={t('password')} extra={t('passwordHint')} rules={[{ required: true, message: t('required') }, { min: 12, message: t('tooShort') }]}>
            <Input.Password autoComplete="new-password" maxLength={200} />
          </Form.Item>
          <Form.Item
            name="repeat"
            label={t('repeat')}
            dependencies={['password']}
            rules={[
              { required: true, message: t('required') },
              ({ getFieldValue }) => ({
                validator: (_, value) => (value === getFieldValue('password') ? Promise.resolve() : Promise.reject(new Error(t('different')))),
              }),
            ]}
          >
            <Input.Password autoComplete="new-password" maxLength={200} />
          </Form.Item>
          {create.error && (
            <Form.Item>
              <Alert type="error" showIcon role="alert" title={sentence(create.error)} />
            </Form.Item>
          )}
          <Button type="primary" htmlType="submit" block loading={create.isPending}>
            {t('create')}
          </Button>
        </Form>
      )}
    </Frame>
  )
}
