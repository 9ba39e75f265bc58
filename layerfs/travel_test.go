package layerfs

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

// A layer that travelled is the same layer, however it is stored.
func TestLayersTravel(t *testing.T) {
	dir := makeDir(t, "d/f=1", "d/l -> ../x", "e/.wh.gone=", "e@user.overlay.opaque=y", "x=2")
	parent := makeDir(t, "a=1", "b=2")
	child := makeDir(t, "a=changed", "c=3")
	plain := makeTar(t, "d/f=1", "d/l -> ../x", "e/.wh.gone=", "x=2", "again => x")
	onDisk := func(b []byte) (*os.File, int64) {
		name := filepath.Join(t.TempDir(), "blob")
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f, int64(len(b))
	}
	open := func(l Layer, err error) Layer {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	o := TarOptions{DiffID: plimsoll.DigestOf(plain)}
	blob, size := onDisk(plain)
	packed, packedSize := onDisk(compressZstd(t, plain))
	inside, insideSize := onDisk(append([]byte("before"), plain...))
	before := []byte("something else")
	archive, archiveSize := onDisk(compressGzip(t, append(before, compressGzip(t, plain)...)))
	for name, l := range map[string]Layer{
		"directory":          open(Dir(dir, DirOptions{})),
		"lowest directory":   open(Dir(dir, DirOptions{Lowest: true})),
		"told directory":     open(Dir(dir, DirOptions{Record: record(t, `{"type":1,"name":"d/.wh..wh..opq"}`)})),
		"root file system":   open(RootFS(dir, DirOptions{})),
		"legacy directory":   open(DirDiff(parent, child, DirOptions{})),
		"tar":                TarBlob(blob, size, o),
		"compressed tar":     TarBlob(packed, packedSize, o),
		"part of a file":     TarBlob(io.NewSectionReader(inside, 6, insideSize-6), insideSize-6, o),
		"member of a tar.gz": TarMember(archive, archiveSize, int64(len(before)), int64(len(compressGzip(t, plain))), o),
	} {
		t.Run(name, func(t *testing.T) {
			defer l.Close()
			p, files, err := Pack(l)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Unpack(p, files, Sender{Metacopied: func(path string) (bool, string, error) { return Metacopied(l, path) }})
			if err != nil {
				t.Fatal(err)
			}
			defer again.Close()
			here, there := &recorder{want: Yes}, &recorder{want: Yes}
			x, problems, err := l.Scan(t.Context(), here)
			if err != nil {
				t.Fatal(err)
			}
			y, problems2, err := again.Scan(t.Context(), there)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tree(x), tree(y)); diff != "" {
				t.Errorf("entries (-here +there):\n%s", diff)
			}
			if diff := cmp.Diff(problems, problems2); diff != "" {
				t.Errorf("problems (-here +there):\n%s", diff)
			}
			if diff := cmp.Diff(here.lines(), there.lines()); diff != "" || len(here.lines()) == 0 {
				t.Errorf("visits (-here +there):\n%s", diff)
			}
		})
	}
	if _, _, err := Pack(TarAt(bytes.NewReader(plain), size, o)); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
		t.Errorf("a layer in memory: %v", err)
	}
}
