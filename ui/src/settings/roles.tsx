// What each role may do.
import { Table } from 'antd'
import { useTranslation } from 'react-i18next'

import { Head } from '../parts/head'
import { useWord } from '../parts/tags'
import { useMe } from '../session'

const roles = ['viewer', 'operator', 'admin'] as const

/** From which role on. */
const abilities = { see: 0, report: 0, token: 0, scan: 1, decide: 1, export: 1, hosts: 2, fleet: 2, advisories: 2, people: 2 } as const

type Ability = keyof typeof abilities

export function Roles() {
  const { t } = useTranslation('settings')
  const word = useWord()
  const me = useMe()
  return (
    <>
      <Head title={t('section.roles')} />
      <div className="list stack">
        <Table<{ ability: Ability }>
          aria-label={t('section.roles')}
          size="small"
          pagination={false}
          scroll={{ x: 'max-content' }}
          rowKey="ability"
          dataSource={(Object.keys(abilities) as Ability[]).map((ability) => ({ ability }))}
          columns={[
            { key: 'ability', title: t('ability'), render: (_, { ability }) => t(`ability.${ability}`) },
            ...roles.map((role, rank) => ({
              key: role,
              align: 'center' as const,
              title: (
                <>
                  {word('role', role)}
                  {me?.role === role && <span className="muted"> ({t('you')})</span>}
                </>
              ),
              render: (_: unknown, { ability }: { ability: Ability }) =>
                rank >= abilities[ability] ? <span className="tag safe">✓ {t('yes', { ns: 'common' })}</span> : <span className="muted">{t('no', { ns: 'common' })}</span>,
            })),
          ]}
        />
        <p className="muted" style={{ margin: 0 }}>
          {t('rolesLabels')}
        </p>
      </div>
    </>
  )
}
