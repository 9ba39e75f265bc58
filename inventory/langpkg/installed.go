package langpkg

import (
	"bytes"
	"context"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// Ecosystems that compile into programs which no longer say what is in them: what
// can be seen are the package stores and build records that stayed in the image.

// dart goes by the place of a package in pub's cache, which is
// hosted/pub.dev/NAME-VERSION. The pubspec.yaml there is not opened. A version
// file names the SDK.
type dart struct{}

func (dart) Name() string { return "dart" }
func (dart) Version() int { return 1 }

func (dart) Wants(p string) inventory.Want {
	switch {
	case strings.HasSuffix(p, "/pubspec.yaml"):
		dir, _ := split(p)
		if store, _ := split(dir); strings.HasSuffix(store, "/hosted/pub.dev") || strings.HasSuffix(store, "/hosted/pub.dartlang.org") {
			return inventory.Yes
		}
	case strings.HasSuffix(p, "dart/version"), strings.HasSuffix(p, "dart-sdk/version"):
		return inventory.Yes
	}
	return inventory.No
}

func (dart) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	dir, base := split(f.Path)
	p := plimsoll.Package{Type: plimsoll.TypePub, Path: f.Path, Evidence: plimsoll.EvidencePackageDB}
	if base == "version" {
		data, err := head(f, maxVersion, "read version of the Dart SDK")
		if err != nil {
			return inventory.Facts{}, err
		}
		p.Type, p.Name, p.Version, p.Evidence = plimsoll.TypeGeneric, "dart", strings.TrimSpace(string(data)), plimsoll.EvidenceMetadata
		if p.Version == "" || !digit(p.Version[0]) {
			return inventory.Facts{}, nil // a file of something else
		}
	} else {
		_, name := split(dir)
		p.Name, p.Version, _ = strings.Cut(name, "-") // names have no hyphen
	}
	if !identified(&p) {
		return inventory.Facts{}, nil
	}
	return inventory.Facts{Packages: []plimsoll.Package{p}}, nil
}

// haskell reads the package databases of GHC and cabal, one NAME-VERSION.conf for
// each installed library (Cabal, installed package info). Libraries in GHC's own
// database came with it.
type haskell struct{}

func (haskell) Name() string { return "haskell" }
func (haskell) Version() int { return 1 }

func (haskell) Wants(p string) inventory.Want {
	if strings.HasSuffix(p, ".conf") {
		if dir, _ := split(p); strings.HasSuffix(dir, "/package.conf.d") || strings.HasSuffix(dir, "/package.db") {
			return inventory.Yes
		}
	}
	return inventory.No
}

func (haskell) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	data, err := head(f, maxText, "read Haskell package")
	if err != nil {
		return inventory.Facts{}, err
	}
	p := plimsoll.Package{Type: plimsoll.TypeHackage, Path: f.Path, Evidence: plimsoll.EvidencePackageDB}
	for line := range bytes.Lines(data) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || line[0] == ' ' || line[0] == '\t' {
			continue
		}
		switch v := strings.TrimSpace(string(value)); string(key) {
		case "name":
			p.Name = v
		case "version":
			p.Version = v
		case "license":
			p.Licenses = licenses(v)
		case "maintainer":
			p.Supplier = text(v, maxName)
		case "package-name": // the library within a package
			p.Name = v
		}
	}
	if dir, _ := split(f.Path); strings.Contains(dir, "ghc") && strings.HasSuffix(dir, "/package.conf.d") {
		p.Bundled = "ghc"
	}
	if !identified(&p) {
		return inventory.Facts{}, nil
	}
	return inventory.Facts{Packages: []plimsoll.Package{p}}, nil
}

// swift reads .build/workspace-state.json, in which the Swift package manager
// keeps what it checked out and built. Package.resolved is a wish and not read.
type swift struct{}

func (swift) Name() string { return "swift" }
func (swift) Version() int { return 1 }

func (swift) Wants(p string) inventory.Want {
	if strings.HasSuffix(p, ".build/workspace-state.json") {
		return inventory.Yes
	}
	return inventory.No
}

func (swift) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	const op = "read Swift workspace state"
	var facts inventory.Facts
	data, err := read(f, maxRecords, op)
	if err != nil {
		return facts, err
	}
	err = members(data, func(key string, value []byte) error {
		if key != "object" {
			return nil
		}
		return members(value, func(key string, value []byte) error {
			if key != "dependencies" || len(value) == 0 || value[0] != '[' {
				return nil
			}
			return elements(value, func(entry []byte) error {
				p := plimsoll.Package{Type: plimsoll.TypeSwift, Path: f.Path, Evidence: plimsoll.EvidencePackageDB}
				if err := members(entry, func(key string, value []byte) error {
					switch key {
					case "packageRef":
						for _, field := range [...]string{"path", "location"} { // the old name and the new
							if v := jsonField(value, field); v != "" {
								p.Name = swiftName(v)
							}
						}
					case "state":
						return members(value, func(key string, value []byte) error {
							if key == "checkoutState" {
								p.Version = jsonField(value, "version")
							}
							return nil
						})
					}
					return nil
				}); err != nil {
					return err
				}
				if p.Version == "" {
					return nil // a branch or a local directory
				}
				return keep(&facts, p)
			})
		})
	})
	if err != nil {
		return facts, recordsError(op, err)
	}
	return facts, nil
}

// swiftName writes the address of a repository as advisories and purl do:
// "github.com/apple/swift-nio".
func swiftName(address string) string {
	address = withoutSecret(address)
	if _, rest, ok := strings.Cut(address, "://"); ok {
		address = rest
	} else if user, rest, ok := strings.Cut(address, "@"); ok && !strings.Contains(user, "/") {
		address = strings.Replace(rest, ":", "/", 1)
	}
	return strings.TrimSuffix(strings.Trim(address, "/"), ".git")
}
