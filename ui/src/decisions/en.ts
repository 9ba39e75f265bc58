export const decisions = {
}
