package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A directory that holds no console is no empty console: nothing is made there,
// and a good backup is not replaced by an empty one.
func TestNoConsoleHere(t *testing.T) {
	s := newSession(t)
	backup := write(t, filepath.Join(t.TempDir(), "fleet.backup"), "a good one")
	dir := filepath.Join(t.TempDir(), "mistyped")
	for _, args := range [][]string{{"backup", backup}, {"token", "create"}, {"token", "list"}, {"user", "list"}} {
		if _, stderr, code := s.run(append(args, "--data-dir", dir)...); code != exitNotFound || !strings.Contains(stderr, "--data-dir") {
			t.Errorf("%v: exit code %d: %s", args, code, stderr)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the directory was made")
	}
	if b, err := os.ReadFile(backup); err != nil || string(b) != "a good one" {
		t.Errorf("the backup is now %q, %v", b, err)
	}
}

// A mistyped address is not the name of a new SQLite file, which would show its
// password.
func TestUnknownKindOfDatabase(t *testing.T) {
	s := newSession(t)
	dir := t.TempDir()
	_, stderr, code := s.run("console", "--listen", "127.0.0.1:0", "--data-dir", dir, "--database", "postgre://user:secret@db/plimsoll")
	if code != exitUsage || strings.Contains(stderr, "secret") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if _, err := os.Stat("postgre:"); err == nil {
		t.Error("a file was made of the address")
	}
}

// Two consoles on one directory would hear nothing of each other.
func TestSecondConsoleIsRefused(t *testing.T) {
	s := newSession(t)
	dir := t.TempDir()
	release, err := lockDirectory(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, stderr, code := s.run("console", "--listen", "127.0.0.1:0", "--data-dir", dir)
	if code != exitError || !strings.Contains(stderr, "Another console") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	if release, err = lockDirectory(dir); err != nil {
		t.Fatal(err)
	}
	release()
}
