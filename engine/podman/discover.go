package podman

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"plimsoll"
	"plimsoll/engine"
)

// Options says where to look.
type Options struct {
	// Host is the host whose stores are wanted; the zero value is this one.
	Host engine.Host
	// Roots are graph roots, as the host names them. With any, no other place is
	// searched.
	Roots []string
}

// Discover returns the stores of a host, in the order of the places that were
// searched, and a problem for each place that is there but cannot be read.
func Discover(ctx context.Context, o Options) ([]*Store, []plimsoll.Problem) {
	f := finder{host: o.Host, seen: map[string]bool{}}
	for _, root := range o.Roots {
		f.open(root, "--storage-root", nil)
	}
	if len(o.Roots) > 0 {
		return f.stores, f.problems
	}
	// The first file is the administrator's and replaces the distribution's.
	system := f.config("/etc/containers/storage.conf")
	if !system.exists {
		system = f.config("/usr/share/containers/storage.conf")
	}
	f.open(system.root, "storage.conf", system.lower)
	f.open("/var/lib/containers/storage", "", system.lower)
	for _, root := range system.lower {
		f.open(root, "storage.conf", nil)
	}
	for _, home := range f.host.Homes() {
		own := f.config(filepath.Join(home, ".config/containers/storage.conf"))
		lower := own.lower
		if !own.exists {
			lower = system.lower
		}
		f.open(own.root, "storage.conf of "+home, lower)
		f.open(filepath.Join(home, ".local/share/containers/storage"), "", lower)
	}
	return f.stores, f.problems
}

type finder struct {
	host     engine.Host
	seen     map[string]bool // resolved graph roots
	stores   []*Store
	problems []plimsoll.Problem
}

// open adds the store at a graph root. Who says that it is one: when nobody
// does, it is a mere guess and may be absent.
func (f *finder) open(root, who string, lower []string) {
	if root == "" {
		return
	}
	path, err := f.host.Resolve(root)
	if err == nil {
		_, err = os.Stat(path)
	} else {
		path = f.host.Path(root)
	}
	// A configured store is made when it is first used.
	guess := who == "" || who != "--storage-root" && errors.Is(err, fs.ErrNotExist)
	if err != nil && guess || f.seen[path] {
		return
	}
	f.seen[path] = true
	if err != nil {
		f.problem(err, fmt.Sprintf("open containers-storage %s, named by %s", root, who))
		return
	}
	dir, err := engine.OpenDir(path)
	if err != nil {
		f.problem(err, "open containers-storage "+path)
		return
	}
	f.unsupported(dir)
	if !dir.Exists("overlay-images") {
		if who == "--storage-root" {
			f.problem(fs.ErrNotExist, "find overlay-images in "+path)
		}
		dir.Close()
		return
	}
	s := &Store{dir: dir}
	for _, root := range lower {
		path, err := f.host.Resolve(root)
		if err != nil {
			continue // layers that are only there will be missing
		}
		if d, err := engine.OpenDir(path); err == nil {
			s.lower = append(s.lower, d)
		}
	}
	f.stores = append(f.stores, s)
}

// unsupported reports images of other storage drivers under the same root.
func (f *finder) unsupported(dir *engine.Dir) {
	names, _ := dir.List(".")
	for _, name := range names {
		driver, ok := strings.CutSuffix(name, "-images")
		if !ok || driver == "overlay" {
			continue
		}
		if images, err := dir.List(name); err == nil && len(images) > 2 { // images.json and its lock
			f.problems = append(f.problems, engine.ProblemOf(engine.Fail(plimsoll.ProblemUnsupportedDriver,
				"read "+filepath.Join(dir.Path(), name), "Export the images with podman save and scan the archive.",
				fmt.Errorf("images of storage driver %.40q, which is not read in place", driver))))
		}
	}
}

func (f *finder) problem(err error, op string) {
	f.problems = append(f.problems, engine.NotOpened(op,
		"If plimsoll runs in a container, make the host's directory visible to it; else name the right one with --storage-root.", err))
}

// storageConf is what we need of a storage.conf.
type storageConf struct {
	exists bool
	root   string
	lower  []string // additional image stores
}

// The file is TOML; these keys are unique in it and engines write them on lines
// of their own, so that a parser would find nothing more.
var (
	comments   = regexp.MustCompile(`(?m)^\s*#.*$`)
	graphRoot  = regexp.MustCompile(`(?m)^\s*(?:graphroot|rootless_storage_path)\s*=\s*"([^"\n]+)"`)
	additional = regexp.MustCompile(`(?m)^\s*additionalimagestores\s*=\s*\[([^\]]*)\]`)
	quoted     = regexp.MustCompile(`"([^"\n]+)"`)
)

func (f *finder) config(path string) storageConf {
	b, err := f.host.ReadFile(path)
	if err != nil {
		return storageConf{}
	}
	b = comments.ReplaceAll(b, nil)
	conf := storageConf{exists: true}
	if m := graphRoot.FindSubmatch(b); m != nil && !strings.Contains(string(m[1]), "$") {
		conf.root = string(m[1])
	}
	if m := additional.FindSubmatch(b); m != nil {
		for _, q := range quoted.FindAllSubmatch(m[1], -1) {
			conf.lower = append(conf.lower, string(q[1]))
		}
	}
	return conf
}
