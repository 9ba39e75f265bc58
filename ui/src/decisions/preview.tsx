// What a decision would change, asked before anything is done.
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Alert, Spin, Table } from 'antd'
import { useTranslation } from 'react-i18next'

import { client, ok, type Schemas } from '../api'
import { Clip } from '../parts/clip'
import { useSentence } from '../parts/problem'
import { Tag } from '../parts/tags'
import { useSettled } from '../search-everything'

type Request = Schemas['DecisionRequest']

/**
 * Whether what is shown is about this request, and was not refused. That others decide
 * meanwhile renews it, and takes the button from nobody who is about to press it.
 */
export function usePreview(request: Request, complete: boolean) {
  // The reason does not change what is reached: nobody waits for it.
  const now = JSON.stringify({ ...request, remark: undefined, rules: request.rules?.map((rule) => ({ ...rule, remark: '' })) })
  const asked = useSettled(now)
  const settled = now === asked
  const query = useQuery({
    queryKey: ['decisions', 'preview', asked],
    enabled: complete && settled, // what was asked before may be half a rule
    gcTime: 0,
    staleTime: 0,
    retry: false,
    queryFn: ({ signal }) => {
      const body = JSON.parse(asked) as Request
      const remark = '-'
      return ok(client.POST('/api/v1/decisions/preview', { body: { ...body, ...(body.rules ? { rules: body.rules.map((rule) => ({ ...rule, remark })) } : { remark }) }, signal }))
    },
  })
  return { ...query, complete, settled, ready: complete && settled && query.isSuccess }
}

export function Preview({ of, changing }: { of: ReturnType<typeof usePreview>; changing: boolean }) {
  const { t } = useTranslation('decisions')
  const sentence = useSentence()
  return (
    <section aria-live="polite" aria-busy={!of.ready} className="stack" style={{ minHeight: 88 }}>
      {!of.complete ? (
        <Alert type="info" showIcon title={t('previewIncomplete')} />
      ) : !of.settled || of.isPending ? (
        <Alert type="info" icon={<Spin size="small" />} showIcon title={t('previewing')} />
      ) : of.error ? (
        <Alert type="error" showIcon title={t('previewRefused')} description={<span className="text">{sentence(of.error)}</span>} />
      ) : of.data ? (
        <Result preview={of.data} changing={changing} />
      ) : null}
    </section>
  )
}

function Result({ preview, changing }: { preview: Schemas['Preview']; changing: boolean }) {
  const { t } = useTranslation('decisions')
  const count = (key: 'nFindings' | 'nImages' | 'nHosts' | 'nContainers', n: number) => t(key, { ns: 'common', count: n })
  if (preview.findings === 0) return <Alert type="warning" showIcon title={changing ? t('previewNoMore') : t('previewNothing')} description={t('previewNothingHint')} />
  const says = {
    findings: count('nFindings', preview.findings),
    images: count('nImages', preview.images),
    hosts: count('nHosts', preview.hosts),
    containers: count('nContainers', preview.containers),
  }
  return (
    <>
      <Alert
        type="info"
        showIcon
        title={changing ? t('previewSaysMore', says) : t('previewSays', says)}
        description={preview.rules > 1 ? t('previewRules', { count: preview.rules }) : undefined}
      />
      <Sample findings={preview.sample ?? []} total={preview.findings} />
    </>
  )
}

/** The first findings of many. */
export function Sample({ findings, total }: { findings: Schemas['Finding'][]; total: number }) {
  const { t } = useTranslation('decisions')
  return (
    <div className="sample" tabIndex={0} role="region" aria-label={t('sample')}>
      <Table
        aria-label={t('sample')}
        size="small"
        pagination={false}
        rowKey="id"
        dataSource={findings}
        columns={[
          {
            key: 'vulnerability',
            title: t('vulnerability'),
            render: (_, f) => (
              <Link to="/vulnerabilities/$name" params={{ name: f.vulnerability }} search={{ class: f.class, finding: f.id } as never} target="_blank" className="clip" style={{ maxWidth: 170 }}>
                {f.vulnerability}
              </Link>
            ),
          },
          { key: 'severity', title: t('severity'), render: (_, f) => <Tag group="severity" value={f.severity} /> },
          { key: 'package', title: t('package'), render: (_, f) => <Clip text={`${f.package} ${f.version}`} width={200} /> },
          { key: 'image', title: t('image'), render: (_, f) => <Clip text={f.image} width={200} /> },
        ]}
      />
      {total > findings.length && <p className="muted">{t('sampleOf', { shown: findings.length, total })}</p>}
    </div>
  )
}
