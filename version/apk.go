package version

// Marks of apk's tokens. A version that goes on is the newer one unless it
// goes on with a pre-release suffix or with something invalid; between two
// kinds of token, the one that belongs further left is the newer.
const (
	apkPreSuffix = iota + 1
	apkInvalid
	apkEnd
	apkRevision
	apkHash
	apkSuffixNumber
	apkPostSuffix
	apkLetter
	apkDigitsZero // ordered as text, see appendAPK
	apkDigits
	apkFirstDigits
)

// appendAPK follows apk-package(5) and apk-tools 3:
//
//	number{.number}...{letter}{_suffix{number}}...{~hash}{-r#}
//
// Two things that only apk-tools 2 accepts are read as it did, because systems
// made with it hold them: digits after the letter (6.6.2p1) and -r without a
// number. A version that apk refuses is ordered by what stands before the
// fault, and is older than the same version without it; feeds contain such
// (20.10.11.r0), and they must not make an installed 20.10.11-r0 look old. One
// that does not begin with a number has nothing before its fault and is refused.
func appendAPK(b []byte, v string) (key []byte, prerelease bool, problem string) {
	n := digitsLen(v)
	if n == 0 {
		return nil, false, "does not begin with a number"
	}
	b = appendNumber(append(b, apkFirstDigits), v[:n])
	last := apkFirstDigits
	for v = v[n:]; v != ""; v = v[n:] {
		token := apkInvalid
		switch c := v[0]; {
		case 'a' <= c && c <= 'z' && last >= apkDigits:
			token, n = apkLetter, 1
			b = append(b, apkLetter, c)
		case c == '.' && last >= apkDigits && digitsLen(v[1:]) > 0:
			token, n = apkDigits, 1+digitsLen(v[1:])
			b = appendAPKDigits(b, v[1:n])
		case isDigit(c) && last == apkLetter:
			token, n = apkDigits, digitsLen(v)
			b = appendAPKDigits(b, v[:n])
		case isDigit(c) && (last == apkPostSuffix || last == apkPreSuffix):
			token, n = apkSuffixNumber, digitsLen(v)
			b = appendNumber(append(b, apkSuffixNumber), v[:n])
		case c == '_' && (last >= apkSuffixNumber || last == apkPreSuffix):
			n = 1 + lettersLen(v[1:])
			if rank := apkSuffixRank(v[1:n]); rank > 0 {
				token = apkPostSuffix
				if rank < apkRankPost {
					token, prerelease = apkPreSuffix, true
				}
				b = append(b, byte(token), rank)
			}
		case c == '~' && last != apkHash && last != apkRevision:
			if n = 1 + hexLen(v[1:]); n > 1 {
				token = apkHash
				b = appendWord(append(b, apkHash), v[1:n])
			}
		case c == '-' && last != apkRevision && len(v) > 1 && v[1] == 'r':
			n = 2 + digitsLen(v[2:])
			if n > 2 || n == len(v) {
				token = apkRevision
				b = appendNumber(append(b, apkRevision), v[2:n])
			}
		}
		if token == apkInvalid {
			if v[0] == '-' { // apk takes all faults of this kind as equal
				v = ""
			}
			return appendWord(append(b, apkInvalid), v), prerelease, ""
		}
		last = token
	}
	return append(b, apkEnd), prerelease, ""
}

// appendAPKDigits appends a number after the first. If either of two such
// numbers has a leading zero apk compares them as text, so those with one come
// first.
func appendAPKDigits(b []byte, digits string) []byte {
	if digits[0] == '0' {
		return appendWord(append(b, apkDigitsZero), digits)
	}
	return appendNumber(append(b, apkDigits), digits)
}

// apkRankPost is the rank of the first suffix that is newer than no suffix.
const apkRankPost = 5

// apkSuffixRank returns the place of a suffix in apk's order, 0 for others.
func apkSuffixRank(s string) byte {
	switch s {
	case "alpha":
		return 1
	case "beta":
		return 2
	case "pre":
		return 3
	case "rc":
		return 4
	case "cvs":
		return apkRankPost
	case "svn":
		return 6
	case "git":
		return 7
	case "hg":
		return 8
	case "p":
		return 9
	}
	return 0
}

// hexLen returns the length of the run of lower-case hexadecimal digits at the
// start of s.
func hexLen(s string) int {
	n := 0
	for n < len(s) && (isDigit(s[n]) || 'a' <= s[n] && s[n] <= 'f') {
		n++
	}
	return n
}
