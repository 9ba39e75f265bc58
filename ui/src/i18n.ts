// Two languages, of which a page loads one. Texts lie beside the pages that show
// them; English is the original, Chinese must have the same keys.
import i18next from 'i18next'
import { initReactI18next } from 'react-i18next'

import { remember, remembered } from './preferences'
import type { texts as english } from './text/en'

export type Language = 'en' | 'zh'

declare module 'i18next' {
  interface CustomTypeOptions {
    defaultNS: 'common'
    resources: typeof english
  }
}

/** The keys of an English area with a text each. Chinese has no singular. */
export type Translated<T> = { [K in keyof T as K extends `${string}_one` ? never : K]: string }

const languages = {
  en: () => import('./text/en'),
  zh: () => import('./text/zh'),
}

export function preferredLanguage(): Language {
  const kept = remembered('language')
  if (kept === 'en' || kept === 'zh') return kept
  return navigator.languages.find((l) => /^(en|zh)\b/i.test(l))?.toLowerCase().startsWith('zh') ? 'zh' : 'en'
}

/** Loads a language and shows all texts in it. Answers with Ant Design's own texts. */
export async function speak(language: Language) {
  const { texts, library } = await languages[language]()
  if (!i18next.isInitialized) {
    await i18next.use(initReactI18next).init({
      lng: language,
      ns: Object.keys(texts),
      defaultNS: 'common',
      keySeparator: false,
      interpolation: { escapeValue: false }, // React escapes
      resources: { [language]: texts },
      returnNull: false,
    })
  } else {
    for (const [area, words] of Object.entries(texts)) i18next.addResourceBundle(language, area, words)
    await i18next.changeLanguage(language)
  }
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en'
  return library
}

export function choose(language: Language) {
  remember('language', language)
}
