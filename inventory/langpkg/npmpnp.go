package langpkg

import (
	"bytes"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// plugAndPlay reads the map that Yarn's Plug'n'Play linker resolves from, either
// as data (.pnp.data.json) or inlined in its loader (.pnp.cjs). It is what Node
// loads packages by, so it is the record of what is installed; instances that
// differ in their peers only ("virtual:") are one package. Where the archives that
// it leads to are in the image too, they speak for themselves, see
// [inventory.PackageMap].
func plugAndPlay(f inventory.File) (inventory.Facts, error) {
	const op = "read Yarn's package map"
	var facts inventory.Facts
	data, err := read(f, maxRecords, op)
	if err != nil {
		return facts, err
	}
	if strings.HasSuffix(f.Path, ".cjs") {
		if data = runtimeState(data); data == nil {
			// With pnpEnableInlining off the loader has no state: it is in
			// .pnp.data.json beside it.
			return facts, nil
		}
	}
	seen := map[string]plimsoll.Package{}
	err = members(data, func(key string, value []byte) error {
		if key != "packageRegistryData" {
			return nil
		}
		return elements(value, func(entry []byte) error {
			name, references := pair(entry)
			if jsonString(name) == "" {
				return nil // null: the project itself
			}
			return elements(references, func(instance []byte) error {
				reference, _ := pair(instance)
				_, version, ok := strings.Cut(jsonString(reference), "npm:")
				if !ok {
					return nil // workspaces, patches and links are no registry packages
				}
				if at := strings.LastIndexByte(version, '@'); at >= 0 {
					return nil // an alias: its target is listed under its own name
				}
				p := plimsoll.Package{Type: plimsoll.TypeNPM, Name: jsonString(name), Version: version,
					Path: f.Path, Evidence: plimsoll.EvidencePackageDB}
				if identified(&p) {
					seen[p.Name+"@"+p.Version] = p
				}
				if len(seen) > maxPackages {
					return errTooMany
				}
				return nil
			})
		})
	})
	for _, key := range sortedKeys(seen) {
		facts.Packages = append(facts.Packages, seen[key])
	}
	if err != nil {
		return facts, recordsError(op, err)
	}
	return facts, nil
}

// yarnCache says whether an archive at p is one that Yarn loads packages from: in
// the project's .yarn/cache, or in the cache that projects share.
func yarnCache(p string) bool {
	dir, _ := split(p)
	return strings.HasSuffix(dir, ".yarn/cache") || strings.HasSuffix(dir, "/berry/cache")
}

// maxYarnArchive bounds the packages of one archive: the one that it is named
// for, and those bundled in it.
const maxYarnArchive = 1000

// yarnArchive reads a package that Yarn keeps zipped and Node loads from there.
func yarnArchive(f inventory.File) (inventory.Facts, error) {
	const op = "read Yarn's archive"
	var facts inventory.Facts
	var entries []zipEntry
	_, damage := walkZip(f.ReaderAt, f.Size, func(name []byte) bool {
		if !bytes.HasSuffix(name, []byte("/package.json")) {
			return false
		}
		_, ok := nodePackage(string(name))
		return ok
	}, func(e zipEntry) error {
		if len(entries) == maxYarnArchive {
			return errTooMany
		}
		entries = append(entries, e)
		return nil
	})
	var unzip inflater
	for _, e := range entries {
		path := f.Path + "!/" + text(e.name, maxJarPath)
		data, err := e.content(&unzip, f.ReaderAt, f.Size, maxText)
		if err != nil {
			return facts, zipError(op, err)
		}
		inner, err := nodeMetadata(path, data)
		if err != nil {
			return facts, err
		}
		facts.Packages = append(facts.Packages, inner.Packages...)
	}
	if damage != nil {
		return facts, zipError(op, damage)
	}
	return facts, nil
}

// pair returns the first two elements of an array.
func pair(array []byte) (first, second []byte) {
	n := 0
	_ = elements(array, func(v []byte) error {
		switch n {
		case 0:
			first = v
		case 1:
			second = v
		}
		n++
		return nil
	})
	return first, second
}

// runtimeState cuts the JSON text out of the loader: a JavaScript string in
// single quotes whose lines end in a backslash.
func runtimeState(script []byte) []byte {
	_, rest, ok := bytes.Cut(script, []byte("RAW_RUNTIME_STATE ="))
	if !ok {
		return nil
	}
	_, rest, ok = bytes.Cut(rest, []byte("'"))
	if !ok {
		return nil
	}
	out := make([]byte, 0, len(rest))
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '\'':
			return out
		case c == '\\' && i+1 < len(rest):
			i++
			if rest[i] != '\n' {
				out = append(out, rest[i])
			}
		default:
			out = append(out, c)
		}
	}
	return nil
}
