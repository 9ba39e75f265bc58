import type { Translated } from '../i18n'
import type { vulnerabilities as english } from './en'

export const vulnerabilities: Translated<typeof english> = {
}
