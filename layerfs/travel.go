package layerfs

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"plimsoll"
)

// Parcel is a layer on its way to another process: its content as descriptors,
// everything else as numbers. No path of the host travels.
type Parcel struct {
	Form   string // overlay, plain, diff: a directory; blob, member: a tar
	Lowest bool
	// Trusted: the receiver sees trusted.* attributes while it lists directories,
	// and asks for those of files.
	Trusted bool
	// Record: the last descriptor is a Record, a tar of RecordDiffID or a tar-split.
	// NoRecord says why there is none where it is needed.
	Record       bool
	RecordTar    bool
	RecordDiffID plimsoll.Digest
	NoRecord     string
	// Of a tar: Size bytes at Start of the file and, of a member, Length bytes at
	// Offset of what they expand to.
	Start, Size    int64
	Offset, Length int64
	DiffID         plimsoll.Digest
	Scratch        bool // scratch files are to be had

	Files int // descriptors that belong to it
}

// Sender is what the process that opened a layer still does for the one that
// reads it.
type Sender struct {
	// Metacopied says whether the file at path has its content in lower layers, and
	// under which name if not its own.
	Metacopied func(path string) (bool, string, error)
	Workers    int // as of DirOptions and TarOptions
	// Scratch gives a file without name for what does not fit into memory.
	Scratch func() (*os.File, error)
}

var formNames = map[form]string{formOverlay: "overlay", formPlain: "plain", formDiff: "diff"}

// Pack returns a layer of this package as a parcel, with descriptors that the
// caller closes. It fails with CodeInvalid for a layer that has none: one that is
// in memory, or that another process lists.
func Pack(l Layer) (Parcel, []*os.File, error) {
	switch l := l.(type) {
	case *dirLayer:
		return l.pack()
	case *tarLayer:
		return l.pack()
	}
	return Parcel{}, nil, errNoParcel
}

var errNoParcel = plimsoll.Errorf(plimsoll.CodeInvalid, "pass layer to another process", "it is no file or directory")

func (l *dirLayer) pack() (Parcel, []*os.File, error) {
	p := Parcel{Form: formNames[l.form], Lowest: l.opts.Lowest, Trusted: l.trusted}
	root, err := duplicate(l.root.fd)
	if err != nil {
		return p, nil, err
	}
	files := []*os.File{root}
	if l.parent != nil {
		parent, err := duplicate(l.parent.fd)
		if err != nil {
			root.Close()
			return p, nil, err
		}
		files = append(files, parent)
	}
	if l.form == formOverlay && !l.trusted && !l.opts.Lowest && l.opts.Record != nil {
		if r, err := l.opts.Record(); err != nil {
			p.NoRecord = err.Error()
		} else {
			p.Record, p.RecordTar, p.RecordDiffID = true, r.Tar, r.DiffID
			files = append(files, r.File)
		}
	}
	p.Files = len(files)
	return p, files, nil
}

func (l *tarLayer) pack() (Parcel, []*os.File, error) {
	if l.source == nil {
		return Parcel{}, nil, errNoParcel
	}
	p := Parcel{
		Form: "blob", Size: l.source.size, Offset: l.source.offset, Length: l.source.length,
		DiffID: l.opts.DiffID, Scratch: l.opts.scratch() != nil, Files: 1,
	}
	if l.source.member {
		p.Form = "member"
	}
	r := l.source.r
	if section, ok := r.(*io.SectionReader); ok {
		r, p.Start, _ = section.Outer()
	}
	f, ok := r.(*os.File)
	if !ok {
		return Parcel{}, nil, errNoParcel
	}
	again, err := duplicate(int(f.Fd()))
	return p, []*os.File{again}, err
}

// duplicate returns another descriptor of an open file. Their offsets are one,
// which nobody uses.
func duplicate(fd int) (*os.File, error) {
	again, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, openError("pass layer to another process", "", err)
	}
	return os.NewFile(uintptr(again), "a layer"), nil
}

// Unpack returns the layer of a parcel, which owns its descriptors.
func Unpack(p Parcel, files []*os.File, s Sender) (Layer, error) {
	if len(files) != p.Files || len(files) == 0 {
		return nil, errNoParcel
	}
	if p.Form == "blob" || p.Form == "member" {
		o := TarOptions{DiffID: p.DiffID, Workers: s.Workers}
		if p.Scratch {
			o.newScratch = s.Scratch
		}
		r := io.NewSectionReader(files[0], p.Start, p.Size)
		if p.Form == "member" {
			return TarMember(r, p.Size, p.Offset, p.Length, o), nil
		}
		return TarBlob(r, p.Size, o), nil
	}
	l := &dirLayer{opts: DirOptions{Workers: s.Workers, Lowest: p.Lowest}, bounds: defaultBounds(), trusted: p.Trusted, metacopied: s.Metacopied}
	if l.opts.Workers <= 0 {
		l.opts.Workers = defaultWorkers
	}
	switch {
	case p.Record:
		record := Record{File: files[len(files)-1], Tar: p.RecordTar, DiffID: p.RecordDiffID}
		l.opts.Record = func() (Record, error) { return record, nil }
	case p.NoRecord != "":
		l.opts.Record = func() (Record, error) { return Record{}, errors.New(p.NoRecord) }
	}
	known := false
	for form, name := range formNames {
		if name == p.Form {
			l.form, known = form, true
		}
	}
	if !known || l.form == formDiff && len(files) < 2 {
		return nil, errNoParcel
	}
	var err error
	if l.root, err = holdDir(files[0]); err == nil && l.form == formDiff {
		l.parent, err = holdDir(files[1])
	}
	return l, err
}

// holdDir takes over an open directory.
func holdDir(f *os.File) (*hostDir, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, openError("receive layer", "", err)
	}
	return newHostDir(fd, "")
}

// Lister is a layer whose directories can be listed before its files are read: see
// List of the layers that Dir, RootFS and DirDiff return.
type Lister interface {
	Layer
	List(ctx context.Context, v Visitor)
}

// Metacopied says whether the file at path of a directory has its content in
// lower layers, and under which name if not its own.
func Metacopied(l Layer, path string) (bool, string, error) {
	d, ok := l.(*dirLayer)
	if !ok {
		return false, "", errNoParcel
	}
	f, err := d.Open(path)
	if err != nil {
		return false, "", err
	}
	defer f.Close()
	return f.metacopy, f.redirect, nil
}

// Scratch returns a file without name for the layer's content that does not fit
// into memory, or an error where there is no place for one.
func Scratch(l Layer) (*os.File, error) {
	if t, ok := l.(*tarLayer); ok {
		if scratch := t.opts.scratch(); scratch != nil {
			return scratch()
		}
	}
	return nil, errNoParcel
}
