package plimsoll

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// Distribution is what Plimsoll knows about one release of a distribution.
type Distribution struct {
	ID      string // as in os-release
	Name    string // "Debian"
	Release string // "12", "3.19", "22.03-LTS-SP3"; empty when unknown or not versioned
	// Type is the type of the distribution's own packages, Scheme the name of
	// their version order (see package version).
	Type   PackageType
	Scheme string
	// Ecosystems are the names under which OSV publishes the release's
	// advisories. One that ends in "*" stands for all that begin so. Those that
	// begin with "Ubuntu:Pro:" hold fixes for subscribers only. Without any,
	// there is no public source: the packages are listed, and judged by what the
	// operator names for the release alone (see Bound).
	Ecosystems []string
	// EndOfLife is the last day on which the public gets fixes for nothing, at
	// midnight UTC; zero when unknown or not applicable.
	EndOfLife time.Time
	// Assumed: the advisories are those of the distribution it derives from, or
	// of a release that is only nearly the right one.
	Assumed bool
}

// Bound is the ecosystem of advisories that the operator bound to the release:
// "EulerOS:2.0-SP9". Where OSV names the release in the same way, both are asked
// under one name.
func (d Distribution) Bound() string {
	if d.Release == "" {
		return d.Name
	}
	return d.Name + ":" + d.Release
}

// ServicePacks lists the releases that continue this one and are releases of their
// own, with advisories of their own: "V10-SP1" and others of "V10".
func (d Distribution) ServicePacks() []string {
	table := distributions()
	i := slices.IndexFunc(table, func(row distributionRow) bool { return row.Name == d.Name })
	if i < 0 || d.Release == "" {
		return nil
	}
	return slices.DeleteFunc(table[i].releases(), func(r string) bool { return !strings.HasPrefix(r, d.Release+"-") })
}

// ParseOS understands an identity as people claim it, "debian:12" or
// "euleros:2.0-SP9": the distribution's ID, or its name with hyphens for spaces
// ("uniontech-os-server"), and the release. It returns the identity that a
// system with packages of type t would have, of any type when t is "". The error,
// for a distribution that the table does not have and for a release that no system
// of it can have, is a sentence for whoever wrote the claim, without a code.
func ParseOS(claim string, t PackageType) (os OS, err error) {
	id, release, _ := strings.Cut(strings.Replace(claim, "/", ":", 1), ":")
	id = asciiLower(id)
	table := distributions()
	fits := func(row *distributionRow) bool { return t == "" || t == row.Type }
	i := slices.IndexFunc(table, func(row distributionRow) bool {
		return asciiLower(strings.ReplaceAll(row.Name, " ", "-")) == id && fits(&row)
	})
	if i < 0 { // by its ID a system is the plain one, if there is one
		i = slices.IndexFunc(table, func(row distributionRow) bool {
			return row.Variant == "" && slices.Contains(row.IDs, id) && fits(&row)
		})
	}
	if i < 0 && t != "" {
		i = slices.IndexFunc(table, func(row distributionRow) bool { return slices.Contains(row.IDs, id) && fits(&row) })
	}
	if i < 0 {
		with := ""
		if t != "" {
			with = " with " + string(t) + " packages"
		}
		return OS{}, fmt.Errorf("%q is not a known distribution%s", id, with)
	}
	row := &table[i]
	os = OS{ID: id, Name: row.Variant, VersionID: release, Version: release}
	if !slices.Contains(row.IDs, id) {
		os.ID = row.IDs[0]
	}
	if row.Like != "" {
		os.IDLike = []string{row.Like}
	}
	if _, named := row.Codenames[release]; named || release == "" {
		os.VersionID, os.Version, os.Codename = "", "", release
	}
	if strings.ContainsFunc(release, unspelled) {
		return OS{}, row.without(release)
	}
	if release, _ = row.releaseOf(os); !row.has(release) {
		return OS{}, row.without(release)
	}
	return os, nil
}

// unspelled says whether no release has the character.
func unspelled(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune("*?:,;/=\\\"'", r) }

// has says whether a system of the distribution can have the release. Which
// releases there will be nobody knows: it is the spelling that counts.
func (row *distributionRow) has(release string) bool {
	known := row.releases()
	switch {
	case row.Release == "none":
		return release == ""
	case slices.Contains(known, release), row.Development != "" && release == "edge":
		return true
	case row.Release == "major":
		return spelledLike("#", release)
	case row.Release == "minor":
		return spelledLike("#.#", release)
	case slices.ContainsFunc(known, func(r string) bool { // "22.03" where there is "22.03-LTS", "24" where there is "24.04"
		return strings.HasPrefix(r, release+".") || strings.HasPrefix(r, release+"-") || strings.EqualFold(r, release)
	}):
		return false
	case len(row.Spelled) > 0:
		return slices.ContainsFunc(row.Spelled, func(pattern string) bool { return spelledLike(pattern, release) })
	}
	return strings.ContainsAny(release, "0123456789")
}

// spelledLike says whether release is pattern, in which "#" is a number.
func spelledLike(pattern, release string) bool {
	before, after, found := strings.Cut(pattern, "#")
	rest, ok := strings.CutPrefix(release, before)
	if !found || !ok {
		return pattern == release
	}
	end := strings.TrimLeft(rest, "0123456789")
	return len(end) < len(rest) && spelledLike(after, end)
}

// without says that release is none of the distribution, and what would be.
func (row *distributionRow) without(release string) error {
	const most = 5
	known := row.releases()
	if len(known) == 0 {
		for _, pattern := range row.Spelled {
			if !strings.HasPrefix(pattern, "#") {
				known = append(known, strings.ReplaceAll(pattern, "#", "9"))
			}
		}
	}
	if near := slices.DeleteFunc(slices.Clone(known), func(r string) bool {
		return release == "" || len(r) < len(release) || !strings.EqualFold(r[:len(release)], release)
	}); len(near) > 0 {
		known = near
	}
	like := "what VERSION_ID says in its os-release"
	if len(known) > 0 {
		like = strings.Join(known[max(0, len(known)-most):], ", ")
	}
	switch {
	case row.Release == "none":
		return fmt.Errorf("%s has no releases; write %s alone", row.Name, row.IDs[0])
	case release == "":
		return fmt.Errorf("it names no release of %s; write it like %s", row.Name, like)
	}
	return fmt.Errorf("%q is no release of %s; write it like %s", release, row.Name, like)
}

// releases lists the releases that the table names, the shortest first, so that
// numbers are in order.
func (row *distributionRow) releases() []string {
	list := slices.Concat(slices.Collect(maps.Keys(row.EndOfLife)), slices.Collect(maps.Values(row.Codenames)),
		slices.Collect(maps.Keys(row.Exceptions)), slices.Collect(maps.Keys(row.AsRelease)), row.LTS)
	slices.SortFunc(list, func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) })
	return slices.Compact(list)
}

// Distribution looks os up in the table of distributions; known is false when
// the table does not have it. A known distribution in an unknown release has
// no ecosystems (acceptance OS-02 to OS-07).
func (os OS) Distribution() (d Distribution, known bool) {
	table := distributions()
	i := table.find(os)
	if i < 0 {
		return Distribution{}, false
	}
	row := &table[i]
	release, assumed := row.releaseOf(os)
	d = Distribution{ID: os.ID, Name: row.Name, Release: release, Type: row.Type, Scheme: row.Scheme, Assumed: assumed}
	end := row.EndOfLife[release]
	if row.As == "" {
		d.Ecosystems = row.ecosystems(release)
	} else {
		base := &table[table.find(OS{ID: row.As})]
		if row.AsRelease != nil {
			release = row.AsRelease[release]
		}
		d.Ecosystems = base.ecosystems(release)
		d.Assumed = len(d.Ecosystems) > 0
		if end == "" && d.Assumed {
			end = base.EndOfLife[release]
		}
	}
	if end != "" {
		d.EndOfLife, _ = time.Parse(time.DateOnly, end) // a test reads all dates
	}
	return d, true
}

//go:embed distributions.json
var distributionsJSON []byte

// distributions returns the table: data, so that a further distribution or
// release is a row and no code.
var distributions = sync.OnceValue(func() distributionTable {
	var table distributionTable
	if err := json.Unmarshal(distributionsJSON, &table); err != nil {
		panic(err) // the file is part of the program; a test reads it
	}
	return table
})

type distributionTable []distributionRow

// distributionRow is one row of distributions.json.
type distributionRow struct {
	// IDs are the os-release IDs, in lower case. Variant, when set, must occur
	// in the system's name; such a row stands before the one without. Like, when
	// set, must be in its ID_LIKE.
	IDs     []string    `json:"ids"`
	Variant string      `json:"variant"`
	Like    string      `json:"like"`
	Name    string      `json:"name"`
	Type    PackageType `json:"type"`
	Scheme  string      `json:"scheme"`
	// Release says how the release follows from os-release: "major", "minor"
	// (two numbers), "full" (VERSION_ID as it is), "version" (VERSION, with
	// "(LTS-SP3)" turned into "-LTS-SP3", a codename into its release and an
	// architecture left out), "none" (rolling: the version means nothing).
	Release string `json:"release"`
	// Codenames give the release of systems without VERSION_ID, and of those
	// whose VERSION tells it by a name only.
	Codenames map[string]string `json:"codenames"`
	// Spelled are the spellings of releases that the table does not list, where
	// the rule above leaves them open; "#" is a number.
	Spelled []string `json:"spelled"`
	// Nearly lists releases that cannot be told from a neighbour.
	Nearly []string `json:"nearly"`
	// Development marks, within VERSION_ID, the branch called "edge".
	Development string `json:"development"`
	// Ecosystems are templates: "{release}", and "{sp}" for SUSE's "15 SP3".
	// Exceptions are the ecosystems of single releases, LTS the releases to
	// which LTSEcosystems apply instead.
	Ecosystems    []string            `json:"ecosystems"`
	Exceptions    map[string][]string `json:"exceptions"`
	LTS           []string            `json:"lts"`
	LTSEcosystems []string            `json:"ltsEcosystems"`
	// As names the distribution by whose advisories a derivative is judged, and
	// AsRelease its release for each of the derivative's; without AsRelease they
	// count alike.
	As        string            `json:"as"`
	AsRelease map[string]string `json:"asRelease"`
	// EndOfLife maps releases to dates: those of Debian (LTS) and Ubuntu as in
	// the Debian package distro-info-data 0.58, the others as on endoflife.date.
	EndOfLife map[string]string `json:"endOfLife"`
}

// find returns the index of the row for os, -1 when there is none.
func (t distributionTable) find(os OS) int {
	id := asciiLower(os.ID)
	return slices.IndexFunc(t, func(row distributionRow) bool {
		return slices.Contains(row.IDs, id) && strings.Contains(os.Name, row.Variant) &&
			(row.Like == "" || slices.Contains(os.IDLike, row.Like))
	})
}

// releaseOf returns the release of os and whether it is only nearly sure.
func (row *distributionRow) releaseOf(os OS) (release string, nearly bool) {
	version := os.VersionID
	if row.Development != "" && strings.Contains(version, row.Development) {
		return "edge", false
	}
	if version == "" && row.Codenames != nil {
		// Testing and unstable say "forky/sid" in debian_version.
		codename, _, _ := strings.Cut(os.Release, "/")
		if os.Codename != "" {
			codename = os.Codename
		}
		if release = row.Codenames[codename]; release != "" {
			return release, slices.Contains(row.Nearly, release)
		}
		if c := codename; c != "" && '0' <= c[0] && c[0] <= '9' {
			version = c
		}
	}
	parts := strings.SplitN(version, ".", 3)
	switch row.Release {
	case "major":
		return parts[0], false
	case "minor":
		return strings.Join(parts[:min(2, len(parts))], "."), false
	case "full":
		return version, false
	case "version":
		number, rest, _ := strings.Cut(os.Version, " ")
		if number == "" {
			return version, false
		}
		rest = strings.Trim(rest, "()")
		for _, arch := range [...]string{"x86_64", "aarch64"} {
			rest = strings.TrimRight(strings.TrimSuffix(rest, arch), " -")
		}
		if release, ok := row.Codenames[rest]; ok {
			return release, false
		}
		if rest != "" {
			number += "-" + rest
		}
		return number, false
	}
	return "", false
}

// ecosystems fills in the templates for a release; none for a release that is
// not known where it matters.
func (row *distributionRow) ecosystems(release string) []string {
	if fixed, ok := row.Exceptions[release]; ok {
		return slices.Clone(fixed)
	}
	if release == "" && row.Release != "none" {
		return nil
	}
	templates := row.Ecosystems
	if slices.Contains(row.LTS, release) {
		templates = row.LTSEcosystems
	}
	servicePack := release
	if major, minor, ok := strings.Cut(release, "."); ok {
		servicePack = major + " SP" + minor
	}
	names := make([]string, len(templates))
	for i, t := range templates {
		names[i] = strings.ReplaceAll(strings.ReplaceAll(t, "{release}", release), "{sp}", servicePack)
	}
	return names
}
