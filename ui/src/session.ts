// Who is signed in, and what they may do.
import { queryOptions, useQuery } from '@tanstack/react-query'

import { client, ok, type Schemas } from './api'

export const meQuery = queryOptions({
  queryKey: ['me'],
  queryFn: () => ok(client.GET('/api/v1/me')),
  staleTime: 60_000,
  retry: false,
})

export function useMe(): Schemas['Me'] | undefined {
  return useQuery(meQuery).data
}

const ranks = { viewer: 0, operator: 1, admin: 2 }

/** Whether the user's role allows what needs a role. The console checks it again. */
export function useMay(role: keyof typeof ranks): boolean {
  const me = useMe()
  return me !== undefined && (ranks[me.role as keyof typeof ranks] ?? 0) >= ranks[role]
}

/** Whether the user may change what is about everybody, as who sees a part of the fleet may not. */
export function useMayAll(): boolean {
  const me = useMe()
  return useMay('admin') && (me?.labels ?? []).length === 0
}
