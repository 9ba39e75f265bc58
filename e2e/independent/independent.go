// Package independent computes which packages OSV records call affected, a
// second time and on purpose not well: straight from the published JSON, record
// by record, with the reference implementation of each version order. Tests
// compare its answers with Plimsoll's and explain every difference.
//
// It owns an evaluation of its own and refuses to share any code with Plimsoll:
// it imports nothing of ours. It runs dpkg's Perl library, rpm, Python, Node.js,
// Ruby, PHP and Java, reads the records into memory and is slow.
//
// Trust: test support for records that the test chose. Versions travel to the
// programs as data on their standard input, or as arguments where no option can
// stand.
package independent

import (
	"archive/zip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sort"
	"strings"
)

// maxRecord bounds one record in bytes; the largest published one has 8 MB.
const maxRecord = 64 << 20

// Item is one package to judge: the name and version that the ecosystem's
// advisories speak about, for Debian those of the source package.
type Item struct {
	Ecosystem string // in OSV's spelling, with the release: "Debian:12", "npm"
	Package   string
	Version   string
}

// Match says that a record calls an item affected by a vulnerability.
type Match struct {
	Item
	Record string // ID of the OSV record
	// Vulnerability is a CVE that the record names, as alias or upstream; its
	// own ID when it names none. A record about several has a Match for each.
	Vulnerability string
	// OverruledBy is the distribution's own record of this vulnerability
	// (DEBIAN-CVE-…) when it has an entry for the same release and package that
	// does not call the item affected, while Record is a notice (DSA-…). Empty
	// otherwise.
	OverruledBy string
	// Refused: the reference cannot order a version that the record or the item
	// names, so that it says neither yes nor no. Not a match.
	Refused bool
}

// Compute returns the matches of all items, sorted and without duplicates, and
// what the references refused to judge.
// Records are read from dir/<ecosystem>/all.zip, all of them, because a record
// may be about packages of several ecosystems. Items of an ecosystem without
// a reference implementation here are an error, see Supported.
func Compute(ctx context.Context, dir string, items []Item) ([]Match, error) {
	byFamily := make(map[string][]Item)
	for _, item := range items {
		if !Supported(item.Ecosystem) {
			return nil, fmt.Errorf("no reference implementation for %q", item.Ecosystem)
		}
		family, _, _ := strings.Cut(item.Ecosystem, ":")
		byFamily[family] = append(byFamily[family], item)
	}
	records, err := readRecords(dir)
	if err != nil {
		return nil, err
	}
	var matches []Match
	for family, items := range byFamily {
		m, err := judge(ctx, family, records, items)
		if err != nil {
			return nil, err
		}
		matches = append(matches, m...)
	}
	sort.Slice(matches, func(i, j int) bool { return less(matches[i], matches[j]) })
	return slices.Compact(matches), nil
}

func less(a, b Match) bool {
	key := func(m Match) string {
		return strings.Join([]string{m.Ecosystem, m.Package, m.Version, m.Vulnerability, m.Record, m.OverruledBy}, "\x00")
	}
	return key(a) < key(b)
}

// The part of an OSV record that decides.
type record struct {
	ID        string   `json:"id"`
	Withdrawn string   `json:"withdrawn"`
	Aliases   []string `json:"aliases"`
	Upstream  []string `json:"upstream"`
	Affected  []struct {
		Package  struct{ Ecosystem, Name string } `json:"package"`
		Versions []string                         `json:"versions"`
		Ranges   []struct {
			Type   string  `json:"type"`
			Events []event `json:"events"`
		} `json:"ranges"`
	} `json:"affected"`
}

type event struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
	Limit        string `json:"limit"`
}

func readRecords(dir string) ([]record, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*", "all.zip"))
	if err != nil {
		return nil, err
	}
	var records []record
	seen := make(map[string]bool) // the same record stands in the file of each of its ecosystems
	for _, path := range paths {
		z, err := zip.OpenReader(path)
		if err != nil {
			return nil, err
		}
		defer z.Close()
		for _, member := range z.File {
			r, err := readRecord(member)
			if err != nil {
				return nil, fmt.Errorf("%s: %s: %w", path, member.Name, err)
			}
			if r.Withdrawn == "" && !seen[r.ID] {
				seen[r.ID] = true
				records = append(records, r)
			}
		}
	}
	return records, nil
}

func readRecord(member *zip.File) (record, error) {
	var r record
	f, err := member.Open()
	if err != nil {
		return r, err
	}
	defer f.Close()
	err = json.NewDecoder(io.LimitReader(f, maxRecord)).Decode(&r)
	return r, err
}

var separators = regexp.MustCompile(`[-_.]+`)

// normal returns the name as the registry compares it.
func normal(family, name string) string {
	switch family {
	case "PyPI":
		return strings.ToLower(separators.ReplaceAllString(name, "-"))
	case "NuGet", "Packagist":
		return strings.ToLower(name)
	}
	return name
}

// judge runs twice over all records and items: first to learn which versions
// must be compared, so that each program is started once, then to decide.
func judge(ctx context.Context, family string, records []record, items []Item) ([]Match, error) {
	type subject struct{ ecosystem, name string }
	wanted := make(map[subject][]Item)
	for _, item := range items {
		s := subject{item.Ecosystem, normal(family, item.Package)}
		if !slices.Contains(wanted[s], item) {
			wanted[s] = append(wanted[s], item)
		}
	}
	// spoken holds, for each record and item that it speaks about, its verdict.
	type about struct {
		record string
		item   Item
	}
	spoken := make(map[about]bool)
	refused := make(map[about]bool)
	each := func(compare func(order, a, b string) int) {
		for _, r := range records {
			for _, a := range r.Affected {
				for _, item := range wanted[subject{a.Package.Ecosystem, normal(family, a.Package.Name)}] {
					key := about{r.ID, item}
					ask := func(order, a, b string) int {
						c := compare(order, a, b)
						refused[key] = refused[key] || c == unordered
						return c
					}
					affected := slices.Contains(a.Versions, item.Version)
					if family == "PyPI" { // spellings of one version
						for _, v := range a.Versions {
							affected = ask("PyPI", v, item.Version) == 0 || affected
						}
					}
					for _, rng := range a.Ranges {
						switch rng.Type {
						case "ECOSYSTEM":
							affected = within(rng.Events, item.Version, func(a, b string) int { return ask(family, a, b) }) || affected
						case "SEMVER":
							order := "SEMVER"
							if family == "Go" {
								order = "Go"
							}
							affected = within(rng.Events, item.Version, func(a, b string) int { return ask(order, a, b) }) || affected
						}
					}
					spoken[key] = spoken[key] || affected
				}
			}
		}
	}
	questions := newQuestions()
	each(questions.note)
	if err := questions.answer(ctx); err != nil {
		return nil, err
	}
	clear(spoken)
	clear(refused)
	each(questions.lookup)
	verdicts := make(map[string][]Item) // the items that a record says something about
	for key, affected := range spoken {
		if affected || refused[key] {
			verdicts[key.record] = append(verdicts[key.record], key.item)
		}
	}

	distribution := map[string]string{"Debian": "DEBIAN-", "Ubuntu": "UBUNTU-", "Alpine": "ALPINE-"}[family]
	var matches []Match
	for _, r := range records {
		for _, name := range vulnerabilities(r) {
			for _, item := range verdicts[r.ID] {
				m := Match{Item: item, Record: r.ID, Vulnerability: name, Refused: !spoken[about{r.ID, item}]}
				if own := distribution + name; distribution != "" && own != r.ID {
					if affected, speaks := spoken[about{own, item}]; speaks && !affected {
						m.OverruledBy = own
					}
				}
				matches = append(matches, m)
			}
		}
	}
	return matches, nil
}

func vulnerabilities(r record) []string {
	var cves []string
	for _, id := range append(slices.Clone(r.Aliases), r.Upstream...) {
		if strings.HasPrefix(id, "CVE-") && !slices.Contains(cves, id) {
			cves = append(cves, id)
		}
	}
	if len(cves) == 0 {
		return []string{r.ID}
	}
	return cves
}

// within says whether the events of a range hold v: some introduction is at or
// before it, and no fix or last affected version lies between the two. Every
// comparison is made, whatever the others said, so that the first run learns
// all of them. A range with a version that the reference cannot order holds
// nothing.
func within(events []event, v string, compare func(a, b string) int) bool {
	affected, limited, below, ordered := false, false, false, true
	cmp := func(a, b string) int {
		c := compare(a, b)
		ordered = ordered && c != unordered
		return c
	}
	for i, in := range events {
		if in.Limit != "" && in.Limit != "*" {
			limited = true
			below = cmp(v, in.Limit) < 0 || below
		}
		if in.Introduced == "" {
			continue
		}
		open := in.Introduced == "0" || cmp(in.Introduced, v) <= 0
		for j, end := range events {
			switch {
			case end.Fixed == "0":
				open = open && !(in.Introduced == "0" && j > i)
			case end.Fixed != "":
				after := in.Introduced == "0"
				if !after {
					c := cmp(in.Introduced, end.Fixed)
					after = c < 0 || c == 0 && j > i
				}
				reached := cmp(end.Fixed, v) <= 0
				open = open && !(after && reached)
			case end.LastAffected != "":
				after := in.Introduced == "0" || cmp(in.Introduced, end.LastAffected) <= 0
				passed := cmp(end.LastAffected, v) < 0
				open = open && !(after && passed)
			}
		}
		affected = affected || open
	}
	return affected && ordered && (!limited || below)
}

// Supported says whether Compute can judge items of the ecosystem, and the
// programs that it needs are here.
func Supported(ecosystem string) bool {
	family, _, _ := strings.Cut(ecosystem, ":")
	_, err := programFor(family)
	return err == nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
