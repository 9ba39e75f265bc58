package feed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"plimsoll"
)

// The limits of fetching.
const (
	maxExport    = 4 << 30 // bytes of an all.zip; the largest published has some 300 MB
	maxList      = 1 << 30 // bytes of a modified_id.csv
	maxNames     = 1 << 20 // bytes of ecosystems.txt
	fileTimeout  = time.Hour
	stallTimeout = time.Minute // without a byte
	attempts     = 4           // for one file, when the server is at fault
	maxRedirects = 5
)

// fetcher keeps copies of files of servers in a directory and fetches them only
// when they have changed.
type fetcher struct {
	client   *http.Client
	dir      string
	now      func() time.Time
	pause    func(ctx context.Context, attempt int) error
	progress func(Progress)
	bytes    int64            // received in all
	current  int              // sources that are up to date
	behind   []Behind         // those that are not
	dead     map[string]error // by host: it cannot be reached
}

// newFetcher returns a fetcher that follows no redirect to another host or to
// an unencrypted connection: what the operator named is what is asked.
func newFetcher(client *http.Client, dir string, now func() time.Time, progress func(Progress)) *fetcher {
	if client == nil {
		client = &http.Client{Transport: &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			TLSHandshakeTimeout:   15 * time.Second,
			ResponseHeaderTimeout: stallTimeout,
			IdleConnTimeout:       stallTimeout,
			ForceAttemptHTTP2:     true,
		}}
	}
	own := *client
	own.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		first := via[0].URL
		if len(via) > maxRedirects || req.URL.Host != first.Host || first.Scheme == "https" && req.URL.Scheme != "https" {
			return fmt.Errorf("refused to be redirected to %s", req.URL.Redacted())
		}
		return nil
	}
	return &fetcher{client: &own, dir: dir, now: now, pause: backoff, progress: progress, dead: map[string]error{}}
}

// settleFor takes note of how fetching a source ended. A failure is forgiven, which
// is told, when it is that of the server and what was fetched at a time stands in.
func (f *fetcher) settleFor(ctx context.Context, source string, standsIn bool, fetched time.Time, err error) error {
	var path *fs.PathError // this disk
	switch {
	case err == nil:
		f.current++
	case !standsIn || ctx.Err() != nil || errors.As(err, &path) || plimsoll.CodeOf(err) == plimsoll.CodeInvalid:
		return err
	default:
		f.behind = append(f.behind, Behind{source, fetched, err})
	}
	return nil
}

// namesFile lists the copies of a source, beside them.
const namesFile = "/names.json"

func (f *fetcher) keepNames(dir string, names []string) error {
	b, err := json.Marshal(names)
	if err != nil {
		return diskError(err)
	}
	return replaceFile(f.path(dir+namesFile), b)
}

// replaceFile gives a file another content in one step.
func replaceFile(path string, content []byte) error {
	err := os.WriteFile(path+".tmp", content, 0o644)
	if err == nil {
		err = os.Rename(path+".tmp", path)
	}
	if err != nil {
		return diskError(err)
	}
	return nil
}

// keptNames returns the copies of a source if all of them are there.
func (f *fetcher) keptNames(dir string) (names []string) {
	b, err := os.ReadFile(f.path(dir + namesFile))
	if err != nil || json.Unmarshal(b, &names) != nil {
		return nil
	}
	for _, name := range names {
		if !strings.HasPrefix(name, dir+"/") || strings.Contains(name, "..") || f.info(name) == (copyInfo{}) {
			return nil
		}
	}
	return names
}

// backoff waits before an attempt is repeated: 1, 2, 4 seconds.
func backoff(ctx context.Context, attempt int) error {
	select {
	case <-time.After(time.Second << attempt):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// copyInfo is what is remembered about a copy, beside it.
type copyInfo struct {
	URL          string    `json:"url"`
	ETag         string    `json:"etag,omitempty"`
	LastModified string    `json:"last_modified,omitempty"`
	Fetched      time.Time `json:"fetched"`
}

const infoSuffix = ".info.json"

// pendingName is a file that is there while some copy is newer than the
// generation in use, whatever ended the update that fetched it.
const pendingName = "pending"

func (f *fetcher) pending() bool {
	_, err := os.Stat(f.path(pendingName))
	return !errors.Is(err, fs.ErrNotExist)
}

func (f *fetcher) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// settle says that the generation in use is made of the copies as they are.
func (f *fetcher) settle() error {
	if err := os.Remove(f.path(pendingName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return diskError(err)
	}
	return nil
}

// info returns what is known about a copy; zero when there is none or the
// knowledge is of no use.
func (f *fetcher) info(name string) (info copyInfo) {
	if _, err := os.Stat(f.path(name)); err != nil {
		return copyInfo{}
	}
	b, err := os.ReadFile(f.path(name) + infoSuffix)
	if err != nil || json.Unmarshal(b, &info) != nil {
		return copyInfo{}
	}
	return info
}

// remove drops copies.
func (f *fetcher) remove(names ...string) error {
	for _, name := range names {
		for _, path := range []string{f.path(name) + infoSuffix, f.path(name)} {
			if err := os.RemoveAll(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// drop removes a copy if err says that it is damaged, and returns err. A copy
// that cannot be removed either is met again by the next update.
func (f *fetcher) drop(err error, local bool, name string) error {
	if plimsoll.CodeOf(err) == plimsoll.CodeCorrupt && !local {
		_ = f.remove(name)
	}
	return err
}

// fetch brings the copy of address under name up to date and says whether it
// changed. A new copy replaces the old one when check accepts it. The error has
// CodeNotFound when the server has no such file, CodeUnavailable when it does
// not answer, CodeCorrupt when check refuses.
func (f *fetcher) fetch(ctx context.Context, source string, address *url.URL, name string, limit int64, check func(*os.File) error) (bool, error) {
	op := "fetch " + address.Redacted()
	for attempt := 0; ; attempt++ {
		// Whoever cannot be reached is not asked for each of its files.
		changed, again, err := false, false, f.dead[address.Host]
		if err == nil || attempt > 0 {
			changed, again, err = f.try(ctx, source, address, name, limit, check)
		}
		if err == nil {
			return changed, nil
		}
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		if again && attempt < attempts-1 {
			if err := f.pause(ctx, attempt); err != nil {
				return false, err
			}
			continue
		}
		var e *plimsoll.Error
		if errors.As(err, &e) {
			return false, &plimsoll.Error{Code: e.Code, Op: op, Hint: e.Hint, Err: e.Err}
		}
		return false, &plimsoll.Error{Code: plimsoll.CodeUnavailable, Op: op, Err: unwrapURL(err),
			Hint: "check the address and the network; the advisories in use stay as they are"}
	}
}

// unwrapURL drops the address that net/http puts into its errors, since the
// operation names it already.
func unwrapURL(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}

// try asks once. again says that another attempt may help.
func (f *fetcher) try(ctx context.Context, source string, address *url.URL, name string, limit int64, check func(*os.File) error) (changed, again bool, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, fileTimeout, errors.New("the transfer took too long"))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	stall := time.AfterFunc(stallTimeout, func() { stop(errors.New("the server stopped sending")) })
	defer stall.Stop()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return false, false, err
	}
	req.Header.Set("User-Agent", "plimsoll")
	known := f.info(name)
	if known.URL != redacted(address) {
		known = copyInfo{}
	}
	if known.ETag != "" {
		req.Header.Set("If-None-Match", known.ETag)
	}
	if known.LastModified != "" {
		req.Header.Set("If-Modified-Since", known.LastModified)
	}
	resp, err := f.client.Do(req)
	if dial := (*net.OpError)(nil); errors.As(err, &dial) && dial.Op == "dial" {
		f.dead[address.Host] = unwrapURL(err)
	}
	if err != nil {
		return false, true, cause(ctx, err)
	}
	delete(f.dead, address.Host)
	defer resp.Body.Close()
	info := copyInfo{URL: redacted(address), ETag: resp.Header.Get("ETag"),
		LastModified: resp.Header.Get("Last-Modified"), Fetched: f.now().UTC().Truncate(time.Second)}
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
	case code == http.StatusNotModified && known != (copyInfo{}):
		known.Fetched = info.Fetched
		return false, false, f.remember(name, known)
	case code == http.StatusNotFound || code == http.StatusGone:
		return false, false, &plimsoll.Error{Code: plimsoll.CodeNotFound, Err: fmt.Errorf("the server has no such file (%s)", resp.Status),
			Hint: "check the address, or name the ecosystems that it has; the advisories in use stay as they are"}
	default:
		again := code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout
		return false, again, fmt.Errorf("the server answered %s", resp.Status)
	}
	body := &meter{f: f, source: source, total: resp.ContentLength, r: resp.Body, stall: stall}
	again, err = f.replace(name, body, limit, check)
	if err != nil {
		return false, again, cause(ctx, err)
	}
	return true, false, f.remember(name, info)
}

// cause prefers the reason for which we gave up over "context canceled".
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil && context.Cause(ctx) != ctx.Err() {
		return context.Cause(ctx)
	}
	return err
}

// redacted is an address without its password, as it is kept on disk.
func redacted(address *url.URL) string { return address.Redacted() }

// replace writes what r gives to a new copy and, when check accepts it, puts it
// in the place of the old one.
func (f *fetcher) replace(name string, r io.Reader, limit int64, check func(*os.File) error) (again bool, err error) {
	path := f.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return false, diskError(err)
	}
	tmp, err := os.OpenFile(path+".tmp", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return false, diskError(err)
	}
	defer os.Remove(path + ".tmp")
	defer tmp.Close()
	n, err := io.Copy(tmp, io.LimitReader(r, limit+1))
	var pathErr *fs.PathError
	switch {
	case errors.As(err, &pathErr):
		return false, diskError(err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return true, fmt.Errorf("the answer ended after %d bytes", n)
	case err != nil:
		return true, err
	case n > limit:
		return false, plimsoll.Errorf(plimsoll.CodeLimit, "", "the file is larger than %d bytes", limit)
	}
	if check != nil {
		if err := check(tmp); err != nil {
			return false, &plimsoll.Error{Code: plimsoll.CodeCorrupt, Err: err,
				Hint: "check what the address serves; the advisories in use stay as they are"}
		}
	}
	if err := os.WriteFile(f.path(pendingName), nil, 0o644); err != nil {
		return false, diskError(err)
	}
	// The old knowledge must not outlive the old copy.
	if err := os.Remove(path + infoSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, diskError(err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return false, diskError(err)
	}
	return false, nil
}

// touch notes that a copy is what the server has at a time.
func (f *fetcher) touch(name string, at time.Time) error {
	info := f.info(name)
	info.Fetched = at
	return f.remember(name, info)
}

func (f *fetcher) remember(name string, info copyInfo) error {
	b, err := json.Marshal(info)
	if err == nil {
		err = os.WriteFile(f.path(name)+infoSuffix, b, 0o644)
	}
	if err != nil {
		return diskError(err)
	}
	return nil
}

func diskError(err error) error {
	return &plimsoll.Error{Code: plimsoll.CodeUnavailable, Op: "keep a copy", Err: err,
		Hint: "make room on the disk that holds the advisories; those in use stay as they are"}
}

// meter counts what arrives, reports it and restarts the clock of a stall.
type meter struct {
	f           *fetcher
	source      string
	done, total int64
	told        int64
	r           io.Reader
	stall       *time.Timer
}

func (m *meter) Read(b []byte) (int, error) {
	n, err := m.r.Read(b)
	m.stall.Reset(stallTimeout)
	m.done += int64(n)
	m.f.bytes += int64(n)
	const step = 1 << 18
	if m.f.progress != nil && (m.done-m.told >= step || err != nil) {
		m.told = m.done
		m.f.progress(Progress{Stage: "fetch", Source: m.source, Done: m.done, Total: max(m.total, 0)})
	}
	return n, err
}
