package feed

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"plimsoll"
	"plimsoll/vulndb"
)

const (
	// maxExportMembers bounds the records of one ecosystem; the largest has some
	// three hundred thousand.
	maxExportMembers = 3_000_000
	// maxExpanded bounds the bytes of one ecosystem's records; the largest has
	// some ten gigabytes.
	maxExpanded = 64 << 30
	// maxProblems is how many records that could not be read are named; all are
	// counted.
	maxProblems = 100
	// maxBrokenShare is the share of records, one in so many, that may be broken
	// before the whole export counts as broken.
	maxBrokenShare = 20
)

// member is one file with one record.
type member struct {
	name string
	open func() (io.ReadCloser, error)
}

// reader turns exports into records for one Writer.
type reader struct {
	w        *vulndb.Writer
	take     map[string]bool // ecosystem families; nil takes all
	prefer   map[string]string
	latest   time.Time // dates after it are mistakes; zero knows no limit
	progress func(Progress)
	watch    func(vulndb.Record) // of tests

	problems []plimsoll.Problem
	broken   int // records that could not be read
}

// Compile adds the records of fsys to w and returns what they are, for the
// Writer's Finish: one directory for each ecosystem with OSV records as *.json,
// and at the top kev.json, epss.csv and cvss.csv as far as they
// exist. It serves small collections, such as one embedded in a program.
func Compile(ctx context.Context, w *vulndb.Writer, fsys fs.FS) ([]plimsoll.DataSource, []plimsoll.Problem, error) {
	r := &reader{w: w}
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return nil, nil, &plimsoll.Error{Code: plimsoll.CodeUnreadable, Op: "read advisories", Err: err}
	}
	var sources []plimsoll.DataSource
	for _, e := range entries {
		if !e.IsDir() {
			continue
		}
		var members []member
		err := fs.WalkDir(fsys, e.Name(), func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && strings.HasSuffix(name, ".json") {
				members = append(members, member{name, func() (io.ReadCloser, error) { return fsys.Open(name) }})
			}
			return err
		})
		if err != nil {
			return nil, nil, &plimsoll.Error{Code: plimsoll.CodeUnreadable, Op: "read advisories", Err: err}
		}
		s, err := r.export(ctx, e.Name(), members)
		if err != nil {
			return nil, nil, err
		}
		sources = append(sources, s)
	}
	for _, x := range extras {
		f, err := fsys.Open(x.file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil, &plimsoll.Error{Code: plimsoll.CodeUnreadable, Op: "read " + x.file, Err: err}
		}
		s, err := r.extra(x, f)
		f.Close()
		if err != nil {
			return nil, nil, err
		}
		sources = append(sources, s)
	}
	return sources, r.problems, nil
}

// zipMembers lists the records of an export. The list is that of the archive's
// end, so a cut archive fails here.
func zipMembers(src io.ReaderAt, size int64) ([]member, error) {
	z, err := zip.NewReader(src, size)
	if err != nil {
		return nil, err
	}
	if len(z.File) > maxExportMembers {
		return nil, fmt.Errorf("the archive has %d members, more than %d", len(z.File), maxExportMembers)
	}
	members := make([]member, 0, len(z.File))
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, ".json") && !f.FileInfo().IsDir() {
			members = append(members, member{f.Name, f.Open})
		}
	}
	return members, nil
}

// parsed is what became of one member.
type parsed struct {
	name   string
	record vulndb.Record
	err    error
}

// export reads the records of one ecosystem. Parsing takes most of the time of
// a compilation and is spread over the processors; the Writer sorts anyway.
func (r *reader) export(ctx context.Context, ecosystem string, members []member) (plimsoll.DataSource, error) {
	source := plimsoll.DataSource{Name: "osv/" + ecosystem}
	before := r.broken
	group, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	results := make(chan parsed, 64)
	var running sync.WaitGroup
	var expanded atomic.Int64
	for i := range workers {
		running.Add(1)
		group.Go(func() error {
			defer running.Done()
			var buf []byte
			for j := i; j < len(members); j += workers {
				p := parsed{name: members[j].name}
				p.record, buf, p.err = r.parse(members[j], buf)
				if expanded.Add(int64(len(buf))) > maxExpanded {
					return plimsoll.Errorf(plimsoll.CodeLimit, "read "+source.Name, "the records have more than %d bytes", int64(maxExpanded))
				}
				select {
				case results <- p:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		})
	}
	group.Go(func() error { running.Wait(); close(results); return nil })
	group.Go(func() error {
		done := 0
		for p := range results {
			if done++; done%1000 == 0 {
				r.report(Progress{Stage: "read", Source: source.Name, Done: int64(done), Total: int64(len(members))})
			}
			if err := r.keep(p, &source); err != nil {
				return err
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return source, err
	}
	if n := r.broken - before; n*maxBrokenShare > len(members) {
		return source, plimsoll.Errorf(plimsoll.CodeCorrupt, "read "+source.Name, "%d of %d records cannot be read: %s",
			n, len(members), strings.TrimPrefix(r.problems[len(r.problems)-1].Detail, leftOut))
	}
	return source, nil
}

func (r *reader) parse(m member, buf []byte) (vulndb.Record, []byte, error) {
	f, err := m.open()
	if err != nil {
		return vulndb.Record{}, buf, err
	}
	defer f.Close()
	buf, err = readLimited(f, buf[:0], maxRecord)
	if err != nil {
		return vulndb.Record{}, buf, err
	}
	record, err := parseOSV(buf, r.take)
	return record, buf, err
}

// readLimited appends all of f to buf, at most limit bytes. Memory grows with
// what arrives, not with what is announced.
func readLimited(f io.Reader, buf []byte, limit int) ([]byte, error) {
	for {
		if len(buf) == cap(buf) {
			buf = slices.Grow(buf, max(4096, len(buf)))
		}
		n, err := f.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		if len(buf) > limit {
			return buf, fmt.Errorf("larger than %d bytes", limit)
		}
		if errors.Is(err, io.EOF) {
			return buf, nil
		}
		if err != nil {
			return buf, err
		}
	}
}

// keep hands one record to the Writer, or counts why not.
func (r *reader) keep(p parsed, source *plimsoll.DataSource) error {
	err := p.err
	if err == nil {
		r.mark(&p.record, source.Name)
		err = r.w.Add(p.record)
		if code := plimsoll.CodeOf(err); code != "" && code != plimsoll.CodeInvalid {
			return err
		}
	}
	if err != nil && !errors.Is(err, errNotAdvisory) {
		r.problem(source.Name, p.name, err)
		return nil
	}
	if r.watch != nil && err == nil {
		r.watch(p.record)
	}
	source.Records++
	r.date(source, p.record.Advisory.Modified)
	return nil
}

// date notes the newest date of a source. A date in the future is a mistake of
// one record and must not keep later generations out.
func (r *reader) date(source *plimsoll.DataSource, t time.Time) {
	if t = t.UTC().Truncate(time.Second); t.After(source.Newest) && (r.latest.IsZero() || !t.After(r.latest)) {
		source.Newest = t
	}
}

// leftOut begins what is told of a record that cannot be read.
const leftOut = "the record is left out: "

func (r *reader) problem(source, file string, err error) {
	r.broken++
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, plimsoll.Problem{Code: plimsoll.ProblemCorruptFile,
			Path: path.Join(source, path.Base(file)), Detail: leftOut + err.Error()})
	}
}

func (r *reader) report(p Progress) {
	if r.progress != nil {
		r.progress(p)
	}
}
