import './style.css'

import { App } from './app'
import { createRoot } from 'react-dom/client'
import { preferredLanguage, speak } from './i18n'

// Texts come first, so that no page is ever shown in a language it does not speak.
const root = document.getElementById('root')
if (root) void speak(preferredLanguage()).then((library) => createRoot(root).render(<App library={library} />))
