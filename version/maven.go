package version

import "strings"

// Marks of Maven's items: a word is less than a sub-list, which is less than a
// number. See appendMaven.
const (
	mavenWord   = 1
	mavenList   = 2
	mavenNumber = 3
)

// Order of the qualifiers that Maven knows; all others come after them by name.
const (
	mavenAlpha = iota + 1
	mavenBeta
	mavenMilestone
	mavenRC
	mavenSnapshot
	mavenRelease
	mavenSP
	mavenUnknown
)

// appendMaven follows ComparableVersion of Maven 3.8 (POM reference, "Version
// Order Specification"). There a version is a list of numbers and words, and a
// hyphen or a change between digits and letters opens a sub-list that takes
// all that follows. A list therefore holds at most one sub-list, at its end,
// and the tree is written here as one row of items with a mark where a list
// opens. Items at the end of a list that equal nothing (0, ga, final) are
// dropped.
//
// One thing is ours: a last part .jre8, .jre11 and so on names the platform a
// build is for, so it is dropped and 12.10.2.jre11 equals 12.10.2.
func appendMaven(b []byte, v string) (key []byte, prerelease bool) {
	m := mavenKey{b: b, end: len(b), list: len(b)}
	v = strings.ToLower(trimJRE(v))
	part, digits := 0, false // v[part:i] is the item that is being read
	for i := range len(v) {
		switch c := v[i]; {
		case c == '.' || c == '-':
			if i == part {
				m.number("")
			} else {
				m.item(v[part:i], digits)
			}
			part = i + 1
			if c == '-' {
				m.openList()
			}
		case isDigit(c):
			if !digits && i > part {
				if !m.empty() {
					m.openList() // 1.0.0.x1 is 1.0.0-x1
				}
				m.word(v[part:i], true)
				part = i
				m.openList()
			}
			digits = true
		default:
			if digits && i > part {
				m.number(v[part:i])
				part = i
				m.openList()
			}
			digits = false
		}
	}
	if part < len(v) {
		if !digits && !m.empty() {
			m.openList()
		}
		m.item(v[part:], digits)
	}
	return m.b[:m.end], m.prerelease
}

// mavenKey is a key in the making. b[:end] ends with the last item that is not
// nothing, b[:list] with the mark of the list that is open.
type mavenKey struct {
	b          []byte
	end, list  int
	prerelease bool
}

// empty reports whether the open list has no item yet.
func (m *mavenKey) empty() bool { return len(m.b) == m.list }

// openList drops the items at the end of the open list that are nothing, and
// opens the next.
func (m *mavenKey) openList() {
	m.b = append(m.b[:max(m.end, m.list)], mavenList)
	m.list = len(m.b)
}

func (m *mavenKey) item(s string, digits bool) {
	if digits {
		m.number(s)
	} else {
		m.word(s, false)
	}
}

func (m *mavenKey) number(digits string) {
	zero := len(m.b) + 2
	m.b = appendNumber(append(m.b, mavenNumber), digits)
	if len(m.b) > zero {
		m.end = len(m.b)
	}
}

func (m *mavenKey) word(w string, beforeDigit bool) {
	rank := mavenRank(w, beforeDigit)
	m.b = append(m.b, mavenWord, rank)
	if rank == mavenUnknown {
		m.b = appendWord(m.b, w)
	}
	if rank != mavenRelease {
		m.end = len(m.b)
	}
	m.prerelease = m.prerelease || rank < mavenRelease
}

// mavenRank returns the order of a word; a, b and m are short names only where
// a number follows.
func mavenRank(w string, beforeDigit bool) byte {
	switch w {
	case "alpha":
		return mavenAlpha
	case "beta":
		return mavenBeta
	case "milestone":
		return mavenMilestone
	case "rc", "cr":
		return mavenRC
	case "snapshot":
		return mavenSnapshot
	case "", "ga", "final", "release":
		return mavenRelease
	case "sp":
		return mavenSP
	}
	if beforeDigit {
		switch w {
		case "a":
			return mavenAlpha
		case "b":
			return mavenBeta
		case "m":
			return mavenMilestone
		}
	}
	return mavenUnknown
}

// trimJRE drops a last part that names a Java platform, as in 12.10.2.jre11.
func trimJRE(v string) string {
	i := strings.LastIndex(v, "jre")
	if i > 1 && (v[i-1] == '.' || v[i-1] == '-') && isNumber(v[i+len("jre"):]) {
		return v[:i-1]
	}
	return v
}

// compareMaven compares two keys of appendMaven. Where one ends, what the
// other has left is weighed against nothing: words by their rank, numbers
// above it, zeros and marks equal to it. This is what makes Maven's order
// intransitive: 1.0.alpha.1 < 1 < 1-x < 1.0.alpha.1.
func compareMaven(a, b string) int {
	if rest, ok := strings.CutPrefix(a, b); ok {
		return mavenRest(rest)
	}
	if rest, ok := strings.CutPrefix(b, a); ok {
		return -mavenRest(rest)
	}
	return strings.Compare(a, b)
}

// mavenRest weighs items against nothing. No item continues another's bytes,
// so rest begins with a whole item.
func mavenRest(rest string) int {
	for rest != "" {
		switch {
		case rest[0] == mavenList:
			rest = rest[1:]
		case rest[0] == mavenNumber && rest[1] == 0, rest[0] == mavenWord && rest[1] == mavenRelease:
			rest = rest[2:]
		case rest[0] == mavenWord && rest[1] < mavenRelease:
			return -1
		default:
			return +1
		}
	}
	return 0
}
