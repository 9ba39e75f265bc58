// Package e2e holds the end-to-end tests: plimsoll against real engines, real
// packages and real advisories. They need root and Debian's packages of the
// engines, so they carry the build tag e2e; package lab supplies both.
//
// It owns no code that ships and nothing may import it. Trust: test code only.
package e2e
