import type { Translated } from '../i18n'
import type { hosts as english } from './en'

export const hosts: Translated<typeof english> = {
}
