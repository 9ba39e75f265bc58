// One box that finds vulnerabilities, images, packages and hosts by a part of their name.
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { AutoComplete, Input } from 'antd'
import { useEffect, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok } from './api'
import { SearchOutlined } from './parts/icons'

const most = 5 // of each kind

export function SearchEverything() {
  const { t } = useTranslation()
  const navigate = useNavigate()
  const [text, setText] = useState('')
  const asked = useSettled(text.trim())
  const { data, isFetching } = useQuery({
    queryKey: ['search', asked],
    enabled: asked.length > 1,
    queryFn: async ({ signal }) => {
      const query = { q: asked, limit: most }
      const [vulnerabilities, images, software, hosts] = await Promise.all([
        ok(client.GET('/api/v1/vulnerabilities', { params: { query: { ...query, handled: 'any' } }, signal })),
        ok(client.GET('/api/v1/images', { params: { query: { ...query, gone: 'any' } }, signal })),
        ok(client.GET('/api/v1/software', { params: { query }, signal })),
        ok(client.GET('/api/v1/hosts', { params: { query }, signal })),
      ])
      return { vulnerabilities, images, software, hosts }
    },
  })
  const groups = data
    ? [
        {
          label: t('vulnerabilities'),
          options: [...new Set(data.vulnerabilities.items?.map((v) => v.name))].map((name) => ({ value: 'v ' + name, label: name })),
        },
        {
          label: t('images'),
          options: data.images.items?.map((i) => ({ value: `i ${i.id}`, label: i.names?.[0] ?? i.digest.slice(7, 19) })) ?? [],
        },
        {
          label: t('software'),
          options: [...new Set(data.software.items?.map((s) => s.name))].map((name) => ({ value: 's ' + name, label: name })),
        },
        { label: t('hosts'), options: data.hosts.items?.map((h) => ({ value: `h ${h.id}`, label: h.name })) ?? [] },
      ].filter((group) => group.options.length > 0)
    : []
  const go = (value: string) => {
    const [kind, name] = [value[0], value.slice(2)]
    setText('')
    if (kind === 'v') void navigate({ to: '/vulnerabilities/$name', params: { name } })
    if (kind === 'i') void navigate({ to: '/images/$id', params: { id: name } })
    if (kind === 's') void navigate({ to: '/software', search: { name } as never })
    if (kind === 'h') void navigate({ to: '/hosts/$id', params: { id: name } })
  }
  return (
    <div data-search>
      <AutoComplete
        style={{ width: 320 }}
        value={text}
        options={asked.length > 1 ? groups : []}
        onChange={(value) => !/^[vish] /.test(value) && setText(value)}
        onSelect={go}
        defaultActiveFirstOption
        notFoundContent={asked.length > 1 && !isFetching && data ? t('searchNothing') : null}
        optionRender={(option) => <span className="clip">{option.label}</span>}
      >
        <Input prefix={<SearchOutlined />} aria-label={t('searchEverything')} title={t('searchEverythingHint')} placeholder={t('searchEverything')} maxLength={300} />
      </AutoComplete>
    </div>
  )
}

/** A text once nobody has typed for a moment. */
export function useSettled(text: string): string {
  const [settled, settle] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => settle(text), 250)
    return () => clearTimeout(timer)
  }, [text])
  return settled
}
