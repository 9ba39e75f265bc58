// Where a vulnerability is: images, hosts and running containers. Each list keeps
// its page to itself; the address belongs to the findings.
import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'
import { ImageName } from '../images/name'
import { useOwnSearch } from '../list/address'
import { List } from '../list/list'
import { Clip } from '../parts/clip'
import { Digest } from '../parts/copy'
import { Empty } from '../parts/problem'
import { Tag } from '../parts/tags'
import { Time, useNumber } from '../parts/time'

export function AffectedImages({ name }: { name: string }) {
  const { t } = useTranslation('vulnerabilities')
  const number = useNumber()
  const [search, change] = useOwnSearch()
  return (
    <List<Schemas['Image']>
      id="vulnerability.images"
      label={t('images')}
      path="/api/v1/images"
      fixed={{ vulnerability: name }}
      search={search}
      change={change}
      filters={[{ key: 'q', label: t('searchImages'), kind: 'text' }]}
      box="q"
      sort="risk"
      rowKey={(image) => image.id}
      rowName={(image) => image.names?.[0] ?? image.digest}
      columns={[
        { key: 'name', title: t('image'), sort: 'name', upwards: true, render: (i) => <ImageName id={i.id} names={i.names} digest={i.digest} /> },
        { key: 'digest', title: t('digest'), render: (i) => <Digest value={i.digest} /> },
        { key: 'risk', title: t('risk'), sort: 'risk', render: (i) => <Tag group="risk" value={i.risk} /> },
        { key: 'system', title: t('system'), render: (i) => <Clip text={i.system} /> },
        { key: 'hosts', title: t('hosts'), sort: 'hosts', numeric: true, render: (i) => number(i.hosts) },
        { key: 'containers', title: t('running'), sort: 'containers', numeric: true, render: (i) => number(i.running) },
        { key: 'state', title: t('scan'), render: (i) => <Tag group="scan" value={i.state} /> },
        { key: 'scannedAt', title: t('scannedAt'), sort: 'scannedAt', render: (i) => <Time at={i.scannedAt} /> },
        { key: 'firstSeen', title: t('firstSeen'), sort: 'firstSeen', render: (i) => <Time at={i.firstSeen} /> },
        { key: 'lastSeen', title: t('lastSeen'), sort: 'lastSeen', render: (i) => <Time at={i.lastSeen} /> },
      ]}
      empty={<Empty title={t('noImages')} hint={t('noPlacesHint')} />}
    />
  )
}

export function AffectedHosts({ name }: { name: string }) {
  const { t } = useTranslation('vulnerabilities')
  const number = useNumber()
  const [search, change] = useOwnSearch()
  return (
    <List<Schemas['Host']>
      id="vulnerability.hosts"
      label={t('hosts')}
      path="/api/v1/hosts"
      fixed={{ vulnerability: name }}
      search={search}
      change={change}
      filters={[{ key: 'q', label: t('searchHosts'), kind: 'text' }]}
      box="q"
      sort="name"
      rowKey={(host) => host.id}
      rowName={(host) => host.name}
      columns={[
        {
          key: 'name',
          title: t('host'),
          sort: 'name',
          upwards: true,
          render: (h) => (
            <Link to="/hosts/$id" params={{ id: String(h.id) }} className="clip" style={{ maxWidth: 320 }} title={h.name}>
              {h.name}
            </Link>
          ),
        },
        { key: 'state', title: t('agent'), render: (h) => <Tag group="agent" value={h.state} /> },
        { key: 'addresses', title: t('addresses'), render: (h) => <Clip text={h.addresses?.join(', ')} /> },
        {
          key: 'labels',
          title: t('labels'),
          render: (h) => <Clip text={Object.entries(h.labels).map(([key, value]) => `${key}=${value}`).join(', ')} width={320} />,
        },
        { key: 'images', title: t('allImages'), sort: 'images', numeric: true, render: (h) => number(h.images) },
        { key: 'running', title: t('allRunning'), numeric: true, render: (h) => number(h.running) },
        { key: 'lastSeen', title: t('lastContact'), sort: 'lastSeen', render: (h) => <Time at={h.lastSeen} /> },
      ]}
      empty={<Empty title={t('noHosts')} hint={t('noPlacesHint')} />}
    />
  )
}

export function AffectedContainers({ name }: { name: string }) {
  const { t } = useTranslation('vulnerabilities')
  const [search, change] = useOwnSearch()
  return (
    <List<Schemas['Container']>
      id="vulnerability.containers"
      label={t('running')}
      path="/api/v1/containers"
      fixed={{ vulnerability: name, running: 'true' }}
      search={search}
      change={change}
      filters={[{ key: 'q', label: t('searchContainers'), kind: 'text' }]}
      box="q"
      rowKey={(container) => `${container.hostID} ${container.containerID}`}
      rowName={(container) => container.name}
      columns={[
        {
          key: 'name',
          title: t('container'),
          render: (c) => (
            <span className="clip" style={{ maxWidth: 280 }} title={`${c.name}\n${c.containerID}`}>
              {c.name || c.containerID.slice(0, 12)}
            </span>
          ),
        },
        { key: 'image', title: t('image'), render: (c) => <ImageName id={c.imageID} names={c.image ? [c.image] : []} digest={c.containerID} /> },
        {
          key: 'host',
          title: t('host'),
          render: (c) => (
            <Link to="/hosts/$id" params={{ id: String(c.hostID) }} className="clip" style={{ maxWidth: 240 }} title={c.host}>
              {c.host}
            </Link>
          ),
        },
        { key: 'pod', title: t('pod'), render: (c) => <Clip text={c.pod} /> },
        { key: 'state', title: t('state'), render: (c) => <Clip text={c.state} width={160} /> },
        { key: 'firstSeen', title: t('firstSeen'), render: (c) => <Time at={c.firstSeen} /> },
        { key: 'lastSeen', title: t('lastSeen'), render: (c) => <Time at={c.lastSeen} /> },
      ]}
      empty={<Empty title={t('noContainers')} hint={t('noPlacesHint')} />}
    />
  )
}
