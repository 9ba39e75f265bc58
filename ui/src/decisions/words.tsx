// What a decision is now: in force or not, how much it handles, when it ends.
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { Time, useNumber } from '../parts/time'

type Props = { decision: Schemas['Decision'] }

const marks = { active: ['●', 'safe'], expired: ['○', ''], revoked: ['✕', ''] } as const

export function State({ decision: d }: Props) {
  const { t } = useTranslation('decisions')
  const state = d.state ?? 'active'
  const [shape, colour] = marks[state]
  return (
    <span className={`tag ${colour}`}>
      <span aria-hidden="true">{shape}</span>
      {t(`state.${state}`)}
    </span>
  )
}

/** Findings that it handles. One in force that handles none is worth a look. */
export function Hits({ decision: d }: Props) {
  const { t } = useTranslation('decisions')
  const number = useNumber()
  if (d.state === 'active' && !d.hits) {
    return (
      <span className="tag medium" title={t('idleHint')}>
        <span aria-hidden="true">⚠</span>
        {t('idle')}
      </span>
    )
  }
  return number(d.hits ?? 0)
}

export function Ends({ decision: d }: Props) {
  const { t } = useTranslation('decisions')
  return (
    <span className="row" style={{ flexWrap: 'nowrap' }}>
      {d.revoked ? (
        <>
          {t('state.revoked')} <Time at={d.revoked} />
        </>
      ) : (
        <Time at={d.expires} absent={t('expires.never')} />
      )}
      {d.untilFix && <span className="tag">{t('untilFix')}</span>}
    </span>
  )
}
