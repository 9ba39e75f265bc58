import type { Translated } from '../i18n'
import type { dashboard as english } from './en'

export const dashboard: Translated<typeof english> = {
}
