package ospkg

import (
	"context"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// nix reads the names of the directories in Nix's store, which are all that an
// image needs: /nix/store/<hash>-<name>-<version>[-<output>]. Name and version
// part as builtins.parseDrvName of Nix does. Nobody publishes advisories for these
// packages: they are listed (acceptance NIX-01).
type nix struct{}

func (nix) Name() string { return "nix" }
func (nix) Version() int { return 1 }

// Wants takes the files near the top of a package: one is enough to know it, and
// which ones a package has is not known. The merge makes one package of them.
func (nix) Wants(path string) inventory.Want {
	if _, _, ok := nixPackage(path); ok {
		return inventory.Yes
	}
	return inventory.No
}

// nixPackage returns the name and version of the package in whose directory, at
// most two levels below it, path lies.
func nixPackage(path string) (name, version string, ok bool) {
	const hash, depth = 32, 2
	rest, ok := strings.CutPrefix(path, "nix/store/")
	if !ok || len(rest) <= hash || rest[hash] != '-' {
		return "", "", false
	}
	for i := range hash { // Nix's base 32 has no e, o, u, t
		if c := rest[i]; (c < '0' || c > '9') && (c < 'a' || c > 'z') || c == 'e' || c == 'o' || c == 'u' || c == 't' {
			return "", "", false
		}
	}
	entry, inside, ok := strings.Cut(rest[hash+1:], "/")
	if !ok || inside == "" || strings.Count(inside, "/") > depth {
		return "", "", false
	}
	for i := 0; i+1 < len(entry); i++ {
		if c := entry[i+1]; entry[i] == '-' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
			name, version = entry[:i], entry[i+1:]
			break
		}
	}
	for _, output := range [...]string{"-bin", "-data", "-debug", "-dev", "-devdoc", "-dist", "-doc", "-info", "-lib", "-libgcc", "-man", "-out", "-static"} {
		version = strings.TrimSuffix(version, output)
	}
	return name, version, name != "" && version != ""
}

func (nix) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	name, version, _ := nixPackage(f.Path)
	c := &collector{op: "read Nix store"}
	return c.result(c.add(plimsoll.Package{Type: plimsoll.TypeNix, Name: text([]byte(name), maxName+1), Version: text([]byte(version), maxName+1)}))
}
