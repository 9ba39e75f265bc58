// The content security policy lets in styles with the nonce of this page alone.
// Ant Design takes it for its own, but two of its parts (the lock of the page behind
// a dialog, the measure of a scroll bar) make styles that do not ask for it.
export const nonce = document.querySelector<HTMLMetaElement>('meta[name=csp-nonce]')?.content

const create = document.createElement.bind(document)
document.createElement = ((name: string, options?: ElementCreationOptions) => {
  const element = create(name, options)
  if (element instanceof HTMLStyleElement && nonce) element.nonce = nonce
  return element
}) as typeof document.createElement
