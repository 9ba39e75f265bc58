// What to do about a vulnerability, in a few words.
import { useTranslation } from 'react-i18next'

/** What the console suggests, in the user's language: it says it in one of three forms. */
export function useSuggestion() {
  const { t } = useTranslation('vulnerabilities')
  return (says: string | undefined): string | undefined => {
    const [, name, to] = /^upgrade (.+?)(?: to (\S+))?$/s.exec(says ?? '') ?? []
    const many = /^(\d+) packages$/.exec(name ?? '')?.[1]
    if (!name) return says
    return many ? t('suggest.many', { count: Number(many) }) : to ? t('suggest.one', { package: name, to }) : t('suggest.some', { package: name })
  }
}
