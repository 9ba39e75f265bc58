import { useParams, Link } from '@tanstack/react-router'
import { Menu } from 'antd'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { Head } from '../parts/head'
import { Empty, Loading } from '../parts/problem'
import { useMay, useMe } from '../session'
import { About } from './about'
import { Account } from './account'
import { Audit } from './audit'
import { Advisories } from './database'
import { Fleet } from './fleet'
import { Roles } from './roles'
import { Tokens } from './tokens'
import { Users } from './users'

type Section = 'scanning' | 'database' | 'retention' | 'users' | 'roles' | 'tokens' | 'audit' | 'account' | 'about'

const pages: Record<Section, ReactNode> = {
  scanning: <Fleet key="scanning" group="scanning" />,
  database: <Advisories />,
  retention: <Fleet key="retention" group="retention" />,
  users: <Users />,
  roles: <Roles />,
  tokens: <Tokens />,
  audit: <Audit />,
  account: <Account />,
  about: <About />,
}

export function Settings() {
  const { t } = useTranslation('settings')
  const me = useMe()
  const admin = useMay('admin')
  const asked = (useParams({ strict: false }) as { section?: string }).section ?? 'scanning'
  if (!me) return <Loading />
  // Who sees a part of the fleet manages nobody.
  const people = admin && (me.labels ?? []).length === 0
  const shown: [string, Section[]][] = [
    [t('group.fleet'), ['scanning', 'database', 'retention']],
    [t('group.access'), [...(people ? (['users'] as const) : []), 'roles', 'tokens', ...(people ? (['audit'] as const) : [])]],
    [t('group.you'), ['account', 'about']],
  ]
  const section = shown.flatMap(([, sections]) => sections).find((s) => s === asked)
  return (
    <div className="aside">
      <nav aria-label={t('settings', { ns: 'common' })}>
        <Menu
          mode="inline"
          selectedKeys={[asked]}
          style={{ borderInlineEnd: 0, background: 'transparent' }}
          items={shown.map(([label, sections]) => ({
            type: 'group',
            key: label,
            label,
            children: sections.map((s) => ({
              key: s,
              label: (
                <Link to="/settings/$section" params={{ section: s }} aria-current={s === asked ? 'page' : undefined}>
                  {t(`section.${s}`)}
                </Link>
              ),
            })),
          }))}
        />
      </nav>
      <div style={{ minWidth: 0 }}>
        {section ? (
          pages[section]
        ) : (
          <>
            <Head title={t('settings', { ns: 'common' })} />
            <Empty title={t('noSection')} hint={t('noSectionHint')} />
          </>
        )}
      </div>
    </div>
  )
}
