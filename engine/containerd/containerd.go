// Package containerd reads the images that containerd holds, in every
// namespace: committed overlayfs snapshots where they lie, else the layer blobs
// of the content store.
//
// It owns containerd's layout on disk and the questions asked over its socket
// (namespaces, images, containers). Manifests, configurations and layers come
// from disk in any case; without a socket so do the names, from the metadata
// database, which is read in place and without its lock. Docker's images are
// here too when Docker uses containerd's image store: namespace "moby".
// The package refuses to mount, to make views or leases of snapshots, to pull
// and to write.
//
// Trust: a root directory and a daemon are hostile (see package engine).
// Snapshot directories are handed to layerfs by path, after their names were
// checked.
package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"plimsoll"
	"plimsoll/engine"
	"plimsoll/layerfs"
)

// The plugins whose directories are read; below the root they are named so.
const (
	contentPlugin = "io.containerd.content.v1.content"
	overlayPlugin = "io.containerd.snapshotter.v1.overlayfs"
)

// dockerNamespace is where Docker keeps what it stores in containerd.
const dockerNamespace = "moby"

// defaultRoot is not mentioned in the name of a store.
const defaultRoot = "/var/lib/containerd"

// Store is one namespace of one containerd. Its methods may be called
// concurrently and read the disk anew each time.
type Store struct {
	*server
	namespace string
	scratch   string
	closed    sync.Once
}

// server is one containerd, shared by the stores of its namespaces.
type server struct {
	root    string
	dirs    []*engine.Dir // of all below, to be closed
	disk    disk
	content *engine.Dir
	overlay *engine.Dir      // nil without the snapshotter
	conn    *grpc.ClientConn // nil when no daemon answered

	watch sync.Mutex // held by the store that follows the daemon's events

	mu        sync.Mutex
	users     int
	snapshots map[string]snapshot // at txid
	txid      uint64
}

// Name returns the engine, the namespace and, when it is not the usual one, the
// root directory.
func (s *Store) Name() string { return string(s.engine()) + " " + s.place() }

func (s *Store) place() string {
	if s.root == defaultRoot {
		return s.namespace
	}
	return s.namespace + " in " + s.root
}

func (s *Store) engine() plimsoll.Engine {
	if s.namespace == dockerNamespace {
		return plimsoll.Docker
	}
	return plimsoll.Containerd
}

// Owner returns the ID of the user who can write the store.
func (s *Store) Owner() uint32 { return s.disk.root.Owner() }

// Close releases the store; with the last store of a daemon, the connection.
func (s *Store) Close() error {
	var err error
	s.closed.Do(func() { err = s.release() })
	return err
}

func (v *server) release() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.users--; v.users > 0 {
		return nil
	}
	var err error
	if v.conn != nil {
		err = v.conn.Close()
	}
	for _, d := range v.dirs {
		err = errors.Join(err, d.Close())
	}
	return err
}

// Images returns all images, sorted by ID: one for each platform that is here.
// Platforms of an index that were never pulled are a problem of the store, not
// images.
func (s *Store) Images(ctx context.Context) ([]plimsoll.Image, []plimsoll.Problem, error) {
	records, containers, problems, err := s.list(ctx)
	if err != nil {
		return nil, nil, err
	}
	names := map[plimsoll.Digest][]string{}
	for _, r := range records {
		names[r.target] = append(names[r.target], r.name)
	}
	targets := make([]plimsoll.Digest, 0, len(names))
	for target := range names {
		targets = append(targets, target)
	}
	slices.Sort(targets)

	var images []plimsoll.Image
	for _, target := range targets {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		found, absent := engine.Present(s.blob, target, s.measure)
		for i := range found {
			found[i].Engine, found[i].Store = s.engine(), s.place()
			engine.SetNames(&found[i], names[target])
		}
		if i := forThisMachine(found); i >= 0 {
			for _, c := range containers {
				if slices.Contains(names[target], c.image) {
					found[i].Containers = append(found[i].Containers, plimsoll.Container{
						ID: c.id, Name: containerName(c), State: c.state, Pod: engine.Pod(c.labels)})
				}
			}
		}
		images = append(images, found...)
		if len(absent) > 0 {
			problems = append(problems, engine.Absence(names[target], target, absent))
		}
	}
	return engine.Merge(images), problems, nil
}

// list asks the daemon, and the disk when the daemon has gone.
func (s *Store) list(ctx context.Context) ([]imageRecord, []containerRecord, []plimsoll.Problem, error) {
	var c catalog = s.disk
	if s.conn != nil {
		c = remote{s.conn}
	}
	records, err := c.images(ctx, s.namespace)
	if status.Code(err) == codes.Unavailable && ctx.Err() == nil {
		c = s.disk
		records, err = c.images(ctx, s.namespace)
	}
	if err != nil {
		return nil, nil, nil, engine.Fail(plimsoll.ProblemEngineUnavailable, "list images of "+s.Name(), "", err)
	}
	containers, err := c.containers(ctx, s.namespace)
	if err != nil {
		p := engine.ProblemOf(engine.Fail(plimsoll.ProblemEngineUnavailable, "list containers of "+s.Name(), "", err))
		return records, nil, []plimsoll.Problem{p}, nil
	}
	return records, containers, nil, nil
}

// measure checks that all layers are here and sums up their sizes, which are
// known of snapshots only.
func (s *Store) measure(img *plimsoll.Image, blobs []v1.Descriptor) error {
	snapshots, err := s.committed()
	var size int64
	unpacked := 0
	for i := range img.Layers {
		l := &img.Layers[i]
		if sn, ok := snapshots[s.namespace+"/"+string(l.ChainID)]; ok {
			l.Size = sn.size
			size += sn.size
			unpacked++
		} else if blobs == nil || !s.content.Exists(blobName(plimsoll.Digest(blobs[i].Digest))) {
			return s.missing(l.ChainID, err)
		}
	}
	if unpacked == len(img.Layers) {
		img.Size = size
	}
	return nil
}

// missing says why a layer cannot be had, from why there are no snapshots.
func (s *Store) missing(chain plimsoll.Digest, err error) error {
	op := "find layer " + chain.Short() + " of " + s.Name()
	if err != nil {
		return &plimsoll.Error{Code: plimsoll.CodeOf(err), Op: op, Err: err}
	}
	if other := s.snapshotterOf(chain); other != "" {
		return engine.Fail(plimsoll.ProblemUnsupportedDriver, op, "Pull the image with the overlayfs snapshotter, or keep its layer blobs.",
			fmt.Errorf("snapshotter %q is not read", other))
	}
	return engine.Fail(plimsoll.ProblemLayerMissing, op, "Pull the image again.",
		errors.New("neither an overlayfs snapshot nor a blob of it is here"))
}

// snapshotterOf returns the name of another snapshotter that has the layer.
func (s *Store) snapshotterOf(chain plimsoll.Digest) string {
	var found string
	s.disk.view(func(v1 bucket) error {
		found = ""
		all, err := v1.sub(s.namespace, "snapshots")
		if err != nil {
			return err
		}
		return all.each(func(key, _ []byte, sub *bucket) error {
			if sub != nil && string(key) != "overlayfs" {
				if one, err := sub.sub(string(chain)); err == nil && one.db != nil {
					found = string(key)
				}
			}
			return nil
		})
	})
	return found
}

// committed returns all committed snapshots by "namespace/chain ID".
func (v *server) committed() (map[string]snapshot, error) {
	if v.overlay == nil {
		return nil, nil
	}
	f, err := v.overlay.Open("metadata.db")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nothing was ever unpacked
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	v.mu.Lock()
	defer v.mu.Unlock()
	err = view(f, func(root bucket, txid uint64) error {
		if v.snapshots != nil && v.txid == txid {
			return nil
		}
		found, err := readSnapshots(root)
		v.snapshots, v.txid = found, txid
		return err
	})
	if err != nil {
		v.snapshots = nil
	}
	return v.snapshots, err
}

// Layers opens the layers of an image that Images returned, bottom first. A
// Fault tells whether the image is gone or only a layer is.
func (s *Store) Layers(ctx context.Context, img plimsoll.Image) ([]layerfs.Layer, error) {
	snapshots, snapshotsErr := s.committed()
	blobs := sync.OnceValue(func() []plimsoll.Digest { return s.blobsOf(img) })
	blob := func(i int) (*os.File, error) {
		if i >= len(blobs()) {
			return nil, fs.ErrNotExist
		}
		return s.content.Open(blobName(blobs()[i]))
	}
	var layers []layerfs.Layer
	for i, l := range img.Layers {
		var opened layerfs.Layer
		err := ctx.Err()
		sn, unpacked := snapshots[s.namespace+"/"+string(l.ChainID)]
		switch {
		case err != nil:
		case unpacked:
			opened, err = s.openSnapshot(sn, layerfs.DirOptions{
				Lowest: i == 0,
				Record: func() (layerfs.Record, error) {
					f, err := blob(i)
					return layerfs.Record{File: f, Tar: true, DiffID: l.DiffID}, err
				},
			})
		default:
			var f *os.File
			if f, err = blob(i); err == nil {
				opened, err = s.tar(f, l.DiffID)
			} else if errors.Is(err, fs.ErrNotExist) {
				err = s.missing(l.ChainID, snapshotsErr)
			}
		}
		if err != nil {
			for _, l := range layers {
				l.Close()
			}
			if ctx.Err() == nil && !s.content.Exists(blobName(img.ID)) {
				err = engine.Fail(plimsoll.ProblemImageGone, "open image "+img.ID.Short(), "", errors.New("it was removed from "+s.Name()))
			}
			return nil, err
		}
		layers = append(layers, opened)
	}
	return layers, nil
}

func (s *Store) openSnapshot(sn snapshot, o layerfs.DirOptions) (layerfs.Layer, error) {
	path, err := s.overlay.Sub(filepath.Join("snapshots", strconv.FormatUint(sn.id, 10), "fs"))
	if err != nil {
		return nil, err
	}
	return layerfs.Dir(path, o)
}

// blobsOf returns the layer blobs of the manifest that leads to the image.
func (s *Store) blobsOf(img plimsoll.Image) []plimsoll.Digest {
	for _, manifest := range img.Manifests {
		found, _ := engine.Resolve(s.blob, manifest)
		for _, r := range found {
			if r.Image.ID != img.ID || r.Layers == nil {
				continue
			}
			blobs := make([]plimsoll.Digest, len(r.Layers))
			for i, l := range r.Layers {
				blobs[i] = plimsoll.Digest(l.Digest)
			}
			return blobs
		}
	}
	return nil
}

func (s *Store) tar(f *os.File, diffID plimsoll.Digest) (layerfs.Layer, error) {
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, err
	}
	// Files of the layer outlive the layer, so f is closed when nothing refers
	// to it any more.
	return layerfs.TarBlob(f, info.Size(), layerfs.TarOptions{Scratch: s.scratch, DiffID: diffID}), nil
}

// blob is an engine.Blobs of the content store, which all namespaces share.
func (v *server) blob(d plimsoll.Digest) ([]byte, error) {
	return v.content.Read(blobName(d), engine.MaxDocument)
}

// blobName returns the file of a blob; a digest that is none leads nowhere.
func blobName(d plimsoll.Digest) string {
	if _, err := plimsoll.ParseDigest(string(d)); err != nil {
		return "blobs/none"
	}
	return "blobs/sha256/" + d.Hex()
}

// forThisMachine returns the index of the image that containers here run: that
// of this architecture, else the first; -1 when there is none.
func forThisMachine(images []plimsoll.Image) int {
	i := slices.IndexFunc(images, func(img plimsoll.Image) bool { return img.Platform.Architecture == runtime.GOARCH })
	if i < 0 && len(images) > 0 {
		i = 0
	}
	return i
}

func containerName(c containerRecord) string {
	for _, label := range []string{"io.kubernetes.container.name", "nerdctl/name"} {
		if name := c.labels[label]; name != "" {
			return name
		}
	}
	return c.id
}
