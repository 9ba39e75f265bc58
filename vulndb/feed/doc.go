// Package feed turns published sources into a generation of advisories: OSV
// exports in OSV's own layout, further sources such as the errata of package
// repositories, CISA's catalogue of known exploited vulnerabilities, FIRST's EPSS
// and CVSS scores.
//
// It owns fetching (conditionally, with limits, one update at a time for each
// directory), the reading of each source's format and the translation of its
// words into the domain: which flaws a record is about, who says so, how bad it
// is, what there is to do. It refuses to compare versions and to decide between
// records; that is package match. Nothing in use is touched until the next
// generation is complete and verified.
//
// Everything fetched is hostile: sizes, counts and names are bounded, a record
// that cannot be read is counted as a problem and left out, and addresses come
// from the operator alone, never from data.
package feed
