//go:build !cgo

package sandbox

// ownThreads says that every thread of the process is the Go runtime's, which can
// have them all make a system call. Without that no restriction holds the whole
// process on most kernels.
const ownThreads = true
