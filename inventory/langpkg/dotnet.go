package langpkg

import (
	"context"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// dotnet reads the deps.json beside a .NET program: NuGet packages whose
// assemblies were deployed with it. Entries without assets at run time are
// references that the compiler needed, and are not there. The shared runtime is
// known by its directory, shared/Microsoft.NETCore.App/8.0.11, and named like the
// pack that self-contained programs carry, which is what advisories are about.
// Assemblies that no deps.json accounts for say name and version themselves.
type dotnet struct{}

func (dotnet) Name() string { return "dotnet" }
func (dotnet) Version() int { return 2 }

func (dotnet) Wants(p string) inventory.Want {
	if strings.HasSuffix(p, ".deps.json") || hasSuffixFold(p, ".dll") && !hasSuffixFold(p, ".resources.dll") {
		return inventory.Yes
	}
	return inventory.No
}

func (dotnet) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	if !strings.HasSuffix(f.Path, ".deps.json") {
		return assembly(f)
	}
	data, err := read(f, maxRecords, "read deps.json")
	if err != nil {
		return inventory.Facts{}, err
	}
	return deployedLibraries(f.Path, data)
}

// deployedLibraries reads the deps.json at path, or the one in a bundle there.
func deployedLibraries(path string, data []byte) (inventory.Facts, error) {
	const op = "read deps.json"
	var facts inventory.Facts
	if i := space(data, 0); i < len(data) && data[i] == '[' {
		return facts, nil // a list of scripts, as WordPress has by this name
	}
	var runtime string
	var targets, libraries []byte
	err := members(data, func(key string, value []byte) error {
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
	dir, _ := split(path)
	// An assembly that is accounted for here is none that must say its own name.
	account := func(file string) {
		if hasSuffixFold(file, ".dll") && len(facts.Notes) < maxPackages && len(file) < 1024 && !strings.Contains(file, "..") {
			place := file
			if !strings.HasPrefix(file, "runtimes/") {
				_, place = split(file)
			}
			facts.Notes = append(facts.Notes, inventory.Note{Path: strings.TrimPrefix(dir+"/"+place, "/"), Key: inventory.NoteAbsent})
		}
	}
	if targets != nil {
		err = members(targets, func(target string, value []byte) error {
			if target != runtime && runtime != "" {
				return nil
			}
			return members(value, func(library string, entry []byte) error {
				if len(deployed) >= maxPackages {
					return errTooMany
				}
				if there, err := hasAssets(entry, account); err != nil || !there {
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
			p := plimsoll.Package{Type: plimsoll.TypeNuGet, Name: name, Version: version, Path: path, Evidence: plimsoll.EvidenceMetadata}
			if len(facts.Packages) >= maxPackages {
				return errTooMany
			}
			if identified(&p) {
				facts.Packages = append(facts.Packages, p)
			}
			return nil
		})
	}
	if p, ok := sharedFramework(path, runtime); ok && !slices.ContainsFunc(facts.Packages, func(q plimsoll.Package) bool {
		return strings.EqualFold(q.Name, p.Name)
	}) {
		facts.Packages = append(facts.Packages, p)
	}
	if err != nil {
		return facts, recordsError(op, err)
	}
	return facts, nil
}

// hasAssets says whether a library has files at run time, and tells each of them.
// "_._" stands for an empty directory.
func hasAssets(entry []byte, tell func(file string)) (there bool, err error) {
	err = members(entry, func(key string, value []byte) error {
		switch key {
		case "runtime", "native", "runtimeTargets", "resources":
			return members(value, func(file string, _ []byte) error {
				tell(file)
				there = there || !strings.HasSuffix(file, "_._")
				return nil
			})
		}
		return nil
	})
	return there, err
}

// sharedFramework reads NAME and VERSION from …/shared/NAME/VERSION/NAME.deps.json,
// and the platform from the target ".NETCoreApp,Version=v8.0/linux-x64".
func sharedFramework(path, target string) (plimsoll.Package, bool) {
	parts := strings.Split(path, "/")
	n := len(parts)
	if n < 4 || parts[n-4] != "shared" || parts[n-1] != parts[n-3]+".deps.json" || !strings.HasPrefix(parts[n-3], "Microsoft.") {
		return plimsoll.Package{}, false
	}
	p := plimsoll.Package{Type: plimsoll.TypeNuGet, Name: parts[n-3], Version: parts[n-2], Path: path, Evidence: plimsoll.EvidenceFileName}
	if _, platform, ok := strings.Cut(target, "/"); ok && platform != "" {
		p.Name += ".Runtime." + platform
	}
	return p, identified(&p)
}
