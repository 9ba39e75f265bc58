package feed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/vulndb"
)

// The limits of a security database of an apk distribution.
const (
	maxSecDB     = 256 << 20 // bytes of one file; the largest have some five million
	maxSecDBRows = 4_000_000 // pairs of package and flaw in all files
)

// secDB gathers the files of one distribution: Alpine publishes one for each
// release and repository ("v3.20/main.json"), Wolfi and Chainguard one
// ("security.json"). A flaw's record names packages from several files.
type secDB struct {
	provider, prefix string
	flaws            map[string]map[[2]string][]string // by flaw, then ecosystem and package: fixed versions
	rows             int
}

// secDBFile is the format of these files: packages with, for each version, the
// flaws that it fixes.
type secDBFile struct {
	Release  string `json:"distroversion"`
	Prefix   string `json:"urlprefix"`
	Name     string `json:"reponame"`
	Packages []struct {
		Package struct {
			Name string `json:"name"`
			// Fixes maps versions to lists of flaws; some published files have
			// something else in place of an empty list.
			Fixes map[string]json.RawMessage `json:"secfixes"`
		} `json:"pkg"`
	} `json:"packages"`
}

// flawID finds IDs within an entry, which may hold several and remarks:
// "CVE-2019-10160 XSA-273", "CVE-2017-2616 (+ regression fix)".
var flawID = lazily(`\b[A-Z]{2,16}(?:-[0-9A-Za-z]{1,40}){1,5}\b`)

// flawsIn returns the flaws that an entry names. What stands beside a CVE ID is
// another name of the same flaw.
func flawsIn(entry string) []string {
	if cves := cveID.FindAllString(entry, maxIDs); len(cves) > 0 {
		return cves
	}
	return slices.DeleteFunc(flawID().FindAllString(entry, maxIDs), func(id string) bool { return strings.HasPrefix(id, "CVE") })
}

// read adds one file; bound is its ecosystem when the operator names one. What
// cannot be meant as it stands (a version that apk does not accept) makes no row
// (acceptance APK-02) and is handed to problem.
func (s *secDB) read(in io.Reader, bound string, problem func(name string, err error)) error {
	var file secDBFile
	d := json.NewDecoder(&capped{in, maxSecDB})
	if err := d.Decode(&file); err != nil {
		return fmt.Errorf("no security database in JSON: %w", err)
	}
	ecosystem, provider, prefix := file.ecosystem()
	if bound != "" {
		ecosystem = bound
	}
	if ecosystem == "" || len(ecosystem) > maxName || len(file.Packages) == 0 {
		return errors.New("the file is no security database of Alpine, Wolfi or Chainguard, or has no packages")
	}
	if s.flaws == nil {
		s.flaws, s.provider, s.prefix = map[string]map[[2]string][]string{}, provider, prefix
	}
	if provider != s.provider {
		return fmt.Errorf("the file is %s's, others of the source are %s's", provider, s.provider)
	}
	for i := range file.Packages {
		p := &file.Packages[i].Package
		if p.Name == "" || len(p.Name) > maxName || strings.IndexByte(p.Name, 0) >= 0 {
			return fmt.Errorf("package %.80q has no usable name", p.Name)
		}
		for fixed, list := range p.Fixes {
			if err := checkAPKVersion(fixed); err != nil {
				problem(p.Name, err)
				continue
			}
			var entries []string
			if json.Unmarshal(list, &entries) != nil {
				continue
			}
			for _, entry := range entries {
				for _, id := range flawsIn(entry) {
					if err := s.add(id, ecosystem, p.Name, fixed); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func checkAPKVersion(v string) error {
	if len(v) > maxVersion {
		return fmt.Errorf("a version is longer than %d bytes", maxVersion)
	}
	if v == "0" {
		return nil // never affected
	}
	if !apkVersion.MatchString(v) {
		return fmt.Errorf("%.80q is no version of a package", v)
	}
	return nil
}

// apkVersion is the form that apk-tools demands of a version ("Apk spec"). The
// order of versions accepts more, as apk itself does when it compares.
var apkVersion = regexp.MustCompile(`^\d+(\.\d+)*[a-z]?(_(alpha|beta|pre|rc|cvs|svn|git|hg|p)\d*)*(~[0-9a-f]+)?(-r\d+)?$`)

// ecosystem tells whose file it is: Alpine names its release, the others the
// address of their repository.
func (f *secDBFile) ecosystem() (ecosystem, provider, prefix string) {
	switch {
	case strings.Contains(f.Prefix, "packages.wolfi.dev"):
		return "Wolfi", "Wolfi", "WOLFI"
	case strings.Contains(f.Prefix, "packages.cgr.dev") || strings.Contains(f.Prefix, "apk.cgr.dev"):
		return "Chainguard", "Chainguard", "CHAINGUARD"
	case f.Release == "edge" || alpineRelease.MatchString(f.Release):
		return "Alpine:" + f.Release, "Alpine secdb", "ALPINESECDB"
	}
	return "", "secdb", "SECDB"
}

var alpineRelease = regexp.MustCompile(`^v\d{1,3}\.\d{1,3}$`)

func (s *secDB) add(id, ecosystem, name, fixed string) error {
	if s.rows++; s.rows > maxSecDBRows {
		return fmt.Errorf("the source has more than %d entries", maxSecDBRows)
	}
	packages := s.flaws[id]
	if packages == nil {
		packages = map[[2]string][]string{}
		s.flaws[id] = packages
	}
	key := [2]string{ecosystem, name}
	packages[key] = append(packages[key], fixed)
	return nil
}

// records calls visit with one record for each flaw, in their order. A flaw that
// a package fixed twice was not quite fixed the first time: what is below either
// version is affected. That it was never affected counts when nothing else is said.
func (s *secDB) records(visit func(vulndb.Record) error) error {
	for _, id := range slices.Sorted(maps.Keys(s.flaws)) {
		r := vulndb.Record{
			Advisory: plimsoll.Advisory{ID: s.prefix + "-" + id, Provider: s.provider, Upstream: []string{id}},
			Flaws:    []string{id},
		}
		packages := s.flaws[id]
		keys := slices.SortedFunc(maps.Keys(packages), func(a, b [2]string) int {
			return slices.Compare(a[:], b[:])
		})
		for _, key := range keys {
			var row plimsoll.Affected
			fixes := packages[key]
			slices.Sort(fixes)
			fixes = slices.Compact(fixes)
			for _, fixed := range fixes {
				if fixed != "0" || len(fixes) == 1 {
					row.Ranges = append(row.Ranges, rowUntil(plimsoll.Event{Fixed: fixed}).Ranges...)
				}
			}
			row.Ecosystem, row.Package = key[0], key[1]
			r.Affected = append(r.Affected, row)
		}
		if err := visit(r); err != nil {
			return err
		}
	}
	return nil
}
