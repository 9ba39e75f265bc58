package engine

import (
	"slices"
	"strings"

	"plimsoll"
)

// Name returns the short form of a reference, the same for every engine:
// "docker.io/library/debian:12", as containerd and Podman write it, and
// "debian:12", as Docker does, are one name. Anything else, valid or not,
// stays as it is.
func Name(ref string) string {
	rest, ok := strings.CutPrefix(ref, "docker.io/")
	if !ok {
		rest, ok = strings.CutPrefix(ref, "index.docker.io/")
	}
	if !ok || rest == "" {
		return ref
	}
	if official, ok := strings.CutPrefix(rest, "library/"); ok && official != "" && !strings.Contains(official, "/") {
		return official
	}
	// What is left must not look like a name of another registry.
	if host, _, ok := strings.Cut(rest, "/"); ok && isHost(host) {
		return ref
	}
	return rest
}

// isHost says whether the first component of a reference is a registry, by the
// rule that all engines share.
func isHost(s string) bool {
	return s == "localhost" || strings.ContainsAny(s, ".:") || strings.ToLower(s) != s
}

// SetNames fills the image's Names and Manifests from the references that an
// engine keeps for it. A reference by digest counts as a name only when the
// image has no other; a bare digest never does.
func SetNames(img *plimsoll.Image, refs []string) {
	var tagged, digested []string
	for _, ref := range refs {
		repo, digest, ok := strings.Cut(ref, "@")
		switch {
		case ref == "" || strings.HasPrefix(ref, "sha256:") || repo == "<none>:<none>":
		case !ok:
			tagged = append(tagged, Name(ref))
		default:
			digested = append(digested, Name(ref))
		}
		if d, err := plimsoll.ParseDigest(digest); err == nil {
			img.Manifests = append(img.Manifests, d)
		}
	}
	if len(tagged) == 0 {
		tagged = digested
	}
	img.Names = sortedUnique(append(img.Names, tagged...))
	img.Manifests = sortedUnique(img.Manifests)
}

func sortedUnique[S ~[]E, E ~string](s S) S {
	slices.Sort(s)
	return slices.Compact(s)
}
