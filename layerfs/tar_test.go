package layerfs

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"plimsoll"
)

// member is a tar member in short: "name" a file with its name as content,
// "name=content", "name/", "name -> target", "name => hard link target", "name!"
// a FIFO, "name!0" a character device 0:0.
func makeTar(t testing.TB, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := &tar.Header{Typeflag: tar.TypeReg, Mode: 0o644, Format: tar.FormatPAX}
		content := ""
		if name, to, ok := strings.Cut(m, " -> "); ok {
			h.Typeflag, h.Name, h.Linkname = tar.TypeSymlink, name, to
		} else if name, to, ok := strings.Cut(m, " => "); ok {
			h.Typeflag, h.Name, h.Linkname = tar.TypeLink, name, to
		} else if name, ok := strings.CutSuffix(m, "!0"); ok {
			h.Typeflag, h.Name = tar.TypeChar, name
		} else if name, ok := strings.CutSuffix(m, "!"); ok {
			h.Typeflag, h.Name = tar.TypeFifo, name
		} else if strings.HasSuffix(m, "/") {
			h.Typeflag, h.Name = tar.TypeDir, m
		} else if h.Name, content, ok = strings.Cut(m, "="); !ok {
			content = m
		}
		if strings.HasPrefix(content, "#!") {
			h.Mode = 0o755
		}
		h.Size = int64(len(content))
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func compressGzip(t testing.TB, b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(b)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return z.Bytes()
}

func compressZstd(t testing.TB, b []byte) []byte {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.EncodeAll(b, nil)
}

func streamOf(b []byte, o TarOptions) Layer {
	return Tar(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }, o)
}

// forms are the ways to read one tar as a layer.
func forms(t testing.TB, b []byte) map[string]Layer {
	return map[string]Layer{
		"random access": TarAt(bytes.NewReader(b), int64(len(b)), TarOptions{}),
		"plain stream":  streamOf(b, TarOptions{}),
		"gzip":          streamOf(compressGzip(t, b), TarOptions{}),
		"zstd":          streamOf(compressZstd(t, b), TarOptions{}),
	}
}

func TestTarTree(t *testing.T) {
	long := strings.Repeat("n", 255)
	cases := []struct {
		name    string
		members []string
		want    []string
		problem plimsoll.ProblemCode
	}{
		{"IMG-11 whiteout", []string{"etc/.wh.passwd"}, []string{"etc/", "etc/passwd gone"}, ""},
		{"IMG-11 opaque before content", []string{"a/.wh..wh..opq", "a/b"}, []string{"a/ opaque", "a/b"}, ""},
		{"IMG-11 opaque after content", []string{"a/", "a/b", "a/.wh..wh..opq"}, []string{"a/ opaque", "a/b"}, ""},
		{"IMG-11 whiteout of what the layer has hides only what is below", []string{"a", ".wh.a", "d/x", ".wh.d"}, []string{"a", "d/ opaque", "d/x"}, ""},
		{"IMG-11 content after its whiteout", []string{".wh.a", "a", ".wh.d", "d/x"}, []string{"a", "d/ opaque", "d/x"}, ""},
		{"IMG-12 a whiteout of nothing", []string{"a/b", "a/.wh.", "a/.wh..", "a/.wh...", "a/.wh..wh..opqX", ".wh."}, []string{"a/", "a/b"}, ""},
		{"IMG-12 records of aufs", []string{".wh..wh.aufs", ".wh..wh.plnk/1.2=content", "a => .wh..wh.plnk/1.2"}, []string{"a"}, ""},
		{"IMG-13 a link of the layer is followed to the real path", []string{"usr/lib/x", "lib -> usr/lib", "lib/.wh.y", "lib/z"}, []string{"lib -> usr/lib", "usr/", "usr/lib/", "usr/lib/x", "usr/lib/y gone", "usr/lib/z"}, ""},
		{"IMG-17 a link that leads above the root", []string{"up -> ../../..", "up/x", "abs -> /d", "abs/y"}, []string{"abs -> /d", "d/", "d/y", "up -> ../../..", "x"}, ""},
		{"IMG-17 a loop of links", []string{"l -> m", "m -> l", "l/x", "ok"}, []string{"l -> m", "m -> l", "ok"}, plimsoll.ProblemLimit},
		{"absolute and escaping names", []string{"/etc/a", "../../etc/b", "./etc/./c", "etc/../etc/d"}, []string{"etc/", "etc/a", "etc/b", "etc/c", "etc/d"}, ""},
		{"the root itself", []string{"./", "a"}, []string{"a"}, ""},
		{"IMG-16 replaced types, last wins", []string{"a", "a/", "b/x", "b", "c/x", "c -> a", "d -> c", "d/"}, []string{"a/", "b", "c -> a", "d/"}, ""},
		{"a directory twice keeps its content", []string{"a/", "a/x", "a/", "a/y"}, []string{"a/", "a/x", "a/y"}, ""},
		{"a file in a file's place as parent", []string{"a", "a/b"}, []string{"a/", "a/b"}, ""},
		{"IMG-18 hard links", []string{"a", "b => a", "s -> a", "h => s", "f!", "g => f"}, []string{"a", "b", "f other", "g other", "h -> a", "s -> a"}, ""},
		{"IMG-18 a hard link before its target", []string{"b => c", "c => a", "a"}, []string{"a", "b", "c"}, ""},
		{"IMG-18 a hard link to a lower layer", []string{"b => usr/a"}, []string{"b redirect /usr/a metacopy"}, ""},
		{"IMG-18 a hard link to itself", []string{"b => b"}, []string{"b redirect /b metacopy"}, ""},
		{"IMG-18 a hard link to a directory", []string{"d/", "b => d"}, []string{"d/"}, plimsoll.ProblemCorruptFile},
		{"IMG-18 hard link to a file that is replaced", []string{"a=1", "b => a", "a/"}, []string{"a/", "b"}, ""},
		{"IMG-19 a device 0:0 is what overlayfs takes it for", []string{"a!0", "b!"}, []string{"a gone", "b other"}, ""},
		{"IMG-25 bytes in names", []string{"new\nline", "bad\xff\xfe", long}, []string{"bad\xff\xfe", "new\nline", long}, ""},
		{"IMG-25 a name too long", []string{long + "n", "d/" + long + "n/x", "a"}, []string{"a"}, plimsoll.ProblemLimit},
		{"names in byte order", []string{"a.b", "a/b", "a", "a-b", "B"}, []string{"B", "a", "a-b", "a.b"}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for form, l := range forms(t, makeTar(t, c.members...)) {
				x, problems, err := l.Scan(t.Context(), nothing{})
				if err != nil {
					t.Fatalf("%s: %v", form, err)
				}
				if diff := cmp.Diff(c.want, tree(x)); diff != "" {
					t.Errorf("%s (-want +got):\n%s", form, diff)
				}
				var code plimsoll.ProblemCode
				if len(problems) > 0 {
					code = problems[0].Code
				}
				if code != c.problem {
					t.Errorf("%s: problems %v, want %q", form, problems, c.problem)
				}
			}
		})
	}
}

func TestIMG18TarVisits(t *testing.T) {
	cases := []struct {
		name    string
		members []string
		wants   string // names that are wanted
		want    []string
		stream  []string // where a stream must differ
	}{
		{"plain", []string{"a=1", "b=2", "d/c=3"}, "a d/c", []string{"a: 1", "d/c: 3"}, nil},
		{"hard link after its target", []string{"a=1", "b => a"}, "a b", []string{"a: 1", "b: = a"}, nil},
		{"hard link that sorts first", []string{"b=1", "a => b"}, "a b", []string{"a: 1", "b: = a"}, []string{"a: = b", "b: 1"}},
		{"only the link is wanted", []string{"x=1", "b => x", "a => b"}, "a b", []string{"a: 1", "b: = a"}, nil},
		{"the target comes later", []string{"b => x", "x=1"}, "b x", []string{"b: 1", "x: = b"}, []string{"b: = x", "x: 1"}},
		{"IMG-16 the last of a name", []string{"a=1", "a=2"}, "a", []string{"a: 2"}, nil},
		{"a hard link keeps what its target was", []string{"a=1", "b => a", "a=2"}, "a b", []string{"a: 2", "b: 1"}, nil},
		{"executables only", []string{"bin/a=#!x", "bin/b=text", "lib/c.so.1=elf", "bin/d => bin/a"}, "*", []string{"bin/a: #!x", "bin/d: = bin/a", "lib/c.so.1: elf"}, nil},
		{"an empty file", []string{"a="}, "a", []string{"a: "}, nil},
		{"through a link of the layer", []string{"usr/lib/", "lib -> usr/lib", "lib/x=1"}, "usr/lib/x", []string{"usr/lib/x: 1"}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for form, l := range forms(t, makeTar(t, c.members...)) {
				v := &recorder{wants: func(p string) Want {
					switch {
					case c.wants == "*":
						return IfExecutable
					case slices.Contains(strings.Fields(c.wants), p):
						return Yes
					}
					return No
				}}
				x, problems, err := l.Scan(t.Context(), v)
				if err != nil || len(problems) > 0 {
					t.Fatal(err, problems)
				}
				want := c.want
				if c.stream != nil && form != "random access" {
					want = c.stream
				}
				if diff := cmp.Diff(want, v.lines()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", form, diff)
				}
				x.Walk(func(e Entry) error {
					f, err := l.Open(e.Path)
					if e.Kind != KindFile {
						if plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
							t.Errorf("%s: open %s: %v", form, e.Path, err)
						}
						return nil
					}
					if err != nil {
						t.Fatalf("%s: open %s: %v", form, e.Path, err)
					}
					defer f.Close()
					b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size))
					if err != nil {
						t.Error(err)
					}
					if s, ok := v.visits[e.Path]; ok && !strings.HasPrefix(s, "= ") && s != string(b) {
						t.Errorf("%s: open %s gives %q, visited with %q", form, e.Path, b, s)
					}
					return nil
				})
			}
		})
	}
}

// TestStreamRepeatsVisit: a stream cannot know that a name comes again; the last
// visit of a path counts.
func TestStreamRepeatsVisit(t *testing.T) {
	v := &recorder{want: Yes}
	l := streamOf(makeTar(t, "a=1", "a=2"), TarOptions{Workers: 1})
	if _, _, err := l.Scan(t.Context(), v); err != nil {
		t.Fatal(err)
	}
	if v.calls != 2 || v.visits["a"] != "2" {
		t.Errorf("%d visits, the last with %q", v.calls, v.visits["a"])
	}
}

func TestTarOpenWithoutScan(t *testing.T) {
	for form, l := range forms(t, makeTar(t, "a/b=text")) {
		f, err := l.Open("a/b")
		if err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		if b, _ := io.ReadAll(io.NewSectionReader(f, 0, f.Size)); string(b) != "text" {
			t.Errorf("%s: %q", form, b)
		}
		f.Close()
		if _, err := l.Open("a/c"); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("%s: %v", form, err)
		}
	}
}

func TestTarLimits(t *testing.T) {
	scan := func(b bounds, scratch string, members ...string) (*recorder, []plimsoll.Problem, error) {
		l := streamOf(compressGzip(t, makeTar(t, members...)), TarOptions{Scratch: scratch}).(*tarLayer)
		l.bounds = b
		v := &recorder{want: Yes}
		_, problems, err := l.Scan(t.Context(), v)
		return v, problems, err
	}
	b := defaultBounds()
	b.entries = 3
	if _, _, err := scan(b, "", "a", "b", "c"); err != nil {
		t.Errorf("at the limit of entries: %v", err)
	}
	if _, _, err := scan(b, "", "a", "b", "c", "d"); plimsoll.CodeOf(err) != plimsoll.CodeLimit {
		t.Errorf("beyond the limit of entries: %v", err)
	}
	b = defaultBounds()
	b.components = 3
	if _, p, err := scan(b, "", "a/b/c"); err != nil || len(p) > 0 {
		t.Errorf("at the limit of components: %v %v", p, err)
	}
	if _, p, err := scan(b, "", "a/b/c/d"); err != nil || len(p) != 1 || p[0].Code != plimsoll.ProblemLimit {
		t.Errorf("beyond the limit of components: %v %v", p, err)
	}
	b = defaultBounds()
	b.inMemory, b.scratch = 8, 16
	if v, p, err := scan(b, "", "a=12345678", "b=123456789"); err != nil || len(p) != 1 || p[0].Path != "b" || v.visits["a"] != "12345678" {
		t.Errorf("memory without scratch: %v %v %v", v.visits, p, err)
	}
	dir := t.TempDir()
	if v, p, err := scan(b, dir, "a=1234567890123456", "b=12345678901234567"); err != nil || len(p) != 1 || p[0].Path != "b" || v.visits["a"] != "1234567890123456" {
		t.Errorf("scratch: %v %v %v", v.visits, p, err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("scratch is left: %v", left)
	}
	size := int64(len(makeTar(t, "a")))
	b = defaultBounds()
	b.stream = size
	if _, _, err := scan(b, "", "a"); err != nil {
		t.Errorf("at the limit of the stream: %v", err)
	}
	b.stream = size - 1
	if _, _, err := scan(b, "", "a"); plimsoll.CodeOf(err) != plimsoll.CodeLimit {
		t.Errorf("beyond the limit of the stream: %v", err)
	}
}

// TestIMG20Bomb reads a layer that expands without end in proportion.
func TestIMG20Bomb(t *testing.T) {
	l := streamOf(compressZstd(t, makeTar(t, "zeros="+strings.Repeat("\x00", 8<<20))), TarOptions{}).(*tarLayer)
	l.bounds.freeStream = 1 << 20
	if _, _, err := l.Scan(t.Context(), nothing{}); plimsoll.CodeOf(err) != plimsoll.CodeLimit {
		t.Errorf("bomb: %v", err)
	}
	l.bounds = defaultBounds()
	if _, _, err := l.Scan(t.Context(), nothing{}); err != nil {
		t.Errorf("8 MiB of zeros are legal: %v", err)
	}
}

func TestTarDamaged(t *testing.T) {
	whole := makeTar(t, "a="+strings.Repeat("x", 2000), "b")
	for name, b := range map[string][]byte{
		"cut in content": whole[:1000],
		"cut in header":  whole[:4000],
		"garbage":        bytes.Repeat([]byte("garbage "), 1000),
		"cut gzip":       compressGzip(t, whole)[:60],
		"cut zstd":       compressZstd(t, whole)[:40],
	} {
		for _, l := range []Layer{streamOf(b, TarOptions{}), TarAt(bytes.NewReader(b), int64(len(b)), TarOptions{})} {
			if _, _, err := l.Scan(t.Context(), &recorder{want: Yes}); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	missing := Tar(func() (io.ReadCloser, error) { return nil, plimsoll.Errorf(plimsoll.CodeNotFound, "open blob", "gone") }, TarOptions{})
	if _, _, err := missing.Scan(t.Context(), nothing{}); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		t.Errorf("a stream that cannot be opened: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := streamOf(whole, TarOptions{}).Scan(ctx, nothing{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// TestIMG19SparseTar reads a sparse member (PAX 1.0), whose data are not stored
// as they are read.
func TestIMG19SparseTar(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	hdr := &tar.Header{Typeflag: tar.TypeReg, Name: "GNUSparseFile.0/s", Mode: 0o644, Size: 512 + 4, Format: tar.FormatPAX,
		PAXRecords: map[string]string{"VENDOR.x": "1"}}
	if err := w.WriteHeader(hdr); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, 512, 516)
	copy(body, "1\n1024\n4\n")
	w.Write(append(body, "data"...))
	w.Close()
	// The writer refuses sparse records; they have the length of the one it wrote
	// once the extended header is made anew.
	records := ""
	for _, r := range []string{"GNU.sparse.major=1", "GNU.sparse.minor=0", "GNU.sparse.name=s", "GNU.sparse.realsize=2048"} {
		n := len(r) + 4
		if n < 10 {
			n--
		}
		records += strings.TrimSpace(string(appendInt(nil, n))) + " " + r + "\n"
	}
	raw := b.Bytes()
	copy(raw[512:1024], make([]byte, 512))
	copy(raw[512:], records)
	copy(raw[124:136], []byte("00000000000\x00"))
	copy(raw[124:], octal(len(records)))
	checksum(raw[:512])
	for form, l := range forms(t, raw) {
		v := &recorder{want: Yes}
		x, _, err := l.Scan(t.Context(), v)
		if err != nil {
			t.Fatalf("%s: %v", form, err)
		}
		f, err := l.Open("s")
		if err != nil {
			t.Fatalf("%s: %v of %v", form, err, tree(x))
		}
		got := make([]byte, 2048)
		if _, err := f.ReadAt(got, 0); err != nil && err != io.EOF || string(got[1024:1028]) != "data" || f.Size != 2048 || len(v.visits) != 1 {
			t.Errorf("%s: %q %v", form, got[1020:1030], err)
		}
		f.Close()
	}
}

func appendInt(b []byte, n int) []byte {
	if n >= 10 {
		b = appendInt(b, n/10)
	}
	return append(b, byte('0'+n%10))
}

func octal(n int) []byte {
	s := make([]byte, 11)
	for i := 10; i >= 0; i-- {
		s[i] = byte('0' + n%8)
		n /= 8
	}
	return s
}

func checksum(h []byte) {
	copy(h[148:156], "        ")
	sum := 0
	for _, c := range h {
		sum += int(c)
	}
	copy(h[148:], append(octal(sum)[5:], 0, ' '))
}

func FuzzTarLayer(f *testing.F) {
	f.Add(makeTar(f, "etc/.wh.passwd", "a/.wh..wh..opq", "l -> a", "l/x=1", "h => a/x", "z!0", "../up"))
	f.Add(makeTar(f, "b => c", "c => a", "a", "a/", "loop -> loop", "loop/x"))
	f.Add(compressGzip(f, makeTar(f, "a=1", "a=2")))
	f.Fuzz(func(t *testing.T, b []byte) {
		at := TarAt(bytes.NewReader(b), int64(len(b)), TarOptions{}).(*tarLayer)
		plain := streamOf(b, TarOptions{}).(*tarLayer)
		for _, l := range []*tarLayer{at, plain} {
			l.bounds.stream, l.bounds.freeStream, l.bounds.inMemory, l.bounds.scratch = 64<<20, 1<<20, 1<<20, 1<<20
		}
		x, _, err := at.Scan(t.Context(), &recorder{want: Yes})
		y, _, streamErr := plain.Scan(t.Context(), &recorder{want: IfExecutable})
		if err != nil {
			return // the stream may be compressed, and then succeed
		}
		if streamErr != nil {
			if len(b) >= 4 && (b[0] == 0x1f || binary.LittleEndian.Uint32(b)&^15 == 0x184d2a50 || binary.LittleEndian.Uint32(b) == 0xfd2fb528) {
				return
			}
			t.Fatalf("by random access it is a layer, as a stream %v", streamErr)
		}
		if diff := cmp.Diff(tree(x), tree(y)); diff != "" {
			t.Fatal(diff)
		}
		checkIndex(t, x)
	})
}

// A layer's facts are shared by its diff ID, so a tar of another digest must
// give none: neither by a scan nor by a file opened without one.
func TestIMG24TarOfAnotherDiffIDIsRefused(t *testing.T) {
	honest := append(makeTar(t, "etc/", "etc/os-release=ID=x"), make([]byte, 3<<10)...) // padding belongs to the digest
	forged := makeTar(t, "etc/", "etc/os-release=ID=y")
	id := plimsoll.DigestOf(honest)
	for name, layer := range map[string]func(b []byte) Layer{
		"plain": func(b []byte) Layer { return TarAt(bytes.NewReader(b), int64(len(b)), TarOptions{DiffID: id}) },
		"gzip": func(b []byte) Layer {
			z := compressGzip(t, b)
			return Tar(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(z)), nil }, TarOptions{DiffID: id})
		},
	} {
		t.Run(name, func(t *testing.T) {
			if x, _, err := layer(honest).Scan(t.Context(), nothing{}); err != nil || x.Len() != 2 {
				t.Errorf("honest: got %v", err)
			}
			if _, _, err := layer(forged).Scan(t.Context(), nothing{}); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
				t.Errorf("scan of the forged one: got %v", err)
			}
			if _, err := layer(forged).Open("etc/os-release"); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
				t.Errorf("open in the forged one: got %v", err)
			}
		})
	}
}
