// Package local is the image stores of this machine: it finds them, lists their
// images, chooses among them, notices that they changed, and reads one image
// into a result.
//
// It owns what is true of all engines together: one list over all stores, one
// entry for an image that several hold, how people name images, the cache of
// facts on this disk. It refuses to judge what an image contains, to talk to
// anything but this machine's engines, and to print.
//
// Trust: the options are the administrator's; what stores say is hostile and
// bounded by the packages of the engines.
package local

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/engine"
	"plimsoll/engine/archive"
	"plimsoll/engine/containerd"
	"plimsoll/engine/docker"
	"plimsoll/engine/podman"
	"plimsoll/layerfs"
)

// Store is one place where an engine keeps images.
type Store interface {
	Name() string
	Images(ctx context.Context) ([]plimsoll.Image, []plimsoll.Problem, error)
	Layers(ctx context.Context, img plimsoll.Image) ([]layerfs.Layer, error)
	Close() error
}

var (
	_ Store = (*docker.Store)(nil)
	_ Store = (*containerd.Store)(nil)
	_ Store = (*podman.Store)(nil)
	_ Store = (*archive.Store)(nil)
)

// Options say where to look for images beyond the usual places.
type Options struct {
	Engines           []plimsoll.Engine // look at these only; empty: all
	DockerRoots       []string
	ContainerdSockets []string
	ContainerdRoots   []string
	StorageRoots      []string
	// Inputs are archives and directories: with any, just those are opened.
	Inputs []string
	// Scratch is a directory for layers that are read from compressed blobs.
	Scratch string
}

func (o *Options) wants(engine plimsoll.Engine) bool {
	return len(o.Engines) == 0 || slices.Contains(o.Engines, engine)
}

// Host is every image store that was found on this machine. Problems say what
// could not be read; Images adds to them.
type Host struct {
	Stores   []Store
	Problems []plimsoll.Problem
}

// Image is one image with the store that holds it.
type Image struct {
	plimsoll.Image
	store Store
}

// In says whether s is the store that holds the image.
func (img *Image) In(s Store) bool { return img.store == s }

// Owner returns the ID of the user who can write the store that holds the image.
func (img *Image) Owner() uint32 { return ownerOf(img.store) }

// Open finds the stores of this machine or, when archives were named, opens just
// those. Only a named archive that cannot be opened, or a path that cannot be
// made absolute, is an error; all else is a problem. Close releases them.
func Open(ctx context.Context, o Options) (*Host, error) {
	h := &Host{}
	if len(o.Inputs) > 0 {
		for _, path := range o.Inputs {
			s, err := archive.Open(ctx, path, archive.Options{Scratch: o.Scratch})
			if err != nil {
				h.Close()
				return nil, err
			}
			h.Stores = append(h.Stores, s)
		}
		return h, nil
	}
	for _, paths := range []*[]string{&o.DockerRoots, &o.ContainerdRoots, &o.StorageRoots} {
		absolute := make([]string, len(*paths))
		for i, path := range *paths {
			var err error
			if absolute[i], err = filepath.Abs(path); err != nil {
				return nil, plimsoll.Errorf(plimsoll.CodeInvalid, "look for engines", "%w", err)
			}
		}
		*paths = absolute
	}
	if o.wants(plimsoll.Docker) {
		found, problems := docker.Discover(ctx, docker.Options{Roots: o.DockerRoots})
		add(h, found, problems)
	}
	if o.wants(plimsoll.Containerd) {
		found, problems := containerd.Discover(ctx, containerd.Options{Addresses: o.ContainerdSockets, Roots: o.ContainerdRoots, Scratch: o.Scratch})
		add(h, found, problems)
	}
	if o.wants(plimsoll.Podman) {
		found, problems := podman.Discover(ctx, podman.Options{Roots: o.StorageRoots})
		add(h, found, problems)
	}
	return h, nil
}

func add[S Store](h *Host, found []S, problems []plimsoll.Problem) {
	for _, s := range found {
		h.Stores = append(h.Stores, s)
	}
	h.Problems = append(h.Problems, problems...)
}

// Close releases the stores.
func (h *Host) Close() {
	for _, s := range h.Stores {
		s.Close()
	}
}

// Images lists what all stores hold, by name, engine and ID. A store that fails
// becomes a problem and hides no other.
func (h *Host) Images(ctx context.Context) []Image {
	var all []Image
	for _, s := range h.Stores {
		images, problems, err := s.Images(ctx)
		h.Problems = append(h.Problems, problems...)
		if err != nil {
			h.Problems = append(h.Problems, plimsoll.Problem{
				Code: plimsoll.ProblemEngineUnavailable, Path: s.Name(), Detail: err.Error(),
			})
			continue
		}
		plimsoll.MarkBase(images)
		for _, img := range images {
			all = append(all, Image{img, s})
		}
	}
	slices.SortStableFunc(all, func(a, b Image) int {
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

// Merged returns one entry for each image, however many engines hold it: the one
// to scan, with the names and manifests of all.
func Merged(all []Image) []Image {
	var out []Image
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
func better(a, b Image) bool {
	if (a.Problem == nil) != (b.Problem == nil) {
		return a.Problem == nil
	}
	return ownerOf(a.store) < ownerOf(b.store)
}

// ownerOf returns the ID of the user who can write a store.
func ownerOf(s Store) uint32 {
	if owned, ok := s.(interface{ Owner() uint32 }); ok {
		return owned.Owner()
	}
	return 0 // an archive that the user named
}
