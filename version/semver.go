package version

import "strings"

// Marks of semantic versions. Inside a list, numbers come before words and the
// end before both.
const (
	semListEnd = 0
	semNumber  = 1
	semWord    = 2

	semCoreEnd    = 1
	semCoreNumber = 2

	semPrerelease = 1
	semRelease    = 2
)

// appendSemVer follows semver.org 2.0.0, section 11, and reads more than it
// allows, as advisories and lock files need: a leading v, any count of numbers
// (missing ones are 0), leading zeros, and a pre-release without its hyphen
// (1.2.3beta, 1.2.3.RC3). Build metadata is ignored.
func appendSemVer(b []byte, v string) (key []byte, prerelease bool, problem string) {
	core, pre, _, problem := splitSemVer(v)
	if problem != "" {
		return nil, false, problem
	}
	b = appendPrerelease(appendCore(b, core), pre)
	return b, pre != "", ""
}

// appendPub follows pub_semver, where build metadata makes a version newer.
func appendPub(b []byte, v string) (key []byte, prerelease bool, problem string) {
	core, pre, build, problem := splitSemVer(v)
	if problem != "" {
		return nil, false, problem
	}
	b = appendPrerelease(appendCore(b, core), pre)
	return appendIdentifiers(b, build), pre != "", ""
}

// appendGo reads module versions, which are SemVer, and the names of
// toolchains: go1.21 is 1.21.0, go1.22rc1 is 1.22.0-rc.1, and what a vendor
// adds to a toolchain's name (go1.22.1-bigcorp, go1.22.1 X:loopvar) does not
// count. Pseudo-versions and +incompatible need no rule of their own.
func appendGo(b []byte, v string) (key []byte, prerelease bool, problem string) {
	name, toolchain := strings.CutPrefix(v, "go")
	n := 0
	for n < len(name) && (isDigit(name[n]) || name[n] == '.') {
		n++
	}
	core, rest := name[:n], name[n:]
	if letters := lettersLen(rest); letters > 0 && n > 0 {
		word, number := rest[:letters], rest[letters:]
		if digits := digitsLen(number); digits > 0 && (word == "rc" || word == "beta") {
			name = core + "-" + word + "." + number[:digits]
			return appendSemVer(b, name)
		}
	}
	if toolchain && !strings.HasPrefix(rest, "-rc.") && !strings.HasPrefix(rest, "-beta.") && !strings.HasPrefix(rest, "-0") {
		if rest != "" && !strings.ContainsRune(" -+(", rune(rest[0])) {
			return nil, false, "not a toolchain name"
		}
		return appendSemVer(b, core)
	}
	if strings.Contains(name, " ") {
		return nil, false, "space in a module version"
	}
	return appendSemVer(b, name)
}

// splitSemVer splits into numbers joined by dots, pre-release and build.
func splitSemVer(v string) (core, pre, build, problem string) {
	if v != "" && v[0]|0x20 == 'v' {
		v = v[1:]
	}
	count, n := 0, 0
	for ; ; count++ {
		digits := digitsLen(v[n:])
		if digits == 0 && count >= 3 && n < len(v) && isLetter(v[n]) {
			core, pre = v[:n-1], v[n:] // the dot stands for a hyphen
			break
		}
		if digits == 0 {
			return "", "", "", "a number is missing"
		}
		if n += digits; n == len(v) || v[n] != '.' {
			core, pre = v[:n], v[n:]
			break
		}
		n++
	}
	pre, build, _ = strings.Cut(pre, "+")
	switch {
	case pre == "":
	case pre[0] == '-':
		if pre = pre[1:]; pre == "" {
			return "", "", "", "empty pre-release"
		}
	case !isLetter(pre[0]):
		return "", "", "", "unexpected character after the numbers"
	}
	return core, pre, build, ""
}

// appendCore appends numbers joined by dots; trailing zeros do not count.
func appendCore(b []byte, core string) []byte {
	end := len(b)
	for core != "" {
		n := digitsLen(core)
		b = appendNumber(append(b, semCoreNumber), core[:n])
		if b[len(b)-1] != 0 { // not a zero, whose key is its empty length
			end = len(b)
		}
		core = strings.TrimPrefix(core[n:], ".")
	}
	return append(b[:end], semCoreEnd)
}

func appendPrerelease(b []byte, pre string) []byte {
	if pre == "" {
		return append(b, semRelease)
	}
	return appendIdentifiers(append(b, semPrerelease), pre)
}

// appendIdentifiers appends a list joined by dots.
func appendIdentifiers(b []byte, list string) []byte {
	for list != "" {
		var id string
		id, list, _ = strings.Cut(list, ".")
		if isNumber(id) {
			b = appendNumber(append(b, semNumber), id)
		} else {
			b = appendWord(append(b, semWord), id)
		}
	}
	return append(b, semListEnd)
}

// appendNumbers appends numbers joined by dots or hyphens, as CRAN and Hackage
// have them; there a version that goes on is newer, even with a zero.
func appendNumbers(b []byte, v string) ([]byte, string) {
	for {
		n := digitsLen(v)
		if n == 0 {
			return nil, "a number is missing"
		}
		b = appendNumber(append(b, semCoreNumber), v[:n])
		if v = v[n:]; v == "" {
			return append(b, semCoreEnd), ""
		}
		if v[0] != '.' && v[0] != '-' {
			return nil, "unexpected character"
		}
		v = v[1:]
	}
}
