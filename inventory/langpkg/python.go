package langpkg

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// python finds installed distributions by their core metadata
// (packaging.python.org, "Core metadata specifications"): dist-info/METADATA,
// egg-info/PKG-INFO, egg-info as a file, EGG-INFO in a directory or a zipped
// egg. Wheels lying about and requirement lists prove nothing.
//
// One project can have two records, a dist-info directory where it is installed
// and an egg-info directory where it was built. direct_url.json names the second
// place, so its record is noted as absent.
type python struct{}

func (python) Name() string { return "python" }
func (python) Version() int { return 1 }

func (python) Wants(p string) inventory.Want {
	// Ordered by what rejects most: every path of an image comes here.
	if p == "" {
		return inventory.No
	}
	switch p[len(p)-1] | 0x20 {
	case 'a': // METADATA
		if hasSuffixFold(p, ".dist-info/metadata") && !pythonTests(p) {
			return inventory.Yes
		}
	case 'o': // PKG-INFO, name.egg-info
		if (hasSuffixFold(p, "egg-info/pkg-info") || hasSuffixFold(p, ".egg-info")) && !pythonTests(p) {
			return inventory.Yes
		}
	case 'g': // zipped
		if hasSuffixFold(p, ".egg") && !pythonTests(p) {
			return inventory.Yes
		}
	case 'n':
		if hasSuffixFold(p, ".dist-info/direct_url.json") {
			return inventory.Yes
		}
	}
	return inventory.No
}

func (python) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	switch {
	case hasSuffixFold(f.Path, "/direct_url.json"):
		return directURL(f)
	case hasSuffixFold(f.Path, ".egg"):
		return zippedEgg(f)
	}
	return pythonMetadata(f.Path, f.Path, f.Reader(maxText))
}

// pythonTests says whether p is in the tests of a package or of Python itself,
// which hold made-up distributions.
func pythonTests(p string) bool {
	i := strings.LastIndex(p, "/lib/python")
	if i < 0 {
		return false
	}
	if j := strings.LastIndex(p, "-packages/"); j > i {
		i = j
	}
	return testTree(p[i:])
}

// pythonMetadata reads core metadata. inner is the path of the record, proof the
// one that the package gets: they differ in a zipped egg.
func pythonMetadata(inner, proof string, r io.Reader) (inventory.Facts, error) {
	var facts inventory.Facts
	var m coreMetadata
	if err := m.read(r); err != nil {
		return facts, readError("read Python metadata", err)
	}
	p := plimsoll.Package{Type: plimsoll.TypePyPI, Name: m.name, Version: m.version, Licenses: m.licenses(), Supplier: m.supplier(),
		Path: proof, Evidence: plimsoll.EvidenceMetadata, Bundled: vendored(inner)}
	if p.Name == "" || p.Version == "" {
		name, version := pythonDirectory(inner)
		if p.Name == "" {
			p.Name = name
		}
		if p.Version == "" {
			p.Version = version
		}
		p.Evidence = plimsoll.EvidenceFileName
	}
	if !identified(&p) {
		facts.Problems = []plimsoll.Problem{{Code: plimsoll.ProblemUnidentified,
			Detail: "read Python metadata: it has no name or version, so this distribution is not judged"}}
		return facts, nil
	}
	facts.Packages = []plimsoll.Package{p}
	return facts, nil
}

// coreMetadata are the headers that matter, the first of each name but for
// classifiers.
type coreMetadata struct {
	name, version        string
	expression, license  string
	classifiers          []string // what "License ::" classifiers end in
	author, maintainer   string
	authorMail, maintain string
}

// read takes the headers, which are those of RFC 822; what follows the first
// empty line is the description and not read.
func (m *coreMetadata) read(r io.Reader) error {
	// One read suffices for the headers of most.
	br := bufio.NewReaderSize(r, 4096)
	license := false // the last header was License
	for {
		line, err := br.ReadSlice('\n')
		long := err == bufio.ErrBufferFull
		for err == bufio.ErrBufferFull {
			_, err = br.ReadSlice('\n') // no header that matters is this long
		}
		if err != nil && err != io.EOF {
			return err
		}
		line = bytes.TrimRight(line, "\r\n")
		switch {
		case len(line) == 0:
			return nil
		case line[0] != ' ' && line[0] != '\t':
			key, value, ok := bytes.Cut(line, []byte(":"))
			license = ok && bytes.EqualFold(key, []byte("License"))
			if ok && !long {
				m.set(key, bytes.TrimSpace(value))
			}
		case license:
			// Some give the licence's whole text, of which a line declares nothing.
			m.license = ""
		}
		if err == io.EOF {
			return nil
		}
	}
}

func (m *coreMetadata) set(key, value []byte) {
	var field *string
	switch {
	case bytes.EqualFold(key, []byte("Name")):
		field = &m.name
	case bytes.EqualFold(key, []byte("Version")):
		field = &m.version
	case bytes.EqualFold(key, []byte("License-Expression")):
		field = &m.expression
	case bytes.EqualFold(key, []byte("License")):
		field = &m.license
	case bytes.EqualFold(key, []byte("Author")):
		field = &m.author
	case bytes.EqualFold(key, []byte("Author-email")):
		field = &m.authorMail
	case bytes.EqualFold(key, []byte("Maintainer")):
		field = &m.maintainer
	case bytes.EqualFold(key, []byte("Maintainer-email")):
		field = &m.maintain
	case bytes.EqualFold(key, []byte("Classifier")) && bytes.HasPrefix(value, []byte("License ::")) && len(m.classifiers) < maxLicenses:
		m.classifiers = append(m.classifiers, string(bytes.TrimSpace(value[bytes.LastIndex(value, []byte("::"))+2:])))
	}
	if field != nil && *field == "" && string(value) != "UNKNOWN" {
		*field = string(value)
	}
}

func (m *coreMetadata) licenses() []string {
	switch {
	case m.expression != "":
		return licenses(m.expression)
	case m.license != "" && len(m.license) <= maxLicense:
		return licenses(m.license)
	}
	return licenses(m.classifiers...)
}

func (m *coreMetadata) supplier() string {
	for _, who := range [...]string{m.author, m.maintainer, mailName(m.authorMail), mailName(m.maintain)} {
		if who != "" {
			return text(who, maxName)
		}
	}
	return ""
}

// pythonDirectory reads name and version where the metadata has none:
// name-version.dist-info, name-version-py3.11.egg-info.
func pythonDirectory(p string) (name, version string) {
	if dir, base := split(p); hasSuffixFold(base, "metadata") || hasSuffixFold(base, "pkg-info") {
		p = dir
	}
	_, base := split(p)
	if !hasSuffixFold(base, ".dist-info") && !hasSuffixFold(base, ".egg-info") {
		return "", ""
	}
	base = base[:strings.LastIndexByte(base, '.')]
	name, version, _ = strings.Cut(base, "-")
	version, _, _ = strings.Cut(version, "-py")
	return name, version
}

// vendored names the package around a "_vendor" or "_vendored" directory.
func vendored(p string) string {
	for _, dir := range [...]string{"/_vendor/", "/_vendored/"} {
		if i := strings.LastIndex(p, dir); i > 0 {
			_, around := split(p[:i])
			return text(around, maxName)
		}
	}
	return ""
}

// mailName returns the display name of the first address, or the address.
func mailName(list string) string {
	first, _, _ := strings.Cut(list, ",")
	name, address, ok := strings.Cut(first, "<")
	if name = strings.Trim(name, ` "`); name != "" || !ok {
		return name
	}
	return strings.TrimRight(address, "> ")
}

// directURL reads PEP 610: where a distribution came from when it was not an
// index. An origin says that the index's versions need not apply.
func directURL(f inventory.File) (inventory.Facts, error) {
	const op = "read direct_url.json"
	var facts inventory.Facts
	data, err := read(f, maxText, op)
	if err != nil {
		return facts, err
	}
	var url, vcs, commit, subdirectory string
	var dir, editable bool
	err = members(data, func(key string, value []byte) error {
		switch key {
		case "url":
			url = jsonString(value)
		case "subdirectory":
			subdirectory = jsonString(value)
		case "vcs_info":
			vcs, commit = jsonField(value, "vcs"), jsonField(value, "commit_id")
		case "dir_info":
			dir = true
			return members(value, func(key string, value []byte) error {
				editable = editable || key == "editable" && jsonTrue(value)
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return facts, corrupt(op, "%w", err)
	}
	if url == "" {
		return facts, nil
	}
	info, _ := split(f.Path)
	origin := withoutSecret(url)
	if vcs != "" {
		origin = vcs + "+" + origin
		if commit != "" {
			origin += "@" + commit
		}
	}
	if editable {
		origin += " (editable)"
	}
	facts.Notes = append(facts.Notes, inventory.Note{Path: info + "/METADATA", Key: inventory.NoteOrigin, Value: text(origin, maxOrigin)})
	if source, ok := strings.CutPrefix(url, "file:///"); ok && dir && !strings.Contains(source, "..") && len(source) < 2048 {
		if subdirectory != "" {
			source += "/" + subdirectory
		}
		name, _ := pythonDirectory(info)
		source = strings.Trim(source, "/")
		for _, p := range [...]string{source + "/", source + "/src/"} {
			facts.Notes = append(facts.Notes, inventory.Note{Path: strings.TrimPrefix(p, "/") + name + ".egg-info/PKG-INFO", Key: inventory.NoteAbsent})
		}
	}
	return facts, nil
}

// withoutSecret removes user and password from a URL.
func withoutSecret(url string) string {
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok {
		return url
	}
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	return scheme + "://" + authority[strings.LastIndexByte(authority, '@')+1:] + path
}

func zippedEgg(f inventory.File) (inventory.Facts, error) {
	const op = "read Python egg"
	var entry *zipEntry
	_, err := walkZip(f.ReaderAt, f.Size, func(name []byte) bool { return string(name) == "EGG-INFO/PKG-INFO" }, func(e zipEntry) error {
		entry = &e
		return nil
	})
	if err != nil {
		return inventory.Facts{}, zipError(op, err)
	}
	if entry == nil {
		return inventory.Facts{Problems: []plimsoll.Problem{{Code: plimsoll.ProblemUnidentified,
			Detail: op + ": it has no EGG-INFO/PKG-INFO, so this distribution is not judged"}}}, nil
	}
	data, err := entry.content(new(inflater), f.ReaderAt, f.Size, maxText)
	if err != nil {
		return inventory.Facts{}, zipError(op, err)
	}
	return pythonMetadata(f.Path+"/EGG-INFO/PKG-INFO", f.Path, bytes.NewReader(data))
}
