package version

import "strings"

// Marks of rpmvercmp's segments, in their order: a tilde sorts before the end
// of the version, a caret directly after it, numbers after words.
const (
	rpmTilde  = 1
	rpmEnd    = 2
	rpmCaret  = 3
	rpmWord   = 4
	rpmNumber = 5
)

// appendRPM follows rpm-version(7): [epoch:]version[-release]. Only digits
// make an epoch; a missing one is 0. A missing release sorts before any, as in
// rpm's own comparison of versions.
func appendRPM(b []byte, v string) []byte {
	epoch, version, release, hasRelease := splitEVR(v)
	b = appendNumber(b, epoch)
	b = appendRPMPart(b, version)
	if !hasRelease {
		return append(b, 0)
	}
	return appendRPMPart(append(b, 1), release)
}

// splitEVR splits as rpm and pacman do.
func splitEVR(v string) (epoch, version, release string, hasRelease bool) {
	if n := digitsLen(v); n < len(v) && v[n] == ':' {
		epoch, v = v[:n], v[n+1:]
	}
	version = v
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		version, release, hasRelease = v[:i], v[i+1:], true
	}
	return epoch, version, release, hasRelease
}

// appendRPMPart appends the segments that rpmvercmp compares. All other bytes,
// those outside ASCII among them, only separate.
func appendRPMPart(b []byte, s string) []byte {
	for s != "" {
		n := 1
		switch c := s[0]; {
		case c == '~':
			b = append(b, rpmTilde)
		case c == '^':
			b = append(b, rpmCaret)
		case isDigit(c):
			n = digitsLen(s)
			b = appendNumber(append(b, rpmNumber), s[:n])
		case isLetter(c):
			n = lettersLen(s)
			b = appendWord(append(b, rpmWord), s[:n])
		}
		s = s[n:]
	}
	return append(b, rpmEnd)
}

// Marks of pacman's segments, in their order: a word right after the last
// number is a pre-release (1.0rc1 < 1.0), one after a separator is not
// (1.0 < 1.0.a). After separators, words come before the end and numbers.
const (
	pacmanSuffix    = 1
	pacmanEnd       = 2
	pacmanSeparated = 3

	pacmanWord        = 1
	pacmanTrailingEnd = 2
	pacmanNumber      = 3
)

// appendPacman follows vercmp(8): [epoch:]version[-pkgrel]. Two things differ,
// where vercmp has no consistent order: a missing pkgrel sorts before any
// (vercmp calls 1.0-1, 1.0 and 1.0-2 equal), and separators at the end of a
// version are counted.
func appendPacman(b []byte, v string) []byte {
	epoch, version, release, hasRelease := splitEVR(v)
	b = appendNumber(b, epoch)
	b = appendPacmanPart(b, version)
	if !hasRelease {
		return append(b, 0)
	}
	return appendPacmanPart(append(b, 1), release)
}

func appendPacmanPart(b []byte, s string) []byte {
	for s != "" {
		n := 0
		for n < len(s) && !isDigit(s[n]) && !isLetter(s[n]) {
			n++
		}
		separators := byte(min(n, 0xff))
		s = s[n:]
		n = lettersLen(s)
		switch {
		case s == "":
			return append(b, pacmanSeparated, separators, pacmanTrailingEnd)
		case n > 0 && separators == 0:
			b = appendWord(append(b, pacmanSuffix), s[:n])
		case n > 0:
			b = appendWord(append(b, pacmanSeparated, separators, pacmanWord), s[:n])
		default:
			n = digitsLen(s)
			b = appendNumber(append(b, pacmanSeparated, separators, pacmanNumber), s[:n])
		}
		s = s[n:]
	}
	return append(b, pacmanEnd)
}
