package inventory

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"plimsoll"
)

// chooseSystems keeps one identity for each root: that of os-release, in its
// first place, completed by what the fallback files alone tell (acceptance
// OS-01, OS-02, IMG-22).
func chooseSystems(found []plimsoll.OS) []plimsoll.OS {
	slices.SortFunc(found, func(a, b plimsoll.OS) int {
		return cmp.Or(strings.Compare(a.Root, b.Root), cmp.Compare(systemRank(a), systemRank(b)), strings.Compare(a.Path, b.Path))
	})
	var chosen []plimsoll.OS
	repositories := make(map[string][]string) // by root
	for _, s := range found {
		if len(s.Repositories) > 0 { // of a layer, which is no identity
			repositories[s.Root] = append(repositories[s.Root], s.Repositories...)
			continue
		}
		if n := len(chosen); n > 0 && chosen[n-1].Root == s.Root {
			best := &chosen[n-1]
			if best.Release == "" {
				best.Release = s.Release
			}
			best.VersionID = cmp.Or(best.VersionID, sameID(best, s, s.VersionID))
			best.Codename = cmp.Or(best.Codename, sameID(best, s, s.Codename))
			continue
		}
		chosen = append(chosen, s)
	}
	for i := range chosen {
		list := repositories[chosen[i].Root]
		slices.Sort(list)
		chosen[i].Repositories = slices.Compact(list)
	}
	return chosen
}

func sameID(a *plimsoll.OS, b plimsoll.OS, value string) string {
	if a.ID == b.ID {
		return value
	}
	return ""
}

// systemRank orders the files that tell an identity, best first. Ubuntu's
// debian_version is Debian's, so lsb-release goes before it.
func systemRank(s plimsoll.OS) int {
	for rank, name := range [...]string{"etc/os-release", "usr/lib/os-release", "etc/lsb-release"} {
		if strings.HasSuffix(s.Path, name) {
			return rank
		}
	}
	return 3
}

// withPackages leaves out systems below a directory that have no package: a
// stray os-release makes no second system (acceptance IMG-22).
func withPackages(systems []plimsoll.OS, packages []plimsoll.Package) []plimsoll.OS {
	return slices.DeleteFunc(systems, func(s plimsoll.OS) bool {
		return s.Root != "" && !slices.ContainsFunc(packages, func(p plimsoll.Package) bool { return p.Root == s.Root && p.Type.System() })
	})
}

// missingPackages reports systems whose package manager lists nothing: that is
// a database which was not found, never a clean system (acceptance RPM-02).
func missingPackages(inv plimsoll.Inventory) []plimsoll.Problem {
	var problems []plimsoll.Problem
	for _, s := range inv.Systems {
		d, known := s.Distribution()
		if !known {
			problems = append(problems, plimsoll.Problem{
				Code: plimsoll.ProblemUnknownDistro, Path: s.Path, Analyzer: "os-release",
				Detail: fmt.Sprintf("the system calls itself %q %q, which is not in the table of distributions; its packages are listed, not judged", s.ID, s.VersionID),
			})
			continue
		}
		if !slices.ContainsFunc(inv.Packages, func(p plimsoll.Package) bool { return p.Root == s.Root && p.Type == d.Type }) {
			problems = append(problems, plimsoll.Problem{
				Code: plimsoll.ProblemNoPackages, Path: s.Path,
				Detail: fmt.Sprintf("%s has %s packages, but no package database was found", d.Name, d.Type),
			})
		}
	}
	return problems
}

// astray notes a link to no file in the place of a system's identity or package
// database.
func (m *merger) astray(layer int, name string) {
	for _, a := range m.scanner.Analyzers {
		switch a.Name() {
		case "os-release", "dpkg", "apk", "rpm":
			if a.Wants(name) == Yes {
				m.dangling = append(m.dangling, plimsoll.Problem{
					Code: plimsoll.ProblemUnreadableFile, Path: name, Analyzer: a.Name(), Layer: m.task.Diffs[layer],
					Detail: "the link leads to no file in the image, so whether a system is installed is not known",
				})
			}
		}
	}
}
