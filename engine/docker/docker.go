// Package docker reads the images that Docker holds, from the files of its data
// root: the same answer whether the daemon runs or not.
//
// It owns the layout of the data root (image records, layer records, names,
// containers) for the storage drivers overlay2, fuse-overlayfs and the retired
// overlay, and finds data roots: those of running daemons, of daemon.json, of
// rootless users. The daemon is asked for two things: its data root, and to say
// when something changed. Images that Docker keeps in containerd's image store
// are left to package containerd.
// It refuses to write, to mount, to follow DOCKER_HOST to another machine and
// to read drivers whose layers need a mount.
//
// Trust: a data root is hostile (see package engine). Layer directories are
// handed to layerfs by path, after their names were checked.
package docker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"plimsoll"
	"plimsoll/engine"
	"plimsoll/layerfs"
)

// maxWord bounds files that hold one word: an ID, a digest or a number.
const maxWord = 512

// drivers are the storage drivers that are read, and the directory of a
// layer's files below <driver>/<cache ID>.
var drivers = map[string]string{
	"overlay2":       "diff",
	"fuse-overlayfs": "diff",
	"overlay":        "root", // a full tree: files of the parent are hard links
}

// Store is one data root of one storage driver. Its methods may be called
// concurrently and read the disk anew each time.
type Store struct {
	dir    *engine.Dir
	driver string
	host   engine.Host // whose daemon may tell of changes
}

// Name returns "docker" and the data root.
func (s *Store) Name() string { return "docker " + s.place() }

func (s *Store) place() string {
	if s.driver == "overlay2" {
		return s.dir.Path()
	}
	return s.dir.Path() + " (" + s.driver + ")"
}

// Owner returns the ID of the user who can write the store.
func (s *Store) Owner() uint32 { return s.dir.Owner() }

// Close releases the store.
func (s *Store) Close() error { return s.dir.Close() }

// Images returns all images, sorted by ID. Those that are neither named, nor
// used by a container, nor the end of a build are steps of another image's
// build and left out, as the engine's own list does.
func (s *Store) Images(ctx context.Context) ([]plimsoll.Image, []plimsoll.Problem, error) {
	ids, err := s.dir.List(s.record("imagedb/content/sha256"))
	if err != nil {
		return nil, nil, &plimsoll.Error{Code: plimsoll.CodeUnreadable, Op: "list Docker's images", Err: err}
	}
	var problems []plimsoll.Problem
	names, err := s.names()
	if err != nil {
		p := engine.ProblemOf(err)
		p.Detail = "Docker's image names are unknown: " + p.Detail
		problems = append(problems, p)
	}
	containers, more := s.containers()
	problems = append(problems, more...)

	var images []plimsoll.Image
	parents := map[plimsoll.Digest]bool{}
	layers := map[plimsoll.Digest]layer{}
	for _, hex := range ids {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		id, err := plimsoll.ParseDigest("sha256:" + hex)
		if err != nil {
			continue // a temporary file of the daemon
		}
		img, err := s.image(id, layers)
		if errors.Is(err, fs.ErrNotExist) && !s.dir.Exists(s.record("imagedb/content/sha256/"+hex)) {
			continue // removed since it was listed
		}
		if err != nil {
			p := engine.ProblemOf(err)
			img.Problem = &p
		}
		engine.SetNames(&img, names[id])
		img.Containers = containers[id]
		images = append(images, img)
		if parent, err := s.word("imagedb/metadata/sha256/" + hex + "/parent"); err == nil {
			parents[plimsoll.Digest(parent)] = true
		}
	}
	images = slices.DeleteFunc(images, func(img plimsoll.Image) bool {
		return parents[img.ID] && len(img.Names) == 0 && len(img.Containers) == 0
	})
	return images, problems, nil
}

// image reads one image's records. The image is usable with an error, too.
func (s *Store) image(id plimsoll.Digest, seen map[plimsoll.Digest]layer) (plimsoll.Image, error) {
	img := plimsoll.Image{ID: id}
	b, err := s.dir.Read(s.record("imagedb/content/sha256/"+id.Hex()), engine.MaxDocument)
	if err == nil {
		img, err = engine.DecodeConfig(b)
		if got := img.ID; got != id {
			img.ID = id
			err = engine.Fail(plimsoll.ProblemCorruptStore, "verify image "+id.Short(), "Pull or build the image again.",
				fmt.Errorf("its configuration has digest %s", got))
		}
	}
	img.Engine, img.Store = plimsoll.Docker, s.place()
	if err != nil {
		return img, err
	}
	for i := range img.Layers {
		chain := img.Layers[i].ChainID
		l, ok := seen[chain]
		if !ok {
			l.path, l.err = s.layerDir(chain)
			if size, err := s.word("layerdb/sha256/" + chain.Hex() + "/size"); err == nil {
				l.size, _ = strconv.ParseInt(size, 10, 64)
			}
			seen[chain] = l
		}
		if l.err != nil {
			return img, l.err
		}
		img.Layers[i].Size = max(0, l.size)
		img.Size += img.Layers[i].Size
	}
	return img, nil
}

// layer is what the store knows of a layer; images share them.
type layer struct {
	path string
	size int64
	err  error
}

// layerDir returns the directory of a layer's files.
func (s *Store) layerDir(chain plimsoll.Digest) (string, error) {
	op := "find layer " + chain.Short() + " in " + s.dir.Path()
	id, err := s.word("layerdb/sha256/" + chain.Hex() + "/cache-id")
	if errors.Is(err, fs.ErrNotExist) {
		return "", engine.Fail(plimsoll.ProblemLayerMissing, op, "Pull or build the image again.", err)
	}
	if err != nil {
		return "", err
	}
	// A cache ID is made like an image ID and becomes part of a path.
	if _, err := plimsoll.ParseDigest("sha256:" + id); err != nil {
		return "", engine.Fail(plimsoll.ProblemCorruptStore, op, "Pull or build the image again.", fmt.Errorf("its cache ID is %.80q", id))
	}
	path, err := s.dir.Sub(filepath.Join(s.driver, id, drivers[s.driver]))
	if errors.Is(err, fs.ErrNotExist) {
		return "", engine.Fail(plimsoll.ProblemLayerMissing, op, "Pull or build the image again.", err)
	}
	return path, err
}

// Layers opens the layers of an image that Images returned, bottom first. A
// Fault tells whether the image is gone or only a layer is.
func (s *Store) Layers(ctx context.Context, img plimsoll.Image) ([]layerfs.Layer, error) {
	var layers []layerfs.Layer
	for i := range img.Layers {
		l, err := s.layer(img, i)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			for _, l := range layers {
				l.Close()
			}
			if !s.dir.Exists(s.record("imagedb/content/sha256/" + img.ID.Hex())) {
				err = engine.Fail(plimsoll.ProblemImageGone, "open image "+img.ID.Short(), "", errors.New("it was removed from Docker"))
			}
			return nil, err
		}
		layers = append(layers, l)
	}
	return layers, nil
}

func (s *Store) layer(img plimsoll.Image, i int) (layerfs.Layer, error) {
	chain := img.Layers[i].ChainID
	path, err := s.layerDir(chain)
	if err != nil {
		return nil, err
	}
	o := layerfs.DirOptions{
		Lowest: i == 0,
		Record: func() (layerfs.Record, error) { return s.tarSplit(chain) },
	}
	switch {
	case s.driver != "overlay":
		return layerfs.Dir(path, o)
	case i == 0:
		return layerfs.RootFS(path, o)
	}
	parent, err := s.layerDir(img.Layers[i-1].ChainID)
	if err != nil {
		return nil, err
	}
	return layerfs.DirDiff(parent, path, o)
}

func (s *Store) tarSplit(chain plimsoll.Digest) (layerfs.Record, error) {
	f, err := s.dir.Open(s.record("layerdb/sha256/" + chain.Hex() + "/tar-split.json.gz"))
	return layerfs.Record{File: f}, err
}

// names returns the references of each image.
func (s *Store) names() (map[plimsoll.Digest][]string, error) {
	var file struct {
		Repositories map[string]map[string]string
	}
	err := s.dir.JSON(s.record("repositories.json"), engine.MaxCatalog, &file)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // nothing was ever named
	}
	names := map[plimsoll.Digest][]string{}
	for _, refs := range file.Repositories {
		for ref, id := range refs {
			names[plimsoll.Digest(id)] = append(names[plimsoll.Digest(id)], ref)
		}
	}
	return names, err
}

// record returns the name of one of the driver's image records.
func (s *Store) record(name string) string { return filepath.Join("image", s.driver, name) }

func (s *Store) word(name string) (string, error) {
	b, err := s.dir.Read(s.record(name), maxWord)
	return strings.TrimSpace(string(b)), err
}
