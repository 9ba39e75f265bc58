package match

import (
	"strings"
	"time"

	"plimsoll/version"
)

// devel is what Go writes for a main module that was built outside a release.
const devel = "(devel)"

// A Go pseudo-version ends in a commit's time and twelve digits of its hash.
const (
	pseudoTime = "20060102150405"
	pseudoHash = 12
)

// goPseudo is what a pseudo-version tells (acceptance GO-02, GO-04). With a
// base version ("v1.2.4-0.…") it orders where the commit lies between releases.
// Without one ("v0.0.0-…") no release precedes the commit, so that comparing it
// with a release would call every commit of an untagged branch old. Such a
// version is compared with other commits only; against a release the date of
// the commit decides: what was committed after a flaw was published is not
// reported.
type goPseudo struct {
	unbased bool
	dirty   bool // of the main module, with local changes: trusts no order at all
	commit  time.Time
}

func parsePseudo(v string) (p goPseudo, ok bool) {
	core, build, _ := strings.Cut(v, "+")
	rest, hash, ok := cutLast(core, '-')
	if !ok || len(hash) != pseudoHash || len(rest) < len(pseudoTime)+1 {
		return goPseudo{}, false
	}
	at := len(rest) - len(pseudoTime)
	if rest[at-1] != '-' && rest[at-1] != '.' {
		return goPseudo{}, false
	}
	commit, err := time.Parse(pseudoTime, rest[at:])
	if err != nil {
		return goPseudo{}, false
	}
	base := strings.TrimPrefix(rest[:at-1], "v")
	major, minorPatch, _ := strings.Cut(base, ".")
	unbased := minorPatch == "0.0" && strings.Trim(major, "0123456789") == ""
	return goPseudo{unbased: unbased, dirty: strings.Contains(build, "dirty"), commit: commit}, true
}

func cutLast(s string, sep byte) (before, after string, ok bool) {
	if i := strings.LastIndexByte(s, sep); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// byRelease says whether the end of s, which decides, is a release.
func (s *span) byRelease() bool {
	if s.open() {
		return false
	}
	_, pseudo := parsePseudo(s.to.String())
	return !pseudo && s.scheme == version.Go
}
