package langpkg

import (
	"context"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// composer reads vendor/composer/installed.json, Composer's record of what it
// unpacked: an array in version 1, an object with the names of development
// packages in version 2. Versions are kept as the projects tagged them, "v" and
// "dev-" included.
type composer struct{}

func (composer) Name() string { return "composer" }
func (composer) Version() int { return 1 }

func (composer) Wants(p string) inventory.Want {
	if strings.HasSuffix(p, "composer/installed.json") {
		return inventory.Yes
	}
	return inventory.No
}

func (composer) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	const op = "read Composer's installed.json"
	var facts inventory.Facts
	data, err := read(f, maxRecords, op)
	if err != nil {
		return facts, err
	}
	packages := data
	dev := map[string]bool{}
	if i := space(data, 0); i < len(data) && data[i] == '{' {
		packages = []byte("[]")
		err = members(data, func(key string, value []byte) error {
			switch key {
			case "packages":
				packages = value
			case "dev-package-names":
				for _, name := range jsonStrings(value) {
					dev[name] = true
				}
			}
			return nil
		})
	}
	if err == nil {
		err = elements(packages, func(entry []byte) error {
			p := plimsoll.Package{Type: plimsoll.TypeComposer, Path: f.Path, Evidence: plimsoll.EvidencePackageDB}
			if err := members(entry, func(key string, value []byte) error {
				switch key {
				case "name":
					p.Name = jsonString(value)
				case "version":
					p.Version = jsonString(value)
				case "license":
					p.Licenses = licenses(jsonStrings(value)...)
				case "authors":
					author, _ := pair(value)
					p.Supplier = text(jsonField(author, "name"), maxName)
				}
				return nil
			}); err != nil {
				return err
			}
			p.Dev = dev[p.Name]
			return keep(&facts, p)
		})
	}
	if err != nil {
		return facts, recordsError(op, err)
	}
	return facts, nil
}
