package layerfs

import (
	"context"

	"golang.org/x/sys/unix"

	"plimsoll"
)

// DirOptions tells how a layer directory is read.
type DirOptions struct {
	Workers int // goroutines that list directories and visit files; 0 means 2
	// Record opens another source of the layer's opaque directories, asked when
	// this process cannot see trusted.* attributes. Without it the layer then gets
	// a problem opaque-unknown.
	Record func() (Record, error)
	Lowest bool // nothing lies below: opaque marks cannot matter
}

// form is how a directory holds a layer.
type form uint8

const (
	formOverlay form = iota // overlayfs: whiteouts, opaque directories, redirects
	formPlain               // a root file system
	formDiff                // a full tree that shares its files with its parent's
)

// dirLayer is a layer in a directory of the host.
type dirLayer struct {
	form    form
	root    *hostDir
	parent  *hostDir // of formDiff
	opts    DirOptions
	bounds  bounds
	trusted bool // trusted.* attributes are seen while directories are listed
	// metacopied asks whoever sees them later, too, about the file at path; nil
	// when this process does.
	metacopied func(path string) (bool, string, error)
	listed     *dirScan // by List, until Scan
}

// Dir returns the layer whose change set is the directory root: the diff of
// Docker's overlay2 and of containers-storage, the fs of containerd's overlayfs
// snapshots. It understands the marks of overlayfs and of fuse-overlayfs. As in
// a mounted overlay, an opaque mark on the root itself means nothing.
//
// It fails with CodeNotFound when root is gone and CodeUnreadable when it may
// not be opened. Scan needs CAP_DAC_READ_SEARCH for what others own; what it may
// not read becomes problems unreadable-dir and unreadable-file.
func Dir(root string, o DirOptions) (Layer, error) { return newDirLayer(formOverlay, root, "", o) }

// RootFS returns a plain root file system directory as a layer: it has neither
// whiteouts nor opaque directories.
func RootFS(root string, o DirOptions) (Layer, error) { return newDirLayer(formPlain, root, "", o) }

// DirDiff returns the layer of Docker's legacy overlay driver, which keeps each
// layer as a full tree, hard-linked to its parent's. The layer is what differs:
// files by inode, links by target, and names that only the parent has as
// whiteouts. Both directories must be on one file system.
func DirDiff(parent, child string, o DirOptions) (Layer, error) {
	return newDirLayer(formDiff, child, parent, o)
}

func newDirLayer(form form, root, parent string, o DirOptions) (Layer, error) {
	if o.Workers <= 0 {
		o.Workers = defaultWorkers
	}
	l := &dirLayer{form: form, opts: o, bounds: defaultBounds(), trusted: seesTrusted()}
	var err error
	if l.root, err = openHostDir(root); err != nil {
		return nil, err
	}
	if form == formDiff {
		if l.parent, err = openHostDir(parent); err != nil {
			l.root.close()
			return nil, err
		}
	}
	return l, nil
}

const defaultWorkers = 2

// Open implements Layer.
func (l *dirLayer) Open(path string) (*File, error) {
	f, st, err := l.root.openFile(path)
	if err != nil {
		return nil, openError("open file of layer", path, err)
	}
	file := newFile(f, st)
	if l.form == formOverlay && l.trusted {
		// A name that Scan did not look at may turn out to have its content below.
		file.metacopy, file.redirect, err = l.metacopy(f, st, path, make([]byte, 1024))
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return file, nil
}

// Close implements Layer.
func (l *dirLayer) Close() error {
	err := l.root.close()
	if l.parent != nil {
		if perr := l.parent.close(); err == nil {
			err = perr
		}
	}
	return err
}

// List reads the directories of the layer and their marks, and asks v which files
// are wanted. A later Scan visits these, with no need of the rights that listing
// took; it tells what List met, errors as well. No file's content is read.
func (l *dirLayer) List(ctx context.Context, v Visitor) {
	s := &dirScan{layer: l, visitor: v, links: make(map[inode][]wanted), root: new(dirNode)}
	s.idle.L = &s.mu
	if err := s.findOpaques(ctx); err != nil {
		s.problems.add(plimsoll.ProblemOpaqueUnknown, "", err.Error())
	}
	s.push(job{node: s.root, based: l.form == formDiff})
	s.run(ctx)
	l.listed = s
}

// Scan implements Layer. Directories and wanted files are spread over the
// layer's workers; none of them outlives Scan. It must not run beside Close.
func (l *dirLayer) Scan(ctx context.Context, v Visitor) (*Index, []plimsoll.Problem, error) {
	if l.listed == nil {
		l.List(ctx, v)
	}
	s := l.listed
	l.listed = nil
	s.visitor = v
	root := s.root
	if s.err == nil {
		s.push(s.files...)
		s.files = nil
		s.run(ctx)
	}
	if s.err == nil {
		s.pushLinks()
		s.run(ctx)
	}
	if s.err == nil {
		s.err = l.gone()
	}
	if s.err != nil {
		return nil, s.problems.sorted(), s.err
	}
	s.noteMetacopies()
	if l.form == formDiff {
		prune(root)
	}
	root.flags, root.redirect = 0, ""
	return flatten(root), s.problems.sorted(), nil
}

// gone tells whether the layer's directory was removed while it was read.
func (l *dirLayer) gone() error {
	var st unix.Stat_t
	if err := unix.Fstat(l.root.fd, &st); err == nil && st.Nlink == 0 {
		return vanished("")
	}
	return nil
}

// vanished is the error for a layer that is being removed: layers are immutable,
// so a name that was just listed cannot be missing for another reason.
func vanished(path string) error {
	return plimsoll.Errorf(plimsoll.CodeNotFound, "scan layer", "the layer vanished while it was read, at %q", path)
}
