export const dashboard = {
}
