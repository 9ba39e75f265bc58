// Layers of an image: which build step made each, and what it brought.
import { Link } from '@tanstack/react-router'
import { Button, Table } from 'antd'
import { useTranslation } from 'react-i18next'

import { textOf, type Schemas } from '../api'
import { useAddress } from '../list/address'
import { Digest } from '../parts/copy'
import { CloseOutlined } from '../parts/icons'
import { useBytes, useNumber } from '../parts/time'
import { read } from './state'

type Image = Schemas['ImageDetail']
type Layer = Schemas['Layer']

/** "3: RUN make", as far as one line holds it. */
export function useLayerName() {
  const { t } = useTranslation('images')
  return (layer: Layer, at: number) => `${at + 1}: ${(layer.createdBy || t('stepUnknown')).slice(0, 200)}`
}

export function Layers({ image }: { image: Image }) {
  const { t } = useTranslation('images')
  const bytes = useBytes()
  const known = read(image)
  const rows = (image.stack ?? []).map((layer, at) => ({ ...layer, at }))
  const empty = image.history?.filter((step) => step.emptyLayer) ?? []
  return (
    <div className="stack">
      <p className="muted" style={{ margin: 0 }}>
        {t('layersHint')}
      </p>
      <div className="list list-box">
        <Table
          aria-label={t('layers')}
          size="small"
          pagination={false}
          rowKey="at"
          dataSource={rows}
          columns={[
            { key: 'at', title: '#', align: 'right', className: 'number', render: (_, l) => l.at + 1 },
            {
              key: 'step',
              title: t('step'),
              width: '60%',
              render: (_, l) => (l.createdBy ? <span className="text mono step">{l.createdBy}</span> : <span className="muted">{t('stepUnknown')}</span>),
            },
            { key: 'base', title: t('whose'), render: (_, l) => <span className="tag">{l.base ? t('baseLayer') : t('ownLayer')}</span> },
            { key: 'packages', title: t('packages'), align: 'right', className: 'number', render: (_, l) => (known ? <PackagesOfLayer layer={l} /> : <span className="muted">–</span>) },
            {
              key: 'findings',
              title: t('findingsOpen'),
              align: 'right',
              className: 'number',
              render: (_, l) => <FindingsOfLayer image={image} layer={l} known={known} />,
            },
            { key: 'size', title: t('size'), align: 'right', className: 'number', render: (_, l) => (l.size ? bytes(l.size) : '–') },
            { key: 'diffID', title: t('diffID'), render: (_, l) => <Digest value={l.diffID} copy /> },
          ]}
        />
      </div>
      {empty.length > 0 && (
        <details className="card">
          <summary>{t('emptySteps', { count: empty.length })}</summary>
          <ol className="entries">
            {empty.map((step, i) => (
              <li key={i} className="text mono">
                {step.createdBy || step.comment}
              </li>
            ))}
          </ol>
        </details>
      )}
    </div>
  )
}

function PackagesOfLayer({ layer }: { layer: Layer }) {
  const { t } = useTranslation('images')
  const number = useNumber()
  if (layer.packages === 0) return '0'
  return (
    <Link to="." search={{ tab: 'software', layer: layer.diffID } as never} aria-label={`${number(layer.packages)} ${t('packages')}`}>
      {number(layer.packages)}
    </Link>
  )
}

/** Findings of a layer lie in two parts of the page. */
function FindingsOfLayer({ image, layer, known }: { image: Image; layer: Layer; known: boolean }) {
  const { t } = useTranslation('images')
  const number = useNumber()
  if (!known) return <span className="muted">–</span>
  if (layer.findings === 0) return '0'
  const sum = (counts: Schemas['Counts']) => Object.values(counts).reduce((all, n) => all + n, 0)
  const parts = [
    { tab: 'system', label: t('systemFindings'), some: sum(image.systemFindings) > 0 },
    { tab: 'application', label: t('applicationFindings'), some: sum(image.applicationFindings) > 0 },
  ].filter((part) => part.some)
  return (
    <span className="row" style={{ justifyContent: 'flex-end', flexWrap: 'nowrap' }}>
      {number(layer.findings)}
      {parts.map((part) => (
        <Link key={part.tab} to="." search={{ tab: part.tab, layer: layer.diffID } as never} title={part.label}>
          {t(part.tab === 'system' ? 'class.system' : 'class.application', { ns: 'common' })}
        </Link>
      ))}
    </span>
  )
}

/** Says that a list shows what one layer brought, and lets go of it. */
export function ByLayer({ image }: { image: Image }) {
  const { t } = useTranslation('images')
  const name = useLayerName()
  const [search, change] = useAddress()
  const diff = textOf(search.layer)
  if (!diff) return null
  const at = image.stack?.findIndex((layer) => layer.diffID === diff) ?? -1
  const layer = image.stack?.[at]
  return (
    <div className="selection">
      <span className="clip" title={layer?.createdBy}>
        {t('ofLayer', { layer: layer ? name(layer, at) : diff })}
      </span>
      <Button
        type="text"
        size="small"
        icon={<CloseOutlined />}
        aria-label={t('removeFilter', { name: t('layer'), ns: 'common' })}
        onClick={() => change({ layer: undefined, cursor: undefined, page: undefined })}
      />
    </div>
  )
}
