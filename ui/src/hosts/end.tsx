// Taking a host out of the fleet: for good, or together with what is known of it.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { App, Button, Dropdown } from 'antd'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { DownOutlined } from '../parts/icons'
import { useSentence } from '../parts/problem'
import { useMay } from '../session'

export function EndMenu({ host }: { host: Schemas['Host'] }) {
  const { t } = useTranslation('hosts')
  const { message, modal } = App.useApp()
  const sentence = useSentence()
  const queries = useQueryClient()
  const navigate = useNavigate()
  const may = useMay('admin')
  const params = { params: { path: { id: host.id } } }
  const end = useMutation({
    mutationFn: async (how: 'revoke' | 'forget') => {
      await (how === 'revoke' ? ok(client.POST('/api/v1/hosts/{id}/revoke', params)) : ok(client.DELETE('/api/v1/hosts/{id}', params)))
      return how
    },
    onSuccess: async (how) => {
      void message.success(t(how === 'revoke' ? 'revokeDone' : 'forgetDone'))
      if (how === 'forget') await navigate({ to: '/hosts' })
      await queries.invalidateQueries()
    },
    onError: (error) => void message.error(t('failed', { ns: 'common', reason: sentence(error) }), 8),
  })
  const confirm = (how: 'revoke' | 'forget') =>
    modal.confirm({
      title: t(`${how}Title`),
      width: 520,
      content: (
        <>
          <p>
            <strong className="text">{host.name}</strong>
          </p>
          <ul className="points">
            {([1, 2, 3] as const).map((n) => (
              <li key={n}>{t(`${how}Effect${n}`)}</li>
            ))}
          </ul>
        </>
      ),
      okText: t(how),
      okButtonProps: { danger: true },
      cancelText: t('cancel', { ns: 'common' }),
      focusable: { autoFocusButton: 'cancel' },
      onOk: () => end.mutateAsync(how).catch(() => undefined), // said by onError
    })
  if (!may) return null
  return (
    <Dropdown
      trigger={['click']}
      menu={{
        items: [
          ...(host.state === 'revoked' ? [] : [{ key: 'revoke', label: t('revoke') + ' …', danger: true, onClick: () => confirm('revoke') }]),
          { key: 'forget', label: t('forget') + ' …', danger: true, onClick: () => confirm('forget') },
        ],
      }}
    >
      <Button>
        {t('remove')} <DownOutlined />
      </Button>
    </Dropdown>
  )
}
