// A VEX statement: what somebody says about a vulnerability in a product.
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { Time } from '../parts/time'
import { DecisionLink } from './events'

export function Statement({ statement: s, linked }: { statement: Schemas['VEXStatement']; linked?: boolean }) {
  const { t } = useTranslation('decisions')
  const facts = [
    [t('justification'), s.justification],
    [t('impact'), s.impact],
    [t('statedAction'), s.action],
    [t('document'), s.document],
    [t('products'), s.products?.join('\n')],
  ]
  return (
    <dl className="facts">
      <dt>{t('says')}</dt>
      <dd>
        <strong>{t(`vex.${s.status}`)}</strong>
      </dd>
      <dt>{t('documentAuthor')}</dt>
      <dd className="text">
        {s.author || '–'} {s.time && <Time at={s.time} precise />}
      </dd>
      {facts.map(
        ([name, value]) =>
          value && (
            <div key={name} style={{ display: 'contents' }}>
              <dt>{name}</dt>
              <dd className="text">{value}</dd>
            </div>
          ),
      )}
      {linked && s.decisionID && (
        <>
          <dt>{t('rule')}</dt>
          <dd>
            <DecisionLink id={s.decisionID} />
          </dd>
        </>
      )}
    </dl>
  )
}
