package feed

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"plimsoll"
	"plimsoll/vulndb"
)

// server is a bucket of OSV exports that can be changed and broken.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	files   map[string][]byte
	answers map[string]http.HandlerFunc // instead of a file
	asked   []string                    // paths that were answered with content
}

func newServer(t *testing.T) *server {
	s := &server{files: map[string][]byte{}, answers: map[string]http.HandlerFunc{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.answers[r.URL.Path]; h != nil {
		h(w, r)
		return
	}
	b, ok := s.files[r.URL.Path]
	if !ok {
		http.NotFound(w, r)
		return
	}
	etag := fmt.Sprintf(`"%s"`, plimsoll.DigestOf(b).Short())
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	s.asked = append(s.asked, r.URL.Path)
	w.Write(b)
}

// took returns what was sent since the last call, sorted.
func (s *server) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := s.asked
	s.asked = nil
	slices.Sort(list)
	return list
}

func (s *server) put(path string, b []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.files[path] = b
}

func (s *server) answer(path string, h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers[path] = h
}

// made is a made-up record: version is the fix.
func made(id, ecosystem, name, version string, modified int) string {
	return fmt.Sprintf(`{"id":%q,"modified":"2026-01-%02dT00:00:00Z","aliases":["CVE-2026-%s"],"summary":"about %s",
		"affected":[{"package":{"ecosystem":%q,"name":%q},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":%q}]}]}]}`,
		id, modified, strings.TrimLeft(id, "GHSA-"), name, ecosystem, name, version)
}

// publish puts an ecosystem's export on the server: ID → record.
func (s *server) publish(t *testing.T, ecosystem string, records map[string]string) {
	t.Helper()
	archive, list := exportOf(t, records)
	s.put("/"+ecosystem+"/all.zip", archive)
	s.put("/"+ecosystem+"/modified_id.csv", list)
	for id, r := range records {
		s.put("/"+ecosystem+"/"+id+".json", []byte(r))
	}
}

func exportOf(t *testing.T, records map[string]string) (archive, list []byte) {
	t.Helper()
	var z, l bytes.Buffer
	w := zip.NewWriter(&z)
	for _, id := range slices.Sorted(mapsKeys(records)) {
		f, err := w.Create(id + ".json")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, records[id])
		_, rest, _ := strings.Cut(records[id], `"modified":"`)
		modified, _, _ := strings.Cut(rest, `"`)
		if modified == "" {
			modified = "2026-01-01T00:00:00Z"
		}
		fmt.Fprintf(&l, "%s,%s\n", modified, id)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes(), l.Bytes()
}

func mapsKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// npmRecords are n made-up records.
func npmRecords(n int) map[string]string {
	m := map[string]string{}
	for i := range n {
		id := fmt.Sprintf("GHSA-%04d", i)
		m[id] = made(id, "npm", fmt.Sprintf("pkg-%d", i), "2.0.0", 1)
	}
	return m
}

const kevFile = `{"title":"KEV","dateReleased":"2026-01-05T10:00:00.5Z","count":1,"vulnerabilities":[
	{"cveID":"CVE-2026-0003","dateAdded":"2026-01-04","dueDate":"2026-01-20","requiredAction":"upgrade","knownRansomwareCampaignUse":"Known"}]}`

const epssFile = "#model_version:v2025,score_date:2026-01-06T00:00:00+0000\ncve,epss,percentile\nCVE-2026-0003,0.5,0.99\n"

// site is a server with two ecosystems and all extras.
func site(t *testing.T) (*server, Options) {
	s := newServer(t)
	s.put("/ecosystems.txt", []byte("npm\nGo\nGo:1.2\nAndroid\n../evil\n\n"))
	s.publish(t, "npm", npmRecords(50))
	s.publish(t, "Go", map[string]string{"GO-2026-1": made("GO-2026-1", "Go", "stdlib", "1.2", 2)})
	s.put("/kev.json", []byte(kevFile))
	s.put("/epss.csv", []byte(epssFile))
	s.put("/cvss.csv", []byte("cve,source,version,vector\nCVE-2026-0003,nvd,3.1,CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\n"))
	return s, Options{Base: s.URL, KEV: s.URL + "/kev.json", EPSS: s.URL + "/epss.csv", CVSS: s.URL + "/cvss.csv",
		Dir: filepath.Join(t.TempDir(), "db"), Client: s.Client(), Now: func() time.Time { return time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC) }}
}

// run updates without waiting between attempts.
func run(t *testing.T, o Options) (plimsoll.Generation, Summary, error) {
	t.Helper()
	dir, err := vulndb.Acquire(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Release()
	f := newFetcher(o.Client, filepath.Join(o.Dir, "raw"), o.Now, o.Progress)
	f.pause = func(context.Context, int) error { return nil }
	return update(t.Context(), o, dir, f)
}

func mustRun(t *testing.T, o Options) (plimsoll.Generation, Summary) {
	t.Helper()
	g, sum, err := run(t, o)
	if err != nil {
		t.Fatal(err)
	}
	return g, sum
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	s, o := site(t)
	stages := map[string]bool{}
	o.Progress = func(p Progress) { stages[p.Stage+" "+p.Source] = true }
	g, sum := mustRun(t, o)
	if g.Advisories != 51 || !g.Built.Equal(time.Date(2026, 1, 6, 0, 0, 0, 0, time.UTC)) || sum.Unchanged || sum.Downloaded == 0 || sum.Broken != 0 {
		t.Errorf("%+v %+v", g, sum)
	}
	for _, want := range []string{"fetch osv/npm", "fetch kev", "read epss", "write ", "verify "} {
		if !stages[want] {
			t.Errorf("no progress %q: %v", want, stages)
		}
	}
	db, err := vulndb.OpenCurrent(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	v, err := db.Vulnerability("GHSA-0003")
	if err != nil || v.ID != "CVE-2026-0003" || v.EPSS == nil || v.EPSS.Score != 0.5 || v.KEV == nil || !v.KEV.Ransomware ||
		v.Severity != plimsoll.SeverityCritical || v.SeveritySource != "NVD" {
		t.Errorf("%+v %v", v, err)
	}
	db.Close()

	s.took()
	again, sum := mustRun(t, o)
	if got := s.took(); len(got) != 0 || !sum.Unchanged || again.ID != g.ID {
		t.Errorf("nothing new: took %v, %+v", got, sum)
	}

	st, err := Status(o.Dir)
	if err != nil || len(st.Sources) != 5 || st.Sources[4].Name != "osv/npm" || st.Sources[4].Records != 50 ||
		st.Sources[4].URL != s.URL+"/npm/all.zip" || !st.Sources[4].Fetched.Equal(o.Now()) || st.Sources[4].Newest.IsZero() {
		t.Errorf("%+v %v", st, err)
	}
}

// TestADV14DeltasGiveTheSameFile: a copy that was kept up to date record by
// record compiles to the bytes of a fresh one.
func TestADV14DeltasGiveTheSameFile(t *testing.T) {
	t.Parallel()
	s, o := site(t)
	mustRun(t, o)
	s.took()

	records := npmRecords(50)
	records["GHSA-0007"] = made("GHSA-0007", "npm", "pkg-7", "3.0.0", 9)
	records["GHSA-0099"] = made("GHSA-0099", "npm", "pkg-99", "1.0.0", 9)
	s.publish(t, "npm", records)
	g, _ := mustRun(t, o)
	if got, want := s.took(), []string{"/npm/GHSA-0007.json", "/npm/GHSA-0099.json", "/npm/modified_id.csv"}; !slices.Equal(got, want) {
		t.Errorf("took %v, want %v", got, want)
	}
	fresh := o
	fresh.Dir = t.TempDir()
	if h, _ := mustRun(t, fresh); h.ID != g.ID || g.Advisories != 52 {
		t.Errorf("%s with deltas, %s fresh", g.ID, h.ID)
	}

	s.took()
	delete(records, "GHSA-0001") // gone: only the archive shows it
	s.publish(t, "npm", records)
	if g, _ := mustRun(t, o); g.Advisories != 51 {
		t.Errorf("%d advisories after one is gone", g.Advisories)
	}
	if got, want := s.took(), []string{"/npm/all.zip", "/npm/modified_id.csv"}; !slices.Equal(got, want) {
		t.Errorf("took %v, want %v", got, want)
	}
	if left, _ := os.ReadDir(filepath.Join(o.Dir, "raw/osv/npm/deltas")); len(left) != 0 {
		t.Errorf("old single records: %v", left)
	}

	// A server that has no single records, as a plain copy of the archives.
	records["GHSA-0008"] = made("GHSA-0008", "npm", "pkg-8", "3.0.0", 10)
	s.publish(t, "npm", records)
	s.answer("/npm/GHSA-0008.json", http.NotFound)
	s.took()
	mustRun(t, o)
	if got, want := s.took(), []string{"/npm/all.zip", "/npm/modified_id.csv"}; !slices.Equal(got, want) {
		t.Errorf("took %v, want %v", got, want)
	}

	// No list at all.
	s.answer("/npm/modified_id.csv", http.NotFound)
	s.took()
	if _, sum := mustRun(t, o); len(s.took()) != 0 {
		t.Errorf("an unchanged archive was fetched: %+v", sum)
	}
	records["GHSA-0009"] = made("GHSA-0009", "npm", "pkg-9", "3.0.0", 11)
	s.publish(t, "npm", records)
	mustRun(t, o)
	if got, want := s.took(), []string{"/npm/all.zip"}; !slices.Equal(got, want) {
		t.Errorf("took %v, want %v", got, want)
	}
}

func TestUpdateFromDirectory(t *testing.T) {
	t.Parallel()
	_, o := site(t)
	base := t.TempDir()
	archive, list := exportOf(t, npmRecords(50))
	goArchive, goList := exportOf(t, map[string]string{"GO-2026-1": made("GO-2026-1", "Go", "stdlib", "1.2", 2)})
	for name, b := range map[string][]byte{"ecosystems.txt": []byte("npm\nGo\n"), "npm/all.zip": archive, "npm/modified_id.csv": list,
		"Go/all.zip": goArchive, "Go/modified_id.csv": goList} {
		os.MkdirAll(filepath.Dir(filepath.Join(base, name)), 0o755)
		if err := os.WriteFile(filepath.Join(base, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	fetched, _ := mustRun(t, o)
	o.Base, o.Dir = base, t.TempDir()
	read, sum := mustRun(t, o)
	if read.ID != fetched.ID || sum.Unchanged {
		t.Errorf("%s from a directory, %s from a server", read.ID, fetched.ID)
	}
	if _, sum := mustRun(t, o); !sum.Unchanged {
		t.Error("the same again is no change")
	}
	if _, err := os.Stat(filepath.Join(o.Dir, "raw/osv")); !errors.Is(err, os.ErrNotExist) {
		t.Error("a directory is read in place")
	}
	o.Base = filepath.Join(base, "nothing")
	if _, _, err := run(t, o); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		t.Errorf("no such directory: %v", err)
	}
}

// TestUpdateFailures: whatever goes wrong, the error says what, and the
// generation in use stays (issue 2, must show 9).
func TestUpdateFailures(t *testing.T) {
	t.Parallel()
	archive, _ := exportOf(t, npmRecords(60))
	flipped := bytes.Clone(archive)
	flipped[60] ^= 0xff
	serve := func(b []byte) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.Write(b) }
	}
	for _, tt := range []struct {
		name, path string
		answer     http.HandlerFunc
		want       plimsoll.Code
		text       string
		behind     string // the source that stays as it was, when that is all
	}{
		{"truncated zip", "/npm/all.zip", serve(archive[:len(archive)/2]), plimsoll.CodeCorrupt, "cut off", "osv/npm"},
		{"transfer that ends early", "/npm/all.zip", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(archive)))
			w.Write(archive[:100])
		}, plimsoll.CodeUnavailable, "ended after 100 bytes", "osv/npm"},
		{"web page", "/npm/all.zip", serve([]byte("\n<!DOCTYPE html><html>please log in")), plimsoll.CodeCorrupt, "web page", "osv/npm"},
		{"something else", "/npm/all.zip", serve([]byte("hello")), plimsoll.CodeCorrupt, "no zip", "osv/npm"},
		{"empty answer", "/npm/all.zip", serve(nil), plimsoll.CodeCorrupt, "no zip", "osv/npm"},
		{"missing", "/npm/all.zip", http.NotFound, plimsoll.CodeNotFound, "404", "osv/npm"},
		{"server error", "/npm/all.zip", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) }, plimsoll.CodeUnavailable, "503", "osv/npm"},
		{"forbidden", "/npm/all.zip", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(403) }, plimsoll.CodeUnavailable, "403", "osv/npm"},
		{"elsewhere", "/npm/all.zip", http.RedirectHandler("http://127.0.0.2:1/all.zip", http.StatusFound).ServeHTTP, plimsoll.CodeUnavailable, "redirected", "osv/npm"},
		{"hang up", "/npm/all.zip", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, plimsoll.CodeUnavailable, "EOF", "osv/npm"},
		{"malformed list", "/npm/modified_id.csv", serve([]byte("<html>")), plimsoll.CodeCorrupt, "malformed", "osv/npm"},
		{"most records broken", "/npm/all.zip", func(w http.ResponseWriter, r *http.Request) {
			records := npmRecords(10)
			for id := range records {
				records[id] = "{"
			}
			b, _ := exportOf(t, records)
			w.Write(b)
		}, plimsoll.CodeCorrupt, "10 of 10 records", ""},
		{"shrunken", "/npm/all.zip", func(w http.ResponseWriter, r *http.Request) {
			b, _ := exportOf(t, npmRecords(44))
			w.Write(b)
		}, plimsoll.CodeInvalid, "from 50 to 44", ""},
		{"no ecosystems", "/ecosystems.txt", serve([]byte("../x\n")), plimsoll.CodeCorrupt, "no ecosystem", ""},
		{"catalogue is a page", "/kev.json", serve([]byte("<html>")), plimsoll.CodeCorrupt, "catalogue", ""},
		{"catalogue is cut", "/kev.json", serve([]byte(kevFile[:200])), plimsoll.CodeCorrupt, "EOF", ""},
		{"scores are a page", "/epss.csv", serve([]byte("<html>")), plimsoll.CodeCorrupt, `no column "cve"`, ""},
		{"scores are gone", "/epss.csv", http.NotFound, plimsoll.CodeNotFound, "404", "epss"},
		{"empty table", "/cvss.csv", serve([]byte("cve,source,vector\n")), plimsoll.CodeCorrupt, "no entries", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, o := site(t)
			before, _ := mustRun(t, o)
			s.publish(t, "npm", npmRecords(400)) // too many for single records
			s.publish(t, "Go", map[string]string{"GO-2026-1": made("GO-2026-1", "Go", "stdlib", "1.2", 2), "GO-2026-2": made("GO-2026-2", "Go", "stdlib", "1.3", 3)})
			s.answer(tt.path, tt.answer)
			later := o
			later.Now = func() time.Time { return o.Now().Add(24 * time.Hour) }
			g, sum, err := run(t, later)
			if tt.behind != "" {
				if err != nil || len(sum.Behind) != 1 || sum.Behind[0].Source != tt.behind || !sum.Behind[0].Fetched.Equal(o.Now()) {
					t.Fatalf("%v, behind are %v", err, sum.Behind)
				}
				if fresh := g.Advisories == before.Advisories+1 || tt.behind == "epss"; !fresh || g.ID == before.ID {
					t.Errorf("the other sources brought nothing: %+v", g)
				}
				if st, err := Status(o.Dir); err != nil || !slices.ContainsFunc(st.Sources, func(s plimsoll.DataSource) bool { return s.Name == tt.behind && s.Fetched.Equal(o.Now()) }) {
					t.Errorf("%+v %v: the old source does not say how old it is", st.Sources, err)
				}
				err = sum.Behind[0].Err
			} else if id := currentID(o.Dir); id != before.ID {
				t.Errorf("%s is in use, not %s", id, before.ID)
			}
			if plimsoll.CodeOf(err) != tt.want || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("%v, want %s and %q", err, tt.want, tt.text)
			}
			for _, pattern := range []string{"gen/*.tmp", "raw/*.tmp", "raw/*/*/*.tmp"} {
				if left, _ := filepath.Glob(filepath.Join(o.Dir, pattern)); left != nil {
					t.Errorf("left behind: %v", left)
				}
			}
			// Once the server is well again, so is the update.
			s.answer(tt.path, nil)
			if g, sum := mustRun(t, o); g.Advisories != 402 || sum.Behind != nil {
				t.Errorf("%d advisories after the repair", g.Advisories)
			}
		})
	}
}

func TestUpdateFromDeadServer(t *testing.T) {
	t.Parallel()
	s, o := site(t)
	before, _ := mustRun(t, o)
	s.Close()
	_, _, err := run(t, o)
	if plimsoll.CodeOf(err) != plimsoll.CodeUnavailable || !strings.Contains(err.Error(), "refused") || plimsoll.HintOf(err) == "" {
		t.Errorf("%v", err)
	}
	if id := currentID(o.Dir); id != before.ID {
		t.Errorf("%s is in use, not %s", id, before.ID)
	}
	// The first time there is nothing that could stand in, but for the ratings.
	s, o = site(t)
	o.KEV = "http://127.0.0.1:1/kev.json"
	if g, sum, err := run(t, o); err != nil || g.Advisories != 51 || len(sum.Behind) != 1 || !sum.Behind[0].Fetched.IsZero() || len(g.Sources) != 4 {
		t.Errorf("%+v %+v %v", g, sum, err)
	}
	s.answer("/Go/all.zip", http.NotFound)
	o.Dir = filepath.Join(t.TempDir(), "db")
	if _, _, err := run(t, o); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		t.Errorf("without an ecosystem: %v", err)
	}
	o.Base = "ftp://example.org"
	if _, _, err := run(t, o); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
		t.Errorf("%v", err)
	}
}

func TestUpdateTriesAgain(t *testing.T) {
	t.Parallel()
	s, o := site(t)
	failures := 0
	s.answers["/kev.json"] = func(w http.ResponseWriter, r *http.Request) {
		if failures++; failures < attempts {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		io.WriteString(w, kevFile)
	}
	if mustRun(t, o); failures != attempts {
		t.Errorf("%d attempts", failures)
	}
}

// TestDamagedCopy: a copy that was damaged on this disk is an error once and
// fetched again then.
func TestDamagedCopy(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"osv/npm/all.zip", "epss.csv"} {
		s, o := site(t)
		before, _ := mustRun(t, o)
		s.put("/kev.json", []byte(strings.Replace(kevFile, "upgrade", "remove", 1)))
		if err := os.Truncate(filepath.Join(o.Dir, "raw", name), 30); err != nil {
			t.Fatal(err)
		}
		if _, _, err := run(t, o); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt || currentID(o.Dir) != before.ID {
			t.Errorf("%s: %v", name, err)
		}
		if g, _ := mustRun(t, o); g.ID == before.ID || g.Advisories != 51 {
			t.Errorf("%s: %+v", name, g)
		}
	}
}

// roundTrip is a server without a network, for tests of time.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

type body func([]byte) (int, error)

func (f body) Read(b []byte) (int, error) { return f(b) }

func TestServerThatStopsSending(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, Body: io.NopCloser(body(func([]byte) (int, error) {
				<-r.Context().Done()
				return 0, r.Context().Err()
			}))}, nil
		})}
		start := time.Now()
		f := newFetcher(client, dir, time.Now, nil)
		u, _ := parseAddress("http://example.org/x")
		_, err := f.fetch(t.Context(), "x", u, "x", 10, nil)
		if plimsoll.CodeOf(err) != plimsoll.CodeUnavailable || !strings.Contains(err.Error(), "stopped sending") {
			t.Errorf("%v", err)
		}
		// Four attempts, and 1, 2 and 4 seconds between them.
		if got, want := time.Since(start), attempts*stallTimeout+7*time.Second; got != want {
			t.Errorf("gave up after %v, want %v", got, want)
		}
	})
}

func TestFetchLimit(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.put("/x", []byte("0123456789"))
	u, _ := parseAddress(s.URL + "/x")
	for limit, want := range map[int64]plimsoll.Code{10: "", 9: plimsoll.CodeLimit} {
		f := newFetcher(s.Client(), t.TempDir(), time.Now, nil)
		if _, err := f.fetch(t.Context(), "x", u, "x", limit, nil); plimsoll.CodeOf(err) != want {
			t.Errorf("limit %d: %v, want %q", limit, err, want)
		}
	}
}

// TestListAheadOfArchive: records that the archive may hold only in an older
// version are asked for again.
func TestListAheadOfArchive(t *testing.T) {
	t.Parallel()
	s, o := site(t)
	old, _ := exportOf(t, npmRecords(50))
	records := npmRecords(50)
	records["GHSA-0007"] = made("GHSA-0007", "npm", "pkg-7", "3.0.0", 9)
	s.publish(t, "npm", records) // the list says the ninth, the archive is of the eighth
	s.answer("/npm/all.zip", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Last-Modified", "Thu, 08 Jan 2026 00:00:00 GMT")
		w.Write(old)
	})
	mustRun(t, o)
	s.took()
	mustRun(t, o)
	if got, want := s.took(), []string{"/npm/GHSA-0007.json"}; !slices.Equal(got, want) {
		t.Errorf("took %v, want %v", got, want)
	}
	mustRun(t, o)
	if got := s.took(); len(got) != 0 {
		t.Errorf("took %v again", got)
	}
}

func TestUpdateCancelled(t *testing.T) {
	t.Parallel()
	s, o := site(t)
	ctx, cancel := context.WithCancel(t.Context())
	s.answers["/kev.json"] = func(w http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	}
	if _, _, err := Update(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// TestBrokenRecords: one bad record is counted and left out, the rest goes on.
func TestBrokenRecords(t *testing.T) {
	t.Parallel()
	s, o := site(t)
	records := npmRecords(100)
	records["GHSA-0005"] = `{"id":`
	records["GHSA-0006"] = `{"modified":"2026-01-01T00:00:00Z"}`
	records["GHSA-0007"] = made("GHSA-0007", "npm", "late", "1.0.0", 1)
	records["GHSA-0007"] = strings.Replace(records["GHSA-0007"], "2026-01-01", "2926-01-01", 1) // in the far future
	records["GHSA-0008"] = strings.Replace(records["GHSA-0008"], "2026-01-01", "1-01-01", 1)    // as PYSEC-2024-55 once was
	s.publish(t, "npm", records)
	g, sum := mustRun(t, o)
	if sum.Broken != 2 || len(sum.Problems) != 2 || g.Advisories != 99 || g.Built.Year() != 2026 {
		t.Errorf("%+v %+v", g, sum)
	}
	for _, p := range sum.Problems {
		if p.Code != plimsoll.ProblemCorruptFile || !strings.HasPrefix(p.Path, "osv/npm/GHSA-000") || p.Detail == "" {
			t.Errorf("%+v", p)
		}
	}
}

func TestExtras(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		extra   int
		file    string
		records int
		broken  int
		ok      bool
	}{
		{0, kevFile, 1, 0, true},
		{0, `{"vulnerabilities":[{"cveID":"x"},{"cveID":"CVE-1","dateAdded":"2026-01-01"}]}`, 1, 1, true},
		{0, `{"vulnerabilities":{}}`, 0, 0, false},
		{0, `[]`, 0, 0, false},
		{1, epssFile, 1, 0, true},
		{1, "cve,epss,percentile\nCVE-1,1.5,0\nCVE-2,NaN,0\nCVE-3,0,1\n", 1, 2, true},
		{1, "cve,epss\n", 0, 0, false},
		{1, "cve,epss,percentile\nCVE-1,1\n", 0, 0, false},
		{2, "cve,source,vector\nCVE-1,adp:X,CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H\nCVE-2,nvd,none\n", 1, 1, true},
		{2, "", 0, 0, false},
	} {
		w := vulndb.NewWriter(filepath.Join(t.TempDir(), "x"))
		r := &reader{w: w}
		s, err := r.extra(extras[tt.extra], strings.NewReader(tt.file))
		w.Abort()
		if (err == nil) != tt.ok || tt.ok && (s.Records != tt.records || r.broken != tt.broken) {
			t.Errorf("%s %q: %+v, %d broken, %v", extras[tt.extra].name, tt.file, s, r.broken, err)
		}
		if err != nil && plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("%q: %v", tt.file, err)
		}
	}
}

func BenchmarkCompile(b *testing.B) {
	var members []member
	files, err := filepath.Glob("testdata/osv/*/*.json")
	if err != nil {
		b.Fatal(err)
	}
	for i := range 100 {
		for _, f := range files {
			record, err := os.ReadFile(f)
			if err != nil {
				b.Fatal(err)
			}
			record = bytes.Replace(record, []byte(`"id": "`), fmt.Appendf(nil, `"id": "X%d`, i), 1)
			record = bytes.Replace(record, []byte(`"id":"`), fmt.Appendf(nil, `"id":"X%d`, i), 1)
			members = append(members, member{f, func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(record)), nil }})
		}
	}
	for b.Loop() {
		w := vulndb.NewWriter(filepath.Join(b.TempDir(), "x"))
		r := &reader{w: w}
		s, err := r.export(b.Context(), "all", members)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := w.Finish(b.Context(), []plimsoll.DataSource{s}, false); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(members)*b.N)/b.Elapsed().Seconds(), "records/s")
}
