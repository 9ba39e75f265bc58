package layerfs

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

// record returns a tar-split record with these lines as DirOptions want it.
func record(t testing.TB, lines ...string) func() (Record, error) {
	t.Helper()
	name := t.TempDir() + "/tar-split.json.gz"
	if err := os.WriteFile(name, tarSplit(t, lines...), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(name) // now: tests give up the right to
	if err != nil {
		t.Fatal(err)
	}
	return func() (Record, error) { return Record{File: f}, nil }
}

func tarSplit(t testing.TB, lines ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(strings.Join(lines, "\n")))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestIMG09OpaquesFromTarSplit(t *testing.T) {
	raw, _ := json.Marshal([]byte("d\xff/.wh..wh..opq"))
	b := tarSplit(t,
		`{"type":2,"payload":"`+strings.Repeat("A", 200<<10)+`.wh..wh..opq","position":0}`,
		`{"type":1,"name":"etc/","payload":null,"position":1}`,
		`{"type":1,"name":"etc/apt/.wh..wh..opq","payload":null,"position":2}`,
		`{"type":1,"name":"./var/./lib/.wh..wh..opq","position":3}`,
		`{"type":1,"name":"../../up/.wh..wh..opq"}`,
		`{"type":1,"name":".wh..wh..opq"}`,
		`{"type":1,"name_raw":`+string(raw)+`}`,
		`{"type":2,"name":"segment/.wh..wh..opq"}`,
		`{"type":1,"name":"plain/.wh..wh..opqX"}`,
		`{"type":1,"name":"plain/.wh..wh..opq/file"}`,
		`{"type":1,"name":".wh..wh..opq`, // cut off
		`{"type":1,"name":"last/.wh..wh..opq"}`)
	got, err := tarSplitOpaques(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"etc/apt": true, "var/lib": true, "up": true, "": true, "d\xff": true, "last": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for name, b := range map[string][]byte{"truncated": b[:len(b)-9], "not gzip": []byte("{}"), "empty": nil} {
		if got, err := tarSplitOpaques(bytes.NewReader(b)); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("%s: got %v, %v", name, got, err)
		}
	}
}

func FuzzOpaques(f *testing.F) {
	f.Add([]byte(`{"type":1,"name":"a/.wh..wh..opq"}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		got, err := tarSplitOpaques(bytes.NewReader(tarSplit(t, string(line))))
		if err != nil {
			t.Skip()
		}
		for dir := range got {
			if strings.HasPrefix(dir, "/") || strings.HasPrefix(dir, "../") || dir == ".." {
				t.Errorf("%q is no path below the root", dir)
			}
		}
		tarSplitOpaques(bytes.NewReader(line)) // as gzip
	})
}

func TestIMG09OpaquesComeFromTheBlob(t *testing.T) {
	b := makeTar(t, "etc/", "etc/.wh..wh..opq", "etc/new", "usr/", "usr/x")
	for name, blob := range map[string][]byte{"plain": b, "gzip": compressGzip(t, b), "zstd": compressZstd(t, b)} {
		path := t.TempDir() + "/blob"
		if err := os.WriteFile(path, blob, 0o644); err != nil {
			t.Fatal(err)
		}
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		got, err := Record{File: f, Tar: true, DiffID: plimsoll.DigestOf(b)}.opaques(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(map[string]bool{"etc": true}, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if _, err := (Record{File: f, Tar: true, DiffID: plimsoll.DigestOf(nil)}).opaques(t.Context()); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("%s: another tar's record was believed: %v", name, err)
		}
	}
}
