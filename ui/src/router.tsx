// Addresses of all pages. Each page is loaded when it is first shown.
import { createRootRouteWithContext, createRoute, Link, Outlet } from '@tanstack/react-router'
import { queryOptions, useQuery, type QueryClient } from '@tanstack/react-query'
import { createElement, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { ApiError, type Search } from './api'
import { Empty, Loaded, Loading, Problem } from './parts/problem'
import { meQuery } from './session'
import { Shell } from './shell'

function Missing() {
  const { t } = useTranslation()
  return (
    <main className="center">
      <Empty title={t('notFound')} action={<Link to="/">{t('dashboard')}</Link>} />
    </main>
  )
}

interface Context {
  queries: QueryClient
}

const root = createRootRouteWithContext<Context>()({
  component: Outlet,
  notFoundComponent: Missing,
  errorComponent: ({ error, reset }) => <Problem error={error} retry={reset} />,
  pendingComponent: Loading,
  validateSearch: (search: Record<string, unknown>): Search => search as Search,
})

/** A page whose script is asked for with its address, and again until the console gives it. */
function page<N extends string>(load: () => Promise<Record<N, () => ReactNode>>, name: N) {
  const script = queryOptions({
    queryKey: ['page', name],
    queryFn: () => load().then((module) => ({ Page: module[name] }), withoutScript),
    staleTime: Infinity,
    gcTime: Infinity,
  })
  return {
    beforeLoad: ({ context }: { context: Context }) => void context.queries.prefetchQuery(script),
    component: function Lazy() {
      const query = useQuery({ ...script, refetchInterval: ({ state }) => (state.error ? 5000 : false) })
      return <Loaded of={query}>{({ Page }) => createElement(Page)}</Loaded>
    },
  }
}

/** Tells a console that is away from one that was replaced and has other scripts now. */
async function withoutScript(): Promise<never> {
  const answer = await fetch('/healthz', { cache: 'no-store' }).catch(() => undefined)
  const key = 'plimsoll.reloaded'
  if (answer?.ok && Date.now() - Number(sessionStorage.getItem(key)) > 60_000) {
    sessionStorage.setItem(key, String(Date.now()))
    location.reload()
  }
  throw new ApiError(0, {})
}

const login = createRoute({ getParentRoute: () => root, path: '/login', ...page(() => import('./access/login'), 'Login') })
const setup = createRoute({ getParentRoute: () => root, path: '/setup', ...page(() => import('./access/setup'), 'Setup') })

const shell = createRoute({
  getParentRoute: () => root,
  id: 'shell',
  component: Shell,
  // Who asks is learnt while the page loads; a refusal leads to the sign-in page (app.tsx).
  beforeLoad: ({ context }) => void context.queries.prefetchQuery(meQuery),
})

const inShell = () => shell

const pages = [
  createRoute({ getParentRoute: inShell, path: '/', ...page(() => import('./dashboard/page'), 'Dashboard') }),
  createRoute({ getParentRoute: inShell, path: '/images', ...page(() => import('./images/list'), 'Images') }),
  createRoute({ getParentRoute: inShell, path: '/images/$id', ...page(() => import('./images/page'), 'ImagePage') }),
  createRoute({ getParentRoute: inShell, path: '/vulnerabilities', ...page(() => import('./vulnerabilities/list'), 'Vulnerabilities') }),
  createRoute({ getParentRoute: inShell, path: '/vulnerabilities/$name', ...page(() => import('./vulnerabilities/page'), 'VulnerabilityPage') }),
  createRoute({ getParentRoute: inShell, path: '/software', ...page(() => import('./software/list'), 'Software') }),
  createRoute({ getParentRoute: inShell, path: '/software/places', ...page(() => import('./software/places'), 'Places') }),
  createRoute({ getParentRoute: inShell, path: '/hosts', ...page(() => import('./hosts/list'), 'Hosts') }),
  createRoute({ getParentRoute: inShell, path: '/hosts/$id', ...page(() => import('./hosts/page'), 'HostPage') }),
  createRoute({ getParentRoute: inShell, path: '/tasks', ...page(() => import('./tasks/list'), 'Tasks') }),
  createRoute({ getParentRoute: inShell, path: '/tasks/$id', ...page(() => import('./tasks/page'), 'TaskPage') }),
  createRoute({ getParentRoute: inShell, path: '/decisions', ...page(() => import('./decisions/list'), 'Decisions') }),
  createRoute({ getParentRoute: inShell, path: '/settings', ...page(() => import('./settings/page'), 'Settings') }),
  createRoute({ getParentRoute: inShell, path: '/settings/$section', ...page(() => import('./settings/page'), 'Settings') }),
]

export const routes = root.addChildren([login, setup, shell.addChildren(pages)])
