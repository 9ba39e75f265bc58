package local

import (
	"context"
	"slices"
	"strings"

	"plimsoll"
)

// Choose returns the images that refs name, or all; each once.
func (h *Host) Choose(ctx context.Context, refs []string) ([]Image, error) {
	all := h.Images(ctx)
	if len(refs) == 0 {
		return Merged(all), nil
	}
	var chosen []Image
	for _, ref := range refs {
		found, err := h.Find(all, ref)
		if err != nil {
			return nil, err
		}
		chosen = append(chosen, found...)
	}
	return Merged(chosen), nil
}

// Find returns the images that ref names: a reference with or without tag, a
// digest, an image ID or the beginning of one.
func (h *Host) Find(all []Image, ref string) ([]Image, error) {
	for _, matches := range []func(Image) bool{
		func(i Image) bool { return slices.Contains(i.Names, ref) },
		func(i Image) bool { return slices.Contains(i.Names, ref+":latest") },
		func(i Image) bool { return matchesDigest(i.Image, ref) },
		func(i Image) bool { return matchesName(i.Image, ref) },
	} {
		var found []Image
		for _, img := range all {
			if matches(img) {
				found = append(found, img)
			}
		}
		found = Merged(found)
		switch {
		case len(found) > 1 && isIDPrefix(found, ref):
			return nil, plimsoll.Errorf(plimsoll.CodeInvalid, "find image", "%q begins the ID of %d images; give more of it", ref, len(found))
		case len(found) > 0:
			return found, nil
		}
	}
	err := plimsoll.Errorf(plimsoll.CodeNotFound, "find image", "no image %q is stored here; %s", ref, h.Looked())
	err.Hint = "plimsoll images lists what is here; plimsoll doctor tells which engines were looked for and what cannot be read."
	return nil, err
}

// isIDPrefix says whether the images were found by the beginning of their IDs
// alone, which is meant to name one.
func isIDPrefix(found []Image, ref string) bool {
	id := strings.TrimPrefix(ref, "sha256:")
	return !slices.ContainsFunc(found, func(i Image) bool { return !strings.HasPrefix(i.ID.Hex(), id) })
}

func matchesDigest(img plimsoll.Image, ref string) bool {
	name, digest, pinned := strings.Cut(ref, "@")
	if pinned {
		return slices.Contains(img.Manifests, plimsoll.Digest(digest)) &&
			slices.ContainsFunc(img.Names, func(n string) bool { return sameRepository(n, name) })
	}
	if slices.Contains(img.Manifests, plimsoll.Digest(ref)) {
		return true
	}
	const shortest = 4 // as Docker accepts
	id := strings.TrimPrefix(ref, "sha256:")
	return len(id) >= shortest && strings.HasPrefix(img.ID.Hex(), id)
}

// matchesName accepts a repository without its tag when nothing better fits,
// and the long spelling of Docker Hub names.
func matchesName(img plimsoll.Image, ref string) bool {
	ref = strings.TrimPrefix(strings.TrimPrefix(ref, "docker.io/"), "library/")
	return slices.ContainsFunc(img.Names, func(n string) bool {
		return n == ref || sameRepository(n, ref) || strings.TrimPrefix(n, "localhost/") == ref
	})
}

func sameRepository(name, repository string) bool {
	name, _, _ = strings.Cut(name, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name = name[:i]
	}
	return name == repository
}

// Looked tells where images were looked for, for people who expected more.
func (h *Host) Looked() string {
	if len(h.Stores) == 0 {
		return "no engine was found"
	}
	return "looked in: " + strings.Join(names(h), ", ")
}

// Gaps counts the problems that may hide images.
func (h *Host) Gaps() int {
	n := 0
	for _, p := range h.Problems {
		if p.Incomplete() {
			n++
		}
	}
	return n
}

// Empty is the error of a host on which no image was found. It does not say that
// none is there unless everything could be read.
func (h *Host) Empty(gaps int) error {
	err := plimsoll.Errorf(plimsoll.CodeNotFound, "list images", "no image is stored here; %s", h.Looked())
	if gaps > 0 {
		err = plimsoll.Errorf(plimsoll.CodeUnreadable, "list images", "no image was found, and not everything could be read")
	}
	err.Hint = "plimsoll doctor tells which engines were looked for; plimsoll demo shows Plimsoll on sample images."
	return err
}
