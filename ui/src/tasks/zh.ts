import type { Translated } from '../i18n'
import type { tasks as english } from './en'

export const tasks: Translated<typeof english> = {
}
