// Whether an image was read, and when not: why, and what helps.
import { Popover } from 'antd'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { Reason, Tag } from '../parts/tags'
import { useNumber } from '../parts/time'

/** Whether the image was read at least once: else nobody knows what is in it. */
export function read(image: Pick<Schemas['Image'], 'risk'>): boolean {
  return image.risk !== 'unscanned'
}

/** Whether advisories were asked about what is in it: else its figures say nothing. */
export function judged(image: Pick<Schemas['Image'], 'risk' | 'evaluatedAt'>): boolean {
  return read(image) && image.evaluatedAt !== undefined
}

/** An image's risk. What nobody judged has no findings, and is not safe for that. */
export function Risk({ image }: { image: Pick<Schemas['Image'], 'risk' | 'evaluatedAt'> }) {
  const { t } = useTranslation('images')
  if (judged(image) || !read(image)) return <Tag group="risk" value={image.risk} />
  return (
    <span className="tag unknown" title={t('notJudgedHint')}>
      <span aria-hidden="true">?</span>
      {t('unjudged')}
    </span>
  )
}

/** Packages of a class, and how many of them nobody judges. */
export function judgement(image: Schemas['ImageDetail'], kind: 'system' | 'application') {
  const groups = (image.coverage ?? []).filter((group) => group.class === kind)
  const sum = (some: typeof groups) => some.reduce((all, group) => all + group.packages, 0)
  return { packages: sum(groups), uncovered: sum(groups.filter((group) => !group.ecosystem)) }
}

/** Stands where the figures of packages would be that nobody judges. */
export function Uncovered({ count }: { count?: number }) {
  const { t } = useTranslation('images')
  const number = useNumber()
  return (
    <span className="tag uncovered" title={t('uncoveredHint')}>
      <span aria-hidden="true">⊘</span>
      {count !== undefined && number(count)} {t('uncovered')}
    </span>
  )
}

/** The state of an image's last scan and of the one that is asked for. */
export function ScanState({ image }: { image: Pick<Schemas['Image'], 'state' | 'queue' | 'code' | 'detail'> }) {
  const { t, i18n } = useTranslation('reasons')
  const tags = (
    <span className="row" style={{ flexWrap: 'nowrap', gap: 4 }}>
      <Tag group="scan" value={image.state} />
      {image.queue && <Tag group="task" value={image.queue} />}
    </span>
  )
  if (!image.code) return tags
  const words = i18n.exists(image.code, { ns: 'reasons' }) ? t(image.code as 'limit') : image.code
  return (
    <span className="elastic" style={{ gridTemplateColumns: 'auto minmax(60px, max-content)' }}>
      {tags}
      <Popover content={<div style={{ maxWidth: 360 }}><Reason code={image.code} detail={image.detail} /></div>}>
        <span tabIndex={0} className="clip muted" style={{ maxWidth: 150 }}>
          {words}
        </span>
      </Popover>
    </span>
  )
}
