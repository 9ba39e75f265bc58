package ospkg

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"plimsoll/inventory"
)

type hostileFile struct {
	path    string
	content io.ReaderAt
	size    int64 // as claimed
}

// endless is a file of any size that is not there: it repeats its text.
type endless string

func (e endless) ReadAt(p []byte, off int64) (int, error) {
	for i := range p {
		p[i] = e[(off+int64(i))%int64(len(e))]
	}
	return len(p), nil
}

// claim writes a number into a copy of b.
func claim(order binary.ByteOrder, b []byte, at int, n uint32) []byte {
	b = append([]byte(nil), b...)
	order.PutUint32(b[at:], n)
	return b
}

// Each file attacks what reads it: by a size that it claims, by a structure that
// leads back to itself, by what it expands to. It costs little memory, leaves no
// package, and the attack is told.
func TestHostileFilesOfPackageManagers(t *testing.T) {
	const free, times, most = 16 << 20, 64, 64 << 20 // bytes allocated: so many, and for each that is read, of so many at most
	be, le := binary.BigEndian, binary.LittleEndian
	header := buildHeader(map[uint32]headerValue{1000: "p", 1001: "1", 1002: "1"})
	bdb, ndb := buildBDB(le, [][]byte{header}), buildNDB([][]byte{header})
	sqlite := append([]byte(sqliteMagic), buildSQLite(header)...)
	interior := append([]byte(nil), sqlite...)
	clear(interior[512:])
	interior[512] = sqliteTableInterior
	be.PutUint32(interior[512+8:], 2) // its last child is itself
	noise := strings.Repeat("\x00noise", 1<<16)
	there := func(path string, content []byte) hostileFile {
		return hostileFile{path, bytes.NewReader(content), int64(len(content))}
	}
	for name, test := range map[string]hostileFile{
		"os-release of 1 GiB":                 {"etc/os-release", endless("ID=debian\n"), 1 << 30},
		"one line of 1 GiB in os-release":     {"usr/lib/os-release", endless("x"), 1 << 30},
		"dpkg status of 1 TiB":                {dpkgStatusPath, endless("Package: a\n"), 1 << 40},
		"apk database of one line":            {"lib/apk/db/installed", endless("P"), 1 << 40},
		"rpm header of 2^31 entries":          there("var/lib/rpm/Packages.db", buildNDB([][]byte{claim(be, header, 0, 1<<31)})),
		"rpm header of 2^31 bytes":            there("var/lib/rpm/Packages.db", buildNDB([][]byte{claim(be, header, 4, 1<<31)})),
		"rpm tag far behind the header":       there("var/lib/rpm/Packages.db", buildNDB([][]byte{claim(be, header, 8+8, 1<<31-1)})),
		"Berkeley DB with pages of 2 GiB":     there("var/lib/rpm/Packages", claim(le, bdb, 20, 1<<31)),
		"Berkeley DB with 2^32 pages":         there("var/lib/rpm/Packages", claim(le, bdb[:2*4096], 32, 1<<32-1)),
		"Berkeley DB value of 4 GiB":          there("var/lib/rpm/Packages", claim(le, bdb, bytes.LastIndex(bdb, order4(le, uint32(len(header)))), 1<<32-1)),
		"ndb with 2^31 pages of slots":        there("var/lib/rpm/Packages.db", claim(le, ndb, 12, 1<<31)),
		"ndb blob of 4 GiB":                   there("var/lib/rpm/Packages.db", claim(le, ndb, ndbPage+12, 1<<32-1)),
		"ndb slot behind the end":             there("var/lib/rpm/Packages.db", claim(le, ndb, 32+8, 1<<32-1)),
		"SQLite tree that is its own child":   there("var/lib/rpm/rpmdb.sqlite", interior),
		"SQLite of noise":                     there("var/lib/rpm/rpmdb.sqlite", []byte(sqliteMagic+"\x02\x00"+noise)),
		"JSON nested a million deep":          there("root/buildinfo/content_manifests/x.json", []byte(strings.Repeat("[", 1<<20))),
		"zstd that expands without end":       there("var/lib/chisel/manifest.wall", zeros(t, 256)),
		"zstd with a window of 2 GiB":         there("var/lib/chisel/manifest.wall", append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8}, noise...)),
		"alpm record of one line without end": {"var/lib/pacman/local/p-1-1/desc", endless("%NAME%\n"), 1 << 40},
	} {
		t.Run(name, func(t *testing.T) {
			asked := false
			for _, a := range Analyzers() {
				if a.Wants(test.path) != inventory.Yes {
					continue
				}
				asked = true
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				facts, err := a.Analyze(context.Background(), inventory.File{Path: test.path, Size: test.size, ReaderAt: test.content})
				runtime.ReadMemStats(&after)
				checkFacts(t, facts, err)
				if err == nil && len(facts.Problems) == 0 && a.Name() != (contentSets{}).Name() { // any JSON may lie where its records do
					t.Errorf("%s: nothing is told; %d packages, %v", a.Name(), len(facts.Packages), facts.System)
				}
				if len(facts.Packages) > 0 {
					t.Errorf("%s: it found %v", a.Name(), facts.Packages)
				}
				if took := after.TotalAlloc - before.TotalAlloc; took > free+times*uint64(min(test.size, most)) {
					t.Errorf("%s: allocated %d MiB", a.Name(), took>>20)
				}
			}
			if !asked {
				t.Errorf("no analyser wants %s", test.path)
			}
		})
	}
}

// zeros is n MiB of zeros by zstd.
func zeros(t testing.TB, n int) []byte {
	t.Helper()
	var b strings.Builder
	w, err := zstd.NewWriter(&b, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	for range n {
		if _, err := w.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return []byte(b.String())
}
