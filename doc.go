// Package plimsoll is the domain of Plimsoll in its own words: images and their
// layers, packages, advisories, vulnerabilities, findings, the rectification
// plan and the problems that keep a scan from being complete.
//
// It owns the vocabulary and the rules that need nothing but values. It refuses
// to do I/O, to parse foreign formats and to import any other package of this
// module; adapters translate between the outside world and these types.
// Values that come from images, advisories or engines are data: nothing here
// escapes or trusts them (see package report).
package plimsoll
