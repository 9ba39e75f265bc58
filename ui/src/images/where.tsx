// Where an image is stored, and the containers that were made from it.
import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { useOwnSearch } from '../list/address'
import { List } from '../list/list'
import { Clip } from '../parts/clip'
import { Empty } from '../parts/problem'
import { Reason } from '../parts/tags'
import { Time } from '../parts/time'

type Presence = Schemas['Presence']
type Container = Schemas['Container']

export function WhereItRuns({ image }: { image: Schemas['ImageDetail'] }) {
  const { t } = useTranslation('images')
  return (
    <div className="stack">
      <section aria-labelledby="stored">
        <h2 className="part" id="stored">
          {t('storedOn')}
        </h2>
        <Presences id={image.id} />
      </section>
      <section aria-labelledby="made">
        <h2 className="part" id="made">
          {t('containersOf')}
        </h2>
        <Containers id={image.id} />
      </section>
    </div>
  )
}

function HostLink({ id, name }: { id: number; name: string }) {
  return (
    <Link to="/hosts/$id" params={{ id: String(id) }} className="clip" style={{ maxWidth: 240 }} title={name}>
      {name}
    </Link>
  )
}

/** A mark for what is there no more. */
function Gone({ at }: { at: string | undefined }) {
  const { t } = useTranslation('images')
  return at ? (
    <span className="tag">
      {t('gone', { ns: 'common' })} <Time at={at} />
    </span>
  ) : (
    <span className="tag safe">{t('stored')}</span>
  )
}

function Presences({ id }: { id: number }) {
  const { t } = useTranslation('images')
  const [search, change] = useOwnSearch()
  return (
    <List<Presence>
      id="presences"
      label={t('storedOn')}
      path={`/api/v1/images/${id}/presences`}
      search={search}
      change={change}
      rowKey={(p) => `${p.hostID} ${p.engine} ${p.store} ${p.name ?? ''}`}
      rowName={(p) => `${p.host} ${p.name ?? ''}`}
      rowClass={(p) => (p.gone ? 'handled' : '')}
      empty={<Empty title={t('noHosts')} />}
      columns={[
        { key: 'host', title: t('host'), render: (p) => <HostLink id={p.hostID} name={p.host} /> },
        { key: 'name', title: t('nameThere'), render: (p) => <Clip text={p.name ?? t('noName', { ns: 'common' })} width={360} /> },
        { key: 'engine', title: t('engine'), render: (p) => p.engine },
        { key: 'store', title: t('store'), render: (p) => <Clip text={p.store} width={240} mono /> },
        { key: 'gone', title: t('presence'), render: (p) => <Gone at={p.gone} /> },
        { key: 'code', title: t('reason'), render: (p) => (p.code ? <Reason code={p.code} detail={p.detail} /> : <span className="muted">–</span>) },
        { key: 'firstSeen', title: t('firstSeen'), render: (p) => <Time at={p.firstSeen} /> },
        { key: 'lastSeen', title: t('lastSeen'), render: (p) => <Time at={p.lastSeen} /> },
      ]}
    />
  )
}

function Containers({ id }: { id: number }) {
  const { t } = useTranslation('images')
  const [search, change] = useOwnSearch()
  return (
    <List<Container>
      id="image-containers"
      label={t('containersOf')}
      path={`/api/v1/images/${id}/containers`}
      search={search}
      change={change}
      rowKey={(c) => `${c.hostID} ${c.containerID}`}
      rowName={(c) => c.name || c.containerID}
      rowClass={(c) => (c.gone ? 'handled' : '')}
      empty={<Empty title={t('noContainers')} hint={t('noContainersHint')} />}
      columns={[
        { key: 'name', title: t('container'), render: (c) => <Clip text={c.name || c.containerID.slice(0, 12)} width={280} /> },
        { key: 'host', title: t('host'), render: (c) => <HostLink id={c.hostID} name={c.host} /> },
        { key: 'state', title: t('containerState'), render: (c) => <span className={c.running ? 'tag safe' : 'tag'}>{(c.running ? '● ' : '○ ') + c.state}</span> },
        { key: 'pod', title: t('pod'), render: (c) => <Clip text={c.pod} /> },
        { key: 'entrypoint', title: t('entrypoint'), render: (c) => <Clip text={c.entrypoint?.join(' ')} width={280} mono /> },
        { key: 'containerID', title: t('containerID'), render: (c) => <Clip text={c.containerID} width={110} mono /> },
        { key: 'firstSeen', title: t('firstSeen'), render: (c) => <Time at={c.firstSeen} /> },
        { key: 'lastSeen', title: t('lastSeen'), render: (c) => (c.gone ? <Gone at={c.gone} /> : <Time at={c.lastSeen} />) },
      ]}
    />
  )
}
