//go:build cgo

package sandbox

// ownThreads: with cgo (the race detector needs it) threads may be of C code.
const ownThreads = false
