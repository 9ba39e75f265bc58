// Where the filters of a list are kept: in the address, or, for a list beside
// others on one page, on the page.
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useCallback, useState } from 'react'

import type { Search } from '../api'

/** The query of the address, and how to change a part of it. */
export function useAddress(): [Search, (patch: Search) => void] {
  const search = useSearch({ strict: false }) as Search
  const navigate = useNavigate()
  const change = useCallback(
    (patch: Search) => {
      void navigate({ to: '.', search: ((before: Search) => ({ ...before, ...patch })) as never })
    },
    [navigate],
  )
  return [search, change]
}

/** The same for a list that is not what the page is about. */
export function useOwnSearch(): [Search, (patch: Search) => void] {
  const [search, set] = useState<Search>({})
  return [search, useCallback((patch: Search) => set((before) => ({ ...before, ...patch })), [])]
}
