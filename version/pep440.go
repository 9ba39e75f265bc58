package version

import "strings"

// Marks of PEP 440.
const (
	pepDevOnly = 1 // 1.0.dev1: before all pre-releases of 1.0
	pepAlpha   = 2
	pepBeta    = 3
	pepRC      = 4
	pepFinal   = 5

	pepNoPost = 1
	pepPost   = 2

	pepDev   = 1
	pepNoDev = 2

	pepLocalEnd    = 1
	pepLocalWord   = 2
	pepLocalNumber = 3
)

// appendPEP440 follows PEP 440 as Python's packaging implements it, with all
// its spellings (1.0-c.1 is 1.0rc1, 1.0-1 is 1.0.post1). What it refuses, the
// hash of a commit or a version from before PEP 440, is refused here too: to
// call it older than all releases would be a guess (acceptance ADV-11).
func appendPEP440(b []byte, text string) (key []byte, prerelease bool, problem string) {
	p := pepParser{rest: strings.TrimPrefix(strings.ToLower(text), "v")}
	if n := digitsLen(p.rest); n < len(p.rest) && p.rest[n] == '!' {
		b = appendNumber(b, p.rest[:n])
		p.rest = p.rest[n+1:]
	} else {
		b = appendNumber(b, "")
	}
	b, ok := p.release(b)
	if !ok {
		return nil, false, "not in the form of PEP 440"
	}

	pre, preNumber := p.pre()
	post, postNumber := p.post()
	dev, devNumber := p.word("dev")
	switch {
	case pre != 0:
		b = appendNumber(append(b, pre), preNumber)
	case !post && dev:
		b = append(b, pepDevOnly)
	default:
		b = append(b, pepFinal)
	}
	if post {
		b = appendNumber(append(b, pepPost), postNumber)
	} else {
		b = append(b, pepNoPost)
	}
	if dev {
		b = appendNumber(append(b, pepDev), devNumber)
	} else {
		b = append(b, pepNoDev)
	}
	if b, ok = p.local(b); !ok {
		return nil, false, "not in the form of PEP 440"
	}
	return b, pre != 0 || dev, ""
}

// pepParser reads one part after the other off the rest.
type pepParser struct{ rest string }

// release appends numbers joined by dots; trailing zeros do not count.
func (p *pepParser) release(b []byte) ([]byte, bool) {
	n := digitsLen(p.rest)
	if n == 0 {
		return b, false
	}
	for n < len(p.rest) && p.rest[n] == '.' {
		digits := digitsLen(p.rest[n+1:])
		if digits == 0 {
			break
		}
		n += 1 + digits
	}
	b = appendCore(b, p.rest[:n])
	p.rest = p.rest[n:]
	return b, true
}

// pre reads a pre-release; its mark is 0 if there is none.
func (p *pepParser) pre() (mark byte, number string) {
	// Longer spellings first, so that none is read as its own beginning.
	if ok, number := p.word("alpha", "a"); ok {
		return pepAlpha, number
	}
	if ok, number := p.word("beta", "b"); ok {
		return pepBeta, number
	}
	if ok, number := p.word("preview", "pre", "rc", "c"); ok {
		return pepRC, number
	}
	return 0, ""
}

// post reads a post-release, also in the short form -1.
func (p *pepParser) post() (ok bool, number string) {
	if strings.HasPrefix(p.rest, "-") {
		if n := digitsLen(p.rest[1:]); n > 0 {
			number, p.rest = p.rest[1:1+n], p.rest[1+n:]
			return true, number
		}
	}
	return p.word("post", "rev", "r")
}

// word reads [sep] name [sep] [digits] if one of the names stands next.
func (p *pepParser) word(names ...string) (ok bool, number string) {
	s := trimPEPSeparator(p.rest)
	for _, name := range names {
		rest, found := strings.CutPrefix(s, name)
		if !found {
			continue
		}
		rest = trimPEPSeparator(rest)
		n := digitsLen(rest)
		number, p.rest = rest[:n], rest[n:]
		return true, number
	}
	return false, ""
}

// local appends a local version (+ubuntu.1); false says that something else
// is left.
func (p *pepParser) local(b []byte) ([]byte, bool) {
	if p.rest == "" {
		return append(b, pepLocalEnd), true
	}
	if p.rest[0] != '+' {
		return b, false
	}
	for p.rest != "" {
		p.rest = p.rest[1:] // the plus sign or a separator
		n := 0
		for n < len(p.rest) && (isDigit(p.rest[n]) || isLetter(p.rest[n])) {
			n++
		}
		if n == 0 || n < len(p.rest) && !isPEPSeparator(p.rest[n]) {
			return b, false
		}
		if part := p.rest[:n]; isNumber(part) {
			b = appendNumber(append(b, pepLocalNumber), part)
		} else {
			b = appendWord(append(b, pepLocalWord), part)
		}
		p.rest = p.rest[n:]
	}
	return append(b, pepLocalEnd), true
}

func isPEPSeparator(c byte) bool { return c == '.' || c == '-' || c == '_' }

func trimPEPSeparator(s string) string {
	if s != "" && isPEPSeparator(s[0]) {
		return s[1:]
	}
	return s
}
