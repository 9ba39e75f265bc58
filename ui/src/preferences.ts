// What this browser remembers of its user's taste. Nothing of the fleet is kept here.
import { useSyncExternalStore } from 'react'

const listeners = new Set<() => void>()

function read(key: string): string {
  try {
    return localStorage.getItem('plimsoll.' + key) ?? ''
  } catch {
    return '' // a browser that forbids it
  }
}

export function remember(key: string, value: string) {
  try {
    if (value === '') localStorage.removeItem('plimsoll.' + key)
    else localStorage.setItem('plimsoll.' + key, value)
  } catch {
    // It is for this page alone then.
  }
  for (const tell of listeners) tell()
}

export const remembered = read

/** A preference that follows changes, those of other tabs too. */
export function usePreference(key: string): string {
  return useSyncExternalStore(
    (tell) => {
      listeners.add(tell)
      addEventListener('storage', tell)
      return () => {
        listeners.delete(tell)
        removeEventListener('storage', tell)
      }
    },
    () => read(key),
  )
}
