// The console tells what has changed; pages then ask again for what they show.
import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'

/** First parts of query keys that an event makes old. */
const touched: Record<string, string[]> = {
  tasks: ['tasks', 'images', 'hosts', 'dashboard', 'exports'],
  fleet: ['images', 'hosts', 'containers', 'dashboard'],
  decisions: ['decisions', 'findings', 'vulnerabilities', 'images', 'dashboard'],
  generation: ['database', 'dashboard', 'images', 'vulnerabilities', 'findings', 'software'],
}

const patience = 1500 // ms; a busy fleet changes without end
const pause = 10_000 // ms before a refused connection is tried again

/** Follows the console's events while the page is open. */
export function useEvents() {
  const queries = useQueryClient()
  useEffect(() => {
    const due = new Set<string>()
    let timer: ReturnType<typeof setTimeout> | undefined
    let again: ReturnType<typeof setTimeout> | undefined
    let source: EventSource
    let missed = false
    const old = (keys: string[]) => {
      keys.forEach((key) => due.add(key))
      timer ??= setTimeout(() => {
        timer = undefined
        for (const key of due) void queries.invalidateQueries({ queryKey: [key] })
        due.clear()
      }, patience)
    }
    const follow = () => {
      source = new EventSource('/api/v1/events')
      for (const [event, keys] of Object.entries(touched)) source.addEventListener(event, () => old(keys))
      source.onopen = () => {
        if (missed) old(Object.values(touched).flat())
        missed = false
      }
      // A lost connection the browser makes anew by itself, but after a refusal, of a
      // proxy before a console that starts again, say, it gives up.
      source.onerror = () => {
        missed = true
        if (source.readyState === EventSource.CLOSED) again = setTimeout(follow, pause)
      }
    }
    follow()
    return () => {
      source.close()
      clearTimeout(timer)
      clearTimeout(again)
    }
  }, [queries])
}
