// Who can sign in.
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { App, Button, Form, Input, Modal, Popconfirm, Select, Switch, Table } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { Head } from '../parts/head'
import { DeleteOutlined, EditOutlined, PlusOutlined } from '../parts/icons'
import { Loaded, useSentence } from '../parts/problem'
import { Refused } from '../parts/refused'
import { useWord } from '../parts/tags'
import { Time } from '../parts/time'
import { useMe } from '../session'
import { Labels, LabelsItem } from './labels'

type User = Schemas['User']

const usersKey = ['users']

export function Users() {
  const { t } = useTranslation('settings')
  const word = useWord()
  const me = useMe()
  const [edited, setEdited] = useState<User | 'new'>()
  const users = useQuery({ queryKey: usersKey, queryFn: () => ok(client.GET('/api/v1/users')) })
  return (
    <>
      <Head title={t('section.users')}>
        <Button type="primary" icon={<PlusOutlined />} onClick={() => setEdited('new')}>
          {t('addUser')}
        </Button>
      </Head>
      <Loaded of={users}>
        {({ items }) => (
          <div className="list">
            <Table<User>
              aria-label={t('section.users')}
              size="small"
              pagination={false}
              scroll={{ x: 'max-content' }}
              rowKey="id"
              dataSource={items ?? []}
              columns={[
                {
                  key: 'name',
                  title: t('name'),
                  render: (_, u) => (
                    <span className="row">
                      <span className="clip" style={{ maxWidth: 240 }}>
                        {u.name}
                      </span>
                      {u.name === me?.name && <span className="tag">{t('you')}</span>}
                      {u.disabled && <span className="tag revoked">✕ {t('disabled')}</span>}
                    </span>
                  ),
                },
                { key: 'role', title: t('role'), render: (_, u) => word('role', u.role) },
                { key: 'labels', title: t('sees'), render: (_, u) => <Labels labels={u.labels} /> },
                { key: 'lastLogin', title: t('lastLogin'), render: (_, u) => <Time at={u.lastLogin} absent={t('never', { ns: 'common' })} /> },
                { key: 'created', title: t('made'), render: (_, u) => <Time at={u.created} /> },
                {
                  key: 'actions',
                  title: t('actions'),
                  render: (_, u) => (
                    <span className="row" style={{ flexWrap: 'nowrap' }}>
                      <Button size="small" type="text" icon={<EditOutlined />} aria-label={t('editNamed', { name: u.name })} title={t('edit', { ns: 'common' })} onClick={() => setEdited(u)} />
                      <Remove user={u} own={u.name === me?.name} />
                    </span>
                  ),
                },
              ]}
            />
          </div>
        )}
      </Loaded>
      {edited && <UserForm user={edited === 'new' ? undefined : edited} close={() => setEdited(undefined)} />}
    </>
  )
}

function Remove({ user, own }: { user: User; own: boolean }) {
  const { t } = useTranslation('settings')
  const { message } = App.useApp()
  const sentence = useSentence()
  const queries = useQueryClient()
  const remove = useMutation({
    mutationFn: () => ok(client.DELETE('/api/v1/users/{id}', { params: { path: { id: user.id } } })),
    onSuccess: () => queries.invalidateQueries({ queryKey: usersKey }),
    onError: (error) => void message.error(t('failed', { ns: 'common', reason: sentence(error) }), 8),
  })
  return (
    <Popconfirm title={t('removeUser', { name: user.name })} description={t('removeUserHint')} okText={t('delete', { ns: 'common' })} onConfirm={() => remove.mutate()}>
      <Button
        size="small"
        type="text"
        danger
        disabled={own}
        icon={<DeleteOutlined />}
        loading={remove.isPending}
        aria-label={t('removeNamed', { name: user.name })}
        title={own ? t('notYourself') : t('delete', { ns: 'common' })}
      />
    </Popconfirm>
  )
}

interface Values {
  name?: string
  password?: string
  role: User['role']
  labels?: string[]
  disabled?: boolean
}

function UserForm({ user, close }: { user?: User; close: () => void }) {
  const { t } = useTranslation('settings')
  const word = useWord()
  const queries = useQueryClient()
  const [form] = Form.useForm<Values>()
  const role = Form.useWatch('role', form) ?? user?.role ?? 'viewer'
  const required = { required: true, message: t('required', { ns: 'common' }) }
  const save = useMutation<unknown, Error, Values>({
    mutationFn: ({ password, ...values }) => {
      const body = { ...values, labels: values.labels ?? [], ...(password && { password }) }
      return user ? ok(client.PATCH('/api/v1/users/{id}', { params: { path: { id: user.id } }, body })) : ok(client.POST('/api/v1/users', { body }))
    },
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: usersKey })
      close()
    },
  })
  return (
    <Modal
      open
      title={user ? t('editNamed', { name: user.name }) : t('addUser')}
      onCancel={close}
      okText={t('save', { ns: 'common' })}
      okButtonProps={{ loading: save.isPending }}
      onOk={() => form.submit()}
    >
      <Form form={form} layout="vertical" requiredMark={false} initialValues={user ?? { role: 'viewer', labels: [] }} onFinish={(values) => save.mutate(values)}>
        <Refused error={save.error} form={form} />
        {!user && (
          <Form.Item name="name" label={t('name')} rules={[required, { pattern: /^[A-Za-z0-9._@-]+$/, message: t('nameShape') }]}>
            <Input autoFocus autoComplete="off" maxLength={100} />
          </Form.Item>
        )}
        <Form.Item name="password" label={t(user ? 'otherPassword' : 'password')} extra={t(user ? 'otherPasswordHint' : 'passwordHint')} rules={[...(user ? [] : [required]), { min: 12, message: t('passwordHint') }]}>
          <Input.Password autoComplete="new-password" maxLength={200} />
        </Form.Item>
        <Form.Item name="role" label={t('role')} extra={t(`roleSays.${role}`)}>
          <Select options={(['viewer', 'operator', 'admin'] as const).map((value) => ({ value, label: word('role', value) }))} />
        </Form.Item>
        <LabelsItem />
        {user && (
          <Form.Item name="disabled" label={t('disabledLabel')} extra={t('disabledHint')} valuePropName="checked">
            <Switch />
          </Form.Item>
        )}
      </Form>
    </Modal>
  )
}
