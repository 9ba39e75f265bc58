// What a page shows instead of what could not be loaded: why, and what helps.
import { Alert, Button, Spin } from 'antd'
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { ApiError } from '../api'

/** One sentence of what went wrong. */
export function useSentence() {
  const { t } = useTranslation()
  return (error: unknown): string => {
    if (!(error instanceof ApiError)) return error instanceof Error ? error.message : String(error)
    if (error.code === 'unreachable') return t('error.unreachable')
    if (error.code === 'forbidden') return error.message || t('error.forbidden')
    return [error.message, error.hint, ...error.errors].filter(Boolean).join('. ')
  }
}

export function Problem({ error, retry }: { error: unknown; retry?: () => void }) {
  const { t } = useTranslation()
  const sentence = useSentence()
  const api = error instanceof ApiError ? error : undefined
  const title = api?.code === 'unreachable' ? t('error.unreachable') : api?.status === 404 ? t('error.not_found') : t('error.title')
  return (
    <Alert
      type="error"
      showIcon
      role="alert"
      title={<h2 className="says">{title}</h2>}
      description={
        <div className="stack">
          <span className="text">{api?.code === 'unreachable' ? t('error.unreachableHint') : api?.status === 404 ? t('error.notFoundHint') : sentence(error)}</span>
          {api?.request && api.status >= 500 && <span className="muted">{t('error.request', { id: api.request })}</span>}
        </div>
      }
      action={retry && <Button onClick={retry}>{t('retry')}</Button>}
    />
  )
}

/** A place with nothing in it: why, and what to do next. */
export function Empty({ title, hint, action }: { title: string; hint?: ReactNode; action?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {hint && <p className="muted">{hint}</p>}
      {action}
    </div>
  )
}

export function Loading() {
  const { t } = useTranslation()
  return (
    <div className="empty" role="status" aria-label={t('loading')}>
      <Spin delay={200} />
    </div>
  )
}

interface Asked<T> {
  data: T | undefined
  error: unknown
  refetch: () => unknown
}

/** Shows what was asked for, or that it is loading, or why it cannot be shown. */
export function Loaded<T>({ of, children }: { of: Asked<T>; children: (data: T) => ReactNode }) {
  if (of.data !== undefined) return children(of.data)
  if (of.error) return <Problem error={of.error} retry={() => void of.refetch()} />
  return <Loading />
}
