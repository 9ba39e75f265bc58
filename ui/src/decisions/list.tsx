// Rules about findings, and everything that was ever decided.
import { Link } from '@tanstack/react-router'
import { Tabs } from 'antd'
import { useTranslation } from 'react-i18next'

import { textOf, type Schemas, type Search } from '../api'
import { useAddress } from '../list/address'
import type { Filter } from '../list/filters'
import { List, type Column } from '../list/list'
import { Clip } from '../parts/clip'
import { ExportButton } from '../parts/export'
import { Head } from '../parts/head'
import { Empty } from '../parts/problem'
import { Tag, useWord } from '../parts/tags'
import { Time, useNumber } from '../parts/time'
import { DecideButton } from './decide'
import { Documents } from './documents'
import { EndButton } from './end'
import { DecisionLink } from './events'
import { OneDecision } from './one'
import { useRuleWords } from './rule'
import { Ends, Hits, State } from './words'

type Decision = Schemas['Decision']
type Event = Schemas['DecisionEvent']

export function Decisions() {
  const { t } = useTranslation('decisions')
  const [search, change] = useAddress()
  const keys = [...useRuleFilters(), ...useEventFilters()].map((f) => f.key)
  return (
    <>
      <Head title={t('decisions', { ns: 'common' })}>
        <ExportButton request={{ kind: 'decisions' }} label={t('exportAll')} />
        <ExportButton request={{ kind: 'vex' }} label={t('exportVEX')} />
        <DecideButton target={{ rule: {} }} label={t('newRule')} primary />
      </Head>
      <Tabs
        activeKey={search.tab === 'history' || search.tab === 'vex' ? search.tab : 'rules'}
        destroyOnHidden
        onChange={(tab) => change({ ...Object.fromEntries(keys.map((key) => [key, undefined])), cursor: undefined, page: undefined, order: undefined, sort: undefined, document: undefined, tab: tab === 'rules' ? undefined : tab })}
        items={[
          { key: 'rules', label: t('rules'), children: <Rules search={search} change={change} /> },
          { key: 'vex', label: t('documents'), children: <Documents search={search} change={change} /> },
          { key: 'history', label: t('allHistory'), children: <History search={search} change={change} /> },
        ]}
      />
      <OneDecision id={textOf(search.decision)} close={() => change({ decision: undefined })} />
    </>
  )
}

interface Props {
  search: Search
  change: (patch: Search) => void
}

function useRuleFilters(): Filter[] {
  const { t } = useTranslation('decisions')
  const word = useWord()
  return [
    { key: 'q', label: t('searchRules'), kind: 'text' },
    { key: 'state', label: t('state'), kind: 'one', choices: (['active', 'expired', 'revoked'] as const).map((value) => ({ value, label: t(`state.${value}`) })) },
    { key: 'kind', label: t('kind'), kind: 'one', choices: ['whitelist', 'ignore', 'fixed'].map((value) => ({ value, label: word('decision', value) })) },
    { key: 'idle', label: t('idle'), kind: 'flag' },
    { key: 'document', label: t('ofDocument'), kind: 'text' },
  ]
}

function Rules({ search, change }: Props) {
  const { t } = useTranslation('decisions')
  const words = useRuleWords()
  const columns: Column<Decision>[] = [
    {
      key: 'scope',
      title: t('rule'),
      render: (d) => (
        <Link to="." search={((before: Search) => ({ ...before, decision: String(d.id) })) as never} resetScroll={false} className="clip" style={{ maxWidth: 360 }} title={words(d)}>
          {words(d)}
        </Link>
      ),
    },
    { key: 'kind', title: t('kind'), render: (d) => <Tag group="decision" value={d.kind} /> },
    { key: 'state', title: t('state'), render: (d) => <State decision={d} /> },
    { key: 'hits', title: t('hits'), numeric: true, render: (d) => <Hits decision={d} /> },
    { key: 'expires', title: t('expires'), render: (d) => <Ends decision={d} /> },
    { key: 'remark', title: t('remark'), render: (d) => <Clip text={d.remark} width={220} /> },
    { key: 'author', title: t('author'), render: (d) => <Clip text={d.author} width={140} /> },
    { key: 'created', title: t('created'), render: (d) => <Time at={d.created} /> },
    {
      key: 'actions',
      title: t('actions'),
      render: (d) =>
        d.state !== 'revoked' && (
          <span className="row" style={{ flexWrap: 'nowrap' }}>
            {!d.documentID && <DecideButton target={{ change: d }} small />}
            <EndButton of={() => Promise.resolve([d.id ?? 0])} small />
          </span>
        ),
    },
  ]
  return (
    <List<Decision>
      id="decisions"
      label={t('rules')}
      path="/api/v1/decisions"
      search={search}
      change={change}
      columns={columns}
      filters={useRuleFilters()}
      box="q"
      rowKey={(d) => d.id ?? 0}
      rowName={words}
      rowClass={(d) => (d.state === 'active' ? '' : 'handled')}
      actions={(selection) => (selection.all ? null : <EndButton of={() => Promise.resolve(selection.keys.map(Number))} done={selection.clear} />)}
      empty={<Empty title={t('noRules')} hint={t('noRulesHint')} action={<Link to="/vulnerabilities">{t('toVulnerabilities')}</Link>} />}
    />
  )
}

const actions = ['created', 'changed', 'revoked', 'expired'] as const

function useEventFilters(): Filter[] {
  const { t } = useTranslation('decisions')
  return [
    { key: 'vulnerability', label: t('vulnerabilityAny'), kind: 'text' },
    { key: 'user', label: t('user'), kind: 'text' },
    { key: 'action', label: t('action'), kind: 'one', choices: actions.map((value) => ({ value, label: t(`action.${value}`) })) },
  ]
}

/** Every step of every decision. */
export function History({ search, change, fixed }: Props & { fixed?: Search }) {
  const { t } = useTranslation('decisions')
  const words = useRuleWords()
  const number = useNumber()
  const columns: Column<Event>[] = [
    { key: 'at', title: t('when'), render: (e) => <Time at={e.at} precise /> },
    { key: 'user', title: t('user'), render: (e) => <Clip text={e.user ?? t('byItself')} width={160} /> },
    { key: 'action', title: t('action'), render: (e) => t(`action.${e.action}`) },
    { key: 'kind', title: t('kind'), render: (e) => e.rule && <Tag group="decision" value={e.rule.kind} /> },
    {
      key: 'rule',
      title: t('rule'),
      render: (e) => (
        <span className="clip" style={{ maxWidth: 460 }} title={e.rule && words(e.rule)}>
          <DecisionLink id={e.decision} text={e.rule && words(e.rule)} />
        </span>
      ),
    },
    { key: 'remark', title: t('remark'), render: (e) => <Clip text={e.remark} width={320} /> },
    { key: 'findings', title: t('hits'), numeric: true, render: (e) => (e.findings < 0 ? <span className="muted">–</span> : number(e.findings)) },
  ]
  const filters = useEventFilters().filter((f) => !(fixed && f.key in fixed))
  return (
    <List<Event>
      id="decision-events"
      label={t('allHistory')}
      path="/api/v1/decision-events"
      fixed={fixed}
      search={search}
      change={change}
      columns={columns}
      filters={filters}
      box={fixed ? undefined : 'vulnerability'}
      rowKey={(e) => e.id}
      rowName={(e) => String(e.id)}
      empty={<Empty title={t('noEvents')} />}
    />
  )
}
