// One task, told by the console as it goes on; asked for again and again where no
// events come through.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'

import { client, ok, type Schemas } from '../api'

type Task = Schemas['Task']

const pollEvery = 3000 // ms

export function isOver(task: Task): boolean {
  return task.state !== 'queued' && task.state !== 'running'
}

/** Seconds that a task or one of its items has taken up to now. */
export function secondsOf({ started, ended }: { started?: string; ended?: string }): number | undefined {
  if (!started) return undefined
  return Math.max(0, ((ended ? Date.parse(ended) : Date.now()) - Date.parse(started)) / 1000)
}

export function useTask(id: number) {
  const queries = useQueryClient()
  const [live, setLive] = useState(false)
  const query = useQuery({
    queryKey: ['task', id],
    queryFn: () => ok(client.GET('/api/v1/tasks/{id}', { params: { path: { id } } })),
    refetchInterval: ({ state: { data } }) => (data && !isOver(data) && !live ? pollEvery : false),
  })
  const going = query.data !== undefined && !isOver(query.data)
  useEffect(() => {
    if (!going) return
    const source = new EventSource(`/api/v1/events?task=${id}`)
    source.onopen = () => setLive(true)
    source.onerror = () => setLive(false) // the browser tries again by itself
    source.addEventListener('task', ({ data }: MessageEvent<string>) => queries.setQueryData(['task', id], JSON.parse(data) as Task))
    return () => {
      source.close()
      setLive(false)
    }
  }, [going, id, queries])
  return { ...query, live: live && going }
}
