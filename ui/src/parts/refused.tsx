// Why the console refused what a form sent. What was typed stays.
import { Alert, type FormInstance } from 'antd'
import { useEffect } from 'react'
import { useTranslation } from 'react-i18next'

import { ApiError } from '../api'
import { useSentence } from './problem'

/** Reasons about fields of a form; the console calls a field "body.name". */
function byField(error: unknown, form: FormInstance): { name: string; errors: string[] }[] {
  if (!(error instanceof ApiError)) return []
  const known = Object.keys(form.getFieldsValue() as object)
  return error.errors.flatMap((text) => {
    const [, name = '', reason = ''] = /^body\.(\w+)[^:]*: (.*)$/s.exec(text) ?? []
    return known.includes(name) ? [{ name, errors: [reason] }] : []
  })
}

/** Shows reasons at their fields, and all others where it stands. */
export function Refused({ error, form }: { error: unknown; form: FormInstance }) {
  const { t } = useTranslation()
  const sentence = useSentence()
  useEffect(() => form.setFields(byField(error, form)), [error, form])
  if (!error) return null
  const placed = error instanceof ApiError && error.errors.length > 0 && byField(error, form).length === error.errors.length
  return <Alert type="error" showIcon role="alert" style={{ marginBottom: 12 }} title={<span className="text">{placed ? t('checkFields') : sentence(error)}</span>} />
}
