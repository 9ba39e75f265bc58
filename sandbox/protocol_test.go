package sandbox

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/inventory"
)

// lie is a child that has been taken over.
func lie(how string) {
	var o order
	if receive(os.Stdin, &o) != nil || o.Job == nil {
		os.Exit(exitOrphan)
	}
	inv := plimsoll.Inventory{ImageID: o.Job.ImageID, Analyzers: (&inventory.Scanner{Analyzers: analyzers()}).AnalyzerSet()}
	tell := func(r report) { send(os.Stdout, r) }
	result := func() {
		packed, _ := inventory.Pack(inv)
		tell(report{Result: packed})
	}
	switch how {
	case "honest":
		result()
	case "silent":
	case "mute": // and lives on
		os.Stdout.Close()
		time.Sleep(time.Hour)
	case "huge frame":
		os.Stdout.Write([]byte{0xff, 0xff, 0xff, 0xff})
		os.Stdout.Write(make([]byte, 1<<20))
	case "cut frame":
		os.Stdout.Write([]byte{0, 0, 1, 0, 'x'})
	case "noise":
		os.Stdout.Write([]byte{0, 0, 0, 4, 0xff, 0xfe, 0xfd, 0xfc})
	case "endless":
		for {
			tell(report{Ready: &Restrictions{Held: []string{strings.Repeat("x", 1<<19)}}})
		}
	case "endless counts":
		for {
			tell(report{Counted: &counted{0, true}})
		}
	case "many questions":
		for {
			tell(report{Ask: &question{0, "x"}})
		}
	case "question about no layer":
		tell(report{Ask: &question{1 << 20, "x"}})
	case "facts of no layer":
		tell(report{Facts: &facts{-1, []byte("x")}})
	case "facts twice":
		tell(report{Facts: &facts{0, []byte("x")}})
		tell(report{Facts: &facts{0, []byte("y")}})
	case "count of no layer":
		tell(report{Counted: &counted{7, true}})
	case "stale again and again":
		zero := 0
		tell(report{Stale: &zero})
	case "another image":
		inv.ImageID = plimsoll.DigestOf([]byte("another"))
		result()
	case "other analysers":
		inv.Analyzers = "x/1"
		result()
	case "a layer of another image":
		inv.Packages = []plimsoll.Package{{Type: "deb", Name: "x", Evidence: plimsoll.EvidenceMetadata, Layer: plimsoll.DigestOf([]byte("another"))}}
		result()
	case "a type that is none":
		inv.Packages = []plimsoll.Package{{Type: "\x1b[31m", Name: "x", Evidence: plimsoll.EvidenceMetadata}}
		result()
	case "too many packages":
		inv.Packages = make([]plimsoll.Package, maxPackages+1)
		result()
	case "a text without end":
		inv.Packages = []plimsoll.Package{{Type: "deb", Evidence: plimsoll.EvidenceMetadata, Name: strings.Repeat("x", maxText+1)}}
		result()
	case "an analyser that is none":
		inv.Problems = []plimsoll.Problem{{Code: plimsoll.ProblemPanic, Analyzer: "nobody"}}
		result()
	case "a claim of an SBOM":
		inv.Claimed = "tool"
		result()
	case "a packed bomb":
		var packed []byte
		packed = binary.AppendUvarint(packed, 1<<40)
		tell(report{Result: packed})
	}
	os.Exit(exitDone)
}

// Whatever a child sends that no honest one sends ends the image, not the parent.
func TestLyingChild(t *testing.T) {
	for _, how := range []string{
		"honest", "silent", "mute", "huge frame", "cut frame", "noise", "endless", "endless counts", "many questions", "question about no layer",
		"facts of no layer", "facts twice", "count of no layer", "stale again and again", "another image", "other analysers",
		"a layer of another image", "a type that is none", "too many packages", "a text without end", "an analyser that is none",
		"a claim of an SBOM", "a packed bomb",
	} {
		t.Run(how, func(t *testing.T) {
			img := newImage(t, map[string]string{"a.list": "one"})
			s := scanner(&Sandbox{program: []string{"/proc/self/exe", Command, how}})
			s.Cache, s.Limits.Memory = &memoryCache{}, 0
			inv, err := s.Scan(t.Context(), img.Image, img.open)
			if how == "honest" {
				if err != nil || len(inv.Packages) != 0 {
					t.Errorf("got %+v, %v", inv, err)
				}
				return
			}
			if !errors.Is(err, inventory.ErrCrashed) {
				t.Errorf("got %+v, %v", inv, err)
			}
			if n := children(t); n != 0 {
				t.Errorf("%d children are left", n)
			}
		})
	}
}

// FuzzReceive reads what a child may send.
func FuzzReceive(f *testing.F) {
	for _, r := range []report{
		{Ready: &Restrictions{Held: []string{"a"}, Missing: []string{"b"}}}, {Counted: &counted{1, true}}, {Facts: &facts{1, []byte("x")}},
		{Ask: &question{0, "a\xff"}}, {Stale: new(int)}, {Result: []byte("x")}, {Failed: failureOf(os.ErrNotExist)},
	} {
		var b bytes.Buffer
		if err := send(&b, r); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r report
		if receive(bytes.NewReader(b), &r) != nil {
			return
		}
		if r.Failed != nil {
			_ = r.Failed.err().Error()
		}
		if r.Result != nil {
			inv, err := inventory.Unpack(r.Result)
			if err == nil {
				p := &process{reading: &reading{scanner: &inventory.Scanner{Analyzers: analyzers()}}}
				p.check(&inv)
			}
		}
	})
}

// FuzzResult checks inventories that a child may send.
func FuzzResult(f *testing.F) {
	packed, err := inventory.Pack(plimsoll.Inventory{Packages: []plimsoll.Package{{Type: "deb", Name: "x", Licenses: []string{"MIT"}}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(packed)
	f.Fuzz(func(t *testing.T, b []byte) {
		inv, err := inventory.Unpack(b)
		if err != nil {
			return
		}
		p := &process{reading: &reading{scanner: &inventory.Scanner{Analyzers: analyzers()}}}
		if p.check(&inv) == nil && len(inv.Packages) > maxPackages {
			t.Error("too many packages were accepted")
		}
	})
}

func TestFrames(t *testing.T) {
	for _, size := range []int{0, 4000, 4096, 100_000, maxFrame} {
		var b bytes.Buffer
		err := send(&b, report{Result: make([]byte, size)})
		if size == maxFrame {
			if plimsoll.CodeOf(err) != plimsoll.CodeLimit {
				t.Errorf("a message of more than %d bytes: %v", maxFrame, err)
			}
			continue
		}
		var r report
		if rerr := receive(&b, &r); err != nil || rerr != nil || len(r.Result) != size || b.Len() != 0 {
			t.Errorf("%d bytes became %d: %v, %v", size, len(r.Result), err, rerr)
		}
	}
}

// A child that is killed while it notes something leaves a board that can be read.
func TestBoard(t *testing.T) {
	b, f, err := newBoard()
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	defer f.Close()
	end := b.start("npm", "a/b\xff")
	other := b.start("dpkg", strings.Repeat("x", 2*slotSize))
	all := func(int) bool { return true }
	got := b.suspects(all)
	if len(got) != 2 || got[0] != (suspect{"npm", "a/b\xff"}) || len(got[1].path) != slotSize-slotHead-len("dpkg") {
		t.Errorf("got %d suspects, the first %+v", len(got), got[0])
	}
	end()
	other()
	if got := b.suspects(all); len(got) != 0 {
		t.Errorf("got %+v", got)
	}
	if err := f.Truncate(1); err == nil {
		t.Error("the board can be made shorter under its readers")
	}
	for i := range b.mem {
		b.mem[i] = 0xff
	}
	if got := b.suspects(all); len(got) != 0 {
		t.Errorf("of noise came %d suspects", len(got))
	}
}

// bigTar makes a compressed layer with a file of 40 MiB, which begins with a line.
func bigTar(t *testing.T) (name string, diff plimsoll.Digest) {
	t.Helper()
	var plain bytes.Buffer
	w := tar.NewWriter(&plain)
	content := append([]byte("first\n"), make([]byte, 40<<20)...)
	if err := w.WriteHeader(&tar.Header{Name: "big.list", Mode: 0o644, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	w.Write(content)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	name = filepath.Join(t.TempDir(), "layer.tar.gz")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z := gzip.NewWriter(file)
	if _, err := io.Copy(z, bytes.NewReader(plain.Bytes())); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return name, plimsoll.DigestOf(plain.Bytes())
}
