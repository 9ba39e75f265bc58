package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll"
)

const (
	maxIndexDepth = 3    // an index in an index in an index
	maxManifests  = 1000 // manifests reached from one reference
)

// Blobs returns the content of a document by its digest, of at most
// MaxDocument bytes. An absent one fails with an error that is fs.ErrNotExist.
type Blobs func(plimsoll.Digest) ([]byte, error)

// Verified returns blobs whose content has the digest it was asked for, or
// fails with CodeCorrupt.
func (read Blobs) Verified(d plimsoll.Digest) ([]byte, error) {
	b, err := read(d)
	if err != nil {
		return nil, err
	}
	if got := plimsoll.DigestOf(b); got != d {
		return nil, plimsoll.Errorf(plimsoll.CodeCorrupt, "verify "+string(d), "its content has digest %s", got)
	}
	return b, nil
}

// Resolved is one image that a reference leads to.
type Resolved struct {
	// Image has ID, Manifests and what its configuration tells, or a Problem.
	Image plimsoll.Image
	// Layers are the blobs, aligned with Image.Layers; nil when they are not.
	Layers []v1.Descriptor
	// Index: the image was one of several that an index names.
	Index bool
}

// Resolve follows a reference's target, a manifest or an index, to its images
// in the order of the index. Platforms of an index whose manifest or
// configuration is not here are returned as absent: engines pull one platform
// and keep the whole index. A single image that is not here is an image with a
// Problem, and so is one whose digest is malformed. Documents that can be understood in two ways are refused.
func Resolve(read Blobs, target plimsoll.Digest) (images []Resolved, absent []plimsoll.Platform) {
	w := walk{read: read}
	w.visit(target, plimsoll.Platform{}, nil)
	return w.images, w.absent
}

type walk struct {
	read      Blobs
	images    []Resolved
	absent    []plimsoll.Platform
	manifests int
}

// document is a manifest or an index; which one, its fields tell.
type document struct {
	SchemaVersion int             `json:"schemaVersion"`
	MediaType     string          `json:"mediaType"`
	Manifests     []v1.Descriptor `json:"manifests"`
	Config        *v1.Descriptor  `json:"config"`
	Layers        []v1.Descriptor `json:"layers"`
	FSLayers      json.RawMessage `json:"fsLayers"`
}

func (w *walk) visit(d plimsoll.Digest, platform plimsoll.Platform, parents []plimsoll.Digest) {
	if w.manifests++; w.manifests > maxManifests+1 {
		return // told once
	}
	img := plimsoll.Image{Manifests: sortedUnique(slices.Clone(parents)), Platform: platform}
	_, malformed := plimsoll.ParseDigest(string(d))
	if malformed == nil {
		img.Manifests = sortedUnique(append(img.Manifests, d))
	}
	fail := func(err error) {
		if errors.Is(err, fs.ErrNotExist) && len(parents) > 0 {
			w.absent = append(w.absent, platform)
			return
		}
		p := ProblemOf(err)
		img.Problem = &p
		w.images = append(w.images, Resolved{Image: img, Index: len(parents) > 0})
	}

	if w.manifests > maxManifests || len(parents) > maxIndexDepth {
		fail(Fail(plimsoll.ProblemLimit, "read index", "", fmt.Errorf("more than %d manifests or %d levels", maxManifests, maxIndexDepth)))
		return
	}
	if malformed != nil { // or of an algorithm that no engine uses for images
		fail(malformed)
		return
	}
	b, err := w.read.Verified(d)
	if err != nil {
		fail(err)
		return
	}
	doc, err := decodeDocument(b, d)
	if err != nil {
		fail(err)
		return
	}
	if doc.Config == nil {
		for _, m := range doc.Manifests {
			if !attests(m) {
				w.visit(plimsoll.Digest(m.Digest), platformOf(m), append(slices.Clone(parents), d))
			}
		}
		return
	}

	id, err := plimsoll.ParseDigest(string(doc.Config.Digest))
	if err != nil {
		fail(err)
		return
	}
	img.ID = id
	if err := checkMediaTypes(doc, d); err != nil {
		fail(err)
		return
	}
	b, err = w.read.Verified(id)
	if err != nil {
		fail(err)
		return
	}
	decoded, err := DecodeConfig(b)
	if err != nil {
		fail(err)
		return
	}
	decoded.Manifests = img.Manifests
	r := Resolved{Image: decoded, Index: len(parents) > 0}
	if len(doc.Layers) == len(decoded.Layers) {
		r.Layers = doc.Layers
	}
	w.images = append(w.images, r)
}

// decodeDocument refuses what one reader takes for a manifest and another for
// an index (CVE-2021-41190).
func decodeDocument(b []byte, d plimsoll.Digest) (document, error) {
	op := "read manifest " + string(d)
	var doc document
	if err := Unmarshal(b, &doc); err != nil {
		return doc, Fail(plimsoll.ProblemCorruptStore, op, "Pull the image again.", err)
	}
	isManifest := doc.Config != nil || doc.Layers != nil
	saysIndex := strings.Contains(doc.MediaType, ".index.") || strings.Contains(doc.MediaType, ".manifest.list.")
	isIndex := doc.Manifests != nil || saysIndex && !isManifest // an empty index may have no list
	saysManifest := doc.MediaType != "" && !saysIndex
	switch {
	case doc.FSLayers != nil || doc.SchemaVersion == 1:
		return doc, Fail(plimsoll.ProblemNotAnImage, op, "Pull the image again with an engine that converts it.",
			errors.New("manifests of schema 1 are not read"))
	case isIndex && isManifest, isIndex && saysManifest, isManifest && saysIndex:
		return doc, Fail(plimsoll.ProblemCorruptStore, op, "Do not use this image: its document is ambiguous.",
			errors.New("it is a manifest and an index at once"))
	case !isIndex && doc.Config == nil:
		return doc, Fail(plimsoll.ProblemNotAnImage, op, "", errors.New("it is neither a manifest nor an index"))
	}
	return doc, nil
}

// checkMediaTypes says why a manifest's layers are no file system, if so.
func checkMediaTypes(doc document, d plimsoll.Digest) error {
	op := "read manifest " + string(d)
	switch doc.Config.MediaType {
	case "", v1.MediaTypeImageConfig, "application/vnd.docker.container.image.v1+json":
	default:
		return Fail(plimsoll.ProblemNotAnImage, op, "", fmt.Errorf("its configuration is a %q", doc.Config.MediaType))
	}
	for _, l := range doc.Layers {
		switch {
		case strings.HasSuffix(l.MediaType, "+encrypted"):
			return Fail(plimsoll.ProblemEncrypted, op, "Scan a decrypted copy.", errors.New("its layers are encrypted"))
		case strings.Contains(l.MediaType, "nydus"):
			return Fail(plimsoll.ProblemUnsupportedDriver, op, "Pull the image with the overlayfs snapshotter.", errors.New("its layers are in nydus format"))
		case l.MediaType != "" && !strings.Contains(l.MediaType, ".tar"):
			return Fail(plimsoll.ProblemNotAnImage, op, "", fmt.Errorf("it contains a %q", l.MediaType))
		}
	}
	return nil
}

// attests says whether an index names a document about another image
// (BuildKit's provenance and SBOM), not an image.
func attests(m v1.Descriptor) bool {
	return m.Annotations["vnd.docker.reference.type"] != "" || m.Platform != nil && m.Platform.OS == "unknown"
}

func platformOf(m v1.Descriptor) plimsoll.Platform {
	if m.Platform == nil {
		return plimsoll.Platform{}
	}
	return plimsoll.Platform{OS: m.Platform.OS, Architecture: m.Platform.Architecture, Variant: m.Platform.Variant}
}

// Present returns the images that a reference's target leads to, as Resolve
// does, after check has said whether an image's layers are here (and perhaps
// filled in what it learned). Where an index names several platforms and one is
// readable, those that lack layers are absent: some engines fetch all
// configurations and the layers of one platform.
func Present(read Blobs, target plimsoll.Digest, check func(img *plimsoll.Image, blobs []v1.Descriptor) error) (images []plimsoll.Image, absent []plimsoll.Platform) {
	resolved, absent := Resolve(read, target)
	var incomplete []plimsoll.Image
	readable := false
	for _, r := range resolved {
		img := r.Image
		if img.Problem == nil {
			if err := check(&img, r.Layers); err != nil {
				p := ProblemOf(err)
				img.Problem = &p
			}
		}
		readable = readable || img.Problem == nil
		if r.Index && img.Problem != nil && img.Problem.Code == plimsoll.ProblemLayerMissing {
			incomplete = append(incomplete, img)
		} else {
			images = append(images, img)
		}
	}
	if readable {
		for _, img := range incomplete {
			absent = append(absent, img.Platform)
		}
	} else {
		images = append(images, incomplete...)
	}
	if len(images) == 0 && len(absent) > 0 {
		p := ProblemOf(Fail(plimsoll.ProblemPlatformAbsent, "resolve index "+string(target), "Pull the image again.",
			fmt.Errorf("none of its platforms is here: %s", platforms(absent))))
		return []plimsoll.Image{{Manifests: []plimsoll.Digest{target}, Problem: &p}}, nil
	}
	return images, absent
}

// Absence says which platforms of an index are not here; names are the
// references to the index.
func Absence(names []string, target plimsoll.Digest, absent []plimsoll.Platform) plimsoll.Problem {
	var img plimsoll.Image
	SetNames(&img, names)
	name := string(target)
	if len(img.Names) > 0 {
		name = img.Names[0]
	}
	return plimsoll.Problem{
		Code:   plimsoll.ProblemPlatformAbsent,
		Path:   name,
		Detail: "The index names platforms that were not pulled: " + platforms(absent) + ".",
		Count:  len(absent),
	}
}

func platforms(list []plimsoll.Platform) string {
	const most = 20 // an index can name hundreds
	words := make([]string, 0, most)
	for _, p := range list[:min(most, len(list))] {
		words = append(words, p.String())
	}
	if more := len(list) - len(words); more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	return strings.Join(words, ", ")
}
