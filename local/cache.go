package local

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"plimsoll"
)

// Cache keeps values as files below Dir. It satisfies inventory.Cache and may be
// used concurrently. Fail is told of the first fault.
type Cache struct {
	Dir  string
	Fail func(error)

	once  sync.Once // the first fault is told, the others are its echo
	prune sync.Once
}

// The cache stays below maxCache bytes by dropping what was written longest ago;
// what is dropped is read again when it is needed.
const maxCache = 1 << 30

// maxCacheFile bounds what is read back, in bytes.
const maxCacheFile = 256 << 20

func (c *Cache) path(key string) string {
	return filepath.Join(c.Dir, filepath.FromSlash(key)+".s2")
}

// Get returns the value of key, or false.
func (c *Cache) Get(key string) ([]byte, bool) {
	if strings.Contains(key, "..") {
		return nil, false
	}
	info, err := os.Stat(c.path(key))
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxCacheFile {
		return nil, false
	}
	b, err := os.ReadFile(c.path(key))
	return b, err == nil
}

// Put writes value so that a reader sees the old or the new one, never a part.
func (c *Cache) Put(key string, value []byte) error {
	path := c.path(key)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	c.prune.Do(func() { c.keepBelow(maxCache) })
	tmp, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(value)
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}

// keepBelow removes the oldest files while all together take more than limit
// bytes, and what a killed process left half written.
func (c *Cache) keepBelow(limit int64) {
	files, _ := filepath.Glob(filepath.Join(c.Dir, "*", "*.s2"))
	halves, _ := filepath.Glob(filepath.Join(c.Dir, "*", ".tmp-*"))
	for _, half := range halves {
		if info, err := os.Lstat(half); err == nil && time.Since(info.ModTime()) > time.Hour {
			os.Remove(half)
		}
	}
	type file struct {
		path    string
		written time.Time
		size    int64
	}
	var kept []file
	var total int64
	for _, path := range files {
		if info, err := os.Lstat(path); err == nil {
			kept = append(kept, file{path, info.ModTime(), info.Size()})
			total += info.Size()
		}
	}
	slices.SortFunc(kept, func(a, b file) int { return a.written.Compare(b.written) })
	for _, f := range kept {
		if total <= limit {
			return
		}
		if os.Remove(f.path) == nil {
			total -= f.size
		}
	}
}

// Fault tells once that the cache does not work: the scan is as right as
// before, the next one will be slower.
func (c *Cache) Fault(err error) {
	c.once.Do(func() {
		c.Fail(plimsoll.Errorf(plimsoll.CodeUnavailable, "keep facts in the cache", "%w", fmt.Errorf("%s: %w", c.Dir, err)))
	})
}
