package langpkg

import (
	"context"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// npm finds the packages of Node's package managers. A package is the
// package.json, with name and version, of a directory that Node would resolve: a
// direct child of node_modules, of a store directory of npm, pnpm, yarn or bun
// in it, or of Debian's /usr/share/nodejs. The hidden lock file
// node_modules/.package-lock.json says which of them only development needs.
// Lock files of a project prove nothing and are not read.
type npm struct{}

func (npm) Name() string { return "npm" }
func (npm) Version() int { return 2 }

func (npm) Wants(p string) inventory.Want {
	switch _, base := split(p); base {
	case "package.json":
		if _, ok := nodePackage(p); ok {
			return inventory.Yes
		}
	case ".package-lock.json":
		if strings.HasSuffix(p, "node_modules/.package-lock.json") {
			return inventory.Yes
		}
	case ".pnp.data.json", ".pnp.cjs":
		return inventory.Yes
	default:
		if strings.HasSuffix(base, ".zip") && yarnCache(p) {
			return inventory.Yes
		}
	}
	return inventory.No
}

func (npm) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	switch _, base := split(f.Path); base {
	case ".package-lock.json":
		return hiddenLock(f)
	case ".pnp.data.json", ".pnp.cjs":
		return plugAndPlay(f)
	case "package.json":
		data, err := read(f, maxText, "read package.json")
		if err != nil {
			return inventory.Facts{}, err
		}
		return nodeMetadata(f.Path, data)
	}
	return yarnArchive(f)
}

// nodeMetadata reads the package.json at path, which may lie in an archive.
func nodeMetadata(path string, data []byte) (inventory.Facts, error) {
	var facts inventory.Facts
	p := plimsoll.Package{Type: plimsoll.TypeNPM, Path: path, Evidence: plimsoll.EvidenceMetadata}
	private := false
	err := members(data, func(key string, value []byte) error {
		switch key {
		case "name":
			p.Name = jsonString(value)
		case "version":
			p.Version = jsonString(value)
		case "private":
			private = jsonTrue(value)
		case "license", "licenses":
			p.Licenses = append(p.Licenses, npmLicenses(value)...)
		case "author":
			p.Supplier = npmPerson(value)
		}
		return nil
	})
	if err != nil {
		return facts, corrupt("read package.json", "%w", err)
	}
	// Directories within packages carry a package.json to say "type": "module";
	// private ones were never in a registry.
	if p.Version = strings.TrimLeft(p.Version, "v= "); private || !identified(&p) {
		return facts, nil
	}
	_, inner, archived := strings.Cut(path, "!/")
	if !archived {
		inner = path
	}
	p.Bundled, _ = nodePackage(inner)
	facts.Packages = []plimsoll.Package{p}
	return facts, nil
}

// nodePackage says whether the package.json at p describes a directory that
// Node resolves, and which package it is part of: everything below npm's own
// directory came with npm, and a node_modules that is not next to a package.json
// was shipped by the package around it. Directories of tests and examples hold
// made-up packages.
func nodePackage(p string) (bundler string, ok bool) {
	rest, found := p, false
	for _, root := range [...]string{"usr/share/nodejs/", "usr/lib/nodejs/"} {
		if strings.HasPrefix(p, root) {
			rest, found = p[len(root):], true
		}
	}
	if !found {
		if rest, found = cutModules(p); !found {
			return "", yarnItself(p)
		}
	}
	name := ""
	for {
		if bundler == "" && name == "npm" {
			bundler = "npm"
		}
		store := strings.HasPrefix(rest, ".")
		if store {
			// .pnpm/name@1.0.0/node_modules/name, .bun/…, and of Yarn
			// .store/name-npm-1.0.0-hash/package.
			if _, rest, found = strings.Cut(rest, "/"); !found {
				return "", false
			}
			if _, rest, found = strings.Cut(rest, "/"); !found {
				return "", false
			}
		} else if name, rest, found = cutPackage(rest); !found {
			return "", false
		}
		switch {
		case store && rest == "package/package.json", !store && rest == "package.json":
			return bundler, true
		case strings.HasPrefix(rest, modules):
			rest = rest[len(modules):]
			continue
		}
		inner, more := cutModules(rest)
		if !more || store || testTree(rest[:len(rest)-len(inner)]) {
			return "", false
		}
		if bundler == "" {
			bundler = name
		}
		rest = inner
	}
}

const modules = "node_modules/"

// cutModules returns what follows the first node_modules directory of p.
func cutModules(p string) (rest string, found bool) {
	for i := 0; ; {
		n := strings.Index(p[i:], modules)
		if n < 0 {
			return "", false
		}
		if i += n; i == 0 || p[i-1] == '/' {
			return p[i+len(modules):], true
		}
		i += len(modules)
	}
}

// cutPackage cuts the directory "name/" or "@scope/name/" from p.
func cutPackage(p string) (name, rest string, ok bool) {
	i := strings.IndexByte(p, '/')
	if i <= 0 {
		return "", "", false
	}
	if p[0] == '@' {
		n := strings.IndexByte(p[i+1:], '/')
		if n <= 0 {
			return "", "", false
		}
		i += 1 + n
	}
	return p[:i], p[i+1:], true
}

// testTree says whether a directory on the way is for tests or examples.
func testTree(dir string) bool {
	for dir != "" {
		var segment string
		segment, dir, _ = strings.Cut(dir, "/")
		switch segment {
		case "test", "tests", "__tests__", "testing", "testdata", "spec", "fixture", "fixtures", "__fixtures__",
			"mock", "mocks", "__mocks__", "example", "examples", "demo", "demos", "bench", "benchmark", "benchmarks":
			return true
		}
	}
	return false
}

// yarnItself recognises the directory of a Yarn 1 that was unpacked by hand, as
// the official Node images do: /opt/yarn-v1.22.22/package.json.
func yarnItself(p string) bool {
	dir, _ := split(p)
	_, base := split(dir)
	return strings.HasPrefix(base, "yarn-v")
}

// npmLicenses reads the forms that the field has had: an SPDX expression, an
// object {type, url}, and a list of either.
func npmLicenses(value []byte) []string {
	if len(value) == 0 {
		return nil
	}
	switch value[0] {
	case '"':
		return licenses(jsonString(value))
	case '{':
		return licenses(jsonField(value, "type"))
	case '[':
		var list []string
		_ = elements(value, func(v []byte) error {
			if len(list) < maxLicenses && len(v) > 0 && v[0] != '[' {
				list = append(list, npmLicenses(v)...)
			}
			return nil
		})
		return list
	}
	return nil
}

// npmPerson reads "Name <mail> (url)" or {name, email}.
func npmPerson(value []byte) string {
	if len(value) > 0 && value[0] == '{' {
		return text(jsonField(value, "name"), maxName)
	}
	name, _, _ := strings.Cut(jsonString(value), "(")
	name, _, _ = strings.Cut(name, "<")
	return text(name, maxName)
}

// hiddenLock reads npm's record of the tree it installed. It adds to packages
// that their own package.json proves, and proves none itself.
func hiddenLock(f inventory.File) (inventory.Facts, error) {
	const op = "read npm's hidden lock file"
	var facts inventory.Facts
	data, err := read(f, maxRecords, op)
	if err != nil {
		return facts, err
	}
	root := strings.TrimSuffix(f.Path, "node_modules/.package-lock.json")
	inBundle := map[string]bool{}
	err = members(data, func(key string, value []byte) error {
		if key != "packages" {
			return nil
		}
		return members(value, func(dir string, entry []byte) error {
			if len(inBundle) >= maxPackages {
				return errTooMany
			}
			note := func(key inventory.NoteKey, value string) {
				facts.Notes = append(facts.Notes, inventory.Note{Path: root + dir + "/package.json", Key: key, Value: value})
			}
			// A workspace's own directory is no package that was installed.
			if _, ok := cutModules(dir); !ok || strings.Contains(dir, "../") || len(dir) > 4096 {
				return nil
			}
			inBundle[dir] = false
			return members(entry, func(key string, value []byte) error {
				switch key {
				case "dev":
					if jsonTrue(value) {
						note(inventory.NoteDev, "")
					}
				case "inBundle":
					inBundle[dir] = jsonTrue(value)
				case "name":
					if name := text(jsonString(value), maxName); name != "" && len(jsonString(value)) <= maxName {
						note(inventory.NoteAlias, name)
					}
				}
				return nil
			})
		})
	})
	if err != nil {
		return facts, recordsError(op, err)
	}
	for _, dir := range sortedKeys(inBundle) {
		if !inBundle[dir] {
			continue
		}
		// The bundler is the nearest package around it that is not bundled itself.
		bundler := dir
		for inBundle[bundler] {
			i := strings.LastIndex(bundler, "/"+modules)
			if i < 0 {
				break
			}
			bundler = bundler[:i]
		}
		name := bundler // a workspace's directory
		if i := strings.LastIndex(bundler, modules); i >= 0 {
			name = bundler[i+len(modules):]
		}
		facts.Notes = append(facts.Notes, inventory.Note{
			Path: root + dir + "/package.json", Key: inventory.NoteBundled, Value: text(name, maxName),
		})
	}
	return facts, nil
}
