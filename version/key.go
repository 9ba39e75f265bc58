package version

import "strings"

// appendNumber appends a run of digits so that bytes order as numbers do: the
// count of digits without leading zeros, then the digits. Numbers have no
// upper limit but the length of a version. No digits mean zero.
func appendNumber(b []byte, digits string) []byte {
	digits = strings.TrimLeft(digits, "0")
	if n := len(digits); n < 0xff {
		b = append(b, byte(n))
	} else {
		b = append(b, 0xff, byte(n>>8), byte(n))
	}
	return append(b, digits...)
}

// appendWord appends a string so that a prefix comes before what it begins.
// Parse has refused bytes that could be taken for the end mark.
func appendWord(b []byte, word string) []byte {
	return append(append(b, word...), 0)
}

// digitsLen returns the length of the run of digits at the start of s.
func digitsLen(s string) int {
	n := 0
	for n < len(s) && isDigit(s[n]) {
		n++
	}
	return n
}

// lettersLen returns the length of the run of ASCII letters at the start of s.
func lettersLen(s string) int {
	n := 0
	for n < len(s) && isLetter(s[n]) {
		n++
	}
	return n
}

// isNumber reports whether s consists of digits, at least one.
func isNumber(s string) bool { return s != "" && digitsLen(s) == len(s) }

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
