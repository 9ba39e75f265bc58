// Text of others in a table: one line of bounded width, the whole of it on hover.

export function Clip({ text, width = 240, mono }: { text: string | undefined; width?: number; mono?: boolean }) {
  if (!text) return <span className="muted">–</span>
  return (
    <span className={mono ? 'clip mono' : 'clip'} style={{ maxWidth: width }} title={text}>
      {text}
    </span>
  )
}
