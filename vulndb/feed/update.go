package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	"plimsoll"
	"plimsoll/vulndb"
)

// The public sources.
const (
	PublicOSV  = "https://osv-vulnerabilities.storage.googleapis.com"
	PublicKEV  = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"
	PublicEPSS = "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz"
)

// Options say where advisories come from and go to. Sources are http(s) URLs or
// paths; an empty KEV, EPSS or CVSS is not taken.
type Options struct {
	Base string // OSV exports in OSV's own layout: ecosystems.txt, <ecosystem>/all.zip, <ecosystem>/modified_id.csv
	KEV  string // CISA's catalogue in JSON; .gz accepted, as for the next two
	EPSS string // FIRST's CSV
	CVSS string // CSV with the columns cve, source, vector; source is "cna", "nvd" or "adp:NAME"
	// Ecosystems are those to take, without release. Empty takes all that Base
	// lists but those that no image can contain: Android, commits of the Linux
	// kernel and of OSS-Fuzz, GitHub Actions, editor extensions.
	Ecosystems []string
	Sources    []Source         // further advisories
	Prefer     []Preference     // whom to believe first where sources disagree
	Dir        string           // of generations; copies of the sources are kept in its "raw"
	Force      bool             // activate a generation that is older or has lost records
	Client     *http.Client     // nil: one with sensible time limits
	Progress   func(Progress)   // never called concurrently; may be nil
	Now        func() time.Time // nil: time.Now
}

// Progress says how far an update is.
type Progress struct {
	Stage  string // "fetch", "read", "write" or "verify"
	Source string // "osv/Debian", "kev", …; empty for write and verify
	Done   int64  // bytes for fetch, records for read
	Total  int64  // 0 when it is not known
}

// Summary says what an update did.
type Summary struct {
	Downloaded int64 // bytes
	Unchanged  bool  // the sources had nothing new, or nothing that makes a difference
	Broken     int   // records that could not be read and were left out
	// Problems name the first hundred of these.
	Problems []plimsoll.Problem
	// Behind are the sources that could not be brought up to date.
	Behind []Behind
}

// Behind is a source that could not be fetched. What it said the last time is
// used; ratings of flaws (KEV, EPSS, CVSS) that were never fetched are left out.
type Behind struct {
	Source  string
	Fetched time.Time // zero when it is left out
	Err     error
}

func (b Behind) String() string {
	if b.Fetched.IsZero() {
		return fmt.Sprintf("%s is left out: %v", b.Source, b.Err)
	}
	return fmt.Sprintf("%s is that of %s: %v", b.Source, b.Fetched.Format("2006-01-02 15:04"), b.Err)
}

// compilerVersion is raised when the same sources would give other advisories,
// so that unchanged sources are compiled again.
const compilerVersion = 3

// Update fetches the sources, compiles them into a generation and makes it the
// active one. One update runs at a time for each directory. A server that fails
// keeps no other source from being updated, see [Behind], unless all of them fail
// or nothing of its advisories is here. On any error the advisories in use stay.
// Errors have CodeUnavailable (server or disk, or another update is running),
// CodeCorrupt (what was served is damaged), CodeNotFound, CodeLimit, or CodeInvalid
// (the options, or a generation that is refused without Force).
func Update(ctx context.Context, o Options) (plimsoll.Generation, Summary, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	dir, err := vulndb.Acquire(o.Dir)
	if err != nil {
		return plimsoll.Generation{}, Summary{}, err
	}
	defer dir.Release()
	f := newFetcher(o.Client, filepath.Join(o.Dir, "raw"), o.Now, o.Progress)
	return update(ctx, o, dir, f)
}

func update(ctx context.Context, o Options, dir *vulndb.Dir, f *fetcher) (g plimsoll.Generation, sum Summary, err error) {
	in, err := gather(ctx, o, f)
	sum.Downloaded, sum.Behind = f.bytes, f.behind
	if err != nil {
		return g, sum, err
	}
	if g, ok := in.current(o.Dir); ok && !f.pending() {
		sum.Unchanged = true
		return g, sum, in.remember(o.Dir, g.ID)
	}
	r := &reader{w: dir.NewWriter(), take: in.families(), prefer: preferences(o.Prefer), latest: o.Now().Add(24 * time.Hour), progress: o.Progress}
	defer r.w.Abort()
	sources, err := in.read(ctx, r, f)
	sum.Problems, sum.Broken = r.problems, r.broken
	if err != nil {
		return g, sum, err
	}
	r.report(Progress{Stage: "write"})
	if _, err := r.w.Finish(ctx, sources, false); err != nil {
		return g, sum, err
	}
	r.report(Progress{Stage: "verify"})
	before := currentID(o.Dir)
	if g, err = dir.Activate(ctx, o.Force); err != nil {
		return plimsoll.Generation{}, sum, err
	}
	sum.Unchanged = g.ID == before
	if err := in.remember(o.Dir, g.ID); err != nil {
		return g, sum, err
	}
	return g, sum, f.settle()
}

// input is all that one generation is made of, on this disk.
type input struct {
	prefer  []Preference
	exports []export
	sources []sourceFiles
	extras  []extraFile
}

type extraFile struct {
	extra
	path    string
	url     string
	fetched time.Time
	local   bool // read in place: nobody knows whether it has changed
}

// gather brings the sources to this disk.
func gather(ctx context.Context, o Options, f *fetcher) (*input, error) {
	from, err := openOrigin(o.Base, f)
	if err != nil {
		return nil, err
	}
	names := slices.Clone(o.Ecosystems)
	if len(names) == 0 {
		if names, err = from.ecosystems(ctx); err != nil {
			return nil, err
		}
	}
	slices.Sort(names)
	in := &input{prefer: sortedPreferences(o.Prefer)}
	for _, name := range slices.Compact(names) {
		x, err := from.export(ctx, name)
		if err != nil {
			return nil, err
		}
		in.exports = append(in.exports, x)
	}
	if in.sources, err = gatherSources(ctx, f, o.Sources); err != nil {
		return nil, err
	}
	for i, address := range []string{o.KEV, o.EPSS, o.CVSS} {
		if address == "" {
			continue
		}
		x, err := gatherExtra(ctx, extras[i], address, f)
		if err != nil {
			return nil, err
		}
		if x.path != "" {
			in.extras = append(in.extras, x)
		}
	}
	local := slices.ContainsFunc(in.exports, func(x export) bool { return x.local }) || slices.ContainsFunc(in.sources, func(x sourceFiles) bool { return x.local })
	if len(f.behind) > 0 && f.current == 0 && !local {
		return nil, f.behind[0].Err
	}
	return in, nil
}

// gatherExtra returns no path for what is left out.
func gatherExtra(ctx context.Context, x extra, address string, f *fetcher) (extraFile, error) {
	u, err := parseAddress(address)
	if err != nil {
		return extraFile{}, err
	}
	if u == nil {
		return extraFile{extra: x, path: address, url: address, fetched: f.now().UTC().Truncate(time.Second), local: true}, nil
	}
	_, err = f.fetch(ctx, x.name, u, x.file, maxExtra, nil)
	info := f.info(x.file)
	here := info.URL == redacted(u)
	if !here {
		info = copyInfo{}
	}
	// Without ratings less is known about the findings, but none is missing.
	if err := f.settleFor(ctx, x.name, true, info.Fetched, err); err != nil || !here {
		return extraFile{}, err
	}
	return extraFile{extra: x, path: f.path(x.file), url: info.URL, fetched: info.Fetched}, nil
}

// families are the ecosystems that are read.
func (in *input) families() map[string]bool {
	families := map[string]bool{}
	for _, x := range in.exports {
		families[x.ecosystem] = true
	}
	return families
}

// read hands all records to the reader's Writer. A copy that turns out to be
// damaged is dropped, so that the next update fetches it again whatever the
// server says about changes.
func (in *input) read(ctx context.Context, r *reader, f *fetcher) ([]plimsoll.DataSource, error) {
	var sources []plimsoll.DataSource
	for i := range in.exports {
		x := &in.exports[i]
		s, err := x.load(ctx, r)
		if err != nil {
			return nil, f.drop(err, x.local, mirrorDir(x.ecosystem))
		}
		sources = append(sources, s)
	}
	for i := range in.sources {
		x := &in.sources[i]
		s, err := x.load(ctx, r)
		if err != nil {
			for _, name := range x.copies {
				err = f.drop(err, false, name)
			}
			return nil, err
		}
		sources = append(sources, s)
	}
	for _, x := range in.extras {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		s, err := x.load(r)
		if err != nil {
			return nil, f.drop(err, x.local, x.file)
		}
		sources = append(sources, s)
	}
	return sources, nil
}

func (x *export) load(ctx context.Context, r *reader) (plimsoll.DataSource, error) {
	members, closeFiles, err := x.members()
	if err != nil {
		return plimsoll.DataSource{}, err
	}
	defer closeFiles()
	return r.export(ctx, x.ecosystem, members)
}

func (x *extraFile) load(r *reader) (plimsoll.DataSource, error) {
	r.report(Progress{Stage: "read", Source: x.name})
	file, err := os.Open(x.path)
	if err != nil {
		return plimsoll.DataSource{}, &plimsoll.Error{Code: localCode(err), Op: "read " + x.name, Err: err}
	}
	defer file.Close()
	return r.extra(x.extra, file)
}

// state is what is known beside a generation and is no part of it, because it
// differs from one fetch to the next.
type state struct {
	Prefer     []Preference            `json:"prefer,omitempty"`
	Generation plimsoll.Digest         `json:"generation"`
	Compiler   int                     `json:"compiler"`
	Sources    map[string]sourceOrigin `json:"sources"`
}

type sourceOrigin struct {
	URL     string    `json:"url"`
	Fetched time.Time `json:"fetched"`
}

func statePath(dir string) string { return filepath.Join(dir, "sources.json") }

func readState(dir string) (s state, err error) {
	b, err := os.ReadFile(statePath(dir))
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	return s, err
}

// origins says where each source came from and when.
func (in *input) origins() map[string]sourceOrigin {
	origins := map[string]sourceOrigin{}
	for _, x := range in.exports {
		origins["osv/"+x.ecosystem] = sourceOrigin{x.url, x.fetched}
	}
	for _, x := range in.sources {
		origins[x.name] = x.origin()
	}
	for _, x := range in.extras {
		origins[x.name] = sourceOrigin{x.url, x.fetched}
	}
	return origins
}

// current returns the active generation if it is what this input would give,
// provided that no copy has changed since.
func (in *input) current(dir string) (plimsoll.Generation, bool) {
	if slices.ContainsFunc(in.exports, func(x export) bool { return x.local }) ||
		slices.ContainsFunc(in.sources, func(x sourceFiles) bool { return x.local }) ||
		slices.ContainsFunc(in.extras, func(x extraFile) bool { return x.local }) {
		return plimsoll.Generation{}, false
	}
	s, err := readState(dir)
	origins := in.origins()
	if err != nil || s.Compiler != compilerVersion || !slices.Equal(s.Prefer, in.prefer) || len(s.Sources) != len(origins) {
		return plimsoll.Generation{}, false
	}
	for name, o := range origins {
		if s.Sources[name].URL != o.URL {
			return plimsoll.Generation{}, false
		}
	}
	db, err := vulndb.OpenCurrent(dir)
	if err != nil {
		return plimsoll.Generation{}, false
	}
	defer db.Close()
	g := db.Generation()
	return g, g.ID == s.Generation
}

func currentID(dir string) plimsoll.Digest {
	db, err := vulndb.OpenCurrent(dir)
	if err != nil {
		return ""
	}
	defer db.Close()
	return db.Generation().ID
}

// remember writes the state. It is replaced in one step; without it nothing is
// lost but the dates of fetching and one compilation.
func (in *input) remember(dir string, id plimsoll.Digest) error {
	b, err := json.MarshalIndent(state{Prefer: in.prefer, Generation: id, Compiler: compilerVersion, Sources: in.origins()}, "", "\t")
	if err != nil {
		return diskError(err)
	}
	return replaceFile(statePath(dir), append(b, '\n'))
}

// Status describes the active generation of dir with address and date of
// fetching for each source, as far as it was fetched here. The error has
// CodeNotFound when there is none.
func Status(dir string) (plimsoll.Generation, error) {
	db, err := vulndb.OpenCurrent(dir)
	if err != nil {
		return plimsoll.Generation{}, err
	}
	defer db.Close()
	g := db.Generation()
	s, err := readState(dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && s.Generation != g.ID {
		return g, nil
	}
	for i := range g.Sources {
		o := s.Sources[g.Sources[i].Name]
		g.Sources[i].URL, g.Sources[i].Fetched = o.URL, o.Fetched
	}
	return g, nil
}
