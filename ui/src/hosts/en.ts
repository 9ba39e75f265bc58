export const hosts = {
}
