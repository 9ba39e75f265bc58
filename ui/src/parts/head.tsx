// The head of a page: what it is about, and what can be done with it.
import type { ReactNode } from 'react'

export function Head({ title, marks, children }: { title: ReactNode; marks?: ReactNode; children?: ReactNode }) {
  return (
    <header className="page-head">
      <h1 className="text">{title}</h1>
      {marks && <div className="row">{marks}</div>}
      {children && <div className="actions">{children}</div>}
    </header>
  )
}
