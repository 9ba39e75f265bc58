package langpkg

import (
	"context"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// conda reads conda-meta/NAME-VERSION-BUILD.json, one record for each package of
// a conda environment. A conda package that carries a Python distribution is
// found a second time by that one's own metadata, under PyPI's name, which is
// often another one ("pytorch", "torch"). The record lists its files, so the
// second is noted as one that conda installed; what pip put into the environment
// has no record and stays as it is (acceptance PY-04).
type conda struct{}

func (conda) Name() string { return "conda" }
func (conda) Version() int { return 2 }

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
	var records []string
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
		case "files":
			return elements(value, func(file []byte) error {
				if name := jsonString(file); pythonRecord(name) && len(records) < maxCondaRecords {
					records = append(records, name)
				}
				return nil
			})
		}
		return nil
	})
	if err != nil {
		return facts, corrupt(op, "%w", err)
	}
	if !identified(&p) {
		return facts, nil
	}
	facts.Packages = []plimsoll.Package{p}
	environment, _ := split(f.Path)
	environment = strings.TrimSuffix(environment, "conda-meta")
	for _, name := range records {
		facts.Notes = append(facts.Notes, inventory.Note{Path: environment + name, Key: inventory.NoteOrigin, Value: text("conda: "+p.Name+" "+p.Version, maxOrigin)})
	}
	return facts, nil
}

// maxCondaRecords bounds the Python distributions of one conda package; most
// have one.
const maxCondaRecords = 100

// pythonRecord says whether a file that a conda package lists is the metadata of
// a Python distribution in the environment.
func pythonRecord(name string) bool {
	return len(name) < 1024 && !strings.Contains(name, "..") && !strings.HasPrefix(name, "/") &&
		(hasSuffixFold(name, ".dist-info/metadata") || hasSuffixFold(name, ".egg-info/pkg-info"))
}
