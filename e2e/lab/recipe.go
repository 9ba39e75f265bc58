package lab

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// A Recipe says how to make one image. The image is made at the first call of
// a method on this machine, and again only when the recipe's text changes.
type Recipe struct {
	// Name is the reference the image is stored under, "" for an image that
	// engines show as <none>.
	Name string

	key  string // everything the image is made from, as text
	make func(t testing.TB, out string)
}

// What a recipe leaves in its cache directory.
const (
	fileArchive = "image.tar" // as docker save writes it
	fileID      = "id"        // image ID: sha256:…
	fileTruth   = "truth"     // lines of: kind name version
)

// Archive returns the path of the image as a docker-save tar, which tests must
// not change.
func (r Recipe) Archive(t testing.TB) string {
	t.Helper()
	return filepath.Join(r.cached(t), fileArchive)
}

// ID returns the image ID, "sha256:" and 64 hexadecimal digits.
func (r Recipe) ID(t testing.TB) string {
	t.Helper()
	id, err := os.ReadFile(filepath.Join(r.cached(t), fileID))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(id))
}

// Truth returns what the ecosystem's own tool lists in the image, one sorted
// "name version" for each place where a package is installed, so equal lines
// occur. Kinds are deb, rpm, apk, npm, pypi, pypi-dist (Python packages owned
// by Debian packages), gem, composer, maven (group:artifact) and golang.
func (r Recipe) Truth(t testing.TB, kind string) []string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(r.cached(t), fileTruth))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, kind+" "); ok {
			lines = append(lines, strings.TrimSpace(rest))
		}
	}
	slices.Sort(lines)
	return lines
}

// cached returns the recipe's directory in the cache, making the image if it
// is not there. Test processes that want the same image wait for each other.
func (r Recipe) cached(t testing.TB) string {
	t.Helper()
	sum := sha256.Sum256([]byte(r.Name + "\n" + r.key))
	plain := regexp.MustCompile(`[^a-z0-9.]+`).ReplaceAllString(cmp.Or(r.Name, "none"), "_")
	dir := filepath.Join(cacheDir(t), plain+"-"+hex.EncodeToString(sum[:8]))

	lock, err := os.OpenFile(dir+".lock", os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close() // unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	out := dir + ".making"
	if err := os.RemoveAll(out); err != nil {
		t.Fatal(err)
	}
	mkdir(t, out)
	r.make(t, out)
	if err := os.Rename(out, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func cacheDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv(envCache)
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(user, "plimsoll-lab")
	}
	return mkdir(t, dir)
}

// recipes holds a directory for each image that Docker builds: the Dockerfile
// and its context, with two scripts that are optional. prepare.sh runs on the
// host, in a copy of the directory, before the build, and names the programs
// it needs in its first line; truth.sh runs in a container of the finished image. Both leave lines of truth: prepare.sh in
// the file $TRUTH, truth.sh on its standard output.
//
//go:embed recipes
var recipes embed.FS

// dockerfile is the recipe in a directory of recipes, on top of a parent
// recipe unless that is nil. Args are NAME=value pairs for prepare.sh.
func dockerfile(name, dir string, parent *Recipe, args ...string) Recipe {
	context, err := fs.Sub(recipes, "recipes/"+dir)
	if err != nil {
		panic(err) // only for a malformed name in this package
	}
	var key strings.Builder
	fmt.Fprintln(&key, args)
	if parent != nil {
		fmt.Fprintln(&key, parent.Name, parent.key)
	}
	files, err := fs.Glob(context, "*")
	if err != nil {
		panic(err) // only for a malformed pattern
	}
	for _, file := range files {
		text, _ := fs.ReadFile(context, file) // embedded: cannot fail
		fmt.Fprintf(&key, "%s\n%s\n", file, text)
	}
	return Recipe{Name: name, key: key.String(), make: func(t testing.TB, out string) {
		build(t, name, context, parent, args, out)
	}}
}

// build makes an image with a Docker of its own.
func build(t testing.TB, name string, context fs.FS, parent *Recipe, args []string, out string) {
	t.Helper()
	l := New(t)
	dir := filepath.Join(l.Dir, "context")
	if err := os.CopyFS(dir, context); err != nil {
		t.Fatal(err)
	}
	truth := filepath.Join(out, fileTruth)
	if script, err := fs.ReadFile(context, "prepare.sh"); err == nil {
		line, _, _ := strings.Cut(string(script), "\n")
		Need(t, strings.Fields(strings.TrimPrefix(line, "# needs:"))...)
		cmd := exec.Command("sh", "-eu", "prepare.sh")
		cmd.Dir, cmd.Env = dir, append(os.Environ(), append(args, "TRUTH="+truth)...)
		run(t, cmd)
	}

	d := l.Docker(t)
	if parent != nil {
		d.Load(t, *parent)
	}
	d.CLI(t, "build", "--network=host", "--tag", name, dir)
	d.CLI(t, "save", "--output", filepath.Join(out, fileArchive), name)
	id := d.CLI(t, "image", "inspect", "--format", "{{.Id}}", name)
	if err := os.WriteFile(filepath.Join(out, fileID), []byte(id+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}

	if script, err := fs.ReadFile(context, "truth.sh"); err == nil {
		cmd := d.command("run", "--rm", "--interactive", "--network=none", name, "sh", "-eu")
		cmd.Stdin = bytes.NewReader(script)
		appendFile(t, truth, run(t, cmd)+"\n")
	}
	// The builder's disk space and memory are needed before the test ends.
	d.Stop(t)
	d.Containerd.Stop(t)
	remove(t, l.Dir)
}

func appendFile(t testing.TB, name, text string) {
	t.Helper()
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}
