export function Vulnerabilities() {
  return null
}
