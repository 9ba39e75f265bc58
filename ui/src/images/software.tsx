// Packages in an image, each at its place.
import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { useAddress } from '../list/address'
import type { Filter } from '../list/filters'
import { List, type Column } from '../list/list'
import { Clip } from '../parts/clip'
import { Empty } from '../parts/problem'
import { Time } from '../parts/time'
import { Judged } from '../software/judged'
import { useLayerName } from './layers'
import { judged } from './state'

type Package = Schemas['Installed']

export function Installed({ image }: { image: Schemas['ImageDetail'] }) {
  const { t } = useTranslation('images')
  const [search, change] = useAddress()
  const columns = useColumns(image)
  const filters = useFilters(image)
  return (
    <List<Package>
      id="installed"
      label={t('software', { ns: 'common' })}
      path={`/api/v1/images/${image.id}/software`}
      search={search}
      change={change}
      columns={columns}
      filters={filters}
      box="q"
      sort="name"
      rowKey={(p) => p.instanceID}
      rowName={(p) => `${p.name} ${p.version}`}
      empty={<Empty title={t('noPackages')} hint={t('noPackagesHint')} />}
    />
  )
}

function useColumns(image: Schemas['ImageDetail']): Column<Package>[] {
  const { t } = useTranslation('images')
  const layerName = useLayerName()
  return [
    {
      key: 'name',
      title: t('package'),
      sort: 'name',
      upwards: true,
      render: (p) => (
        <Link to="/software/places" search={{ name: p.name, type: p.type } as never} className="clip" style={{ maxWidth: 280 }} title={p.name}>
          {p.name}
        </Link>
      ),
    },
    { key: 'version', title: t('version'), render: (p) => <Clip text={p.version} width={180} mono /> },
    { key: 'type', title: t('type'), render: (p) => p.type },
    {
      key: 'vulnerabilities',
      title: t('vulnerabilities', { ns: 'common' }),
      render: (p) => (judged(image) ? <Judged counts={p.vulnerabilities} covered={p.covered} /> : <span className="muted">–</span>),
    },
    { key: 'path', title: t('path'), render: (p) => <Clip text={p.path} width={300} mono /> },
    {
      key: 'layer',
      title: t('layer'),
      render: (p) => {
        const layer = image.stack?.[p.layerIndex]
        return (
          <span className="row" style={{ flexWrap: 'nowrap', gap: 4 }} title={layer && layerName(layer, p.layerIndex)}>
            <span className="number">{p.layerIndex < 0 ? '–' : p.layerIndex + 1}</span>
            {p.layerIndex >= 0 && <span className="muted">{p.base ? t('baseLayer') : t('ownLayer')}</span>}
          </span>
        )
      },
    },
    { key: 'license', title: t('license'), render: (p) => <Clip text={p.licenses?.join(', ')} width={180} /> },
    {
      key: 'evidence',
      title: t('evidence'),
      optional: true,
      render: (p) => (
        <span className="row" style={{ flexWrap: 'nowrap', gap: 4 }}>
          {t(`evidence.${p.evidence}` as 'evidence.sbom', { defaultValue: p.evidence })}
          {p.dev && <span className="tag">{t('dev')}</span>}
        </span>
      ),
    },
    { key: 'source', title: t('source'), optional: true, render: (p) => <Clip text={p.source} width={200} mono /> },
    { key: 'supplier', title: t('supplier'), optional: true, render: (p) => <Clip text={p.supplier || p.origin} width={200} /> },
    { key: 'owner', title: t('owner'), optional: true, render: (p) => <Clip text={p.owner} width={200} /> },
    { key: 'arch', title: t('arch'), optional: true, render: (p) => <Clip text={p.arch} /> },
    { key: 'system', title: t('system'), optional: true, render: (p) => <Clip text={p.system} /> },
    { key: 'purl', title: t('purl'), optional: true, render: (p) => <Clip text={p.purl} width={320} mono /> },
    { key: 'remark', title: t('remark'), optional: true, render: (p) => <Clip text={p.remark} width={320} /> },
    { key: 'firstSeen', title: t('firstSeen'), optional: true, render: (p) => <Time at={p.firstSeen} /> },
  ]
}

function useFilters(image: Schemas['ImageDetail']): Filter[] {
  const { t } = useTranslation('images')
  const layerName = useLayerName()
  return [
    { key: 'q', label: t('searchPackages'), kind: 'text' },
    { key: 'affected', label: t('affected'), kind: 'flag' },
    {
      key: 'covered',
      label: t('covered'),
      kind: 'one',
      choices: [
        { value: 'yes', label: t('yes', { ns: 'common' }) },
        { value: 'no', label: t('no', { ns: 'common' }) },
      ],
    },
    { key: 'layer', label: t('layer'), kind: 'one', choices: (image.stack ?? []).map((layer, at) => ({ value: layer.diffID, label: layerName(layer, at) })) },
    { key: 'type', label: t('type'), kind: 'text', hint: 'deb, rpm, apk, npm, maven, go …' },
    { key: 'name', label: t('exactName'), kind: 'text' },
    { key: 'version', label: t('version'), kind: 'text' },
    { key: 'below', label: t('below'), kind: 'text', hint: t('needsName') },
    { key: 'atLeast', label: t('atLeast'), kind: 'text', hint: t('needsName') },
    { key: 'path', label: t('path'), kind: 'text', hint: 'usr/lib/*' },
    { key: 'license', label: t('license'), kind: 'text' },
    { key: 'purl', label: t('purl'), kind: 'text', hint: 'pkg:npm/' },
  ]
}

