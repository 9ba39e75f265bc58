// What to do about an image: the fewest upgrades that clear the most, as commands.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Table } from 'antd'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { Command } from '../parts/copy'
import { Clip } from '../parts/clip'
import { Empty, Loaded } from '../parts/problem'
import { Tag, useWord } from '../parts/tags'
import { useNumber } from '../parts/time'

type Plan = Schemas['Plan']
type Part = Schemas['PlanPart']
type Step = Schemas['PlanStep']

export function PlanOf({ image }: { image: Schemas['ImageDetail'] }) {
  const { t } = useTranslation('images')
  const plan = useQuery({
    queryKey: ['images', 'one', String(image.id), 'plan'],
    queryFn: () => ok(client.GET('/api/v1/images/{id}/plan', { params: { path: { id: image.id } } })),
  })
  return (
    <Loaded of={plan}>
      {(data) =>
        steps(data.base) + steps(data.own) + (data.remaining?.length ?? 0) === 0 ? (
          image.uncovered > 0 || image.state !== 'succeeded' ? (
            <Empty title={t('planEmpty')} hint={t('planUnsure')} />
          ) : (
            <Empty title={t('planEmpty')} hint={t('planEmptyHint')} />
          )
        ) : (
          <Shown plan={data} />
        )
      }
    </Loaded>
  )
}

const steps = (part: Part) => part.steps?.length ?? 0

function Shown({ plan }: { plan: Plan }) {
  const { t } = useTranslation('images')
  const number = useNumber()
  const cleared = plan.base.clears + plan.own.clears
  const left = (plan.remaining ?? []).reduce((sum, one) => sum + one.count, 0)
  return (
    <div className="stack">
      <p style={{ margin: 0 }}>
        <strong style={{ fontSize: 15 }}>{t('planSum', { upgrades: t('nUpgrades', { count: steps(plan.base) + steps(plan.own) }), cleared: number(cleared), all: t('nFindings', { count: cleared + left, ns: 'common' }) })}</strong> <span className="muted">{t('planCounts')}</span>
      </p>
      <PartOf part={plan.base} title={t('planBase')} hint={t('planBaseHint')} none={t('planBaseNone')} />
      <PartOf part={plan.own} title={t('planOwn')} hint={t('planOwnHint')} none={t('planOwnNone')} />
      <Remaining plan={plan} />
    </div>
  )
}

function PartOf({ part, title, hint, none }: { part: Part; title: string; hint: string; none: string }) {
  const { t } = useTranslation('images')
  const list = part.steps ?? []
  const commands = part.commands ?? []
  return (
    <section className="card" aria-label={title}>
      <h2>{title}</h2>
      {list.length === 0 ? (
        <span className="muted">{none}</span>
      ) : (
        <div className="stack">
          <span className="muted">
            {hint} {t('clearsN', { count: part.clears })}
          </span>
          {commands.length > 0 && <Command text={commands.join('\n')} label={t('commandsOf', { part: title })} />}
          <Steps list={list} label={title} />
        </div>
      )}
    </section>
  )
}

function Steps({ list, label }: { list: Step[]; label: string }) {
  const { t } = useTranslation('images')
  const number = useNumber()
  return (
    <div className="list list-box">
      <Table<Step & { key: number }>
        aria-label={label}
        size="small"
        pagination={false}
        dataSource={list.map((step, key) => ({ ...step, key }))}
        expandable={{ expandedRowRender: (step) => <Cleared step={step} /> }}
        columns={[
          { key: 'package', title: t('package'), render: (_, s) => <Clip text={s.package} width={240} /> },
          { key: 'from', title: t('installedVersion'), render: (_, s) => <Clip text={s.from} width={150} mono /> },
          {
            key: 'to',
            title: t('upgradeTo'),
            render: (_, s) => (
              <span className="row" style={{ flexWrap: 'nowrap' }}>
                <strong className="clip mono" style={{ maxWidth: 150 }} title={s.to}>
                  {s.to}
                </strong>
                {s.breaking && (
                  <span className="tag medium" title={t('breakingHint')}>
                    ⚠ {t('breaking')}
                  </span>
                )}
              </span>
            ),
          },
          { key: 'worst', title: t('worst'), render: (_, s) => <Tag group="severity" value={s.worst} /> },
          { key: 'clears', title: t('clears'), align: 'right', className: 'number', render: (_, s) => number(s.clears?.length ?? 0) },
          { key: 'step', title: t('step'), render: (_, s) => <Clip text={s.createdBy} width={260} mono /> },
          { key: 'path', title: t('path'), render: (_, s) => <Clip text={s.path} width={220} mono /> },
        ]}
      />
    </div>
  )
}

/** What one upgrade stands for and clears. */
function Cleared({ step }: { step: Step }) {
  const { t } = useTranslation('images')
  return (
    <dl className="facts" style={{ whiteSpace: 'normal' }}>
      {(step.packages?.length ?? 0) > 1 && (
        <>
          <dt>{t('packages')}</dt>
          <dd>{step.packages?.join(', ')}</dd>
        </>
      )}
      {step.createdBy && (
        <>
          <dt>{t('step')}</dt>
          <dd className="mono">{step.createdBy}</dd>
        </>
      )}
      <dt>{t('clears')}</dt>
      <dd className="row" style={{ gap: '2px 12px' }}>
        {step.clears?.map((name) => (
          <Link key={name} to="/vulnerabilities/$name" params={{ name }}>
            {name}
          </Link>
        ))}
      </dd>
    </dl>
  )
}

function Remaining({ plan }: { plan: Plan }) {
  const { t } = useTranslation('images')
  const word = useWord()
  const number = useNumber()
  const list = plan.remaining ?? []
  return (
    <section className="card" aria-label={t('remaining')}>
      <h2>{t('remaining')}</h2>
      {list.length === 0 ? (
        <span className="muted">{t('remainingNone')}</span>
      ) : (
        <table className="figures wide">
          <thead>
            <tr>
              <th scope="col">{t('reason')}</th>
              <th scope="col" className="number">
                {t('findings')}
              </th>
              <th scope="col">{t('worst')}</th>
              <th scope="col">{t('show')}</th>
            </tr>
          </thead>
          <tbody>
            {list.map((one) => (
              <tr key={one.state}>
                <th scope="row">{word('fix', one.state)}</th>
                <td className="number">{number(one.count)}</td>
                <td>
                  <Tag group="severity" value={one.worst} />
                </td>
                <td>
                  <span className="row">
                    {(['system', 'application'] as const).map((tab) => (
                      <Link key={tab} to="." search={{ tab, ...(one.state && { fix: one.state }) } as never}>
                        {word('class', tab)}
                      </Link>
                    ))}
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  )
}
