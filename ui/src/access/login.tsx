import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useRouter } from '@tanstack/react-router'
import { Alert, Button, Form, Input } from 'antd'
import { useTranslation } from 'react-i18next'

import { ApiError, client, ok, textOf, type Schemas } from '../api'
import { useAddress } from '../list/address'
import { useSentence } from '../parts/problem'
import { Frame } from './frame'

export function Login() {
  const { t } = useTranslation('access')
  const sentence = useSentence()
  const queries = useQueryClient()
  const router = useRouter()
  const [search] = useAddress()
  const signIn = useMutation({
    mutationFn: (body: Schemas['Login']) => ok(client.POST('/api/v1/login', { body })),
    onSuccess: () => {
      queries.clear()
      const to = textOf(search.to)
      // Only a path of this console: "//host" and "/\host" are other places to a browser.
      router.history.push(/^\/(?![/\\])/.test(to) ? to : '/')
    },
  })
  return (
    <Frame title={t('signIn')} hint={t('signInHint')}>
      <Form layout="vertical" requiredMark={false} onFinish={(values: Schemas['Login']) => signIn.mutate(values)}>
        <Form.Item name="name" label={t('name')} rules={[{ required: true, message: t('required') }]}>
          <Input autoFocus autoComplete="username" maxLength={100} />
        </Form.Item>
        <Form.Item name="password" label={t('password')} rules={[{ required: true, message: t('required') }]}>
          <Input.Password autoComplete="current-password" maxLength={200} />
        </Form.Item>
        {signIn.error && (
          <Form.Item>
            <Alert type="error" showIcon role="alert" title={signIn.error instanceof ApiError && signIn.error.status === 401 ? t('wrong') : sentence(signIn.error)} />
          </Form.Item>
        )}
        <Button type="primary" htmlType="submit" block loading={signIn.isPending}>
          {t('signIn')}
        </Button>
      </Form>
    </Frame>
  )
}
