// Steps in the history of decisions: who did what, when and why.
import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { Tag } from '../parts/tags'
import { Time } from '../parts/time'
import { useRuleWords } from './rule'

type Event = Schemas['DecisionEvent']

/** Steps as a list, newest first. */
export function Events({ events }: { events: Event[] }) {
  const { t } = useTranslation('decisions')
  const words = useRuleWords()
  if (events.length === 0) return <span className="muted">{t('noEvents')}</span>
  return (
    <ol className="entries">
      {events.map((event) => (
        <li key={event.id}>
          <div className="row">
            <strong>{t(`action.${event.action}`)}</strong>
            {event.rule && <Tag group="decision" value={event.rule.kind} />}
            <span className="text">{event.user ?? t('byItself')}</span>
            <Time at={event.at} precise />
            <DecisionLink id={event.decision} />
          </div>
          {event.rule && <div className="text muted">{words(event.rule)}</div>}
          {event.remark && <div className="text">{event.remark}</div>}
          {event.findings >= 0 && <div className="muted">{t('handledThen', { count: event.findings })}</div>}
        </li>
      ))}
    </ol>
  )
}

/** Leads to one decision, or to all. */
export function DecisionLink({ id, text }: { id?: number; text?: string }) {
  const { t } = useTranslation('decisions')
  return (
    <Link to="/decisions" search={{ decision: id && String(id) } as never} className="clip" style={{ maxWidth: 'min(100%, 460px)' }} title={text}>
      {text ?? t('decisionOf', { id })}
    </Link>
  )
}
