// What pages before sign-in have in common.
import type { ReactNode } from 'react'
import { useTranslation } from 'react-i18next'

import { choose } from '../i18n'

export function Frame({ title, hint, children }: { title: string; hint: string; children: ReactNode }) {
  const { t } = useTranslation()
  return (
    <main className="center">
      <div className="card" style={{ width: 340, padding: 24 }}>
        <div className="row">
          <img src="/assets/plimsoll.svg" alt="" width={32} height={32} />
          <strong style={{ fontSize: 18 }}>{t('product')}</strong>
        </div>
        <h1 style={{ fontSize: 18, margin: '16px 0 4px' }}>{title}</h1>
        <p className="muted" style={{ marginTop: 0 }}>
          {hint}
        </p>
        {children}
        <div className="row" style={{ marginTop: 16 }}>
          <button type="button" className="plain" lang="en" onClick={() => choose('en')}>
            English
          </button>
          <button type="button" className="plain" lang="zh-CN" onClick={() => choose('zh')}>
            中文
          </button>
        </div>
      </div>
    </main>
  )
}
