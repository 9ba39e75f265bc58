package engine

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"plimsoll"
	"plimsoll/jsonlimit"
)

// Limits of an engine's records. They are generous: a record that reaches one
// is damaged or hostile.
const (
	MaxDocument = 8 << 20  // bytes of a manifest, an index or a configuration
	MaxCatalog  = 64 << 20 // bytes of a record that lists all images or layers of a store
	maxEntries  = 1 << 20  // names in one directory of a store
)

// Dir is a directory that an engine owns. Names given to its methods are
// resolved inside it; a link that leaves it is an error, so that a store
// written by another user cannot make us read the rest of the host.
type Dir struct {
	root *os.Root
	path string
}

// OpenDir opens the directory at path, which must not be a record's content.
func OpenDir(path string) (*Dir, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	return &Dir{root, path}, nil
}

// Path returns the path that the directory was opened with.
func (d *Dir) Path() string { return d.path }

// Owner returns the ID of the user whose directory it is; whoever that is can
// put anything into it. It is the highest ID when that cannot be told.
func (d *Dir) Owner() uint32 {
	if info, err := d.root.Stat("."); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			return stat.Uid
		}
	}
	return math.MaxUint32
}

// Close releases the directory.
func (d *Dir) Close() error { return d.root.Close() }

// Open opens a regular file for reading. It never waits, whatever the file is.
func (d *Dir) Open(name string) (*os.File, error) {
	return regular(d.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0))
}

// regular closes what was opened unless it is a regular file.
func regular(f *os.File, err error) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: f.Name(), Err: errors.New("not a regular file")}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Read returns the content of a regular file of at most limit bytes. The error
// is that of the operating system or has CodeLimit.
func (d *Dir) Read(name string, limit int64) ([]byte, error) {
	f, err := d.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(f, filepath.Join(d.path, name), limit)
}

// JSON decodes a file of at most limit bytes into v. A malformed file fails
// with CodeCorrupt.
func (d *Dir) JSON(name string, limit int64, v any) error {
	b, err := d.Read(name, limit)
	if err != nil {
		return err
	}
	if err := Unmarshal(b, v); err != nil {
		return plimsoll.Errorf(plimsoll.CodeCorrupt, "read "+filepath.Join(d.path, name), "%w", err)
	}
	return nil
}

// Unmarshal is json.Unmarshal for what anybody may have written: a document that would
// take many times its size in memory is refused before.
func Unmarshal(b []byte, v any) error {
	const least = 1000
	if err := jsonlimit.Check(b, jsonlimit.Limits{Depth: 64, Objects: least + len(b)/32, Values: least + len(b)/6}); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// List returns the names in a directory, sorted. A directory that does not
// exist has none.
func (d *Dir) List(name string) ([]string, error) {
	f, err := d.root.OpenFile(name, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	names, err := f.Readdirnames(maxEntries)
	if err != nil && err != io.EOF {
		return nil, err
	}
	if len(names) == maxEntries {
		return nil, plimsoll.Errorf(plimsoll.CodeLimit, "list "+filepath.Join(d.path, name), "more than %d names", maxEntries)
	}
	slices.Sort(names)
	return names, nil
}

// Sub returns the path of a directory below d, for a reader that takes it from
// there. No part of name may be a link.
func (d *Dir) Sub(name string) (string, error) {
	for at := name; at != "."; at = filepath.Dir(at) {
		info, err := d.root.Lstat(at)
		if err != nil {
			return "", err
		}
		if !info.IsDir() {
			return "", plimsoll.Errorf(plimsoll.CodeCorrupt, "open "+filepath.Join(d.path, at), "not a directory")
		}
	}
	return filepath.Join(d.path, name), nil
}

// Exists says whether name is there, as far as this process may know.
func (d *Dir) Exists(name string) bool {
	_, err := d.root.Stat(name)
	return err == nil
}

// ReadAll reads r to its end; more than limit bytes fail with CodeLimit. The
// name is for the error.
func ReadAll(r io.Reader, name string, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, plimsoll.Errorf(plimsoll.CodeLimit, "read "+name, "more than %d bytes", limit)
	}
	return b, nil
}
