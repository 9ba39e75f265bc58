// Who changed what.
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { useAddress } from '../list/address'
import type { Filter } from '../list/filters'
import { List, type Column } from '../list/list'
import { Head } from '../parts/head'
import { Tag } from '../parts/tags'
import { Time } from '../parts/time'
import { actions } from './actions'

type Entry = Schemas['AuditEntry']

export function Audit() {
  const { t, i18n } = useTranslation('settings')
  const [search, change] = useAddress()
  const action = (name: string) => (i18n.exists(`action.${name}`, { ns: 'settings' }) ? t(`action.${name}` as 'action.login') : name)
  const columns: Column<Entry>[] = [
    { key: 'at', title: t('at'), render: (e) => <Time at={e.at} precise /> },
    { key: 'user', title: t('user'), render: (e) => <span className="clip" style={{ maxWidth: 160 }} title={e.user}>{e.user || '–'}</span> },
    { key: 'action', title: t('action'), render: (e) => <span title={e.action}>{action(e.action)}</span> },
    { key: 'ok', title: t('outcome'), render: (e) => <Tag group="task" value={e.ok ? 'succeeded' : 'failed'} /> },
    {
      key: 'object',
      title: t('object'),
      render: (e) => {
        const about = [e.object, e.detail].filter(Boolean).join(' ')
        return about === '' ? (
          <span className="muted">–</span>
        ) : (
          <span className="clip" style={{ maxWidth: 320 }} title={about}>
            {about}
          </span>
        )
      },
    },
    { key: 'via', title: t('via'), render: (e) => t(`via.${e.via}`) },
    { key: 'address', title: t('address'), render: (e) => (e.address ? <span className="mono">{e.address}</span> : <span className="muted">–</span>) },
  ]
  const filters: Filter[] = [
    { key: 'user', label: t('user'), kind: 'text', hint: t('exactName') },
    { key: 'action', label: t('action'), kind: 'one', choices: actions.map((value) => ({ value, label: action(value) })) },
    { key: 'since', label: t('since'), kind: 'time' },
    { key: 'until', label: t('until'), kind: 'time' },
  ]
  return (
    <>
      <Head title={t('section.audit')} />
      <List<Entry>
        id="audit"
        label={t('section.audit')}
        path="/api/v1/audit"
        search={search}
        change={change}
        columns={columns}
        filters={filters}
        rowKey={(e) => e.id}
        rowName={(e) => e.action}
      />
    </>
  )
}
