import { Link } from '@tanstack/react-router'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import { textOf, type Schemas, type Search } from '../api'
import { useAddress } from '../list/address'
import type { Filter } from '../list/filters'
import { filterBody, List, type Column } from '../list/list'
import { Clip } from '../parts/clip'
import { ExportButton } from '../parts/export'
import { Head } from '../parts/head'
import { ClusterOutlined } from '../parts/icons'
import { Empty } from '../parts/problem'
import { Time, useNumber } from '../parts/time'
import { useMe } from '../session'
import { Ask } from './ask'
import { Judged } from './judged'
import { exactly, identity } from './question'

type Package = Schemas['Software']

export function Software() {
  const { t } = useTranslation('software')
  const [search, change] = useAddress()
  const columns = useColumns()
  const filters = useFilters()
  const [answered, setAnswered] = useState(false) // the form begins anew then, and whoever typed goes on there
  const asked: Search = Object.fromEntries(identity.filter((key) => key !== 'system').map((key) => [key, textOf(search[key]) || undefined]))
  const some = Object.values(asked).some((value) => value !== undefined)
  return (
    <>
      <Head title={t('software', { ns: 'common' })}>
        <ExportButton request={{ kind: 'software', software: filterBody(filters, search, asked) }} />
      </Head>
      <div className="stack">
        <Ask
          key={JSON.stringify(asked)}
          focused={answered}
          search={search}
          change={(patch) => {
            setAnswered(true)
            change(patch)
          }}
        />
        <List<Package>
          id="software"
          label={t('software', { ns: 'common' })}
          path="/api/v1/software"
          fixed={asked}
          search={search}
          change={change}
          columns={columns}
          filters={filters}
          sort="name"
          rowKey={(p) => p.id}
          rowName={(p) => `${p.name} ${p.version}`}
          tools={
            (asked.name ?? asked.q) && (
              <Link to="/software/places" search={{ ...asked, ...Object.fromEntries(filters.map((f) => [f.key, search[f.key]])) } as never}>
                <ClusterOutlined /> {t('whereIsIt')}
              </Link>
            )
          }
          empty={some ? <Empty title={t('nobodyHas')} hint={t('nobodyHasHint')} /> : <Empty title={t('noSoftware')} hint={t('noSoftwareHint')} action={<Link to="/images">{t('toImages')}</Link>} />}
        />
      </div>
    </>
  )
}

/** A package's name as a link to where it is. */
function Name({ of: p }: { of: Package }) {
  return (
    <Link to="/software/places" search={exactly(p) as never} className="clip" style={{ maxWidth: 320 }} title={p.name}>
      {p.name}
    </Link>
  )
}

export function useColumns(): Column<Package>[] {
  const { t } = useTranslation('software')
  const number = useNumber()
  const scoped = (useMe()?.labels?.length ?? 0) > 0 // the console sorts by images of the whole fleet only
  return [
    { key: 'name', title: t('name'), sort: 'name', upwards: true, render: (p) => <Name of={p} /> },
    { key: 'version', title: t('version'), render: (p) => <Clip text={p.version} width={200} /> },
    { key: 'type', title: t('type'), render: (p) => p.type },
    { key: 'findings', title: t('findings'), sort: 'risk', render: (p) => <Judged counts={p.vulnerabilities} covered={p.covered} /> },
    { key: 'images', title: t('images'), sort: scoped ? undefined : 'images', numeric: true, render: (p) => number(p.images) },
    { key: 'system', title: t('system'), render: (p) => <Clip text={p.system} width={160} /> },
    { key: 'licences', title: t('licences'), render: (p) => <Clip text={p.licenses?.join(', ')} width={180} /> },
    { key: 'supplier', title: t('supplier'), render: (p) => <Clip text={[p.supplier, p.origin].filter(Boolean).join(' · ')} width={180} /> },
    { key: 'firstSeen', title: t('firstSeen'), sort: 'firstSeen', render: (p) => <Time at={p.firstSeen} /> },
    { key: 'arch', title: t('arch'), optional: true, render: (p) => <Clip text={p.arch} width={80} /> },
    { key: 'source', title: t('source'), optional: true, render: (p) => <Clip text={p.source} width={200} /> },
    { key: 'purl', title: t('purl'), optional: true, render: (p) => <Clip text={p.purl} width={320} mono /> },
  ]
}

function useFilters(): Filter[] {
  const { t } = useTranslation('software')
  return [
    { key: 'affected', label: t('affected'), kind: 'flag' },
    {
      key: 'covered',
      label: t('coverage'),
      kind: 'one',
      choices: [
        { value: 'yes', label: t('covered') },
        { value: 'no', label: t('uncovered') },
      ],
    },
    { key: 'system', label: t('system'), kind: 'text', hint: t('systemHint') },
    { key: 'license', label: t('licence'), kind: 'text' },
    { key: 'path', label: t('path'), kind: 'text', hint: t('pathHint') },
    { key: 'purl', label: t('purl'), kind: 'text', hint: t('purlHint') },
    { key: 'host', label: t('host'), kind: 'host' },
    { key: 'label', label: t('label'), kind: 'text', hint: t('labelHint') },
  ]
}
