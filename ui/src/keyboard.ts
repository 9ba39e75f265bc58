// Keys that work on every page. None of them works while something is typed.
import { useNavigate } from '@tanstack/react-router'
import { useEffect } from 'react'

import { areas } from './shell'

export function useShortcuts(help: () => void) {
  const navigate = useNavigate()
  useEffect(() => {
    let going = false
    const onKey = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement
      if (event.ctrlKey || event.metaKey || event.altKey || target.closest('input:not([type=checkbox]), textarea, select, [contenteditable], [role=dialog], [role=menu], [role=combobox]')) return
      const area = going ? areas.find((a) => a.key === event.key) : undefined
      going = event.key === 'g' && !going
      if (area) void navigate({ to: area.path })
      else if (event.key === '/') document.querySelector<HTMLElement>('[data-search] input')?.focus()
      else if (event.key === '?') help()
      else if (event.key === 'j' || event.key === 'k') step(event.key === 'j' ? 1 : -1)
      else return
      event.preventDefault()
    }
    addEventListener('keydown', onKey)
    return () => removeEventListener('keydown', onKey)
  }, [navigate, help])
}

/** Goes to the link of the next or previous row; Enter then opens it. */
function step(by: number) {
  const rows = [...document.querySelectorAll<HTMLElement>('.list tr.ant-table-row')]
  const at = rows.findIndex((row) => row.contains(document.activeElement))
  const to = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : at + by]
  ;(to?.querySelector<HTMLElement>('a[href]') ?? to?.querySelector<HTMLElement>('button, input'))?.focus()
}
