package version

import "strings"

// Marks of gem versions. Past its end a gem version goes on with zeros, and a
// word is less than any number. So zeros that a word follows are less than the
// end, the fewer the less, and zeros that another number follows are more than
// the end, the more zeros the less.
const (
	gemWord        = 1
	gemZerosWord   = 2
	gemEnd         = 3
	gemZerosNumber = 4
	gemNumber      = 5
)

// appendGem follows Gem::Version: a change between digits and letters
// separates as a dot does, a hyphen stands for .pre. , and zeros at the end of
// the leading numbers and at the end of the version do not count.
func appendGem(b []byte, v string) (key []byte, prerelease bool, problem string) {
	if !isDigit(v[0]) {
		return nil, false, "does not begin with a number"
	}
	zeros := 0 // zeros that wait for what follows them
	for v != "" {
		n := 1
		switch c := v[0]; {
		case isDigit(c):
			n = digitsLen(v)
			digits := strings.TrimLeft(v[:n], "0")
			if digits == "" {
				zeros++
				break
			}
			b = appendNumber(append(appendGemZeros(b, gemZerosNumber, zeros), gemNumber), digits)
			zeros = 0
		case isLetter(c):
			n = lettersLen(v)
			b = appendGemWord(b, v[:n], zeros, prerelease)
			zeros, prerelease = 0, true
		case c == '-':
			b = appendGemWord(b, "pre", zeros, prerelease)
			zeros, prerelease = 0, true
		case c != '.':
			return nil, false, "unexpected character"
		}
		v = v[n:]
	}
	return append(b, gemEnd), prerelease, ""
}

// appendGemWord appends a word and the zeros before it, which count only after
// the first word.
func appendGemWord(b []byte, word string, zeros int, counts bool) []byte {
	if counts {
		b = appendGemZeros(b, gemZerosWord, zeros)
	}
	return appendWord(append(b, gemWord), word)
}

// appendGemZeros appends a run of zeros under the mark that tells what follows.
func appendGemZeros(b []byte, mark byte, n int) []byte {
	if n == 0 {
		return b
	}
	if mark == gemZerosNumber {
		n = maxLength - n
	}
	return append(b, mark, byte(n>>8), byte(n))
}
