package agent

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// Bounds of the spool.
const (
	maxSpoolBytes = 256 << 20
	maxSpoolFiles = 10_000
)

// spool keeps reports on disk until the console has them, oldest first. A file's
// name says when it came, which report of which image it is, and the hash of its
// content.
type spool struct {
	dir                string
	maxBytes, maxFiles int64

	mu   sync.Mutex
	held []spooled // oldest first
}

// spooled is one report in the spool.
type spooled struct {
	name   string
	report string
	image  string // hexadecimal digits of its ID
	hash   string
	size   int64
	lease  string // until it is lost, and of this process's reports only
	since  time.Time
}

const (
	spoolDir    = "spool" // in the state directory
	spoolSuffix = ".json.zst"
)

// parseSpooled reads a name of the form TIME-REPORT-IMAGE-HASH.json.zst.
func parseSpooled(name string, size int64) (spooled, bool) {
	base, ok := strings.CutSuffix(name, spoolSuffix)
	parts := strings.Split(base, "-")
	if !ok || len(parts) != 4 {
		return spooled{}, false
	}
	return spooled{name: name, report: parts[1], image: parts[2], hash: parts[3], size: size}, true
}

// openSpool opens the spool in dir and removes what was never written wholly.
func openSpool(dir string) (*spool, error) {
	fail := func(err error) (*spool, error) {
		return nil, plimsoll.Errorf(plimsoll.CodeUnreadable, "open the spool", "%w", err)
	}
	if err := makeDir(dir); err != nil {
		return fail(err)
	}
	entries, err := os.ReadDir(dir) // sorted by name, and so by time
	if err != nil {
		return fail(err)
	}
	s := &spool{dir: dir, maxBytes: maxSpoolBytes, maxFiles: maxSpoolFiles}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if strings.HasPrefix(e.Name(), tempPrefix) {
			os.Remove(filepath.Join(dir, e.Name()))
		} else if f, ok := parseSpooled(e.Name(), info.Size()); ok {
			s.held = append(s.held, f)
		}
	}
	return s, nil
}

func (s *spool) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.held)
}

// put keeps a report, and returns how many others had to make room: those first
// that a newer report of the same image supersedes, then the oldest.
func (s *spool) put(r api.ScanResult, body []byte, now time.Time) (dropped int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sum := sha256.Sum256(body)
	f := spooled{report: r.Report, image: r.Image.Hex(), hash: hex.EncodeToString(sum[:8]), size: int64(len(body)), lease: r.Lease, since: now}
	f.name = fmt.Sprintf("%019d-%s-%s-%s%s", now.UnixNano(), f.report, f.image, f.hash, spoolSuffix)
	if f.size > s.maxBytes {
		return 0, plimsoll.Errorf(plimsoll.CodeLimit, "keep report", "it is larger than the spool")
	}
	for !s.room(f.size) {
		if err := s.drop(f.image); err != nil {
			return dropped, err
		}
		dropped++
	}
	for {
		err := replaceFile(filepath.Join(s.dir, f.name), body)
		if err == nil {
			s.held = append(s.held, f)
			return dropped, nil
		}
		// A full disk takes what supersedes something in its place, no more.
		if s.superseded(f.image) < 0 {
			return dropped, plimsoll.Errorf(plimsoll.CodeUnavailable, "keep report", "%w", err)
		}
		if err := s.drop(f.image); err != nil {
			return dropped, err
		}
		dropped++
	}
}

func (s *spool) room(size int64) bool {
	for _, f := range s.held {
		size += f.size
	}
	return size <= s.maxBytes && int64(len(s.held)) < s.maxFiles
}

// superseded returns the oldest report with a newer one of the same image, of
// which the image that is about to come is one; -1 when there is none.
func (s *spool) superseded(coming string) int {
	seen := map[string]bool{coming: true}
	oldest := -1
	for i := len(s.held) - 1; i >= 0; i-- {
		if seen[s.held[i].image] {
			oldest = i
		}
		seen[s.held[i].image] = true
	}
	return oldest
}

func (s *spool) drop(coming string) error {
	i := max(0, s.superseded(coming))
	if err := os.Remove(filepath.Join(s.dir, s.held[i].name)); err != nil && !os.IsNotExist(err) {
		return plimsoll.Errorf(plimsoll.CodeUnavailable, "make room in the spool", "%w", err)
	}
	s.held = slices.Delete(s.held, i, i+1)
	return nil
}

// next returns the oldest report; false when there is none. One whose content is
// not what its name says is dropped and counted.
func (s *spool) next() (f spooled, body []byte, damaged int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.held) > 0 {
		f := s.held[0]
		body, err := readFile(filepath.Join(s.dir, f.name), s.maxBytes)
		sum := sha256.Sum256(body)
		if err == nil && bytes.Equal([]byte(hex.EncodeToString(sum[:8])), []byte(f.hash)) {
			return f, body, damaged, true
		}
		os.Remove(filepath.Join(s.dir, f.name))
		s.held = s.held[1:]
		damaged++
	}
	return spooled{}, nil, damaged, false
}

// maxLeased is how long a lease is kept for a report that does not get through:
// if the console never takes it, the image must not be held back for ever.
const maxLeased = time.Hour

// leased returns the reports whose leases are in force, as far as is known.
func (s *spool) leased(now time.Time) []spooled {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []spooled
	for _, f := range s.held {
		if f.lease != "" && now.Sub(f.since) < maxLeased {
			list = append(list, f)
		}
	}
	return list
}

// unlease notes that the lease of a report is lost.
func (s *spool) unlease(f spooled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.held, func(h spooled) bool { return h.name == f.name }); i >= 0 {
		s.held[i].lease = ""
	}
}

// remove forgets a report that was delivered or never will be.
func (s *spool) remove(f spooled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	os.Remove(filepath.Join(s.dir, f.name))
	s.held = slices.DeleteFunc(s.held, func(h spooled) bool { return h.name == f.name })
}
