package feed

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"plimsoll"
)

// The limits of a directory of CSAF documents on a server.
const (
	maxCSAFList      = 64 << 20 // bytes of changes.csv; Red Hat's has some six million
	maxCSAFDocuments = 500_000
	// maxCSAFSince is how many documents are fetched singly before a newer archive
	// is less work for both sides.
	maxCSAFSince = 5_000
)

// csafPath bounds what may become part of a path and of an address.
var csafPath = lazily(`^(?:[A-Za-z0-9][A-Za-z0-9_+-]{0,99}/){0,4}[A-Za-z0-9][A-Za-z0-9._+-]{0,199}\.json$`)

// fetchCSAF fetches a document or an archive, or, where the address ends in "/",
// what a directory-based distribution holds (CSAF 2.0, section 7.1, requirement
// 13): its changes.csv names the documents with their dates, so that only changed
// ones are fetched. Red Hat's archive, which archive_latest.txt names, spares
// fetching each document once.
func fetchCSAF(ctx context.Context, f *fetcher, s Source, address *url.URL, dir string) ([]string, error) {
	if !strings.HasSuffix(address.Path, "/") {
		return fetchFile(ctx, f, s, address, dir)
	}
	c := csafDir{fetcher: f, source: s.name(), base: address, dir: dir}
	before := map[string]string{}
	if b, err := os.ReadFile(f.path(c.list())); err == nil {
		before, _ = parseChanges(b) // a damaged one is as good as none
	}
	var after map[string]string
	check := func(file *os.File) error {
		b, err := readStart(file, maxCSAFList)
		if err == nil {
			after, err = parseChanges(b)
		}
		return err
	}
	_, err := f.fetch(ctx, c.source, address.JoinPath("changes.csv"), c.list()+".new", maxCSAFList, check)
	if err == nil && after == nil { // unchanged, so it was not checked now
		err = inspect(f.path(c.list()+".new"), check)
	}
	if err != nil {
		return nil, err
	}
	since, err := c.archive(ctx, after, before)
	if err != nil {
		return nil, err
	}
	return c.documents(ctx, after, before, since)
}

// csafDir is the copy of such a directory: an archive, if there is one, the
// documents that are newer, and the list of what both are.
type csafDir struct {
	*fetcher
	source string
	base   *url.URL
	dir    string
}

func (c *csafDir) list() string        { return c.dir + "/changes.csv" }
func (c *csafDir) archiveName() string { return c.dir + "/archive" }
func (c *csafDir) document(path string) string {
	return c.dir + "/documents/" + strings.ReplaceAll(path, "/", "_")
}

// parseChanges reads lines of path and time, as requirement 13 has them.
func parseChanges(b []byte) (map[string]string, error) {
	r := csv.NewReader(bytes.NewReader(b))
	r.FieldsPerRecord = 2
	r.ReuseRecord = true
	changes := map[string]string{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, errors.New("the list of documents is no changes.csv")
		}
		if !csafPath().MatchString(row[0]) {
			return nil, fmt.Errorf("the list of documents names %.80q, which is no place of one", row[0])
		}
		if _, err := parseTime(row[1]); err != nil {
			return nil, fmt.Errorf("the list of documents dates %.80q at %.40q", row[0], row[1])
		}
		if changes[strings.Clone(row[0])] = strings.Clone(row[1]); len(changes) > maxCSAFDocuments {
			return nil, fmt.Errorf("the list of documents has more than %d entries", maxCSAFDocuments)
		}
	}
	if len(changes) == 0 {
		return nil, errors.New("the list of documents is empty")
	}
	return changes, nil
}

// archive makes sure that there is an archive not too old, if the directory has
// one, and returns the time since which documents are newer than in it.
func (c *csafDir) archive(ctx context.Context, after, before map[string]string) (since time.Time, err error) {
	newer := func() (n int) {
		for path, at := range after {
			if t, _ := parseTime(at); t.After(since) && before[path] != at {
				n++
			}
		}
		return n
	}
	if since = c.archiveTime(); !since.IsZero() && newer() <= maxCSAFSince {
		return since, nil
	}
	latest := c.dir + "/archive_latest.txt"
	_, err = c.fetch(ctx, c.source, c.base.JoinPath("archive_latest.txt"), latest, maxID, nil)
	if plimsoll.CodeOf(err) == plimsoll.CodeNotFound {
		return since, nil
	}
	if err != nil {
		return since, err
	}
	b, err := os.ReadFile(c.path(latest))
	if err != nil {
		return since, diskError(err)
	}
	name := strings.TrimSpace(string(b))
	if !recordID().MatchString(name) || path.Base(name) != name {
		return since, plimsoll.Errorf(plimsoll.CodeCorrupt, "fetch "+c.base.Redacted(), "archive_latest.txt names %.80q, which is no archive", name)
	}
	if _, err := c.fetch(ctx, c.source, c.base.JoinPath(name), c.archiveName(), maxSourceFile, nil); err != nil {
		return since, err
	}
	return c.archiveTime(), nil
}

// archiveTime is the time of the archive's content at the latest; zero without
// an archive, or without a date of it.
func (c *csafDir) archiveTime() time.Time {
	written, err := http.ParseTime(c.info(c.archiveName()).LastModified)
	if err != nil {
		return time.Time{}
	}
	return written.Add(-24 * archiveLag) // it is a day's work to write one
}

// documents fetches what is newer than the archive and has changed, drops what is
// gone, and returns all that is there.
func (c *csafDir) documents(ctx context.Context, after, before map[string]string, since time.Time) ([]string, error) {
	var names []string
	if c.info(c.archiveName()) != (copyInfo{}) {
		names = append(names, c.archiveName())
	}
	fetched := c.now().UTC().Truncate(time.Second)
	for _, p := range slices.Sorted(maps.Keys(after)) {
		if at, _ := parseTime(after[p]); !at.After(since) {
			continue
		}
		name := c.document(p)
		if before[p] == after[p] && c.info(name) != (copyInfo{}) {
			if err := c.touch(name, fetched); err != nil {
				return nil, err
			}
			names = append(names, name)
			continue
		}
		_, err := c.fetch(ctx, c.source, c.base.JoinPath(p), name, maxCSAF, nil)
		if plimsoll.CodeOf(err) == plimsoll.CodeNotFound { // taken away since the list was written
			delete(after, p)
			continue
		}
		if err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	for p := range before {
		if _, still := after[p]; !still {
			if err := c.remove(c.document(p)); err != nil {
				return nil, diskError(err)
			}
		}
	}
	return names, c.keep(after)
}

// keep makes list the one that describes the copy.
func (c *csafDir) keep(list map[string]string) error {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	for _, p := range slices.Sorted(maps.Keys(list)) {
		w.Write([]string{p, list[p]})
	}
	w.Flush()
	return replaceFile(c.path(c.list()), b.Bytes())
}
