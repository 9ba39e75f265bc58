// Advisories that were active, and what each changed.
import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { useOwnSearch } from '../list/address'
import type { Filter } from '../list/filters'
import { List, type Column } from '../list/list'
import { Digest } from '../parts/copy'
import { Empty } from '../parts/problem'
import { Tag } from '../parts/tags'
import { Time, useNumber } from '../parts/time'

type Generation = Schemas['Generation']
type Change = Schemas['Change']

export function Generations() {
  const { t } = useTranslation('settings')
  const [search, change] = useOwnSearch()
  const number = useNumber()
  // Whoever sees a part of the fleet is not told counts of all of it.
  const count = (n: number) => (n < 0 ? '–' : number(n))
  const columns: Column<Generation>[] = [
    { key: 'activated', title: t('activated'), render: (g) => <Time at={g.activated} precise /> },
    {
      key: 'built',
      title: t('newestRecord'),
      render: (g) => (
        <span className="row" style={{ flexWrap: 'nowrap' }}>
          <Time at={g.built} precise absent={t('unknown', { ns: 'common' })} />
          {g.sample && <span className="tag medium">{t('sample')}</span>}
        </span>
      ),
    },
    { key: 'advisories', title: t('advisories'), numeric: true, render: (g) => number(g.advisories) },
    { key: 'newFindings', title: t('newFindings'), numeric: true, render: (g) => count(g.newFindings) },
    { key: 'goneFindings', title: t('goneFindings'), numeric: true, render: (g) => count(g.goneFindings) },
    { key: 'software', title: t('judged'), numeric: true, render: (g) => count(g.software) },
    { key: 'evaluated', title: t('evaluated'), optional: true, render: (g) => <Time at={g.evaluated} precise absent={t('notYet')} /> },
    { key: 'newMatches', title: t('newMatches'), optional: true, numeric: true, render: (g) => count(g.newMatches) },
    { key: 'goneMatches', title: t('goneMatches'), optional: true, numeric: true, render: (g) => count(g.goneMatches) },
    { key: 'digest', title: t('digest'), optional: true, render: (g) => <Digest value={g.digest} copy /> },
  ]
  return (
    <List<Generation>
      id="generations"
      label={t('generations')}
      path="/api/v1/generations"
      search={search}
      change={change}
      columns={columns}
      rowKey={(g) => g.id}
      rowName={(g) => g.activated}
      expand={(g) => <Changes generation={g.id} />}
    />
  )
}

function Changes({ generation }: { generation: number }) {
  const { t } = useTranslation('settings')
  const [search, change] = useOwnSearch()
  const number = useNumber()
  const columns: Column<Change>[] = [
    { key: 'kind', title: t('change'), render: (c) => <span className={`tag ${c.kind === 'new' ? 'high' : c.kind === 'gone' ? 'safe' : ''}`}>{t(`change.${c.kind}`)}</span> },
    {
      key: 'vulnerability',
      title: t('vulnerability'),
      render: (c) => (
        <Link to="/vulnerabilities/$name" params={{ name: c.vulnerability }} className="clip" style={{ maxWidth: 220 }}>
          {c.vulnerability}
        </Link>
      ),
    },
    { key: 'severity', title: t('severity'), render: (c) => <Tag group="severity" value={c.severity} /> },
    { key: 'package', title: t('package'), render: (c) => <span className="clip" style={{ maxWidth: 260 }} title={`${c.package} ${c.version}`}>{`${c.type} ${c.package} ${c.version}`}</span> },
    { key: 'images', title: t('images', { ns: 'common' }), numeric: true, render: (c) => number(c.images) },
    { key: 'reason', title: t('reason'), render: (c) => <span className="clip" style={{ maxWidth: 360 }} title={c.reason}>{c.reason}</span> },
  ]
  const filters: Filter[] = [{ key: 'kind', label: t('change'), kind: 'one', choices: (['new', 'gone', 'changed'] as const).map((value) => ({ value, label: t(`change.${value}`) })) }]
  return (
    <List<Change>
      id="changes"
      label={t('changes')}
      path={`/api/v1/generations/${generation}/changes`}
      search={search}
      change={change}
      columns={columns}
      filters={filters}
      rowKey={(c) => `${c.kind} ${c.vulnerability} ${c.type} ${c.package} ${c.version}`}
      rowName={(c) => c.vulnerability}
      empty={<Empty title={t('noChanges')} hint={t('noChangesHint')} />}
    />
  )
}
