// What is wrong with an agent, and what helps.
import { Alert } from 'antd'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { Reason } from '../parts/tags'
import { Time, useDuration } from '../parts/time'

type Host = Schemas['Host']

/** Marks in a list: what cannot be read, and what the agent suffers from. */
export function Marks({ host }: { host: Host }) {
  const { t } = useTranslation('hosts')
  const problems = host.problems ?? []
  const marks = [host.cloned && t('cloned'), host.clockSkew && t('skewed'), host.spoolDropped && t('dropped')].filter((mark) => typeof mark === 'string')
  if (marks.length === 0 && problems.length === 0) return <span className="muted">–</span>
  return (
    <span className="row" style={{ flexWrap: 'nowrap' }}>
      {problems.length > 0 && (
        <span className="tag unreadable" title={problems.map((p) => [p.code, p.path, p.detail].filter(Boolean).join(' · ')).join('\n')}>
          <span aria-hidden="true">⊘</span>
          {t('nUnreadable', { count: problems.length })}
        </span>
      )}
      {marks.map((mark) => (
        <span key={mark} className="tag high">
          <span aria-hidden="true">▲</span>
          {mark}
        </span>
      ))}
    </span>
  )
}

/** The same on the host's page, with what each means. */
export function Health({ host }: { host: Host }) {
  const { t } = useTranslation('hosts')
  const duration = useDuration()
  const skew = host.clockSkew ?? 0
  return (
    <>
      {host.state === 'revoked' && <Alert type="error" showIcon title={t('revokedTitle')} description={t('revokedHint')} />}
      {host.state === 'never' && <Alert type="info" showIcon title={t('neverTitle')} description={t('neverHint')} />}
      {(host.state === 'offline' || host.state === 'late') && (
        <Alert
          type="warning"
          showIcon
          title={
            <>
              {t('silentTitle')} <Time at={host.lastSeen} />
            </>
          }
          description={t('silentHint')}
        />
      )}
      {host.cloned && <Alert type="warning" showIcon title={t('cloned')} description={t('clonedHint')} />}
      {skew !== 0 && <Alert type="warning" showIcon title={t(skew > 0 ? 'ahead' : 'behind', { time: duration(Math.abs(skew)) })} description={t('skewHint')} />}
      {(host.spoolDropped ?? 0) > 0 && <Alert type="warning" showIcon title={t('droppedTitle', { count: host.spoolDropped ?? 0 })} description={t('droppedHint')} />}
    </>
  )
}

export function Unreadable({ host }: { host: Host }) {
  const { t } = useTranslation('hosts')
  const problems = host.problems ?? []
  if (problems.length === 0) return <p className="muted">{host.lastSync ? t('allReadable') : t('notToldYet')}</p>
  return (
    <ul className="plain-list" tabIndex={0} aria-label={t('unreadable')}>
      {problems.map((p, i) => (
        <li key={i}>
          <Reason code={p.code} />
          {(p.path || p.detail) && (
            <div className="muted text">
              {p.path && <span className="mono">{p.path}</span>} {p.detail}
              {(p.count ?? 0) > 1 && ` × ${p.count}`}
            </div>
          )}
        </li>
      ))}
    </ul>
  )
}
