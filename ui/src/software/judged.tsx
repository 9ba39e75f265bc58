// What is known against a package. No known vulnerability and nobody who would know
// of one are two things.
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { Counts } from '../parts/tags'

export function Judged({ counts, covered }: { counts: Schemas['Counts']; covered: boolean }) {
  const { t } = useTranslation('software')
  const some = Object.values(counts).some((n) => n > 0)
  return (
    <span className="row" style={{ flexWrap: 'nowrap' }}>
      {some && <Counts counts={counts} />}
      {!covered && (
        <span className="tag uncovered" title={t('uncoveredHint')}>
          <span aria-hidden="true">⊘</span>
          {t('uncovered')}
        </span>
      )}
      {covered && !some && (
        <span className="clean" title={t('cleanHint')}>
          <span aria-hidden="true">✓</span>{' '}
          {t('clean')}
        </span>
      )}
    </span>
  )
}
