package sandbox

import (
	"slices"
	"strings"

	"plimsoll"
)

// maxPackages bounds the packages of an inventory, as package inventory does.
const maxPackages = 250_000

// check refuses an inventory that no honest child makes of this image. It cannot
// tell whether what the inventory says is true.
func (p *process) check(inv *plimsoll.Inventory) error {
	if inv.ImageID != p.task.ImageID || inv.Claimed != "" {
		return errLies("the inventory of another image")
	}
	if inv.Analyzers != p.scanner.AnalyzerSet() {
		return errLies("an inventory of other analysers: is the program being replaced?")
	}
	if len(inv.Packages) > maxPackages {
		return errLies("%d packages", len(inv.Packages))
	}
	known := make(map[string]bool, len(p.scanner.Analyzers)+1)
	known[""] = true
	for _, a := range p.scanner.Analyzers {
		known[a.Name()] = true
	}
	ofImage := func(d plimsoll.Digest) bool { return d == "" || slices.Contains(p.task.Diffs, d) }
	for i := range inv.Packages {
		pkg := &inv.Packages[i]
		if !word(string(pkg.Type)) || !word(string(pkg.Evidence)) {
			return errLies("a package of no known type")
		}
		if !ofImage(pkg.Layer) {
			return errLies("a package of another image's layer")
		}
		if err := checkTexts(pkg.Name, pkg.Version, pkg.Arch, pkg.Source.Name, pkg.Source.Version, pkg.Module, pkg.Supplier, pkg.Origin, pkg.Path, pkg.Root, pkg.Owner, pkg.PURL, pkg.Bundled, pkg.Remark); err != nil {
			return err
		}
		if err := checkTexts(pkg.Licenses...); err != nil {
			return err
		}
		if err := checkTexts(pkg.Locations...); err != nil {
			return err
		}
	}
	for i := range inv.Systems {
		s := &inv.Systems[i]
		if err := checkTexts(s.ID, s.VersionID, s.Codename, s.Name, s.Version, s.VariantID, s.CPE, s.Release, s.Root, s.Path); err != nil {
			return err
		}
		if err := checkTexts(append(s.IDLike, s.Repositories...)...); err != nil {
			return err
		}
	}
	for _, problem := range inv.Problems {
		if !word(string(problem.Code)) || !known[problem.Analyzer] || !ofImage(problem.Layer) || problem.Count < 0 {
			return errLies("a problem that none of its analysers has")
		}
		if err := checkTexts(problem.Path, problem.Detail); err != nil {
			return err
		}
	}
	return nil
}

// word says whether s is a word of the domain.
func word(s string) bool {
	return s != "" && len(s) <= 40 && strings.IndexFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	}) < 0
}

// checkTexts refuses texts beyond all limits of the readers.
func checkTexts(texts ...string) error {
	for _, s := range texts {
		if len(s) > maxText {
			return errLies("a text of %d bytes", len(s))
		}
	}
	return nil
}
