// The risk view: each vulnerability once, with all that it touches.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Button, Segmented, Tabs } from 'antd'
import { useTranslation } from 'react-i18next'

import { list, textOf, type Page, type Schemas, type Search } from '../api'
import { DecideButton } from '../decisions/decide'
import { useAddress } from '../list/address'
import type { Filter } from '../list/filters'
import { filterBody, List, type Column } from '../list/list'
import { Clip } from '../parts/clip'
import { ExportButton } from '../parts/export'
import { Head } from '../parts/head'
import { Empty, Problem } from '../parts/problem'
import { ScanButton } from '../parts/scan'
import { Marks, severities, useWord } from '../parts/tags'
import { Day, Time, useNumber } from '../parts/time'
import { Epss, Severity } from './rating'
import { useSuggestion } from './suggestion'

type Vulnerability = Schemas['Vulnerability']

export function Vulnerabilities() {
  const { t } = useTranslation('vulnerabilities')
  const word = useWord()
  const [search, change] = useAddress()
  const filters = useFilters()
  const kind = search.class === 'application' || search.class === 'system' ? search.class : undefined
  return (
    <>
      <Head title={t('vulnerabilities', { ns: 'common' })}>
        <ExportButton request={{ kind: 'vulnerabilities', vulnerabilities: filterBody(filters, search, { class: kind }) }} />
      </Head>
      <Tabs
        activeKey={kind ?? 'all'}
        destroyOnHidden
        onChange={(key) => change({ class: key === 'all' ? undefined : key, cursor: undefined, page: undefined })}
        items={[undefined, 'system' as const, 'application' as const].map((key) => ({
          key: key ?? 'all',
          label: key ? word('class', key) : t('shown.all'),
          children: <Class kind={key} filters={filters} search={search} change={change} />,
        }))}
      />
    </>
  )
}

interface Props {
  /** Undefined for both. */
  kind: Vulnerability['class'] | undefined
  filters: Filter[]
  search: Search
  change: (patch: Search) => void
}

function Class({ kind, filters, search, change }: Props) {
  const { t } = useTranslation('vulnerabilities')
  const columns = useColumns(kind === undefined)
  const handled = textOf(search.handled)
  return (
    <List<Vulnerability>
      id="vulnerabilities"
      label={t('vulnerabilities', { ns: 'common' })}
      path="/api/v1/vulnerabilities"
      fixed={kind && { class: kind }}
      search={search}
      change={change}
      columns={columns}
      filters={filters}
      box="q"
      sort="priority"
      rowKey={(v) => `${v.name} ${v.class}`}
      rowName={(v) => v.name}
      rowClass={(v) => (v.findings === 0 ? 'handled' : '')}
      tools={
        <Segmented
          aria-label={t('state')}
          value={handled === 'yes' ? 'handled' : handled === 'any' ? 'all' : 'open'}
          onChange={(value) => change({ handled: value === 'handled' ? 'yes' : value === 'all' ? 'any' : undefined, cursor: undefined, page: undefined })}
          options={(['open', 'handled', 'all'] as const).map((value) => ({ value, label: t(`shown.${value}`) }))}
        />
      }
      actions={(selection) => {
        const names = [...new Set(selection.keys.map((key) => String(key).replace(/ \w+$/, '')))] // without the class
        return selection.all ? (
          <DecideMatching filter={selection.filter} done={selection.clear} />
        ) : (
          <>
            <DecideButton target={{ rules: names.map((vulnerability) => ({ vulnerability })) }} done={selection.clear} />
            {names.length === 1 && <ScanButton request={{ filter: { vulnerability: names[0] }, force: true }} label={t('rescan')} done={selection.clear} />}
          </>
        )
      }}
      empty={<Empty title={t('noVulnerabilities')} hint={t('noFindingsHint')} action={<Link to="/images">{t('toImages')}</Link>} />}
    />
  )
}

const most = 1000 // rules that are made at once

/** Deciding about every vulnerability that the filters find: each gets a rule. */
function DecideMatching({ filter, done }: { filter: Search; done: () => void }) {
  const { t } = useTranslation('vulnerabilities')
  const names = useQuery({
    queryKey: ['vulnerabilities', 'names', filter],
    queryFn: async ({ signal }) => {
      const found: string[] = []
      for (let cursor: string | undefined = ''; cursor !== undefined && found.length <= most; ) {
        const page: Page<Vulnerability> = await list<Vulnerability>('/api/v1/vulnerabilities', { ...filter, limit: '500', cursor }, signal)
        found.push(...(page.items ?? []).map((v) => v.name))
        cursor = page.next
      }
      return [...new Set(found)]
    },
  })
  if (names.error) return <Problem error={names.error} retry={() => void names.refetch()} />
  if (!names.data) return <Button loading>{t('decideAll')}</Button>
  if (names.data.length > most) return <span>{t('tooManyRules', { most })}</span>
  return <DecideButton target={{ rules: names.data.map((vulnerability) => ({ vulnerability })) }} done={done} />
}

function useColumns(classes: boolean): Column<Vulnerability>[] {
  const { t } = useTranslation('vulnerabilities')
  const word = useWord()
  const number = useNumber()
  const suggestion = useSuggestion()
  return [
    {
      key: 'name',
      title: t('vulnerability'),
      sort: 'name',
      upwards: true,
      render: (v) => (
        <Link to="/vulnerabilities/$name" params={{ name: v.name }} search={{ class: v.class } as never} className="clip" style={{ maxWidth: 240 }} title={[v.name, ...(v.aliases ?? []), v.summary].filter(Boolean).join('\n')}>
          {v.name}
        </Link>
      ),
    },
    { key: 'severity', title: t('severity'), sort: 'priority', render: (v) => <Severity severity={v.severity} /> },
    { key: 'score', title: t('cvss'), sort: 'score', numeric: true, render: (v) => (v.score ? v.score.toFixed(1) : <span className="muted">–</span>) },
    { key: 'epss', title: t('epss'), sort: 'epss', numeric: true, render: (v) => <Epss score={v.epss} percentile={v.epssPercentile} /> },
    {
      key: 'kev',
      title: t('kev'),
      render: (v) =>
        v.kev || v.malicious ? (
          <span className="row" style={{ flexWrap: 'nowrap' }}>
            <Marks kev={v.kev} malicious={v.malicious} />
            {v.kevDue && (
              <span className="muted">
                {t('due')} <Day at={v.kevDue} />
              </span>
            )}
          </span>
        ) : (
          <span className="muted">–</span>
        ),
    },
    ...(classes ? [{ key: 'class', title: t('class'), render: (v: Vulnerability) => word('class', v.class) }] : []),
    { key: 'packages', title: t('packages'), render: (v) => <Clip text={v.packages?.join(', ')} width={220} /> },
    { key: 'fixable', title: t('fix'), render: (v) => (v.fixable ? <Marks fixable /> : <span className="muted">–</span>) },
    { key: 'images', title: t('images'), sort: 'images', numeric: true, render: (v) => number(v.images) },
    { key: 'hosts', title: t('hosts'), numeric: true, render: (v) => number(v.hosts) },
    { key: 'containers', title: t('running'), numeric: true, render: (v) => number(v.containers) },
    { key: 'findings', title: t('openFindings'), sort: 'findings', numeric: true, render: (v) => number(v.findings) },
    { key: 'handled', title: t('handled'), numeric: true, render: (v) => number(v.handled) },
    { key: 'suggestion', title: t('suggestion'), render: (v) => <Clip text={suggestion(v.suggestion)} width={280} /> },
    { key: 'firstSeen', title: t('firstSeen'), sort: 'firstSeen', render: (v) => <Time at={v.firstSeen} /> },
    { key: 'lastSeen', title: t('lastSeen'), optional: true, render: (v) => <Time at={v.lastSeen} /> },
    { key: 'published', title: t('published'), sort: 'published', optional: true, render: (v) => <Time at={v.published} /> },
    { key: 'aliases', title: t('aliases'), optional: true, render: (v) => <Clip text={v.aliases?.join(', ')} width={260} /> },
    { key: 'summary', title: t('summary'), optional: true, render: (v) => <Clip text={v.summary} width={360} /> },
  ]
}

function useFilters(): Filter[] {
  const { t } = useTranslation('vulnerabilities')
  const word = useWord()
  return [
    { key: 'q', label: t('searchVulnerabilities'), kind: 'text' },
    { key: 'severity', label: t('severity'), kind: 'many', choices: severities.map((value) => ({ value, label: word('severity', value) })) },
    { key: 'kev', label: t('kevOnly'), kind: 'flag' },
    { key: 'fixable', label: t('fixableOnly'), kind: 'flag' },
    { key: 'package', label: t('packageExact'), kind: 'text' },
    {
      key: 'handled',
      label: t('state'),
      kind: 'one',
      choices: [
        { value: 'no', label: t('shown.open') },
        { value: 'yes', label: t('shown.handled') },
        { value: 'any', label: t('shown.all') },
      ],
    },
    { key: 'host', label: t('host'), kind: 'host' },
    { key: 'label', label: t('hostLabel'), kind: 'text', hint: t('labelHint') },
    { key: 'since', label: t('since'), kind: 'since' },
  ]
}
