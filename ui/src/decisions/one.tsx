// One decision in a drawer with an address of its own.
import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { Aside } from '../parts/aside'
import { Loaded } from '../parts/problem'
import { Tag } from '../parts/tags'
import { Time } from '../parts/time'
import { DecideButton } from './decide'
import { EndButton } from './end'
import { Events } from './events'
import { Sample } from './preview'
import { Statement } from './statement'
import { Ends, Hits, State } from './words'

/** The decision of an ID; closed without one. */
export function OneDecision({ id, close }: { id: string; close: () => void }) {
  const { t } = useTranslation('decisions')
  const asked = useQuery({
    queryKey: ['decisions', 'one', id],
    queryFn: () => ok(client.GET('/api/v1/decisions/{id}', { params: { path: { id: Number(id) } } })),
    enabled: id !== '',
  })
  return (
    <Aside name="decision" value={id} close={close} title={t('decisionOf', { id })}>
      <Loaded of={asked}>{(decision) => <Whole decision={decision} />}</Loaded>
    </Aside>
  )
}

function Whole({ decision: d }: { decision: Schemas['Decision'] }) {
  const { t } = useTranslation('decisions')
  const id = d.id ?? 0
  const findings = useQuery({
    queryKey: ['findings', 'decision', id],
    queryFn: () => ok(client.GET('/api/v1/findings', { params: { query: { decision: id, state: ['open', 'ignored', 'fixed', 'whitelisted'], limit: 20 } } })),
  })
  const events = useQuery({
    queryKey: ['decisions', 'events', id],
    queryFn: () => ok(client.GET('/api/v1/decisions/{id}/events', { params: { path: { id }, query: { limit: 200 } } })),
  })
  const conditions = [
    [t('vulnerability'), d.vulnerability || t('anyVulnerability')],
    [t('package'), d.package || t('anyPackage')],
    [t('packageType'), d.packageType || t('anyType')],
    [t('path'), d.path || t('anyPath')],
    [t('repositories'), d.repositories?.map((name) => name || t('noName', { ns: 'common' })).join('\n') || t('anyImage')],
    ...(d.imageIDs?.length ? [[t('imageIDs'), d.imageIDs.join('\n')]] : []),
    [t('labels'), d.labels?.join('\n') || t('anyHost')],
  ]
  return (
    <div className="stack">
      {d.state !== 'revoked' && (
        <div className="row">
          {!d.documentID && <DecideButton target={{ change: d }} />}
          <EndButton of={() => Promise.resolve([id])} />
        </div>
      )}
      <dl className="facts">
        <dt>{t('kind')}</dt>
        <dd>
          <Tag group="decision" value={d.kind} />
        </dd>
        <dt>{t('state')}</dt>
        <dd>
          <State decision={d} />
        </dd>
        <dt>{t('hits')}</dt>
        <dd>
          <Hits decision={d} />
        </dd>
        <dt>{t('remark')}</dt>
        <dd className="text">{d.remark}</dd>
        <dt>{t('author')}</dt>
        <dd>
          {d.author} <Time at={d.created} precise />
        </dd>
        <dt>{t('expires')}</dt>
        <dd>
          <Ends decision={d} />
        </dd>
      </dl>
      {d.statement && (
        <section className="card">
          <h2>{t('statement')}</h2>
          <Statement statement={d.statement} />
        </section>
      )}
      <section className="card" hidden={d.documentID !== undefined}>
        <h2>{t('scope')}</h2>
        <dl className="facts" style={{ maxHeight: 300, overflow: 'auto' }} tabIndex={0}>
          {conditions.map(([name, value]) => (
            <div key={name} style={{ display: 'contents' }}>
              <dt>{name}</dt>
              <dd className="text">{value}</dd>
            </div>
          ))}
        </dl>
      </section>
      <section className="card">
        <h2>{t('handledFindings')}</h2>
        <Loaded of={findings}>
          {(page) => ((page.items?.length ?? 0) > 0 ? <Sample findings={page.items ?? []} total={d.hits ?? 0} /> : <span className="muted">{t('handlesNothing')}</span>)}
        </Loaded>
      </section>
      <section className="card">
        <h2>{t('history')}</h2>
        <Loaded of={events}>{(page) => <Events events={page.items ?? []} />}</Loaded>
      </section>
    </div>
  )
}
