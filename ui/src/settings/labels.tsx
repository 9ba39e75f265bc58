// Labels that narrow what a user or a token sees.
import { Form, Select } from 'antd'
import { useTranslation } from 'react-i18next'

export function Labels({ labels }: { labels: string[] | null | undefined }) {
  const { t } = useTranslation('settings')
  if (!labels || labels.length === 0) return <span>{t('allHosts')}</span>
  return (
    <span className="row">
      {labels.map((label) => (
        <span key={label} className="tag" style={{ maxWidth: 240 }} title={label}>
          <span className="clip">{label}</span>
        </span>
      ))}
    </span>
  )
}

/** The field of a form for them. */
export function LabelsItem() {
  const { t } = useTranslation('settings')
  return (
    <Form.Item
      name="labels"
      label={t('labels')}
      extra={t('labelsHint')}
      rules={[{ validator: (_, labels: string[] | undefined) => (labels?.every((label) => /^[^=]+=/.test(label)) ?? true ? Promise.resolve() : Promise.reject(new Error(t('labelShape')))) }]}
    >
      <Select mode="tags" open={false} suffixIcon={null} tokenSeparators={[',', ' ']} placeholder={t('allHosts')} maxCount={50} />
    </Form.Item>
  )
}
