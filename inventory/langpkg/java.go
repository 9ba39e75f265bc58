package langpkg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// java finds Maven artifacts in archives, and in archives within them.
//
// What an archive is says, in this order: a Maven pom.properties in it, the main
// section of its manifest, its file name. An archive with several pom.properties
// is a shaded one: the one that the file name or manifest confirms is the
// archive itself, the others were copied into it. pom.xml is a wish list and not
// read. Classes of famous libraries betray those whose metadata was lost. An archive with classes of which none of these tells name and version is
// a Problem, so that it is counted.
type java struct{}

// Limits on one archive and all that is nested in it.
const (
	maxJarDepth    = 6         // archives around an archive
	maxJarNested   = 64 << 20  // one compressed nested archive, which has to be inflated into memory
	maxJarLive     = 128 << 20 // inflated archives held at once
	maxJarExpanded = 1 << 30   // inflated in all
	maxJarRatio    = 200       // inflated bytes per byte of the file, once past maxJarFree
	maxJarFree     = 10 << 20
	maxJarPath     = 4 << 10   // of an entry's name
	maxJarEntries  = 1_000_000 // entries of all central directories
	// maxManifest is how much of a manifest is read: its main section comes first,
	// and the digests of a signed archive's entries, often megabytes, follow.
	maxManifest    = 64 << 10
	maxJarProblems = 100 // problems listed; the rest is one
)

var errBudget = errors.New("nested archives expand beyond the limits")

func (java) Name() string { return "java" }
func (java) Version() int { return 2 }

func (java) Wants(p string) inventory.Want {
	if javaArchive(p) {
		return inventory.Yes
	}
	return inventory.No
}

// javaArchive goes by the extension, in any case.
func javaArchive[T string | []byte](p T) bool {
	n := len(p)
	if n < 5 {
		return false
	}
	switch p[n-1] | 0x20 {
	case 'r', 'i', 'g':
		var ext [5]byte // lower case, on the stack
		for i := range ext {
			ext[i] = p[n-5+i]
			if 'A' <= ext[i] && ext[i] <= 'Z' {
				ext[i] += 'a' - 'A'
			}
		}
		switch string(ext[1:]) {
		case ".jar", ".war", ".ear", ".par", ".sar", ".kar", ".hpi", ".jpi":
			return true
		}
		return string(ext[:]) == ".lpkg"
	}
	return false
}

func (java) Analyze(ctx context.Context, f inventory.File) (inventory.Facts, error) {
	t := jarTree{ctx: ctx, size: f.Size}
	err := t.archive(f.ReaderAt, f.Size, f.Path, 0)
	for _, code := range slices.Sorted(maps.Keys(t.unlisted)) {
		t.facts.Problems = append(t.facts.Problems, plimsoll.Problem{Code: code, Count: t.unlisted[code],
			Detail: "more of this in the archive than is listed"})
	}
	if err != nil {
		return t.facts, zipError("read java archive", err)
	}
	return t.facts, nil
}

// jarTree is the reading of one file: what was found and what it cost so far.
type jarTree struct {
	ctx      context.Context
	size     int64 // of the outermost archive
	expanded int64
	live     int64
	entries  int
	unlisted map[plimsoll.ProblemCode]int // problems beyond maxJarProblems
	seen     map[[3]string]bool           // path, name and version of what was added
	inflater inflater
	facts    inventory.Facts
}

// jarContents is what matters in one archive.
type jarContents struct {
	poms     []zipEntry
	nested   []zipEntry
	manifest zipEntry
	sbom     zipEntry
	classes  bool
	probed   probed
}

func (c *jarContents) want(name []byte) bool {
	if bytes.HasSuffix(name, []byte(".class")) {
		c.classes = true
		return c.probed.class(name)
	}
	return bytes.HasPrefix(name, []byte("META-INF/")) && (bytes.HasSuffix(name, []byte("/pom.properties")) ||
		bytes.EqualFold(name, []byte("META-INF/MANIFEST.MF")) || string(name) == "META-INF/sbom/application.cdx.json") ||
		javaArchive(name)
}

func (c *jarContents) add(e zipEntry) error {
	switch {
	case strings.HasSuffix(e.name, "/pom.properties"):
		c.poms = append(c.poms, e)
	case strings.HasSuffix(e.name, ".class"):
		c.probed.add(e)
	case strings.HasSuffix(e.name, ".json"):
		c.sbom = e
	case strings.EqualFold(e.name, "META-INF/MANIFEST.MF"):
		c.manifest = e
	default:
		c.nested = append(c.nested, e)
	}
	return nil
}

// archive reads one archive. An error is of this archive; those of nested ones
// have become problems.
func (t *jarTree) archive(r io.ReaderAt, size int64, path string, depth int) error {
	if err := t.ctx.Err(); err != nil {
		return err
	}
	var c jarContents
	n, damage := walkZip(r, size, c.want, c.add)
	if t.entries += n; t.entries > maxJarEntries {
		return errBudget
	}
	if n == 0 && damage != nil {
		return damage
	}
	first := len(t.facts.Packages)
	t.identify(r, size, path, &c)
	for _, e := range c.nested {
		inner := path + "!/" + text(e.name, maxJarPath)
		switch err := t.nested(r, size, inner, e, depth+1); {
		case errors.Is(err, errBudget):
			return err // of the whole tree: there is no use in going on
		case t.ctx.Err() != nil:
			return t.ctx.Err()
		case err != nil:
			t.problem(zipError("read nested archive", err), inner)
		}
	}
	if c.sbom.name != "" {
		t.embedded(r, size, path, c.sbom, first)
	}
	return damage // with what the readable part of the directory told
}

func (t *jarTree) nested(r io.ReaderAt, size int64, path string, e zipEntry, depth int) error {
	if depth >= maxJarDepth {
		return plimsoll.Errorf(plimsoll.CodeLimit, "read nested archive", "it lies deeper than the limit of %d archives", maxJarDepth)
	}
	if e.method == methodStored {
		raw, err := e.raw(r, size)
		if err != nil {
			return err
		}
		return t.archive(raw, raw.Size(), path, depth)
	}
	data, err := t.content(r, size, e, maxJarNested)
	if err != nil {
		return err
	}
	t.live += int64(len(data))
	defer func() { t.live -= int64(len(data)) }()
	if t.live > maxJarLive {
		return errBudget
	}
	return t.archive(bytes.NewReader(data), int64(len(data)), path, depth)
}

// content inflates an entry on the budget of the tree.
func (t *jarTree) content(r io.ReaderAt, size int64, e zipEntry, limit int64) ([]byte, error) {
	data, err := e.content(&t.inflater, r, size, limit)
	if errors.Is(err, errZipSize) {
		t.expanded += limit // what was inflated in vain counts too
	}
	t.expanded += int64(len(data))
	if t.expanded > maxJarExpanded || t.expanded > maxJarFree && t.expanded/maxJarRatio > t.size {
		return nil, errBudget
	}
	return data, err
}

// problem records an error of an archive within the file.
func (t *jarTree) problem(err error, path string) {
	code := plimsoll.ProblemUnreadableFile
	switch plimsoll.CodeOf(err) {
	case plimsoll.CodeCorrupt:
		code = plimsoll.ProblemCorruptFile
	case plimsoll.CodeLimit:
		code = plimsoll.ProblemLimit
	}
	t.report(plimsoll.Problem{Code: code, Path: path, Detail: text(err.Error(), maxOrigin)})
}

func (t *jarTree) report(p plimsoll.Problem) {
	if len(t.facts.Problems) < maxJarProblems {
		t.facts.Problems = append(t.facts.Problems, p)
		return
	}
	if t.unlisted == nil {
		t.unlisted = map[plimsoll.ProblemCode]int{}
	}
	t.unlisted[p.Code]++
}

func (t *jarTree) add(p plimsoll.Package) bool {
	p.Type = plimsoll.TypeMaven
	if !identified(&p) {
		return false
	}
	key := [3]string{p.Path, p.Name, p.Version}
	if t.seen[key] {
		return true
	}
	if len(t.facts.Packages) >= maxPackages {
		t.report(plimsoll.Problem{Code: plimsoll.ProblemLimit, Path: p.Path, Detail: "the archive holds more packages than the limit"})
		return true
	}
	if t.seen == nil {
		t.seen = map[[3]string]bool{}
	}
	t.seen[key] = true
	t.facts.Packages = append(t.facts.Packages, p)
	return true
}

// identify adds the packages that the archive at path is and holds as classes.
func (t *jarTree) identify(r io.ReaderAt, size int64, path string, c *jarContents) {
	var m manifest
	if c.manifest.name != "" {
		data, err := c.manifest.head(&t.inflater, r, size, maxManifest)
		t.expanded += int64(len(data))
		if err != nil {
			t.problem(zipError("read MANIFEST.MF", err), path)
		}
		m = parseManifest(data)
	}
	file := parseJarName(path)
	var poms []coordinates
	for _, e := range c.poms {
		data, err := t.content(r, size, e, maxText)
		if err != nil {
			t.problem(zipError("read pom.properties", err), path)
			continue
		}
		if pom := parsePomProperties(data, e.name); pom.artifact != "" {
			poms = append(poms, pom)
		}
	}
	self := -1
	if len(poms) == 1 {
		self = 0
	} else {
		self = slices.IndexFunc(poms, func(p coordinates) bool { return m.confirms(p, file) })
	}
	found, own, first := false, coordinates{}, len(t.facts.Packages)
	if self >= 0 {
		own = poms[self]
		if own.version == "" {
			own.version = m.version(file)
		}
	}
	evidence := plimsoll.EvidenceMetadata
	if own.version == "" {
		own, evidence = m.coordinates(file)
	}
	if own.artifact != "" && own.version != "" && !m.partOfJDK() {
		found = t.add(plimsoll.Package{Name: own.name(), Version: own.version, Path: path, Evidence: evidence,
			Licenses: licenses(m.license()), Supplier: text(m.vendor(), maxName)})
	}
	for i, pom := range poms {
		if i != self && pom.version != "" {
			inner := plimsoll.Package{Name: pom.name(), Version: pom.version, Path: path, Evidence: plimsoll.EvidenceMetadata}
			if found && own.version != "" {
				inner.Bundled = text(own.name(), maxName)
			}
			found = t.add(inner) || found
		}
	}
	name := ""
	if own.artifact != "" && own.version != "" {
		name = own.name()
	}
	found = t.probes(r, size, path, first, name, &c.probed) || found
	if !found && c.classes && len(c.nested) == 0 && !m.partOfJDK() {
		t.report(plimsoll.Problem{Code: plimsoll.ProblemUnidentified, Path: path,
			Detail: fmt.Sprintf("neither pom.properties nor manifest nor file name tell name and version of this archive, so it is not judged (manifest title %q)", text(m.main["implementation-title"], maxName))})
	}
}

// embedded adds what an SBOM in the archive claims beyond what was found in it
// (acceptance JAR-05).
func (t *jarTree) embedded(r io.ReaderAt, size int64, path string, e zipEntry, first int) {
	data, err := t.content(r, size, e, maxRecords)
	var claimed []plimsoll.Package
	if err == nil {
		claimed, err = parseSBOM(data)
	}
	if err != nil {
		t.problem(zipError("read embedded SBOM", err), path+"!/"+e.name)
		return
	}
	known := map[string]bool{}
	for _, p := range t.facts.Packages[first:] {
		known[p.Name+"@"+p.Version] = true
		// A name without group is what is left of a jar without pom.properties.
		known[p.Name[strings.LastIndexByte(p.Name, ':')+1:]+"@"+p.Version] = !strings.Contains(p.Name, ":")
	}
	for _, p := range claimed {
		_, artifact, _ := strings.Cut(p.Name, ":")
		if p.Type == plimsoll.TypeMaven && !known[p.Name+"@"+p.Version] && !known[artifact+"@"+p.Version] {
			p.Path = path + "!/" + e.name
			t.add(p)
		}
	}
}
