package langpkg

import (
	"context"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// sbom reads what CycloneDX and SPDX documents within an image claim. A claim
// is weaker than a package that is there: system packages are left to their
// database, and documents that only describe what another analyser sees anyway
// (in node_modules) are not read.
type sbom struct{}

func (sbom) Name() string { return "sbom" }
func (sbom) Version() int { return 4 }

func (sbom) Wants(p string) inventory.Want {
	if !strings.HasSuffix(p, ".json") && !strings.HasSuffix(p, ".spdx") {
		return inventory.No
	}
	_, base := split(p)
	switch {
	case strings.HasSuffix(base, ".cdx.json"), strings.HasSuffix(base, ".spdx.json"), strings.HasSuffix(base, ".cyclonedx.json"),
		base == "bom.json", base == "sbom.json", strings.HasPrefix(base, ".spdx-") && strings.HasSuffix(base, ".spdx"):
		if !strings.Contains(p, modules) {
			return inventory.Yes
		}
	}
	return inventory.No
}

func (sbom) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	const op = "read SBOM"
	data, err := read(f, maxRecords, op)
	if err != nil {
		return inventory.Facts{}, err
	}
	if i := space(data, 0); i == len(data) || data[i] != '{' {
		return inventory.Facts{}, nil // SPDX in its tag-value form, or something else by a common name
	}
	claimed, err := parseSBOM(data)
	bundler := ""
	// PEP 770: a wheel's own list of the libraries that were copied into it.
	if info, _, ok := strings.Cut(f.Path, ".dist-info/sboms/"); ok {
		_, bundler = split(info)
		bundler, _, _ = strings.Cut(bundler, "-")
	}
	for i := range claimed {
		claimed[i].Path, claimed[i].Bundled = f.Path, text(bundler, maxName)
	}
	if err != nil {
		return inventory.Facts{Packages: claimed}, recordsError(op, err)
	}
	return inventory.Facts{Packages: claimed}, nil
}

// parseSBOM returns the packages with a purl of a CycloneDX or SPDX 2 document
// in JSON; any other JSON document gives none. The order is the document's.
func parseSBOM(data []byte) ([]plimsoll.Package, error) {
	var list []plimsoll.Package
	seen := map[string]bool{}
	add := func(purl string, licenses []string) error {
		p, ok := fromPURL(purl)
		if !ok || p.Type.System() || !identified(&p) || seen[purl] {
			return nil
		}
		if len(list) >= maxPackages {
			return errTooMany
		}
		seen[purl] = true
		p.Licenses, p.Evidence = licenses, plimsoll.EvidenceSBOM
		list = append(list, p)
		return nil
	}
	tool := ""
	err := members(data, func(key string, value []byte) error {
		switch key {
		case "metadata", "creationInfo":
			tool = writtenBy(value)
		case "components":
			return cyclonedx(value, maxAssembly, add)
		case "packages":
			if len(value) == 0 || value[0] != '[' {
				return nil
			}
			return elements(value, func(entry []byte) error { return spdx(entry, add) })
		}
		return nil
	})
	if tool != "" {
		for i := range list {
			list[i].Remark = "claimed by an SBOM of " + tool
		}
	}
	return list, err
}

// writtenBy names the tool that wrote a document, by CycloneDX's metadata or SPDX's
// creationInfo; "" when neither says.
func writtenBy(value []byte) (tool string) {
	name := func(entry []byte) error {
		if tool == "" {
			tool = text(strings.TrimSpace(jsonField(entry, "name")+" "+jsonField(entry, "version")), maxName)
		}
		return nil
	}
	_ = members(value, func(key string, value []byte) error {
		switch {
		case key == "creators":
			for _, creator := range jsonStrings(value) {
				if is, ok := strings.CutPrefix(creator, "Tool:"); ok && tool == "" {
					tool = text(strings.TrimSpace(is), maxName)
				}
			}
		case key == "tools" && len(value) > 0 && value[0] == '[':
			return elements(value, name)
		case key == "tools": // since 1.5
			return members(value, func(key string, value []byte) error {
				if key == "components" {
					return elements(value, name)
				}
				return nil
			})
		}
		return nil
	})
	return tool
}

// maxAssembly is how deep components within components are followed.
const maxAssembly = 10

// cyclonedx walks components and those assembled in them.
func cyclonedx(components []byte, depth int, add func(purl string, licenses []string) error) error {
	return elements(components, func(c []byte) error {
		var purl string
		var declared []string
		var inner []byte
		if err := members(c, func(key string, value []byte) error {
			switch key {
			case "purl":
				purl = jsonString(value)
			case "components":
				inner = value
			case "licenses":
				return elements(value, func(l []byte) error {
					if len(declared) >= maxLicenses {
						return nil
					}
					return members(l, func(key string, value []byte) error {
						switch key {
						case "expression":
							declared = append(declared, licenses(jsonString(value))...)
						case "license":
							id := jsonField(value, "id")
							if id == "" {
								id = jsonField(value, "name")
							}
							declared = append(declared, licenses(id)...)
						}
						return nil
					})
				})
			}
			return nil
		}); err != nil {
			return err
		}
		if err := add(purl, declared); err != nil || inner == nil || depth == 0 {
			return err
		}
		return cyclonedx(inner, depth-1, add)
	})
}

func spdx(entry []byte, add func(purl string, licenses []string) error) error {
	var purl, declared string
	if err := members(entry, func(key string, value []byte) error {
		switch key {
		case "licenseDeclared":
			declared = jsonString(value)
		case "externalRefs":
			return elements(value, func(ref []byte) error {
				if jsonField(ref, "referenceType") == "purl" {
					purl = jsonField(ref, "referenceLocator")
				}
				return nil
			})
		}
		return nil
	}); err != nil {
		return err
	}
	if declared == "NOASSERTION" || declared == "NONE" {
		declared = ""
	}
	return add(purl, licenses(declared))
}

// fromPURL reads "pkg:type/namespace/name@version?qualifiers#subpath" for the
// types that Plimsoll judges.
func fromPURL(purl string) (p plimsoll.Package, ok bool) {
	rest, ok := strings.CutPrefix(purl, "pkg:")
	if !ok || len(purl) > 4096 {
		return p, false
	}
	rest, _, _ = strings.Cut(rest, "#")
	rest, _, _ = strings.Cut(rest, "?")
	rest = strings.TrimLeft(rest, "/")
	kind, rest, ok := strings.Cut(rest, "/")
	at := strings.LastIndexByte(rest, '@')
	if !ok || at <= 0 {
		return p, false
	}
	p.Type = plimsoll.PackageType(strings.ToLower(kind))
	p.Version = unescape(rest[at+1:])
	path := strings.Trim(rest[:at], "/")
	namespace, name := split(path)
	namespace, name = unescape(namespace), unescape(name)
	switch p.Type {
	case plimsoll.TypeMaven:
		p.Name = name
		if namespace != "" {
			p.Name = namespace + ":" + name
		}
	case plimsoll.TypeNPM, plimsoll.TypeGo, plimsoll.TypeComposer, plimsoll.TypeSwift:
		p.Name = strings.Trim(namespace+"/"+name, "/")
	case plimsoll.TypeBitnami:
		p.Name = name
		p.Version, _, _ = strings.Cut(p.Version, "-") // the revision of Bitnami's packaging, which its advisories do not know
	case plimsoll.TypePyPI, plimsoll.TypeCargo, plimsoll.TypeNuGet, plimsoll.TypeGem, plimsoll.TypeConda, plimsoll.TypeGeneric,
		plimsoll.TypeHex, plimsoll.TypeCRAN, plimsoll.TypeCPAN, plimsoll.TypeLuaRocks, plimsoll.TypePub, plimsoll.TypeHackage:
		p.Name = name
	default:
		return p, false
	}
	return p, p.Name != ""
}

// unescape decodes %XX; what is no escape stays.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && hex(s[i+1]) < 16 && hex(s[i+2]) < 16 {
			b = append(b, hex(s[i+1])<<4|hex(s[i+2]))
			i += 2
			continue
		}
		b = append(b, s[i])
	}
	return string(b)
}

func hex(c byte) byte {
	switch {
	case digit(c):
		return c - '0'
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return c | 0x20 - 'a' + 10
	}
	return 16
}
