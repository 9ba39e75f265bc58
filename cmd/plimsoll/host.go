package main

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"plimsoll"
	"plimsoll/engine"
	"plimsoll/engine/archive"
	"plimsoll/engine/containerd"
	"plimsoll/engine/docker"
	"plimsoll/engine/podman"
	"plimsoll/layerfs"
)

// store is one place where an engine keeps images.
type store interface {
	Name() string
	Images(ctx context.Context) ([]plimsoll.Image, []plimsoll.Problem, error)
	Layers(ctx context.Context, img plimsoll.Image) ([]layerfs.Layer, error)
	Close() error
}

var (
	_ store = (*docker.Store)(nil)
	_ store = (*containerd.Store)(nil)
	_ store = (*podman.Store)(nil)
	_ store = (*archive.Store)(nil)
)

// hostOptions say where to look for engines beyond the usual places.
type hostOptions struct {
	engines           []string
	dockerRoots       []string
	containerdSockets []string
	containerdRoots   []string
	storageRoots      []string
	inputs            []string
}

func (o *hostOptions) flags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&o.engines, "engine", nil, "look at these engines only: docker, containerd, podman")
	flags.StringArrayVar(&o.dockerRoots, "docker-root", nil, "data root of a Docker daemon; repeatable, only needed when it is found neither from the daemon, daemon.json nor the process list")
	flags.StringArrayVar(&o.containerdSockets, "containerd-address", nil, "socket of a containerd daemon; repeatable")
	flags.StringArrayVar(&o.containerdRoots, "containerd-root", nil, "root of a containerd daemon, to read images that its socket does not give; repeatable")
	flags.StringArrayVar(&o.storageRoots, "storage-root", nil, "containers-storage root of Podman, CRI-O or Buildah; repeatable")
}

// host is every image store that was found on this machine.
type host struct {
	stores   []store
	problems []plimsoll.Problem
}

// held is one image with the store that holds it.
type held struct {
	plimsoll.Image
	store store
}

// openHost finds the stores of this machine or, when archives were named, opens
// just those.
func (a *app) openHost(ctx context.Context) (*host, error) {
	h := &host{}
	if len(a.host.inputs) > 0 {
		for _, path := range a.host.inputs {
			s, err := archive.Open(path, archive.Options{Scratch: a.cacheDir})
			if err != nil {
				h.close()
				return nil, err
			}
			h.stores = append(h.stores, s)
		}
		return h, nil
	}
	for _, e := range a.host.engines {
		if !slices.Contains([]plimsoll.Engine{plimsoll.Docker, plimsoll.Containerd, plimsoll.Podman}, plimsoll.Engine(e)) {
			return nil, usagef("--engine: %q is none of docker, containerd, podman", e)
		}
	}
	for _, paths := range [][]string{a.host.dockerRoots, a.host.containerdRoots, a.host.storageRoots} {
		for i, path := range paths {
			absolute, err := filepath.Abs(path)
			if err != nil {
				return nil, plimsoll.Errorf(plimsoll.CodeInvalid, "look for engines", "%w", err)
			}
			paths[i] = absolute
		}
	}
	if a.host.wants(plimsoll.Docker) {
		found, problems := docker.Discover(ctx, docker.Options{Roots: a.host.dockerRoots})
		add(h, found, problems)
	}
	if a.host.wants(plimsoll.Containerd) {
		found, problems := containerd.Discover(ctx, containerd.Options{Addresses: a.host.containerdSockets, Roots: a.host.containerdRoots, Scratch: a.cacheDir})
		add(h, found, problems)
	}
	if a.host.wants(plimsoll.Podman) {
		found, problems := podman.Discover(ctx, podman.Options{Roots: a.host.storageRoots})
		add(h, found, problems)
	}
	return h, nil
}

func (o *hostOptions) wants(engine plimsoll.Engine) bool {
	return len(o.engines) == 0 || slices.Contains(o.engines, string(engine))
}

func add[S store](h *host, found []S, problems []plimsoll.Problem) {
	for _, s := range found {
		h.stores = append(h.stores, s)
	}
	h.problems = append(h.problems, problems...)
}

func (h *host) close() {
	for _, s := range h.stores {
		s.Close()
	}
}

// images lists what all stores hold, by name, engine and ID. A store that fails
// becomes a problem and hides no other.
func (h *host) images(ctx context.Context) []held {
	var all []held
	for _, s := range h.stores {
		images, problems, err := s.Images(ctx)
		h.problems = append(h.problems, problems...)
		if err != nil {
			h.problems = append(h.problems, plimsoll.Problem{
				Code: plimsoll.ProblemEngineUnavailable, Path: s.Name(), Detail: err.Error(),
			})
			continue
		}
		plimsoll.MarkBase(images)
		for _, img := range images {
			all = append(all, held{img, s})
		}
	}
	slices.SortStableFunc(all, func(a, b held) int {
		return cmp.Or(
			cmp.Compare(len(b.Names), 0)-cmp.Compare(len(a.Names), 0), // dangling images last
			strings.Compare(a.Name(), b.Name()),
			strings.Compare(string(a.Engine), string(b.Engine)),
			strings.Compare(a.Store, b.Store),
			strings.Compare(string(a.ID), string(b.ID)),
		)
	})
	return all
}

// merged returns one entry for each image, however many engines hold it: the one
// to scan, with the names and manifests of all.
func merged(all []held) []held {
	var out []held
	at := make(map[plimsoll.Digest]int)
	for _, h := range all {
		i, again := at[h.ID]
		if !again || h.ID == "" {
			at[h.ID] = len(out)
			out = append(out, h)
			continue
		}
		best, other := out[i], h
		if better(h, best) {
			best, other = h, out[i]
		}
		best.Image = engine.Join(best.Image, other.Image)
		out[i] = best
	}
	return out
}

// better says whether a holds an image in a better way than b does: it can be
// read, or it is the system's while b is a user's, who could have put any files
// under the image's ID.
func better(a, b held) bool {
	if (a.Problem == nil) != (b.Problem == nil) {
		return a.Problem == nil
	}
	return ownerOf(a.store) < ownerOf(b.store)
}

func ownerOf(s store) uint32 {
	if owned, ok := s.(interface{ Owner() uint32 }); ok {
		return owned.Owner()
	}
	return 0 // an archive that the user named
}

// find returns the images that ref names: a reference with or without tag, a
// digest, an image ID or the beginning of one.
func (h *host) find(all []held, ref string) ([]held, error) {
	for _, matches := range []func(held) bool{
		func(i held) bool { return slices.Contains(i.Names, ref) },
		func(i held) bool { return slices.Contains(i.Names, ref+":latest") },
		func(i held) bool { return matchesDigest(i.Image, ref) },
		func(i held) bool { return matchesName(i.Image, ref) },
	} {
		var found []held
		for _, img := range all {
			if matches(img) {
				found = append(found, img)
			}
		}
		found = merged(found)
		switch {
		case len(found) > 1 && isIDPrefix(found, ref):
			return nil, plimsoll.Errorf(plimsoll.CodeInvalid, "find image", "%q begins the ID of %d images; give more of it", ref, len(found))
		case len(found) > 0:
			return found, nil
		}
	}
	err := plimsoll.Errorf(plimsoll.CodeNotFound, "find image", "no image %q is stored here; %s", ref, h.looked())
	err.Hint = "plimsoll images lists what is here; plimsoll doctor tells which engines were looked for and what cannot be read."
	return nil, err
}

// isIDPrefix says whether the images were found by the beginning of their IDs
// alone, which is meant to name one.
func isIDPrefix(found []held, ref string) bool {
	id := strings.TrimPrefix(ref, "sha256:")
	return !slices.ContainsFunc(found, func(i held) bool { return !strings.HasPrefix(i.ID.Hex(), id) })
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

// looked tells where images were looked for, for people who expected more.
func (h *host) looked() string {
	if len(h.stores) == 0 {
		return "no engine was found"
	}
	names := make([]string, len(h.stores))
	for i, s := range h.stores {
		names[i] = s.Name()
	}
	return "looked in: " + strings.Join(names, ", ")
}

// gaps counts the problems that may hide images.
func (h *host) gaps() int {
	n := 0
	for _, p := range h.problems {
		if p.Incomplete() {
			n++
		}
	}
	return n
}

// empty is the error of a host on which no image was found. It does not say that
// none is there unless everything could be read.
func (h *host) empty(gaps int) error {
	err := plimsoll.Errorf(plimsoll.CodeNotFound, "list images", "no image is stored here; %s", h.looked())
	if gaps > 0 {
		err = plimsoll.Errorf(plimsoll.CodeUnreadable, "list images", "no image was found, and not everything could be read")
	}
	err.Hint = "plimsoll doctor tells which engines were looked for; plimsoll demo shows Plimsoll on sample images."
	return err
}
