import type { Translated } from '../i18n'
import type { software as english } from './en'

export const software: Translated<typeof english> = {
}
