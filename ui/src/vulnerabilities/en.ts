export const vulnerabilities = {
}
