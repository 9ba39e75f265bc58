package feed

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"plimsoll"
)

// maxDeltas is how many changed records are fetched one by one. Beyond it one
// archive is less work for both sides.
const maxDeltas = 200

// export is one ecosystem's records on this disk.
type export struct {
	ecosystem string
	zip       string // file
	deltas    string // directory of records that are newer than in the archive; may not exist
	url       string
	fetched   time.Time
	local     bool // read in place: nobody knows whether it has changed
}

// origin is where exports come from.
type origin struct {
	base  *url.URL // nil for a directory
	dir   string
	fetch *fetcher
}

// openOrigin understands an http(s) URL or a directory.
func openOrigin(base string, f *fetcher) (*origin, error) {
	u, err := parseAddress(base)
	if err != nil {
		return nil, err
	}
	if u != nil {
		return &origin{base: u, fetch: f}, nil
	}
	st, err := os.Stat(base)
	switch {
	case err != nil:
		return nil, plimsoll.Errorf(localCode(err), "open source", "%q is no URL, and no directory: %w", base, err)
	case !st.IsDir():
		return nil, plimsoll.Errorf(plimsoll.CodeInvalid, "open source", "%q is neither a URL nor a directory", base)
	}
	return &origin{dir: base, fetch: f}, nil
}

// parseAddress returns nil for a path.
func parseAddress(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		return nil, nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, plimsoll.Errorf(plimsoll.CodeInvalid, "open source", "%q is not an http or https URL", s)
	}
	return u, nil
}

// lazily compiles an expression when it is first needed: those with bounds take
// milliseconds, which every start of the program would pay.
func lazily(pattern string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(pattern) })
}

// ecosystemName bounds what may become part of a path and of an address.
var ecosystemName = lazily(`^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,99}$`)

// ecosystems returns the names that the origin lists and that are taken without
// being asked for, sorted. Names with a release repeat what the ecosystem's own
// export holds.
func (o *origin) ecosystems(ctx context.Context) ([]string, error) {
	const name = "ecosystems.txt"
	file := filepath.Join(o.dir, name)
	if o.base != nil {
		address := o.base.JoinPath(name)
		_, err := o.fetch.fetch(ctx, name, address, name, maxNames, nil)
		info := o.fetch.info(name)
		if err := o.fetch.settleFor(ctx, name, info.URL == redacted(address), info.Fetched, err); err != nil {
			return nil, err
		}
		file = o.fetch.path(name)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, &plimsoll.Error{Code: localCode(err), Op: "list ecosystems", Err: err,
			Hint: "name the ecosystems, or give the root of an OSV export"}
	}
	defer f.Close()
	b, err := readLimited(f, nil, maxNames)
	if err != nil {
		return nil, &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: "list ecosystems", Err: err}
	}
	var names []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSpace(line); ecosystemName().MatchString(line) && !notTaken[line] {
			names = append(names, line)
		}
	}
	if len(names) == 0 {
		return nil, plimsoll.Errorf(plimsoll.CodeCorrupt, "list ecosystems", "%s names no ecosystem", name)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// export brings one ecosystem up to date on this disk.
func (o *origin) export(ctx context.Context, ecosystem string) (export, error) {
	if !ecosystemName().MatchString(ecosystem) {
		return export{}, plimsoll.Errorf(plimsoll.CodeInvalid, "fetch advisories", "%q cannot be an ecosystem", ecosystem)
	}
	if o.base == nil {
		file := filepath.Join(o.dir, ecosystem, "all.zip")
		return export{ecosystem: ecosystem, zip: file, url: file, fetched: o.fetch.now().UTC().Truncate(time.Second), local: true}, nil
	}
	m := mirror{fetcher: o.fetch, source: "osv/" + ecosystem, dir: mirrorDir(ecosystem), base: o.base.JoinPath(url.PathEscape(ecosystem))}
	err := m.refresh(ctx)
	// Whenever refresh fails, archive and single records are such as were published.
	info := m.info(m.zip())
	if err := m.settleFor(ctx, m.source, info.URL == redacted(m.base.JoinPath("all.zip")), info.Fetched, err); err != nil {
		return export{}, err
	}
	return export{ecosystem: ecosystem, zip: m.path(m.zip()), deltas: m.path(m.deltas()), url: info.URL, fetched: info.Fetched}, nil
}

// mirror is the copy of one ecosystem's export: the archive, the list of its
// records with their dates, and the records that were fetched singly since. The
// list is written last and removed first: as long as it is there, archive and
// single records together are what it lists.
type mirror struct {
	*fetcher
	source string
	dir    string
	base   *url.URL
}

// mirrorDir is where the copies of an ecosystem lie.
func mirrorDir(ecosystem string) string { return "osv/" + ecosystem }

func (m *mirror) zip() string     { return m.dir + "/all.zip" }
func (m *mirror) list() string    { return m.dir + "/modified_id.csv" }
func (m *mirror) newList() string { return m.dir + "/modified_id.csv.new" }
func (m *mirror) deltas() string  { return m.dir + "/deltas" }

func (m *mirror) refresh(ctx context.Context) error {
	fetched := m.now().UTC().Truncate(time.Second)
	before, err := readList(m.path(m.list()))
	if known := m.info(m.zip()); err != nil || known.URL != redacted(m.base.JoinPath("all.zip")) {
		before = nil
	}
	// The list comes before the archive, so that what appears in between is
	// fetched again and not missed.
	_, err = m.fetch(ctx, m.source, m.base.JoinPath("modified_id.csv"), m.newList(), maxList, func(f *os.File) error {
		_, err := readList(f.Name())
		return err
	})
	if plimsoll.CodeOf(err) == plimsoll.CodeNotFound {
		_, err := m.archive(ctx)
		return err
	}
	if err != nil {
		return err
	}
	after, err := readList(m.path(m.newList()))
	if err != nil {
		return diskError(err)
	}
	ids, gone := changes(before, after)
	switch {
	case before != nil && len(ids) == 0 && !gone:
		return m.touch(m.zip(), fetched)
	case before != nil && !gone && len(ids) <= maxDeltas && len(ids)*2 <= len(after):
		err := m.single(ctx, ids)
		if err == nil {
			err = m.keepList(after)
		}
		if err == nil {
			return m.touch(m.zip(), fetched)
		}
		// A server may have archives only, or records that are newer than its list.
		if plimsoll.CodeOf(err) == plimsoll.CodeUnavailable || ctx.Err() != nil {
			return err
		}
	}
	changed, err := m.archive(ctx)
	if err != nil || !changed {
		return err // without a list the archive is asked for again
	}
	if err := m.withoutMissing(after); err != nil {
		return err
	}
	return m.keepList(after)
}

// archive fetches the whole export and says whether it changed.
func (m *mirror) archive(ctx context.Context) (bool, error) {
	if err := m.remove(m.list()); err != nil {
		return false, diskError(err)
	}
	changed, err := m.fetch(ctx, m.source, m.base.JoinPath("all.zip"), m.zip(), maxExport, checkZip)
	if err != nil {
		return false, err
	}
	if changed {
		err = m.remove(m.deltas())
	}
	if err != nil {
		return false, diskError(err)
	}
	return changed, nil
}

// archiveLag is how much older than its date the content of an archive may be:
// servers take their time to write it.
const archiveLag = time.Hour

// withoutMissing takes the records off a list that the archive does not hold, or
// perhaps only in an older version, so that they count as changed next time.
func (m *mirror) withoutMissing(list map[string]string) error {
	x := export{ecosystem: m.source, zip: m.path(m.zip())}
	members, closeFiles, err := x.members()
	if err != nil {
		return err
	}
	defer closeFiles()
	held := make(map[string]bool, len(members))
	for _, f := range members {
		held[strings.TrimSuffix(path.Base(f.name), ".json")] = true
	}
	written, err := http.ParseTime(m.info(m.zip()).LastModified)
	known := err == nil
	for id, modified := range list {
		t, _ := parseTime(modified)
		if !held[id] || known && t.After(written.Add(-archiveLag)) {
			delete(list, id)
		}
	}
	return nil
}

// keepList makes list the one that describes the copy.
func (m *mirror) keepList(list map[string]string) error {
	var b bytes.Buffer
	for _, id := range slices.Sorted(maps.Keys(list)) {
		fmt.Fprintf(&b, "%s,%s\n", list[id], id)
	}
	return replaceFile(m.path(m.list()), b.Bytes())
}

// single fetches changed records one by one.
func (m *mirror) single(ctx context.Context, ids []string) error {
	for _, id := range ids {
		file := id + ".json"
		_, err := m.fetch(ctx, m.source, m.base.JoinPath(url.PathEscape(file)), m.deltas()+"/"+file, maxRecord, func(f *os.File) error {
			return checkRecord(f, id)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func checkRecord(f *os.File, id string) error {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	b, err := readLimited(f, nil, maxRecord)
	if err != nil {
		return err
	}
	r, err := parseOSV(b, nil)
	if err == nil && r.Advisory.ID != id {
		err = fmt.Errorf("the record is %.80q", r.Advisory.ID)
	}
	if errors.Is(err, errNotAdvisory) {
		err = nil
	}
	return err
}

// checkZip accepts a whole archive.
func checkZip(f *os.File) error {
	head := make([]byte, 512)
	n, err := f.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if head = head[:n]; !bytes.HasPrefix(head, []byte("PK")) {
		if start := bytes.TrimSpace(head); bytes.HasPrefix(start, []byte("<")) {
			return errors.New("the server sent a web page instead of an archive")
		}
		return errors.New("the server sent something that is no zip archive")
	}
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if _, err := zipMembers(f, st.Size()); err != nil {
		return fmt.Errorf("the archive is cut off or damaged: %w", err)
	}
	return nil
}

// recordID bounds what may become part of a path and of an address.
var recordID = lazily(`^[A-Za-z0-9][A-Za-z0-9._:+-]{0,199}$`)

// readList reads "modified,ID" lines into ID → modified. IDs with which no path
// can be built are left out: the archive brings them.
func readList(file string) (map[string]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list := make(map[string]string)
	s := bufio.NewScanner(f)
	for s.Scan() {
		modified, id, ok := strings.Cut(strings.TrimSpace(s.Text()), ",")
		if s.Text() == "" {
			continue
		}
		// The date is only compared with itself: published lists hold some that
		// are no date by any standard.
		if !ok || len(modified) > maxID || modified == "" || modified[0] < '0' || modified[0] > '9' {
			return nil, errors.New("the list of records is malformed")
		}
		if len(list) > maxExportMembers {
			return nil, errors.New("the list of records is too long")
		}
		if recordID().MatchString(id) {
			list[id] = modified
		}
	}
	return list, s.Err()
}

// changes returns the IDs that are new or changed, sorted, and whether any is
// gone.
func changes(before, after map[string]string) (ids []string, gone bool) {
	for id, modified := range after {
		if before[id] != modified {
			ids = append(ids, id)
		}
	}
	for id := range before {
		if _, ok := after[id]; !ok {
			gone = true
		}
	}
	slices.Sort(ids)
	return ids, gone
}

// members opens an export: the archive's records, with those that were fetched
// singly in their place. The files stay open until close.
func (x *export) members() (members []member, close func() error, err error) {
	f, err := os.Open(x.zip)
	if err != nil {
		return nil, nil, &plimsoll.Error{Code: localCode(err), Op: "read osv/" + x.ecosystem, Err: err}
	}
	st, err := f.Stat()
	if err == nil {
		members, err = zipMembers(f, st.Size())
	}
	if err != nil {
		f.Close()
		return nil, nil, &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: "read osv/" + x.ecosystem,
			Err: fmt.Errorf("the archive is cut off or damaged: %w", err)}
	}
	entries, err := os.ReadDir(x.deltas)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.Close()
		return nil, nil, diskError(err)
	}
	newer := map[string]bool{}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".json") && !strings.HasSuffix(e.Name(), infoSuffix) {
			newer[e.Name()] = true
		}
	}
	members = slices.DeleteFunc(members, func(m member) bool { return newer[path.Base(m.name)] })
	for name := range newer {
		file := filepath.Join(x.deltas, name)
		members = append(members, member{name, func() (io.ReadCloser, error) { return os.Open(file) }})
	}
	return members, f.Close, nil
}
