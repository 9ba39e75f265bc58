// What a task is called. The console names tasks in English: those names are said
// in the user's language; what somebody else wrote stays.
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'

export function useTitle() {
  const { t } = useTranslation('tasks')
  return ({ kind, title }: Schemas['Task']): string => {
    const [, count] = /^Scan of (\d+) images$/.exec(title) ?? []
    const [, schedule] = /^Schedule: (.+)$/s.exec(title) ?? []
    const [, file] = /^Export (.+)$/s.exec(title) ?? []
    if (kind === 'scan' && (count || title === 'Scan of one image')) return t('title.scan', { count: Number(count ?? 1) })
    if (kind === 'scan' && schedule) return t('title.schedule', { name: schedule })
    if (kind === 'sync' && title === 'List images again') return t('title.sync')
    if (kind === 'database' && title === 'Update of the advisories') return t('title.update')
    if (kind === 'database' && title === 'Import of advisories') return t('title.import')
    if (kind === 'export' && file) return t('title.export', { name: file })
    return title
  }
}
