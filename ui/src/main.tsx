import './style.css'

import { App } from './app'
import { createRoot } from 'react-dom/client'
import { preferredLanguage, speak } from './i18n'

// Texts come first, so that no page is ever shown in a language it does not speak.
async function start(root: HTMLElement) {
  const library = await speak(preferredLanguage()).catch(() => undefined)
  if (library) createRoot(root).render(<App library={library} />)
  else setTimeout(() => void start(root), 5000) // the console went away between page and texts
}

const root = document.getElementById('root')
if (root) void start(root)
