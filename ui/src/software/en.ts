export const software = {
}
