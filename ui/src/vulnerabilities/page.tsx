export function VulnerabilityPage() {
  return null
}
