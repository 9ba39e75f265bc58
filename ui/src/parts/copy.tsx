// Text to take along: commands, tokens, digests.
import { Button, Tooltip } from 'antd'
import { useState } from 'react'
import { useTranslation } from 'react-i18next'

import { CheckOutlined, CopyOutlined } from './icons'

export function CopyButton({ text, label }: { text: string; label?: string }) {
  const { t } = useTranslation()
  const [copied, setCopied] = useState(false)
  const copy = () => {
    void navigator.clipboard.writeText(text).then(() => {
      setCopied(true)
      setTimeout(() => setCopied(false), 2000)
    })
  }
  return (
    <Tooltip title={copied ? t('copied') : t('copy')}>
      <Button size="small" type="text" aria-label={`${t('copy')} ${label ?? ''}`.trim()} icon={copied ? <CheckOutlined /> : <CopyOutlined />} onClick={copy} />
    </Tooltip>
  )
}

/** A command of a shell, to copy. It is long sometimes: it can be scrolled by keys. */
export function Command({ text, label }: { text: string; label: string }) {
  return (
    <div className="row">
      <pre className="command mono grow" tabIndex={0} aria-label={label}>
        {text}
      </pre>
      <CopyButton text={text} label={label} />
    </div>
  )
}

/** The beginning of a digest, with the whole one to copy. */
export function Digest({ value, copy }: { value: string; copy?: boolean }) {
  return (
    <span className="mono" title={value}>
      {value.replace(/^sha256:/, '').slice(0, 12)}
      {copy && <CopyButton text={value} label={value.slice(0, 19)} />}
    </span>
  )
}
