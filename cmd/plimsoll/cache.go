package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"plimsoll"
)

// dirCache keeps values as files below a directory. It satisfies
// inventory.Cache.
type dirCache struct {
	dir  string
	fail func(error)

	once sync.Once // the first fault is told, the others are its echo
}

// maxCacheFile bounds what is read back, in bytes.
const maxCacheFile = 256 << 20

func (c *dirCache) path(key string) string {
	return filepath.Join(c.dir, filepath.FromSlash(key)+".s2")
}

// Get returns the value of key, or false.
func (c *dirCache) Get(key string) ([]byte, bool) {
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
func (c *dirCache) Put(key string, value []byte) error {
	path := c.path(key)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
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

// fault tells once that the cache does not work: the scan is as right as
// before, the next one will be slower.
func (c *dirCache) fault(err error) {
	c.once.Do(func() {
		c.fail(plimsoll.Errorf(plimsoll.CodeUnavailable, "keep facts in the cache", "%w", fmt.Errorf("%s: %w", c.dir, err)))
	})
}
