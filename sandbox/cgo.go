//go:build cgo

package sandbox

// A program with cgo cannot change its capabilities after its first thread, and makes
// threads by other system calls. Plimsoll is released without; whoever builds it with
// cgo has a weaker sandbox, which is told at each start and by doctor.
const cgo = true
