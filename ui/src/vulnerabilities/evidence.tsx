// One finding in a drawer with an address of its own: why it matches, what to do,
// where it is, and what people decided about it.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Alert } from 'antd'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { DecideButton } from '../decisions/decide'
import { EndButton } from '../decisions/end'
import { Events } from '../decisions/events'
import { Statement } from '../decisions/statement'
import { ImageName } from '../images/name'
import { Aside } from '../parts/aside'
import { Loaded } from '../parts/problem'
import { Marks, Tag, useWord } from '../parts/tags'
import { Time } from '../parts/time'
import { Epss, Severity } from './rating'

type Finding = Schemas['Finding']

/** The finding of an ID; closed without one. */
export function Evidence({ id, close, without }: { id: string; close: () => void; without: 'image' | 'vulnerability' }) {
  const { t } = useTranslation('vulnerabilities')
  const asked = useQuery({
    queryKey: ['findings', 'one', id],
    queryFn: () => ok(client.GET('/api/v1/findings/{finding}', { params: { path: { finding: id } } })),
    enabled: id !== '',
  })
  return (
    <Aside name="finding" value={id} close={close} title={asked.data ? t('findingTitle', { vulnerability: asked.data.vulnerability, package: asked.data.package }) : t('finding')}>
      <Loaded of={asked}>{(finding) => <Whole finding={finding} linked={without !== 'vulnerability'} />}</Loaded>
    </Aside>
  )
}

function Section({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="card">
      <h2>{title}</h2>
      {children}
    </section>
  )
}

function Whole({ finding: f, linked }: { finding: Finding; linked: boolean }) {
  const { t } = useTranslation('vulnerabilities')
  const word = useWord()
  const decisions = [...new Set(f.decisions?.map((d) => d.decisionID))]
  const rule = { vulnerability: f.vulnerability, packageType: f.type, package: f.package }
  return (
    <div className="stack">
      <div className="row">
        <DecideButton target={{ findings: [f.id] }} />
        <DecideButton target={{ rule }} label={t('decideByRule')} />
        {decisions.length > 0 && <EndButton label={t('reopen')} of={() => Promise.resolve(decisions)} />}
        {linked && (
          <Link to="/vulnerabilities/$name" params={{ name: f.vulnerability }} search={{ class: f.class } as never}>
            {t('openVulnerability')}
          </Link>
        )}
      </div>
      <dl className="facts">
        <dt>{t('severity')}</dt>
        <dd className="row">
          <Severity severity={f.severity} score={f.score} /> {f.severitySource && <span className="muted">{t('severityBy', { source: f.severitySource })}</span>}
          <Marks kev={f.kev} malicious={f.malicious} />
        </dd>
        <dt>{t('epss')}</dt>
        <dd>
          <Epss score={f.epss} />
        </dd>
        <dt>{t('state')}</dt>
        <dd>
          <Tag group="finding" value={f.state} />
        </dd>
        <dt>{t('package')}</dt>
        <dd>
          {f.package} <span className="mono">{f.version}</span> <span className="muted">{f.type}</span>
        </dd>
        <dt>{t('firstSeen')}</dt>
        <dd>
          <Time at={f.firstSeen} precise />
        </dd>
        {f.summary && (
          <>
            <dt>{t('summary')}</dt>
            <dd className="text">{f.summary}</dd>
          </>
        )}
      </dl>
      <Section title={t('why')}>
        <div className="stack">
          <dl className="facts">
            <dt>{t('confidence')}</dt>
            <dd>
              {t(`confidence.${f.confidence}`)} {f.evidence && <span className="muted">{t(`evidence.${f.evidence}` as 'evidence.binary', { ns: 'images' })}</span>}
            </dd>
          </dl>
          {f.status !== 'affected' && <Alert type="info" showIcon title={word('status', f.status)} description={t(f.status === 'owned-by-system' ? 'statusOwned' : 'statusNotPresent')} />}
          {f.reasons?.map((reason, i) => <Reason key={i} reason={reason} />)}
        </div>
      </Section>
      {f.vex && f.vex.length > 0 && (
        <Section title={t('vexStatements')}>
          <div className="stack">
            {f.vex.map((statement, i) => (
              <Statement key={i} statement={statement} linked />
            ))}
          </div>
        </Section>
      )}
      <Section title={t('whatToDo')}>
        <WhatToDo finding={f} />
      </Section>
      <Section title={t('where')}>
        <Where finding={f} />
      </Section>
      <Section title={t('handlingHistory')}>
        <History id={f.id} />
      </Section>
    </div>
  )
}

function Reason({ reason: r }: { reason: Schemas['Reason'] }) {
  const { t } = useTranslation('vulnerabilities')
  return (
    <div className="stack" style={{ gap: 4 }}>
      <p className="text" style={{ margin: 0 }}>
        {t('reasonSays', { version: r.version, range: r.range })}
      </p>
      <dl className="facts">
        <dt>{t('advisory')}</dt>
        <dd className="mono">{r.advisory}</dd>
        <dt>{t('provider')}</dt>
        <dd>
          {r.provider ?? '–'} {r.modified && <span className="muted">{t('recordOf')}</span>} {r.modified && <Time at={r.modified} precise />}
        </dd>
        <dt>{t('ecosystem')}</dt>
        <dd>{r.ecosystem}</dd>
        <dt>{t('comparedPackage')}</dt>
        <dd className="mono">{r.package}</dd>
        <dt>{t('comparedVersion')}</dt>
        <dd className="mono">{r.version}</dd>
        <dt>{t('range')}</dt>
        <dd className="mono">{r.range}</dd>
        <dt>{t('scheme')}</dt>
        <dd>{r.scheme}</dd>
      </dl>
      {r.note && <Alert type="warning" showIcon title={<span className="text">{r.note}</span>} />}
    </div>
  )
}

function WhatToDo({ finding: f }: { finding: Finding }) {
  const { t, i18n } = useTranslation('vulnerabilities')
  const others = f.fixedVersions?.filter((version) => version !== f.fixedVersion) ?? []
  const key = `todo.${f.fix}`
  return (
    <div className="stack" style={{ gap: 4 }}>
      {f.malicious ? (
        <p style={{ margin: 0 }}>{t('todoMalicious', { package: f.package })}</p>
      ) : f.fixedVersion ? (
        <p className="text" style={{ margin: 0 }}>
          {t('todoUpgrade', { package: f.package, from: f.version, to: f.fixedVersion })}
        </p>
      ) : (
        <p style={{ margin: 0 }}>{t(i18n.exists(key, { ns: 'vulnerabilities' }) ? (key as 'todo.not-fixed') : 'todo.')}</p>
      )}
      {others.length > 0 && <p className="muted text" style={{ margin: 0 }}>{t('otherFixes', { versions: others.join(', ') })}</p>}
    </div>
  )
}

function Where({ finding: f }: { finding: Finding }) {
  const { t } = useTranslation('vulnerabilities')
  const image = useQuery({
    queryKey: ['images', 'one', f.imageID],
    queryFn: () => ok(client.GET('/api/v1/images/{id}', { params: { path: { id: f.imageID } } })),
  }).data
  const layer = image?.stack?.[f.layerIndex]
  return (
    <dl className="facts">
      <dt>{t('image')}</dt>
      <dd>
        <ImageName id={f.imageID} names={image?.names ?? [f.image]} digest={f.digest} />
      </dd>
      <dt>{t('path')}</dt>
      <dd className="mono text">{f.path}</dd>
      {f.pathClass && f.pathClass !== f.path && (
        <>
          <dt>{t('pathClass')}</dt>
          <dd className="mono text">{f.pathClass}</dd>
        </>
      )}
      <dt>{t('layer')}</dt>
      <dd>
        {f.layerIndex < 0 ? (
          <span className="muted">{t('layerUnknown')}</span>
        ) : (
          <>
            {t('layerOf', { index: f.layerIndex + 1 })} {layer && <span className="tag">{layer.base ? t('baseLayer') : t('ownLayer')}</span>}
            {layer?.createdBy && <div className="mono text">{layer.createdBy}</div>}
          </>
        )}
      </dd>
      {image && (
        <>
          <dt>{t('runsOn')}</dt>
          <dd>
            {t('nHosts', { ns: 'common', count: image.hosts })}, {t('nContainers', { ns: 'common', count: image.running })}
          </dd>
        </>
      )}
    </dl>
  )
}

function History({ id }: { id: string }) {
  const asked = useQuery({
    queryKey: ['findings', 'history', id],
    queryFn: () => ok(client.GET('/api/v1/findings/{finding}/history', { params: { path: { finding: id } } })),
  })
  return <Loaded of={asked}>{(page) => <Events events={page.items ?? []} />}</Loaded>
}
