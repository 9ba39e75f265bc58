package engine

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	maxLinks   = 40       // symbolic links followed for one path, as the kernel does
	maxCmdline = 64 << 10 // bytes of a process's arguments
	maxPasswd  = 4 << 20  // bytes of /etc/passwd
	maxConfig  = 1 << 20  // bytes of an engine's configuration file
)

// Host is a root file system whose engines are looked for. The zero value is
// the one this process runs in; elsewhere Root is where it is mounted, such as
// "/host" in a container or "/proc/PID/root" for the view of a process.
type Host struct{ Root string }

// Path returns where this process finds the host's path, links unresolved.
func (h Host) Path(path string) string { return filepath.Join("/", h.Root, path) }

// Resolve returns where this process finds the host's path, with all links
// resolved as the host does: an absolute link stays below Root.
func (h Host) Resolve(path string) (string, error) {
	var done string // resolved, seen from the host
	todo := filepath.Clean("/" + path)[1:]
	for links := 0; todo != ""; {
		name, rest, _ := strings.Cut(todo, "/")
		next := filepath.Join("/", done, name)
		target, err := os.Readlink(h.Path(next))
		switch {
		case err == nil:
			if links++; links > maxLinks {
				return "", &os.PathError{Op: "resolve", Path: path, Err: errors.New("too many links")}
			}
			if !filepath.IsAbs(target) {
				target = filepath.Join("/", done, target)
			}
			done, todo = "", strings.TrimPrefix(filepath.Join("/", target, rest), "/")
			continue
		case os.IsNotExist(err), os.IsPermission(err):
			return "", err
		}
		done, todo = next, rest
	}
	return h.Path(done), nil
}

// ReadFile returns a configuration file of the host, of at most 1 MiB. Users
// own some of them, so anything but a regular file is an error.
func (h Host) ReadFile(path string) ([]byte, error) {
	path, err := h.Resolve(path)
	if err != nil {
		return nil, err
	}
	return readFile(path, maxConfig)
}

func readFile(path string, limit int64) ([]byte, error) {
	f, err := regular(os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return ReadAll(f, path, limit)
}

// Homes returns the home directories of the host's users, sorted: where
// rootless engines keep their stores.
func (h Host) Homes() []string {
	var homes []string
	b, _ := readFile(h.Path("/etc/passwd"), maxPasswd)
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		// passwd(5): name:password:UID:GID:GECOS:directory:shell
		if f := strings.Split(lines.Text(), ":"); len(f) == 7 && strings.HasPrefix(f[5], "/") && f[5] != "/" {
			homes = append(homes, filepath.Clean(f[5]))
		}
	}
	if home := os.Getenv("HOME"); h.Root == "" && filepath.IsAbs(home) {
		homes = append(homes, filepath.Clean(home))
	}
	return sortedUnique(homes)
}

// DockerRoot returns the data root that a daemon.json sets, empty when it sets
// none; without a path, that of the host's own daemon. What Docker's own
// containerd stores is below it, too.
func (h Host) DockerRoot(path string) string {
	if path == "" {
		path = "/etc/docker/daemon.json"
	}
	var config struct {
		DataRoot string `json:"data-root"`
		Graph    string `json:"graph"` // until Docker 23
	}
	if b, err := h.ReadFile(path); err != nil || json.Unmarshal(b, &config) != nil {
		return ""
	}
	return cmp.Or(config.DataRoot, config.Graph)
}

// Daemon is a running process of an engine.
type Daemon struct {
	Args []string // without the program itself
	Host Host     // the file system that the process sees
}

// Daemons returns the processes whose program has the given name, by process
// ID. A process can lie about its name and arguments, so what they lead to is
// to be read like any other user's store.
func (h Host) Daemons(program string) []Daemon {
	var found []Daemon
	// /proc is read through a fixed pattern: its other entries are endless.
	dirs, _ := filepath.Glob(h.Path("/proc/[0-9]*"))
	for _, dir := range dirs {
		if _, err := strconv.Atoi(filepath.Base(dir)); err != nil {
			continue
		}
		b, err := readFile(filepath.Join(dir, "cmdline"), maxCmdline)
		if err != nil {
			continue
		}
		args := strings.Split(strings.TrimSuffix(string(b), "\x00"), "\x00")
		if filepath.Base(args[0]) == program {
			found = append(found, Daemon{args[1:], h.as(filepath.Join(dir, "root"))})
		}
	}
	return found
}

// as returns the host as the process with the given root sees it: h itself
// when that is the same directory.
func (h Host) as(root string) Host {
	theirs, err := os.Stat(filepath.Join(root, "/"))
	if err != nil {
		return h // not ours to look through: take its paths as the host's
	}
	if ours, err := os.Stat(h.Path("/")); err == nil && os.SameFile(ours, theirs) {
		return h
	}
	return Host{root}
}

// Flag returns the value of the last of the named flags, in both spellings
// "--name value" and "--name=value".
func (d Daemon) Flag(names ...string) string {
	var value string
	for i, arg := range d.Args {
		for _, name := range names {
			if v, ok := strings.CutPrefix(arg, name+"="); ok {
				value = v
			} else if arg == name && i+1 < len(d.Args) {
				value = d.Args[i+1]
			}
		}
	}
	return value
}
