//go:build e2e

package layerfs

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"plimsoll/e2e/lab"
)

// TestKernelAgrees makes random layers by working in real overlay mounts, and
// compares the kernel's view of the stack with ours: names, types, link targets,
// contents and where links lead (IMG-08, IMG-09, IMG-10, IMG-14, IMG-16, IMG-17).
func TestKernelAgrees(t *testing.T) {
	lab.Need(t, "root") // to mount
	stacks := 400
	var seen shapes
	for seed := range stacks {
		t.Run(strconv.Itoa(seed), func(t *testing.T) { kernelStack(t, uint64(seed), &seen) })
	}
	t.Logf("%d stacks: %+v", stacks, seen)
	if seen.whiteouts == 0 || seen.opaque == 0 || seen.redirects == 0 || seen.metacopies == 0 || seen.attributeWhiteouts == 0 || seen.links == 0 {
		t.Errorf("a shape of layers was never made: %+v", seen)
	}
}

// shapes counts what the random layers were made of.
type shapes struct {
	layers, entries, whiteouts, attributeWhiteouts, opaque, redirects, metacopies, links, followed int
}

func kernelStack(t *testing.T, seed uint64, seen *shapes) {
	r := rand.New(rand.NewPCG(seed, 2))
	base := t.TempDir()
	merged := filepath.Join(base, "m")
	mkdir(t, merged)
	count := 2 + r.IntN(6)
	if seed%50 == 49 {
		count = 24
	}
	renames := r.IntN(2) == 0
	dirs := make([]string, count)
	for i := range dirs {
		dirs[i] = filepath.Join(base, strconv.Itoa(i))
		mkdir(t, dirs[i])
		if i == 0 {
			for range 100 {
				operate(r, dirs[0])
			}
			continue
		}
		work := filepath.Join(base, "w")
		mkdir(t, work)
		options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower(dirs[:i]), dirs[i], work)
		if renames {
			options += ",redirect_dir=on,metacopy=on"
		} else {
			options += ",redirect_dir=off,metacopy=off"
		}
		mount(t, merged, options)
		for range 5 + r.IntN(40) {
			operate(r, merged)
		}
		unmount(t, merged)
		if err := os.RemoveAll(work); err != nil {
			t.Fatal(err)
		}
		if r.IntN(3) == 0 {
			seen.attributeWhiteouts += useAttributeWhiteouts(t, dirs[i])
		}
	}
	options := "lowerdir=" + lower(dirs)
	if renames {
		options += ",redirect_dir=follow,metacopy=on"
	}
	mount(t, merged, options)
	defer unmount(t, merged)

	layers, indexes := make([]Layer, count), make([]*Index, count)
	for i, dir := range dirs {
		l, err := Dir(dir, DirOptions{Lowest: i == 0})
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		// Every second stack wants all files, the others meet metacopies on opening.
		v := &recorder{want: No}
		if seed%2 == 0 {
			v.want = Yes
		}
		x, problems, err := l.Scan(t.Context(), v)
		if err != nil || len(problems) > 0 {
			t.Fatalf("scan: %v, %v", err, problems)
		}
		layers[i], indexes[i] = l, x
		seen.layers++
		x.Walk(func(e Entry) error {
			seen.entries++
			count := func(n *int, b bool) {
				if b {
					*n++
				}
			}
			count(&seen.whiteouts, e.Kind == KindWhiteout)
			count(&seen.opaque, e.Opaque)
			count(&seen.redirects, e.Redirect != "")
			count(&seen.metacopies, e.Metacopy)
			count(&seen.links, e.Kind == KindSymlink)
			return nil
		})
	}
	s := NewStack(layers, indexes)
	var got []string
	err := s.Walk(func(e Entry) error {
		got = append(got, describe(t, s, e))
		checkShown(t, s, e.Path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if diff := cmp.Diff(kernelTree(t, merged), got); diff != "" {
		t.Fatalf("seed %d, %s (-kernel +ours):\n%s", seed, options, diff)
	}
	seen.followed += checkResolve(t, s, merged)
}

func lower(dirs []string) string {
	up := slices.Clone(dirs)
	slices.Reverse(up)
	return strings.Join(up, ":")
}

func mkdir(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
}

func mount(t *testing.T, at, options string) {
	t.Helper()
	if err := unix.Mount("overlay", at, "overlay", 0, options); err != nil {
		t.Fatalf("mount overlay with %s: %v", options, err)
	}
}

func unmount(t *testing.T, at string) {
	t.Helper()
	if err := unix.Unmount(at, unix.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
}

// operate does one random thing in the tree at root; what cannot be done is
// not done.
func operate(r *rand.Rand, root string) {
	path := func() string {
		p := root
		for range 1 + r.IntN(4) {
			p = filepath.Join(p, string(rune('a'+r.IntN(5))))
		}
		return p
	}
	// Something that exists, so that layers build on layers.
	existing := func() string {
		p := root
		for range 1 + r.IntN(4) {
			entries, err := os.ReadDir(p)
			if err != nil || len(entries) == 0 {
				break
			}
			e := entries[r.IntN(len(entries))]
			if p = filepath.Join(p, e.Name()); !e.IsDir() {
				break
			}
		}
		return p
	}
	p := path()
	op := r.IntN(20)
	if e := existing(); op >= 5 && e != root && r.IntN(4) > 0 {
		p = e
	}
	// A link in the path could lead outside the tree: work beside it instead.
	if real, err := filepath.EvalSymlinks(filepath.Dir(p)); err != nil || !strings.HasPrefix(real+"/", root+"/") {
		p = filepath.Join(root, filepath.Base(p))
	}
	if st, err := os.Stat(filepath.Dir(p)); err == nil && !st.IsDir() {
		return // os.RemoveAll would open a FIFO in the place of a parent
	}
	switch op {
	case 0, 1, 2:
		os.MkdirAll(p, 0o755)
	case 3, 4:
		if st, err := os.Lstat(p); err == nil && !st.Mode().IsRegular() {
			return // a FIFO or device must not be opened, a link not followed
		}
		os.WriteFile(p, fmt.Appendf(nil, "%d %s", r.Uint64(), strings.Repeat("x", r.IntN(9000))), 0o644)
	case 5:
		if r.IntN(2) == 0 {
			os.RemoveAll(p)
		}
	case 6: // replace: makes an opaque directory over an existing one
		if r.IntN(2) == 0 {
			os.RemoveAll(p)
			os.Mkdir(p, 0o700)
		}
	case 7:
		if st, err := os.Lstat(p); err == nil && st.IsDir() && r.IntN(4) > 0 {
			return
		}
		os.RemoveAll(p)
		targets := []string{"a", "../b", "/a/b", "c/../d", "../../../..", "/", ".", "e", "/b", "./a/./c"}
		os.Symlink(targets[r.IntN(len(targets))], p)
	case 8, 9, 10, 16, 17:
		if to := path(); filepath.Dir(to) == filepath.Dir(p) || r.IntN(2) == 0 {
			if real, err := filepath.EvalSymlinks(filepath.Dir(to)); err == nil && strings.HasPrefix(real+"/", root+"/") {
				unix.Rename(p, to)
			}
		}
	case 11:
		to := path()
		if real, err := filepath.EvalSymlinks(filepath.Dir(to)); err == nil && strings.HasPrefix(real+"/", root+"/") {
			os.Link(p, to)
		}
	case 12, 13, 18, 19: // changes attributes only: a metacopy
		unix.Fchmodat(unix.AT_FDCWD, p, 0o600+uint32(r.IntN(64)), unix.AT_SYMLINK_NOFOLLOW)
		os.Lchown(p, r.IntN(1000), 0)
	case 14:
		unix.Mkfifo(p, 0o600)
	case 15:
		unix.Mknod(p, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3)))
	}
}

// useAttributeWhiteouts rewrites a layer's whiteouts in the form of attributes.
func useAttributeWhiteouts(t *testing.T, root string) int {
	made := 0
	filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeCharDevice == 0 || filepath.Dir(p) == root {
			return err
		}
		st, err := os.Lstat(p)
		if err != nil || st.Sys().(*syscall.Stat_t).Rdev != 0 {
			return err
		}
		dir := filepath.Dir(p)
		var value [8]byte
		if n, err := unix.Lgetxattr(dir, markOpaqueTrusted, value[:]); err == nil && string(value[:n]) == "y" {
			return nil
		}
		if err := errors.Join(os.Remove(p), os.WriteFile(p, nil, 0o600),
			unix.Lsetxattr(p, markWhiteoutTrusted, nil, 0), unix.Lsetxattr(dir, markOpaqueTrusted, []byte("x"), 0)); err != nil {
			t.Fatal(err)
		}
		made++
		return nil
	})
	return made
}

// kernelTree describes what the kernel shows.
func kernelTree(t *testing.T, root string) []string {
	var tree []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		switch {
		case d.IsDir():
			rel += " dir"
		case d.Type().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			rel += fmt.Sprintf(" file %x", sha256.Sum256(b))
		case d.Type() == fs.ModeSymlink:
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			rel += " link " + to
		default:
			rel += " other"
		}
		tree = append(tree, rel)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(tree)
	return tree
}

func describe(t *testing.T, s *Stack, e Entry) string {
	switch e.Kind {
	case KindDir:
		return e.Path + " dir"
	case KindSymlink:
		return e.Path + " link " + e.Target
	case KindFile:
		f, opened, err := s.Open(e.Path)
		if err != nil {
			t.Errorf("open %s: %v", e.Path, err)
			return e.Path + " file ?"
		}
		defer f.Close()
		if opened.Path != e.Path {
			t.Errorf("open %s opened %s", e.Path, opened.Path)
		}
		h := sha256.New()
		if _, err := io.Copy(h, io.NewSectionReader(f, 0, f.Size)); err != nil {
			t.Errorf("read %s: %v", e.Path, err)
		}
		return fmt.Sprintf("%s file %x", e.Path, h.Sum(nil))
	}
	return e.Path + " other"
}

// checkShown checks that an entry of the merged view is found from its layer.
func checkShown(t *testing.T, s *Stack, path string) {
	m, ok := s.at(path)
	if !ok {
		t.Fatalf("%s is walked but not found", path)
	}
	if !slices.Contains(s.Shown(m.top.layer, m.top.path), path) {
		t.Errorf("%s of layer %d is not told to be shown at %s", m.top.path, m.top.layer, path)
	}
	if m.top.path == path && !s.Visible(m.top.layer, path) {
		t.Errorf("%s of layer %d is not visible", path, m.top.layer)
	}
	for layer := m.top.layer + 1; layer < len(s.indexes); layer++ {
		if s.Visible(layer, path) {
			t.Errorf("%s is visible in layer %d above its own", path, layer)
		}
	}
}

// checkResolve compares where links lead with the kernel's resolution in a root.
func checkResolve(t *testing.T, s *Stack, root string) int {
	rootFD, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(rootFD)
	followed := 0
	check := func(path string) {
		followed++
		want := "none"
		fd, err := unix.Openat2(rootFD, path, &unix.OpenHow{Flags: unix.O_PATH, Resolve: unix.RESOLVE_IN_ROOT})
		if err == nil {
			p, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
			if err != nil {
				t.Fatal(err)
			}
			want = strings.TrimPrefix(strings.TrimPrefix(p, root), "/")
			unix.Close(fd)
		}
		got := "none"
		if e, err := s.Resolve(path); err == nil {
			got = e.Path
		}
		if got != want {
			t.Errorf("resolve %s: %q, the kernel says %q", path, got, want)
		}
	}
	s.Walk(func(e Entry) error {
		if e.Kind == KindSymlink {
			check(e.Path)
			check(e.Path + "/a")
			check(e.Path + "/../b")
		}
		return nil
	})
	return followed
}
