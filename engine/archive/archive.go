// Package archive reads images that no engine holds: docker-save tars, OCI
// layouts (directory or tar, also compressed as a whole by gzip or zstd) and
// root file system directories.
//
// It owns the recognition of these shapes and their indexes. It refuses to
// unpack, to follow links out of a layout and to guess: a document that can be
// understood in two ways is an error.
//
// Trust: an archive is hostile. Manifests and configurations are verified by
// digest and bounded (engine.MaxDocument); a layer must have the diff ID that the
// configuration claims, because its facts are shared by that.
package archive

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"

	"plimsoll"
	"plimsoll/engine"
	"plimsoll/jsonlimit"
	"plimsoll/layerfs"
)

const maxImages = 10000 // that one archive may name

// Options tells how an archive is read.
type Options struct {
	// Scratch is for layers that are compressed; see layerfs.TarOptions.
	Scratch string
}

// Store is one archive. Its methods may be called concurrently.
type Store struct {
	path     string
	scratch  string
	files    files // nil for a root file system
	images   []plimsoll.Image
	problems []plimsoll.Problem
	layers   map[plimsoll.Digest][]string // image ID → files, bottom first
}

// files are the members of an archive by clean name.
type files interface {
	// read returns a document; a missing one is fs.ErrNotExist.
	read(name string) ([]byte, error)
	// layer opens a layer's tar.
	layer(name string, o layerfs.TarOptions) (layerfs.Layer, error)
	has(name string) bool
	close() error
}

// Open opens an archive by its shape: a directory with the file oci-layout is an
// OCI layout, any other one a root file system; a file is a tar. It reads all
// documents, so that the images are known. The error has CodeNotFound,
// CodeUnreadable, CodeInvalid for a file of another shape, CodeCorrupt or
// CodeLimit, or is that of ctx, which counts for opening only.
func Open(ctx context.Context, name string, o Options) (*Store, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, openError(name, err)
	}
	info, err := os.Stat(abs)
	if err != nil {
		return nil, openError(name, err)
	}
	s := &Store{path: abs, scratch: o.Scratch, layers: map[plimsoll.Digest][]string{}}
	switch {
	case info.Mode().IsRegular():
		s.files, err = openTar(ctx, abs)
	case info.IsDir():
		if _, err := os.Lstat(filepath.Join(abs, v1.ImageLayoutFile)); err != nil {
			s.images = []plimsoll.Image{rootFS(abs)}
			return s, nil
		}
		s.files, err = openDir(abs)
	default:
		err = plimsoll.Errorf(plimsoll.CodeInvalid, "open archive", "%s is neither a file nor a directory", name)
	}
	if err != nil {
		return nil, openError(name, err)
	}
	err = s.index()
	if ctx.Err() != nil {
		err = ctx.Err() // whatever came of it
	}
	if err != nil {
		s.files.close()
		return nil, openError(name, err)
	}
	return s, nil
}

func openError(name string, err error) error {
	code := plimsoll.CodeOf(err)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrNotExist):
		code = plimsoll.CodeNotFound
	case errors.Is(err, fs.ErrPermission):
		code = plimsoll.CodeUnreadable
	case code == plimsoll.CodeInternal:
		code = plimsoll.CodeCorrupt
	}
	return &plimsoll.Error{Code: code, Op: "open archive " + name, Err: err}
}

// rootFS returns a directory as an image of one layer. It has no configuration
// to take a digest of, so its ID stands for the place, and its layer has no diff
// ID: the content can change under the same ID and must not be kept.
func rootFS(dir string) plimsoll.Image {
	return plimsoll.Image{
		ID:       plimsoll.DigestOf([]byte("rootfs " + dir)),
		Engine:   plimsoll.Archive,
		Store:    dir,
		Names:    []string{dir},
		Platform: plimsoll.Platform{OS: "linux"},
		Layers:   []plimsoll.Layer{{}},
	}
}

// Name returns "archive" and the path.
func (s *Store) Name() string { return "archive " + s.path }

// Images returns all images, sorted by ID.
func (s *Store) Images(context.Context) ([]plimsoll.Image, []plimsoll.Problem, error) {
	images := make([]plimsoll.Image, len(s.images))
	for i, img := range s.images {
		img.Layers = append([]plimsoll.Layer(nil), img.Layers...) // callers mark base layers
		images[i] = img
	}
	return images, s.problems, nil
}

// Layers opens the layers of an image that Images returned, bottom first.
func (s *Store) Layers(ctx context.Context, img plimsoll.Image) ([]layerfs.Layer, error) {
	if s.files == nil {
		l, err := layerfs.RootFS(s.path, layerfs.DirOptions{Lowest: true})
		if err != nil {
			return nil, err
		}
		return []layerfs.Layer{l}, nil
	}
	names, ok := s.layers[img.ID]
	if !ok {
		return nil, plimsoll.Errorf(plimsoll.CodeNotFound, "open image "+img.ID.Short(), "%s has no such image", s.path)
	}
	var layers []layerfs.Layer
	for i, name := range names {
		l, err := s.files.layer(name, layerfs.TarOptions{Scratch: s.scratch, DiffID: img.Layers[i].DiffID})
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			for _, l := range layers {
				l.Close()
			}
			return nil, missing(name, err)
		}
		layers = append(layers, l)
	}
	return layers, nil
}

// Close releases the archive; layers must not be used any more.
func (s *Store) Close() error {
	if s.files == nil {
		return nil
	}
	return s.files.close()
}

// index reads the archive's documents. Newer tools write an OCI layout and
// Docker's manifest.json side by side; the layout has more, and the other one
// adds names.
func (s *Store) index() error {
	hasLayout := s.files.has(v1.ImageLayoutFile) && s.files.has(v1.ImageIndexFile)
	hasManifest := s.files.has(dockerManifest)
	if !hasLayout && !hasManifest {
		return &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: "recognise archive",
			Hint: "Give a tar made by docker save, podman save or skopeo, an OCI layout, or the directory of a root file system.",
			Err:  errors.New("it contains neither manifest.json nor an OCI layout")}
	}
	if hasLayout {
		if err := s.indexLayout(); err != nil {
			return err
		}
	}
	if hasManifest {
		if err := s.indexDocker(hasLayout); err != nil {
			return err
		}
	}
	s.images = engine.Merge(s.images)
	return nil
}

// indexLayout reads an OCI layout.
func (s *Store) indexLayout() error {
	var layout v1.ImageLayout
	if err := s.json(v1.ImageLayoutFile, &layout); err != nil {
		return err
	}
	if layout.Version != v1.ImageLayoutVersion {
		return plimsoll.Errorf(plimsoll.CodeInvalid, "read OCI layout", "version %.20q is not known", layout.Version)
	}
	var index struct {
		Manifests []v1.Descriptor
		Config    json.RawMessage
		Layers    json.RawMessage
	}
	if err := s.json(v1.ImageIndexFile, &index); err != nil {
		return err
	}
	if index.Config != nil || index.Layers != nil {
		return plimsoll.Errorf(plimsoll.CodeInvalid, "read index.json", "it is an index and a manifest at once")
	}
	if len(index.Manifests) > maxImages {
		return plimsoll.Errorf(plimsoll.CodeLimit, "read index.json", "more than %d images", maxImages)
	}
	// Each manifest is resolved once, however often it is named: an index of
	// indexes multiplies.
	type resolved struct {
		images []plimsoll.Image
		absent []plimsoll.Platform
	}
	known := map[plimsoll.Digest]resolved{}
	for _, m := range index.Manifests {
		target := plimsoll.Digest(m.Digest)
		r, again := known[target]
		if !again {
			r.images, r.absent = engine.Present(s.blob, target, func(img *plimsoll.Image, blobs []v1.Descriptor) error {
				return s.check(*img, blobNames(blobs))
			})
			known[target] = r
		}
		names := s.refNames(m.Annotations)
		for _, img := range r.images {
			s.add(img, names)
		}
		if len(r.absent) > 0 {
			s.problems = append(s.problems, engine.Absence(names, target, r.absent))
		}
		if len(s.images) > maxImages {
			return plimsoll.Errorf(plimsoll.CodeLimit, "read index.json", "more than %d images", maxImages)
		}
	}
	return nil
}

// refNames returns the name that an index gives an image. A bare tag, as skopeo
// writes it, belongs to the layout's own name.
func (s *Store) refNames(annotations map[string]string) []string {
	if name := annotations["io.containerd.image.name"]; name != "" {
		return []string{name}
	}
	ref := annotations[v1.AnnotationRefName]
	if ref == "" || strings.ContainsAny(ref, ":/@") {
		return []string{ref}
	}
	base := filepath.Base(s.path)
	return []string{strings.TrimSuffix(base, filepath.Ext(base)) + ":" + ref}
}

func blobNames(blobs []v1.Descriptor) []string {
	names := make([]string, len(blobs))
	for i, l := range blobs {
		if d, err := plimsoll.ParseDigest(string(l.Digest)); err == nil {
			names[i] = blobName(d)
		}
	}
	return names
}

func blobName(d plimsoll.Digest) string { return path.Join(v1.ImageBlobsDir, "sha256", d.Hex()) }

func (s *Store) blob(d plimsoll.Digest) ([]byte, error) { return s.files.read(blobName(d)) }

func (s *Store) add(img plimsoll.Image, names []string) {
	img.Engine, img.Store = plimsoll.Archive, s.path
	engine.SetNames(&img, names)
	s.images = append(s.images, img)
}

// check checks that the files of an image's layers are in the archive, and
// keeps their names for Layers.
func (s *Store) check(img plimsoll.Image, layers []string) error {
	if len(layers) != len(img.Layers) {
		return engine.Fail(plimsoll.ProblemCorruptStore, "read image "+img.ID.Short(), "",
			fmt.Errorf("%d layers, but its configuration names %d", len(layers), len(img.Layers)))
	}
	for _, name := range layers {
		if !s.files.has(name) {
			return missing(name, fs.ErrNotExist)
		}
	}
	s.layers[img.ID] = layers
	return nil
}

func missing(name string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return engine.Fail(plimsoll.ProblemLayerMissing, fmt.Sprintf("find layer %.100q in the archive", name), "Save the image again.", err)
}

// json decodes a document of the archive.
func (s *Store) json(name string, v any) error {
	b, err := s.files.read(name)
	if err != nil {
		return err
	}
	if err := engine.Unmarshal(b, v); err != nil {
		code := plimsoll.CodeCorrupt
		if errors.Is(err, jsonlimit.ErrLimit) {
			code = plimsoll.CodeLimit
		}
		return plimsoll.Errorf(code, "read "+name, "%w", err)
	}
	return nil
}
