// Package vulndb owns one immutable generation of advisories: writing, opening,
// looking up, verifying, activating and rolling back.
//
// A generation is one file that is used as it was downloaded: sorted blocks of
// zstd with a dictionary, an index in two levels, a filter that answers most
// questions about packages without advisories from memory, and a SHA-256. It is
// read with pread and a checksum per block, never mapped, so that a damaged or
// cut file is an error and not a signal. The same records give the same bytes.
//
// It refuses to fetch anything and to parse foreign formats (package feed does),
// to compare versions and to judge (package match does), and to change a file
// once it is written.
//
// A generation may come from a stranger: every length in it is bounded and
// checked, and damage is an error with CodeCorrupt. The words of the records
// inside are data that nobody has escaped.
package vulndb
