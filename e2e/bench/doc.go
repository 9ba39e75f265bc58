// Package bench measures what plimsoll costs on one host, and how that grows.
//
// It owns the measuring of a process with all that it starts, the ratios and fitted
// exponents that can be compared between machines, image stores and advisories of any
// size that are made by hand, and the parts of docs/performance.md that a run writes.
// It measures the program that PLIMSOLL_BIN names, as a user runs it; nothing here
// decides by a time whether plimsoll is right, and nothing that ships may import it.
//
// Trust: it runs on a machine of its own, as root for real engines, and believes
// what the kernel tells of processes.
package bench
