package local

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestCacheStaysBelowItsLimit(t *testing.T) {
	c := &Cache{Dir: t.TempDir()}
	for i, key := range []string{"layer/old", "layer/middle", "image/new"} {
		if err := c.Put(key, make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(time.Duration(i-5) * time.Hour)
		if err := os.Chtimes(c.path(key), when, when); err != nil {
			t.Fatal(err)
		}
	}
	half := filepath.Join(c.Dir, "layer", ".tmp-1")
	if err := os.WriteFile(half, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(half, long, long); err != nil {
		t.Fatal(err)
	}
	c.keepBelow(250)
	for key, want := range map[string]bool{"layer/old": false, "layer/middle": true, "image/new": true} {
		if _, ok := c.Get(key); ok != want {
			t.Errorf("%s is kept: %v, want %v", key, ok, want)
		}
	}
	if _, err := os.Stat(half); err == nil {
		t.Error("what a killed process left is still there")
	}
}
