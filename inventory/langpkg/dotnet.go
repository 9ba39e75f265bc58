package langpkg

import (
	"context"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// dotnet reads the deps.json beside a .NET program: NuGet packages whose
// assemblies were deployed with it. Entries without assets at run time are
// references that the compiler needed, and are not there. The shared runtime is
// known by its directory, shared/Microsoft.NETCore.App/8.0.11.
type dotnet struct{}

func (dotnet) Name() string { return "dotnet" }
func (dotnet) Version() int { return 1 }

func (dotnet) Wants(p string) inventory.Want {
	if strings.HasSuffix(p, ".deps.json") {
		return inventory.Yes
	}
	return inventory.No
}

func (dotnet) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	const op = "read deps.json"
	var facts inventory.Facts
	data, err := read(f, maxRecords, op)
	if err != nil {
		return facts, err
	}
	if i := space(data, 0); i < len(data) && data[i] == '[' {
		return facts, nil // a list of scripts, as WordPress has by this name
	}
	var runtime string
	var targets, libraries []byte
	err = members(data, func(key string, value []byte) error {
		switch key {
		case "runtimeTarget":
			if runtime = jsonString(value); runtime == "" {
				runtime = jsonField(value, "name")
			}
		case "targets":
			targets = value
		case "libraries":
			libraries = value
		}
		return nil
	})
	if err != nil {
		return facts, corrupt(op, "%w", err)
	}
	deployed := map[string]bool{}
	if targets != nil {
		err = members(targets, func(target string, value []byte) error {
			if target != runtime && runtime != "" {
				return nil
			}
			return members(value, func(library string, entry []byte) error {
				if len(deployed) >= maxPackages {
					return errTooMany
				}
				if there, err := hasAssets(entry); err != nil || !there {
					return err
				}
				deployed[library] = true
				return nil
			})
		})
	}
	if err == nil && libraries != nil {
		err = members(libraries, func(library string, entry []byte) error {
			name, version, ok := strings.Cut(library, "/")
			switch kind := jsonField(entry, "type"); {
			case !ok || !deployed[library]:
				return nil
			case kind == "runtimepack":
				name = strings.TrimPrefix(name, "runtimepack.")
			case kind != "package":
				return nil // the program itself, and files without a package
			}
			p := plimsoll.Package{Type: plimsoll.TypeNuGet, Name: name, Version: version, Path: f.Path, Evidence: plimsoll.EvidenceMetadata}
			if len(facts.Packages) >= maxPackages {
				return errTooMany
			}
			if identified(&p) {
				facts.Packages = append(facts.Packages, p)
			}
			return nil
		})
	}
	if p, ok := sharedFramework(f.Path); ok {
		facts.Packages = append(facts.Packages, p)
	}
	if err != nil {
		return facts, recordsError(op, err)
	}
	return facts, nil
}

// hasAssets says whether a library has files at run time. "_._" stands for an
// empty directory.
func hasAssets(entry []byte) (there bool, err error) {
	err = members(entry, func(key string, value []byte) error {
		switch key {
		case "runtime", "native", "runtimeTargets", "resources":
			return members(value, func(file string, _ []byte) error {
				there = there || !strings.HasSuffix(file, "_._")
				return nil
			})
		}
		return nil
	})
	return there, err
}

// sharedFramework reads NAME and VERSION from …/shared/NAME/VERSION/NAME.deps.json.
func sharedFramework(path string) (plimsoll.Package, bool) {
	parts := strings.Split(path, "/")
	n := len(parts)
	if n < 4 || parts[n-4] != "shared" || parts[n-1] != parts[n-3]+".deps.json" || !strings.HasPrefix(parts[n-3], "Microsoft.") {
		return plimsoll.Package{}, false
	}
	p := plimsoll.Package{Type: plimsoll.TypeNuGet, Name: parts[n-3], Version: parts[n-2], Path: path, Evidence: plimsoll.EvidenceFileName}
	return p, identified(&p)
}
