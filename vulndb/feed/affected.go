package feed

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"plimsoll"
)

// affected translates what the record says about packages.
func (o *osvRecord) affected(take map[string]bool) ([]plimsoll.Affected, error) {
	var list []plimsoll.Affected
	for i := range o.Affected {
		a := &o.Affected[i]
		ecosystem, name := a.Package.Ecosystem, a.Package.Name
		family, _, _ := strings.Cut(ecosystem, ":")
		if ecosystem == "" || name == "" || take != nil && !take[family] {
			continue
		}
		if len(ecosystem) > maxName || len(name) > maxName || strings.IndexByte(ecosystem+name, 0) >= 0 {
			return nil, fmt.Errorf("package %.80q of %.80q has no usable name", name, ecosystem)
		}
		f := plimsoll.Affected{
			Ecosystem: ecosystem,
			Package:   plimsoll.NormalizeName(ecosystem, name),
			Ratings:   appendRatings(nil, a.Severity, publisherOf(o.ID).name, o.ID),
		}
		var err error
		if f.Ranges, err = ranges(a.Ranges); err != nil {
			return nil, err
		}
		if !enumerates(family) || len(f.Ranges) == 0 {
			f.Versions = versions(a.Versions)
		}
		if len(f.Ranges) == 0 && len(f.Versions) == 0 {
			continue // only commits, or never affected
		}
		if !specify(&f, o, a, family) {
			continue
		}
		list = append(list, f)
	}
	return list, nil
}

// enumerates says that OSV lists the versions of a family by evaluating the
// ranges with the distribution's own order: the list adds nothing to the ranges,
// and for a kernel it is a hundred times their size.
func enumerates(family string) bool { return family == "Debian" || family == "Ubuntu" }

// ranges keeps the ranges that can be judged: commits are not versions
// (acceptance ADV-03), and "fixed in 0" is how Alpine says that a package was
// never affected.
func ranges(list []osvRange) ([]plimsoll.Range, error) {
	var kept []plimsoll.Range
next:
	for _, r := range list {
		kind := plimsoll.RangeType(r.Type)
		if kind != plimsoll.RangeSemVer && kind != plimsoll.RangeEcosystem {
			continue
		}
		var events []plimsoll.Event
		for _, e := range r.Events {
			if e.Fixed == "0" {
				continue next
			}
			if max(len(e.Introduced), len(e.Fixed), len(e.LastAffected), len(e.Limit)) > maxVersion {
				return nil, fmt.Errorf("a version is longer than %d bytes", maxVersion)
			}
			for _, one := range []plimsoll.Event{{Introduced: e.Introduced}, {Fixed: e.Fixed}, {LastAffected: e.LastAffected}, {Limit: e.Limit}} {
				if one != (plimsoll.Event{}) {
					events = append(events, one)
				}
			}
		}
		if len(events) > 0 {
			kept = append(kept, plimsoll.Range{Type: kind, Events: events})
		}
	}
	return kept, nil
}

func versions(list []string) []string {
	var kept []string
	for _, v := range list {
		if v != "" && len(v) <= maxVersion {
			kept = append(kept, v)
		}
	}
	slices.Sort(kept)
	return slices.Compact(kept)
}

// specify adds what only the ecosystem itself can say: the state of the fix,
// the platforms, the module, a priority. It returns false when the record cannot
// concern an image, which runs Linux (acceptance ADV-13).
func specify(f *plimsoll.Affected, o *osvRecord, a *osvAffected, family string) bool {
	switch family {
	case "Debian":
		specifyDebian(f, a)
	case "Ubuntu":
		specifyUbuntu(f, a)
	case "Red Hat", "AlmaLinux", "Rocky Linux":
		specifyRPM(f, o, a)
	case "openEuler":
		specifyOpenEuler(f, a)
	case "crates.io":
		return specifyRust(f, a)
	case "Go":
		return specifyGo(f, a)
	}
	return true
}

// specifyDebian reads the security tracker's urgency.
func specifyDebian(f *plimsoll.Affected, a *osvAffected) {
	var v struct {
		Urgency string `json:"urgency"`
	}
	if json.Unmarshal(a.Ecosystem, &v) != nil {
		return
	}
	switch urgency := strings.TrimRight(v.Urgency, "*"); urgency {
	case "end-of-life":
		f.State = plimsoll.FixEndOfLife
	case "", "not yet assigned":
	default:
		f.Ratings = append(f.Ratings, wordRating("Debian", "urgency", urgency)...)
	}
}

// specifyUbuntu reads Ubuntu's priority and whether the fix needs a subscription.
func specifyUbuntu(f *plimsoll.Affected, a *osvAffected) {
	var v struct {
		Priority     string `json:"ubuntu_priority"`
		Availability string `json:"availability"`
	}
	// Many flaws are open for subscribers too.
	if strings.HasPrefix(f.Ecosystem, "Ubuntu:Pro:") && slices.ContainsFunc(f.Ranges, func(r plimsoll.Range) bool {
		return slices.ContainsFunc(r.Events, func(e plimsoll.Event) bool { return e.Fixed != "" })
	}) {
		f.State = plimsoll.FixExtended
	}
	if json.Unmarshal(a.Ecosystem, &v) != nil {
		return
	}
	if strings.Contains(v.Availability, "Ubuntu Pro") || strings.Contains(v.Availability, "subscription required") && !strings.HasPrefix(v.Availability, "No ") {
		f.State = plimsoll.FixExtended
	}
	f.Ratings = append(f.Ratings, wordRating("Ubuntu", "priority", v.Priority)...)
}

// moduleStream finds "name:stream" in titles like "Important: squid:4 security
// update"; the names of modules have no capitals at their start, other than the
// IDs of errata.
var moduleStream = regexp.MustCompile(`(?:^|\s)([a-z0-9][\w.+-]*:[\w.+-]+)`)

// specifyRPM finds the module stream. Red Hat's records name it; those of its
// rebuilds only give it in the title, and mark the version with ".module".
func specifyRPM(f *plimsoll.Affected, o *osvRecord, a *osvAffected) {
	if strings.HasPrefix(f.Ecosystem, "Red Hat:rhel_") {
		f.State = plimsoll.FixExtended // EUS, AUS, TUS, E4S, ELS
	}
	var v struct {
		Module string `json:"module"`
	}
	if json.Unmarshal(a.Ecosystem, &v) == nil && v.Module != "" {
		f.Modules = []string{v.Module}
		return
	}
	if _, query, ok := strings.Cut(a.Package.PURL, "?"); ok {
		if q, err := url.ParseQuery(query); err == nil && q.Get("rpmmod") != "" {
			f.Modules = []string{q.Get("rpmmod")}
			return
		}
	}
	modular := slices.ContainsFunc(f.Ranges, func(r plimsoll.Range) bool {
		return slices.ContainsFunc(r.Events, func(e plimsoll.Event) bool { return strings.Contains(e.Fixed, ".module") })
	})
	if modular {
		for _, match := range moduleStream.FindAllStringSubmatch(o.Summary, -1) {
			f.Modules = append(f.Modules, match[1])
		}
		slices.Sort(f.Modules)
		f.Modules = slices.Compact(f.Modules)
	}
}

// specifyOpenEuler reads the architectures, under each of which the record
// lists its packages.
func specifyOpenEuler(f *plimsoll.Affected, a *osvAffected) {
	var v map[string]json.RawMessage
	if json.Unmarshal(a.Ecosystem, &v) != nil {
		return
	}
	delete(v, "src")
	if _, all := v["noarch"]; !all {
		f.Arches = arches(slices.Collect(maps.Keys(v)))
	}
}

// informational marks RustSec's notices about crates without a maintainer and
// the like: no flaw, but worth knowing.
const informational = "informational"

func specifyRust(f *plimsoll.Affected, a *osvAffected) bool {
	var v struct {
		Affects struct {
			Arch []string `json:"arch"`
			OS   []string `json:"os"`
		} `json:"affects"`
	}
	if json.Unmarshal(a.Ecosystem, &v) == nil {
		if os := v.Affects.OS; len(os) > 0 && !slices.Contains(os, "linux") {
			return false
		}
		f.Arches = arches(v.Affects.Arch)
	}
	var d struct {
		Informational string `json:"informational"`
	}
	if json.Unmarshal(a.Database, &d) == nil && (d.Informational == "unmaintained" || d.Informational == "notice") {
		f.Ratings = append(f.Ratings, plimsoll.Rating{Source: "RustSec", Method: informational, Severity: plimsoll.SeverityNone})
	}
	return true
}

// specifyGo reads the platforms: a record concerns those of all its packages.
func specifyGo(f *plimsoll.Affected, a *osvAffected) bool {
	var v struct {
		Imports []struct {
			OS   []string `json:"goos"`
			Arch []string `json:"goarch"`
		} `json:"imports"`
	}
	if json.Unmarshal(a.Ecosystem, &v) != nil || len(v.Imports) == 0 {
		return true
	}
	linux, everywhere := false, false
	var list []string
	for _, i := range v.Imports {
		if len(i.OS) > 0 && !slices.Contains(i.OS, "linux") {
			continue
		}
		linux = true
		everywhere = everywhere || len(i.Arch) == 0
		list = append(list, i.Arch...)
	}
	if !everywhere {
		f.Arches = arches(list)
	}
	return linux
}

// arches returns architectures as Go spells them, sorted.
func arches(list []string) []string {
	var known []string
	for _, a := range list {
		known = append(known, plimsoll.NormalizeArch(a))
	}
	slices.Sort(known)
	return slices.Compact(known)
}
