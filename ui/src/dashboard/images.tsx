import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { risks, useWord } from '../parts/tags'
import { Shares } from './shares'

/** From what was read to what was not. */
const states = ['succeeded', 'partial', 'failed', 'unreadable', 'never'] as const

/** Images by the worst that was found in them, and by how far they were read. */
export function Images({ d }: { d: Schemas['Dashboard'] }) {
  const { t } = useTranslation('dashboard')
  const word = useWord()
  const worst = risks.filter((risk) => (d.risks[risk] ?? 0) > 0 || risk === 'critical' || risk === 'safe')
  const read = states.filter((state) => (d.imageStates[state] ?? 0) > 0 || state === 'never')
  return (
    <section className="card slim">
      <h2>{t('images', { ns: 'common' })}</h2>
      {d.database.current && ( // without advisories nothing is found, which is not safety
        <div className="part">
          <h3>{t('byRisk')}</h3>
          <Shares to="/images" label={t('byRisk')} shares={worst.map((risk) => ({ value: risk, label: word('risk', risk), count: d.risks[risk] ?? 0, search: { risk } }))} />
        </div>
      )}
      <div className="part">
        <h3>{t('byState')}</h3>
        <Shares to="/images" label={t('byState')} shares={read.map((state) => ({ value: state, label: word('scan', state), count: d.imageStates[state] ?? 0, search: { state } }))} />
      </div>
    </section>
  )
}
