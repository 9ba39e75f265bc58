package match

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

// memory is a generation in memory.
type memory struct {
	affected map[[2]string][]plimsoll.Affected
	flaws    map[string]plimsoll.Vulnerability
	extra    []string // ecosystems that have records about packages nobody asks for
	err      error
}

var _ Advisories = (*memory)(nil)

func (m *memory) Affected(ecosystem, name string) ([]plimsoll.Affected, error) {
	return m.affected[[2]string{ecosystem, name}], m.err
}

func (m *memory) Vulnerability(id string) (plimsoll.Vulnerability, error) {
	v, ok := m.flaws[id]
	if !ok {
		return v, plimsoll.Errorf(plimsoll.CodeNotFound, "look up vulnerability", "%q is not known", id)
	}
	return v, nil
}

func (m *memory) Ecosystems() []string {
	set := map[string]bool{}
	for k := range m.affected {
		set[k[0]] = true
	}
	for _, e := range m.extra {
		set[e] = true
	}
	var list []string
	for e := range set {
		list = append(list, e)
	}
	return list // unsorted on purpose
}

// generation makes one of records; the vulnerability of a record defaults to
// the CVE in its ID.
func generation(records ...plimsoll.Affected) *memory {
	m := &memory{affected: map[[2]string][]plimsoll.Affected{}, flaws: map[string]plimsoll.Vulnerability{}}
	for _, a := range records {
		if a.Vulnerability == "" {
			a.Vulnerability = a.AdvisoryID
			if i := strings.Index(a.AdvisoryID, "CVE-"); i >= 0 {
				a.Vulnerability = a.AdvisoryID[i:]
			}
		}
		if a.Provider == "" {
			a.Provider, _, _ = strings.Cut(a.Ecosystem, ":")
		}
		k := [2]string{a.Ecosystem, a.Package}
		m.affected[k] = append(m.affected[k], a)
		if _, ok := m.flaws[a.Vulnerability]; !ok {
			m.flaws[a.Vulnerability] = plimsoll.Vulnerability{ID: a.Vulnerability, Severity: plimsoll.SeverityUnknown}
		}
	}
	return m
}

// about makes a record; events are written "introduced 1.0", "fixed 1.2", …
func about(id, ecosystem, name string, events ...string) plimsoll.Affected {
	a := plimsoll.Affected{AdvisoryID: id, Ecosystem: ecosystem, Package: name}
	if len(events) > 0 {
		a.Ranges = []plimsoll.Range{span1(plimsoll.RangeEcosystem, events...)}
	}
	return a
}

func span1(t plimsoll.RangeType, events ...string) plimsoll.Range {
	r := plimsoll.Range{Type: t}
	for _, e := range events {
		kind, v, _ := strings.Cut(e, " ")
		switch kind {
		case "introduced":
			r.Events = append(r.Events, plimsoll.Event{Introduced: v})
		case "fixed":
			r.Events = append(r.Events, plimsoll.Event{Fixed: v})
		case "last_affected":
			r.Events = append(r.Events, plimsoll.Event{LastAffected: v})
		case "limit":
			r.Events = append(r.Events, plimsoll.Event{Limit: v})
		default:
			panic(e)
		}
	}
	return r
}

func debian(packages ...plimsoll.Package) plimsoll.Inventory {
	return install("debian", "12", packages...)
}

func install(id, release string, packages ...plimsoll.Package) plimsoll.Inventory {
	return plimsoll.Inventory{Systems: []plimsoll.OS{{ID: id, VersionID: release, Version: release}}, Packages: packages}
}

func deb(name, v string) plimsoll.Package {
	return plimsoll.Package{Type: plimsoll.TypeDeb, Name: name, Version: v, Path: "var/lib/dpkg/status"}
}

func built(p plimsoll.Package, source, v string) plimsoll.Package {
	p.Source = plimsoll.SourcePackage{Name: source, Version: v}
	return p
}

func lang(t plimsoll.PackageType, name, v string) plimsoll.Package {
	return plimsoll.Package{Type: t, Name: name, Version: v, Path: "app/" + name}
}

func evaluate(t *testing.T, adv Advisories, inv plimsoll.Inventory, o Options) Evaluation {
	t.Helper()
	e, err := Evaluate(context.Background(), adv, inv, o)
	if err != nil {
		t.Fatal(err)
	}
	judgedAlone(t, adv, inv, o, e)
	return e
}

// brief writes findings as "package version: vulnerability (range) -> fix".
func brief(findings []plimsoll.Finding) []string {
	var list []string
	for _, f := range findings {
		s := fmt.Sprintf("%s %s: %s (%s)", f.Package.Name, f.Package.Version, f.Vulnerability.ID, f.Reasons[0].Range)
		if f.FixedVersion != "" {
			s += " -> " + f.FixedVersion
		} else if f.State != "" {
			s += " " + string(f.State)
		}
		if f.Status != plimsoll.StatusAffected {
			s += " " + string(f.Status)
		}
		list = append(list, s)
	}
	slices.Sort(list)
	return list
}

func codes(problems []plimsoll.Problem) []string {
	var list []string
	for _, p := range problems {
		list = append(list, string(p.Code))
	}
	return list
}

// Each case judges one inventory; want are the findings in brief.
func TestEvaluate(t *testing.T) {
	const eco12 = "Debian:12"
	tests := []struct {
		name     string
		adv      *memory
		inv      plimsoll.Inventory
		options  Options
		want     []string
		problems []string
	}{
		{
			name: "DEB-02 source name and source version are compared",
			adv:  generation(about("DEBIAN-CVE-2024-1", eco12, "openssl", "introduced 0", "fixed 3.0.2-1"), about("DEBIAN-CVE-2024-2", eco12, "libssl3", "introduced 0")),
			inv:  debian(built(deb("libssl3", "9:1-1+b1"), "openssl", "3.0.1-1")),
			want: []string{"libssl3 9:1-1+b1: CVE-2024-1 (< 3.0.2-1) -> 3.0.2-1"},
		},
		{
			name: "DEB-03 a binNMU is as good as its source",
			adv:  generation(about("DEBIAN-CVE-2024-1", eco12, "curl", "introduced 0", "fixed 1.2-3")),
			inv:  debian(built(deb("curl", "1.2-3+b1"), "curl", "1.2-3")),
		},
		{
			name: "DEB-07 fixed in 0 was never affected",
			adv:  generation(about("DEBIAN-CVE-2024-1", eco12, "shadow", "introduced 0", "fixed 0")),
			inv:  debian(deb("shadow", "0~a-1")),
		},
		{
			name: "DEB-07 the vendor's word on unfixed flaws is kept",
			adv: generation(
				withState(about("DEBIAN-CVE-2024-1", eco12, "tar", "introduced 0"), plimsoll.FixDeferred),
				withState(about("DEBIAN-CVE-2024-2", eco12, "tar", "introduced 0"), plimsoll.FixRefused),
				withState(about("DEBIAN-CVE-2024-3", eco12, "tar", "introduced 0"), plimsoll.FixEndOfLife),
				about("DEBIAN-CVE-2024-4", eco12, "tar", "introduced 0")),
			inv: debian(deb("tar", "1.34-1")),
			want: []string{"tar 1.34-1: CVE-2024-1 (>= 0) deferred", "tar 1.34-1: CVE-2024-2 (>= 0) will-not-fix",
				"tar 1.34-1: CVE-2024-3 (>= 0) end-of-life", "tar 1.34-1: CVE-2024-4 (>= 0) not-fixed"},
		},
		{
			name: "DEB-08 backports are older than the release they come from",
			adv:  generation(about("DEBIAN-CVE-2024-1", eco12, "git", "introduced 0", "fixed 2.40-1")),
			inv:  debian(deb("git", "2.40-1~bpo12+1")),
			want: []string{"git 2.40-1~bpo12+1: CVE-2024-1 (< 2.40-1) -> 2.40-1"},
		},
		{
			name:     "DEB-10 RPM-09 third-party packages are not the distribution's",
			adv:      generation(about("DEBIAN-CVE-2024-1", eco12, "docker-ce", "introduced 0")),
			inv:      debian(withOrigin(deb("docker-ce", "5:24.0-1"), "Docker")),
			problems: []string{"no-advisory-source"},
		},
		{
			name: "OS-09 a package that somebody rebuilt is judged by him, the others by the distribution",
			adv: generation(about("DEBIAN-CVE-2024-1", eco12, "curl", "introduced 0", "fixed 9"),
				about("ROOT-CVE-2024-2", "Root:Debian:12", "curl", "introduced 0", "fixed 7.88.1-10.root.io.2"),
				about("ROOT-CVE-2024-3", "Root:PyPI", "foo-bar", "introduced 0", "fixed 1.0+root.io.2"), about("GHSA-1", "PyPI", "foo-bar", "introduced 0")),
			inv: debian(deb("curl", "7.88.1-10.root.io.1"), deb("curl", "7.88.1-10"), lang("pypi", "foo.bar", "1.0+root.io.1"), lang("pypi", "foo.bar", "1.0")),
			want: []string{"curl 7.88.1-10.root.io.1: CVE-2024-2 (< 7.88.1-10.root.io.2) -> 7.88.1-10.root.io.2", "curl 7.88.1-10: CVE-2024-1 (< 9) -> 9",
				"foo.bar 1.0+root.io.1: CVE-2024-3 (< 1.0+root.io.2) -> 1.0+root.io.2", "foo.bar 1.0: GHSA-1 (>= 0) not-fixed"},
		},
		{
			name:     "OS-09 without the rebuilder's advisories nobody is asked about those packages",
			adv:      generation(about("DEBIAN-CVE-2024-1", eco12, "curl", "introduced 0", "fixed 9"), about("DEBIAN-CVE-2024-2", eco12, "zlib", "introduced 0", "fixed 9")),
			inv:      debian(deb("curl", "7.88.1-10"), deb("curl", "7.88.1-10.root.io.1"), built(deb("seal-zlib", "1.2-1"), "zlib", "1.2-1"), deb("bash", "5.1-6+rf2")),
			want:     []string{"curl 7.88.1-10: CVE-2024-1 (< 9) -> 9"},
			problems: []string{"no-advisory-source", "no-advisory-source", "no-advisory-source"},
		},
		{
			name: "OS-09 what Bitnami's own lists name is judged by Bitnami",
			adv:  generation(about("BIT-redis-2024-1", "Bitnami", "redis", "introduced 0", "fixed 7.0.1")),
			inv:  app(lang("bitnami", "redis", "7.0.0"), lang("bitnami", "redis", "7.0.1")),
			want: []string{"redis 7.0.0: BIT-redis-2024-1 (< 7.0.1) -> 7.0.1"},
		},
		{
			name:     "NIX-01, SNAP-01 packages that nobody publishes advisories about are inventory only",
			adv:      generation(about("DEBIAN-CVE-2024-1", eco12, "curl", "introduced 0")),
			inv:      debian(lang(plimsoll.TypeNix, "curl", "8.6.0"), lang(plimsoll.TypeSnap, "curl", "8.6.0")),
			problems: []string{"no-advisory-source", "no-advisory-source"},
		},
		{
			name: "DEB-11 kernel headers hold no kernel",
			adv:  generation(about("DEBIAN-CVE-2024-1", eco12, "linux", "introduced 0", "fixed 6.1.99-1")),
			inv: debian(built(deb("linux-libc-dev", "6.1.90-1"), "linux", "6.1.90-1"),
				built(deb("linux-image-6.1", "6.1.90-1"), "linux", "6.1.90-1"),
				built(deb("linux-headers-6.1", "6.1.90-1"), "linux", "6.1.90-1")),
			want: []string{"linux-headers-6.1 6.1.90-1: CVE-2024-1 (< 6.1.99-1) -> 6.1.99-1 component-not-present",
				"linux-image-6.1 6.1.90-1: CVE-2024-1 (< 6.1.99-1) -> 6.1.99-1",
				"linux-libc-dev 6.1.90-1: CVE-2024-1 (< 6.1.99-1) -> 6.1.99-1 component-not-present"},
		},
		{
			name: "ADV-02 several pairs, out of order",
			adv:  generation(about("GHSA-1", "npm", "a", "fixed 2.1.0", "introduced 2.0.0", "fixed 1.2.0", "introduced 0")),
			inv:  app(lang("npm", "a", "1.1.0"), lang("npm", "a", "1.3.0"), lang("npm", "a", "2.0.5"), lang("npm", "a", "2.1.0")),
			want: []string{"a 1.1.0: GHSA-1 (< 1.2.0) -> 1.2.0", "a 2.0.5: GHSA-1 (>= 2.0.0, < 2.1.0) -> 2.1.0"},
		},
		{
			name: "ADV-02 last_affected is inclusive",
			adv:  generation(about("GHSA-1", "npm", "a", "introduced 1.0.0", "last_affected 1.5.0")),
			inv:  app(lang("npm", "a", "0.9.0"), lang("npm", "a", "1.5.0"), lang("npm", "a", "1.5.1")),
			want: []string{"a 1.5.0: GHSA-1 (>= 1.0.0, <= 1.5.0)"},
		},
		{
			name: "ADV-02 limit ends an open range",
			adv:  generation(about("GHSA-1", "npm", "a", "introduced 1.0.0", "limit 2.0.0")),
			inv:  app(lang("npm", "a", "1.9.0"), lang("npm", "a", "2.0.0")),
			want: []string{"a 1.9.0: GHSA-1 (>= 1.0.0, < 2.0.0)"},
		},
		{
			name: "ADV-02 listed versions and ranges are a union",
			adv:  generation(withVersions(about("GHSA-1", "PyPI", "a", "introduced 2.0", "fixed 2.1"), "1.0", "0.9")),
			inv:  app(lang("pypi", "A", "1.0"), lang("pypi", "A", "1.1"), lang("pypi", "A", "2.0.0")),
			want: []string{"A 1.0: GHSA-1 (= 1.0) -> 2.1", "A 2.0.0: GHSA-1 (>= 2.0, < 2.1) -> 2.1"},
		},
		{
			name: "ADV-02 a listed version in another spelling",
			adv:  generation(withVersions(about("MAL-1", "PyPI", "a"), "1.0")),
			inv:  app(lang("pypi", "a", "1.0.0"), lang("pypi", "a", "1.0.1")),
			want: []string{"a 1.0.0: MAL-1 (= 1.0)"},
		},
		{
			name: "ADV-02 Alpine names two fixes after one introduction",
			adv:  generation(about("ALPINE-CVE-2024-1", "Alpine:v3.19", "busybox", "introduced 0", "fixed 1.36.1-r2", "fixed 1.36.1-r5")),
			inv:  install("alpine", "3.19.1", apk("ssl_client", "1.36.1-r1", "busybox"), apk("busybox", "1.36.1-r3", "busybox")),
			want: []string{"ssl_client 1.36.1-r1: CVE-2024-1 (< 1.36.1-r2) -> 1.36.1-r2"},
		},
		{
			name: "APK-02 fixed in 0 is not affected, wrong data makes no finding",
			adv: generation(about("ALPINE-CVE-2024-1", "Alpine:v3.19", "docker", "introduced 0", "fixed 0"),
				about("ALPINE-CVE-2024-2", "Alpine:v3.19", "docker", "introduced 0", "fixed 20.10.11.r0")),
			inv: install("alpine", "3.19.1", apk("docker", "20.10.11-r0", "docker")),
		},
		{
			name:     "ADV-03 commits are not versions",
			adv:      generation(plimsoll.Affected{AdvisoryID: "GHSA-1", Ecosystem: "npm", Package: "a", Ranges: []plimsoll.Range{span1("GIT", "introduced 0")}}),
			inv:      app(lang("npm", "a", "1.0.0")),
			problems: nil,
		},
		{
			name: "ADV-04 SEMVER ranges use their own order",
			adv:  generation(plimsoll.Affected{AdvisoryID: "GHSA-1", Ecosystem: "RubyGems", Package: "a", Ranges: []plimsoll.Range{span1(plimsoll.RangeSemVer, "introduced 0", "fixed 1.0.0-rc.1")}}),
			inv:  app(lang("gem", "a", "1.0.0-beta")), // RubyGems alone would read -beta as .pre.beta
			want: []string{"a 1.0.0-beta: GHSA-1 (< 1.0.0-rc.1) -> 1.0.0-rc.1"},
		},
		{
			name: "ADV-07 no leakage between releases",
			adv:  generation(about("DEBIAN-CVE-2024-1", "Debian:11", "tar", "introduced 0"), about("DEBIAN-CVE-2024-2", eco12, "gzip", "introduced 0")),
			inv:  debian(deb("tar", "1.34-1")),
		},
		{
			name: "ADV-10 fixes of every alias, the lowest that no record calls affected first",
			adv: generation(
				withFlaw(about("GHSA-1", "PyPI", "a", "introduced 0", "fixed 1.5"), "CVE-2024-1"),
				withFlaw(about("PYSEC-1", "PyPI", "a", "introduced 0", "fixed 1.4", "introduced 2.0", "fixed 2.1"), "CVE-2024-1"),
				withFlaw(about("GHSA-2", "PyPI", "b", "introduced 0", "last_affected 1.3"), "CVE-2024-2"),
				withFlaw(about("PYSEC-2", "PyPI", "b", "introduced 0", "fixed 1.4"), "CVE-2024-2"),
				withFlaw(about("GHSA-3", "PyPI", "c", "introduced 0"), "CVE-2024-3"),
				withFlaw(about("PYSEC-3", "PyPI", "c", "introduced 0", "fixed 1.4"), "CVE-2024-3")),
			inv:  app(lang("pypi", "a", "1.0"), lang("pypi", "b", "1.0"), lang("pypi", "c", "1.0")),
			want: []string{"a 1.0: CVE-2024-1 (< 1.5) -> 1.5", "b 1.0: CVE-2024-2 (<= 1.3) -> 1.4", "c 1.0: CVE-2024-3 (>= 0) -> 1.4"},
		},
		{
			name:     "ADV-11 an installed version that cannot be read is a problem, not a match",
			adv:      generation(about("GHSA-1", "PyPI", "a", "introduced 0")),
			inv:      app(lang("pypi", "a", "not a version"), lang("pypi", "unheard-of", "not a version")),
			problems: []string{"bad-version"},
		},
		{
			name:     "ADV-11 a range that cannot be read is a problem, the others still speak",
			adv:      generation(about("GHSA-1", "PyPI", "a", "introduced 0", "fixed nonsense!"), about("GHSA-2", "PyPI", "a", "introduced 0", "fixed 2.0")),
			inv:      app(lang("pypi", "a", "1.0"), lang("pypi", "a", "1.1")),
			want:     []string{"a 1.0: GHSA-2 (< 2.0) -> 2.0", "a 1.1: GHSA-2 (< 2.0) -> 2.0"},
			problems: []string{"bad-version"},
		},
		{
			name:     "ADV-11 a commit, a branch or a forgotten variable is no release, so nothing is older or newer",
			adv:      generation(about("GHSA-1", "PyPI", "a", "introduced 0", "fixed 9"), about("GHSA-2", "Maven", "g:a", "introduced 0", "fixed 9"), about("GHSA-3", "Packagist", "a/b", "introduced 0", "fixed 9"), about("GHSA-4", "RubyGems", "a", "introduced 0", "fixed 99999999")),
			inv:      app(lang("pypi", "a", "0a1b2c3d"), lang("pypi", "a", "20240101b1"), lang("maven", "g:a", "${project.version}"), lang("maven", "g:a", "de30cafe"), lang("composer", "a/b", "dev-main"), lang("gem", "a", "1f2e3d4"), lang("gem", "a", "12345678")),
			want:     []string{"a 12345678: GHSA-4 (< 99999999) -> 99999999"},
			problems: []string{"bad-version", "bad-version", "bad-version", "bad-version", "bad-version"},
		},
		{
			name:     "RS-01 only what came from crates.io is compared with its advisories",
			adv:      generation(about("RUSTSEC-1", "crates.io", "a", "introduced 0", "fixed 2.0.0")),
			inv:      app(lang("cargo", "a", "1.0.0"), withOrigin(lang("cargo", "a", "1.1.0"), "git"), withOrigin(lang("cargo", "a", "1.2.0"), "local")),
			want:     []string{"a 1.0.0: RUSTSEC-1 (< 2.0.0) -> 2.0.0"},
			problems: []string{"no-advisory-source"},
		},
		{
			name: "DEB-08 a rebuild for a release holds what the version it was made of holds",
			adv:  generation(about("DEBIAN-CVE-2024-1", "Debian:12", "a", "introduced 0", "fixed 1.3-1"), about("DEBIAN-CVE-2024-2", "Debian:12", "a", "introduced 0", "fixed 1.3-1~deb12u3"), about("DEBIAN-CVE-2024-3", "Debian:12", "a", "introduced 0", "fixed 1.3-2")),
			inv:  debian(deb("a", "1.3-1~deb12u2"), deb("a", "1.2-9~deb12u1")),
			want: []string{
				"a 1.2-9~deb12u1: CVE-2024-1 (< 1.3-1) -> 1.3-1", "a 1.2-9~deb12u1: CVE-2024-2 (< 1.3-1~deb12u3) -> 1.3-1~deb12u3", "a 1.2-9~deb12u1: CVE-2024-3 (< 1.3-2) -> 1.3-2",
				"a 1.3-1~deb12u2: CVE-2024-2 (< 1.3-1~deb12u3) -> 1.3-1~deb12u3", "a 1.3-1~deb12u2: CVE-2024-3 (< 1.3-2) -> 1.3-2",
			},
		},
		{
			name: "ADV-10 the end of a branch is no fix when the next one is affected from there",
			adv:  generation(about("FOP-1", "Packagist", "a/b", "introduced 1.0", "fixed 2.0", "introduced 2.0", "fixed 3.0", "introduced 3.0", "fixed 3.27.0")),
			inv:  app(lang("composer", "a/b", "v2.12.0")),
			want: []string{"a/b v2.12.0: FOP-1 (>= 1.0, < 3.27.0) -> 3.27.0"},
		},
		{
			name:     "JAR-04 an artifact without its group is listed, not judged",
			adv:      generation(about("GHSA-1", "Maven", "g:a", "introduced 0", "fixed 2.0")),
			inv:      app(lang("maven", "g:a", "1.0"), lang("maven", "a", "1.0")),
			want:     []string{"g:a 1.0: GHSA-1 (< 2.0) -> 2.0"},
			problems: []string{"no-advisory-source"},
		},
		{
			name: "ADV-12 names meet in their normal form",
			adv:  generation(about("GHSA-1", "PyPI", "foo-bar-baz", "introduced 0"), about("GHSA-2", "NuGet", "newtonsoft.json", "introduced 0")),
			inv:  app(lang("pypi", "Foo.Bar_baz", "1.0"), lang("nuget", "Newtonsoft.Json", "1.0")),
			want: []string{"Foo.Bar_baz 1.0: GHSA-1 (>= 0) not-fixed", "Newtonsoft.Json 1.0: GHSA-2 (>= 0) not-fixed"},
		},
		{
			name: "ADV-13 architectures",
			adv:  generation(withArches(about("ALSA-1", "AlmaLinux:8", "a", "introduced 0", "fixed 2-1.el8"), "s390x")),
			inv:  install("almalinux", "8.6", withArch(rpm("a", "1-1.el8"), "x86_64"), withArch(rpm("a", "1-2.el8"), "s390x"), withArch(rpm("a", "1-3.el8"), "noarch")),
			want: []string{"a 1-2.el8: ALSA-1 (< 2-1.el8) -> 2-1.el8", "a 1-3.el8: ALSA-1 (< 2-1.el8) -> 2-1.el8"},
		},
		{
			name: "want 1: a package that a system package owns is left to the distribution",
			adv:  generation(about("GHSA-1", "PyPI", "six", "introduced 0"), about("DEBIAN-CVE-2024-1", eco12, "other", "introduced 0")),
			inv:  debian(withOwner(lang("pypi", "six", "1.0"), "python3-six"), deb("python3-six", "1.0-1")),
		},
		{
			name:    "want 1: comprehensive shows it for information",
			adv:     generation(about("GHSA-1", "PyPI", "six", "introduced 0"), about("DEBIAN-CVE-2024-1", eco12, "other", "introduced 0")),
			inv:     debian(withOwner(lang("pypi", "six", "1.0"), "python3-six"), deb("python3-six", "1.0-1")),
			options: Options{Comprehensive: true},
			want:    []string{"six 1.0: GHSA-1 (>= 0) not-fixed owned-by-system"},
		},
		{
			name: "APK-03 the distribution's word about its own build overrules the ecosystem's about the files in it",
			adv: generation(withFlaw(about("CGA-1", "Wolfi", "grafana", "introduced 0", "fixed 0"), "GHSA-1"), about("GHSA-1", "npm", "a", "introduced 0"),
				withFlaw(about("CGA-2", "Wolfi", "grafana", "introduced 0", "fixed 11.0.0-r1"), "GHSA-2"), about("GHSA-2", "npm", "a", "introduced 0"),
				withFlaw(about("CGA-3", "Wolfi", "grafana", "introduced 0", "fixed 11.0.0-r3"), "GHSA-3"), about("GHSA-3", "npm", "a", "introduced 0"),
				about("GHSA-4", "npm", "a", "introduced 0")),
			inv:     install("wolfi", "20230201", apk("grafana", "11.0.0-r2", "grafana"), withOwner(lang("npm", "a", "1.0.0"), "grafana"), lang("npm", "a", "1.1.0")),
			options: Options{Comprehensive: true},
			want: []string{"a 1.0.0: GHSA-3 (>= 0) not-fixed owned-by-system", "a 1.0.0: GHSA-4 (>= 0) not-fixed owned-by-system",
				"a 1.1.0: GHSA-1 (>= 0) not-fixed", "a 1.1.0: GHSA-2 (>= 0) not-fixed", "a 1.1.0: GHSA-3 (>= 0) not-fixed", "a 1.1.0: GHSA-4 (>= 0) not-fixed",
				"grafana 11.0.0-r2: GHSA-3 (< 11.0.0-r3) -> 11.0.0-r3"},
		},
		{
			name:     "want 2, DEB-10: files of third-party packages are judged",
			adv:      generation(about("GHSA-1", "npm", "tar", "introduced 0"), about("DEBIAN-CVE-2024-1", eco12, "other", "introduced 0")),
			inv:      debian(withOwner(lang("npm", "tar", "1.0.0"), "nodejs"), withOrigin(deb("nodejs", "20.1-1nodesource1"), "NodeSource")),
			want:     []string{"tar 1.0.0: GHSA-1 (>= 0) not-fixed"},
			problems: []string{"no-advisory-source"},
		},
		{
			name: "DEB-09, want 18: a fix of Ubuntu Pro is no fix for others",
			adv: generation(about("UBUNTU-CVE-2024-1", "Ubuntu:16.04:LTS", "tar", "introduced 0"),
				about("UBUNTU-CVE-2024-1", "Ubuntu:Pro:16.04:LTS", "tar", "introduced 0", "fixed 1.28-2+esm1"),
				about("UBUNTU-CVE-2024-2", "Ubuntu:Pro:16.04:LTS", "tar", "introduced 0", "fixed 1.28-2+esm2"),
				about("UBUNTU-CVE-2024-3", "Ubuntu:16.04:LTS", "tar", "introduced 0", "fixed 1.28-2ubuntu1"),
				about("UBUNTU-CVE-2024-3", "Ubuntu:Pro:16.04:LTS", "tar", "introduced 0", "fixed 1.28-2+esm1")),
			inv: install("ubuntu", "16.04", deb("tar", "1.28-2")),
			want: []string{"tar 1.28-2: CVE-2024-1 (>= 0) extended-only", "tar 1.28-2: CVE-2024-2 (< 1.28-2+esm2) extended-only",
				"tar 1.28-2: CVE-2024-3 (< 1.28-2ubuntu1) -> 1.28-2ubuntu1"},
		},
		{
			name: "DEB-09, want 18: an esm build is compared with Ubuntu Pro",
			adv: generation(about("UBUNTU-CVE-2024-1", "Ubuntu:16.04:LTS", "tar", "introduced 0"),
				about("UBUNTU-CVE-2024-1", "Ubuntu:Pro:16.04:LTS", "tar", "introduced 0", "fixed 1.28-2+esm1"),
				about("UBUNTU-CVE-2024-2", "Ubuntu:Pro:16.04:LTS", "tar", "introduced 0", "fixed 1.28-2+esm2"),
				about("UBUNTU-CVE-2024-4", "Ubuntu:16.04:LTS", "tar", "introduced 0")),
			inv: install("ubuntu", "16.04", deb("tar", "1.28-2+esm1")),
			want: []string{"tar 1.28-2+esm1: CVE-2024-2 (< 1.28-2+esm2) -> 1.28-2+esm2",
				"tar 1.28-2+esm1: CVE-2024-4 (>= 0) not-fixed"},
		},
		{
			name: "want 14: the record of a release overrules a notice",
			adv: generation(
				withFlaw(about("DSA-1-1", eco12, "tar", "introduced 0", "fixed 1.34-1+deb12u1"), "CVE-2024-1"),
				about("DEBIAN-CVE-2024-1", eco12, "tar", "introduced 0", "fixed 0"),
				withFlaw(about("DSA-1-1", eco12, "tar", "introduced 0", "fixed 1.34-1+deb12u1"), "CVE-2024-2"),
				about("DEBIAN-CVE-2024-2", eco12, "tar", "introduced 0", "fixed 1.34-1+deb12u2"),
				withFlaw(about("DSA-1-1", eco12, "tar", "introduced 0", "fixed 1.34-1+deb12u1"), "CVE-2024-3")),
			inv:  debian(deb("tar", "1.34-1")),
			want: []string{"tar 1.34-1: CVE-2024-2 (< 1.34-1+deb12u2) -> 1.34-1+deb12u2", "tar 1.34-1: CVE-2024-3 (< 1.34-1+deb12u1) -> 1.34-1+deb12u1"},
		},
		{
			name: "the provider whom the operator prefers decides where he has an opinion",
			adv: generation(
				about("DEBIAN-CVE-2024-1", eco12, "tar", "introduced 0", "fixed 2"), preferred(about("TRACKER-CVE-2024-1", eco12, "tar", "introduced 0", "fixed 1")),
				about("DEBIAN-CVE-2024-2", eco12, "tar", "introduced 0", "fixed 1"), preferred(about("TRACKER-CVE-2024-2", eco12, "tar", "introduced 0")),
				about("DEBIAN-CVE-2024-3", eco12, "tar", "introduced 0", "fixed 2")),
			inv:  debian(deb("tar", "1.34-1")),
			want: []string{"tar 1.34-1: CVE-2024-2 (>= 0) not-fixed", "tar 1.34-1: CVE-2024-3 (< 2) -> 2"},
		},
		{
			name:     "OS-06 an unknown distribution is not clean",
			adv:      generation(about("DEBIAN-CVE-2024-1", eco12, "tar", "introduced 0")),
			inv:      install("plan9", "4", deb("tar", "1.0-1")),
			problems: []string{"unknown-distro"},
		},
		{
			name:     "OS-06 a distribution without a source is not clean",
			adv:      generation(about("DEBIAN-CVE-2024-1", eco12, "tar", "introduced 0")),
			inv:      install("kylin", "V10", rpm("tar", "1.0-1")),
			problems: []string{"no-advisory-source"},
		},
		{
			name: "OS-07 after the end of life the last known data still counts",
			adv:  generation(about("DEBIAN-CVE-2024-1", "Debian:9", "tar", "introduced 0"), about("DEBIAN-CVE-2024-2", "Debian:9", "tar", "introduced 0", "fixed 9-1")),
			inv:  install("debian", "9", deb("tar", "1.0-1")), options: Options{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
			want:     []string{"tar 1.0-1: CVE-2024-1 (>= 0) end-of-life", "tar 1.0-1: CVE-2024-2 (< 9-1) -> 9-1"},
			problems: []string{"end-of-life"},
		},
		{
			name: "OS-06 a distribution of the operator's own is judged by his own advisories, in the package manager's order",
			adv: generation(about("ACME-1", "acme:1", "tool", "introduced 0", "fixed 1:2-1"), about("ACME-2", "acme", "tool", "introduced 0"), about("ACME-3", "acme:2", "tool", "introduced 0"),
				about("GHSA-1", "npm", "tool", "introduced 0")),
			inv:      install("acme", "1", withOrigin(withSupplier(rpm("tool", "9-1"), "Acme Corp"), "Acme Corp"), withOrigin(withSupplier(rpm("tool", "8-1"), "Docker Inc."), "Docker")),
			want:     []string{"tool 9-1: ACME-1 (< 1:2-1) -> 1:2-1", "tool 9-1: ACME-2 (>= 0) not-fixed"},
			problems: []string{"no-advisory-source"},
		},
		{
			name:     "OS-06 a system that calls itself by the name of an ecosystem is none of it",
			adv:      generation(about("GHSA-1", "npm", "tool", "introduced 0"), about("GHSA-2", "npm:1", "tool", "introduced 0")),
			inv:      install("npm", "1", rpm("tool", "9-1")),
			problems: []string{"unknown-distro"},
		},
		{
			name: "DEB-09 a release between those with long support ends soon",
			adv:  generation(about("UBUNTU-CVE-2024-1", "Ubuntu:23.10", "tar", "introduced 0"), about("UBUNTU-CVE-2024-2", "Ubuntu:24.04:LTS", "tar", "introduced 0")),
			inv:  install("ubuntu", "23.10", deb("tar", "1.0-1")), options: Options{Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)},
			want:     []string{"tar 1.0-1: CVE-2024-1 (>= 0) end-of-life"},
			problems: []string{"end-of-life"},
		},
		{
			name:    "OS-08 the caller may name the distribution",
			adv:     generation(about("DEBIAN-CVE-2024-1", eco12, "tar", "introduced 0")),
			inv:     plimsoll.Inventory{Packages: []plimsoll.Package{deb("tar", "1.0-1")}},
			options: Options{Distro: "debian/12"},
			want:    []string{"tar 1.0-1: CVE-2024-1 (>= 0) not-fixed"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := evaluate(t, tt.adv, tt.inv, tt.options)
			if diff := cmp.Diff(tt.want, brief(e.Findings)); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.problems, codes(e.Problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s%v", diff, e.Problems)
			}
		})
	}
}

func withState(a plimsoll.Affected, s plimsoll.FixState) plimsoll.Affected { a.State = s; return a }
func withFlaw(a plimsoll.Affected, id string) plimsoll.Affected            { a.Vulnerability = id; return a }
func withVersions(a plimsoll.Affected, v ...string) plimsoll.Affected      { a.Versions = v; return a }
func withArches(a plimsoll.Affected, v ...string) plimsoll.Affected        { a.Arches = v; return a }
func withModules(a plimsoll.Affected, v ...string) plimsoll.Affected       { a.Modules = v; return a }
func withRatings(a plimsoll.Affected, r ...plimsoll.Rating) plimsoll.Affected {
	a.Ratings = r
	return a
}

func preferred(a plimsoll.Affected) plimsoll.Affected             { a.Preferred = true; return a }
func withNote(a plimsoll.Affected, note string) plimsoll.Affected { a.Note = note; return a }

func withOrigin(p plimsoll.Package, o string) plimsoll.Package   { p.Origin = o; return p }
func withSupplier(p plimsoll.Package, s string) plimsoll.Package { p.Supplier = s; return p }
func withOwner(p plimsoll.Package, o string) plimsoll.Package    { p.Owner = o; return p }
func withArch(p plimsoll.Package, a string) plimsoll.Package     { p.Arch = a; return p }
func withModule(p plimsoll.Package, m string) plimsoll.Package   { p.Module = m; return p }

func rpm(name, v string) plimsoll.Package {
	return plimsoll.Package{Type: plimsoll.TypeRPM, Name: name, Version: v, Path: "var/lib/rpm/rpmdb.sqlite"}
}

func apk(name, v, origin string) plimsoll.Package {
	return built(plimsoll.Package{Type: plimsoll.TypeAPK, Name: name, Version: v, Path: "lib/apk/db/installed"}, origin, v)
}

func app(packages ...plimsoll.Package) plimsoll.Inventory {
	return plimsoll.Inventory{Packages: packages}
}

// A finding explains itself: record, range, versions, order, source, date, and
// who disagrees (invariant 8).
func TestReasons(t *testing.T) {
	modified := time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC)
	cve := about("DEBIAN-CVE-2024-1", "Debian:12", "openssl", "introduced 0", "fixed 3.0.9-1")
	cve.Modified = modified
	adv := generation(cve,
		withFlaw(about("DSA-2-1", "Debian:12", "openssl", "introduced 0", "fixed 3.0.8-1"), "CVE-2024-1"),
		withFlaw(about("DSA-3-1", "Debian:12", "openssl", "introduced 0", "fixed 3.0.10-1"), "CVE-2024-1"))
	e := evaluate(t, adv, debian(built(deb("libssl3", "3.0.8-1+b1"), "openssl", "3.0.8-1")), Options{})
	if len(e.Findings) != 1 {
		t.Fatalf("got %d findings, want 1", len(e.Findings))
	}
	f := e.Findings[0]
	want := []plimsoll.Reason{
		{Advisory: "DEBIAN-CVE-2024-1", Provider: "Debian", Modified: modified, Ecosystem: "Debian:12", Package: "openssl", Version: "3.0.8-1",
			Scheme: "deb", Range: "< 3.0.9-1", Note: "not affected according to DSA-2-1"},
		{Advisory: "DSA-3-1", Provider: "Debian", Ecosystem: "Debian:12", Package: "openssl", Version: "3.0.8-1", Scheme: "deb", Range: "< 3.0.10-1"},
	}
	if diff := cmp.Diff(want, f.Reasons); diff != "" {
		t.Errorf("reasons (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"3.0.8-1", "3.0.9-1", "3.0.10-1"}, f.FixedVersions); diff != "" {
		t.Errorf("fixed versions (-want +got):\n%s", diff)
	}
	if f.FixedVersion != "3.0.9-1" || f.State != plimsoll.FixAvailable || f.Class != plimsoll.ClassSystem {
		t.Errorf("got fix %q, state %q, class %q", f.FixedVersion, f.State, f.Class)
	}
}

// The vendor's own reason for having no fix is part of the evidence (RPM-08, DEB-07).
func TestRPM08TheVendorsNoteIsKept(t *testing.T) {
	adv := generation(withNote(withState(about("REDHAT-CVE-2024-1", "Red Hat:enterprise_linux:8", "a", "introduced 0"), plimsoll.FixEndOfLife), "Out of support scope"))
	e := evaluate(t, adv, install("rhel", "8.4", rpm("a", "1-5.el8")), Options{})
	if len(e.Findings) != 1 || e.Findings[0].State != plimsoll.FixEndOfLife || e.Findings[0].Reasons[0].Note != "Red Hat: Out of support scope" {
		t.Errorf("got %+v, want the state and the note", e.Findings)
	}
}

// Who denies is named with his reason beside those who affirm.
func TestReasonOfADenial(t *testing.T) {
	adv := generation(withFlaw(preferred(about("RHSA-1", "Red Hat:enterprise_linux:8::baseos", "a", "introduced 0", "fixed 2")), "CVE-2024-1"),
		withNote(about("REDHAT-CVE-2024-1", "Red Hat:enterprise_linux:8", "a", "introduced 0", "fixed 0"), "vulnerable_code_not_present"))
	e := evaluate(t, adv, install("rhel", "8.4", rpm("a", "1-5.el8")), Options{})
	if len(e.Findings) != 1 || e.Findings[0].Reasons[0].Note != "not affected according to REDHAT-CVE-2024-1 (vulnerable_code_not_present)" {
		t.Errorf("got %+v", e.Findings)
	}
}

// One finding per package instance and vulnerability (ADV-05, want 12).
func TestADV05AliasesAreOneFinding(t *testing.T) {
	adv := generation(withFlaw(about("GHSA-1", "Go", "example.com/m", "introduced 0"), "CVE-2024-1"),
		withFlaw(about("GO-1", "Go", "example.com/m", "introduced 0", "fixed 1.2.0"), "CVE-2024-1"))
	a, b := lang("golang", "example.com/m", "v1.0.0"), lang("golang", "example.com/m", "v1.0.0")
	b.Path = "usr/bin/other"
	e := evaluate(t, adv, app(a, b), Options{})
	if len(e.Findings) != 2 || len(e.Findings[0].Reasons) != 2 {
		t.Errorf("got %v", brief(e.Findings))
	}
}

func TestErrors(t *testing.T) {
	_, err := Evaluate(context.Background(), generation(), debian(), Options{Distro: "nonesuch:1"})
	if plimsoll.CodeOf(err) != plimsoll.CodeInvalid || plimsoll.HintOf(err) == "" {
		t.Errorf("unknown distribution: got %v", err)
	}
	broken := generation(about("DEBIAN-CVE-2024-1", "Debian:12", "tar", "introduced 0"))
	broken.err = errors.New("disk gone")
	if _, err := Evaluate(context.Background(), broken, debian(deb("tar", "1")), Options{}); !errors.Is(err, broken.err) {
		t.Errorf("broken database: got %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := Evaluate(ctx, generation(about("DEBIAN-CVE-2024-1", "Debian:12", "tar", "introduced 0")), debian(deb("tar", "1")), Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v", err)
	}
}
