package local

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"plimsoll"
	"plimsoll/engine"
)

// lookAgain is how often stores are looked for that were not there before;
// lookSoon while a containerd runs that has no namespace yet: where it keeps its
// metadata is known from its stores alone.
const (
	lookAgain = time.Minute
	lookSoon  = 2 * time.Second
)

// Watch calls changed when images, containers or stores of this machine may have
// changed, until ctx ends; then it returns the error of ctx. It may call changed
// often and for nothing: whoever wants to know lists the images. Archives are
// not watched.
func Watch(ctx context.Context, o Options, changed func()) error {
	for ctx.Err() == nil {
		h, err := Open(ctx, o)
		if err != nil {
			return err
		}
		watchStores(ctx, o, h, changed)
		h.Close()
	}
	return ctx.Err()
}

// watchStores watches the stores of h until ctx ends or others are here.
func watchStores(ctx context.Context, o Options, h *Host, changed func()) {
	watching, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for _, s := range h.Stores {
		if w, ok := s.(interface {
			Watch(ctx context.Context, changed func()) error
		}); ok {
			wg.Go(func() { w.Watch(watching, changed) })
		}
	}
	if len(o.Inputs) > 0 {
		<-ctx.Done()
		return
	}
	for ctx.Err() == nil {
		again := lookAgain
		if o.emptyContainerd(h) {
			again = lookSoon
		}
		part, end := context.WithTimeout(ctx, again)
		engine.Poll(part, func() string { return o.signature(h) }, func() { changed(); end() })
		end()
		if ctx.Err() != nil {
			return
		}
		now, err := Open(ctx, o)
		if err != nil {
			continue
		}
		same := slices.Equal(names(now), names(h))
		now.Close()
		if !same {
			changed()
			return
		}
	}
}

// emptyContainerd says whether a containerd seems to run here without images.
func (o Options) emptyContainerd(h *Host) bool {
	if !o.wants(plimsoll.Containerd) || h.holds(plimsoll.Containerd) {
		return false
	}
	return slices.ContainsFunc(append([]string{defaultContainerd}, o.ContainerdSockets...), func(path string) bool {
		info, err := os.Stat(path)
		return err == nil && info.Mode().Type() == os.ModeSocket
	})
}

const defaultContainerd = "/run/containerd/containerd.sock"

// holds says whether a store of the engine was found.
func (h *Host) holds(e plimsoll.Engine) bool {
	return slices.ContainsFunc(h.Stores, func(s Store) bool { return strings.HasPrefix(s.Name(), string(e)) })
}

func names(h *Host) []string {
	list := make([]string, len(h.Stores))
	for i, s := range h.Stores {
		list[i] = s.Name()
	}
	return list
}

// metaDB is where a containerd keeps its namespaces, below its root.
const metaDB = "io.containerd.metadata.v1.bolt/meta.db"

// signature changes when an engine that has no store in h is used for the first
// time. Those that have one tell themselves.
func (o Options) signature(h *Host) string {
	idle := func(e plimsoll.Engine) bool { return !h.holds(e) }
	var paths []string
	if idle(plimsoll.Docker) {
		paths = append(paths, "/run/docker.sock")
		for _, root := range append([]string{"/var/lib/docker"}, o.DockerRoots...) {
			paths = append(paths, filepath.Join(root, "image"))
		}
	}
	if idle(plimsoll.Containerd) {
		paths = append(append(paths, defaultContainerd), o.ContainerdSockets...)
		for _, root := range append([]string{"/var/lib/containerd"}, o.ContainerdRoots...) {
			paths = append(paths, filepath.Join(root, metaDB))
		}
	}
	if idle(plimsoll.Podman) {
		for _, root := range append([]string{"/var/lib/containers/storage"}, o.StorageRoots...) {
			paths = append(paths, filepath.Join(root, "overlay-images"))
		}
	}
	return engine.Signature(paths...)
}
