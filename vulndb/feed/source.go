package feed

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"plimsoll"
	"plimsoll/vulndb"
)

// Source is a place of advisories beside the OSV exports.
type Source struct {
	Kind string // one of Kinds
	// System is the release whose packages the source is about, Claim how the
	// operator wrote it; zero where the records say so themselves.
	System  plimsoll.Distribution
	Claim   string
	Address string // http(s) URL, file or directory
}

// ParseSource understands KIND[@DISTRIBUTION:RELEASE]=ADDRESS, for example
// "updateinfo@euleros:2.0-SP9=https://repo.example/euleros/2.9/os/x86_64". The
// error has CodeInvalid.
func ParseSource(s string) (Source, error) {
	const op = "understand a source of advisories"
	hint := "write it as KIND[@DISTRIBUTION:RELEASE]=ADDRESS, for example updateinfo@euleros:2.0-SP9=https://repo.example/euleros"
	invalid := func(format string, args ...any) (Source, error) {
		return Source{}, &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: op, Err: fmt.Errorf(format, args...), Hint: hint}
	}
	what, address, ok := strings.Cut(s, "=")
	if !ok || address == "" {
		return invalid("%q names no address", s)
	}
	name, claim, bound := strings.Cut(what, "@")
	k, ok := kinds[name]
	if !ok {
		return invalid("%q is no kind of source; there are %s", name, strings.Join(Kinds(), ", "))
	}
	if _, err := parseAddress(address); err != nil {
		return Source{}, err
	}
	source := Source{Kind: name, Address: address}
	switch {
	case k.bind == bindNever && bound:
		return invalid("the records of %s say themselves which system they are about", name)
	case k.bind == bindAlways && !bound:
		return invalid("%s says nothing about the system that it is for: name it", name)
	case !bound:
		return source, nil
	}
	identity, err := plimsoll.ParseOS(claim, k.system)
	if err != nil {
		return invalid("%q: %w", claim, err)
	}
	source.System, _ = identity.Distribution()
	source.Claim = claim
	return source, nil
}

func (s Source) String() string {
	if s.Claim != "" {
		return s.Kind + "@" + s.Claim + "=" + s.Address
	}
	return s.Kind + "=" + s.Address
}

// name is the name of the source in a generation. Sources of one kind about one
// release, such as the repositories of one distribution, share it.
func (s Source) name() string {
	if s.System.Name != "" {
		return s.Kind + "/" + s.System.Bound()
	}
	place := filepath.Base(s.Address)
	if u, _ := parseAddress(s.Address); u != nil {
		place = u.Host
	}
	return s.Kind + "/" + place
}

// A kind is a format in which advisories are published. To add one, write its
// reader and a row in kinds; docs/advisories.md tells users.
type kind struct {
	// bind says whether the operator names the system that a source is about,
	// system which packages such a system has; "" is any.
	bind   binding
	system plimsoll.PackageType
	// fetch brings what an address names to this disk, into the directory dir of
	// f's copies, and returns the copies' names. Nil fetches one file.
	fetch func(ctx context.Context, f *fetcher, s Source, address *url.URL, dir string) ([]string, error)
	// list returns the files of a directory that belong to the source, sorted.
	list func(dir string) ([]string, error)
	// read reads all files of one source: in.each opens them, in.add takes records.
	read func(ctx context.Context, in *intake) error
}

// binding says whether the operator names the system that a source is about.
type binding int8

const (
	bindNever  binding = iota // its records say so
	bindMaybe                 // its records say so, unless the operator does
	bindAlways                // its records do not
)

var kinds = map[string]kind{
	"csaf":           {bind: bindMaybe, system: plimsoll.TypeRPM, fetch: fetchCSAF, list: listDocuments, read: readCSAF},
	"debian-tracker": {read: readTracker},
	"nvd":            {bind: bindNever, fetch: fetchNVD, list: listNVD, read: readNVD},
	"osv-files":      {list: listDocuments, read: readOSV},
	"secdb":          {bind: bindMaybe, system: plimsoll.TypeAPK, list: listDocuments, read: readSecDB},
	"updateinfo":     {bind: bindAlways, system: plimsoll.TypeRPM, fetch: fetchRepository, list: listRepository, read: readUpdateInfo},
}

// Kinds returns the kinds of sources, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(kinds)) }

// The limits of one source.
const (
	maxSourceFile  = 1 << 30   // bytes of a file as it is fetched
	maxSourceBytes = 4 << 30   // bytes of a file after decompression
	maxSourceFiles = 1_000_000 // files of a directory
)

// sourceFiles are the files of all sources of one name on this disk.
type sourceFiles struct {
	kind    kind
	system  plimsoll.Distribution
	name    string
	files   []string // paths
	copies  []string // names of the directories of copies; none is read in place
	urls    []string
	fetched time.Time // the oldest
	local   bool      // some are read in place: nobody knows whether they have changed
}

// gatherSources brings sources to this disk, one element for each name, in the
// order of the names.
func gatherSources(ctx context.Context, f *fetcher, sources []Source) ([]sourceFiles, error) {
	named := make(map[string]*sourceFiles)
	for _, s := range sources {
		k := kinds[s.Kind]
		name := s.name()
		group := named[name]
		if group == nil {
			group = &sourceFiles{kind: k, system: s.System, name: name}
			named[name] = group
		}
		if err := group.gather(ctx, f, s); err != nil {
			return nil, err
		}
	}
	var list []sourceFiles
	for _, name := range slices.Sorted(maps.Keys(named)) {
		list = append(list, *named[name])
	}
	return list, nil
}

func (g *sourceFiles) gather(ctx context.Context, f *fetcher, s Source) error {
	address, err := parseAddress(s.Address)
	if err != nil {
		return err
	}
	fetched := f.now().UTC().Truncate(time.Second)
	if address == nil {
		files, err := localFiles(g.kind, s.Address)
		if err != nil {
			return &plimsoll.Error{Code: localCode(err), Op: "open source " + s.Address, Err: err}
		}
		g.files, g.urls, g.local = append(g.files, files...), append(g.urls, s.Address), true
	} else {
		sum := sha256.Sum256([]byte(s.Kind + "=" + s.Address))
		dir := "sources/" + s.Kind + "-" + hex.EncodeToString(sum[:8])
		fetch := g.kind.fetch
		if fetch == nil {
			fetch = fetchFile
		}
		names, err := fetch(ctx, f, s, address, dir)
		if err == nil {
			err = f.keepNames(dir, names)
		}
		if err != nil {
			names = f.keptNames(dir)
		}
		for _, name := range names {
			g.files = append(g.files, f.path(name))
			if at := f.info(name).Fetched; !at.IsZero() && at.Before(fetched) {
				fetched = at
			}
		}
		if err := f.settleFor(ctx, g.name, len(names) > 0, fetched, err); err != nil {
			return err
		}
		g.copies, g.urls = append(g.copies, dir), append(g.urls, redacted(address))
	}
	if g.fetched.IsZero() || fetched.Before(g.fetched) {
		g.fetched = fetched
	}
	return nil
}

// origin says where the source came from and when.
func (g *sourceFiles) origin() sourceOrigin {
	return sourceOrigin{strings.Join(g.urls, ", "), g.fetched}
}

// fetchFile fetches a source that is one file.
func fetchFile(ctx context.Context, f *fetcher, s Source, address *url.URL, dir string) ([]string, error) {
	name := dir + "/file"
	_, err := f.fetch(ctx, s.name(), address, name, maxSourceFile, nil)
	return []string{name}, err
}

// localFiles returns the files of a source that is read in place.
func localFiles(k kind, path string) ([]string, error) {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case st.Mode().IsRegular():
		return []string{path}, nil
	case st.IsDir() && k.list == nil:
		return nil, errors.New("it is a directory; a source of this kind is one file")
	case !st.IsDir():
		return nil, errors.New("it is neither a file nor a directory")
	}
	files, err := k.list(path)
	if err == nil && len(files) == 0 {
		err = errNoneOfKind
	}
	return files, err
}

var errNoneOfKind = errors.New("the directory holds no file of this kind")

// localCode is the code of an error of a file on this disk.
func localCode(err error) plimsoll.Code {
	var e *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, errNoneOfKind):
		return plimsoll.CodeNotFound
	case errors.As(err, &e):
		return plimsoll.CodeUnreadable
	}
	return plimsoll.CodeInvalid
}

// filesIn returns the regular files below dir whose names are taken, sorted.
func filesIn(dir string, takes func(name string) bool) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && takes(d.Name()) {
			if files = append(files, path); len(files) > maxSourceFiles {
				err = fmt.Errorf("more than %d files", maxSourceFiles)
			}
		}
		return err
	})
	return files, err
}

// intake takes what one source says.
type intake struct {
	*reader
	system plimsoll.Distribution // what the source is bound to; zero when it is not
	source plimsoll.DataSource
	files  []string
	seen   int // records, also those that were left out
}

// bound is the ecosystem of the system that the source is bound to; "" when it is
// not.
func (in *intake) bound() string {
	if in.system.Name == "" {
		return ""
	}
	return in.system.Bound()
}

// load hands the records of a source to the reader's Writer.
func (g *sourceFiles) load(ctx context.Context, r *reader) (plimsoll.DataSource, error) {
	in := &intake{reader: r, system: g.system, source: plimsoll.DataSource{Name: g.name}, files: g.files}
	op := "read " + g.name
	before := r.broken
	if err := g.kind.read(ctx, in); err != nil {
		return in.source, err
	}
	if n := r.broken - before; n*maxBrokenShare > in.seen {
		return in.source, plimsoll.Errorf(plimsoll.CodeCorrupt, op, "%d of %d records cannot be read: %s",
			n, in.seen, strings.TrimPrefix(r.problems[len(r.problems)-1].Detail, leftOut))
	}
	if in.source.Records == 0 {
		return in.source, &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: op, Err: errors.New("the source has no advisories"),
			Hint: "check what the address serves, or take the source out"}
	}
	return in.source, nil
}

// each opens the files of the source one after the other, decompressed: plain,
// gzip, zstd, xz or bzip2, whatever their names say. Errors have CodeCorrupt and
// name the file, unless visit gave them another code.
func (in *intake) each(ctx context.Context, visit func(name string, r io.Reader) error) error {
	for _, path := range in.files {
		if err := ctx.Err(); err != nil {
			return err
		}
		in.report(Progress{Stage: "read", Source: in.source.Name})
		if err := in.open(path, visit); err != nil {
			var e *plimsoll.Error
			if errors.As(err, &e) {
				return err
			}
			return &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: "read " + in.source.Name, Err: fmt.Errorf("%s: %w", path, err)}
		}
	}
	return nil
}

func (in *intake) open(path string, visit func(name string, r io.Reader) error) error {
	f, err := os.Open(path)
	if err != nil {
		return &plimsoll.Error{Code: localCode(err), Op: "read " + in.source.Name, Err: err}
	}
	defer f.Close()
	r, closeReader, err := decompressed(f)
	if err != nil {
		return err
	}
	defer closeReader()
	err = visit(path, &capped{r, maxSourceBytes})
	if st, statErr := f.Stat(); err != nil && statErr == nil && st.Size() == 0 {
		err = errors.New("the file is empty")
	}
	return err
}

// These bound the memory that a compressed file may ask for. The window of an xz
// file is as large as its header says, but takes memory only as far as it is
// filled.
const (
	maxWindow = 128 << 20
	maxXZ     = 512 << 20 // bytes after decompression
)

// decompressed returns a reader of what f holds, by its first bytes.
func decompressed(f io.Reader) (r io.Reader, closeReader func(), err error) {
	b := bufio.NewReaderSize(f, 64<<10)
	head, _ := b.Peek(6)
	closeReader = func() {}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		r, err = gzip.NewReader(b)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		var z *zstd.Decoder
		if z, err = zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow)); err == nil {
			r, closeReader = z, z.Close
		}
	case bytes.HasPrefix(head, []byte("\xfd7zXZ\x00")):
		var x *xz.Reader
		if x, err = xz.NewReader(b); err == nil {
			r = &capped{x, maxXZ}
		}
	case bytes.HasPrefix(head, []byte("BZh")):
		r = bzip2.NewReader(b)
	default:
		r = b
	}
	return r, closeReader, err
}

// add keeps one record, or counts why not; name tells which record it is.
func (in *intake) add(name string, record vulndb.Record, err error) error {
	in.seen++
	record.Source = in.source.Name
	return in.keep(parsed{name: name, record: record, err: err}, &in.source)
}
