// What surrounds every page: language, appearance, the asker of the API, errors.
import { MutationCache, QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { createRouter, RouterProvider } from '@tanstack/react-router'
import { App as Ant, Button, ConfigProvider, type ConfigProviderProps } from 'antd'
import dayjs from 'dayjs'
import 'dayjs/locale/zh-cn'
import { Component, useEffect, useState, type ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { ApiError } from './api'
import { preferredLanguage, speak } from './i18n'
import { nonce } from './nonce'
import { Empty } from './parts/problem'
import { usePreference } from './preferences'
import { routes } from './router'
import { parseSearch, stringifySearch } from './search'
import { themeOf, useDark } from './theme'

const queries = new QueryClient({
  queryCache: new QueryCache({ onError: unknown }),
  mutationCache: new MutationCache({ onError: unknown }),
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // What the console refuses it refuses again; what does not answer may come back.
      retry: (count, error) => count < 2 && error instanceof ApiError && (error.status === 0 || error.status === 503),
      refetchOnWindowFocus: true,
    },
  },
})

const router = createRouter({
  routeTree: routes,
  context: { queries },
  parseSearch,
  stringifySearch,
  defaultPreload: false,
  scrollRestoration: true,
  // Messages and dialogs that pages start hold links: they live within the router.
  InnerWrap: ({ children }) => <Ant>{children}</Ant>,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}

/** Whoever is not known any more signs in again. */
function unknown(error: Error) {
  if (error instanceof ApiError && error.status === 401) signIn()
}

/** Asks for a new session, then comes back to where the user was. */
function signIn() {
  const here = router.state.location
  if (here.pathname === '/login' || here.pathname === '/setup') return
  void router.navigate({ to: '/login', search: { to: here.href } as never })
}

export function App({ library: first }: { library: ConfigProviderProps['locale'] }) {
  const [library, setLibrary] = useState(first)
  const language = usePreference('language')
  const dark = useDark()
  useEffect(() => {
    const wanted = preferredLanguage()
    dayjs.locale(wanted === 'zh' ? 'zh-cn' : 'en')
    void speak(wanted).then(setLibrary)
  }, [language])
  useEffect(() => {
    document.documentElement.dataset.theme = dark ? 'dark' : 'light'
  }, [dark])
  return (
    <ConfigProvider csp={{ nonce }} locale={library} theme={themeOf(dark)} wave={{ disabled: true }} button={{ autoInsertSpace: false }}>
      <Fence>
        <QueryClientProvider client={queries}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </Fence>
    </ConfigProvider>
  )
}

/** Shows that a page has failed instead of nothing at all. */
class Fence extends Component<{ children: ReactNode }, { failed: boolean }> {
  override state = { failed: false }
  static getDerivedStateFromError() {
    return { failed: true }
  }
  override render() {
    return this.state.failed ? <Failed /> : this.props.children
  }
}

export function Failed() {
  const { t } = useTranslation()
  return (
    <Empty
      title={t('error.page')}
      hint={t('error.pageHint')}
      action={
        <Button type="primary" onClick={() => location.reload()}>
          {t('retry')}
        </Button>
      }
    />
  )
}
