import type { Translated } from '../i18n'
import type { settings as english } from './en'

export const settings: Translated<typeof english> = {
}
