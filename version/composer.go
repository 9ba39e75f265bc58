package version

import "strings"

// Order of what may stand at one place of a Composer version: branches come
// before everything, words before the end unless they are patches.
const (
	composerBranch  = 0
	composerUnknown = 1
	composerDev     = 2
	composerAlpha   = 3
	composerBeta    = 4
	composerRC      = 5
	composerEnd     = 6
	composerNumber  = 7
	composerPatch   = 8
)

// composerNumbers is the count of numbers in Composer's normal form; missing
// ones are 0.
const composerNumbers = 4

// appendComposer brings v into the normal form of Composer's VersionParser
// (1.0 is 1.0.0.0, 1.x-dev is 1.9999999.9999999.9999999-dev, a leading v, the
// build metadata and @stability do not count) and orders it as PHP's
// version_compare does. A branch, dev-main, is older than all releases.
func appendComposer(b []byte, v string) (key []byte, prerelease bool, problem string) {
	v = strings.ToLower(v)
	if branch, ok := strings.CutPrefix(v, "dev-"); ok {
		return appendWord(append(b, composerBranch), branch), true, ""
	}
	v, _, _ = strings.Cut(v, "+")
	v, _, _ = strings.Cut(v, "@")
	v = strings.TrimPrefix(v, "v")
	if v == "" || !isDigit(v[0]) {
		return nil, false, "does not begin with a number"
	}
	numbers, wildcard := 0, false // leading numbers, and whether an x was among them
	leading := true
	pad := func() {
		for ; leading && numbers < composerNumbers; numbers++ {
			if wildcard {
				b = appendNumber(append(b, composerNumber), "9999999")
			} else {
				b = appendNumber(append(b, composerNumber), "0")
			}
		}
		leading = false
	}
	for v != "" {
		n := 1
		switch c := v[0]; {
		case isDigit(c):
			n = digitsLen(v)
			b = appendNumber(append(b, composerNumber), v[:n])
			numbers++
		case leading && (c == '*' || c == 'x' && lettersLen(v) == 1):
			wildcard = true
			pad()
		case isLetter(c):
			n = lettersLen(v)
			rank := composerRank(v[:n])
			if rank == composerEnd { // stable
				break
			}
			pad()
			b = append(b, rank)
			prerelease = prerelease || rank < composerEnd
		case c != '.' && c != '-' && c != '_':
			return nil, false, "unexpected character"
		}
		v = v[n:]
	}
	pad()
	return append(b, composerEnd), prerelease, ""
}

func composerRank(word string) byte {
	switch word {
	case "dev":
		return composerDev
	case "alpha", "a":
		return composerAlpha
	case "beta", "b":
		return composerBeta
	case "rc":
		return composerRC
	case "stable":
		return composerEnd
	case "patch", "pl", "p":
		return composerPatch
	}
	return composerUnknown
}
