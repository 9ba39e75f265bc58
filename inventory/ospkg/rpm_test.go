package ospkg

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rpmdb "github.com/anchore/go-rpmdb/pkg"
	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite" // go-rpmdb and the test of the write-ahead log

	"plimsoll"
	"plimsoll/inventory"
	"plimsoll/layerfs"
)

// rpmFixtures maps the databases of testdata to the names they have in images,
// with the packages that rpm itself counts in them (rpm -qa but for gpg-pubkey)
// and how many of these have a module label.
var rpmFixtures = map[string]struct {
	base              string
	packages, modular int
}{
	"rpm/libuuid.bdb.zst":            {"Packages", 1, 0},
	"rpm/centos8.bdb.zst":            {"Packages", 517, 21},
	"rpm/sle15-bci.ndb.zst":          {"Packages.db", 35, 0},
	"rpm/cbl-mariner-2.0.sqlite.zst": {"rpmdb.sqlite", 129, 0},
	"rpm/fedora35.sqlite.zst":        {"rpmdb.sqlite", 137, 0},
}

func TestRPM01DatabasesEqualReferenceReader(t *testing.T) {
	for name, f := range rpmFixtures {
		t.Run(name, func(t *testing.T) {
			content := fixture(t, name)
			facts := mustAnalyze(t, "var/lib/rpm/"+f.base, content)
			modular := 0
			for _, p := range facts.Packages {
				if p.Module != "" {
					modular++
				}
			}
			if len(facts.Packages) != f.packages || modular != f.modular {
				t.Errorf("%d packages, %d modular", len(facts.Packages), modular)
			}
			golden(t, strings.TrimSuffix(name, ".zst")+".golden", summary(facts))

			file := filepath.Join(t.TempDir(), f.base)
			if err := os.WriteFile(file, content, 0o600); err != nil {
				t.Fatal(err)
			}
			db, err := rpmdb.Open(file)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			list, err := db.ListPackages()
			if err != nil {
				t.Fatal(err)
			}
			var want, got []string
			wantOwned := make(map[string][]string)
			for _, p := range list {
				if p.Name == "gpg-pubkey" { // RPM-03
					continue
				}
				version := p.Version + "-" + p.Release
				if p.Epoch != nil && *p.Epoch > 0 {
					version = fmt.Sprintf("%d:%s", *p.Epoch, version)
				}
				want = append(want, strings.Join([]string{p.Name, version, p.Arch, strings.TrimPrefix(p.Modularitylabel, "(none)"), p.Vendor, p.License}, " "))
				files, err := p.InstalledFileNames()
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range files {
					if f = strings.TrimPrefix(f, "/"); f != "" && inventory.MayOwn(f) {
						wantOwned[p.Name] = append(wantOwned[p.Name], f)
					}
				}
			}
			for _, p := range facts.Packages {
				got = append(got, strings.Join([]string{p.Name, p.Version, p.Arch, p.Module, p.Supplier, strings.Join(p.Licenses, "")}, " "))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("packages (-reference +got):\n%s", diff)
			}
			if diff := cmp.Diff(wantOwned, owned(facts)); diff != "" {
				t.Errorf("files (-reference +got):\n%s", diff)
			}
		})
	}
}

func TestRPM01ByteOrderAndFormatDoNotMatter(t *testing.T) {
	little := fixture(t, "rpm/centos8.bdb.zst")
	var blobs [][]byte
	err := readBDB(bytes.NewReader(little), int64(len(little)), func(b []byte) error {
		blobs = append(blobs, bytes.Clone(b))
		return nil
	}, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	want := summary(mustAnalyze(t, "var/lib/rpm/Packages", little))
	if got := summary(mustAnalyze(t, "var/lib/rpm/Packages", buildBDB(binary.BigEndian, blobs))); got != want {
		t.Error("the byte order of the machine changes the result")
	}
	if got := summary(mustAnalyze(t, "usr/lib/sysimage/rpm/Packages.db", buildNDB(blobs))); got != want {
		t.Error("the database format changes the result")
	}
}

func TestRPM01WriteAheadLogIsApplied(t *testing.T) {
	file := filepath.Join(t.TempDir(), "rpmdb.sqlite")
	if err := os.WriteFile(file, fixture(t, "rpm/cbl-mariner-2.0.sqlite.zst"), 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+file+"?_pragma=journal_mode(wal)&_pragma=wal_autocheckpoint(0)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	added := buildHeader(map[uint32]headerValue{1000: "added", 1001: "1", 1002: "2.cm2", 1022: "noarch", 5000: make([]byte, 40_000)})
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	for _, stmt := range []string{"DELETE FROM Packages WHERE hnum IN (SELECT hnum FROM Packages ORDER BY hnum LIMIT 5)", "INSERT INTO Packages (blob) VALUES (?)"} {
		args := []any{added}[:strings.Count(stmt, "?")]
		if _, err := tx.Exec(stmt, args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	layer := make(map[string][]byte) // as a crash leaves it: the connection is still open
	for _, suffix := range []string{"", walSuffix} {
		if layer["var/lib/rpm/rpmdb.sqlite"+suffix], err = os.ReadFile(file + suffix); err != nil {
			t.Fatal(err)
		}
	}
	sibling := func(path string) (*layerfs.File, error) {
		b, ok := layer[path]
		if !ok {
			return nil, plimsoll.Errorf(plimsoll.CodeNotFound, "open", "%s", path)
		}
		return &layerfs.File{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}, nil
	}
	read := func(a inventory.Analyzer, path string) inventory.Facts {
		f := fileOf(path, layer[path])
		f.Sibling = sibling
		facts, err := a.Analyze(context.Background(), f)
		if err != nil {
			t.Fatal(err)
		}
		return facts
	}

	before := mustAnalyze(t, "var/lib/rpm/rpmdb.sqlite", layer["var/lib/rpm/rpmdb.sqlite"])
	after := read(rpm{}, "var/lib/rpm/rpmdb.sqlite")
	names := packageNames(after)
	if len(after.Packages) != len(before.Packages)-4 || !slices.Contains(names, "added 1-2.cm2") || len(after.Problems) > 0 {
		t.Errorf("%d packages before, %d after: %v, %v", len(before.Packages), len(after.Packages), names, after.Problems)
	}
	if facts := read(rpmWAL{}, "var/lib/rpm/rpmdb.sqlite-wal"); len(facts.Problems) > 0 {
		t.Errorf("a log that is applied is reported: %v", facts.Problems)
	}

	t.Run("torn", func(t *testing.T) {
		path := "var/lib/rpm/rpmdb.sqlite-wal"
		whole := layer[path]
		defer func() { layer[path] = whole }()
		layer[path] = whole[:len(whole)-1] // the commit frame is not whole
		if got := read(rpm{}, "var/lib/rpm/rpmdb.sqlite"); summary(got) != summary(before) {
			t.Error("a transaction that was not committed counts")
		}
	})
	t.Run("alone", func(t *testing.T) {
		delete(layer, "var/lib/rpm/rpmdb.sqlite")
		facts := read(rpmWAL{}, "var/lib/rpm/rpmdb.sqlite-wal")
		if len(facts.Problems) != 1 || facts.Problems[0].Code != plimsoll.ProblemUnreadableFile {
			t.Errorf("a log without its database: %v", facts.Problems)
		}
	})
}

func packageNames(facts inventory.Facts) []string {
	var names []string
	for _, p := range facts.Packages {
		names = append(names, p.Name+" "+p.Version)
	}
	return names
}

func TestRPM01DistrolessManifest(t *testing.T) {
	content := "mariner-release\t2.0-12.cm2\t1653816591\t1653753130\tMicrosoft Corporation\t(none)\t580\tnoarch\t0\tmariner-release-2.0-12.cm2.src.rpm\n" +
		"bind-libs\t9.16-1.cm2\t1\t1\tMicrosoft Corporation\t2\t580\tx86_64\t2\tbind-9.16-1.cm2.src.rpm\n" +
		"not a package\n"
	facts, err := analyze(t, "var/lib/rpmmanifest/container-manifest-2", []byte(content))
	if err != nil {
		t.Fatal(err)
	}
	want := `mariner-release 2.0-12.cm2 noarch source=mariner-release/2.0-12.cm2 supplier="Microsoft Corporation"
bind-libs 2:9.16-1.cm2 x86_64 source=bind/2:9.16-1.cm2 supplier="Microsoft Corporation"
2 packages, 0 owned paths
`
	if diff := cmp.Diff(want, summary(facts)); diff != "" {
		t.Error(diff)
	}
	if len(facts.Problems) != 1 || facts.Problems[0].Code != plimsoll.ProblemCorruptFile {
		t.Errorf("problems %v", facts.Problems)
	}
}

func TestRPM03EpochsKeysAndSeveralVersions(t *testing.T) {
	blob := func(name, version string, more map[uint32]headerValue) []byte {
		tags := map[uint32]headerValue{1000: name, 1001: version, 1002: "1.el9", 1022: "x86_64", 1044: name + "-" + version + "-1.el9.src.rpm"}
		for k, v := range more {
			tags[k] = v
		}
		return buildHeader(tags)
	}
	db := buildBDB(binary.LittleEndian, [][]byte{
		blob("kernel", "5.14", nil),
		blob("kernel", "5.15", nil),
		blob("gpg-pubkey", "1", nil),
		blob("zero", "1", map[uint32]headerValue{1003: []uint32{0}}),
		blob("four", "1", map[uint32]headerValue{1003: []uint32{4}}),
		blob("local-build", "1", map[uint32]headerValue{1044: "(none)"}),
	})
	want := `kernel 5.14-1.el9 x86_64 source=kernel/5.14-1.el9
kernel 5.15-1.el9 x86_64 source=kernel/5.15-1.el9
zero 1-1.el9 x86_64 source=zero/1-1.el9
four 4:1-1.el9 x86_64 source=four/4:1-1.el9
local-build 1-1.el9 x86_64 source=/
5 packages, 0 owned paths
`
	if diff := cmp.Diff(want, summary(mustAnalyze(t, "var/lib/rpm/Packages", db))); diff != "" {
		t.Error(diff)
	}
}

func TestRPM04SourceFromTheRight(t *testing.T) {
	for file, want := range map[string]plimsoll.SourcePackage{
		"openssl-3.0.7-24.el9.src.rpm":               {Name: "openssl", Version: "3.0.7-24.el9"},
		"java-1.8.0-openjdk-1.8.0.392-1.el8.src.rpm": {Name: "java-1.8.0-openjdk", Version: "1.8.0.392-1.el8"},
		"nvidia-driver-1-2.nosrc.rpm":                {Name: "nvidia-driver", Version: "1-2"},
		"(none)":                                     {},
		"":                                           {},
		"a.src.rpm":                                  {},
		"-1-2.src.rpm":                               {},
	} {
		if got := rpmSource(file, ""); got != want {
			t.Errorf("%q: %+v", file, got)
		}
	}
}

func TestRPM09VendorIsNotTheDistribution(t *testing.T) {
	tests := []struct{ vendor, release, want string }{
		{"Red Hat, Inc.", "1.el9", ""},
		{"CentOS", "1.el8", ""},
		{"Rocky Enterprise Software Foundation", "1.el9", ""},
		{"SUSE LLC <https://www.suse.com/>", "1.1", ""},
		{"Fedora Project", "1.fc40", ""},
		{"Fedora Project", "1.el9", "EPEL"},
		{"Microsoft Corporation", "1.cm2", ""},
		{"Microsoft Corporation", "3.azl3", ""},
		{"Microsoft Corporation", "1", "Microsoft"},
		{"Remi's RPM repository <https://rpms.remirepo.net/>", "1.el9.remi", "Remi"},
		{"PostgreSQL Global Development Group", "1PGDG.rhel9", "PGDG"},
		{"obs://build.opensuse.org/home:someone", "1.1", "Open Build Service"},
		{"Acme Corp", "1.el9", "Acme Corp"},
		{"", "1.el9", ""},
		{"", "1nodesource", "NodeSource"},
		{"(none)", "2.el8.remi", "Remi"},
		{"(none)", "1.el9", ""},
	}
	for _, tt := range tests {
		if got := rpmOrigin(tt.vendor, tt.release); got != tt.want {
			t.Errorf("%q %q: got %q, want %q", tt.vendor, tt.release, got, tt.want)
		}
	}
}

// The key that signed a package tells who made it, also where the vendor does
// not: the packages of the two real databases are signed with CentOS's and
// SUSE's keys, those that are made here with keys of third parties.
func TestRPM09SigningKeyTells(t *testing.T) {
	v3 := append(signature{0x88, 70, 3, 5, 0, 1, 2, 3, 4}, 0x8A, 0x38, 0x72, 0xBF, 0x32, 0x28, 0x46, 0x7C, 1, 8)
	subpacket := []byte{9, 16, 0x9C, 0xD0, 0xA4, 0x93, 0xD4, 0x2D, 0x06, 0x85}
	v4 := append(append(signature{0xC2, 40, 4, 0, 1, 8, 0, 6, 5, 2, 1, 2, 3, 4, 0, byte(len(subpacket))}, subpacket...), 1, 2)
	fingerprint := append([]byte{22, 33, 4}, bytes.Repeat([]byte{7}, 12)...)
	fingerprint = append(fingerprint, 0x1F, 0x16, 0xD2, 0xE1, 0x44, 0x2D, 0xF0, 0xF8)
	hashed := append(append(signature{0x89, 1, 0, 4, 0, 1, 8, 0, byte(len(fingerprint))}, fingerprint...), 0, 0)
	blob := func(name string, tag uint32, s signature) []byte {
		return buildHeader(map[uint32]headerValue{1000: name, 1001: "1", 1002: "1.el9", tag: s})
	}
	facts := mustAnalyze(t, "var/lib/rpm/Packages", buildBDB(binary.LittleEndian, [][]byte{
		blob("old", 259, v3), blob("new", 268, v4), blob("newest", 267, hashed), blob("cut", 268, v4[:20]), blob("none", 268, signature{0}),
	}))
	got := map[string]string{}
	for _, p := range facts.Packages {
		got[p.Name] = p.Origin
	}
	want := map[string]string{"old": "EPEL", "new": "NVIDIA", "newest": "PGDG", "cut": "", "none": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("origins (-want +got):\n%s", diff)
	}
	for name, want := range map[string]uint64{"rpm/centos8.bdb.zst": 0x05B555B38483C65D, "rpm/sle15-bci.ndb.zst": 0x70AF9E8139DB7C82} {
		signers := map[uint64]int{}
		err := map[string]blobReader{"bdb": readBDB, "ndb": readNDB}[strings.Split(name, ".")[1]](bytes.NewReader(fixture(t, name)), int64(len(fixture(t, name))), func(blob []byte) error {
			h, err := parseHeader(blob)
			if err == nil && h.string(tagName) != "gpg-pubkey" {
				signers[h.signer()]++
			}
			return err
		}, func(err error) { t.Error(err) })
		if err != nil || len(signers) != 1 || signers[want] == 0 {
			t.Errorf("%s: signed with %X (%v), want %X alone", name, signers, err, want)
		}
	}
}

func FuzzSignature(f *testing.F) {
	f.Add([]byte{0x88, 70, 3, 5, 0, 1, 2, 3, 4, 0x8A, 0x38, 0x72, 0xBF, 0x32, 0x28, 0x46, 0x7C, 1, 8})
	f.Add([]byte{0xC2, 40, 4, 0, 1, 8, 0, 6, 5, 2, 1, 2, 3, 4, 0, 10, 9, 16, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Fuzz(func(t *testing.T, b []byte) {
		if id := signatureIssuer(b); id != 0 && !bytes.Contains(b, binary.BigEndian.AppendUint64(nil, id)) {
			t.Errorf("key ID %x is not in the signature", id)
		}
	})
}

func TestOnlyFilesInPlaceAreOwned(t *testing.T) {
	db := buildBDB(binary.LittleEndian, [][]byte{buildHeader(map[uint32]headerValue{
		1000: "p", 1001: "1", 1002: "1",
		1117: []string{"here", "replaced", "absent", "shared", "no-directory"},
		1116: []uint32{0, 0, 1, 1, 9},
		1118: []string{"/usr/bin/", "/lib64/"},
		1029: []byte{0, 1, 2, 3, 0},
	})})
	got := owned(mustAnalyze(t, "var/lib/rpm/Packages", db))
	if diff := cmp.Diff(map[string][]string{"p": {"usr/bin/here", "lib64/shared"}}, got); diff != "" {
		t.Error(diff)
	}
}

func TestDamagedDatabaseKeepsTheRest(t *testing.T) {
	for name, f := range rpmFixtures {
		if strings.Contains(name, "libuuid") {
			continue // has a single package
		}
		t.Run(name, func(t *testing.T) {
			content := fixture(t, name)
			clear(content[len(content)/3 : len(content)/2])
			facts, err := analyze(t, "var/lib/rpm/"+f.base, content)
			checkFacts(t, facts, err)
			if len(facts.Packages) < 10 {
				t.Errorf("only %d packages are left", len(facts.Packages))
			}
			if err != nil || len(facts.Problems) != 1 || facts.Problems[0].Code != plimsoll.ProblemCorruptFile {
				t.Errorf("damage: error %v, problems %v", err, facts.Problems)
			}
		})
	}
}

func TestHostileDatabasesEndQuickly(t *testing.T) {
	// All slots point to one large blob.
	one := buildNDB([][]byte{buildHeader(map[uint32]headerValue{1000: "p", 1001: "1", 1002: "1", 5000: make([]byte, 1<<20)})})
	shared := bytes.Clone(one)
	for at := 48; at < ndbPage; at += 16 {
		copy(shared[at:], shared[32:48])
	}
	facts, err := analyze(t, "var/lib/rpm/Packages.db", shared)
	if err != nil || len(facts.Packages) != 1 || len(facts.Problems) != 1 {
		t.Errorf("shared blob: %d packages, %v, %v", len(facts.Packages), facts.Problems, err)
	}

	// A chain of overflow pages that bites its tail.
	loop := buildBDB(binary.LittleEndian, [][]byte{buildHeader(map[uint32]headerValue{1000: "p", 5000: make([]byte, 20_000)})})
	binary.LittleEndian.PutUint32(loop[3*4096+16:], 1)
	facts, err = analyze(t, "var/lib/rpm/Packages", loop)
	if err != nil || len(facts.Problems) != 1 {
		t.Errorf("loop: %v, %v", facts.Problems, err)
	}

	// Long directories for many files.
	names := make([]string, 400_000)
	for i := range names {
		names[i] = "x"
	}
	many := buildBDB(binary.LittleEndian, [][]byte{buildHeader(map[uint32]headerValue{
		1000: "p", 1001: "1", 1002: "1", 1117: names, 1116: make([]uint32, len(names)), 1118: []string{"/" + strings.Repeat("d", 4000) + "/"},
	})})
	facts, err = analyze(t, "var/lib/rpm/Packages", many)
	if err != nil || len(facts.Problems) != 1 || facts.Problems[0].Code != plimsoll.ProblemLimit {
		t.Errorf("long directories: %v, %v", facts.Problems, err)
	}
}

func TestNotADatabase(t *testing.T) {
	for _, content := range []string{"x", strings.Repeat("x", 4096), sqliteMagic, ndbMagic, sqliteMagic + strings.Repeat("\xff", 4096)} {
		facts, err := analyze(t, "var/lib/rpm/Packages", []byte(content))
		if plimsoll.CodeOf(err) != plimsoll.CodeCorrupt || len(facts.Packages) > 0 {
			t.Errorf("%.20q: %v", content, err)
		}
	}
	if _, err := analyze(t, "var/lib/rpm/rpmdb.sqlite", nil); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

func FuzzBdb(f *testing.F) {
	blob := buildHeader(map[uint32]headerValue{1000: "p", 1001: "1", 1002: "1", 1117: []string{"a"}, 1116: []uint32{0}, 1118: []string{"/bin/"}})
	f.Add(buildBDB(binary.LittleEndian, [][]byte{blob, blob}))
	f.Add(buildBDB(binary.BigEndian, [][]byte{blob}))
	fuzzFile(f, "var/lib/rpm/Packages")
}

func FuzzNdb(f *testing.F) {
	blob := buildHeader(map[uint32]headerValue{1000: "p", 1001: "1", 1002: "1"})
	f.Add(buildNDB([][]byte{blob, blob}))
	fuzzFile(f, "var/lib/rpm/Packages.db")
}

func FuzzSqlite(f *testing.F) {
	// A whole small database: two pages of 512 bytes, one row in each.
	f.Add(buildSQLite(buildHeader(map[uint32]headerValue{1000: "p", 1001: "1", 1002: "1"})), []byte{})
	f.Fuzz(func(t *testing.T, content, log []byte) {
		file := fileOf("var/lib/rpm/rpmdb.sqlite", append([]byte(sqliteMagic), content...))
		file.Sibling = func(string) (*layerfs.File, error) {
			return &layerfs.File{ReaderAt: bytes.NewReader(log), Size: int64(len(log))}, nil
		}
		facts, err := rpm{}.Analyze(t.Context(), file)
		checkFacts(t, facts, err)
	})
}

// buildSQLite writes what follows the magic of a database with one row.
func buildSQLite(blob []byte) []byte {
	const pageSize = 512
	file := make([]byte, 2*pageSize)
	copy(file, sqliteMagic)
	binary.BigEndian.PutUint16(file[16:], pageSize)
	leaf := func(page []byte, head int, record []byte) {
		cell := append([]byte{byte(0x80 | len(record)>>7), byte(len(record) & 0x7f), 1}, record...)
		at := pageSize - len(cell)
		copy(page[at:], cell)
		page[head] = sqliteTableLeaf
		binary.BigEndian.PutUint16(page[head+3:], 1)
		binary.BigEndian.PutUint16(page[head+8:], uint16(at))
	}
	leaf(file[:pageSize], 100, append([]byte{5, 13 + 2*5, 13 + 2*8, 13 + 2*8, 1}, "tablePackagesPackages\x02"...))
	kind := 12 + 2*len(blob)
	leaf(file[pageSize:], 0, append([]byte{4, 0, byte(0x80 | kind>>7), byte(kind & 0x7f)}, blob...))
	return file[len(sqliteMagic):]
}

func TestSmallestSQLite(t *testing.T) {
	blob := buildHeader(map[uint32]headerValue{1000: "p", 1001: "1", 1002: "1"})
	facts := mustAnalyze(t, "var/lib/rpm/rpmdb.sqlite", append([]byte(sqliteMagic), buildSQLite(blob)...))
	if diff := cmp.Diff([]string{"p 1-1"}, packageNames(facts)); diff != "" {
		t.Error(diff)
	}
}

func FuzzRpmHeader(f *testing.F) {
	f.Add(buildHeader(map[uint32]headerValue{1000: "p", 1001: "1", 1002: "1", 1003: []uint32{1}, 1117: []string{"a"}, 1116: []uint32{0}, 1118: []string{"/bin/"}, 1029: []byte{0}}))
	f.Fuzz(func(t *testing.T, blob []byte) {
		h, err := parseHeader(blob)
		if err != nil {
			return
		}
		c := &collector{op: "read"}
		err = c.addRPM(h)
		checkFacts(t, c.facts, err)
	})
}

func BenchmarkRPM(b *testing.B) {
	for _, name := range []string{"rpm/centos8.bdb.zst", "rpm/sle15-bci.ndb.zst", "rpm/cbl-mariner-2.0.sqlite.zst"} {
		content := fixture(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(content)))
			b.ReportAllocs()
			for b.Loop() {
				mustAnalyze(b, "var/lib/rpm/"+rpmFixtures[name].base, content)
			}
		})
	}
}
