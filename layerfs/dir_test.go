package layerfs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"plimsoll"
)

// makeDir makes a tree of members as makeTar takes them, and "name!w" for an
// overlayfs whiteout, "name@attribute=value" for an extended attribute.
func makeDir(t testing.TB, members ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, m := range members {
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatalf("%s: %v", m, err)
			}
		}
		at := func(name string) string {
			p := filepath.Join(root, name)
			must(os.MkdirAll(filepath.Dir(p), 0o755))
			return p
		}
		if name, to, ok := strings.Cut(m, " -> "); ok {
			must(os.Symlink(to, at(name)))
		} else if name, to, ok := strings.Cut(m, " => "); ok {
			must(os.Link(at(to), at(name)))
		} else if name, attr, ok := strings.Cut(m, "@"); ok {
			key, value, _ := strings.Cut(attr, "=")
			must(unix.Lsetxattr(at(name), key, []byte(value), 0))
		} else if name, ok := strings.CutSuffix(m, "!w"); ok {
			must(unix.Mknod(at(name), unix.S_IFCHR, 0)) // allowed to everyone since Linux 5.8
		} else if name, ok := strings.CutSuffix(m, "!"); ok {
			must(unix.Mkfifo(at(name), 0o600))
		} else if strings.HasSuffix(m, "/") {
			must(os.MkdirAll(at(m), 0o755))
		} else {
			name, content, ok := strings.Cut(m, "=")
			if !ok {
				content = m
			}
			mode := fs.FileMode(0o644)
			if strings.HasPrefix(content, "#!") {
				mode = 0o755
			}
			must(os.WriteFile(at(name), []byte(content), mode))
		}
	}
	return root
}

func openDir(t testing.TB, root string, o DirOptions) *dirLayer {
	t.Helper()
	l, err := Dir(root, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*dirLayer)
}

// asNobody runs the rest of a test without privileges.
func asNobody(t *testing.T, root string) {
	t.Helper()
	if os.Geteuid() != 0 {
		return
	}
	for p := root; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		os.Chmod(p, 0o755)
	}
	if err := syscall.Setreuid(-1, 65534); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Setreuid(-1, 0); err != nil {
			t.Fatal(err)
		}
	})
}

func TestDirTree(t *testing.T) {
	long := strings.Repeat("n", 255)
	cases := []struct {
		name    string
		members []string
		want    []string
	}{
		{"kinds", []string{"d/f", "d/l -> ../x", "p!", "e/"}, []string{"d/", "d/f", "d/l -> ../x", "e/", "p other"}},
		{"IMG-08 whiteout device", []string{"d/f!w", "g!w"}, []string{"d/", "d/f gone", "g gone"}},
		{"IMG-08 whiteout attribute", []string{"d/f=", "d/f@user.overlay.whiteout=y", "d@user.overlay.opaque=x", "d/g="}, []string{"d/", "d/f gone", "d/g"}},
		{"IMG-08 whiteout attribute in an unmarked directory, or not empty", []string{"d/f=", "d/f@user.overlay.whiteout=y", "e/f=1", "e/f@user.overlay.whiteout=y", "e@user.overlay.opaque=x"}, []string{"d/", "d/f", "e/", "e/f"}},
		{"IMG-08 whiteout file", []string{"d/.wh.f=", "d/.wh.g=1", ".wh.h -> x"}, []string{".wh.h -> x", "d/", "d/.wh.g", "d/f gone"}},
		{"IMG-09 opaque", []string{"d/f", "d@user.overlay.opaque=y", "e/", "e@user.fuseoverlayfs.opaque=y", "g/.wh..wh..opq=", "h/", "h@user.overlay.opaque=n"}, []string{"d/ opaque", "d/f", "e/ opaque", "g/ opaque", "h/"}},
		{"IMG-09 opaque root means nothing", []string{"f", "@user.overlay.opaque=y"}, []string{"f"}},
		{"IMG-10 only trusted redirects count", []string{"d/", "d@user.overlay.redirect=/x", "f", "f@user.overlay.metacopy="}, []string{"d/", "f"}},
		{"IMG-12 names that remove nothing", []string{"d/.wh.=", "d/.wh..=", "d/.wh...=", "d/.wh..wh..opqX="}, []string{"d/", "d/.wh.", "d/.wh..", "d/.wh...", "d/.wh..wh..opqX"}},
		{"IMG-11 whiteout beside the entry", []string{".wh.d=", "d/x", ".wh.f=", "f"}, []string{"d/ opaque", "d/x", "f"}},
		{"IMG-25 bytes in names", []string{"new\nline", "bad\xff\xfe", long}, []string{"bad\xff\xfe", "new\nline", long}},
		{"names in byte order", []string{"a.b", "a/b", "a-b", "B"}, []string{"B", "a/", "a/b", "a-b", "a.b"}},
		{"an empty layer", nil, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			x, problems, err := openDir(t, makeDir(t, c.members...), DirOptions{Lowest: true}).Scan(t.Context(), nothing{})
			if err != nil || len(problems) > 0 {
				t.Fatal(err, problems)
			}
			if diff := cmp.Diff(c.want, tree(x)); diff != "" {
				t.Error(diff)
			}
			checkIndex(t, x)
		})
	}
}

func TestRootFSHasNoMarks(t *testing.T) {
	root := makeDir(t, "d/.wh.f=", "w!w", "d@user.overlay.opaque=y")
	l, err := RootFS(root, DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	x, problems, err := l.Scan(t.Context(), nothing{})
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	if diff := cmp.Diff([]string{"d/", "d/.wh.f", "w other"}, tree(x)); diff != "" {
		t.Error(diff)
	}
}

// TestIMG02DirDiff: of the full trees of Docker's legacy driver only what
// differs counts.
func TestIMG02DirDiff(t *testing.T) {
	parent := makeDir(t, "etc/same=1", "etc/changed=1", "etc/removed=1", "gone/x=1", "l -> same", "m -> same", "type/x=1", "untouched/deep/f=1")
	child := makeDir(t, "etc/changed=2", "etc/new=3", "l -> same", "m -> other", "type=now a file", "untouched/deep/", "newdir/", "oldname=x")
	for _, same := range []string{"etc/same", "untouched/deep/f"} {
		if err := os.Link(filepath.Join(parent, same), filepath.Join(child, same)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := DirDiff(parent, child, DirOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	v := &recorder{want: Yes}
	x, problems, err := l.Scan(t.Context(), v)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	want := []string{"etc/", "etc/changed", "etc/new", "etc/removed gone", "gone gone", "m -> other", "newdir/", "oldname", "type"}
	if diff := cmp.Diff(want, tree(x)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"etc/changed: 2", "etc/new: 3", "oldname: x", "type: now a file"}, v.lines()); diff != "" {
		t.Error(diff)
	}
}

func TestDirVisits(t *testing.T) {
	root := makeDir(t, "a=1", "d/b=2", "p!", "l -> a", "bin/x=#!x", "bin/y=text", "lib/z.so.1=elf")
	for name, c := range map[string]struct {
		want Want
		list []string
	}{
		"all":         {Yes, []string{"a: 1", "bin/x: #!x", "bin/y: text", "d/b: 2", "lib/z.so.1: elf"}},
		"executables": {IfExecutable, []string{"bin/x: #!x", "lib/z.so.1: elf"}},
		"none":        {No, nil},
	} {
		v := &recorder{want: c.want}
		if _, _, err := openDir(t, root, DirOptions{Lowest: true}).Scan(t.Context(), v); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.list, v.lines()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		slices.Sort(v.asked)
		if diff := cmp.Diff([]string{"a", "bin/x", "bin/y", "d/b", "lib/z.so.1"}, v.asked); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestIMG18DirHardLinks(t *testing.T) {
	root := makeDir(t, "z=1", "a => z", "m/n => z", "unwanted => z", "alone=2", "unwanted2 => alone")
	v := &recorder{wants: func(p string) Want {
		if strings.HasPrefix(p, "unwanted") {
			return No
		}
		return Yes
	}}
	if _, _, err := openDir(t, root, DirOptions{Lowest: true}).Scan(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a: 1", "alone: 2", "m/n: = a", "z: = a"}, v.lines()); diff != "" {
		t.Error(diff)
	}
}

// TestIMG09OpaqueUnknown: without CAP_SYS_ADMIN, opaque directories come from
// elsewhere or the scan says that they are unknown.
func TestIMG09OpaqueUnknown(t *testing.T) {
	root := makeDir(t, "d/f", "e/f", "e@user.overlay.opaque=y")
	told := record(t, `{"type":1,"name":"d/.wh..wh..opq"}`)
	asNobody(t, root)
	cases := []struct {
		name string
		o    DirOptions
		code plimsoll.ProblemCode
		want []string
	}{
		{"unknown", DirOptions{}, plimsoll.ProblemOpaqueUnknown, []string{"d/", "d/f", "e/ opaque", "e/f"}},
		{"nothing below", DirOptions{Lowest: true}, "", []string{"d/", "d/f", "e/ opaque", "e/f"}},
		{"told", DirOptions{Record: told}, "", []string{"d/ opaque", "d/f", "e/ opaque", "e/f"}},
		{"not told", DirOptions{Record: func() (Record, error) { return Record{}, errors.New("damaged") }}, plimsoll.ProblemOpaqueUnknown, []string{"d/", "d/f", "e/ opaque", "e/f"}},
	}
	for _, c := range cases {
		x, problems, err := openDir(t, root, c.o).Scan(t.Context(), nothing{})
		if err != nil {
			t.Fatal(err)
		}
		var code plimsoll.ProblemCode
		if len(problems) > 0 {
			code = problems[0].Code
		}
		if code != c.code {
			t.Errorf("%s: %v", c.name, problems)
		}
		if diff := cmp.Diff(c.want, tree(x)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

func TestDirLimits(t *testing.T) {
	l := openDir(t, makeDir(t, "a", "b", "c/d"), DirOptions{Lowest: true})
	l.bounds.entries = 4
	if _, _, err := l.Scan(t.Context(), nothing{}); err != nil {
		t.Errorf("at the limit of entries: %v", err)
	}
	l.bounds.entries = 3
	if _, _, err := l.Scan(t.Context(), nothing{}); plimsoll.CodeOf(err) != plimsoll.CodeLimit {
		t.Errorf("beyond the limit of entries: %v", err)
	}
	l.bounds = defaultBounds()
	l.bounds.text = 3
	if _, _, err := l.Scan(t.Context(), nothing{}); plimsoll.CodeOf(err) != plimsoll.CodeLimit {
		t.Errorf("beyond the limit of text: %v", err)
	}
	l = openDir(t, makeDir(t, "a/b/c"), DirOptions{Lowest: true})
	l.bounds.components = 3
	if x, p, err := l.Scan(t.Context(), nothing{}); err != nil || len(p) > 0 || x.Len() != 3 {
		t.Errorf("at the limit of depth: %v %v", p, err)
	}
	l.bounds.components = 2
	if x, p, err := l.Scan(t.Context(), nothing{}); err != nil || len(p) != 1 || p[0].Code != plimsoll.ProblemLimit || p[0].Path != "a/b" || x.Len() != 2 {
		t.Errorf("beyond the limit of depth: %v %v", p, err)
	}
}

func TestDirCancelAndGoroutines(t *testing.T) {
	root := makeDir(t, "a", "b", "c/d", "c/e", "f/g")
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(t.Context())
	v := &recorder{wants: func(string) Want { cancel(); return Yes }}
	if _, _, err := openDir(t, root, DirOptions{Lowest: true, Workers: 4}).Scan(ctx, v); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	for i := 0; runtime.NumGoroutine() > before && i < 100; i++ {
		time.Sleep(time.Millisecond) // the context's own callback
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines, %d before", n, before)
	}
}

// TestDeterministic scans with different workers (IMG-24 rests on it).
func TestDeterministic(t *testing.T) {
	var members []string
	for i := range 40 {
		members = append(members, fmt.Sprintf("d%d/e%d/f%d", i%7, i%5, i))
	}
	root := makeDir(t, members...)
	var want []byte
	for workers := 1; workers <= 8; workers++ {
		x, _, err := openDir(t, root, DirOptions{Lowest: true, Workers: workers}).Scan(t.Context(), &recorder{want: Yes})
		if err != nil {
			t.Fatal(err)
		}
		b, _ := x.MarshalBinary()
		if want == nil {
			want = b
		}
		if string(b) != string(want) {
			t.Errorf("%d workers make another index", workers)
		}
	}
}

func TestProblemsAreBounded(t *testing.T) {
	var p problems
	for i := 5 * maxProblems; i > 0; i-- {
		p.add(plimsoll.ProblemUnreadableFile, fmt.Sprintf("%06d", i), "")
	}
	list := p.sorted()
	last := list[len(list)-1]
	if len(list) != maxProblems+1 || list[0].Path != "000001" || last.Count != 4*maxProblems {
		t.Errorf("%d problems from %v to %v", len(list), list[0], last)
	}
}

// TestIMG26NothingChanges: a scan leaves even the access times alone.
func TestIMG26NothingChanges(t *testing.T) {
	root := makeDir(t, "a", "d/b")
	old := time.Unix(1_000_000_000, 0)
	times := func() (list []string) {
		filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
			var st unix.Stat_t
			if err := unix.Lstat(p, &st); err != nil {
				t.Fatal(err)
			}
			list = append(list, fmt.Sprintf("%s %o %d %d %d", p, st.Mode, st.Atim.Nano(), st.Mtim.Nano(), st.Size))
			return nil
		})
		return list
	}
	for _, p := range []string{"a", "d/b", "d", ""} {
		if err := os.Chtimes(filepath.Join(root, p), old, old.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	times() // lists the directories, which may touch them once
	before := times()
	if _, _, err := openDir(t, root, DirOptions{Lowest: true}).Scan(t.Context(), &recorder{want: Yes}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(before, times()); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkDirScan compares a scan that wants nothing with the standard
// library's bare walk of the same tree: /usr, or another one given
// in LAYERFS_BENCH_TREE.
func BenchmarkDirScan(b *testing.B) {
	root := os.Getenv("LAYERFS_BENCH_TREE")
	if root == "" {
		root = "/usr"
	}
	b.Run("walk", func(b *testing.B) {
		for b.Loop() {
			filepath.WalkDir(root, func(string, fs.DirEntry, error) error { return nil })
		}
	})
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("scan/workers=%d", workers), func(b *testing.B) {
			b.ReportAllocs()
			entries := 0
			for b.Loop() {
				l := openDir(b, root, DirOptions{Lowest: true, Workers: workers})
				x, _, err := l.Scan(b.Context(), nothing{})
				if err != nil {
					b.Fatal(err)
				}
				entries = x.Len()
				l.Close()
			}
			b.ReportMetric(float64(entries), "entries")
		})
	}
}
