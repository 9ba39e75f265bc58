package langpkg

import (
	"compress/zlib"
	"io"

	"plimsoll"
	"plimsoll/inventory"
)

// rustFacts reads the dependency list that cargo-auditable links into programs:
// zlib-compressed JSON in the section ".dep-v0". Crates that only the build
// needed are not in the program. Crates from elsewhere than crates.io keep their
// source as origin, so that no advisory of the registry is applied to them.
func rustFacts(f inventory.File, s elfSection) (inventory.Facts, error) {
	const op = "read rust dependency list"
	var facts inventory.Facts
	if s.size > maxRecords {
		return facts, plimsoll.Errorf(plimsoll.CodeLimit, op, "its section has %d bytes", s.size)
	}
	z, err := zlib.NewReader(io.NewSectionReader(f.ReaderAt, s.offset, s.size))
	if err == zlib.ErrHeader || err == zlib.ErrDictionary || err == io.EOF || err == io.ErrUnexpectedEOF {
		return facts, corrupt(op, "%w", err)
	}
	if err != nil {
		return facts, readError(op, err)
	}
	data, err := io.ReadAll(io.LimitReader(z, maxRecords+1))
	if err != nil {
		return facts, zipError(op, diskError(err))
	}
	if len(data) > maxRecords {
		return facts, plimsoll.Errorf(plimsoll.CodeLimit, op, "it expands to more than %d bytes", maxRecords)
	}
	err = members(data, func(key string, value []byte) error {
		if key != "packages" {
			return nil
		}
		return elements(value, func(entry []byte) error {
			p := plimsoll.Package{Type: plimsoll.TypeCargo, Path: f.Path, Evidence: plimsoll.EvidenceBuildInfo}
			var source, kind string
			if err := members(entry, func(key string, value []byte) error {
				switch key {
				case "name":
					p.Name = jsonString(value)
				case "version":
					p.Version = jsonString(value)
				case "source":
					source = jsonString(value)
				case "kind":
					kind = jsonString(value)
				}
				return nil
			}); err != nil {
				return err
			}
			if kind == "build" || kind == "dev" {
				return nil
			}
			if source != "crates.io" {
				p.Origin = text(source, maxOrigin)
			}
			return keep(&facts, p)
		})
	})
	if err != nil {
		return facts, recordsError(op, err)
	}
	return facts, nil
}
