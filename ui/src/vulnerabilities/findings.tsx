// Findings: a vulnerability in a package at its place in an image.
import { Link } from '@tanstack/react-router'
import { Segmented } from 'antd'
import { useTranslation } from 'react-i18next'

import { list, listOf, numberOf, textOf, type Schemas, type Search } from '../api'
import { DecideButton } from '../decisions/decide'
import { EndButton } from '../decisions/end'
import { ImageName } from '../images/name'
import { useAddress } from '../list/address'
import type { Filter } from '../list/filters'
import { filterBody, List, type Column } from '../list/list'
import { Clip } from '../parts/clip'
import { ExportButton } from '../parts/export'
import { Empty } from '../parts/problem'
import { findingStates, Marks, severities, Tag, useWord } from '../parts/tags'
import { Time } from '../parts/time'
import { Evidence } from './evidence'
import { Epss, Severity } from './rating'

type Finding = Schemas['Finding']

interface Props {
  /** Whose findings: an image, a vulnerability. */
  fixed: Search
  /** The column that the page itself says. */
  without: 'image' | 'vulnerability'
}

const handledStates = findingStates.filter((state) => state !== 'open')

export function Findings({ fixed, without }: Props) {
  const { t } = useTranslation('vulnerabilities')
  const [search, change] = useAddress()
  const filters = useFilters().filter((f) => !(f.key in fixed))
  const columns = useColumns(without)
  /** The filters as a body of the API. */
  const body = (from: Search): Schemas['FindingFilter'] => filterBody(filters, from, { ...fixed, ...('image' in fixed && { image: numberOf(fixed.image) }) })
  const states = listOf(search.state)
  const shown = states.length === 0 || states.join() === 'open' ? 'open' : states.length === findingStates.length ? 'all' : states.includes('open') ? '' : 'handled'
  return (
    <>
      <List<Finding>
        id={`findings.${without}`}
        label={t('findings')}
        path="/api/v1/findings"
        fixed={fixed}
        search={search}
        change={change}
        columns={columns}
        filters={filters}
        box="package"
        sort="priority"
        rowKey={(f) => f.id}
        rowName={(f) => `${f.vulnerability} ${f.package} ${f.image}`}
        rowClass={(f) => (f.state === 'open' ? '' : 'handled')}
        tools={
          <>
            <Segmented
              aria-label={t('state')}
              value={shown}
              onChange={(value) => change({ state: value === 'all' ? [...findingStates] : value === 'handled' ? handledStates : undefined, cursor: undefined, page: undefined })}
              options={(['open', 'handled', 'all'] as const).map((value) => ({ value, label: t(`shown.${value}`) }))}
            />
            <ExportButton request={{ kind: 'findings', findings: body(search) }} />
          </>
        }
        actions={(selection) => {
          const ids = selection.keys.map(String)
          return (
            <>
              <DecideButton target={selection.all ? { filter: body(selection.filter) } : { findings: ids }} done={selection.clear} />
              {!selection.all && shown !== 'open' && <EndButton label={t('reopen')} of={() => decisionsOf(ids)} done={selection.clear} />}
              <ExportButton request={{ kind: 'findings', findings: selection.all ? body(selection.filter) : { ids, state: [...findingStates] } }} label={t('exportSelected')} />
            </>
          )
        }}
        empty={<Empty title={t('noFindings')} hint={t('noFindingsHint')} />}
      />
      <Evidence without={without} id={textOf(search.finding)} close={() => change({ finding: undefined })} />
    </>
  )
}

const most = 100 // IDs that one address holds

/** The decisions that handle these findings. */
async function decisionsOf(ids: string[]): Promise<number[]> {
  const found = new Set<number>()
  for (let at = 0; at < ids.length; at += most) {
    const page = await list<Finding>('/api/v1/findings', { ids: ids.slice(at, at + most), state: handledStates, limit: String(most) })
    page.items?.forEach((f) => f.decisions?.forEach((d) => found.add(d.decisionID)))
  }
  return [...found]
}

function useColumns(without: Props['without']): Column<Finding>[] {
  const { t } = useTranslation('vulnerabilities')
  const word = useWord()
  /** What opens the evidence is the first thing that a row says. */
  const opens = (f: Finding, text: string) => (
    <Link to="." search={((before: Search) => ({ ...before, finding: f.id })) as never} resetScroll={false} className="clip" style={{ maxWidth: 280 }} title={`${text}\n${t('openEvidence')}`}>
      {text}
    </Link>
  )
  const columns: Column<Finding>[] = [
    { key: 'vulnerability', title: t('vulnerability'), render: (f) => opens(f, f.vulnerability) },
    { key: 'severity', title: t('severity'), sort: 'priority', render: (f) => <Severity severity={f.severity} score={f.score} source={f.severitySource} /> },
    { key: 'epss', title: t('epss'), numeric: true, render: (f) => <Epss score={f.epss} /> },
    { key: 'kev', title: t('kev'), render: (f) => (f.kev || f.malicious ? <Marks kev={f.kev} malicious={f.malicious} /> : <span className="muted">–</span>) },
    {
      key: 'package',
      title: t('package'),
      render: (f) => (
        <span className="row" style={{ flexWrap: 'nowrap' }}>
          {without === 'vulnerability' ? (
            opens(f, f.package)
          ) : (
            <Clip text={f.package} />
          )}
          <span className="muted">{f.type}</span>
        </span>
      ),
    },
    { key: 'version', title: t('installed'), render: (f) => <Clip text={f.version} width={160} mono /> },
    { key: 'fix', title: t('fixedIn'), render: (f) => (f.fixedVersion ? <Clip text={f.fixedVersion} width={160} mono /> : <span className="muted">{word('fix', f.fix)}</span>) },
    { key: 'image', title: t('image'), render: (f) => <ImageName id={f.imageID} names={[f.image]} digest={f.digest} /> },
    { key: 'path', title: t('path'), render: (f) => <Clip text={f.path} width={280} mono /> },
    { key: 'layer', title: t('layer'), numeric: true, render: (f) => (f.layerIndex >= 0 ? <span title={f.layer}>{f.layerIndex + 1}</span> : <span className="muted">–</span>) },
    {
      key: 'state',
      title: t('state'),
      render: (f) => (
        <span className="row" style={{ flexWrap: 'nowrap' }}>
          <Tag group="finding" value={f.state} />
          {f.status !== 'affected' && <span className="tag">{word('status', f.status)}</span>}
        </span>
      ),
    },
    { key: 'firstSeen', title: t('firstSeen'), sort: 'firstSeen', render: (f) => <Time at={f.firstSeen} /> },
    { key: 'summary', title: t('summary'), optional: true, render: (f) => (<Clip text={f.summary} width={360} />) },
    { key: 'class', title: t('class'), optional: true, render: (f) => word('class', f.class) },
  ]
  return columns.filter((c) => c.key !== without)
}

const fixStates = ['fixed', 'not-fixed', 'deferred', 'will-not-fix', 'end-of-life', 'extended-only', 'under-investigation'] as const

function useFilters(): Filter[] {
  const { t } = useTranslation('vulnerabilities')
  const word = useWord()
  const words = (group: string, values: readonly string[]) => values.map((value) => ({ value, label: word(group, value) }))
  return [
    { key: 'package', label: t('packageExact'), kind: 'text' },
    { key: 'vulnerability', label: t('vulnerabilityAny'), kind: 'text' },
    { key: 'severity', label: t('severity'), kind: 'many', choices: words('severity', severities) },
    { key: 'kev', label: t('kevOnly'), kind: 'flag' },
    { key: 'fixable', label: t('fixableOnly'), kind: 'flag' },
    { key: 'fix', label: t('fixState'), kind: 'one', choices: words('fix', fixStates) },
    { key: 'state', label: t('state'), kind: 'many', choices: words('finding', findingStates) },
    { key: 'class', label: t('class'), kind: 'one', choices: words('class', ['system', 'application']) },
    { key: 'type', label: t('type'), kind: 'text', hint: t('typeHint') },
    { key: 'path', label: t('path'), kind: 'text', hint: t('pathHint') },
    {
      key: 'base',
      label: t('layer'),
      kind: 'one',
      choices: [
        { value: 'yes', label: t('baseLayer') },
        { value: 'no', label: t('ownLayer') },
      ],
    },
    { key: 'repository', label: t('repository'), kind: 'text', hint: t('repositoryHint') },
    { key: 'host', label: t('host'), kind: 'host' },
    { key: 'label', label: t('hostLabel'), kind: 'text', hint: t('labelHint') },
    { key: 'since', label: t('since'), kind: 'since' },
  ]
}
