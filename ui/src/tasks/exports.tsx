// Files that were made of lists.
import { Link } from '@tanstack/react-router'
import { Button } from 'antd'
import { useTranslation } from 'react-i18next'

import type { Schemas, Search } from '../api'
import { List, type Column } from '../list/list'
import { DownloadOutlined } from '../parts/icons'
import { Empty } from '../parts/problem'
import { Tag } from '../parts/tags'
import { Time, useBytes, useNumber } from '../parts/time'

type Export = Schemas['Export']

/** Gets the file; only one that is made has one. */
export function Download({ file, small }: { file: Export; small?: boolean }) {
  const { t } = useTranslation('tasks')
  if (file.state !== 'succeeded') return null
  return (
    <Button
      type={small ? 'text' : 'primary'}
      size={small ? 'small' : undefined}
      icon={<DownloadOutlined />}
      href={`/api/v1/exports/${file.id}/content`}
      aria-label={t('downloadNamed', { name: file.fileName })}
      download
    >
      {t('download')}
    </Button>
  )
}

export function Exports({ search, change }: { search: Search; change: (patch: Search) => void }) {
  const { t } = useTranslation('tasks')
  const number = useNumber()
  const bytes = useBytes()
  const columns: Column<Export>[] = [
    {
      key: 'file',
      title: t('file'),
      render: (file) => (
        <Link to="/tasks/$id" params={{ id: String(file.taskID) }} className="clip" style={{ maxWidth: 420 }} title={file.fileName}>
          {file.fileName}
        </Link>
      ),
    },
    { key: 'kind', title: t('exportKind'), render: (file) => t(`export.${file.kind}` as 'export.images') },
    { key: 'format', title: t('format'), render: (file) => file.format.toUpperCase() },
    {
      key: 'state',
      title: t('state'),
      render: (file) => (
        <span className="row" style={{ flexWrap: 'nowrap' }}>
          <Tag group="task" value={file.state} />
          {file.detail && (
            <span className="clip muted" style={{ maxWidth: 300 }} title={file.detail}>
              {file.detail}
            </span>
          )}
        </span>
      ),
    },
    { key: 'rows', title: t('rows'), numeric: true, render: (file) => (file.state === 'succeeded' ? number(file.rows) : '–') },
    { key: 'size', title: t('size'), numeric: true, render: (file) => (file.state === 'succeeded' ? bytes(file.size) : '–') },
    { key: 'createdBy', title: t('createdBy'), render: (file) => file.createdBy ?? '–' },
    { key: 'created', title: t('created'), render: (file) => <Time at={file.created} /> },
    { key: 'download', title: t('actions'), render: (file) => <Download file={file} small /> },
  ]
  return (
    <List<Export>
      id="exports"
      label={t('exports')}
      path="/api/v1/exports"
      search={search}
      change={change}
      columns={columns}
      rowKey={(file) => file.id}
      rowName={(file) => file.fileName}
      empty={<Empty title={t('noExports')} hint={t('noExportsHint')} action={<Link to="/images">{t('images', { ns: 'common' })}</Link>} />}
    />
  )
}
