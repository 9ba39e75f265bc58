package sbom

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/package-url/packageurl-go"

	"plimsoll"
)

// fromPURL reads a component's purl. ok is false when it names no package, which is
// counted: name is the component's, and software says whether one without a purl
// counts. Types that nobody publishes advisories about are packages too.
func (b *builder) fromPURL(purl, name string, software bool) (p plimsoll.Package, ok bool) {
	purl = strings.TrimSpace(purl)
	if purl == "" {
		if software {
			b.nameless.add(name)
		}
		return p, false
	}
	u, err := packageurl.FromString(purl[:min(len(purl), 4*maxText)])
	if err != nil || len(purl) > 4*maxText || len(u.Type) > maxType || text(u.Name) == "" {
		b.garbled.add(purl)
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
	return p, true
}

// examples counts what a document names in vain, and keeps the first ones.
type examples struct {
	count int
	first []string
}

func (e *examples) add(word string) {
	const most, longest = 3, 80
	if e.count++; len(e.first) < most {
		if word = text(word); len(word) > longest {
			word = strings.ToValidUTF8(word[:longest], "") + "\u2026"
		}
		e.first = append(e.first, strconv.Quote(word))
	}
}

// problem tells them; what begins the sentence that their names end.
func (e *examples) problem(code plimsoll.ProblemCode, what string) plimsoll.Problem {
	detail := what + ": " + strings.Join(e.first, ", ")
	if more := e.count - len(e.first); more > 0 {
		detail += fmt.Sprintf(" and %d more", more)
	}
	return plimsoll.Problem{Code: code, Detail: detail, Count: e.count}
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
