import { useQuery } from '@tanstack/react-query'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { Head } from '../parts/head'
import { Loaded, Problem } from '../parts/problem'
import { ScanButton } from '../parts/scan'
import { Advisories, SampleAdvisories } from './advisories'
import { Coverage } from './coverage'
import { Figures, hostsOf, isScanned } from './figures'
import { Images } from './images'
import { RiskOverTime } from './risk'
import { Running } from './running'
import { Start } from './start'
import { FailedImages, TopImages, TopVulnerabilities } from './tops'
import { Vulnerabilities } from './vulnerabilities'

export function Dashboard() {
  const { t } = useTranslation('dashboard')
  const query = useQuery({ queryKey: ['dashboard'], queryFn: () => ok(client.GET('/api/v1/dashboard')), refetchInterval: 60_000 })
  return (
    <>
      <Head title={t('dashboard', { ns: 'common' })}>{query.data && isScanned(query.data) && <ScanButton request={{ all: true }} label={t('scanAll')} />}</Head>
      <Loaded of={query}>
        {(d) => (
          <div className="stack">
            {query.error && <Problem error={query.error} retry={() => void query.refetch()} />}
            <Board d={d} at={query.dataUpdatedAt} />
          </div>
        )}
      </Loaded>
    </>
  )
}

/** What there is to say depends on how far the fleet has come: nothing is shown as a zero that is not known to be one. */
function Board({ d, at }: { d: Schemas['Dashboard']; at: number }) {
  const scanned = isScanned(d)
  const judged = scanned && d.database.current !== undefined
  const days = judged ? (d.riskOverTime ?? []) : [] // kept for the whole fleet: who sees a part of it has none
  const failed = d.failedImages ?? []
  return (
    <div className="board">
      {d.database.current?.sample && <SampleAdvisories />}
      <Running />
      {!judged && <Start d={d} />}
      {hostsOf(d) > 0 && <Figures d={d} at={at} />}
      {judged && (
        <>
          <Vulnerabilities d={d} />
          <Images d={d} />
          <TopVulnerabilities rows={d.topVulnerabilities ?? []} />
          <TopImages rows={d.topImages ?? []} />
        </>
      )}
      {(d.images > 0 || d.hostProblems > 0) && <Coverage d={d} />}
      {d.database.current ? <Advisories current={d.database.current} /> : scanned && <Images d={d} />}
      {days.length > 0 && <RiskOverTime days={days} alone={failed.length === 0} />}
      {failed.length > 0 && <FailedImages rows={failed} alone={days.length === 0} />}
    </div>
  )
}
