import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import type { Schemas, Search } from '../api'
import { useNumber } from '../parts/time'

type D = Schemas['Dashboard']

const day = 86_400_000 // ms

/** Hosts that are part of the fleet; revoked ones no longer are. */
export const hostsOf = (d: D) => Object.entries(d.hosts).reduce((sum, [state, n]) => (state === 'revoked' ? sum : sum + n), 0)

/** Whether any image was read: before that nothing can be said about findings. */
export const isScanned = (d: D) => (d.imageStates.succeeded ?? 0) + (d.imageStates.partial ?? 0) > 0 || d.topImages !== null && d.topImages.length > 0

export const total = (c: Schemas['Counts']) => c.critical + c.high + c.medium + c.low + c.unknown + c.none

/** The figures that an operator reads first, each the list of what it counts. at is when they were counted. */
export function Figures({ d, at }: { d: D; at: number }) {
  const { t } = useTranslation('dashboard')
  const number = useNumber()
  const hosts = hostsOf(d)
  const away = hosts - (d.hosts.online ?? 0)
  const judged = isScanned(d) && d.database.current !== undefined
  const v = d.vulnerabilities
  const all = total(v.system) + total(v.application)
  const unread = (d.imageStates.failed ?? 0) + (d.imageStates.unreadable ?? 0)
  const never = d.imageStates.never ?? 0
  const partial = d.imageStates.partial ?? 0
  return (
    <ul className="card tiles full" aria-label={t('figures')}>
      <Tile
        label={t('hostsOnline')}
        to="/hosts"
        value={`${number(d.hosts.online ?? 0)} / ${number(hosts)}`}
        alarm={away > 0}
        more={
          away > 0
            ? (['offline', 'late', 'never'] as const)
                .filter((state) => (d.hosts[state] ?? 0) > 0)
                .map((state) => (
                  <Link key={state} to="/hosts" search={{ state } as never}>
                    {t(`hosts.${state}`, { count: d.hosts[state] })}
                  </Link>
                ))
            : t('allOnline')
        }
      />
      <Tile
        label={t('imagesStored')}
        to="/images"
        value={number(d.images)}
        more={
          <Link to="/images" search={{ inUse: 'yes' } as never}>
            {t('inUse', { count: d.inUse })}
          </Link>
        }
      />
      <Tile label={t('neverScanned')} to="/images" search={{ state: 'never' }} value={number(never)} alarm={never > 0} more={never > 0 ? t('neverScannedMore') : t('noneOfThem')} />
      <Tile
        label={t('failed')}
        to="/images"
        search={{ state: ['failed', 'unreadable'] }}
        value={number(unread)}
        alarm={unread > 0}
        more={
          partial > 0 ? (
            <Link to="/images" search={{ state: 'partial' } as never}>
              {t('partial', { count: partial })}
            </Link>
          ) : (
            t('failedMore')
          )
        }
      />
      <Tile label={t('stale')} to="/images" search={{ warning: 'stale' }} value={number(d.warnings.stale ?? 0)} alarm={(d.warnings.stale ?? 0) > 0} more={t('staleMore')} />
      <Tile
        label={t('kev', { ns: 'common' })}
        to="/vulnerabilities"
        search={{ kev: 'true' }}
        value={judged ? number(v.kev) : '–'}
        alarm={judged && v.kev > 0}
        more={judged ? t('nFindings', { ns: 'common', count: d.kev }) : t('notJudged')}
      />
      <Tile
        label={t('fixable', { ns: 'common' })}
        to="/vulnerabilities"
        search={{ fixable: 'true' }}
        value={judged ? number(v.fixable) : '–'}
        more={judged ? t('ofVulnerabilities', { count: all }) : t('notJudged')}
      />
      <Tile
        label={t('newVulnerabilities')}
        to="/vulnerabilities"
        search={{ since: String(at - day), sort: 'firstSeen' }}
        value={judged ? number(v.new) : '–'}
        more={judged ? t('sinceYesterday') : t('notJudged')}
      />
    </ul>
  )
}

interface TileProps {
  label: string
  to: string
  search?: Search
  value: string
  /** Wants a look. */
  alarm?: boolean
  more: ReactNode
}

function Tile({ label, to, search, value, alarm, more }: TileProps) {
  return (
    <li>
      <Link to={to} search={(search ?? {}) as never} className="tile">
        <span className="muted">{label}</span>
        <strong className={alarm ? 'number alarm' : 'number'}>{value}</strong>
      </Link>
      <span className="tile-more muted">{more}</span>
    </li>
  )
}
