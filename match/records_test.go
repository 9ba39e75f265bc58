package match_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"plimsoll"
	"plimsoll/match"
	"plimsoll/vulndb"
	"plimsoll/vulndb/feed"
)

// What each ecosystem publishes meets a package of it: the version before the fix
// is a finding with that fix, the fixed one is none.
func TestPublishedRecords(t *testing.T) {
	db := compiled(t, os.DirFS(filepath.Join("testdata", "records")))
	for _, tt := range []struct {
		ecosystem string      // that is asked
		os        plimsoll.OS // of a system package
		kind      plimsoll.PackageType
		name      string
		before    string
		flaw      string
		fixed     string
	}{
		{"AlmaLinux:8", plimsoll.OS{ID: "almalinux", VersionID: "8.4"}, plimsoll.TypeRPM, "python3-requests", "2.20.0-1.el8", "CVE-2018-18074", "2.20.0-2.1.el8_1"},
		{"Alpine:v3.19", plimsoll.OS{ID: "alpine", VersionID: "3.19.1"}, plimsoll.TypeAPK, "redis", "7.0.11-r2", "CVE-2022-24834", "7.0.12-r0"},
		{"Azure Linux:2", plimsoll.OS{ID: "mariner", VersionID: "2.0"}, plimsoll.TypeRPM, "libtiff", "4.4.0-1.cm2", "CVE-2022-2056", "0:4.4.0-2.cm2"},
		{"Chainguard", plimsoll.OS{ID: "chainguard", VersionID: "20230214"}, plimsoll.TypeAPK, "nri-memcached", "2.5.7-r0", "CVE-2024-34156", "2.5.7-r1"},
		{"Debian:13", plimsoll.OS{ID: "debian", VersionID: "13"}, plimsoll.TypeDeb, "linux", "6.6.8-1", "CVE-2024-0193", "6.6.11-1"},
		{"Echo", plimsoll.OS{ID: "echo", VersionID: "1"}, plimsoll.TypeDeb, "openssh", "1:9.2p1-2+deb12u5", "CVE-2008-3234", "1:9.2p1-2+deb12u6"},
		{"Mageia:9", plimsoll.OS{ID: "mageia", VersionID: "9"}, plimsoll.TypeRPM, "microcode", "0.20241112-1.mga9.nonfree", "CVE-2024-56161", "0.20250211-2.mga9.nonfree"},
		{"MinimOS", plimsoll.OS{ID: "minimos", VersionID: "1"}, plimsoll.TypeAPK, "openjdk-19-jre", "19.0.2.7-r0", "CVE-2024-21140", "19.0.2.7-r1"},
		{"Red Hat:enterprise_linux:8::*", plimsoll.OS{ID: "rhel", VersionID: "8.0"}, plimsoll.TypeRPM, "wget", "1.19.5-7.el8", "CVE-2019-5953", "0:1.19.5-7.el8_0.1"},
		{"Rocky Linux:9", plimsoll.OS{ID: "rocky", VersionID: "9.1"}, plimsoll.TypeRPM, "bcel", "6.4.1-8.el9", "CVE-2022-42920", "0:6.4.1-9.el9_1"},
		{"Ubuntu:Pro:18.04:LTS, Ubuntu:18.04:LTS", plimsoll.OS{ID: "ubuntu", VersionID: "18.04"}, plimsoll.TypeDeb, "glibc", "2.27-3ubuntu1", "CVE-2009-5155", "2.28-0ubuntu1"},
		{"Wolfi", plimsoll.OS{ID: "wolfi", VersionID: "20230201"}, plimsoll.TypeAPK, "podman", "5.4.1-r1", "CVE-2025-22868", "5.4.1-r2"},
		{"openEuler:20.03-LTS-SP1", plimsoll.OS{ID: "openEuler", VersionID: "20.03", Version: "20.03 (LTS-SP1)"}, plimsoll.TypeRPM, "dnsmasq", "2.82-4.oe1", "CVE-2020-25681", "2.82-5.oe1"},
		{"openSUSE:Leap 15.1", plimsoll.OS{ID: "opensuse-leap", VersionID: "15.1"}, plimsoll.TypeRPM, "libbz2-1", "1.0.6-5.1", "SUSE-SU-2019:1206-2", "1.0.6-5.3.1"},

		// OS-09: builds of others, by the mark in their version or the system's name.
		{"Docker Hardened Images:Debian:13", plimsoll.OS{ID: "debian", VersionID: "13"}, plimsoll.TypeDeb, "coreutils", "9.7-3+dhi3", "CVE-2017-18018", "9.7-3+dhi4"},
		{"Docker Hardened Images:Debian:13", plimsoll.OS{ID: "dhi", VersionID: "13", IDLike: []string{"debian"}}, plimsoll.TypeDeb, "coreutils", "9.7-3+dhi3", "CVE-2017-18018", "9.7-3+dhi4"},
		{"Docker Hardened Images:Alpine:3.24", plimsoll.OS{ID: "dhi", VersionID: "3.24", IDLike: []string{"alpine"}}, plimsoll.TypeAPK, "coreutils", "9.11-r0", "CVE-2016-2781", "9.11-r1"},
		{"Echo:Maven", plimsoll.OS{}, plimsoll.TypeMaven, "org.springframework:spring-web", "5.3.31+echo.1", "CVE-2026-4242", "5.3.32+echo.1"},
		{"Echo:PyPI", plimsoll.OS{}, plimsoll.TypePyPI, "pip", "25.1+echo.2", "CVE-2026-1703", "25.2+echo.1"},
		{"Echo:npm", plimsoll.OS{}, plimsoll.TypeNPM, "ejs", "3.1.9+echo.1", "CVE-2026-4242", "3.1.10+echo.1"},

		{"CRAN", plimsoll.OS{}, plimsoll.TypeCRAN, "readxl", "1.4.1", "CVE-2021-27836", "1.4.2"},
		{"Go", plimsoll.OS{}, plimsoll.TypeGo, "github.com/gin-gonic/gin", "v1.9.0", "CVE-2023-29401", "1.9.1"},
		{"Hackage", plimsoll.OS{}, plimsoll.TypeHackage, "aeson", "2.0.0.0", "CVE-2022-3433", "2.0.1.0"},
		{"Hex", plimsoll.OS{}, plimsoll.TypeHex, "pleroma", "2.5.2", "CVE-2023-5588", "2.5.3"},
		{"Julia", plimsoll.OS{}, "julia", "HTTP", "1.10.16", "CVE-2025-52479", "1.10.17"},
		{"Maven", plimsoll.OS{}, plimsoll.TypeMaven, "junit:junit", "4.13", "CVE-2020-15250", "4.13.1"},
		{"NuGet", plimsoll.OS{}, plimsoll.TypeNuGet, "Microsoft.WindowsDesktop.App.Runtime.win-x64", "3.1.31", "CVE-2022-41089", "3.1.32"},
		{"Packagist", plimsoll.OS{}, plimsoll.TypeComposer, "adodb/adodb-php", "5.20.5", "CVE-2016-4855", "5.20.6"},
		{"Pub", plimsoll.OS{}, plimsoll.TypePub, "archive", "3.3.7", "CVE-2023-39137", "3.3.8"},
		{"PyPI", plimsoll.OS{}, plimsoll.TypePyPI, "changedetection.io", "0.40.1", "CVE-2023-24769", "0.40.1.1"},
		{"RubyGems", plimsoll.OS{}, plimsoll.TypeGem, "ffi", "1.9.23", "CVE-2018-1000201", "1.9.24"},
		{"SwiftURL", plimsoll.OS{}, plimsoll.TypeSwift, "github.com/grpc/grpc-swift", "1.1.1", "CVE-2021-36153", "1.2.0"},
		{"crates.io", plimsoll.OS{}, plimsoll.TypeCargo, "smallvec", "1.6.0", "CVE-2021-25900", "1.6.1"},
		{"npm", plimsoll.OS{}, plimsoll.TypeNPM, "ws", "1.0.0", "CVE-2016-10518", "1.0.1"},
		{"opam", plimsoll.OS{}, "opam", "ocaml", "5.4.0", "CVE-2026-28364", "5.4.1"},
	} {
		t.Run(tt.ecosystem, func(t *testing.T) {
			p := plimsoll.Package{Type: tt.kind, Name: tt.name, Version: tt.before, Source: plimsoll.SourcePackage{Name: tt.name, Version: tt.before}}
			if !tt.kind.System() {
				p.Source = plimsoll.SourcePackage{}
			}
			later := p
			if later.Version = tt.fixed; tt.kind.System() {
				later.Source.Version = tt.fixed
			}
			verdicts, err := match.Judge(t.Context(), db, tt.os, []plimsoll.Package{p, later}, match.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if verdicts[0].Ecosystem != tt.ecosystem {
				t.Errorf("%q is asked: %s", verdicts[0].Ecosystem, verdicts[0].Why)
			}
			want := tt.flaw + " -> " + tt.fixed
			if got := foundIn(verdicts[0]); !slices.Contains(got, want) {
				t.Errorf("%s %s: %q, want %q", tt.name, tt.before, got, want)
			}
			if got := foundIn(verdicts[1]); len(got) > 0 {
				t.Errorf("%s %s: %q", tt.name, tt.fixed, got)
			}
		})
	}
}

// What Ubuntu's records say of its tracker's states: a released fix, also one for
// subscribers only, or none. Those that are needed, pending, deferred or ignored
// are alike in them (canonical/ubuntu-security-notices#7); where the package does
// not exist or is not affected, nothing is listed.
func TestDEB09StatesInUbuntusRecords(t *testing.T) {
	db := compiled(t, os.DirFS(filepath.Join("testdata", "records")))
	for _, tt := range []struct{ name, release, pkg, version, want string }{
		{"needed, pending, deferred or ignored", "16.04", "glibc", "2.23-0ubuntu11", "CVE-2009-5155 not-fixed"},
		{"released", "18.04", "glibc", "2.27-3ubuntu1", "CVE-2009-5155 fixed"},
		{"not affected, or DNE", "20.04", "glibc", "2.31-0ubuntu9", ""},
		{"released for subscribers", "16.04", "netty", "1:4.0.34-1", "CVE-2022-24823 extended-only low"},
		{"needed for subscribers too", "14.04", "netty", "1:3.2.6-2", "CVE-2022-24823 not-fixed low"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := plimsoll.Package{Type: plimsoll.TypeDeb, Name: tt.pkg, Version: tt.version, Source: plimsoll.SourcePackage{Name: tt.pkg, Version: tt.version}}
			verdicts, err := match.Judge(t.Context(), db, plimsoll.OS{ID: "ubuntu", VersionID: tt.release}, []plimsoll.Package{p}, match.Options{})
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, f := range verdicts[0].Findings {
				got += f.Vulnerability.ID + " " + string(f.State)
				if f.Vulnerability.Severity != plimsoll.SeverityUnknown {
					got += " " + f.Vulnerability.Severity.String()
				}
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func foundIn(v plimsoll.Verdict) []string {
	var list []string
	for _, f := range v.Findings {
		list = append(list, fmt.Sprintf("%s -> %s", f.Vulnerability.ID, f.FixedVersion))
	}
	return list
}

// compiled is a generation of OSV records, in the layout of [feed.Compile].
func compiled(t *testing.T, records fs.FS) *vulndb.DB {
	t.Helper()
	path := filepath.Join(t.TempDir(), "records.plim")
	w := vulndb.NewWriter(path)
	sources, problems, err := feed.Compile(t.Context(), w, records)
	if err != nil || len(problems) > 0 {
		t.Fatal(err, problems)
	}
	if _, err := w.Finish(t.Context(), sources, false); err != nil {
		t.Fatal(err)
	}
	db, err := vulndb.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}
