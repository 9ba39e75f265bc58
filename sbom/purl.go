package sbom

import (
	"strings"

	"github.com/package-url/packageurl-go"

	"plimsoll"
)

// claimed are the types of packages that purls can claim.
var claimed = map[plimsoll.PackageType]bool{
	plimsoll.TypeDeb: true, plimsoll.TypeRPM: true, plimsoll.TypeAPK: true, plimsoll.TypeALPM: true,
	plimsoll.TypeMaven: true, plimsoll.TypeNPM: true, plimsoll.TypePyPI: true, plimsoll.TypeConda: true, plimsoll.TypeGo: true,
	plimsoll.TypeCargo: true, plimsoll.TypeNuGet: true, plimsoll.TypeComposer: true, plimsoll.TypeGem: true, plimsoll.TypeHex: true,
	plimsoll.TypeCRAN: true, plimsoll.TypeCPAN: true, plimsoll.TypeLuaRocks: true, plimsoll.TypeGeneric: true,
	"pub": true, "hackage": true, "swift": true, plimsoll.TypeNix: true, plimsoll.TypeSnap: true, plimsoll.TypeBitnami: true,
}

// fromPURL reads a purl; ok is false when it names no package of a type we know.
func (b *builder) fromPURL(purl string) (p plimsoll.Package, ok bool) {
	if len(purl) > 4*maxText {
		return p, false
	}
	u, err := packageurl.FromString(strings.TrimSpace(purl))
	if err != nil || !claimed[plimsoll.PackageType(u.Type)] || u.Name == "" {
		return p, false
	}
	p = plimsoll.Package{Type: plimsoll.PackageType(u.Type), Name: text(u.Name), Version: text(u.Version), PURL: text(u.ToString())}
	qualifiers := u.Qualifiers.Map()
	switch {
	case p.Type.System():
		if epoch := qualifiers["epoch"]; epoch != "" && epoch != "0" && !strings.Contains(p.Version, ":") {
			p.Version = text(epoch + ":" + p.Version)
		}
		p.Arch, p.Module = text(qualifiers["arch"]), text(qualifiers["rpmmod"])
		p.Source = upstream(&p, text(qualifiers["upstream"]))
		if distro := text(qualifiers["distro"]); distro != "" {
			b.distros[distro]++
		}
	case p.Type == plimsoll.TypeBitnami:
		p.Version, _, _ = strings.Cut(p.Version, "-") // the revision of Bitnami's packaging, which its advisories do not know
	case p.Type == plimsoll.TypeMaven && u.Namespace != "":
		p.Name = text(u.Namespace + ":" + u.Name)
	case u.Namespace != "" && p.Type != plimsoll.TypeConda && p.Type != plimsoll.TypePyPI:
		p.Name = text(u.Namespace + "/" + u.Name)
	}
	return p, p.Name != ""
}

// upstream reads the qualifier that names a source: "openssl", "openssl@3.0.11-1",
// or a source rpm's file. What names none is its own source.
func upstream(p *plimsoll.Package, word string) plimsoll.SourcePackage {
	source := plimsoll.SourcePackage{Name: p.Name, Version: p.Version}
	switch file, isFile := strings.CutSuffix(word, ".src.rpm"); {
	case word == "":
	case isFile:
		release := strings.LastIndexByte(file, '-')
		if release <= 0 {
			break
		}
		if version := strings.LastIndexByte(file[:release], '-'); version > 0 {
			source = plimsoll.SourcePackage{Name: file[:version], Version: file[version+1:]}
			if epoch, _, ok := strings.Cut(p.Version, ":"); ok { // the file's name has none
				source.Version = epoch + ":" + source.Version
			}
		}
	default:
		name, version, ok := strings.Cut(word, "@")
		source.Name = name
		if ok && version != "" {
			source.Version = version
		}
	}
	return source
}
