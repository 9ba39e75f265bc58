package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"plimsoll"
	"plimsoll/engine"
)

// Limits of a daemon's answer.
const (
	maxAnswer     = 4 << 20
	answerTimeout = 3 * time.Second
)

// Options says where to look.
type Options struct {
	// Host is the host whose engines are wanted; the zero value is this one.
	Host engine.Host
	// Roots are data roots, as the host names them. With any, no other place is
	// searched.
	Roots []string
}

// Discover returns the stores of a host, in the order of the places that were
// searched, and a problem for each place that is there but cannot be read.
func Discover(ctx context.Context, o Options) ([]*Store, []plimsoll.Problem) {
	f := finder{seen: map[string]bool{}}
	for _, root := range o.Roots {
		f.open(o.Host, root, "--docker-root")
	}
	if len(o.Roots) == 0 {
		f.search(ctx, o.Host)
	}
	return f.stores, f.problems
}

type finder struct {
	seen     map[string]bool // resolved data roots
	stores   []*Store
	problems []plimsoll.Problem
}

// search looks where daemons say, then where configurations say, then where
// Docker keeps its data by default.
func (f *finder) search(ctx context.Context, h engine.Host) {
	for _, socket := range sockets(h) {
		if root := askRoot(ctx, socket); root != "" {
			f.open(h, root, "the daemon at "+socket)
		}
	}
	for _, d := range h.Daemons("dockerd") {
		root := d.Flag("--data-root", "-g", "--graph")
		if root == "" {
			root = d.Host.DockerRoot(d.Flag("--config-file"))
		}
		if root != "" {
			f.open(d.Host, root, "a running dockerd")
		} else {
			f.open(d.Host, "/var/lib/docker", "")
		}
	}
	if root := h.DockerRoot(""); root != "" {
		f.open(h, root, "/etc/docker/daemon.json")
	}
	f.open(h, "/var/lib/docker", "")
	f.open(h, "/var/snap/docker/common/var-lib-docker", "")
	for _, home := range h.Homes() {
		if root := h.DockerRoot(filepath.Join(home, ".config/docker/daemon.json")); root != "" {
			f.open(h, root, filepath.Join(home, ".config/docker/daemon.json"))
		}
		f.open(h, filepath.Join(home, ".local/share/docker"), "")
	}
}

// remapped is the directory of a daemon with user name spaces: "UID.GID".
var remapped = regexp.MustCompile(`^[0-9]+\.[0-9]+$`)

// open adds the stores of a data root. Who says that it is one: when nobody
// does, it is a mere guess and may be absent.
func (f *finder) open(h engine.Host, root, who string) {
	path, err := h.Resolve(root)
	if err == nil {
		_, err = os.Stat(path)
	} else {
		path = h.Path(root)
	}
	if err != nil && who == "" || f.seen[path] {
		return
	}
	f.seen[path] = true
	if err != nil {
		f.problem(err, fmt.Sprintf("open Docker's data root %s, named by %s", root, who),
			"If plimsoll runs in a container, make the host's directory visible to it; else name the right one with --docker-root.")
		return
	}
	dir, err := engine.OpenDir(path)
	if err != nil {
		f.problem(err, "open Docker's data root "+path, "")
		return
	}
	defer dir.Close()
	before := len(f.stores) + len(f.problems)
	f.add(h, dir)
	names, _ := dir.List(".")
	for _, name := range names {
		if !remapped.MatchString(name) {
			continue
		}
		if path, err := dir.Sub(name); err == nil {
			f.addRemapped(h, path)
		}
	}
	if who == "--docker-root" && len(f.stores)+len(f.problems) == before && !dir.Exists("containerd") {
		f.problem(fs.ErrNotExist, "find images in "+path, "Name Docker's data root: docker info --format '{{.DockerRootDir}}' prints it.")
	}
}

func (f *finder) addRemapped(h engine.Host, path string) {
	if f.seen[path] {
		return
	}
	f.seen[path] = true
	dir, err := engine.OpenDir(path)
	if err != nil {
		f.problem(err, "open Docker's data root "+path, "")
		return
	}
	defer dir.Close()
	f.add(h, dir)
}

// add adds a store for each driver that a data root has images of.
func (f *finder) add(h engine.Host, dir *engine.Dir) {
	names, err := dir.List("image")
	if err != nil {
		f.problem(err, "list "+filepath.Join(dir.Path(), "image"), "")
	}
	for _, driver := range names {
		if _, ok := drivers[driver]; ok {
			own, err := engine.OpenDir(dir.Path())
			if err != nil {
				f.problem(err, "open Docker's data root "+dir.Path(), "")
				return
			}
			f.stores = append(f.stores, &Store{own, driver, h})
			continue
		}
		images, err := dir.List(filepath.Join("image", driver, "imagedb/content/sha256"))
		if err == nil && len(images) > 0 {
			f.problems = append(f.problems, engine.ProblemOf(engine.Fail(plimsoll.ProblemUnsupportedDriver,
				"read "+filepath.Join(dir.Path(), "image", driver), "Export the images with docker save and scan the archive.",
				fmt.Errorf("%d images of storage driver %.40q, which is not read in place", len(images), driver))))
		}
	}
}

func (f *finder) problem(err error, op, hint string) {
	f.problems = append(f.problems, engine.NotOpened(op, hint, err))
}

// sockets returns the paths, as this process sees them, where a local daemon
// may answer.
func sockets(h engine.Host) []string {
	var paths []string
	if h.Root == "" {
		if path, ok := strings.CutPrefix(os.Getenv("DOCKER_HOST"), "unix://"); ok {
			paths = append(paths, path)
		}
		if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
			paths = append(paths, filepath.Join(dir, "docker.sock"))
		}
	}
	paths = append(paths, h.Path("/run/docker.sock"), h.Path("/var/run/docker.sock"))
	users, _ := filepath.Glob(h.Path("/run/user/*/docker.sock"))
	return append(paths, users...)
}

// transportTo speaks HTTP to whoever listens at a socket.
func transportTo(socket string) *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}
}

// askRoot returns the data root of the daemon behind a socket; empty when none
// answers. Any user may listen at some of these places, so the answer is no
// more than a place to look at.
func askRoot(ctx context.Context, socket string) string {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	transport := transportTo(socket)
	// Without a version in the path every daemon answers, however old or new.
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/info", nil)
	if err != nil {
		return ""
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	b, err := engine.ReadAll(resp.Body, socket, maxAnswer)
	if err != nil || resp.StatusCode != http.StatusOK {
		return ""
	}
	var info struct{ DockerRootDir string }
	if json.Unmarshal(b, &info) != nil || !filepath.IsAbs(info.DockerRootDir) {
		return ""
	}
	return info.DockerRootDir
}
