package match

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"plimsoll"
	"plimsoll/version"
)

// scope is a group of packages about which the same ecosystems are asked.
type scope struct {
	key        string // unique within a census
	group      string
	ecosystems []string // those of the generation, sorted; empty: nobody is asked
	asked      []string // the names or patterns that gave them, for people
	scheme     version.Scheme
	names      nameRule
	system     bool
	release    string // VERSION_ID of the system
	distro     plimsoll.Distribution
	ended      bool           // the system gets no more advisories
	mainline   bool           // it was built from no repository of an extended release, as its records say
	class      plimsoll.Class // of the packages
	why        string
	packages   int
}

// nameRule says by which name the advisories of an ecosystem know a package.
type nameRule int8

const (
	byOwnName nameRule = iota // language packages
	bySource                  // dpkg and apk: the source package and its version
	byBoth                    // RPM families whose records name either
	byMarked                  // RPM families whose records name binary packages, and sources with a prefix
)

// languages says which OSV ecosystem speaks about a package type. Types that
// are missing (conda) have none: inventory only. Programs without a package are
// left to NVD, whose records the operator may have added. Conda's
// packages are builds of their own, under names that only look like PyPI's.
var languages = map[plimsoll.PackageType]string{
	plimsoll.TypeMaven:    "Maven",
	plimsoll.TypeNPM:      "npm",
	plimsoll.TypePyPI:     "PyPI",
	plimsoll.TypeGo:       "Go",
	plimsoll.TypeCargo:    "crates.io",
	plimsoll.TypeNuGet:    "NuGet",
	plimsoll.TypeComposer: "Packagist",
	plimsoll.TypeGem:      "RubyGems",
	plimsoll.TypeHex:      "Hex",
	plimsoll.TypePub:      "Pub",
	plimsoll.TypeCRAN:     "CRAN",
	plimsoll.TypeHackage:  "Hackage",
	plimsoll.TypeSwift:    "SwiftURL",
	"julia":               "Julia",
	"opam":                "opam",
	plimsoll.TypeBitnami:  "Bitnami",
	"githubactions":       "GitHub Actions",
	plimsoll.TypeGeneric:  plimsoll.EcosystemNVD,
}

// Ecosystems says which ecosystem, in OSV's spelling, is asked about the packages
// of each type that no operating system installs; those that are missing have none.
func Ecosystems() map[plimsoll.PackageType]string { return maps.Clone(languages) }

// systemSchemes are the version orders of package managers. They hold for any
// feed of the distribution, also for those that OSV does not know.
var systemSchemes = map[plimsoll.PackageType]version.Scheme{
	plimsoll.TypeDeb:  version.Deb,
	plimsoll.TypeRPM:  version.RPM,
	plimsoll.TypeAPK:  version.APK,
	plimsoll.TypeALPM: version.Pacman,
}

// census is the account of an inventory: who is asked about what.
type census struct {
	subjects []subject
	scopes   []*scope // of each package of the inventory
	coverage []plimsoll.Coverage
	problems []plimsoll.Problem
}

// counter sorts packages into scopes.
type counter struct {
	available []string // the generation's ecosystems, sorted
	now       time.Time
	systems   map[string]*system              // by root
	scopes    map[string]*scope               // by key
	owners    map[[2]string]*plimsoll.Package // system packages by root and name, once asked for
}

// system is one operating system within an image.
type system struct {
	os     plimsoll.OS
	distro plimsoll.Distribution
	known  bool
}

func ask(ecosystems []string, inv plimsoll.Inventory, o Options) (census, error) {
	c := counter{
		available: slices.Sorted(slices.Values(ecosystems)),
		now:       o.Now,
		systems:   make(map[string]*system, len(inv.Systems)),
		scopes:    make(map[string]*scope),
	}
	for _, os := range inv.Systems {
		distro, known := os.Distribution()
		c.systems[os.Root] = &system{os, distro, known}
	}
	if o.Distro != "" {
		s, err := override(o.Distro)
		if err != nil {
			return census{}, err
		}
		c.systems[""] = s
	}
	out := census{scopes: make([]*scope, len(inv.Packages))}
	for i, owned := range inv.Owned() {
		p := &inv.Packages[i]
		s := c.scope(p, owned)
		out.scopes[i] = s
		if s.packages++; p.Type.System() {
			s.class = plimsoll.ClassSystem
		} else {
			s.class = plimsoll.ClassApplication
		}
		if len(s.ecosystems) == 0 || owned && !o.Comprehensive {
			continue
		}
		var owner *subject
		if owned { // the distribution speaks; the ecosystem is asked for information
			if s = c.scope(p, false); len(s.ecosystems) == 0 {
				continue
			}
			owner = c.owner(p, inv.Packages)
		}
		out.subjects = append(out.subjects, subject{pkg: p, scope: s, key: s.keyOf(p), index: i, owned: owned, owner: owner})
	}
	// Equal names stand together, so that their records are read once, and in
	// the order of the advisory database.
	slices.SortFunc(out.subjects, func(a, b subject) int {
		if a.scope != b.scope {
			if c := strings.Compare(a.scope.key, b.scope.key); c != 0 {
				return c
			}
		}
		if c := strings.Compare(a.key, b.key); c != 0 {
			return c
		}
		return cmp.Compare(a.index, b.index)
	})
	c.account(&out)
	out.problems = append(out.problems, endedRuntimes(inv.Packages, o.Now)...)
	return out, nil
}

// endedRuntimes tells of runtimes that get no more fixes, once for each release
// however many copies there are (acceptance OS-07 for what is no system).
func endedRuntimes(packages []plimsoll.Package, now time.Time) []plimsoll.Problem {
	ended := make(map[plimsoll.Runtime]*plimsoll.Problem)
	for i := range packages {
		p := &packages[i]
		r, known := p.Runtime()
		if !known || !past(r.EndOfLife, now) {
			continue
		}
		told := ended[r]
		if told == nil {
			told = &plimsoll.Problem{Code: plimsoll.ProblemEndOfLife, Path: p.Path, Layer: p.Layer,
				Detail: fmt.Sprintf("%s %s reached its end of life on %s", r.Name, r.Release, r.EndOfLife.Format(time.DateOnly))}
			ended[r] = told
		}
		if told.Count++; p.Path < told.Path {
			told.Path, told.Layer = p.Path, p.Layer
		}
	}
	var problems []plimsoll.Problem
	for _, p := range ended {
		problems = append(problems, *p)
	}
	sortProblems(problems)
	return problems
}

// owner finds the system package that owns p, nil when there is none or nobody
// is asked about it.
func (c *counter) owner(p *plimsoll.Package, packages []plimsoll.Package) *subject {
	if c.owners == nil {
		c.owners = make(map[[2]string]*plimsoll.Package)
		for i := range packages {
			if q := &packages[i]; q.Type.System() {
				c.owners[[2]string{q.Root, q.Name}] = q
			}
		}
	}
	q := c.owners[[2]string{p.Root, p.Owner}]
	if q == nil {
		return nil
	}
	s := c.scope(q, false)
	if len(s.ecosystems) == 0 {
		return nil
	}
	return &subject{pkg: q, scope: s}
}

// override is the system that the caller claims the image to be (acceptance OS-08).
func override(distro string) (*system, error) {
	os, err := plimsoll.ParseOS(distro, "")
	if err != nil {
		return nil, &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: "choose distribution", Hint: "write it as family:version, for example debian:12", Err: err}
	}
	d, _ := os.Distribution()
	return &system{os, d, true}, nil
}

func (c *counter) scope(p *plimsoll.Package, owned bool) *scope {
	if rebuilder := p.Rebuilder(); rebuilder != "" && !owned && !c.madeBy(p.Root, rebuilder) {
		return c.rebuiltScope(p, rebuilder)
	}
	if p.Type.System() || owned {
		return c.systemScope(p, owned)
	}
	ecosystem := languages[p.Type]
	if p.Type == plimsoll.TypeCargo && p.Origin != "" {
		return c.add("foreign:cargo", func() *scope {
			return &scope{group: "cargo (not from crates.io)", why: "the advisories are about what crates.io publishes under the name"}
		})
	}
	if p.Type == plimsoll.TypeMaven && !strings.Contains(p.Name, ":") {
		return c.add("nameless:maven", func() *scope {
			return &scope{group: "maven (group unknown)", why: "advisories name group and artifact, these archives tell the artifact alone"}
		})
	}
	return c.add("language:"+string(p.Type), func() *scope {
		s := &scope{group: string(p.Type)}
		if ecosystem == "" {
			s.why = "no advisory source covers packages of this type"
			return s
		}
		s.scheme, _ = version.ForEcosystem(ecosystem)
		s.use(c.available, ecosystem)
		return s
	})
}

// rebuiltScope leaves a package to those who rebuilt it, who publish what they
// know under their name and the ecosystem that they started from: "Root:Debian:12",
// "Echo:npm" (acceptance OS-09).
func (c *counter) rebuiltScope(p *plimsoll.Package, rebuilder string) *scope {
	return c.add("rebuilt:"+rebuilder+":"+string(p.Type)+":"+p.Root, func() *scope {
		s := &scope{group: fmt.Sprintf("%s (rebuilt by %s)", p.Type, rebuilder)}
		if p.Type.System() {
			s.system, s.scheme = true, systemSchemes[p.Type]
			s.use(c.available, rebuilder)
			if sys := c.systems[p.Root]; sys != nil && sys.known {
				s.release = sys.os.VersionID
				family := sys.distro.Name
				if len(sys.distro.Ecosystems) > 0 {
					family, _, _ = strings.Cut(sys.distro.Ecosystems[0], ":")
				}
				s.use(c.available, rebuilder+":"+family+":"+sys.distro.Release)
			}
			s.names = namesUnder(p.Type, s.ecosystems)
		} else {
			s.scheme, _ = version.ForEcosystem(languages[p.Type])
			s.use(c.available, rebuilder+":"+languages[p.Type])
		}
		if s.why = ""; len(s.ecosystems) == 0 {
			s.why = "the database holds no advisories of " + rebuilder + ", and those of others are about other builds"
		}
		return s
	})
}

func (c *counter) madeBy(root, rebuilder string) bool {
	s := c.systems[root]
	return s != nil && s.distro.By(rebuilder)
}

// systemScope decides who speaks about a package of an operating system, or
// about a language package that such a package owns.
func (c *counter) systemScope(p *plimsoll.Package, owned bool) *scope {
	sys := c.systems[p.Root]
	prefix := ""
	if owned {
		prefix = string(p.Type) + " in packages of "
	}
	var own []string
	if sys != nil && !sys.known {
		own = c.own(sys)
	}
	switch {
	case sys == nil || !sys.known && own == nil:
		return c.add("unknown:"+prefix+p.Root, func() *scope {
			return &scope{group: prefix + nameOf(sys), why: "the distribution is not known"}
		})
	case p.Origin != "" && !owned && (own == nil || p.Origin != p.Supplier): // whose vendor nobody knows is its own
		return c.add("foreign:"+string(p.Type)+p.Origin, func() *scope {
			return &scope{group: fmt.Sprintf("%s (third-party: %s)", p.Type, p.Origin),
				why: "the distribution's advisories say nothing about packages of others"}
		})
	case sys.distro.Type != "" && sys.distro.Type != p.Type && !owned:
		return c.add("odd:"+string(p.Type)+p.Root, func() *scope {
			return &scope{group: fmt.Sprintf("%s on %s", p.Type, nameOf(sys)), why: "the distribution does not use this package manager"}
		})
	}
	key := "system:" + prefix + p.Root
	if own != nil {
		key = "own:" + string(p.Type) + p.Root
	}
	return c.add(key, func() *scope {
		s := &scope{
			group:    prefix + nameOf(sys),
			scheme:   systemSchemes[p.Type],
			system:   true,
			release:  sys.os.VersionID,
			distro:   sys.distro,
			ended:    hasEnded(sys.distro, c.now),
			mainline: mainline(sys.os),
		}
		s.use(c.available, slices.Concat(sys.distro.Ecosystems, minorStreams(sys), own)...)
		if sys.known {
			s.use(c.available, sys.distro.Bound())
		}
		switch {
		case len(s.ecosystems) > 0:
			s.why = ""
		case len(sys.distro.Ecosystems) == 0:
			s.why = "no public source publishes advisories for it, and none was named"
		}
		s.names = namesUnder(p.Type, s.ecosystems)
		return s
	})
}

// own names the ecosystems under which an operator publishes advisories for a
// distribution of his own, which the table does not know: "acme:1", and "acme"
// for all releases. Nil when the generation has neither.
func (c *counter) own(s *system) []string {
	if _, taken := version.ForEcosystem(s.os.ID); taken || s.os.ID == "" {
		return nil // an image may call itself "npm"
	}
	patterns := []string{s.os.ID}
	if s.os.VersionID != "" {
		patterns = append(patterns, s.os.ID+":"+s.os.VersionID)
	}
	if !slices.ContainsFunc(patterns, func(p string) bool { _, found := slices.BinarySearch(c.available, p); return found }) {
		return nil
	}
	return patterns
}

// hasEnded says whether the last day of support lies before now.
func hasEnded(d plimsoll.Distribution, now time.Time) bool {
	return !d.EndOfLife.IsZero() && past(d.EndOfLife, now)
}

// past says whether a day is over.
func past(day, now time.Time) bool { return !now.Before(day.AddDate(0, 0, 1)) }

// minorStreams names the ecosystems of Red Hat's extended minor releases for a
// system that says which minor release it is. They are asked about packages
// that were built for that release, see subject.concerns.
func minorStreams(s *system) []string {
	if s.os.ID != "rhel" || !strings.Contains(s.os.VersionID, ".") {
		return nil
	}
	var patterns []string
	for _, stream := range extendedStreams {
		if len(s.os.Repositories) > 0 && !fromStream(s.os, stream) {
			continue
		}
		patterns = append(patterns, extendedPrefix+stream+":"+s.os.VersionID+":*")
	}
	return patterns
}

// extendedStreams are the ways in which Red Hat keeps minor releases alive.
var extendedStreams = [...]string{"eus", "aus", "tus", "e4s"}

// fromStream says whether a system was built from a repository of an extended
// stream: "rhel-8-for-x86_64-baseos-eus-rpms" (acceptance RPM-07).
func fromStream(os plimsoll.OS, stream string) bool {
	return slices.ContainsFunc(os.Repositories, func(id string) bool { return strings.Contains(id, "-"+stream+"-") })
}

// mainline says that the system's build records name its repositories, and that
// none is of an extended stream.
func mainline(os plimsoll.OS) bool {
	return len(os.Repositories) > 0 && !slices.ContainsFunc(extendedStreams[:], func(stream string) bool { return fromStream(os, stream) })
}

// extendedPrefix begins the ecosystems of Red Hat's extended minor releases.
const extendedPrefix = "Red Hat:rhel_"

func (c *counter) add(key string, make func() *scope) *scope {
	s, ok := c.scopes[key]
	if !ok {
		s = make()
		s.key = key
		c.scopes[key] = s
	}
	return s
}

// use keeps the ecosystems that the generation has; a trailing "*" stands for
// any ending: Red Hat's name products, "Red Hat:enterprise_linux:8::appstream".
// Case does not matter: Echo spells PyPI "PyPi".
func (s *scope) use(available []string, patterns ...string) {
	for _, pattern := range patterns {
		prefix, wild := strings.CutSuffix(pattern, "*")
		found := false
		for _, ecosystem := range available {
			if strings.EqualFold(ecosystem, pattern) || wild && strings.HasPrefix(ecosystem, prefix) {
				s.ecosystems = append(s.ecosystems, ecosystem)
				found = true
			}
		}
		if found {
			s.asked = append(s.asked, pattern)
		}
	}
	slices.Sort(s.ecosystems)
	s.ecosystems = slices.Compact(s.ecosystems)
	s.asked = slices.Compact(s.asked)
	if len(s.ecosystems) == 0 && s.why == "" {
		s.why = "the advisory database holds nothing for " + some(patterns, 2)
	}
}

// some names the first ones of a list and counts the others.
func some(list []string, named int) string {
	text := strings.Join(list[:min(named, len(list))], ", ")
	if more := len(list) - named; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// namesUnder says by which name a distribution's records know a package.
func namesUnder(t plimsoll.PackageType, ecosystems []string) nameRule {
	switch t {
	case plimsoll.TypeDeb, plimsoll.TypeAPK:
		return bySource
	case plimsoll.TypeRPM:
		if len(ecosystems) == 0 {
			return byOwnName
		}
		family, _, _ := strings.Cut(ecosystems[0], ":")
		switch family {
		case "openEuler", "SUSE", "openSUSE", "Azure Linux", "Mageia", "Photon OS":
			return byBoth
		}
		return byMarked
	}
	return byOwnName
}

// keyOf returns the first name under which p is looked up.
func (s *scope) keyOf(p *plimsoll.Package) string {
	if (s.names == bySource || s.names == byBoth) && p.Source.Name != "" {
		return p.Source.Name
	}
	return plimsoll.NormalizeName(s.ecosystems[0], p.Name)
}

// namesOf appends every name under which p is looked up, with the version that
// belongs to it.
func (s *scope) namesOf(names []name, p *plimsoll.Package) []name {
	own := name{s.keyOf(p), strings.TrimPrefix(p.Version, "(none):")}
	if s.names == byOwnName {
		return append(names, own)
	}
	source := name{cmp.Or(p.Source.Name, p.Name), own.version}
	if p.Source.Version != "" {
		source.version = strings.TrimPrefix(p.Source.Version, "(none):")
	}
	marked := name{plimsoll.SourcePrefix + source.key, source.version}
	switch own.key = p.Name; {
	case s.names == bySource:
		return append(names, source)
	case s.names == byMarked:
		return append(names, own, marked)
	case own.key == source.key:
		return append(names, source, marked)
	}
	return append(names, source, own, marked)
}

func nameOf(s *system) string {
	switch {
	case s == nil:
		return "unknown distribution"
	case !s.known:
		return strings.TrimSpace(cmp.Or(s.os.ID, s.os.Name, "unknown distribution") + " " + s.os.VersionID)
	}
	return strings.TrimSpace(s.distro.ID + " " + s.distro.Release)
}

// account writes down who was asked, and what nobody was asked about.
func (c *counter) account(out *census) {
	type line struct {
		plimsoll.Coverage
		why     string
		unknown bool
	}
	lines := make(map[string]*line)
	for _, key := range slices.Sorted(maps.Keys(c.scopes)) {
		s := c.scopes[key]
		if s.packages == 0 {
			continue
		}
		l, ok := lines[s.group]
		if !ok {
			l = &line{why: s.why, unknown: strings.HasPrefix(key, "unknown:")}
			l.Coverage = plimsoll.Coverage{Group: s.group, Class: s.class, EndOfLife: s.distro.EndOfLife, Ended: s.ended, Assumed: s.distro.Assumed}
			l.Ecosystem = strings.Join(s.asked, ", ")
			lines[s.group] = l
		}
		l.Packages += s.packages
	}
	for _, l := range lines {
		out.coverage = append(out.coverage, l.Coverage)
		if l.Ecosystem == "" {
			code := plimsoll.ProblemNoAdvisorySource
			if l.unknown {
				code = plimsoll.ProblemUnknownDistro
			}
			out.problems = append(out.problems, plimsoll.Problem{Code: code, Count: l.Packages,
				Detail: fmt.Sprintf("%s: inventory only, %s", l.Group, l.why)})
		}
		if l.Ended && l.Class == plimsoll.ClassSystem { // told once
			out.problems = append(out.problems, plimsoll.Problem{Code: plimsoll.ProblemEndOfLife, Count: l.Packages,
				Detail: fmt.Sprintf("%s reached its end of life on %s", l.Group, l.EndOfLife.Format(time.DateOnly))})
		}
	}
	slices.SortFunc(out.coverage, func(a, b plimsoll.Coverage) int { return strings.Compare(a.Group, b.Group) })
}
