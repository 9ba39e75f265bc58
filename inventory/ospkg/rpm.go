package ospkg

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// Limits of rpm databases.
const (
	// maxRPMDB bounds a database file. A server of 3,000 packages has 300 MiB.
	maxRPMDB = 512 << 20
	// maxHeader bounds one package header. Kernel packages, the largest seen,
	// stay below 2 MiB; rpm itself allows 256 MiB.
	maxHeader = 32 << 20
)

// rpm reads the database of rpm(8) in any of its three formats. The format is
// told by the file's first bytes, as images were seen with a database under
// the name of another format.
type rpm struct{}

func (rpm) Name() string { return "rpm" }
func (rpm) Version() int { return 2 }

func (rpm) Wants(path string) inventory.Want {
	if _, ok := rpmDatabase(path); ok {
		return inventory.Yes
	}
	return inventory.No
}

func rpmDatabase(path string) (root string, ok bool) {
	for _, name := range [...]string{"/Packages", "/Packages.db", "/rpmdb.sqlite"} {
		if dir, found := strings.CutSuffix(path, name); found {
			return rpmRoot(dir)
		}
	}
	return "", false
}

// rpmRoot returns the root of the system whose rpm database is in dir.
func rpmRoot(dir string) (root string, ok bool) {
	for _, home := range [...]string{"var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"} {
		if root, ok = cutRoot(dir, home); ok {
			return root, true
		}
	}
	return "", false
}

// blobReader reads the package headers of one database format and calls visit
// for each, with memory that is reused afterwards. damage is told of records
// that cannot be read; an error ends the database.
type blobReader func(f io.ReaderAt, size int64, visit func(blob []byte) error, damage func(error)) error

func (rpm) Analyze(ctx context.Context, f inventory.File) (inventory.Facts, error) {
	root, _ := rpmDatabase(f.Path)
	c := &collector{root: root, op: "read rpm database"}
	if f.Size == 0 {
		return c.result(nil) // rpm makes the file before the first package
	}
	if f.Size > maxRPMDB {
		return c.result(plimsoll.Errorf(plimsoll.CodeLimit, c.op, "%d bytes are more than the limit of %d", f.Size, maxRPMDB))
	}
	var magic [16]byte
	if _, err := f.ReadAt(magic[:], 0); err != nil && err != io.EOF {
		return c.result(readError(c.op, err))
	}
	var read blobReader
	switch {
	case string(magic[:]) == sqliteMagic:
		wal, err := siblingWAL(f)
		if err != nil {
			c.facts.Problems = append(c.facts.Problems, walProblem(err))
		}
		defer wal.close()
		read = wal.readPackages
	case string(magic[:4]) == ndbMagic:
		read = readNDB
	default:
		read = readBDB
	}
	visit := func(blob []byte) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := parseHeader(blob)
		if err != nil {
			c.damage(err)
			return nil
		}
		return c.addRPM(h)
	}
	err := read(f, f.Size, visit, c.damage)
	if err != nil && plimsoll.CodeOf(err) == plimsoll.CodeInternal && ctx.Err() == nil {
		err = &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: c.op, Err: err}
	}
	return c.result(err)
}

// addRPM keeps the package of one header and the files it owns.
func (c *collector) addRPM(h *rpmHeader) error {
	name := h.string(tagName)
	if name == "gpg-pubkey" { // a signing key in the dress of a package
		return nil
	}
	version := h.string(tagVersion) + "-" + h.string(tagRelease)
	epoch := ""
	if n, ok := h.uint32(tagEpoch); ok && n > 0 {
		epoch = fmt.Sprintf("%d:", n)
	}
	p := plimsoll.Package{
		Type:     plimsoll.TypeRPM,
		Name:     name,
		Version:  epoch + version,
		Arch:     h.string(tagArch),
		Module:   h.string(tagModularityLabel),
		Supplier: h.string(tagVendor),
		Origin:   cmp.Or(rpmSigners[h.signer()], rpmOrigin(h.string(tagVendor), h.string(tagRelease))),
	}
	if version == "-" {
		p.Version = ""
	}
	p.Source = rpmSource(h.string(tagSourceRPM), epoch)
	if l := h.string(tagLicense); l != "" {
		p.Licenses = []string{l}
	}
	if err := c.add(p); err != nil {
		return err
	}
	h.files(func(dir, base string) { c.own(name, dir, base) })
	return nil
}

// rpmSource takes "name-version-release.src.rpm" apart from the right, as names
// have hyphens. The file name has no epoch; the binary package's is right for
// nearly all (acceptance RPM-04).
func rpmSource(file, epoch string) plimsoll.SourcePackage {
	stem, ok := strings.CutSuffix(file, ".rpm")
	if !ok {
		return plimsoll.SourcePackage{} // "(none)" or not from a source package
	}
	if i := strings.LastIndexByte(stem, '.'); i >= 0 { // "src" or "nosrc"
		stem = stem[:i]
	}
	release := strings.LastIndexByte(stem, '-')
	if release <= 0 {
		return plimsoll.SourcePackage{}
	}
	version := strings.LastIndexByte(stem[:release], '-')
	if version <= 0 {
		return plimsoll.SourcePackage{}
	}
	return plimsoll.SourcePackage{Name: stem[:version], Version: epoch + stem[version+1:]}
}

// rpmManifest reads the list that Mariner and Azure Linux leave in distroless
// images instead of a database: one package a line, ten fields separated by
// tabs: name, version-release, install time, build time, vendor, epoch, size,
// architecture, epoch as number, source rpm.
type rpmManifest struct{}

func (rpmManifest) Name() string { return "rpm-manifest" }
func (rpmManifest) Version() int { return 1 }

const rpmManifestPath = "var/lib/rpmmanifest/container-manifest-2"

func (rpmManifest) Wants(path string) inventory.Want {
	if _, ok := cutRoot(path, rpmManifestPath); ok {
		return inventory.Yes
	}
	return inventory.No
}

func (rpmManifest) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	root, _ := cutRoot(f.Path, rpmManifestPath)
	c := &collector{root: root, op: "read rpm manifest"}
	in := newLines(f, maxText)
	for {
		line, ok := in.next()
		if !ok {
			return c.result(in.done(c.op))
		}
		if len(line) == 0 {
			continue
		}
		field := strings.Split(text(line, maxLine), "\t")
		if len(field) != 10 {
			c.damage(fmt.Errorf("line with %d fields instead of 10", len(field)))
			continue
		}
		name, version, vendor, epoch, arch, source := field[0], field[1], field[4], field[8], field[7], field[9]
		if name == "gpg-pubkey" {
			continue
		}
		if epoch == "0" || epoch == "(none)" || epoch == "" {
			epoch = ""
		} else {
			epoch += ":"
		}
		_, release, _ := strings.Cut(version, "-")
		err := c.add(plimsoll.Package{
			Type: plimsoll.TypeRPM, Name: name, Version: epoch + version, Arch: arch,
			Source: rpmSource(source, epoch), Supplier: vendor, Origin: rpmOrigin(vendor, release),
		})
		if err != nil {
			return c.result(err)
		}
	}
}
