package inventory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/layerfs"
)

// What links and further names can multiply is bounded: a few bytes of an image
// could else have one large file read, and its packages listed, any number of
// times.
const (
	maxFollowedLinks = 50_000  // wanted names that are no regular files
	maxFollowed      = 1 << 30 // bytes of the files that they lead to
	maxLocations     = 1000    // further places told of one package
	maxProblems      = 1000    // problems of one code that are told one by one
)

// merge combines the facts of all layers into what the merged image shows:
// facts of files that a higher layer hides count no more (acceptance IMG-14,
// IMG-15).
func (s *Scanner) merge(ctx context.Context, t Task, facts []*layerFacts) (plimsoll.Inventory, error) {
	indexes := make([]*layerfs.Index, len(facts))
	for i, f := range facts {
		indexes[i] = f.index
	}
	m := &merger{
		scanner: s,
		task:    t,
		stack:   layerfs.NewStack(t.Layers, indexes),
		facts:   facts,
		owners:  make(map[ownedPath]string),
		notes:   make(map[noteKey][]Note),
	}
	for i, f := range facts {
		if err := ctx.Err(); err != nil {
			return plimsoll.Inventory{}, err
		}
		for _, p := range f.Problems {
			m.problem(p, i)
		}
		m.layer(i, f)
	}
	for _, p := range m.stack.Problems() {
		m.problem(p, -1)
	}
	if err := m.links(ctx); err != nil {
		return plimsoll.Inventory{}, err
	}
	return m.inventory(), nil
}

type merger struct {
	scanner *Scanner
	task    Task
	stack   *layerfs.Stack
	facts   []*layerFacts

	systems   []plimsoll.OS
	packages  []plimsoll.Package
	system    int                 // how many of packages are the system's
	starts    map[visitedFile]int // where the packages begin of a file with several names
	cut       bool                // there were more packages than are kept
	owners    map[ownedPath]string
	installed map[ownedPath]bool // system packages by name
	notes     map[noteKey][]Note
	problems  []plimsoll.Problem
	dangling  []plimsoll.Problem // told when no system is found otherwise
}

type ownedPath struct{ root, path string }

type visitedFile struct{ path, analyzer string }

// noteKey is the package that a note is about: the file that proves it, or the
// name of a system package.
type noteKey struct{ path, root, name string }

func (m *merger) problem(p plimsoll.Problem, layer int) {
	if layer >= 0 {
		p.Layer = m.task.Diffs[layer]
	}
	m.problems = append(m.problems, p)
}

// layer takes the facts of layer i whose files the image still shows.
func (m *merger) layer(i int, facts *layerFacts) {
	m.starts = make(map[visitedFile]int)
	for _, file := range facts.Files {
		if file.Link != "" {
			m.starts[visitedFile{file.Link, file.Analyzer}] = -1
		}
	}
	for _, file := range facts.Files {
		for _, shown := range m.stack.Shown(i, file.Path) {
			// A further name of one file holds the same packages in one more place
			// (acceptance IMG-18, GO-05).
			first := &file
			if file.Link != "" {
				if first = facts.file(file.Link, file.Analyzer); first == nil {
					continue
				}
			}
			moved := first.Facts.moved(first.Path, shown)
			if file.Link != "" && m.stack.Visible(i, file.Link) {
				m.addLocations(visitedFile{file.Link, file.Analyzer}, moved.Packages)
				continue
			}
			if key := (visitedFile{shown, file.Analyzer}); m.starts[key] < 0 {
				m.starts[key] = len(m.packages)
			}
			m.take(i, file.Analyzer, moved)
		}
	}
}

// moved returns the facts as those of the same file under another name.
func (f *Facts) moved(from, to string) *Facts {
	if from == to {
		return f
	}
	again := *f
	again.Packages = slices.Clone(f.Packages)
	for i := range again.Packages {
		p := &again.Packages[i]
		p.Path = to + strings.TrimPrefix(p.Path, from)
	}
	return &again
}

// take adds facts of a visible file; layer is -1 for facts of the merged view.
func (m *merger) take(layer int, analyzer string, f *Facts) {
	for _, p := range f.Packages {
		if !m.room(p.Type) {
			m.cut = true
			break
		}
		if layer >= 0 {
			p.Layer = m.task.Diffs[layer]
			if p.Evidence == plimsoll.EvidencePackageDB {
				p.Layer = m.task.Diffs[m.since(layer, analyzer, p)]
			}
		}
		m.packages = append(m.packages, p)
	}
	if f.System != nil {
		m.systems = append(m.systems, *f.System)
	}
	for _, o := range f.Owns {
		for _, path := range o.Paths {
			m.owners[ownedPath{o.Root, usrMerged(path)}] = o.Package
		}
	}
	for _, n := range f.Notes {
		key := noteKey{path: n.Path}
		if n.Path == "" {
			key = noteKey{root: n.Root, name: n.Package}
		}
		m.notes[key] = append(m.notes[key], n)
	}
	for _, p := range f.Problems {
		m.problem(p, layer)
	}
}

// room says whether another package can be kept, and counts it. The system's
// packages have room of their own: no number of others may push them out.
func (m *merger) room(t plimsoll.PackageType) bool {
	if !t.System() {
		return len(m.packages)-m.system < maxPackages
	}
	if m.system == maxPackages {
		return false
	}
	m.system++
	return true
}

// since returns the lowest layer from which on the package database at p.Path
// has listed p without a gap up to layer: each layer that touches the database
// holds the whole of it, but did not bring each package in it.
func (m *merger) since(layer int, analyzer string, p plimsoll.Package) int {
	lowest := layer
	for i := layer - 1; i >= 0; i-- {
		database := m.facts[i].file(p.Path, analyzer)
		if database == nil {
			continue
		}
		if !database.lists(p) {
			break
		}
		lowest = i
	}
	return lowest
}

func (f *fileFacts) lists(p plimsoll.Package) bool {
	if f.listed == nil {
		f.listed = make(map[listedPackage]bool, len(f.Facts.Packages))
		for _, q := range f.Facts.Packages {
			f.listed[listedPackage{q.Name, q.Version, q.Arch}] = true
		}
	}
	return f.listed[listedPackage{p.Name, p.Version, p.Arch}]
}

type listedPackage struct{ name, version, arch string }

// addLocations records further places of the packages that a file proves, which
// was taken under another name.
func (m *merger) addLocations(file visitedFile, again []plimsoll.Package) {
	start, ok := m.starts[file]
	if !ok || start < 0 {
		return
	}
	for i, q := range again {
		if start+i >= len(m.packages) || m.packages[start+i].Name != q.Name {
			return // they were more than are kept
		}
		if p := &m.packages[start+i]; len(p.Locations) < maxLocations {
			p.Locations = append(p.Locations, q.Path)
		}
	}
}

// inventory applies what crosses files — notes, ownership, the identity of
// systems — and puts everything in order.
func (m *merger) inventory() plimsoll.Inventory {
	inv := plimsoll.Inventory{ImageID: m.task.ImageID, Systems: withPackages(chooseSystems(m.systems), m.packages)}
	m.installed = make(map[ownedPath]bool)
	known := make(map[claim]bool) // by better evidence than somebody's word
	for _, p := range m.packages {
		if p.Type.System() {
			m.installed[ownedPath{p.Root, p.Name}] = true
		}
		if !claimed(&p) {
			known[claimOf(&p)] = true
		}
	}
	seen := make(map[duplicate]int)
	for _, p := range m.packages {
		if !m.annotate(&p) {
			continue
		}
		if claimed(&p) {
			if known[claimOf(&p)] {
				continue
			}
			known[claimOf(&p)] = true // the same words in a second document tell nothing new
		}
		if !p.Type.System() {
			p.Root, p.Owner = m.owner(p.Path, inv.Systems)
		}
		if place := placeOf(&p); place != "" {
			key := duplicate{p.Name, p.Version, place}
			if p.Type == plimsoll.TypePyPI {
				key.name = plimsoll.NormalizeName("PyPI", p.Name)
			}
			if i, again := seen[key]; again {
				if p.Path < inv.Packages[i].Path { // .dist-info before .egg-info
					inv.Packages[i] = p
				}
				continue
			}
			seen[key] = len(inv.Packages)
		}
		inv.Packages = append(inv.Packages, p)
	}
	if len(inv.Packages) > maxPackages {
		slices.SortStableFunc(inv.Packages, func(a, b plimsoll.Package) int {
			switch {
			case a.Type.System() == b.Type.System():
				return 0
			case a.Type.System():
				return -1
			}
			return 1
		})
		inv.Packages, m.cut = inv.Packages[:maxPackages], true
	}
	if m.cut {
		m.problem(plimsoll.Problem{Code: plimsoll.ProblemLimit, Detail: fmt.Sprintf("the image claims more than %d packages; the rest was not kept", maxPackages)}, -1)
	}
	for i := range inv.Packages {
		p := &inv.Packages[i]
		slices.Sort(p.Locations)
		p.PURL = purl(p, inv.Systems)
	}
	slices.SortFunc(inv.Packages, comparePackages)
	// The distribution knows its own archives, even those that do not name
	// themselves.
	m.problems = slices.DeleteFunc(m.problems, func(p plimsoll.Problem) bool {
		if p.Code != plimsoll.ProblemUnidentified {
			return false
		}
		_, owner := m.owner(p.Path, inv.Systems)
		return owner != ""
	})
	if len(inv.Systems) == 0 && m.system == 0 {
		m.problems = append(m.problems, m.dangling...)
	}
	inv.Problems = append(m.problems, missingPackages(inv)...)
	sortProblems(inv.Problems)
	inv.Problems = boundProblems(inv.Problems)
	return inv
}

// PackageMap says whether the file at path only names packages that lie in other
// files: the map of Yarn's Plug'n'Play. They count where no archive or directory
// proves the same package (acceptance NPM-05).
func PackageMap(path string) bool {
	return strings.HasSuffix(path, ".pnp.cjs") || strings.HasSuffix(path, ".pnp.data.json")
}

// claimed says that p rests on the word of a list within the image.
func claimed(p *plimsoll.Package) bool {
	return p.Evidence == plimsoll.EvidenceSBOM || p.Type == plimsoll.TypeNPM && PackageMap(p.Path)
}

// claim is a package as an SBOM or a map within the image names it.
type claim struct {
	typ           plimsoll.PackageType
	name, version string
}

// claimOf spells a package so that what was found and what is claimed compare:
// purls have their own letters, and Go's versions a "v" or none.
func claimOf(p *plimsoll.Package) claim {
	c := claim{p.Type, strings.ToLower(p.Name), p.Version}
	switch p.Type {
	case plimsoll.TypePyPI:
		c.name = plimsoll.NormalizeName("PyPI", p.Name)
	case plimsoll.TypeGo:
		c.version = strings.TrimPrefix(c.version, "v")
	}
	return c
}

// owner returns the system that the file at path lies in and the system package
// that installed it; path may lead into an archive.
func (m *merger) owner(path string, systems []plimsoll.OS) (root, name string) {
	file, _, _ := strings.Cut(path, "!/")
	root = rootOf(file, systems)
	name = m.owners[ownedPath{root, usrMerged(strings.TrimPrefix(strings.TrimPrefix(file, root), "/"))}]
	if !m.installed[ownedPath{root, name}] {
		return root, ""
	}
	return root, name
}

type duplicate struct{ name, version, place string }

// placeOf returns where several files may prove one package: a Python package may
// leave both .egg-info and .dist-info (acceptance PY-02), and each file of a
// package in Nix's store names it. Empty for all others.
func placeOf(p *plimsoll.Package) string {
	switch p.Type {
	case plimsoll.TypePyPI:
		return "pypi:" + pythonSite(p.Path)
	case plimsoll.TypeNix:
		_, rest, _ := strings.Cut(p.Path, "nix/store/")
		dir, _, _ := strings.Cut(rest, "/")
		return "nix:" + dir
	}
	return ""
}

// pythonSite returns the directory that holds a package's metadata directory or
// file.
func pythonSite(path string) string {
	dir := path
	for _, suffix := range [...]string{"/METADATA", "/PKG-INFO"} {
		dir = strings.TrimSuffix(dir, suffix)
	}
	if i := strings.LastIndexByte(dir, '/'); i >= 0 {
		return dir[:i]
	}
	return ""
}

// annotate applies the notes about p; false means that p is not really there.
func (m *merger) annotate(p *plimsoll.Package) bool {
	notes := m.notes[noteKey{path: p.Path}]
	if p.Type.System() {
		notes = append(slices.Clip(notes), m.notes[noteKey{root: p.Root, name: p.Name}]...)
	}
	for _, n := range notes {
		switch n.Key {
		case NoteDev:
			p.Dev = true
		case NoteBundled:
			p.Bundled = n.Value
		case NoteAlias:
			p.Name = n.Value
		case NoteOrigin:
			p.Origin = n.Value
		case NoteLicense:
			if !slices.Contains(p.Licenses, n.Value) {
				p.Licenses = append(slices.Clip(p.Licenses), n.Value)
			}
		case NoteAbsent:
			return false
		}
	}
	slices.Sort(p.Licenses)
	return true
}

// rootOf returns the innermost system within the image that path lies in.
func rootOf(path string, systems []plimsoll.OS) string {
	root := ""
	for _, s := range systems {
		if len(s.Root) > len(root) && strings.HasPrefix(path, s.Root+"/") {
			root = s.Root
		}
	}
	return root
}

// usrMerged spells a path the way systems with a merged /usr do, so that the
// file lists of packages agree with the tree (acceptance DEB-05).
func usrMerged(path string) string {
	for _, dir := range [...]string{"bin/", "sbin/", "lib/", "lib32/", "lib64/", "libx32/"} {
		if strings.HasPrefix(path, dir) {
			return "usr/" + path
		}
	}
	return path
}

func comparePackages(a, b plimsoll.Package) int {
	return cmp.Or(
		strings.Compare(string(a.Type), string(b.Type)),
		strings.Compare(a.Name, b.Name),
		strings.Compare(a.Version, b.Version),
		strings.Compare(a.Root, b.Root),
		strings.Compare(a.Path, b.Path),
		strings.Compare(a.Arch, b.Arch),
	)
}

func sortProblems(problems []plimsoll.Problem) {
	slices.SortFunc(problems, func(a, b plimsoll.Problem) int {
		return cmp.Or(
			strings.Compare(string(a.Code), string(b.Code)),
			strings.Compare(a.Path, b.Path),
			strings.Compare(string(a.Layer), string(b.Layer)),
			strings.Compare(a.Analyzer, b.Analyzer),
			strings.Compare(a.Detail, b.Detail),
		)
	})
}

// boundProblems keeps the first maxProblems of each code of sorted problems and
// counts the rest, so that an image of broken files makes no endless report.
func boundProblems(problems []plimsoll.Problem) []plimsoll.Problem {
	var kept []plimsoll.Problem
	for len(problems) > 0 {
		code := problems[0].Code
		n := slices.IndexFunc(problems, func(p plimsoll.Problem) bool { return p.Code != code })
		if n < 0 {
			n = len(problems)
		}
		kept = append(kept, problems[:min(n, maxProblems)]...)
		if n > maxProblems {
			rest := 0
			for _, p := range problems[maxProblems:n] {
				rest += max(p.Count, 1)
			}
			kept = append(kept, plimsoll.Problem{Code: code, Detail: "further problems of this kind, not told one by one", Count: rest})
		}
		problems = problems[n:]
	}
	return kept
}
