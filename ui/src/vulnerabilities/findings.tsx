// Findings: a vulnerability in a package at its place in an image.
import type { Search } from '../api'

interface Props {
  /** Whose findings: an image, a vulnerability. */
  fixed: Search
  /** The column that the page itself says. */
  without: 'image' | 'vulnerability'
}

export function Findings(_: Props) {
  return null
}
