// The console tells what has changed; pages then ask again for what they show.
import { useQueryClient } from '@tanstack/react-query'
import { useEffect } from 'react'

/** First parts of query keys that an event makes old. */
const touched: Record<string, string[]> = {
  tasks: ['tasks', 'dashboard', 'exports'],
  work: ['images', 'hosts', 'dashboard', 'tasks'],
  fleet: ['images', 'hosts', 'containers', 'dashboard'],
  generation: ['database', 'dashboard', 'images', 'vulnerabilities', 'findings', 'software'],
}

const patience = 1500 // ms; a busy fleet changes without end

/** Follows the console's events while the page is open. */
export function useEvents() {
  const queries = useQueryClient()
  useEffect(() => {
    const source = new EventSource('/api/v1/events')
    const due = new Set<string>()
    let timer: ReturnType<typeof setTimeout> | undefined
    for (const [event, keys] of Object.entries(touched)) {
      source.addEventListener(event, () => {
        keys.forEach((key) => due.add(key))
        timer ??= setTimeout(() => {
          timer = undefined
          for (const key of due) void queries.invalidateQueries({ queryKey: [key] })
          due.clear()
        }, patience)
      })
    }
    return () => {
      source.close()
      clearTimeout(timer)
    }
  }, [queries])
}
