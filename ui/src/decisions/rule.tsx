// A rule in words: which vulnerability, in which package, at which place, in which
// images, on which hosts.
import { useTranslation } from 'react-i18next'

import type { Schemas } from '../api'

type Rule = Partial<Schemas['Decision']>

const most = 3 // names of a long list

export function useRuleWords() {
  const { t } = useTranslation('decisions')
  const some = (names: string[]) => names.slice(0, most).join(', ') + (names.length > most ? ` +${names.length - most}` : '')
  return (rule: Rule): string => {
    if (rule.documentID) return [rule.vulnerability, t('byStatement'), rule.labels?.length ? t('onHosts', { labels: some(rule.labels) }) : ''].filter(Boolean).join(' · ')
    const named = rule.package || rule.packageType
    return [
      rule.vulnerability || t('anyVulnerability'),
      named && (rule.package && rule.packageType ? t('inPackageOfType', { package: rule.package, type: rule.packageType }) : rule.package ? t('inPackage', { package: rule.package }) : t('inType', { type: rule.packageType })),
      rule.path && t('atPath', { path: rule.path }),
      rule.repositories?.length ? t('inImages', { images: some(rule.repositories.map((name) => name || t('noName', { ns: 'common' }))) }) : '',
      rule.imageIDs?.length ? t('inImageIDs', { images: some(rule.imageIDs.map((id) => id.slice(7, 19))) }) : '',
      rule.labels?.length ? t('onHosts', { labels: some(rule.labels) }) : '',
    ]
      .filter(Boolean)
      .join(' · ')
  }
}
