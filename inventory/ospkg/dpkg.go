package ospkg

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// dpkg reads the database of dpkg(1) in its two forms, one file for all
// packages and one file each (status.d, as distroless images have it), and
// that of its small relative opkg. Format: deb-control(5).
type dpkg struct{}

func (dpkg) Name() string { return "dpkg" }
func (dpkg) Version() int { return 3 }

func (dpkg) Wants(path string) inventory.Want {
	if _, _, ok := dpkgDatabase(path); ok {
		return inventory.Yes
	}
	return inventory.No
}

// dpkgDatabase returns the root of the system whose packages the file at path
// lists; single marks a file of status.d.
func dpkgDatabase(path string) (root string, single, ok bool) {
	if dir, found := strings.CutSuffix(path, "/status"); found {
		if root, ok = cutRoot(dir, "lib/dpkg"); !ok {
			root, ok = cutRoot(dir, "lib/opkg")
		}
		return systemRoot(root), false, ok
	}
	if dir, base := split(path); strings.HasSuffix(dir, "/status.d") && !strings.HasSuffix(base, ".md5sums") {
		root, ok = cutRoot(dir, "lib/dpkg/status.d")
		return systemRoot(root), true, ok
	}
	return "", false, false
}

// systemRoot returns the root for the directory that holds lib/dpkg: that is
// var nearly everywhere, usr for opkg.
func systemRoot(dir string) string {
	switch parent, base := split(dir); base {
	case "var", "usr":
		return parent
	}
	return dir
}

func (dpkg) Analyze(ctx context.Context, f inventory.File) (inventory.Facts, error) {
	root, single, _ := dpkgDatabase(f.Path)
	c := &collector{root: root, op: "read dpkg status"}
	in := newLines(f, maxText)
	var p paragraph
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return c.result(ctx.Err())
		}
		line, more := in.next()
		if more && len(bytes.TrimLeft(line, " \t")) > 0 {
			p.field(line)
			continue
		}
		switch {
		case p.pkg == "" && p.version == "": // no record of a package
		case single && p.status == "" || p.installed():
			if err := c.add(p.toPackage()); err != nil {
				return c.result(err)
			}
		case !p.absent(): // a record that was damaged or cut off
			c.facts.Problems = appendProblem(c.facts.Problems, plimsoll.Problem{
				Code:   plimsoll.ProblemCorruptFile,
				Detail: fmt.Sprintf("package %.100q has the status %.100q, which does not tell whether it is installed", p.pkg, p.status),
			})
		}
		if p = (paragraph{}); !more {
			if in.torn && !single && len(c.facts.Problems) == 0 {
				c.tear()
			}
			return c.result(in.done(c.op))
		}
	}
}

// paragraph holds the fields of one package that are of use here.
type paragraph struct {
	pkg, status, version, arch, source, maintainer, vendor, license string
}

// field takes one line. Continuation lines are of no use: none of the fields
// read here is ever folded.
func (p *paragraph) field(line []byte) {
	if line[0] == ' ' || line[0] == '\t' {
		return
	}
	i := bytes.IndexByte(line, ':')
	if i < 0 {
		return
	}
	var to *string
	limit := maxField
	switch name := line[:i]; len(name) {
	case 6:
		to = pick(name, "Status", &p.status, "Source", &p.source, "Vendor", &p.vendor)
	case 7:
		to = pick(name, "Package", &p.pkg, "Version", &p.version, "License", &p.license)
	case 10:
		to = pick(name, "Maintainer", &p.maintainer, "", nil, "", nil)
	case 12:
		to = pick(name, "Architecture", &p.arch, "", nil, "", nil)
		limit = maxName
	}
	if to != nil {
		*to = text(line[i+1:], limit)
	}
}

// pick returns the pointer of the field called name. Field names have no case.
func pick(name []byte, a string, pa *string, b string, pb *string, c string, pc *string) *string {
	switch {
	case asciiEqualFold(name, a):
		return pa
	case asciiEqualFold(name, b):
		return pb
	case asciiEqualFold(name, c):
		return pc
	}
	return nil
}

func asciiEqualFold(b []byte, s string) bool {
	if len(b) != len(s) {
		return false
	}
	for i := range b {
		if b[i]|0x20 != s[i]|0x20 {
			return false
		}
	}
	return true
}

// installed looks at the third word of "install ok installed". A package that
// waits for a trigger is there completely; one that is unpacked or
// half-installed is not (dpkg(1), PACKAGE STATES; acceptance DEB-01).
func (p *paragraph) installed() bool {
	i := strings.LastIndexByte(p.status, ' ')
	switch p.status[i+1:] {
	case "installed", "triggers-awaited", "triggers-pending":
		return true
	}
	return false
}

// absent says whether the third word is one that dpkg uses for a package that
// is not there, or not as a whole.
func (p *paragraph) absent() bool {
	i := strings.LastIndexByte(p.status, ' ')
	switch p.status[i+1:] {
	case "not-installed", "config-files", "half-installed", "unpacked", "half-configured":
		return true
	}
	return false
}

func (p *paragraph) toPackage() plimsoll.Package {
	pkg := plimsoll.Package{
		Type:     plimsoll.TypeDeb,
		Name:     p.pkg,
		Version:  p.version,
		Arch:     p.arch,
		Source:   debSource(p.pkg, p.version, p.source),
		Supplier: p.maintainer,
		Origin:   debOrigin(p.maintainer, p.vendor, p.version),
	}
	if p.license != "" { // written by packagers outside Debian
		pkg.Licenses = []string{p.license}
	}
	return pkg
}

// debSource returns the source package from the Source field, "name" or
// "name (version)". Without one it is the binary package's own name and
// version, less the mark of a rebuild without a source change (acceptance
// DEB-02, DEB-03).
func debSource(name, version, source string) plimsoll.SourcePackage {
	src := plimsoll.SourcePackage{Name: name, Version: trimBinNMU(version)}
	if source == "" {
		return src
	}
	n, rest, _ := strings.Cut(source, "(")
	if n = strings.TrimSpace(n); n != "" && len(n) <= maxName {
		src.Name = n
	}
	if v, _, ok := strings.Cut(rest, ")"); ok {
		if v = strings.TrimSpace(v); v != "" && len(v) <= maxName {
			src.Version = v
		}
	}
	return src
}

// trimBinNMU removes "+b1" and the like from the end of a version.
func trimBinNMU(version string) string {
	i := len(version)
	for i > 0 && '0' <= version[i-1] && version[i-1] <= '9' {
		i--
	}
	if i == len(version) || !strings.HasSuffix(version[:i], "+b") {
		return version
	}
	return version[:i-2]
}
