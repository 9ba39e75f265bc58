package langpkg

import (
	"context"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// conda reads conda-meta/NAME-VERSION-BUILD.json, one record for each package of
// a conda environment. A conda package that carries a Python distribution is
// found a second time by that one's own metadata, under PyPI's name.
type conda struct{}

func (conda) Name() string { return "conda" }
func (conda) Version() int { return 1 }

func (conda) Wants(p string) inventory.Want {
	if !strings.HasSuffix(p, ".json") {
		return inventory.No
	}
	if dir, _ := split(p); strings.HasSuffix(dir, "conda-meta") {
		return inventory.Yes
	}
	return inventory.No
}

func (conda) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	const op = "read conda record"
	var facts inventory.Facts
	data, err := read(f, maxRecords, op)
	if err != nil {
		return facts, err
	}
	p := plimsoll.Package{Type: plimsoll.TypeConda, Path: f.Path, Evidence: plimsoll.EvidencePackageDB}
	err = members(data, func(key string, value []byte) error {
		switch key {
		case "name":
			p.Name = jsonString(value)
		case "version":
			p.Version = jsonString(value)
		case "license":
			p.Licenses = licenses(jsonString(value))
		case "subdir":
			p.Arch = text(jsonString(value), 32)
		}
		return nil
	})
	if err != nil {
		return facts, corrupt(op, "%w", err)
	}
	if identified(&p) {
		facts.Packages = []plimsoll.Package{p}
	}
	return facts, nil
}
