// Advisories from a file, for consoles that reach no network.
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Alert, App, Button, Checkbox, Progress } from 'antd'
import { useRef, useState } from 'react'
import { useTranslation } from 'react-i18next'

import { Command } from '../parts/copy'
import { UploadOutlined } from '../parts/icons'
import { useSentence } from '../parts/problem'
import { useBytes } from '../parts/time'
import { largest, sendAdvisories } from './upload'

export function Import() {
  const { t } = useTranslation('settings')
  const { message } = App.useApp()
  const sentence = useSentence()
  const bytes = useBytes()
  const queries = useQueryClient()
  const input = useRef<HTMLInputElement>(null)
  const cancel = useRef<AbortController>(null)
  const [file, setFile] = useState<File>()
  const [force, setForce] = useState(false)
  const [unsigned, setUnsigned] = useState(false)
  const [share, setShare] = useState(0)
  const send = useMutation({
    mutationFn: (file: File) => {
      cancel.current = new AbortController()
      setShare(0)
      return sendAdvisories(file, { force, unsigned }, setShare, cancel.current.signal)
    },
    onSuccess: () => {
      setFile(undefined)
      void message.success(t('imported'))
    },
    onSettled: () => queries.invalidateQueries(),
  })
  const tooLarge = file !== undefined && file.size > largest
  const cancelled = send.error instanceof DOMException
  return (
    <section className="card stack" aria-labelledby="import">
      <h2 id="import">{t('import')}</h2>
      <span className="muted">{t('importHint')}</span>
      <Command text="plimsoll db export advisories.plim" label={t('importCommand')} />
      <input
        ref={input}
        type="file"
        hidden
        aria-label={t('chooseFile')}
        onChange={(event) => {
          setFile(event.target.files?.[0])
          send.reset()
          event.target.value = '' // the same may be chosen again
        }}
      />
      <div className="row">
        <Button icon={<UploadOutlined />} disabled={send.isPending} onClick={() => input.current?.click()}>
          {t('chooseFile')}
        </Button>
        {file && (
          <span className="text">
            {file.name} ({bytes(file.size)})
          </span>
        )}
      </div>
      <Checkbox checked={force} disabled={send.isPending} onChange={(event) => setForce(event.target.checked)}>
        {t('importForce')}
      </Checkbox>
      <Checkbox checked={unsigned} disabled={send.isPending} onChange={(event) => setUnsigned(event.target.checked)}>
        {t('importUnsigned')}
      </Checkbox>
      {tooLarge && <Alert type="error" showIcon role="alert" title={t('fileTooLarge', { size: bytes(largest) })} />}
      {send.error && <Alert type={cancelled ? 'info' : 'error'} showIcon role="alert" title={<span className="text">{cancelled ? t('importCancelled') : sentence(send.error)}</span>} />}
      {send.isPending && (
        <div aria-live="polite">
          <Progress percent={Math.floor(share * 100)} aria-label={t('sending')} />
          {share < 1 ? t('sending') : t('checking')}
        </div>
      )}
      <div className="row">
        <Button type="primary" disabled={!file || tooLarge} loading={send.isPending} onClick={() => file && send.mutate(file)}>
          {t('importStart')}
        </Button>
        {send.isPending && <Button onClick={() => cancel.current?.abort()}>{t('cancel', { ns: 'common' })}</Button>}
      </div>
    </section>
  )
}
