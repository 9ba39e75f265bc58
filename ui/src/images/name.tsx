// An image's name as a link to its page; other names are told on hover.
import { Link } from '@tanstack/react-router'
import { useTranslation } from 'react-i18next'

export function ImageName({ id, names, digest }: { id: number; names: string[] | null | undefined; digest: string }) {
  const { t } = useTranslation()
  const [first, ...others] = names ?? []
  return (
    <span className="elastic" title={names?.join('\n')}>
      <Link to="/images/$id" params={{ id: String(id) }} className="clip" style={{ maxWidth: 400 }}>
        {first ?? `${t('noName')} ${digest.replace(/^sha256:/, '').slice(0, 12)}`}
      </Link>
      {others.length > 0 && <span className="tag">+{others.length}</span>}
    </span>
  )
}
