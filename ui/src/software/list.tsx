export function Software() {
  return null
}
