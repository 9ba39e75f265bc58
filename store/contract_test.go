package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// contract runs a test on every database: SQLite always, PostgreSQL when
// PLIMSOLL_TEST_PG holds the URL of a server's maintenance database.
func contract(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { test(t, testStore(t)) })
	if dsn := os.Getenv("PLIMSOLL_TEST_PG"); dsn != "" {
		t.Run("postgresql", func(t *testing.T) { test(t, openTest(t, testDatabase(t, dsn))) })
	}
}

// testStore returns an empty store on SQLite.
func testStore(t testing.TB) *Store {
	t.Helper()
	return openTest(t, filepath.Join(t.TempDir(), "plimsoll.sqlite"))
}

// openTest opens a store whose clock stands until the test moves it.
func openTest(t testing.TB, dsn string) *Store {
	t.Helper()
	s, err := Open(context.Background(), Options{DSN: dsn, Now: func() time.Time { return testStart }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// testStart is what the clock of test stores shows at first.
var testStart = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// pass moves the clock on. Nothing else may use the store meanwhile.
func pass(s *Store, d time.Duration) {
	now := s.now().Add(d)
	s.now = func() time.Time { return now }
}

// testDatabase makes a database for one test and returns its URL.
func testDatabase(t testing.TB, maintenance string) string {
	t.Helper()
	db, err := sql.Open("pgx", maintenance)
	if err != nil {
		t.Fatal(err)
	}
	name := "plimsoll_" + strings.ToLower(rand.Text())
	for _, step := range []string{
		"CREATE DATABASE " + name + " ENCODING 'UTF8' TEMPLATE template0",
		"ALTER DATABASE " + name + " SET synchronous_commit = off", // no test pulls the plug
	} {
		if _, err := db.Exec(step); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if _, err := db.Exec("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
		db.Close()
	})
	u, err := url.Parse(maintenance)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/" + name
	return u.String()
}
