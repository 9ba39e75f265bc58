package ospkg

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"plimsoll"
	"plimsoll/inventory"
)

const dpkgStatusPath = "var/lib/dpkg/status"

func TestDpkgRealStatus(t *testing.T) {
	content := fixture(t, "dpkg/debian-12.status.zst")
	facts := mustAnalyze(t, dpkgStatusPath, content)
	golden(t, "dpkg/debian-12.golden", summary(facts))
	if n := strings.Count(string(content), "\nStatus: install ok installed\n"); len(facts.Packages) != n {
		t.Errorf("%d packages of %d", len(facts.Packages), n)
	}
	for _, p := range facts.Packages {
		if p.Origin != "" {
			t.Errorf("%s comes from Debian, not from %s", p.Name, p.Origin)
		}
	}
}

func TestDEB01OnlyInstalledCounts(t *testing.T) {
	var status strings.Builder
	for i, s := range []string{
		"install ok installed", "hold ok installed", "install reinstreq installed", "install ok triggers-pending", "install ok triggers-awaited",
		"deinstall ok config-files", "install ok half-installed", "install ok unpacked", "install ok half-configured", "purge ok not-installed",
	} {
		fmt.Fprintf(&status, "Package: p%d\nStatus: %s\nVersion: 1\n\n", i, s)
	}
	want := []string{"p0 1", "p1 1", "p2 1", "p3 1", "p4 1"}
	if diff := cmp.Diff(want, packageNames(mustAnalyze(t, dpkgStatusPath, []byte(status.String())))); diff != "" {
		t.Error(diff)
	}
	single := mustAnalyze(t, "var/lib/dpkg/status.d/libssl3", []byte("Package: libssl3\nVersion: 3.0.11-1~deb12u2\nSource: openssl"))
	if diff := cmp.Diff([]string{"libssl3 3.0.11-1~deb12u2"}, packageNames(single)); diff != "" {
		t.Error(diff)
	}
}

// A record that was damaged or cut off is told, never passed over.
func TestDEB01DamagedRecordIsAProblem(t *testing.T) {
	const good = "Package: good\nStatus: install ok installed\nVersion: 1\n\n"
	for name, record := range map[string]string{
		"no status":        "Package: p\nVersion: 1\n",
		"empty status":     "Package: p\nStatus:\nVersion: 1\n",
		"unknown status":   "Package: p\nStatus: install ok instblled\nVersion: 1\n",
		"no name":          "Pbckage: p\nStatus: install ok installed\nVersion: 1\n",
		"no version":       "Package: p\nStatus: install ok installed\n",
		"cut off":          "Package: p\nSta",
		"cut off later on": "Package: p\nStatus: install ok installed\nArchitecture: a",
	} {
		t.Run(name, func(t *testing.T) {
			facts, err := analyze(t, dpkgStatusPath, []byte(good+record))
			if err != nil || len(facts.Packages) != 1 || len(facts.Problems) != 1 {
				t.Errorf("got %+v, %v", facts, err)
			}
		})
	}
}

func TestDEB02To04SourceNameAndVersion(t *testing.T) {
	tests := []struct{ name, binary, source, want string }{
		{"DEB-02 name and version", "1:1.2.13.dfsg-1", "zlib (1:1.2.13)", "zlib 1:1.2.13"},
		{"DEB-02 name only", "2.36-9", "glibc", "glibc 2.36-9"},
		{"DEB-02 no field", "5.2-2", "", "p 5.2-2"},
		{"DEB-03 binNMU", "1.2-3+b1", "", "p 1.2-3"},
		{"DEB-03 binNMU of another source", "1.2-3+b12", "src", "src 1.2-3"},
		{"DEB-03 explicit version", "5.2.15-2+b2", "bash (5.2.15-2)", "bash 5.2.15-2"},
		{"DEB-03 not a binNMU", "1.0+b", "", "p 1.0+b"},
		{"DEB-03 stable update", "1.0-1+deb12u1", "", "p 1.0-1+deb12u1"},
		{"DEB-04 epoch in the binary only", "1:4.13+dfsg1-1", "shadow (4.13+dfsg1-1)", "shadow 4.13+dfsg1-1"},
		{"DEB-04 epoch in the source only", "2.0-1", "x (1:2.0-1)", "x 1:2.0-1"},
		{"broken", "1-1", "(", "p 1-1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := debSource("p", tt.binary, tt.source)
			if got.Name+" "+got.Version != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

func TestDEB05FileLists(t *testing.T) {
	tests := []struct{ path, content, pkg string }{
		{"var/lib/dpkg/info/jq.list", "/.\n/usr\n/usr/bin\n/usr/bin/jq\n/lib/x.so\n/usr/share/man/man1/jq.1.gz\n", "jq"},
		{"var/lib/dpkg/info/libc6:amd64.list", "/usr/bin/jq\n/lib/x.so\n", "libc6"},
		{"var/lib/dpkg/status.d/jq.md5sums", "d41d8cd98f00b204e9800998ecf8427e  usr/bin/jq\nd41d8cd98f00b204e9800998ecf8427e  lib/x.so\nnonsense\n", "jq"},
		{"usr/lib/opkg/info/jq.list", "/usr/bin/jq\t0100755\n/lib/x.so\t0120777\ty.so\n", "jq"},
	}
	for _, tt := range tests {
		got := owned(mustAnalyze(t, tt.path, []byte(tt.content)))
		files := slices.DeleteFunc(got[tt.pkg], func(p string) bool { return p == "usr" || p == "usr/bin" })
		if diff := cmp.Diff([]string{"usr/bin/jq", "lib/x.so"}, files); diff != "" || len(got) != 1 {
			t.Errorf("%s: %v\n%s", tt.path, got, diff)
		}
	}
	facts := mustAnalyze(t, "srv/root/var/lib/dpkg/info/jq.list", []byte("/usr/bin/jq\n"))
	if diff := cmp.Diff([]inventory.Ownership{{Root: "srv/root", Package: "jq", Paths: []string{"usr/bin/jq"}}}, facts.Owns); diff != "" {
		t.Error(diff)
	}
}

func TestDEB06OddStatusFiles(t *testing.T) {
	status := "\r\n\r\npackage: p\r\nSTATUS: install ok installed\r\nMaintainer: Someone <s@example.org>\r\nDescription: text\r\n with\r\n .\r\n more: lines\r\n Version: 9\r\nversion: 1.0-1\r\nArchitecture: amd64\r\n\r\n\r\n" +
		" \nPackage: q\nStatus: install ok installed\nDepends: " + strings.Repeat("x, ", maxLine) + "\nVersion: 2\nLicense: Apache-2.0\n\n\n\n"
	want := `p 1.0-1 amd64 source=p/1.0-1 supplier="Someone <s@example.org>"
q 2  source=q/2 licenses="Apache-2.0"
2 packages, 0 owned paths
`
	if diff := cmp.Diff(want, summary(mustAnalyze(t, "lib/dpkg/status", []byte(status)))); diff != "" {
		t.Error(diff)
	}
}

func TestStatusWithoutVersionIsUnidentified(t *testing.T) {
	facts, err := analyze(t, dpkgStatusPath, []byte("Package: p\nStatus: install ok installed\n\nPackage: q\nStatus: install ok installed\nVersion: 1\n"))
	if err != nil || len(facts.Packages) != 1 || len(facts.Problems) != 1 || facts.Problems[0].Code != plimsoll.ProblemUnidentified {
		t.Errorf("%v, %v, %v", facts.Packages, facts.Problems, err)
	}
	facts, err = analyze(t, dpkgStatusPath, []byte(strings.Repeat("Package: p\nStatus: install ok installed\n\n", 1000)))
	if err != nil || len(facts.Problems) > 20 || facts.Problems[19].Count != 981 {
		t.Errorf("%d problems, %v", len(facts.Problems), err)
	}
}

func TestDEB10ThirdPartyOrigin(t *testing.T) {
	tests := []struct{ maintainer, vendor, version, want string }{
		{"Docker <support@docker.com>", "", "5:27.1.1-1~debian.12~bookworm", "Docker"},
		{"Containerd team <help@containerd.io>", "", "1.7.19-1", "Containerd"},
		{"Ivan Iguaran <ivan@nodesource.com>", "", "20.15.1-1nodesource1", "NodeSource"},
		{"Debian PostgreSQL Maintainers <team+postgresql@tracker.debian.org>", "", "16.3-1.pgdg120+1", "PGDG"},
		{"cudatools <cudatools@nvidia.com>", "", "12.5.82-1", "NVIDIA"},
		{"Debian PHP Maintainers <team+pkg-php@tracker.debian.org>", "", "8.3.9-1+0~20240705.21+debian12~1.gbp+deb.sury.org", "Sury"},
		{"x", "Datadog <package@datadoghq.com>", "1:7.55-1", "Datadog"},
		{"Debian Go Packaging Team <team+pkg-go@tracker.debian.org>", "", "20.10.24+dfsg1-1", ""},
		{"Ubuntu Developers <ubuntu-devel-discuss@lists.ubuntu.com>", "", "1.0-1ubuntu2", ""},
		{"", "", "1", ""},
	}
	for _, tt := range tests {
		if got := debOrigin(tt.maintainer, tt.vendor, tt.version); got != tt.want {
			t.Errorf("%+v: got %q", tt, got)
		}
	}
}

func TestCopyright(t *testing.T) {
	tests := map[string]struct {
		text string
		want []string
	}{
		"machine-readable": {"Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nFiles: *\nLicense: GPL-2+ and LGPL-2.1\n text\n see /usr/share/common-licenses/GPL-2.\n\nFiles: x\nLicense: BSD-3-clause\n\nLicense: GPL-2+ and LGPL-2.1\n", []string{"BSD-3-clause", "GPL-2+ and LGPL-2.1"}},
		"prose":            {"On Debian systems, the text is in `/usr/share/common-licenses/GPL-3'.\nAlso /usr/share/common-licenses/LGPL-2.1.\n", []string{"GPL-3", "LGPL-2.1"}},
		"nothing":          {"All rights reserved.\n", nil},
		"long":             {"License: MIT\n" + strings.Repeat("text\n", maxCopyright), []string{"MIT"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			facts := mustAnalyze(t, "r/usr/share/doc/p/copyright", []byte(tt.text))
			var got []string
			for _, n := range facts.Notes {
				if n.Key != inventory.NoteLicense || n.Package != "p" || n.Root != "r" || n.Path != "" {
					t.Errorf("note %+v", n)
				}
				got = append(got, n.Value)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDEB06ChiselManifest(t *testing.T) {
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	wall := z.EncodeAll([]byte(`{"jsonwall":"1.0","schema":"1.0","count":4}
{"kind":"content","slice":"libssl3_libs","path":"/usr/lib/x/libssl.so.3"}
{"kind":"package","name":"libssl3","version":"3.0.13-0ubuntu3.4","sha256":"00","arch":"amd64"}
{"kind":"slice","name":"libssl3_libs"}
`), nil)
	want := `libssl3 3.0.13-0ubuntu3.4 amd64 source=libssl3/3.0.13-0ubuntu3.4
1 packages, 1 owned paths
`
	if diff := cmp.Diff(want, summary(mustAnalyze(t, "var/lib/chisel/manifest.wall", wall))); diff != "" {
		t.Error(diff)
	}
	if _, err := analyze(t, "var/lib/chisel/manifest.wall", wall[:len(wall)-3]); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
		t.Errorf("a cut manifest: %v", err)
	}
}

func TestLimitOfTextDatabases(t *testing.T) {
	line := "Description: " + strings.Repeat("x", 1010) + "\n" // 1 KiB
	text := strings.Repeat(line, maxText>>10)
	mustAnalyze(t, dpkgStatusPath, []byte(text))
	if _, err := analyze(t, dpkgStatusPath, []byte(text+"x")); plimsoll.CodeOf(err) != plimsoll.CodeLimit {
		t.Errorf("one byte beyond the limit: %v", err)
	}
}

func FuzzDpkgStatus(f *testing.F) {
	f.Add([]byte("Package: p\nStatus: install ok installed\nSource: s (1)\nVersion: 1+b1\nMaintainer: m\n\n"))
	fuzzFile(f, dpkgStatusPath)
}

func FuzzCopyright(f *testing.F) {
	f.Add([]byte("License: MIT\n see /usr/share/common-licenses/GPL-2.\n"))
	fuzzFile(f, "usr/share/doc/p/copyright")
}

// BenchmarkDpkgStatus reads 700 packages, those of a Node.js image.
func BenchmarkDpkgStatus(b *testing.B) {
	one := fixture(b, "dpkg/debian-12.status.zst")
	n := strings.Count(string(one), "\nStatus: ")
	content := []byte(strings.Repeat(string(one)+"\n", 700/n+1))
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		mustAnalyze(b, dpkgStatusPath, content)
	}
}

func BenchmarkWants(b *testing.B) {
	analyzers := Analyzers()
	paths := []string{"usr/lib/x86_64-linux-gnu/libssl.so.3", "app/node_modules/a/package.json", "usr/share/doc/libc6/copyright"}
	b.ReportAllocs()
	for b.Loop() {
		for _, p := range paths {
			for _, a := range analyzers {
				a.Wants(p)
			}
		}
	}
}
