package store

import (
	"context"
	"path/filepath"
	"testing"
)

func TestOpenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b%?", "plimsoll.sqlite")
	for range 2 {
		s, err := Open(context.Background(), Options{DSN: path})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ping(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := s.read(context.Background(), "count", func(t *tx) error {
			var n int
			return t.row("SELECT count(*) FROM host WHERE id = ?", 1).Scan(&n)
		}); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
