import { useTranslation } from 'react-i18next'

import { Head } from '../parts/head'
import { useMe } from '../session'

export function About() {
  const { t } = useTranslation('settings')
  const me = useMe()
  return (
    <>
      <Head title={t('section.about')} />
      <section className="card" aria-label={t('section.about')}>
        <dl className="facts">
          <dt>{t('product')}</dt>
          <dd>{t('productSays')}</dd>
          <dt>{t('version')}</dt>
          <dd className="mono">{me?.version || t('unknown', { ns: 'common' })}</dd>
          <dt>{t('licence')}</dt>
          <dd>Apache License 2.0</dd>
          <dt>{t('api')}</dt>
          <dd className="row">
            <a href="/docs">{t('apiDocs')}</a>
            <a href="/openapi.json">{t('apiDocument')}</a>
          </dd>
          <dt>{t('advisorySources')}</dt>
          <dd>{t('advisorySourcesSay')}</dd>
        </dl>
      </section>
    </>
  )
}
