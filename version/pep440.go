package version

import "strings"

// Marks of PEP 440. A version that PEP 440 does not know, which only very old
// releases carry, is older than all that it knows.
const (
	pepLegacy = 1
	pepKnown  = 2

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
// its spellings (1.0-c.1 is 1.0rc1, 1.0-1 is 1.0.post1).
func appendPEP440(b []byte, text string) (key []byte, prerelease bool, problem string) {
	v := strings.ToLower(text)
	p := pepParser{rest: strings.TrimPrefix(v, "v")}
	b = append(b, pepKnown)
	if n := digitsLen(p.rest); n < len(p.rest) && p.rest[n] == '!' {
		b = appendNumber(b, p.rest[:n])
		p.rest = p.rest[n+1:]
	} else {
		b = appendNumber(b, "")
	}
	b, ok := p.release(b)
	if !ok {
		return appendPEPLegacy(b[:0], v)
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
		return appendPEPLegacy(b[:0], v)
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

// appendPEPLegacy orders what PEP 440 refuses as setuptools did before it: by
// parts, where dev is less and all other pre-release words are less than the
// end. Only versions that begin with a digit are taken; anything else is not
// a release of anything, and to call it older than every fix would be a guess.
func appendPEPLegacy(b []byte, v string) (key []byte, prerelease bool, problem string) {
	v = strings.TrimPrefix(v, "v")
	if v == "" || !isDigit(v[0]) {
		return nil, false, "not in the form of PEP 440"
	}
	var parts []string
	add := func(part string) {
		if part[0] == '*' {
			if part < "*final" {
				for len(parts) > 0 && parts[len(parts)-1] == "*final-" {
					parts = parts[:len(parts)-1]
				}
			}
			for len(parts) > 0 && parts[len(parts)-1] == "00000000" {
				parts = parts[:len(parts)-1]
			}
		}
		parts = append(parts, part)
	}
	for v != "" {
		n := 1
		switch c := v[0]; {
		case isDigit(c):
			n = digitsLen(v)
			add(strings.Repeat("0", max(0, 8-n)) + v[:n])
		case isLetter(c):
			n = lettersLen(v)
			add("*" + pepLegacyWord(v[:n]))
		case c == '-':
			add("*final-")
		}
		v = v[n:]
	}
	add("*final")
	b = append(b, pepLegacy)
	for _, part := range parts {
		b = appendWord(b, part)
	}
	return b, false, ""
}

func pepLegacyWord(w string) string {
	switch w {
	case "pre", "preview", "rc":
		return "c"
	case "dev":
		return "@"
	}
	return w
}
