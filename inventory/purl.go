package inventory

import (
	"strings"

	"github.com/package-url/packageurl-go"

	"plimsoll"
)

// purl returns the canonical package URL of p (purl specification), with the
// qualifiers that its type defines: arch, epoch, distro, upstream.
func purl(p *plimsoll.Package, systems []plimsoll.OS) string {
	var qualifiers []packageurl.Qualifier
	add := func(key, value string) {
		if value != "" {
			qualifiers = append(qualifiers, packageurl.Qualifier{Key: key, Value: value})
		}
	}
	namespace, name, version := "", p.Name, p.Version
	switch p.Type {
	case plimsoll.TypeDeb, plimsoll.TypeRPM, plimsoll.TypeAPK, plimsoll.TypeALPM:
		for _, s := range systems {
			if s.Root == p.Root {
				namespace = s.ID
				add("distro", strings.TrimSuffix(s.ID+"-"+s.VersionID, "-"))
			}
		}
		add("arch", p.Arch)
		if p.Type == plimsoll.TypeRPM {
			if epoch, rest, ok := strings.Cut(version, ":"); ok {
				version = rest
				add("epoch", epoch)
			}
		}
		if p.Source.Name != "" && (p.Source.Name != p.Name || p.Source.Version != p.Version) {
			upstream := p.Source.Name
			if p.Source.Version != "" && p.Source.Version != p.Version {
				upstream += "@" + p.Source.Version
			}
			add("upstream", upstream)
		}
		add("rpmmod", p.Module)
	case plimsoll.TypeMaven:
		if group, artifact, ok := strings.Cut(name, ":"); ok {
			namespace, name = group, artifact
		}
	case plimsoll.TypePyPI:
		name = plimsoll.NormalizeName("PyPI", name)
	default:
		if i := strings.LastIndexByte(name, '/'); i > 0 {
			namespace, name = name[:i], name[i+1:]
		}
	}
	return packageurl.NewPackageURL(string(p.Type), namespace, name, version, qualifiers, "").ToString()
}
