package version

import "strings"

// appendDeb follows deb-version(7): [epoch:]upstream[-revision], where a
// missing epoch is 0 and a missing revision equals revision 0.
func appendDeb(b []byte, v string) ([]byte, string) {
	epoch, rest, found := strings.Cut(v, ":")
	if !found {
		epoch, rest = "0", v
	}
	if !isNumber(epoch) {
		return nil, "epoch is not a number"
	}
	upstream, revision := rest, "0"
	if i := strings.LastIndexByte(rest, '-'); i >= 0 {
		upstream, revision = rest[:i], rest[i+1:]
	}
	if upstream == "" || revision == "" {
		return nil, "upstream version or revision is empty"
	}
	b = appendNumber(b, epoch)
	b, problem := appendDebPart(b, upstream)
	if problem != "" {
		return nil, problem
	}
	return appendDebPart(b, revision)
}

// Order of what may stand where dpkg reads a run of non-digits: a tilde sorts
// even before the end of the run, letters keep their code, and everything else
// comes after all letters.
const (
	debTilde = 1
	debEnd   = 2
	debOther = 0x80
)

// appendDebPart appends runs of non-digits and digits in turn, as dpkg's
// verrevcmp compares them. Past its end a version goes on with empty runs and
// zeros, so one end mark after the last number stands for all of them.
func appendDebPart(b []byte, s string) ([]byte, string) {
	for {
		for s != "" && !isDigit(s[0]) {
			switch c := s[0]; {
			case c == '~':
				b = append(b, debTilde)
			case isLetter(c):
				b = append(b, c)
			case c < 0x80:
				b = append(b, c|debOther)
			default:
				return nil, "character outside ASCII"
			}
			s = s[1:]
		}
		n := digitsLen(s)
		b = appendNumber(append(b, debEnd), s[:n])
		if s = s[n:]; s == "" {
			return append(b, debEnd), ""
		}
	}
}
