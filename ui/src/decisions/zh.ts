import type { Translated } from '../i18n'
import type { decisions as english } from './en'

export const decisions: Translated<typeof english> = {
}
