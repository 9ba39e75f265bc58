// Addresses of all pages. Each page is loaded when it is first shown.
import type { QueryClient } from '@tanstack/react-query'
import { createRootRouteWithContext, createRoute, lazyRouteComponent, Outlet, redirect } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import { ApiError, type Search } from './api'
import { Empty, Loading, Problem } from './parts/problem'
import { meQuery } from './session'
import { Shell } from './shell'

function Missing() {
  const { t } = useTranslation()
  return <Empty title={t('notFound')} />
}

const root = createRootRouteWithContext<{ queries: QueryClient }>()({
  component: Outlet,
  notFoundComponent: Missing,
  errorComponent: ({ error, reset }) => <Problem error={error} retry={reset} />,
  pendingComponent: Loading,
  validateSearch: (search: Record<string, unknown>): Search => search as Search,
})

const login = createRoute({ getParentRoute: () => root, path: '/login', component: lazyRouteComponent(() => import('./access/login'), 'Login') })
const setup = createRoute({ getParentRoute: () => root, path: '/setup', component: lazyRouteComponent(() => import('./access/setup'), 'Setup') })

const shell = createRoute({
  getParentRoute: () => root,
  id: 'shell',
  component: Shell,
  beforeLoad: async ({ context, location }) => {
    try {
      await context.queries.ensureQueryData(meQuery)
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) throw redirect({ to: '/login', search: { to: location.href } as never })
      // Without an answer the page is shown all the same: it says so and tries again.
    }
  },
})

const inShell = () => shell

const pages = [
  createRoute({ getParentRoute: inShell, path: '/', component: lazyRouteComponent(() => import('./dashboard/page'), 'Dashboard') }),
  createRoute({ getParentRoute: inShell, path: '/images', component: lazyRouteComponent(() => import('./images/list'), 'Images') }),
  createRoute({ getParentRoute: inShell, path: '/images/$id', component: lazyRouteComponent(() => import('./images/page'), 'ImagePage') }),
  createRoute({ getParentRoute: inShell, path: '/vulnerabilities', component: lazyRouteComponent(() => import('./vulnerabilities/list'), 'Vulnerabilities') }),
  createRoute({ getParentRoute: inShell, path: '/vulnerabilities/$name', component: lazyRouteComponent(() => import('./vulnerabilities/page'), 'VulnerabilityPage') }),
  createRoute({ getParentRoute: inShell, path: '/software', component: lazyRouteComponent(() => import('./software/list'), 'Software') }),
  createRoute({ getParentRoute: inShell, path: '/software/places', component: lazyRouteComponent(() => import('./software/places'), 'Places') }),
  createRoute({ getParentRoute: inShell, path: '/hosts', component: lazyRouteComponent(() => import('./hosts/list'), 'Hosts') }),
  createRoute({ getParentRoute: inShell, path: '/hosts/$id', component: lazyRouteComponent(() => import('./hosts/page'), 'HostPage') }),
  createRoute({ getParentRoute: inShell, path: '/tasks', component: lazyRouteComponent(() => import('./tasks/list'), 'Tasks') }),
  createRoute({ getParentRoute: inShell, path: '/tasks/$id', component: lazyRouteComponent(() => import('./tasks/page'), 'TaskPage') }),
  createRoute({ getParentRoute: inShell, path: '/decisions', component: lazyRouteComponent(() => import('./decisions/list'), 'Decisions') }),
  createRoute({ getParentRoute: inShell, path: '/settings', component: lazyRouteComponent(() => import('./settings/page'), 'Settings') }),
  createRoute({ getParentRoute: inShell, path: '/settings/$section', component: lazyRouteComponent(() => import('./settings/page'), 'Settings') }),
]

export const routes = root.addChildren([login, setup, shell.addChildren(pages)])
