import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import { list, textOf, type Page, type Schemas, type Search } from '../api'
import { DecideButton } from '../decisions/decide'
import { useAddress } from '../list/address'
import type { Filter } from '../list/filters'
import { filterBody, List, type Column, type Selection } from '../list/list'
import { Digest } from '../parts/copy'
import { ExportButton } from '../parts/export'
import { Head } from '../parts/head'
import { Empty } from '../parts/problem'
import { ScanButton } from '../parts/scan'
import { Counts, risks, scanStates, severities, useWord } from '../parts/tags'
import { Time, useBytes, useNumber } from '../parts/time'
import { ImageName } from './name'
import { judged, read, Risk, ScanState, Uncovered } from './state'

type Image = Schemas['Image']

/** What findings may be missing for. */
const warnings = ['uncovered', 'unidentified', 'ended', 'problems', 'stale', 'offline'] as const

export function Images() {
  const { t } = useTranslation('images')
  const [search, change] = useAddress()
  const columns = useColumns()
  const filters = useFilters()
  /** What an action is about: chosen images, or all that the filters find. */
  const meant = (selection: Selection<Image>): Schemas['Selection'] =>
    selection.all ? { filter: filterBody(filters, selection.filter) } : { images: selection.keys.map(Number) }
  const narrowed = filters.some((f) => textOf(search[f.key]) !== '')
  return (
    <>
      <Head title={t('images', { ns: 'common' })}>
        <ExportButton request={{ kind: 'images', images: filterBody(filters, search) }} />
        {narrowed ? (
          <ScanButton request={{ filter: filterBody(filters, search) }} label={t('scanMatching')} primary />
        ) : (
          <ScanButton request={{ all: true }} label={t('scanAll')} primary />
        )}
      </Head>
      <List<Image>
        id="images"
        label={t('images', { ns: 'common' })}
        path="/api/v1/images"
        search={search}
        change={change}
        columns={columns}
        filters={filters}
        box="q"
        sort="risk"
        rowKey={(image) => image.id}
        rowName={(image) => image.names?.[0] ?? image.digest}
        actions={(selection) => {
          const filter = selection.all ? filterBody(filters, selection.filter) : { ids: selection.keys.map(Number) }
          return (
            <>
              {selection.all ? (
                <DecideMatching count={selection.count} filter={selection.filter} done={selection.clear} />
              ) : (
                <DecideButton target={about(selection.rows.map((image) => image.digest))} done={selection.clear} />
              )}
              <ScanButton request={meant(selection)} label={t('scanSelected')} done={selection.clear} />
              <ExportButton request={{ kind: 'images', images: filter }} label={t('exportSelected')} />
              <ExportButton request={{ kind: 'report', images: filter }} label={t('reportSelected')} />
            </>
          )
        }}
        empty={<Empty title={t('noImages')} hint={t('noImagesHint')} action={<Link to="/hosts">{t('addHost')}</Link>} />}
      />
    </>
  )
}

/** A rule about images, whatever is found in them. */
export function about(imageIDs: string[]) {
  return { rule: { imageIDs } }
}

const most = 1000 // images that one rule names

/** Deciding about every image that the filters find. */
function DecideMatching({ count, filter, done }: { count: number; filter: Search; done: () => void }) {
  const { t } = useTranslation('images')
  const found = useQuery({
    queryKey: ['images', 'digests', filter],
    queryFn: async ({ signal }) => {
      const digests: string[] = []
      for (let cursor: string | undefined = ''; cursor !== undefined && digests.length <= most; ) {
        const page: Page<Image> = await list<Image>('/api/v1/images', { ...filter, limit: '500', cursor }, signal)
        digests.push(...(page.items ?? []).map((image) => image.digest))
        cursor = page.next
      }
      return digests
    },
    enabled: count <= most,
  })
  if (count > most) return <span className="muted">{t('tooManyImages', { most })}</span>
  if (found.data && found.data.length > 0 && found.data.length <= most) return <DecideButton target={about(found.data)} done={done} />
  if (found.isPending) return null
  return <span className="muted">{found.error ? t('error.title', { ns: 'common' }) : t('tooManyImages', { most })}</span>
}

export function useColumns(): Column<Image>[] {
  const { t } = useTranslation('images')
  const number = useNumber()
  const bytes = useBytes()
  const counts = (i: Image, of: Schemas['Counts']) =>
    i.packages > 0 && judged(i) && i.uncovered === i.packages ? <Uncovered /> : <Counts counts={judged(i) && i.packages > 0 ? of : undefined} />
  return [
    { key: 'name', title: t('image'), sort: 'name', upwards: true, render: (i) => <ImageName id={i.id} names={i.names} digest={i.digest} /> },
    { key: 'risk', title: t('risk'), sort: 'risk', render: (i) => <Risk image={i} /> },
    { key: 'systemFindings', title: t('systemFindings'), render: (i) => counts(i, i.systemFindings) },
    { key: 'applicationFindings', title: t('applicationFindings'), render: (i) => counts(i, i.applicationFindings) },
    { key: 'fixable', title: t('fixable'), sort: 'fixable', numeric: true, render: (i) => (judged(i) ? number(i.fixable) : '–') },
    { key: 'kev', title: t('kev'), sort: 'kev', numeric: true, render: (i) => (judged(i) ? number(i.kev) : '–') },
    { key: 'state', title: t('state'), render: (i) => <ScanState image={i} /> },
    { key: 'scannedAt', title: t('scannedAt'), sort: 'scannedAt', render: (i) => <Time at={i.scannedAt} absent={t('never', { ns: 'common' })} /> },
    { key: 'containers', title: t('running'), sort: 'containers', numeric: true, render: (i) => number(i.running) },
    {
      key: 'system',
      title: t('system'),
      render: (i) => (
        <span className="elastic" title={i.system}>
          {i.system ? <span className="clip">{i.system}</span> : <span className="muted">–</span>}
          {i.systemEnded && <span className="tag high">{t('endOfLife', { ns: 'common' })}</span>}
        </span>
      ),
    },
    { key: 'hosts', title: t('hosts'), sort: 'hosts', numeric: true, render: (i) => number(i.hosts) },
    { key: 'packages', title: t('packages'), sort: 'packages', numeric: true, render: (i) => (read(i) ? number(i.packages) : '–') },
    { key: 'uncovered', title: t('uncovered'), numeric: true, render: (i) => (judged(i) ? number(i.uncovered) : '–') },
    { key: 'size', title: t('size'), sort: 'size', numeric: true, render: (i) => (i.size > 0 ? bytes(i.size) : '–') },
    { key: 'digest', title: t('digest'), render: (i) => <Digest value={i.digest} /> },
    { key: 'handled', title: t('handled'), optional: true, numeric: true, render: (i) => (judged(i) ? number(i.handled) : '–') },
    { key: 'platform', title: t('platform'), optional: true, render: (i) => i.platform ?? '–' },
    { key: 'evaluatedAt', title: t('evaluatedAt'), optional: true, render: (i) => <Time at={i.evaluatedAt} /> },
    { key: 'created', title: t('created'), optional: true, sort: 'created', render: (i) => <Time at={i.created} /> },
    { key: 'firstSeen', title: t('firstSeen'), optional: true, sort: 'firstSeen', render: (i) => <Time at={i.firstSeen} /> },
    { key: 'lastSeen', title: t('lastSeen'), optional: true, sort: 'lastSeen', render: (i) => <Time at={i.lastSeen} /> },
  ]
}

export function useFilters(): Filter[] {
  const { t, i18n } = useTranslation('images')
  const word = useWord()
  const reasons = Object.entries(i18n.getResourceBundle(i18n.language, 'reasons') as Record<string, string>)
    .filter(([code]) => !code.endsWith('!'))
    .map(([value, label]) => ({ value, label }))
  const yesNo = [
    { value: 'yes', label: t('yes', { ns: 'common' }) },
    { value: 'no', label: t('no', { ns: 'common' }) },
  ]
  return [
    { key: 'q', label: t('searchImages'), kind: 'text' },
    { key: 'risk', label: t('risk'), kind: 'many', choices: risks.map((value) => ({ value, label: word('risk', value) })) },
    { key: 'state', label: t('state'), kind: 'many', choices: scanStates.map((value) => ({ value, label: word('scan', value) })) },
    { key: 'queue', label: t('queue'), kind: 'one', choices: (['any', 'queued', 'running'] as const).map((value) => ({ value, label: t(`queue.${value}`) })) },
    { key: 'minSeverity', label: t('minSeverity'), kind: 'one', choices: severities.map((value) => ({ value, label: word('severity', value) })) },
    { key: 'fixable', label: t('withFix'), kind: 'flag' },
    { key: 'kev', label: t('withKev'), kind: 'flag' },
    { key: 'inUse', label: t('inUse'), kind: 'one', choices: yesNo },
    { key: 'gone', label: t('goneFilter'), kind: 'one', choices: (['no', 'yes', 'any'] as const).map((value) => ({ value, label: t(`gone.${value}`) })) },
    { key: 'warning', label: t('warning'), kind: 'many', choices: warnings.map((value) => ({ value, label: t(`warning.${value}`) })) },
    { key: 'repository', label: t('repository'), kind: 'text' },
    { key: 'system', label: t('system'), kind: 'text', hint: t('systemHint') },
    { key: 'host', label: t('host'), kind: 'host' },
    { key: 'hostName', label: t('hostName'), kind: 'text' },
    { key: 'address', label: t('address'), kind: 'text' },
    { key: 'label', label: t('label'), kind: 'text', hint: t('labelHint') },
    { key: 'container', label: t('container'), kind: 'text' },
    { key: 'pod', label: t('pod'), kind: 'text' },
    { key: 'software', label: t('hasSoftware'), kind: 'text' },
    { key: 'vulnerability', label: t('hasVulnerability'), kind: 'text' },
    { key: 'code', label: t('reason'), kind: 'one', choices: reasons },
  ]
}
