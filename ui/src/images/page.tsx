// One image: what is in it, how bad that is, where it runs, what to do.
import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate, useParams } from '@tanstack/react-router'
import { Alert, Button, Dropdown, Tabs } from 'antd'
import { useTranslation } from 'react-i18next'

import { client, ok, textOf, type Schemas, type Search } from '../api'
import { DecideButton } from '../decisions/decide'
import { useAddress } from '../list/address'
import { Head } from '../parts/head'
import { DownloadOutlined } from '../parts/icons'
import { Empty, Loaded } from '../parts/problem'
import { ScanButton } from '../parts/scan'
import { Reason } from '../parts/tags'
import { Time, useNumber } from '../parts/time'
import { Findings } from '../vulnerabilities/findings'
import { History } from './history'
import { ByLayer, Layers } from './layers'
import { about } from './list'
import { Overview } from './overview'
import { PlanOf } from './plan'
import { Installed } from './software'
import { judged, judgement, read, Risk } from './state'
import { WhereItRuns } from './where'

type Image = Schemas['ImageDetail']

const soon = 3000 // ms between looks at an image that is being read

export function ImagePage() {
  const { id = '' } = useParams({ strict: false })
  const image = useQuery({
    queryKey: ['images', 'one', id],
    queryFn: () => ok(client.GET('/api/v1/images/{id}', { params: { path: { id: Number(id) } } })),
    refetchInterval: (query) => (query.state.data?.queue ? soon : false),
  })
  return <Loaded of={image}>{(data) => <Shown key={data.id} image={data} />}</Loaded>
}

/** What a page calls an image: its first name, or the beginning of its ID. */
function useTitle() {
  const { t } = useTranslation()
  return (image: Image) => image.names?.[0] ?? `${t('noName')} ${image.digest.replace(/^sha256:/, '').slice(0, 12)}`
}

function Shown({ image }: { image: Image }) {
  const { t } = useTranslation('images')
  const title = useTitle()
  return (
    <>
      <Head
        title={title(image)}
        marks={
          <>
            <Risk image={image} />
            {(image.names?.length ?? 0) > 1 && (
              <span className="tag" title={image.names?.join('\n')}>
                +{(image.names?.length ?? 1) - 1}
              </span>
            )}
            {image.running > 0 && <span className="tag">{t('nContainers', { count: image.running, ns: 'common' })}</span>}
            {image.systemEnded && <span className="tag high">{t('endOfLife', { ns: 'common' })}</span>}
            {image.gone && (
              <span className="tag">
                {t('gone', { ns: 'common' })} <Time at={image.gone} />
              </span>
            )}
          </>
        }
      >
        <DecideButton target={about([image.digest])} />
        <Take image={image} />
        <ScanButton request={{ images: [image.id], force: true }} label={read(image) ? t('scanAgain') : t('scan', { ns: 'common' })} primary />
      </Head>
      <div className="stack">
        <State image={image} />
        <Parts image={image} />
      </div>
    </>
  )
}

/** What stands between the figures below and the truth: a scan under way, one that failed, none at all. */
function State({ image }: { image: Image }) {
  const { t } = useTranslation('images')
  const reason = image.code && <Reason code={image.code} detail={image.detail} />
  return (
    <>
      {image.queue && (
        <Alert
          type="info"
          showIcon
          role="status"
          title={image.queue === 'running' ? t('isRunning') : t('isQueued')}
          description={t('isRunningHint')}
          action={<Link to="/tasks">{t('tasks', { ns: 'common' })}</Link>}
        />
      )}
      {image.state === 'partial' && <Alert type="warning" showIcon title={t('isPartial')} description={reason} />}
      {image.state === 'failed' && <Alert type="error" showIcon title={t('isFailed')} description={reason} />}
      {image.state === 'unreadable' && <Alert type="warning" showIcon title={t('isUnreadable')} description={reason} />}
      {image.state === 'succeeded' && reason && <Alert type="warning" showIcon title={t('isOlder')} description={reason} />}
      {read(image) && !image.evaluatedAt && <Alert type="warning" showIcon title={t('notJudged')} description={t('notJudgedHint')} />}
    </>
  )
}

function Parts({ image }: { image: Image }) {
  const { t } = useTranslation('images')
  const number = useNumber()
  const navigate = useNavigate()
  const [search] = useAddress()
  const known = read(image)
  const tab = (key: string, label: string, count: number | undefined, children: React.ReactNode) => ({
    key,
    label: (
      <>
        {label} {count !== undefined && <span className="muted number">{number(count)}</span>}
      </>
    ),
    children,
  })
  /** Open findings of a class; nothing is said of what nobody judges. */
  const total = (kind: 'system' | 'application', counts: Schemas['Counts']) => {
    const { packages, uncovered } = judgement(image, kind)
    return packages > uncovered || (judged(image) && packages === 0 && image.packages > image.uncovered) ? Object.values(counts).reduce((sum, n) => sum + n, 0) : undefined
  }
  const unread = <Empty title={t('notRead')} hint={t('notReadHint')} action={<ScanButton request={{ images: [image.id] }} primary />} />
  const tabs = [
    tab('overview', t('overview'), undefined, <Overview image={image} />),
    tab('system', t('systemFindings'), total('system', image.systemFindings), known ? <FindingsOf image={image} kind="system" /> : unread),
    tab('application', t('applicationFindings'), total('application', image.applicationFindings), known ? <FindingsOf image={image} kind="application" /> : unread),
    tab('software', t('software', { ns: 'common' }), known ? image.packages : undefined, known ? <Installed image={image} /> : unread),
    tab('layers', t('layers'), image.stack?.length, <Layers image={image} />),
    tab('where', t('where'), image.hosts, <WhereItRuns image={image} />),
    tab('history', t('history'), undefined, <History image={image} />),
    tab('plan', t('plan'), undefined, known ? <PlanOf image={image} /> : unread),
  ]
  return (
    <Tabs
      activeKey={tabs.find((one) => one.key === textOf(search.tab))?.key ?? 'overview'}
      destroyOnHidden
      items={tabs}
      // Filters of one part mean nothing to another.
      onChange={(key) => void navigate({ to: '.', search: (key === 'overview' ? {} : { tab: key }) as never, resetScroll: false })}
    />
  )
}

function FindingsOf({ image, kind }: { image: Image; kind: 'system' | 'application' }) {
  const { t } = useTranslation('images')
  const [search] = useAddress()
  const layer = textOf(search.layer)
  const fixed: Search = { image: String(image.id), class: kind, ...(layer && { layer }) }
  const { packages, uncovered } = judgement(image, kind)
  return (
    <div className="stack">
      {uncovered > 0 && (
        <Alert
          type="warning"
          showIcon
          title={uncovered === packages ? t('allUncovered') : t('someUncovered', { count: uncovered })}
          action={
            <Link to="." search={{ tab: 'software', covered: 'no' } as never}>
              {t('show')}
            </Link>
          }
        />
      )}
      <ByLayer image={image} />
      <Findings fixed={fixed} without="image" />
    </div>
  )
}

const reports = ['html', 'json', 'csv'] as const
const boms = ['cyclonedx', 'spdx'] as const

/** What can be taken along of an image, as files that the console makes at once. */
function Take({ image }: { image: Image }) {
  const { t } = useTranslation('images')
  const link = (what: 'sbom' | 'report', format: string, name: string) => ({
    key: what + format,
    label: (
      <a href={`/api/v1/images/${image.id}/${what}?format=${format}`} download>
        {name}
      </a>
    ),
  })
  const items = [
    { type: 'group' as const, label: t('sbom'), children: boms.map((f) => link('sbom', f, f === 'spdx' ? 'SPDX' : 'CycloneDX')) },
    { type: 'group' as const, label: t('report'), children: reports.map((f) => link('report', f, f.toUpperCase())) },
  ]
  return (
    <Dropdown trigger={['click']} autoFocus disabled={!read(image)} menu={{ items }}>
      <Button icon={<DownloadOutlined />} title={read(image) ? undefined : t('notRead')}>
        {t('export', { ns: 'common' })}
      </Button>
    </Dropdown>
  )
}
