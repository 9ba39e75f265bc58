// The frame of all pages: menu, search over everything, the age of the advisories.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link, Outlet, useLocation, useNavigate } from '@tanstack/react-router'
import { Badge, Button, Dropdown, Layout, Menu, Modal, Tooltip } from 'antd'
import { useEffect, useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok } from './api'
import { useEvents } from './events'
import { choose, type Language } from './i18n'
import { useShortcuts } from './keyboard'
import {
  AppstoreOutlined,
  AuditOutlined,
  BugOutlined,
  ClusterOutlined,
  ContainerOutlined,
  DashboardOutlined,
  GlobalOutlined,
  SettingOutlined,
  SyncOutlined,
  ThunderboltOutlined,
  UserOutlined,
} from './parts/icons'
import { useDuration } from './parts/time'
import { useWord } from './parts/tags'
import { remember, usePreference } from './preferences'
import { SearchEverything } from './search-everything'
import { useMe } from './session'

export const areas = [
  { path: '/', name: 'dashboard', icon: <DashboardOutlined />, key: 'd' },
  { path: '/images', name: 'images', icon: <ContainerOutlined />, key: 'i' },
  { path: '/vulnerabilities', name: 'vulnerabilities', icon: <BugOutlined />, key: 'v' },
  { path: '/software', name: 'software', icon: <AppstoreOutlined />, key: 's' },
  { path: '/hosts', name: 'hosts', icon: <ClusterOutlined />, key: 'h' },
  { path: '/tasks', name: 'tasks', icon: <ThunderboltOutlined />, key: 't' },
  { path: '/decisions', name: 'decisions', icon: <AuditOutlined />, key: 'w' },
  { path: '/settings', name: 'settings', icon: <SettingOutlined />, key: 'c' },
] as const

export function Shell() {
  const { t } = useTranslation()
  const { pathname } = useLocation()
  const collapsed = usePreference('menu') === 'collapsed'
  const [help, setHelp] = useState(false)
  const main = useRef<HTMLElement>(null)
  useEvents()
  useShortcuts(() => setHelp(true))
  const area = areas.find((a) => a.path !== '/' && pathname.startsWith(a.path)) ?? areas[0]
  useEffect(() => {
    document.title = `${t(area.name)} · ${t('product')}`
  }, [area, t])
  // Whoever hears the page is told that it is another one; the first begins at its top.
  const shown = useRef(pathname)
  useEffect(() => {
    if (shown.current !== pathname) main.current?.focus({ preventScroll: true })
    shown.current = pathname
  }, [pathname])
  return (
    <Layout style={{ minHeight: '100vh' }}>
      <a className="skip" href="#content" onClick={() => main.current?.focus()}>
        {t('skipToContent')}
      </a>
      <Layout.Sider className="shell-side" width={184} collapsedWidth={56} collapsed={collapsed} style={{ position: 'sticky', top: 0, height: '100vh' }}>
        <Link to="/" className="shell-brand">
          <img src="/assets/plimsoll.svg" alt="" />
          {collapsed ? <span className="visually-hidden">{t('product')}</span> : t('product')}
        </Link>
        <nav aria-label={t('mainMenu')}>
          <Menu
            mode="inline"
            selectedKeys={[area.path]}
            style={{ borderInlineEnd: 0 }}
            items={areas.map((a) => ({
              key: a.path,
              icon: a.icon,
              label: (
                <Link to={a.path} aria-current={a === area ? 'page' : undefined}>
                  {t(a.name)}
                </Link>
              ),
            }))}
          />
        </nav>
        <Button
          type="text"
          style={{ position: 'absolute', bottom: 8, insetInlineStart: 12 }}
          aria-label={collapsed ? t('expandMenu') : t('collapseMenu')}
          onClick={() => remember('menu', collapsed ? '' : 'collapsed')}
        >
          {collapsed ? '»' : '«'}
        </Button>
      </Layout.Sider>
      <Layout>
        <Layout.Header className="shell-header">
          <SearchEverything />
          <span className="grow" />
          <Advisories />
          <RunningTasks />
          <Preferences />
          <Account help={() => setHelp(true)} />
        </Layout.Header>
        <main className="shell-main" id="content" tabIndex={-1} ref={main}>
          <Outlet />
        </main>
      </Layout>
      <Shortcuts open={help} close={() => setHelp(false)} />
    </Layout>
  )
}

/** How old the advisories are: green within a day, amber within a week, red beyond. */
function Advisories() {
  const { t } = useTranslation()
  const duration = useDuration()
  const { data } = useQuery({ queryKey: ['database', 'state'], queryFn: () => ok(client.GET('/api/v1/database')), refetchInterval: 60_000 })
  if (!data) return null
  const age = data.ageSeconds ?? 0
  const status = !data.current || data.stale ? 'error' : data.current.sample || age > 86_400 ? 'warning' : 'success'
  return (
    <Link to="/settings/$section" params={{ section: 'database' }}>
      <Badge
        status={status}
        text={!data.current ? t('advisoriesNone') : `${data.current.sample ? t('advisoriesSample') + ' · ' : ''}${t('advisoriesAge', { age: duration(age) })}`}
      />
    </Link>
  )
}

function RunningTasks() {
  const { t } = useTranslation()
  const { data } = useQuery({
    queryKey: ['tasks', 'running'],
    queryFn: () => ok(client.GET('/api/v1/tasks', { params: { query: { state: 'running', limit: 100 } } })),
    refetchInterval: 60_000,
  })
  const count = data?.items?.length ?? 0
  return (
    <Tooltip title={t('runningTasks', { count })}>
      <Link to="/tasks" aria-label={t('runningTasks', { count })}>
        <Badge count={count} size="small" color="blue">
          <SyncOutlined spin={count > 0} style={{ fontSize: 16 }} />
        </Badge>
      </Link>
    </Tooltip>
  )
}

function Preferences() {
  const { t, i18n } = useTranslation()
  const theme = usePreference('theme') || 'system'
  return (
    <Dropdown
      trigger={['click']}
      menu={{
        selectable: true,
        selectedKeys: [i18n.language, 'theme.' + theme],
        onClick: ({ key }) => (key.startsWith('theme.') ? remember('theme', key === 'theme.system' ? '' : key.slice(6)) : choose(key as Language)),
        items: [
          {
            type: 'group',
            label: t('language'),
            children: [
              { key: 'en', label: <span lang="en">English</span> },
              { key: 'zh', label: <span lang="zh-CN">中文</span> },
            ],
          },
          {
            type: 'group',
            label: t('theme'),
            children: (['light', 'dark', 'system'] as const).map((name) => ({ key: 'theme.' + name, label: t(`theme.${name}`) })),
          },
        ],
      }}
    >
      <Button type="text" icon={<GlobalOutlined />} aria-label={`${t('language')}, ${t('theme')}`} />
    </Dropdown>
  )
}

function Account({ help }: { help: () => void }) {
  const { t } = useTranslation()
  const word = useWord()
  const me = useMe()
  const queries = useQueryClient()
  const navigate = useNavigate()
  const signOut = async () => {
    await client.POST('/api/v1/logout')
    queries.clear()
    await navigate({ to: '/login' })
  }
  return (
    <Dropdown
      trigger={['click']}
      menu={{
        items: [
          { key: 'who', disabled: true, label: me ? `${me.name} · ${word('role', me.role)}` : '' },
          { key: 'account', label: <Link to="/settings/$section" params={{ section: 'account' }}>{t('account')}</Link> },
          { key: 'shortcuts', label: t('shortcuts'), onClick: help },
          { key: 'api', label: <a href="/docs">{t('apiDocs')}</a> },
          { type: 'divider' },
          { key: 'out', label: t('signOut'), onClick: () => void signOut() },
        ],
      }}
    >
      <Button type="text" icon={<UserOutlined />} aria-label={`${t('account')} ${me?.name ?? ''}`.trim()}>
        <span className="clip" style={{ maxWidth: 120 }}>
          {me?.name}
        </span>
      </Button>
    </Dropdown>
  )
}

function Shortcuts({ open, close }: { open: boolean; close: () => void }) {
  const { t } = useTranslation()
  const rows = [
    ['/', t('shortcut.search')],
    ['j  k', t('shortcut.rows')],
    ['Enter', t('shortcut.open')],
    ['Esc', t('shortcut.close')],
    ['g ' + areas.map((a) => a.key).join(' / '), t('shortcut.go')],
    ['?', t('shortcut.help')],
  ]
  return (
    <Modal open={open} onCancel={close} footer={null} title={t('shortcuts')}>
      <dl className="facts">
        {rows.map(([keys, what]) => (
          <div key={keys} style={{ display: 'contents' }}>
            <dt>
              <kbd className="mono">{keys}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Modal>
  )
}
