package vex

import (
	"strings"

	"github.com/package-url/packageurl-go"

	"plimsoll"
)

// kind is what an identifier can be compared with.
type kind int8

const (
	nothing   kind = iota // an IRI, a name in prose, an SPDX ID: it names nothing we know
	inImage               // an image
	inPackage             // a package
	inSystem              // an operating system, by its CPE
)

// target is one identifier of a product, ready to be compared.
type target struct {
	text string
	kind kind
	// Of a package.
	typ, namespace, name, version string
	qualifiers                    map[string]string
	subpath                       bool
	// Of an image: repository is canonical, see canonical; digest and tag may be empty.
	repository, last, tag string
	digest                plimsoll.Digest
	arch                  string
	// Of a system: the CPE's vendor, product and version.
	cpe [3]string
}

// product is a plimsoll.VEXProduct, ready to be compared.
type product struct {
	targets  []target
	versions []string
	within   []product
}

func compileProduct(p *plimsoll.VEXProduct, depth int) product {
	c := product{versions: p.Versions}
	for _, id := range p.IDs {
		c.targets = append(c.targets, newTarget(id))
	}
	if depth < maxDepth {
		for i := range p.Within {
			c.within = append(c.within, compileProduct(&p.Within[i], depth+1))
		}
	}
	return c
}

func newTarget(id string) target {
	t := target{text: id}
	switch {
	case strings.HasPrefix(strings.ToLower(id), "pkg:"):
		t.purl(id)
	case strings.HasPrefix(id, "cpe:"):
		t.cpeName(id)
	case strings.HasPrefix(id, "sha256:"):
		if d, err := plimsoll.ParseDigest(id); err == nil {
			t.kind, t.digest = inImage, d
		}
	case !strings.Contains(id, "://") && !strings.ContainsAny(id, " \t#?") && !strings.HasPrefix(id, "urn:"):
		t.kind = inImage
		t.reference(id)
	}
	return t
}

func (t *target) purl(id string) {
	p, err := packageurl.FromString(id)
	if err != nil || p.Name == "" {
		return
	}
	t.qualifiers = p.Qualifiers.Map()
	switch p.Type {
	case "oci", "docker":
		t.kind, t.arch = inImage, t.qualifiers["arch"]
		t.tag = t.qualifiers["tag"]
		if d, err := plimsoll.ParseDigest(p.Version); err == nil {
			t.digest = d
		} else if p.Version != "" {
			t.tag = p.Version // of the type docker
		}
		t.last = p.Name
		path := strings.Trim(p.Namespace+"/"+p.Name, "/")
		switch url := t.qualifiers["repository_url"]; {
		case url != "" && p.Type == "docker":
			t.repository = canonical(strings.TrimSuffix(bare(url), "/") + "/" + path)
		case url != "":
			url = strings.TrimSuffix(bare(url), "/")
			// The specification wants the whole repository; some write what is above it.
			if !strings.EqualFold(url[strings.LastIndexByte(url, '/')+1:], p.Name) || !strings.Contains(url, "/") {
				url += "/" + path
			}
			t.repository = canonical(url)
		case p.Type == "docker":
			t.repository = canonical(path)
		}
		return
	}
	t.kind, t.typ, t.name, t.version, t.subpath = inPackage, p.Type, p.Name, p.Version, p.Subpath != ""
	t.namespace = p.Namespace
	if plimsoll.PackageType(p.Type).System() {
		t.namespace = distributor(p.Namespace)
	}
}

func (t *target) reference(ref string) {
	rest, digest, ok := strings.Cut(ref, "@")
	if ok {
		d, err := plimsoll.ParseDigest(digest)
		if err != nil {
			t.kind = nothing
			return
		}
		t.digest = d
	}
	repository := plimsoll.Repository(rest)
	if rest != repository {
		t.tag = rest[len(repository)+1:]
	}
	t.repository = canonical(repository)
	t.last = t.repository[strings.LastIndexByte(t.repository, '/')+1:]
}

// cpeName reads the names of CPE 2.2 ("cpe:/o:v:p:1") and 2.3 ("cpe:2.3:o:v:p:1:…").
func (t *target) cpeName(id string) {
	rest, ok := strings.CutPrefix(id, "cpe:2.3:")
	if !ok {
		if rest, ok = strings.CutPrefix(id, "cpe:/"); !ok {
			return
		}
	}
	parts := strings.SplitN(rest, ":", 5)
	if len(parts) < 3 {
		return
	}
	t.kind = inSystem
	t.cpe[0], t.cpe[1] = strings.ToLower(parts[1]), strings.ToLower(parts[2])
	if len(parts) > 3 {
		t.cpe[2] = strings.ToLower(strings.Trim(parts[3], "*-"))
	}
}

// bare removes what is before a registry's name.
func bare(url string) string {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		url = rest
	}
	return url
}

// hub are the names of Docker's registry.
var hub = []string{"index.docker.io/", "registry-1.docker.io/", "registry.hub.docker.com/", "docker.io/"}

// canonical spells a repository one way: Docker's registry has no name, nor has
// the namespace of its own images. "localhost/" is what Podman calls no registry.
func canonical(repository string) string {
	repository = strings.ToLower(strings.Trim(repository, "/"))
	for _, registry := range hub {
		if rest, ok := strings.CutPrefix(repository, registry); ok {
			repository = rest
			break
		}
	}
	repository = strings.TrimPrefix(repository, "localhost/")
	if rest, ok := strings.CutPrefix(repository, "library/"); ok && !strings.Contains(rest, "/") {
		repository = rest
	}
	return repository
}

// distributors spell the names that purls give the makers of a distribution as
// os-release does.
var distributors = map[string]string{
	"redhat": "rhel", "sles": "suse", "sled": "suse", "suse_linux": "suse", "oracle": "ol", "oraclelinux": "ol",
	"amazon": "amzn", "amazonlinux": "amzn", "rockylinux": "rocky", "alma": "almalinux",
}

func distributor(namespace string) string {
	namespace = strings.ToLower(namespace)
	if strings.HasPrefix(namespace, "opensuse") {
		return "opensuse"
	}
	if d := distributors[namespace]; d != "" {
		return d
	}
	return namespace
}
