package langpkg

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"io"
	"io/fs"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"plimsoll"
	"plimsoll/inventory"
)

// elfOf makes a little-endian 64-bit ELF file of pairs of section names and
// contents, in the shape that linkers give.
func elfOf(pairs ...string) string {
	pairs = append(pairs, ".shstrtab", "")
	names := "\x00"
	type section struct{ name, offset, size int }
	var sections []section
	body := ""
	for i := 0; i < len(pairs); i += 2 {
		s := section{name: len(names), offset: 64 + len(body), size: len(pairs[i+1])}
		names += pairs[i] + "\x00"
		body += pairs[i+1]
		sections = append(sections, s)
	}
	sections[len(sections)-1].size = len(names)
	body += names
	h := make([]byte, 64)
	copy(h, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(h[16:], 3)  // ET_DYN
	le.PutUint16(h[18:], 62) // x86-64
	le.PutUint64(h[40:], uint64(64+len(body)))
	le.PutUint16(h[52:], 64)
	le.PutUint16(h[58:], 64)
	le.PutUint16(h[60:], uint16(len(sections)+1))
	le.PutUint16(h[62:], uint16(len(sections)))
	table := make([]byte, 64*(len(sections)+1))
	for i, s := range sections {
		t := table[64*(i+1):]
		le.PutUint32(t, uint32(s.name))
		le.PutUint32(t[4:], 1)
		le.PutUint64(t[24:], uint64(s.offset))
		le.PutUint64(t[32:], uint64(s.size))
	}
	return string(h) + body + string(table)
}

func self(t testing.TB) inventory.File {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return inventory.File{Path: "usr/bin/self", Size: info.Size(), Mode: info.Mode(), ReaderAt: f}
}

func TestGO01BuildInformation(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the test binary is no ELF file")
	}
	facts, err := executable{}.Analyze(context.Background(), self(t))
	if err != nil {
		t.Fatal(err)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		t.Skip("built without modules")
	}
	want := []string{"stdlib " + goVersion(info.GoVersion), "plimsoll (devel)"}
	for _, m := range info.Deps {
		want = append(want, m.Path+" "+m.Version)
	}
	equal(t, brief(facts), want)
	equal(t, facts.Packages[0].Type, plimsoll.TypeGo)
	equal(t, facts.Packages[0].Evidence, plimsoll.EvidenceBuildInfo)
}

// A program that was cut off tells nothing, and says so; one without section
// headers is only stripped.
func TestGO01CutOffProgramIsAProblem(t *testing.T) {
	t.Parallel()
	whole := elfOf(".text", "x", ".go.buildinfo", strings.Repeat("b", 64))
	headless := []byte(whole)
	binary.LittleEndian.PutUint64(headless[40:], 0)
	empty := []byte(whole) // without content in the file, as those of split debug files
	shoff := binary.LittleEndian.Uint64(empty[40:])
	binary.LittleEndian.PutUint32(empty[shoff+2*64+4:], noBits)
	binary.LittleEndian.PutUint64(empty[shoff+2*64+32:], 1<<20)
	beyond := bytes.Clone(empty)
	binary.LittleEndian.PutUint32(beyond[shoff+2*64+4:], 1)
	problems := func(content string, mode fs.FileMode) int {
		facts, err := executable{}.Analyze(context.Background(), inventory.File{Path: "usr/bin/app", Size: int64(len(content)), Mode: mode, ReaderAt: strings.NewReader(content)})
		if err != nil || len(facts.Packages) != 0 {
			t.Errorf("got %+v, %v", facts, err)
		}
		return len(facts.Problems)
	}
	equal(t, problems(whole, 0o755), 0)
	equal(t, problems(whole[:len(whole)-1], 0o755), 1)
	equal(t, problems(whole[:100], 0o755), 1)
	equal(t, problems(whole[:100], 0o644), 0)
	equal(t, problems(string(headless), 0o755), 0)
	equal(t, problems(string(empty), 0o755), 0)
	equal(t, problems(string(beyond), 0o755), 1)

	if runtime.GOOS != "linux" {
		return
	}
	f := self(t)
	f.Size /= 2
	f.ReaderAt = io.NewSectionReader(f.ReaderAt, 0, f.Size)
	facts, err := executable{}.Analyze(context.Background(), f)
	if err != nil || len(facts.Problems) != 1 || facts.Problems[0].Code != plimsoll.ProblemCorruptFile {
		t.Errorf("half of a Go program: got %+v, %v", facts, err)
	}
}

func TestGO02ReplaceAndDevelopmentVersions(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]debug.Module{
		"a/b v1.2.3":       {Path: "a/b", Version: "v1.2.3"},
		"a/b (devel)":      {Path: "a/b", Version: "(devel)"},
		"c/d (devel)":      {Path: "c/d"},
		"fork/b/v2 v2.0.0": {Path: "x/b", Version: "v1.2.3", Replace: &debug.Module{Path: "fork/b/v2", Version: "v2.0.0"}},
		"e/f (devel)":      {Path: "e/f", Version: "v1.2.3", Replace: &debug.Module{Path: "../f"}},
		"g/h v0.0.0-20240101000000-abcdefabcdef+dirty": {Path: "g/h", Version: "v0.0.0-20240101000000-abcdefabcdef+dirty"},
		"i/j v2.0.0+incompatible":                      {Path: "i/j", Version: "v2.0.0+incompatible"},
	} {
		var got string
		addModule(func(name, version string) { got = name + " " + version }, &m)
		equal(t, got, want)
	}
}

func TestGO02VersionFromLinkerFlags(t *testing.T) {
	t.Parallel()
	for flags, want := range map[string]string{
		"-s -w -X main.version=1.2.3":                                "v1.2.3",
		"-X 'main.Version=v1.2.3-rc.1' -X main.commit=abc":           "v1.2.3-rc.1",
		"-X=example.org/app/internal/build.Version=0.9.1 -s":         "v0.9.1",
		`-X "example.org/app/cmd.buildVersion=1.0.0"`:                "v1.0.0",
		"-X main.version=24.0.5":                                     "v24.0.5+incompatible",
		"-X main.version=1.2.3 -X example.org/app/pkg.Version=1.2.4": "", // they disagree
		"-X example.org/other.Version=1.2.3":                         "", // another module's
		"-X example.org/application.Version=1.2.3":                   "",
		"-X main.goVersion=1.21.0":                                   "",
		"-X main.version=dev -X main.version=":                       "",
		"-X main.version=main-abcdef0":                               "",
		"-s -w":                                                      "",
		"-X":                                                         "",
	} {
		info := &debug.BuildInfo{Main: debug.Module{Path: "example.org/app", Version: "(devel)"}, Settings: []debug.BuildSetting{{Key: "-ldflags", Value: flags}}}
		if got := linkedVersion(info); got != want {
			t.Errorf("%s: %q, not %q", flags, got, want)
		}
	}
	for path, want := range map[string]string{"a/b/v3": "v3.0.1", "a/b/v2": "", "a/b": "v3.0.1+incompatible"} {
		equal(t, moduleVersion(path, "3.0.1"), want)
	}
}

func TestGO03StandardLibraryVersion(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"go1.21":                          "1.21.0",
		"go1.21.5":                        "1.21.5",
		"go1.22rc1":                       "1.22.0-rc.1",
		"go1.18beta2":                     "1.18.0-beta.2",
		"go1.22.1 X:boringcrypto":         "1.22.1",
		"go1.22.1 (Red Hat 1.22.1-1.el9)": "1.22.1",
		"go1.21.5-bigcorp":                "1.21.5",
		"go1.20.1+something":              "1.20.1",
		"devel go1.23-abcdef Mon":         "",
		"":                                "",
		"gocontent":                       "",
	} {
		equal(t, goVersion(in), want)
	}
}

func TestGO01PackedExecutable(t *testing.T) {
	t.Parallel()
	h := []byte(elfOf(".text", strings.Repeat("\x90", 100)))
	binary.LittleEndian.PutUint64(h[40:], 0) // no section headers
	binary.LittleEndian.PutUint16(h[60:], 0)
	copy(h[80:], "UPX!")
	facts := analyze(t, executable{}, "usr/bin/x", string(h))
	equal(t, len(facts.Problems), 1)
	equal(t, facts.Problems[0].Code, plimsoll.ProblemPackedBinary)
}

func compressed(s string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.String()
}

func TestRS01AuditableDependencies(t *testing.T) {
	t.Parallel()
	list := `{"packages":[
{"name":"app","version":"0.1.0","source":"local","root":true,"dependencies":[1]},
{"name":"serde","version":"1.0.200","source":"crates.io"},
{"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"},
{"name":"forked","version":"0.3.0","source":"git"}]}`
	facts := analyze(t, executable{}, "usr/bin/app", elfOf(".rodata", "x", ".dep-v0", compressed(list)))
	equal(t, brief(facts), []string{"app 0.1.0", "serde 1.0.200", "forked 0.3.0"})
	var origins []string
	for _, p := range facts.Packages {
		origins = append(origins, p.Origin)
	}
	equal(t, origins, []string{"local", "", "git"})

	for what, content := range map[string]string{
		"not zlib":  "garbage",
		"not JSON":  compressed("nope"),
		"truncated": compressed(list)[:40],
	} {
		_, err := executable{}.Analyze(context.Background(), file("usr/bin/app", elfOf(".dep-v0", content)))
		if plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err := executable{}.Analyze(context.Background(), file("usr/bin/app", elfOf(".dep-v0", compressed(strings.Repeat(" ", maxRecords+1)))))
	equal(t, plimsoll.CodeOf(err), plimsoll.CodeLimit)
}

func TestBIN01VersionStrings(t *testing.T) {
	t.Parallel()
	pad := strings.Repeat("some text\x00", 30_000) // over more than one window
	for _, c := range []struct{ path, data, want string }{
		{"usr/local/bin/node", "https://nodejs.org/download/release/v20.11.1/node-v20.11.1.tar.gz", "node 20.11.1"},
		{"usr/sbin/nginx", "\x00nginx/\x00nginx/1.25.3\x00", "nginx 1.25.3"},
		{"usr/local/apache2/bin/httpd", "Apache/2.4.58 (Unix)\x00", "httpd 2.4.58"},
		{"usr/local/bin/redis-server", "\x007.2.4buildkitsandbox-1704\x00", "redis 7.2.4"},
		{"usr/local/bin/redis-server", "\x006.2.14f2c1a0b3d4e5-1704067200000000000\x00", "redis 6.2.14"},
		{"usr/local/bin/valkey-server", "\x008.0.1buildkitsandbox-1727\x00", "valkey 8.0.1"},
		{"usr/sbin/mysqld", "/build/mysql-8.0.36/sql/mysqld.cc\x00", "mysql 8.0.36"},
		{"usr/local/bin/postgres", "upgrading to PostgreSQL 9.1.\x00PostgreSQL 16.2 on x86_64", "postgresql 16.2"},
		{"bin/busybox", "BusyBox v1.36.1 (2023-11-07)", "busybox 1.36.1"},
		{"bin/bash", "@(#)Bash version 5.2.15(1) release GNU\x00", "bash 5.2.15"},
		{"usr/lib/libcrypto.so.3", "OpenSSL 3.0.11 19 Sep 2023\x00", "openssl 3.0.11"},
		{"site-packages/psycopg2_binary.libs/libcrypto-ea28cefb.so.1.1", "OpenSSL 1.1.1w  11 Sep 2023\x00", "openssl 1.1.1w"},
		{"usr/lib/libcrypto.so.1.1", "OpenSSL 1.1.1za  26 Jun 2024\x00", "openssl 1.1.1za"},
		{"usr/lib/libcurl.so.4.8.0", "libcurl/8.5.0\x00", "curl 8.5.0"},
		{"usr/local/bin/php", "X-Powered-By: PHP/8.3.2\x00", "php 8.3.2"},
		{"usr/lib/libruby-3.1.so.3.1.7", "ruby 3.1.7p261 (2025-03-26", "ruby 3.1.7"},
		{"usr/sbin/mariadbd", "no-MariaDB\x0010.11.19-MariaDB\x00", "mariadb 10.11.19"},
		{"usr/local/bin/node", "nodejs.org/download/release/v22.0.0-rc.1/", "node 22.0.0-rc.1"},
		{"usr/local/lib/libruby.so.3.3", "ruby 3.3.0 (2023-12-25 revision 5124f9ac75)\x00", "ruby 3.3.0"},
		{"usr/local/lib/libpython3.12.so.1.0", "in 3.12.99 or\x00/opt/Python-3.12.1\x00", "python 3.12.1"},
		{"usr/local/bin/python3.9", "3.9.18+\x003.9.18\x00", "python 3.9.18"},
		{"usr/local/bin/perl5.38.2", "/usr/local/lib/perl5/5.38.2/x86_64-linux-gnu\x00", "perl 5.38.2"},
		{"usr/local/sbin/haproxy", "since version 2.5 is\x00 version 2.9.3-5d2a1ce, released 2024/01/18\x00", "haproxy 2.9.3"},
		{"usr/bin/other", "nginx/1.25.3", ""},
		{"usr/sbin/nginx", "nginx/%s", ""},
	} {
		var want []string
		if c.want != "" {
			want = []string{c.want}
		}
		for _, data := range []string{c.data, pad + c.data + pad} {
			equal(t, brief(analyze(t, executable{}, c.path, elfOf(".rodata", data))), want)
			equal(t, brief(analyze(t, executable{}, c.path, elfOf(".rodata", "none", ".data", data))), want)
		}
	}
}

// The same strings as programs of two releases of Debian have them, on two
// architectures.
func TestBIN01RealPrograms(t *testing.T) {
	t.Parallel()
	table, err := os.ReadFile("testdata/binaries.txt")
	if err != nil {
		t.Fatal(err)
	}
	programs := map[string]map[string]bool{} // versions by name
	arches := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		column := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		data, err := strconv.Unquote(column[4])
		if err != nil {
			t.Fatal(err)
		}
		equal(t, brief(analyze(t, executable{}, column[3], elfOf(".rodata", data))), []string{column[5]})
		name, version, _ := strings.Cut(column[5], " ")
		if programs[name] == nil {
			programs[name] = map[string]bool{}
		}
		programs[name][version], arches[column[1]] = true, true
	}
	for name, versions := range programs {
		if len(versions) < 2 {
			t.Errorf("%s: one version only", name)
		}
	}
	equal(t, []int{len(programs), len(arches)}, []int{13, 2})
}

func TestELF32BigEndian(t *testing.T) {
	t.Parallel()
	be := binary.BigEndian
	data, names := "BusyBox v1.36.1 (2024)", "\x00.rodata\x00.shstrtab\x00"
	h := make([]byte, 64) // the header has 52
	copy(h, "\x7fELF\x01\x02\x01")
	be.PutUint32(h[32:], uint32(64+len(data)+len(names)))
	be.PutUint16(h[46:], 40)
	be.PutUint16(h[48:], 3)
	be.PutUint16(h[50:], 2)
	table := make([]byte, 3*40)
	be.PutUint32(table[40:], 1)
	be.PutUint32(table[40+16:], 64)
	be.PutUint32(table[40+20:], uint32(len(data)))
	be.PutUint32(table[80:], 9)
	be.PutUint32(table[80+16:], uint32(64+len(data)))
	be.PutUint32(table[80+20:], uint32(len(names)))
	equal(t, brief(analyze(t, executable{}, "bin/busybox", string(h)+data+names+string(table))), []string{"busybox 1.36.1"})
}

func TestOtherFilesAreNoExecutables(t *testing.T) {
	t.Parallel()
	valid := elfOf(".rodata", "x")
	for what, content := range map[string]string{
		"script": "#!/bin/sh\n" + strings.Repeat("x", 100), "short": "\x7fELF", "empty": "",
		"headers cut off": valid[:100],
		"PE without Go":   "MZ" + strings.Repeat("\x00", 200),
		"Mach-O garbage":  "\xcf\xfa\xed\xfe" + strings.Repeat("\xff", 200),
		"no sections":     elfOf()[:64],
	} {
		facts := analyze(t, executable{}, "usr/bin/x.exe", content)
		if len(facts.Packages)+len(facts.Problems) > 0 {
			t.Errorf("%s: %+v", what, facts)
		}
	}
}

func BenchmarkExecutable(b *testing.B) {
	plain := file("usr/lib/libx.so.1", elfOf(".text", strings.Repeat("\x90", 1<<20), ".rodata", "x", ".data", "y"))
	for name, f := range map[string]inventory.File{"plain": plain, "go": self(b)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := (executable{}).Analyze(context.Background(), f); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
