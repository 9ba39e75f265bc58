// VEX documents: what others state about vulnerabilities, and what came of it.
import { DeleteOutlined, UploadOutlined } from '@ant-design/icons'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { App, Button, Popconfirm } from 'antd'
import { useRef } from 'react'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas, type Search } from '../api'
import { List, type Column } from '../list/list'
import { Clip } from '../parts/clip'
import { Empty, useSentence } from '../parts/problem'
import { Time, useNumber } from '../parts/time'
import { useMay } from '../session'

type Document = Schemas['VEXDocument']

const formats: Record<Document['format'], string> = { openvex: 'OpenVEX', csaf: 'CSAF', cyclonedx: 'CycloneDX' }

export function Documents({ search, change }: { search: Search; change: (patch: Search) => void }) {
  const { t } = useTranslation('decisions')
  const number = useNumber()
  const may = useMay('operator')
  const columns: Column<Document>[] = [
    { key: 'document', title: t('document'), render: (d) => <Clip text={d.file || d.document || String(d.id)} width={300} /> },
    { key: 'format', title: t('format'), render: (d) => formats[d.format] },
    { key: 'author', title: t('documentAuthor'), render: (d) => <Clip text={d.author ?? '–'} width={180} /> },
    { key: 'time', title: t('documentTime'), render: (d) => <Time at={d.time} /> },
    { key: 'statements', title: t('statements'), numeric: true, render: (d) => number(d.statements) },
    {
      key: 'decisions',
      title: t('rules'),
      numeric: true,
      render: (d) => (
        <Link to="/decisions" search={{ document: String(d.id) } as never}>
          {number(d.decisions)}
        </Link>
      ),
    },
    { key: 'hits', title: t('hits'), numeric: true, render: (d) => number(d.hits) },
    { key: 'addedBy', title: t('addedBy'), render: (d) => <Clip text={d.addedBy} width={140} /> },
    { key: 'added', title: t('added'), render: (d) => <Time at={d.added} /> },
    { key: 'actions', title: t('actions'), render: (d) => may && <Remove document={d} /> },
  ]
  return (
    <List<Document>
      id="vex-documents"
      label={t('documents')}
      path="/api/v1/vex-documents"
      search={search}
      change={change}
      columns={columns}
      rowKey={(d) => d.id}
      rowName={(d) => d.file || d.document || String(d.id)}
      tools={<Add />}
      empty={<Empty title={t('noDocuments')} hint={t('noDocumentsHint')} />}
    />
  )
}

/** Hands a file to the console. */
function Add() {
  const { t } = useTranslation('decisions')
  const { message } = App.useApp()
  const sentence = useSentence()
  const queries = useQueryClient()
  const input = useRef<HTMLInputElement>(null)
  const add = useMutation({
    mutationFn: (file: File) =>
      ok(client.POST('/api/v1/vex-documents', { params: { query: { file: file.name.slice(0, 200) } }, body: file as never, bodySerializer: (body) => body as never, headers: { 'Content-Type': 'application/octet-stream' } })),
    onSuccess: async () => {
      await queries.invalidateQueries()
      void message.success(t('documentAdded'))
    },
    onError: (error) => void message.error(t('failed', { ns: 'common', reason: sentence(error) }), 8),
  })
  if (!useMay('operator')) return null
  return (
    <>
      <input
        ref={input}
        type="file"
        hidden
        aria-label={t('addDocument')}
        accept=".json,.xml"
        onChange={(event) => {
          const file = event.target.files?.[0]
          if (file) add.mutate(file)
          event.target.value = '' // the same may be chosen again
        }}
      />
      <Button icon={<UploadOutlined />} loading={add.isPending} onClick={() => input.current?.click()}>
        {t('addDocument')}
      </Button>
    </>
  )
}

function Remove({ document: d }: { document: Document }) {
  const { t } = useTranslation('decisions')
  const { message } = App.useApp()
  const sentence = useSentence()
  const queries = useQueryClient()
  const remove = useMutation({
    mutationFn: () => ok(client.DELETE('/api/v1/vex-documents/{id}', { params: { path: { id: d.id } } })),
    onSuccess: () => queries.invalidateQueries(),
    onError: (error) => void message.error(t('failed', { ns: 'common', reason: sentence(error) }), 8),
  })
  return (
    <Popconfirm title={t('removeDocument')} description={t('removeDocumentHint')} okText={t('remove')} onConfirm={() => remove.mutate()}>
      <Button size="small" type="text" danger icon={<DeleteOutlined />} loading={remove.isPending} aria-label={t('removeNamed', { name: d.file || d.document })} title={t('remove')} />
    </Popconfirm>
  )
}
