package vex

import (
	"fmt"
	"slices"
	"strings"

	"plimsoll"
)

// Claim is a statement, ready to be compared with findings. It is read only, so
// that several goroutines may use it.
type Claim struct {
	plimsoll.VEXStatement
	products []product
}

// NewClaim prepares a statement.
func NewClaim(s plimsoll.VEXStatement) *Claim {
	c := &Claim{VEXStatement: s, products: make([]product, len(s.Products))}
	for i := range s.Products {
		c.products[i] = compileProduct(&s.Products[i], 0)
	}
	return c
}

// Place is where a package is found: what statements may ask about it.
type Place struct {
	// Image needs ID, Names, Manifests and Platform.
	Image *plimsoll.Image
	// System is the operating system that the package belongs to; nil for none.
	System *plimsoll.OS
	// Others yields the packages of the image, for statements about what is built
	// into one of them.
	Others func() []plimsoll.Package
}

// About says whether one of the names of a vulnerability is the claim's, whatever
// the case.
func (c *Claim) About(names ...string) bool {
	return slices.ContainsFunc(c.Vulnerabilities, func(id string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(id, name) })
	})
}

// Fits says whether the claim is about a package at a place. That it is about the
// vulnerability is up to the caller.
func (c *Claim) Fits(p *plimsoll.Package, at Place) bool {
	return c.compare(p, at).step == fits
}

// step is how far a comparison came before it failed: the later, the nearer.
type step int8

const (
	atIdentity  step = iota // no identifier that can be compared
	atName                  // another name
	atType                  // the name is right, the type is not
	atNamespace             // …
	atDetail                // distribution, architecture, module
	atVersion
	atPlace // the package is right; the image, the platform or the program around it is not
	fits
)

// miss says why a product is not the one that was found.
type miss struct {
	step step
	why  string
}

func missed(at step, format string, args ...any) miss { return miss{at, fmt.Sprintf(format, args...)} }

// compare returns the nearest of the claim's products.
func (c *Claim) compare(p *plimsoll.Package, at Place) miss {
	best := missed(atIdentity, "the statement names no product")
	for i := range c.products {
		m := c.products[i].compare(c.Status, p, at)
		if m.step > best.step || i == 0 {
			best = m
		}
		if m.step == fits {
			break
		}
	}
	return best
}

func (q *product) compare(status plimsoll.VEXStatus, p *plimsoll.Package, at Place) miss {
	best, pinned := missed(atIdentity, "the product has no identifier"), false
	for i := range q.targets {
		t := &q.targets[i]
		var m miss
		switch t.kind {
		case inPackage:
			m = t.fitsPackage(p, at.System, q.versions)
			pinned = t.version != "" || len(q.versions) > 0
		case inImage:
			m = t.fitsImage(at.Image)
			pinned = t.digest != "" || t.tag != ""
		default:
			m = missed(atIdentity, "%q names no package and no image that could be compared", t.text)
		}
		if m.step > best.step || i == 0 {
			best = m
		}
		if m.step == fits {
			break
		}
	}
	if best.step != fits {
		return best
	}
	for i := range q.within {
		w := &q.within[i]
		m := w.holds(p, at)
		if m.step != fits {
			return miss{atPlace, m.why}
		}
		pinned = pinned || slices.ContainsFunc(w.targets, func(t target) bool { return t.kind == inImage && (t.digest != "" || t.tag != "") })
	}
	if status == plimsoll.VEXFixed && !pinned {
		return missed(atVersion, "it says fixed, but not in which version or image")
	}
	return best
}

// holds says whether the place of p is the one that q names: its image, its
// system, or a package that has it built in.
func (q *product) holds(p *plimsoll.Package, at Place) miss {
	best := missed(atIdentity, "what has to hold the package has no identifier")
	for i := range q.targets {
		t := &q.targets[i]
		var m miss
		switch t.kind {
		case inImage:
			m = t.fitsImage(at.Image)
		case inSystem:
			m = t.fitsSystem(at.System)
		case inPackage:
			if t.typ == "rpmmod" {
				m = t.fitsModule(p)
			} else {
				m = t.fitsHolder(p, at, q.versions)
			}
		default:
			m = missed(atIdentity, "%q names no image, platform or package that could be compared", t.text)
		}
		if m.step > best.step || i == 0 {
			best = m
		}
		if m.step == fits {
			break
		}
	}
	return best
}

// fitsHolder looks for the package that has p built in: they share a file, or p
// lies in an archive within it.
func (t *target) fitsHolder(p *plimsoll.Package, at Place, versions []string) miss {
	if at.Others == nil {
		return missed(atIdentity, "%q is not known to hold it", t.text)
	}
	best := missed(atIdentity, "%q is not in the image", t.text)
	others := at.Others()
	for i := range others {
		o := &others[i]
		m := t.fitsPackage(o, at.System, versions)
		if m.step == fits && !(o.Path != "" && (o.Path == p.Path || strings.HasPrefix(p.Path, o.Path+"!/")) || p.Bundled != "" && p.Bundled == o.Name) {
			m = missed(atVersion, "%q is in the image, but does not hold this package", t.text)
		}
		if m.step > best.step {
			best = m
		}
		if m.step == fits {
			break
		}
	}
	if best.step < atVersion {
		best.why = fmt.Sprintf("%q is not in the image", t.text)
	}
	return best
}

// fitsPackage compares a purl with a package, or, when the purl says that it names
// a source, with the source that the package was built from.
func (t *target) fitsPackage(p *plimsoll.Package, system *plimsoll.OS, versions []string) miss {
	namespace, name := split(p)
	version := p.Version
	if arch := t.qualifiers["arch"]; arch == "src" || arch == "source" {
		name, namespace = p.Source.Name, ""
		if p.Source.Version != "" {
			version = p.Source.Version
		}
		if name == "" {
			name = p.Name
		}
	}
	switch {
	case !sameName(t, name):
		if p.Source.Name != "" && sameName(t, p.Source.Name) && p.Type == plimsoll.PackageType(t.typ) {
			return missed(atType, "it names %s, which is the source of %s: a statement about a source says so with the qualifier arch=source", quoted(t.name), p.Name)
		}
		return missed(atName, "it names the package %s", quoted(t.name))
	case t.typ != string(p.Type):
		return missed(atType, "it names a package of the type %s, this one is %s", quoted(t.typ), quoted(string(p.Type)))
	case t.subpath:
		return missed(atNamespace, "it is about a part of the package only (%s)", quoted(t.text))
	}
	if p.Type.System() {
		if m := t.fitsSystemPackage(p, system); m.step != fits {
			return m
		}
	} else if !strings.EqualFold(t.namespace, namespace) && !(p.Type == plimsoll.TypePyPI || p.Type == plimsoll.TypeGeneric) {
		return missed(atNamespace, "it names %s, this package is %s", quoted(strings.Trim(t.namespace+"/"+t.name, "/")), quoted(strings.Trim(namespace+"/"+name, "/")))
	}
	switch {
	case t.version != "" && !t.sameVersion(p.Type, version):
		return missed(atVersion, "it is about version %s, %s is installed", quoted(t.version), quoted(version))
	case t.version == "" && len(versions) > 0:
		for _, v := range versions {
			one := *t
			one.version = v
			if one.sameVersion(p.Type, version) {
				return miss{step: fits}
			}
		}
		return missed(atVersion, "it is about %s, %s is installed (ranges are not compared)", some(versions), quoted(version))
	}
	return miss{step: fits}
}

func (t *target) fitsSystemPackage(p *plimsoll.Package, system *plimsoll.OS) miss {
	is := plimsoll.OS{}
	if system != nil {
		is = *system
	}
	if t.namespace != "" && t.namespace != distributor(is.ID) {
		return missed(atNamespace, "it is about packages of %s, this system is %s", quoted(t.namespace), quoted(is.ID))
	}
	if want := t.qualifiers["distro"]; want != "" && !sameRelease(want, &is) {
		return missed(atDetail, "it is about %s, this system is %s", quoted(want), quoted(strings.TrimSuffix(is.ID+"-"+is.VersionID, "-")))
	}
	switch arch := t.qualifiers["arch"]; arch {
	case "", "src", "source", "all", "noarch", p.Arch:
	default:
		return missed(atDetail, "it is about the architecture %s, this package is built for %s", quoted(arch), quoted(p.Arch))
	}
	if module := t.qualifiers["rpmmod"]; module != "" && !sameModule(module, p.Module) {
		return missed(atDetail, "it is about the module %s, this package is of %s", quoted(module), quoted(p.Module))
	}
	return miss{step: fits}
}

func (t *target) fitsModule(p *plimsoll.Package) miss {
	if sameModule(t.name+":"+t.version, p.Module) {
		return miss{step: fits}
	}
	return missed(atDetail, "it is about the module %s, this package is of %s", quoted(t.name+":"+t.version), quoted(p.Module))
}

// sameModule compares "name:stream" and what may follow with a package's module.
func sameModule(want, have string) bool {
	if have == "" {
		return false
	}
	w, h := strings.Split(want, ":"), strings.Split(have, ":")
	return len(h) >= 2 && len(w) >= 2 && w[0] == h[0] && w[1] == h[1]
}

// sameRelease compares the qualifier "distro" with a system: by name and release,
// of which one may be more exact than the other, or by codename.
func sameRelease(want string, is *plimsoll.OS) bool {
	want = strings.ToLower(want)
	if is.Codename != "" && (want == strings.ToLower(is.Codename) || want == strings.ToLower(is.ID+"-"+is.Codename)) {
		return true
	}
	id, release, ok := strings.Cut(want, "-")
	if at := strings.LastIndexByte(want, '-'); at > 0 { // "opensuse-leap-15.5"
		id, release = want[:at], want[at+1:]
	}
	if distributor(id) != distributor(is.ID) {
		return false
	}
	return !ok || sameUpTo(release, strings.ToLower(is.VersionID))
}

// sameUpTo says whether one version is the other or a more exact form of it.
func sameUpTo(a, b string) bool {
	return a == b || a != "" && strings.HasPrefix(b, a+".") || b != "" && strings.HasPrefix(a, b+".")
}

// fitsSystem compares a CPE with that of the system.
func (t *target) fitsSystem(system *plimsoll.OS) miss {
	if system == nil || system.CPE == "" {
		return missed(atIdentity, "it is about the platform %s, and the image does not say which it is", quoted(t.text))
	}
	is := newTarget(system.CPE)
	if is.kind != inSystem || is.cpe[0] != t.cpe[0] || is.cpe[1] != t.cpe[1] || t.cpe[2] != "" && !sameUpTo(t.cpe[2], is.cpe[2]) {
		return missed(atDetail, "it is about the platform %s, the image is %s", quoted(t.text), quoted(system.CPE))
	}
	return miss{step: fits}
}

// fitsImage compares by digest when there is one, else by repository and tag.
func (t *target) fitsImage(img *plimsoll.Image) miss {
	if img == nil {
		return missed(atIdentity, "it names an image")
	}
	if t.arch != "" && img.Platform.Architecture != "" && t.arch != img.Platform.Architecture {
		return missed(atDetail, "it is about the architecture %s, this image is for %s", quoted(t.arch), quoted(img.Platform.Architecture))
	}
	if t.digest != "" {
		if t.digest == img.ID || slices.Contains(img.Manifests, t.digest) ||
			slices.ContainsFunc(img.Names, func(name string) bool { return strings.HasSuffix(name, "@"+string(t.digest)) }) {
			return miss{step: fits}
		}
		if t.ofRepository(img, false) {
			return missed(atVersion, "it is about another image of this repository, %s", string(t.digest))
		}
		return missed(atName, "it is about the image %s", quoted(t.text))
	}
	if t.ofRepository(img, true) {
		return miss{step: fits}
	}
	if t.ofRepository(img, false) {
		return missed(atVersion, "it is about the tag %s of this repository", quoted(t.tag))
	}
	return missed(atName, "it is about the image %s", quoted(t.text))
}

// ofRepository says whether the image has a name in the repository; with tag, one
// with the tag, if there is one.
func (t *target) ofRepository(img *plimsoll.Image, tag bool) bool {
	return slices.ContainsFunc(img.Names, func(ref string) bool {
		var is target
		ref, _, _ = strings.Cut(ref, "@")
		is.reference(ref)
		same := is.repository == t.repository
		if t.repository == "" {
			same = strings.EqualFold(is.last, t.last)
		}
		return same && (!tag || t.tag == "" || t.tag == is.tag)
	})
}

// split returns namespace and name of a package as a purl has them; of a system's
// package without namespace.
func split(p *plimsoll.Package) (namespace, name string) {
	if p.Type.System() {
		return "", p.Name
	}
	separator := byte('/')
	if p.Type == plimsoll.TypeMaven {
		separator = ':'
	}
	if i := strings.LastIndexByte(p.Name, separator); i >= 0 {
		return p.Name[:i], p.Name[i+1:]
	}
	return "", p.Name
}

func sameName(t *target, name string) bool {
	if t.typ == string(plimsoll.TypePyPI) {
		return plimsoll.NormalizeName("PyPI", t.name) == plimsoll.NormalizeName("PyPI", name)
	}
	return strings.EqualFold(t.name, name)
}

// sameVersion compares versions as written, but for what purls spell in several
// ways: the epoch, and Go's "v".
func (t *target) sameVersion(kind plimsoll.PackageType, have string) bool {
	want := t.version
	switch kind {
	case plimsoll.TypeRPM, plimsoll.TypeDeb:
		if epoch := t.qualifiers["epoch"]; epoch != "" && !strings.Contains(want, ":") {
			want = epoch + ":" + want
		}
		want, have = strings.TrimPrefix(want, "0:"), strings.TrimPrefix(have, "0:")
		if kind == plimsoll.TypeRPM && !strings.Contains(want, ":") { // the qualifier is optional
			_, rest, ok := strings.Cut(have, ":")
			if ok {
				have = rest
			}
		}
	case plimsoll.TypeGo:
		want, have = strings.TrimPrefix(want, "v"), strings.TrimPrefix(have, "v")
	}
	return want == have
}

func quoted(s string) string {
	if s == "" {
		return "unknown"
	}
	return `"` + s + `"`
}

// some names the first few.
func some(list []string) string {
	const most = 3
	named := make([]string, 0, most+1)
	for i, s := range list {
		if i == most {
			named = append(named, fmt.Sprintf("%d more", len(list)-most))
			break
		}
		named = append(named, quoted(s))
	}
	return strings.Join(named, ", ")
}

// AsksOthers says whether Fits asks for the other packages of the image.
func (c *Claim) AsksOthers() bool {
	return slices.ContainsFunc(c.products, func(p product) bool {
		return slices.ContainsFunc(p.within, func(w product) bool {
			return slices.ContainsFunc(w.targets, func(t target) bool { return t.kind == inPackage })
		})
	})
}
