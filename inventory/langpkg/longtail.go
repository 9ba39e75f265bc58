package langpkg

import (
	"bytes"
	"context"
	"regexp"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// Ecosystems whose installed packages say name and version in one simple file.

// erlang reads ebin/NAME.app of Erlang and Elixir applications, and OTP_VERSION
// of the runtime. Applications of the runtime itself are part of it.
type erlang struct{}

func (erlang) Name() string { return "erlang" }
func (erlang) Version() int { return 1 }

func (erlang) Wants(p string) inventory.Want {
	if strings.HasSuffix(p, ".app") && strings.Contains(p, "/ebin/") ||
		strings.HasSuffix(p, "/OTP_VERSION") && strings.Contains(p, "/releases/") {
		return inventory.Yes
	}
	return inventory.No
}

var (
	appName    = regexp.MustCompile(`\{\s*application\s*,\s*'?([a-z][A-Za-z0-9_@]*)'?\s*,`)
	appVersion = regexp.MustCompile(`\{\s*vsn\s*,\s*"([^"]*)"\s*\}`)
)

func (erlang) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	data, err := head(f, 256<<10, "read erlang application")
	if err != nil {
		return inventory.Facts{}, err
	}
	p := plimsoll.Package{Type: plimsoll.TypeHex, Path: f.Path, Evidence: plimsoll.EvidenceMetadata}
	if strings.HasSuffix(f.Path, "/OTP_VERSION") {
		p.Type, p.Name, p.Version = plimsoll.TypeGeneric, "erlang", strings.Trim(string(data), "* \n")
	} else {
		name, version := appName.FindSubmatch(data), appVersion.FindSubmatch(data)
		if name == nil || version == nil {
			return inventory.Facts{}, nil
		}
		p.Name, p.Version = string(name[1]), string(version[1])
		switch {
		case strings.Contains(f.Path, "lib/erlang/lib/"):
			p.Type, p.Bundled = plimsoll.TypeGeneric, "erlang"
		case strings.Contains(f.Path, "lib/elixir/lib/"):
			p.Type, p.Bundled = plimsoll.TypeGeneric, "elixir"
		}
	}
	if !identified(&p) {
		return inventory.Facts{}, nil
	}
	return inventory.Facts{Packages: []plimsoll.Package{p}}, nil
}

// cran reads the DESCRIPTION of installed R packages, which have a Built field
// (Writing R Extensions, section 1.1.1).
type cran struct{}

func (cran) Name() string { return "cran" }
func (cran) Version() int { return 1 }

func (cran) Wants(p string) inventory.Want {
	if dir, ok := strings.CutSuffix(p, "/DESCRIPTION"); ok {
		if library, _ := split(dir); strings.HasSuffix(library, "library") {
			return inventory.Yes
		}
	}
	return inventory.No
}

func (cran) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	data, err := head(f, maxText, "read R package description")
	if err != nil {
		return inventory.Facts{}, err
	}
	p := plimsoll.Package{Type: plimsoll.TypeCRAN, Path: f.Path, Evidence: plimsoll.EvidenceMetadata}
	built := false
	for line := range bytes.Lines(data) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		switch v := strings.TrimSpace(string(value)); string(key) {
		case "Package":
			p.Name = v
		case "Version":
			p.Version = v
		case "License":
			p.Licenses = licenses(v)
		case "Maintainer":
			p.Supplier = text(mailName(v), maxName)
		case "Priority":
			if v == "base" {
				p.Bundled = "R"
			}
		case "Built":
			built = true
		}
	}
	if !built || !identified(&p) {
		return inventory.Facts{}, nil
	}
	return inventory.Facts{Packages: []plimsoll.Package{p}}, nil
}

// cpan reads .meta/DIST-VERSION/install.json, which cpanm leaves beside the
// modules it installed. Other installers leave no version (.packlist).
type cpan struct{}

func (cpan) Name() string { return "cpan" }
func (cpan) Version() int { return 1 }

func (cpan) Wants(p string) inventory.Want {
	if strings.HasSuffix(p, "/install.json") && strings.Contains(p, "/.meta/") {
		return inventory.Yes
	}
	return inventory.No
}

func (cpan) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	const op = "read perl install record"
	data, err := read(f, maxText, op)
	if err != nil {
		return inventory.Facts{}, err
	}
	p := plimsoll.Package{Type: plimsoll.TypeCPAN, Path: f.Path, Evidence: plimsoll.EvidencePackageDB}
	err = members(data, func(key string, value []byte) error {
		switch key {
		case "name": // the module; advisories and purl name the distribution
			if p.Name == "" {
				p.Name = strings.ReplaceAll(jsonString(value), "::", "-")
			}
		case "dist":
			if i := strings.LastIndexByte(jsonString(value), '-'); i > 0 {
				p.Name = jsonString(value)[:i]
			}
		case "version":
			if p.Version = jsonString(value); p.Version == "" {
				p.Version = string(value)
			}
		}
		return nil
	})
	if err != nil {
		return inventory.Facts{}, corrupt(op, "%w", err)
	}
	if !identified(&p) || p.Version == "null" {
		return inventory.Facts{}, nil
	}
	return inventory.Facts{Packages: []plimsoll.Package{p}}, nil
}

// luarocks goes by the place of a rock's manifest, which is
// lib/luarocks/rocks-5.1/NAME/VERSION/rock_manifest. It is not opened.
type luarocks struct{}

func (luarocks) Name() string { return "luarocks" }
func (luarocks) Version() int { return 1 }

func (luarocks) Wants(p string) inventory.Want {
	if strings.HasSuffix(p, "/rock_manifest") && strings.Contains(p, "luarocks/rocks") {
		return inventory.Yes
	}
	return inventory.No
}

func (luarocks) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	dir, _ := split(f.Path)
	dir, version := split(dir)
	dir, name := split(dir)
	if _, tree := split(dir); !strings.HasPrefix(tree, "rocks") {
		return inventory.Facts{}, nil
	}
	p := plimsoll.Package{Type: plimsoll.TypeLuaRocks, Name: name, Version: version, Path: f.Path, Evidence: plimsoll.EvidencePackageDB}
	if !identified(&p) {
		return inventory.Facts{}, nil
	}
	return inventory.Facts{Packages: []plimsoll.Package{p}}, nil
}
