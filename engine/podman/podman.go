// Package podman reads the images of containers-storage, which Podman, CRI-O
// and Buildah share: from disk, of root and of rootless users. There is no
// daemon to ask.
//
// It owns the layout of a containers-storage with the overlay driver and finds
// such stores. It refuses to write, to lock, to mount and to read drivers whose
// layers are not directories of changes.
//
// Trust: a store is hostile (see package engine); a rootless one belongs to
// another user. Layer directories are handed to layerfs by path, after their
// names were checked.
package podman

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"plimsoll"
	"plimsoll/engine"
	"plimsoll/layerfs"
)

// maxChain bounds the layers below an image's top layer.
const maxChain = 512

// Store is one containers-storage. Its methods may be called concurrently and
// follow what changes on the disk.
type Store struct {
	dir *engine.Dir
	// lower are read-only stores that hold layers for this one.
	lower []*engine.Dir

	mu   sync.Mutex
	last lists
}

// lists are what images.json and the layers.json of a store say. Each scan needs
// them twice, and a thousand images make them long: they are read again when one of
// the files is another.
type lists struct {
	signature string // of the files, as they were read
	records   []record
	layers    map[string]layer
	problems  []plimsoll.Problem // layers that cannot be listed
}

func (s *Store) lists() (lists, error) {
	paths := []string{filepath.Join(s.dir.Path(), imageList)}
	for _, dir := range slices.Concat(s.lower, []*engine.Dir{s.dir}) {
		paths = append(paths, filepath.Join(dir.Path(), layerList))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	signature := engine.Signature(paths...)
	if s.last.signature == signature {
		return s.last, nil
	}
	records, err := s.records()
	if err != nil {
		return lists{}, err
	}
	l := lists{signature: signature, records: records}
	if l.layers, l.problems = s.layers(); len(l.problems) == 0 && engine.Signature(paths...) == signature {
		s.last = l
	}
	return l, nil
}

const (
	imageList = "overlay-images/images.json"
	layerList = "overlay-layers/layers.json"
)

// Name returns "podman" and the graph root.
func (s *Store) Name() string { return "podman " + s.dir.Path() }

// Owner returns the ID of the user who can write the store.
func (s *Store) Owner() uint32 { return s.dir.Owner() }

// Close releases the store.
func (s *Store) Close() error {
	for _, d := range s.lower {
		d.Close()
	}
	return s.dir.Close()
}

// record is an image as overlay-images/images.json lists it.
type record struct {
	ID      string
	Names   []string
	Layer   string   // the top layer's ID
	BigData []string `json:"big-data-names"`
}

// Images returns all images, sorted by ID. Manifest lists are not images; the
// images that they name are.
func (s *Store) Images(ctx context.Context) ([]plimsoll.Image, []plimsoll.Problem, error) {
	known, err := s.lists()
	if err != nil {
		return nil, nil, err
	}
	problems := slices.Clone(known.problems)
	containers, err := s.containers()
	if err != nil {
		p := engine.ProblemOf(err)
		p.Detail = "Podman's containers are not shown: " + p.Detail
		problems = append(problems, p)
	}
	var images []plimsoll.Image
	for _, r := range known.records {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		img, ok := s.image(r, known.layers)
		if !ok {
			continue
		}
		img.Engine, img.Store = plimsoll.Podman, s.dir.Path()
		engine.SetNames(&img, slices.Clone(r.Names))
		img.Containers = containers[r.ID]
		images = append(images, img)
	}
	return engine.Merge(images), problems, nil
}

// image reads one image's documents and checks that its layers are here. It
// reports false for a manifest list.
func (s *Store) image(r record, layers map[string]layer) (plimsoll.Image, bool) {
	img := plimsoll.Image{}
	img.ID, _ = plimsoll.ParseDigest("sha256:" + r.ID)
	fail := func(err error) (plimsoll.Image, bool) {
		p := engine.ProblemOf(err)
		img.Problem = &p
		return img, true
	}
	if img.ID == "" {
		return fail(engine.Fail(plimsoll.ProblemCorruptStore, "read images of "+s.dir.Path(), "", fmt.Errorf("%.80q is not an image ID", r.ID)))
	}
	manifest, err := s.bigData(r.ID, "manifest")
	if err != nil {
		return fail(err)
	}
	target := plimsoll.DigestOf(manifest)
	found, _ := engine.Resolve(func(d plimsoll.Digest) ([]byte, error) {
		if d == target {
			return manifest, nil
		}
		return s.bigData(r.ID, string(d))
	}, target)
	if len(found) != 1 || found[0].Index {
		return img, r.Layer != "" && s.noImage(&img)
	}
	img = found[0].Image
	for _, name := range r.BigData {
		if d, err := plimsoll.ParseDigest(strings.TrimPrefix(name, "manifest-")); err == nil && strings.HasPrefix(name, "manifest-") {
			img.Manifests = append(img.Manifests, d)
		}
	}
	if img.Problem != nil {
		return img, true
	}
	stack, err := stackOf(img, r.Layer, layers)
	if err != nil {
		return fail(err)
	}
	for i, l := range stack {
		if _, err := l.path(); err != nil {
			return fail(err)
		}
		img.Layers[i].Size = max(0, l.DiffSize)
		img.Size += img.Layers[i].Size
	}
	return img, true
}

// noImage marks a record with layers whose manifest leads to no single image.
func (s *Store) noImage(img *plimsoll.Image) bool {
	p := engine.ProblemOf(engine.Fail(plimsoll.ProblemCorruptStore, "read image "+img.ID.Short()+" of "+s.dir.Path(),
		"Pull or build the image again.", errors.New("its manifest does not lead to one image")))
	img.Problem = &p
	return true
}

// Layers opens the layers of an image that Images returned, bottom first. A
// Fault tells whether the image is gone or only a layer is.
func (s *Store) Layers(ctx context.Context, img plimsoll.Image) ([]layerfs.Layer, error) {
	known, err := s.lists()
	if err != nil {
		return nil, err
	}
	// The record's ID is the image ID but for images converted from old manifests.
	err = engine.Fail(plimsoll.ProblemImageGone, "open image "+img.ID.Short(), "", errors.New("it was removed from "+s.dir.Path()))
	for _, r := range known.records {
		if "sha256:"+r.ID != string(img.ID) && !slices.ContainsFunc(r.BigData, func(name string) bool { return name == string(img.ID) }) {
			continue
		}
		var stack []layer
		if stack, err = stackOf(img, r.Layer, known.layers); err == nil {
			return open(ctx, stack)
		}
	}
	return nil, err
}

func open(ctx context.Context, stack []layer) ([]layerfs.Layer, error) {
	var opened []layerfs.Layer
	for i, l := range stack {
		path, err := l.path()
		if err == nil {
			err = ctx.Err()
		}
		var o layerfs.Layer
		if err == nil {
			o, err = layerfs.Dir(path, layerfs.DirOptions{Lowest: i == 0, Record: l.tarSplit})
		}
		if err != nil {
			for _, o := range opened {
				o.Close()
			}
			return nil, err
		}
		opened = append(opened, o)
	}
	return opened, nil
}

// layer is a layer as overlay-layers/layers.json lists it.
type layer struct {
	ID         string
	Parent     string
	DiffDigest string `json:"diff-digest"`
	DiffSize   int64  `json:"diff-size"`

	dir *engine.Dir // the store that lists it
}

var hexID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// path returns the directory of the layer's files.
func (l layer) path() (string, error) {
	path, err := l.dir.Sub(filepath.Join("overlay", l.ID, "diff"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", engine.Fail(plimsoll.ProblemLayerMissing, "find layer "+l.ID[:12]+" in "+l.dir.Path(), "Pull or build the image again.", err)
	}
	return path, err
}

// tarSplit opens the record of the layer's tar. A layer that was committed here
// has none: only the attributes tell.
func (l layer) tarSplit() (layerfs.Record, error) {
	f, err := l.dir.Open("overlay-layers/" + l.ID + ".tar-split.gz")
	return layerfs.Record{File: f}, err
}

// layers returns the layers of this store and of those below it, by ID. A
// store whose list cannot be read becomes a problem.
func (s *Store) layers() (map[string]layer, []plimsoll.Problem) {
	all := map[string]layer{}
	var problems []plimsoll.Problem
	for _, dir := range slices.Concat(s.lower, []*engine.Dir{s.dir}) {
		var list []layer
		err := dir.JSON(layerList, engine.MaxCatalog, &list)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, engine.ProblemOf(err))
		}
		for _, l := range list {
			if l.dir = dir; hexID.MatchString(l.ID) { // it becomes part of a path
				all[l.ID] = l
			}
		}
	}
	return all, problems
}

// stackOf returns the layers from the bottom up to top and checks that they are
// those that the image's configuration names.
func stackOf(img plimsoll.Image, top string, layers map[string]layer) ([]layer, error) {
	op := "find layers of " + img.ID.Short()
	var stack []layer
	for id := top; id != ""; {
		l, ok := layers[id]
		if !ok {
			return nil, engine.Fail(plimsoll.ProblemLayerMissing, op, "Pull or build the image again.", fmt.Errorf("no record of layer %.12q", id))
		}
		if stack = append(stack, l); len(stack) > maxChain {
			return nil, engine.Fail(plimsoll.ProblemCorruptStore, op, "Pull or build the image again.", errors.New("a layer is its own parent"))
		}
		id = l.Parent
	}
	slices.Reverse(stack)
	if len(stack) != len(img.Layers) {
		return nil, engine.Fail(plimsoll.ProblemCorruptStore, op, "Pull or build the image again.",
			fmt.Errorf("the store has %d layers, the configuration names %d", len(stack), len(img.Layers)))
	}
	for i, l := range stack {
		// A layer that was pulled in parts has no digest of its tar.
		if l.DiffDigest != "" && l.DiffDigest != string(img.Layers[i].DiffID) {
			return nil, engine.Fail(plimsoll.ProblemCorruptStore, op, "Pull or build the image again.",
				fmt.Errorf("layer %d has digest %.80q, the configuration names %s", i, l.DiffDigest, img.Layers[i].DiffID))
		}
	}
	return stack, nil
}

func (s *Store) records() ([]record, error) {
	var list []record
	err := s.dir.JSON(imageList, engine.MaxCatalog, &list)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // a store without an image
	}
	return list, err
}

// bigData returns a document of an image. The file's name is the document's,
// encoded unless it is plain.
func (s *Store) bigData(id, name string) ([]byte, error) {
	file := name
	if name != "manifest" {
		file = "=" + base64.StdEncoding.EncodeToString([]byte(name))
	}
	if strings.Contains(file, "/") {
		return nil, fs.ErrNotExist
	}
	return s.dir.Read(filepath.Join("overlay-images", id, file), engine.MaxDocument)
}

// containers returns the containers of each record. Their state is in
// databases of the several engines and stays unknown.
func (s *Store) containers() (map[string][]plimsoll.Container, error) {
	var list []struct {
		ID       string
		Names    []string
		Image    string
		Metadata string // JSON of the engine that made the container
	}
	err := s.dir.JSON("overlay-containers/containers.json", engine.MaxCatalog, &list)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	containers := map[string][]plimsoll.Container{}
	for _, c := range list {
		var meta struct {
			Pod string `json:"pod-name"` // CRI-O: k8s_<pod>_<namespace>_<uid>_<attempt>
		}
		json.Unmarshal([]byte(c.Metadata), &meta) // Podman and CRI-O write it, others do not
		found := plimsoll.Container{ID: c.ID}
		if len(c.Names) > 0 {
			found.Name = c.Names[0]
		}
		if f := strings.Split(meta.Pod, "_"); len(f) == 5 && f[0] == "k8s" {
			found.Pod = f[2] + "/" + f[1]
		}
		containers[c.Image] = append(containers[c.Image], found)
	}
	for _, c := range containers {
		slices.SortFunc(c, func(a, b plimsoll.Container) int { return strings.Compare(a.ID, b.ID) })
	}
	return containers, err
}
