package ospkg

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// dpkgFiles reads which files a package of dpkg or opkg installed: info/*.list,
// or the checksums beside status.d where there is no list.
type dpkgFiles struct{}

func (dpkgFiles) Name() string { return "dpkg-files" }
func (dpkgFiles) Version() int { return 1 }

func (dpkgFiles) Wants(path string) inventory.Want {
	if _, _, ok := dpkgFileList(path); ok {
		return inventory.Yes
	}
	return inventory.No
}

// dpkgFileList returns the system's root and the package whose files are listed.
func dpkgFileList(path string) (root, pkg string, ok bool) {
	if list, found := strings.CutSuffix(path, ".list"); found {
		dir, name := split(list)
		if root, ok = cutRoot(dir, "lib/dpkg/info"); !ok {
			root, ok = cutRoot(dir, "lib/opkg/info")
		}
		name, _, _ = strings.Cut(name, ":") // "libc6:amd64" where architectures are mixed
		return systemRoot(root), name, ok
	}
	if sums, found := strings.CutSuffix(path, ".md5sums"); found {
		dir, name := split(sums)
		root, ok = cutRoot(dir, "lib/dpkg/status.d")
		return systemRoot(root), name, ok
	}
	return "", "", false
}

func (dpkgFiles) Analyze(ctx context.Context, f inventory.File) (inventory.Facts, error) {
	root, pkg, _ := dpkgFileList(f.Path)
	c := &collector{root: root, op: "read dpkg file list"}
	sums := strings.HasSuffix(f.Path, ".md5sums")
	in := newLines(f, maxText)
	for {
		line, ok := in.next()
		if !ok {
			return c.result(in.done(c.op))
		}
		if sums {
			_, after, found := bytes.Cut(line, []byte("  "))
			if !found {
				continue
			}
			line = after
		} else if i := bytes.IndexByte(line, '\t'); i >= 0 {
			line = line[:i] // opkg adds mode and link target
		}
		c.own(pkg, string(line), "")
	}
}

// dpkgCopyright reads the licences of a Debian package from
// usr/share/doc/<package>/copyright: the short names of the machine-readable
// form (copyright-format/1.0), else the common licences that the text refers to.
type dpkgCopyright struct{}

func (dpkgCopyright) Name() string { return "dpkg-copyright" }
func (dpkgCopyright) Version() int { return 1 }

func (dpkgCopyright) Wants(path string) inventory.Want {
	if _, _, ok := copyrightOf(path); ok {
		return inventory.Yes
	}
	return inventory.No
}

func copyrightOf(path string) (root, pkg string, ok bool) {
	dir, found := strings.CutSuffix(path, "/copyright")
	if !found {
		return "", "", false
	}
	doc, pkg := split(dir)
	root, ok = cutRoot(doc, "usr/share/doc")
	return root, pkg, ok
}

// Bounds of what one copyright file can say; the longest of Debian name some 40.
const (
	maxLicenses    = 64
	maxLicenseName = 120
)

const (
	licenseField   = "License:"
	commonLicenses = "/usr/share/common-licenses/"
)

func (dpkgCopyright) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	root, pkg, _ := copyrightOf(f.Path)
	in := newLines(f, maxCopyright)
	var declared, referred []string
	for {
		line, ok := in.next()
		if !ok {
			break
		}
		if len(line) > len(licenseField) && asciiEqualFold(line[:len(licenseField)], licenseField) {
			declared = addLicense(declared, line[len(licenseField):])
		} else if i := bytes.Index(line, []byte(commonLicenses)); i >= 0 {
			word := line[i+len(commonLicenses):]
			if end := bytes.IndexFunc(word, func(r rune) bool { return !licenseRune(r) }); end >= 0 {
				word = word[:end]
			}
			referred = addLicense(referred, bytes.TrimRight(word, "."))
		}
	}
	licenses := declared
	if len(licenses) == 0 {
		licenses = referred
	}
	slices.Sort(licenses)
	var facts inventory.Facts
	for _, l := range licenses {
		facts.Notes = append(facts.Notes, inventory.Note{Root: root, Package: pkg, Key: inventory.NoteLicense, Value: l})
	}
	if plimsoll.CodeOf(in.err) == plimsoll.CodeLimit {
		return facts, nil
	}
	return facts, in.done("read copyright")
}

func licenseRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-' || r == '.' || r == '+' || r == '_'
}

func addLicense(licenses []string, name []byte) []string {
	if len(name) > maxLicenseName || len(licenses) == maxLicenses {
		return licenses
	}
	l := text(name, maxLicenseName)
	if l == "" || slices.Contains(licenses, l) {
		return licenses
	}
	return append(licenses, l)
}
