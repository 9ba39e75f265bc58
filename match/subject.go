package match

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/version"
)

// subject is one package to judge and those who are asked about it.
type subject struct {
	pkg   *plimsoll.Package
	scope *scope
	key   string // the first name that is looked up
	index int    // of pkg in the inventory
	owned bool   // judged for information only
	// owner is, for an owned package, the system package that owns it, in its own
	// scope; nil when nobody is asked about that one.
	owner *subject
}

// trial is a subject before its judges.
type trial struct {
	subject
	names []name
	pro   bool // a build of Ubuntu's paid extension

	// What the version that is being compared means, see parse.
	parsed   string
	v        version.Version
	problem  string
	other    version.Version // under the second order that a record asks for, see under
	otherOK  bool            // other was parsed, or could not be (zero)
	pseudo   goPseudo
	isPseudo bool

	streamUnknown bool
}

// parse reads the version under n once; problem is a sentence when it cannot be
// compared.
func (s *trial) parse(n *name) (problem string) {
	if s.parsed == n.version && s.parsed != "" {
		return s.problem
	}
	s.parsed, s.problem, s.otherOK = n.version, "", false
	if s.scope.scheme == version.Go {
		if n.version == devel || n.version == "" {
			s.problem = fmt.Sprintf("%s was built outside a release and states no version: it is not compared with advisories", s.pkg.Name)
			return s.problem
		}
		s.pseudo, s.isPseudo = parsePseudo(n.version)
	}
	if !s.scope.system && unreleased(n.version) {
		s.problem = fmt.Sprintf("%s is not compared with advisories: its version %q names no release", s.pkg.Name, n.version)
		return s.problem
	}
	var err error
	if s.v, err = version.Parse(s.scope.scheme, n.version); err != nil {
		s.problem = fmt.Sprintf("%s is not compared with advisories: %v", s.pkg.Name, err)
	}
	return s.problem
}

// unreleased recognises what stands in place of a version and names no release:
// the hash of a commit, a branch of Composer, a variable that a build forgot to
// fill in. Most orders could compare it, as older than everything; that would
// call the newest state of a project vulnerable to all its flaws (acceptance
// ADV-11, PHP-01).
func unreleased(v string) bool {
	const shortHash, longHash = 7, 64
	if strings.HasPrefix(v, "dev-") || strings.Contains(v, "${") || strings.HasPrefix(v, "@") && strings.HasSuffix(v, "@") {
		return true
	}
	switch strings.ToLower(v) {
	case "unknown", "unspecified", "undefined", "null", "none", "latest", "head", "master", "main":
		return true
	}
	if len(v) < shortHash || len(v) > longHash || strings.Trim(v, "0123456789abcdef") != "" {
		return false
	}
	// 20240101a1 and 20240101b2 are releases to Python.
	letters := strings.Trim(v, "0123456789")
	return letters != "" && letters != "a" && letters != "b"
}

// concerns says whether the record is about this build of the package at all.
func (s *trial) concerns(r *record) bool {
	if len(r.Arches) > 0 && !anyArch(s.pkg.Arch) && !slices.Contains(r.Arches, plimsoll.NormalizeArch(s.pkg.Arch)) {
		return false // acceptance ADV-13
	}
	if s.pkg.Type != plimsoll.TypeRPM {
		return true
	}
	if rpmFlavour(s.pkg.Version) != r.rpm.flavour {
		return false
	}
	if r.rpm.extended && r.rpm.minor != minorStream(s.pkg.Version) {
		return false
	}
	switch sameStream(s.pkg, s.pkg.Version, r) {
	case streamsDiffer:
		return false
	case streamsUnknown:
		s.streamUnknown = true
		return false
	}
	return true
}

func anyArch(arch string) bool { return arch == "" || arch == "noarch" || arch == "all" }

// evaluate says whether the record calls the version affected, and by which
// range.
func (s *trial) evaluate(r *record, o *opinion) {
	for i := range r.spans {
		sp := &r.spans[i]
		v, ok := s.under(sp, r)
		if !ok || !sp.contains(v) || s.rebuilt(sp) {
			continue
		}
		if s.isPseudo && s.pseudo.unbased && sp.byRelease() {
			if s.pseudo.dirty {
				continue
			}
			o.undated = true
			o.note = fmt.Sprintf("the commit of %s belongs to no release; it is older than the publication of the flaw", s.pseudo.commit.Format("2006-01-02"))
		}
		o.affected, o.text, o.open = true, sp.String(), sp.open()
		s.noteMinor(r, o)
		return
	}
	if listed, ok := r.lists(s.v, s.parsed); ok {
		o.affected, o.text = true, "= "+listed
	}
}

// rebuilt says whether a Debian build is a rebuild of the version that ends sp,
// or of a later one: 1.3~deb12u6 is 1.3 made again for Debian 12, with all that
// is in 1.3, though it must be the older of the two for upgrades to work.
func (s *trial) rebuilt(sp *span) bool {
	if s.scope.scheme != version.Deb || s.scope.distro.ID != "debian" || sp.open() || sp.inclusive || strings.Contains(sp.to.String(), "~") {
		return false
	}
	i := strings.LastIndex(s.parsed, "~deb")
	if i < 0 || strings.Trim(s.parsed[i+len("~deb"):], "0123456789u") != "" {
		return false
	}
	base, err := version.Parse(version.Deb, s.parsed[:i])
	return err == nil && base.Compare(sp.to) >= 0
}

// under returns the version under the order of the span: the ecosystem's own,
// without epoch where the feed has none (acceptance RPM-10), or SemVer where
// the record says so (acceptance ADV-04).
func (s *trial) under(sp *span, r *record) (v version.Version, ok bool) {
	scheme, text := sp.scheme, s.parsed
	switch {
	case r.rpm.epochless:
		text = withoutEpoch(text)
	case scheme == s.scope.scheme:
		return s.v, true
	}
	if !s.otherOK {
		s.otherOK = true
		var err error
		if s.other, err = version.Parse(scheme, text); err != nil {
			s.other = version.Version{}
		}
	}
	return s.other, s.other != version.Version{}
}

// noteMinor marks a match of a package that was built for one minor release by
// a fix that was built for a later one than the system's. Red Hat keeps some
// minor releases alive with their own fixes; without the repositories of the
// image nobody can tell whether this is one (acceptance RPM-06, RPM-07).
func (s *trial) noteMinor(r *record, o *opinion) {
	if s.scope.mainline || !strings.HasPrefix(r.Ecosystem, "Red Hat:") {
		return
	}
	installed := minorStream(s.pkg.Version)
	if installed != "" && installed != r.rpm.minor && laterMinor(r.rpm.minor, s.scope.release) {
		o.note = fmt.Sprintf("minor stream unknown: installed for el%s, fixed for el%s", installed, r.rpm.minor)
	}
}

// The authority of a record, as bits: the more say it has, the greater. Only
// the records with the greatest decide; the others are shown beside them.
const (
	// A distribution's record of one flaw (DEBIAN-CVE-…, UBUNTU-CVE-…) is its
	// present state in each release. A notice (DSA, USN) is of its day and
	// names every flaw of an update, also those that a release never had.
	authorityState = 1 << iota
	// Ubuntu Pro speaks for systems that use it, and the others do for the rest
	// (want 18).
	authorityChannel
	// A fix for the installed minor stream decides before fixes for others
	// (acceptance RPM-06).
	authorityStream
	// The provider whom the operator prefers decides where he has an opinion.
	authorityPreferred
)

func (s *trial) authority(r *record) int {
	a := 0
	if r.Preferred {
		a |= authorityPreferred
	}
	if !s.scope.system {
		return a
	}
	if r.state {
		a |= authorityState
	}
	if r.pro == s.pro {
		a |= authorityChannel
	}
	if r.rpm.minor != "" && strings.HasPrefix(r.Ecosystem, "Red Hat:") && r.rpm.minor == minorStream(s.pkg.Version) {
		a |= authorityStream
	}
	return a
}

// isPro recognises Ubuntu's paid extension. Its FIPS and real-time variants
// have names of their own and are never asked.
func isPro(ecosystem string) bool { return strings.HasPrefix(ecosystem, "Ubuntu:Pro:") }

// usesPro says whether the installed build came from Ubuntu's paid extension.
func usesPro(p *plimsoll.Package) bool {
	return strings.Contains(p.Version, "+esm") || strings.Contains(p.Version, "~esm") ||
		strings.Contains(p.Source.Version, "+esm") || strings.Contains(p.Source.Version, "~esm")
}
