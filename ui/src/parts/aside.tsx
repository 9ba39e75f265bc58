// What a row is about, in a drawer with an address of its own.
import { Drawer } from 'antd'
import { useEffect, useRef, type KeyboardEvent, type ReactNode } from 'react'

interface Props {
  /** Parameter of the address that opens it. */
  name: string
  /** Its value; closed without one. */
  value: string
  title: string
  close: () => void
  children: ReactNode
}

const motion = 300 // ms; a drawer that is gone holds the focus no more

export function Aside({ name, value, title, close, children }: Props) {
  const last = useRef(value)
  // Whoever closes it goes on where they were: at the row.
  useEffect(() => {
    const before = last.current
    last.current = value
    if (before === '' || value !== '') return
    const back = () => {
      if (document.activeElement !== document.body && !document.activeElement?.closest('.ant-drawer')) return // they have gone on already
      const links = [...document.querySelectorAll<HTMLAnchorElement>('.list a[href]')]
      ;(links.find((link) => new URL(link.href).searchParams.get(name) === before) ?? document.getElementById('content'))?.focus({ preventScroll: true })
    }
    const timer = setTimeout(back, motion)
    return () => clearTimeout(timer)
  }, [name, value])
  // Ant Design gives Escape to what was opened last, a dialog that still fades away
  // too. Whoever is back in the drawer means the drawer.
  const onKeyDown = (event: KeyboardEvent<HTMLElement>) => {
    if (event.key !== 'Escape' || event.nativeEvent.isComposing || !event.currentTarget.contains(event.target as Node)) return
    event.stopPropagation()
    close()
  }
  return (
    <Drawer open={value !== ''} onClose={close} onKeyDown={onKeyDown} size={720} destroyOnHidden title={<span className="text">{title}</span>}>
      {value !== '' && children}
    </Drawer>
  )
}
