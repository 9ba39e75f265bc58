// Package version owns the order of package versions: which of two version
// strings is the newer one under the rules of a package manager.
//
// Parse turns a version into a key whose byte order is the order of its
// scheme, so that a version is read once and compared many times at the price
// of comparing two short strings. For every scheme but Maven that also makes
// the laws of an order (reflexive, antisymmetric, transitive) hold by
// construction; Maven's own rules are not transitive for a few odd spellings
// and we keep them as they are.
//
// It refuses to do ranges (package match does), to guess a scheme from the
// look of a version, and any I/O.
//
// Trust: versions come from images and feeds and are hostile. Their length is
// limited, nothing panics, and what a scheme cannot read is an error that the
// caller reports; it is never ordered by guess.
package version

import (
	"fmt"
	"strings"
)

// Scheme names a set of rules for versions.
type Scheme string

// The schemes, with the definition each one follows.
const (
	Deb      Scheme = "deb"      // deb-version(7), as dpkg --compare-versions
	RPM      Scheme = "rpm"      // rpm-version(7), as rpm.vercmp of rpm 4.18
	APK      Scheme = "apk"      // apk-package(5), as apk version -t of apk-tools 3
	Pacman   Scheme = "pacman"   // vercmp(8) of Arch Linux
	Opam     Scheme = "opam"     // opam manual: Debian's order of the whole string
	SemVer   Scheme = "semver"   // semver.org 2.0.0, leniently read
	NPM      Scheme = "npm"      // node-semver
	Cargo    Scheme = "cargo"    // SemVer
	Hex      Scheme = "hex"      // Elixir's Version
	Go       Scheme = "go"       // go.dev/ref/mod#versions and toolchain names (go1.22rc1)
	Pub      Scheme = "pub"      // pub_semver: SemVer that orders build metadata
	NuGet    Scheme = "nuget"    // NuGet.Versioning: four parts, labels without case
	Maven    Scheme = "maven"    // ComparableVersion of Maven 3.8
	PEP440   Scheme = "pep440"   // PEP 440, as Python's packaging
	Gem      Scheme = "gem"      // Gem::Version
	Composer Scheme = "composer" // Composer's normal form under PHP's version_compare
	CRAN     Scheme = "cran"     // R's package_version
	Hackage  Scheme = "hackage"  // Haskell's Data.Version
)

// maxLength bounds a version in bytes. The longest of the published advisories
// and package databases stay below 200; the bound keeps the work and the key
// of a hostile one small.
const maxLength = 1024

// Version is a version that was read by Parse. It is immutable, safe for
// concurrent use and comparable with ==, which tells spellings apart that
// Compare calls equal. The zero Version belongs to no scheme.
type Version struct {
	scheme     Scheme
	text       string
	key        string
	prerelease bool
}

// Parse reads v under the rules of s. White space around v is ignored. The
// error names the scheme and the version.
func Parse(s Scheme, v string) (Version, error) {
	text := strings.TrimSpace(v)
	if problem := check(s, text); problem != "" {
		return Version{}, parseError(s, v, problem)
	}
	var (
		buf        [96]byte // room for the key of an ordinary version, on the stack
		key        []byte
		prerelease bool
		problem    string
	)
	switch s {
	case Deb:
		key, problem = appendDeb(buf[:0], text)
	case Opam:
		key, problem = appendDebPart(buf[:0], text)
	case RPM:
		key = appendRPM(buf[:0], text)
	case Pacman:
		key = appendPacman(buf[:0], text)
	case APK:
		key, prerelease, problem = appendAPK(buf[:0], text)
	case SemVer, NPM, Cargo, Hex:
		key, prerelease, problem = appendSemVer(buf[:0], text)
	case NuGet:
		key, prerelease, problem = appendSemVer(buf[:0], strings.ToLower(text))
	case Pub:
		key, prerelease, problem = appendPub(buf[:0], text)
	case Go:
		key, prerelease, problem = appendGo(buf[:0], text)
	case Maven:
		key, prerelease = appendMaven(nil, text)
	case PEP440:
		key, prerelease, problem = appendPEP440(buf[:0], text)
	case Gem:
		key, prerelease, problem = appendGem(buf[:0], text)
	case Composer:
		key, prerelease, problem = appendComposer(buf[:0], text)
	case CRAN:
		key, problem = appendNumbers(buf[:0], text)
	case Hackage:
		numbers, _, _ := strings.Cut(text, "-") // tags are long deprecated and have no order
		key, problem = appendNumbers(buf[:0], numbers)
	default:
		problem = "unknown scheme"
	}
	if problem != "" {
		return Version{}, parseError(s, v, problem)
	}
	return Version{scheme: s, text: text, key: string(key), prerelease: prerelease}, nil
}

// Compare parses a and b under the rules of s and returns -1, 0 or +1 as a is
// older than, as old as or newer than b. The error is Parse's. To compare one
// version with many, parse each once.
func Compare(s Scheme, a, b string) (int, error) {
	v, err := Parse(s, a)
	if err != nil {
		return 0, err
	}
	w, err := Parse(s, b)
	if err != nil {
		return 0, err
	}
	return v.Compare(w), nil
}

// Compare returns -1, 0 or +1 as v is older than, as old as or newer than w.
// Both must be of one scheme: versions of different schemes have no meaningful
// order, and are put in the order of the schemes' names so that sorting stays
// deterministic.
func (v Version) Compare(w Version) int {
	switch {
	case v.scheme != w.scheme:
		return strings.Compare(string(v.scheme), string(w.scheme))
	case v.scheme == Maven:
		return compareMaven(v.key, w.key)
	}
	return strings.Compare(v.key, w.key)
}

// Scheme returns the scheme v was read under.
func (v Version) Scheme() Scheme { return v.scheme }

// String returns the version as it was written, without white space around it.
func (v Version) String() string { return v.text }

// Prerelease reports whether the scheme marks v as released before the version
// that its numbers name (1.0-rc1). Schemes without such a mark never do; Deb
// and RPM are among them, because their tilde says older, be it a release
// candidate or a backport.
func (v Version) Prerelease() bool { return v.prerelease }

// check refuses what no scheme can hold. Bytes below the space stay free for
// the marks inside keys. Spaces occur in the names of Go toolchains and, by
// mistake, in RPM feeds ("0: 1.20-1"), where rpm takes them as a separator.
func check(s Scheme, v string) string {
	switch {
	case v == "":
		return "empty"
	case len(v) > maxLength:
		return fmt.Sprintf("longer than %d bytes", maxLength)
	}
	for i := range len(v) {
		if c := v[i]; c < ' ' || c == 0x7f || c == ' ' && s != Go && s != RPM {
			return "space or control character"
		}
	}
	return ""
}

func parseError(s Scheme, v, problem string) error {
	if len(v) > maxLength {
		v = v[:64] + "…"
	}
	return fmt.Errorf("parse %s version %q: %s", s, v, problem)
}
