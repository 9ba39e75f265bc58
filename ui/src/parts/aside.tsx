// What a row is about, in a drawer with an address of its own.
import { Drawer } from 'antd'
import { useEffect, useRef, type ReactNode } from 'react'

interface Props {
  /** Parameter of the address that opens it. */
  name: string
  /** Its value; closed without one. */
  value: string
  title: string
  close: () => void
  children: ReactNode
}

export function Aside({ name, value, title, close, children }: Props) {
  const last = useRef(value)
  useEffect(() => {
    if (value !== '') last.current = value
  }, [value])
  /** Whoever closes it goes on where they were: at the row. */
  const back = () => {
    const links = [...document.querySelectorAll<HTMLAnchorElement>('.list a[href]')]
    ;(links.find((link) => new URL(link.href).searchParams.get(name) === last.current) ?? document.getElementById('content'))?.focus({ preventScroll: true })
  }
  return (
    <Drawer open={value !== ''} onClose={close} size={720} destroyOnHidden title={<span className="text">{title}</span>} afterOpenChange={(open) => !open && back()}>
      {value !== '' && children}
    </Drawer>
  )
}
