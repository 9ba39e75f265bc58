// The filter by a host: the API takes its ID, people know its name.
import { useQuery } from '@tanstack/react-query'
import { Select } from 'antd'
import { useState } from 'react'

import { client, ok } from '../api'
import { useSettled } from '../search-everything'

/** The name of a host; until it is known, its ID. */
export function useHostName(id: string): string {
  const { data } = useQuery({
    queryKey: ['hosts', 'name', id],
    queryFn: () => ok(client.GET('/api/v1/hosts/{id}', { params: { path: { id: Number(id) } } })),
    enabled: /^\d+$/.test(id),
    staleTime: 60_000,
  })
  return data?.name ?? id
}

export function HostChoice({ label, change }: { label: string; change: (id: string) => void }) {
  const [text, setText] = useState('')
  const asked = useSettled(text.trim())
  const { data, isFetching } = useQuery({
    queryKey: ['hosts', 'choice', asked],
    queryFn: ({ signal }) => ok(client.GET('/api/v1/hosts', { params: { query: { q: asked || undefined, limit: 20 } }, signal })),
  })
  return (
    <Select
      autoFocus
      defaultOpen
      showSearch={{ filterOption: false, onSearch: setText }}
      style={{ width: 280 }}
      aria-label={label}
      loading={isFetching}
      options={data?.items?.map((host) => ({ value: String(host.id), label: host.name }))}
      onChange={change}
    />
  )
}
