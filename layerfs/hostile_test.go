package layerfs

import (
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"plimsoll"
)

// TestIMG19NeverOpened: nothing but regular files is opened, and no more of a
// sparse file is read than asked for.
func TestIMG19NeverOpened(t *testing.T) {
	root := makeDir(t, "fifo!", "l -> fifo", "sparse=")
	if err := os.Truncate(filepath.Join(root, "sparse"), 1<<40); err != nil {
		t.Fatal(err)
	}
	v := &recorder{want: Yes}
	l := openDir(t, root, DirOptions{Lowest: true})
	if _, _, err := l.Scan(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if len(v.visits) != 1 {
		t.Errorf("visited %v", v.lines())
	}
	for _, name := range []string{"fifo", "l", "/dev/null", "../x", ""} {
		for _, old := range []bool{false, true} {
			l.root.noOpenat2.Store(old)
			if f, err := l.Open(name); err == nil {
				t.Errorf("%q was opened with size %d", name, f.Size)
			}
		}
	}
}

// TestIMG17Canary: no name of a layer reaches a file outside it.
func TestIMG17Canary(t *testing.T) {
	outside := makeDir(t, "secret=canary")
	root := makeDir(t, "abs -> "+outside, "file -> "+outside+"/secret", "in/f=inside", "dir -> in", "up/up -> ../../../../../../../../.."+outside)
	l := openDir(t, root, DirOptions{Lowest: true})
	for _, old := range []bool{false, true} {
		l.root.noOpenat2.Store(old)
		for _, name := range []string{"abs/secret", "file", "up/up/secret", "dir/f", outside + "/secret", "in/../abs/secret", ".." + outside + "/secret", "in//f", "in/../../x"} {
			f, err := l.Open(name)
			if err == nil {
				b, _ := io.ReadAll(io.NewSectionReader(f, 0, 100))
				if string(b) == "canary" {
					t.Errorf("%q reads %q", name, b)
				}
			}
		}
		f, err := l.Open("in/f")
		if err != nil {
			t.Fatalf("openat2 missing %v: %v", old, err)
		}
		f.Close()
	}
	v := &recorder{want: Yes}
	if _, _, err := l.Scan(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"in/f: inside"}, v.lines()); diff != "" {
		t.Error(diff)
	}
}

// TestRacingRename swaps a directory and a link to the outside while we read.
func TestRacingRename(t *testing.T) {
	outside := makeDir(t, "f=canary")
	root := makeDir(t, "d/f=inside", "e -> "+outside)
	l := openDir(t, root, DirOptions{Lowest: true})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(l.root.fd, "d", l.root.fd, "e", unix.RENAME_EXCHANGE)
			}
		}
	})
	defer wg.Wait()
	defer close(stop)
	read := 0
	for i := range 40_000 {
		l.root.noOpenat2.Store(i%2 == 0)
		if f, err := l.Open("d/f"); err == nil {
			b := make([]byte, 6)
			f.ReadAt(b, 0)
			f.Close()
			if string(b) != "inside" {
				t.Fatalf("read %q", b)
			}
			read++
		}
		if i%100 == 0 {
			v := &recorder{want: Yes}
			l.Scan(t.Context(), v)
			for path, content := range v.visits {
				if content != "inside" {
					t.Fatalf("%s reads %q", path, content)
				}
			}
		}
	}
	if read == 0 {
		t.Error("the directory was never in its place")
	}
}

func TestIMG23LayerVanishes(t *testing.T) {
	if _, err := Dir(filepath.Join(t.TempDir(), "none"), DirOptions{}); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		t.Errorf("no such layer: %v", err)
	}
	root := makeDir(t, "a", "d/b", "e/f/g")
	l := openDir(t, root, DirOptions{Lowest: true})
	var once sync.Once
	v := &recorder{wants: func(string) Want {
		once.Do(func() { os.RemoveAll(root) })
		return Yes
	}}
	if _, _, err := l.Scan(t.Context(), v); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		t.Errorf("removed during the scan: %v", err)
	}
}

func TestIMG19Unreadable(t *testing.T) {
	root := makeDir(t, "closed/f", "secret=1", "open/f=2", "hole=")
	for _, err := range []error{
		os.Chmod(filepath.Join(root, "closed"), 0), os.Chmod(filepath.Join(root, "secret"), 0), os.Truncate(filepath.Join(root, "hole"), 1<<20),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	empty := record(t)
	asNobody(t, root)
	v := &recorder{want: Yes}
	x, problems, err := openDir(t, root, DirOptions{Record: empty}).Scan(t.Context(), v)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"closed/", "hole", "open/", "open/f", "secret"}, tree(x)); diff != "" {
		t.Error(diff)
	}
	var got []string
	for _, p := range problems {
		got = append(got, string(p.Code)+" "+p.Path)
	}
	// The hole might be a metacopy, whose mark would be invisible (IMG-10).
	if diff := cmp.Diff([]string{"redirect-unknown hole", "unreadable-dir closed", "unreadable-file secret"}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"open/f: 2"}, v.lines()); diff != "" {
		t.Error(diff)
	}
	os.Chmod(filepath.Join(root, "closed"), 0o755) // for those who are not root and must clean up
}
