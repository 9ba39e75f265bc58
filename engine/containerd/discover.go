package containerd

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"google.golang.org/grpc"

	"plimsoll"
	"plimsoll/engine"
)

// Options says where to look.
type Options struct {
	// Host is the host whose engines are wanted; the zero value is this one.
	Host engine.Host
	// Addresses are sockets and Roots are root directories, as the host names
	// them. With any, no other place is searched.
	Addresses []string
	Roots     []string
	// Scratch is for layers that are read from compressed blobs; see
	// layerfs.TarOptions.
	Scratch string
}

// place is where some distribution runs containerd.
type place struct{ address, root string }

// dockerRoot is the root of Docker's own containerd below Docker's data root.
const dockerRoot = "containerd/daemon"

// places are those of containerd itself, Docker's own, K3s, RKE2, K0s and MicroK8s.
var places = []place{
	{"/run/containerd/containerd.sock", defaultRoot},
	{"/run/docker/containerd/containerd.sock", "/var/lib/docker/" + dockerRoot},
	{"/run/k3s/containerd/containerd.sock", "/var/lib/rancher/k3s/agent/containerd"},
	{"", "/var/lib/rancher/rke2/agent/containerd"},
	{"/run/k0s/containerd.sock", "/var/lib/k0s/containerd"},
	{"/var/snap/microk8s/common/run/containerd.sock", "/var/snap/microk8s/common/var/lib/containerd"},
}

// Discover returns a store for each namespace of each containerd of a host, in
// the order of the places that were searched, and a problem for each place that
// is there but cannot be read.
func Discover(ctx context.Context, o Options) ([]*Store, []plimsoll.Problem) {
	f := finder{ctx: ctx, scratch: o.Scratch, seen: map[string]bool{}}
	for _, address := range o.Addresses {
		f.ask(o.Host, strings.TrimPrefix(address, "unix://"), "", "--containerd-address")
	}
	for _, root := range o.Roots {
		f.open(o.Host, root, "", "", nil, "--containerd-root")
	}
	if len(o.Addresses)+len(o.Roots) > 0 {
		return f.stores, f.problems
	}
	for _, p := range places {
		f.ask(o.Host, p.address, p.root, "")
	}
	if root := o.Host.DockerRoot(""); root != "" {
		f.ask(o.Host, "", filepath.Join(root, dockerRoot), "")
	}
	for _, d := range o.Host.Daemons("containerd") {
		c := readConfig(d.Host, d.Flag("--config", "-c"))
		address, root := d.Flag("--address", "-a"), d.Flag("--root")
		if address == "" {
			address = c.address
		}
		if root == "" {
			root = c.root
		}
		f.ask(d.Host, address, root, "a running containerd")
	}
	c := readConfig(o.Host, "")
	f.ask(o.Host, c.address, c.root, "/etc/containerd/config.toml")
	return f.stores, f.problems
}

type finder struct {
	ctx      context.Context
	scratch  string
	seen     map[string]bool // resolved root directories
	stores   []*Store
	problems []plimsoll.Problem
}

// ask asks the daemon at address for its directories; when none answers, root
// is read without it. Who says that it is there: when nobody does, it is a mere
// guess and may be absent.
func (f *finder) ask(h engine.Host, address, root, who string) {
	socket, err := h.Resolve(address)
	if address != "" && err == nil {
		if _, err = os.Stat(socket); err == nil && f.connect(h, socket, root, who) {
			return
		}
	}
	if address != "" && root == "" && err != nil {
		f.problem(err, fmt.Sprintf("connect to containerd at %s, named by %s", address, who))
	}
	if root != "" {
		f.open(h, root, "", "", nil, who)
	}
}

// connect reports whether a daemon answered at the socket.
func (f *finder) connect(h engine.Host, socket, root, who string) bool {
	conn, err := dial(socket)
	if err != nil {
		return false
	}
	content, overlay, err := remote{conn}.roots(f.ctx)
	if err != nil {
		conn.Close()
		if root == "" {
			f.problem(err, "ask containerd at "+socket)
		}
		return false
	}
	if content != "" {
		root = filepath.Dir(content)
	}
	if root == "" {
		conn.Close()
		f.problem(errors.New("it does not name its root directory"), "ask containerd at "+socket)
		return true
	}
	f.open(h, root, content, overlay, conn, "the daemon at "+socket)
	return true
}

// open adds the stores of a root directory. It takes over conn, which is nil
// without a daemon, as content and overlay are empty.
func (f *finder) open(h engine.Host, root, content, overlay string, conn *grpc.ClientConn, who string) {
	v := &server{conn: conn, users: 1}
	defer v.release()
	var err error
	if v.root, err = h.Resolve(root); err == nil {
		_, err = os.Stat(v.root)
	} else {
		v.root = h.Path(root)
	}
	if err != nil && who == "" || f.seen[v.root] {
		return
	}
	f.seen[v.root] = true
	if err != nil {
		f.problem(err, fmt.Sprintf("open containerd's root %s, named by %s", root, who))
		return
	}
	if _, err := os.Stat(filepath.Join(v.root, contentPlugin)); errors.Is(err, fs.ErrNotExist) && who == "" {
		return // a directory that no containerd has used yet
	}
	if err := v.openDirs(h, content, overlay); err != nil {
		f.problem(err, "open containerd's root "+v.root)
		return
	}
	var c catalog = v.disk
	if conn != nil {
		c = remote{conn}
	}
	namespaces, err := c.namespaces(f.ctx)
	if err != nil {
		f.problem(err, "list namespaces of containerd in "+v.root)
		return
	}
	for _, name := range namespaces {
		if images, err := c.images(f.ctx, name); name == dockerNamespace && err == nil && len(images) == 0 {
			continue // Docker has only containers here: its images are in its own store
		}
		v.users++
		f.stores = append(f.stores, &Store{server: v, namespace: name, scratch: f.scratch})
	}
}

// openDirs opens the directories of a root; those of plugins may be elsewhere.
func (v *server) openDirs(h engine.Host, content, overlay string) error {
	root, err := v.openDir(v.root)
	if err != nil {
		return err
	}
	v.disk = disk{root}
	if v.content, err = v.openDir(v.plugin(h, content, contentPlugin)); err != nil {
		return err
	}
	v.overlay, err = v.openDir(v.plugin(h, overlay, overlayPlugin))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil // not every kernel has overlayfs
	}
	return err
}

func (v *server) openDir(path string) (*engine.Dir, error) {
	d, err := engine.OpenDir(path)
	if err == nil {
		v.dirs = append(v.dirs, d)
	}
	return d, err
}

// plugin returns the directory of a plugin, told by the daemon or not.
func (v *server) plugin(h engine.Host, told, name string) string {
	if told != "" {
		if resolved, err := h.Resolve(told); err == nil {
			return resolved
		}
	}
	return filepath.Join(v.root, name)
}

func (f *finder) problem(err error, op string) {
	f.problems = append(f.problems, engine.NotOpened(op,
		"If plimsoll runs in a container, make the host's /run and containerd's root visible to it; else name them with --containerd-address or --containerd-root.", err))
}

// The file is TOML: root stands before the first table, address in [grpc].
var (
	tableStart = regexp.MustCompile(`(?m)^\s*\[`)
	rootKey    = regexp.MustCompile(`(?m)^\s*root\s*=\s*["']([^"'\n]+)["']`)
	addressKey = regexp.MustCompile(`(?ms)^\[grpc\][^\[]*?^\s*address\s*=\s*["']([^"'\n]+)["']`)
)

// readConfig returns the root directory and the socket that a configuration
// file sets, if any.
func readConfig(h engine.Host, path string) place {
	if path == "" {
		path = "/etc/containerd/config.toml"
	}
	b, err := h.ReadFile(path)
	if err != nil {
		return place{}
	}
	var p place
	if m := addressKey.FindSubmatch(b); m != nil {
		p.address = string(m[1])
	}
	if table := tableStart.FindIndex(b); table != nil {
		b = b[:table[0]]
	}
	if m := rootKey.FindSubmatch(b); m != nil {
		p.root = string(m[1])
	}
	return p
}
