package ospkg

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

func TestAPK01RealDatabase(t *testing.T) {
	content := fixture(t, "apk/alpine-3.11.5.installed")
	for _, path := range []string{"lib/apk/db/installed", "usr/lib/apk/db/installed"} {
		facts := mustAnalyze(t, path, content)
		golden(t, "apk/alpine-3.11.5.golden", summary(facts))
		if n := strings.Count("\n"+string(content), "\nP:"); len(facts.Packages) != n {
			t.Errorf("%d packages of %d", len(facts.Packages), n)
		}
	}
}

func TestAPK01OriginAndFiles(t *testing.T) {
	facts := mustAnalyze(t, "lib/apk/db/installed", []byte("C:Q1\nP:ssl_client\nV:1.36.1-r5\nA:x86_64\nL:GPL-2.0-only\no:busybox\nm:A <a@example.org>\nF:usr\nF:usr/bin\nR:ssl_client\na:0:0:755\nF:\nR:top\n\nP:b\nV:1\n"))
	want := `ssl_client 1.36.1-r5 x86_64 source=busybox/1.36.1-r5 licenses="GPL-2.0-only" supplier="A <a@example.org>"
b 1  source=b/1
2 packages, 2 owned paths
`
	if diff := cmp.Diff(want, summary(facts)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string][]string{"ssl_client": {"usr/bin/ssl_client", "top"}}, owned(facts)); diff != "" {
		t.Error(diff)
	}
}

// A database that was cut off keeps what it still tells and says that it was.
func TestCutOffDatabaseIsAProblem(t *testing.T) {
	for path, record := range map[string]string{
		"lib/apk/db/installed":     "P:busybox\nV:1.36.1-r5\no:busybox\n",
		"var/lib/dpkg/status":      "Package: jq\nStatus: install ok installed\nVersion: 1.6-2\nSection: utils\n",
		"usr/lib/opkg/status":      "Package: jq\nStatus: install user installed\nVersion: 1.6-2\nSection: utils\n",
		"var/lib/dpkg/status.d/jq": "Package: jq\nVersion: 1.6-2\nSection: utils\n",
	} {
		for cut, want := range map[string]int{record + "\n": 0, record: 0, record[:len(record)-1]: 1, record[:len(record)-3]: 1} {
			if strings.Contains(path, "status.d") {
				want = 0 // those who write these files often leave out the last newline
			}
			facts, err := analyze(t, path, []byte(cut))
			if err != nil || len(facts.Packages) != 1 || len(facts.Problems) != want {
				t.Errorf("%s %q: got %+v, %v", path, cut, facts, err)
			}
		}
	}
}

func TestARC01Pacman(t *testing.T) {
	dir := "var/lib/pacman/local/gcc-libs-1:13.2.1-3/"
	desc := "%NAME%\ngcc-libs\n\n%VERSION%\n1:13.2.1-3\n\n%BASE%\ngcc\n\n%DESC%\n%NAME%\n\n%ARCH%\nx86_64\n\n%LICENSE%\nGPL-3.0-or-later\nLGPL-3.0-or-later\n\n%PACKAGER%\nP <p@example.org>\n"
	want := `gcc-libs 1:13.2.1-3 x86_64 source=/ licenses="GPL-3.0-or-later|LGPL-3.0-or-later" supplier="P <p@example.org>"
1 packages, 0 owned paths
`
	if diff := cmp.Diff(want, summary(mustAnalyze(t, dir+"desc", []byte(desc)))); diff != "" {
		t.Error(diff)
	}
	files := mustAnalyze(t, dir+"files", []byte("%FILES%\nusr/\nusr/lib/\nusr/lib/libgcc_s.so.1\n\n%BACKUP%\netc/x\tabc\n"))
	if diff := cmp.Diff(map[string][]string{"gcc-libs": {"usr/lib/libgcc_s.so.1"}}, owned(files)); diff != "" {
		t.Error(diff)
	}
}

func TestOSRelease(t *testing.T) {
	tests := []struct {
		name, path, content string
		want                *plimsoll.OS
	}{
		{"OS-01 os-release", "etc/os-release", string(fixture(t, "dpkg/debian-12.os-release")), &plimsoll.OS{
			ID: "debian", VersionID: "12", Codename: "bookworm", Name: "Debian GNU/Linux 12 (bookworm)", Version: "12 (bookworm)",
		}},
		{"OS-01 quotes and comments", "usr/lib/os-release", "# x\nID='rhel'\r\nID_LIKE=\"fedora centos\"\nVERSION_ID=\"8.6\"\nNAME=\"a \\\"b\\\"\"\nCPE_NAME=\"cpe:/o:redhat:enterprise_linux:8::baseos\"\nVARIANT_ID=x\nnonsense\n", &plimsoll.OS{
			ID: "rhel", IDLike: []string{"fedora", "centos"}, VersionID: "8.6", Name: `a "b"`, CPE: "cpe:/o:redhat:enterprise_linux:8::baseos", VariantID: "x",
		}},
		{"OS-01 redhat-release", "etc/redhat-release", "CentOS Linux release 7.9.2009 (Core)\n", &plimsoll.OS{
			ID: "centos", VersionID: "7.9.2009", Version: "7.9.2009 (Core)", Name: "CentOS Linux release 7.9.2009 (Core)", Release: "CentOS Linux release 7.9.2009 (Core)",
		}},
		{"OS-05 openEuler-release", "etc/openEuler-release", "openEuler release 20.03 (LTS-SP1)\n", &plimsoll.OS{
			ID: "openEuler", VersionID: "20.03", Version: "20.03 (LTS-SP1)", Name: "openEuler release 20.03 (LTS-SP1)", Release: "openEuler release 20.03 (LTS-SP1)",
		}},
		{"OS-01 kylin-release names its release by a word", "etc/kylin-release", "Kylin Linux Advanced Server release V10 (Lance)\n", &plimsoll.OS{
			ID: "kylin", VersionID: "V10", Version: "V10 (Lance)", Name: "Kylin Linux Advanced Server release V10 (Lance)", Release: "Kylin Linux Advanced Server release V10 (Lance)"}},
		{"OS-01 euleros-release", "etc/euleros-release", "EulerOS release 2.0 (SP10)\n", &plimsoll.OS{
			ID: "euleros", VersionID: "2.0", Version: "2.0 (SP10)", Name: "EulerOS release 2.0 (SP10)", Release: "EulerOS release 2.0 (SP10)"}},
		{"OS-01 system-release of UnionTech OS", "etc/system-release", "UnionTech OS Server release 20 (kongzi)\n", &plimsoll.OS{
			ID: "uos", VersionID: "20", Version: "20 (kongzi)", Name: "UnionTech OS Server release 20 (kongzi)", Release: "UnionTech OS Server release 20 (kongzi)"}},
		{"OS-01 debian_version", "etc/debian_version", "12.5\n", &plimsoll.OS{ID: "debian", VersionID: "12.5", Name: "Debian GNU/Linux 12.5", Release: "12.5"}},
		{"OS-02 debian_version of sid", "etc/debian_version", "forky/sid\n", &plimsoll.OS{ID: "debian", Name: "Debian GNU/Linux forky/sid", Release: "forky/sid"}},
		{"OS-01 alpine-release", "x/etc/alpine-release", "3.19.1\n", &plimsoll.OS{ID: "alpine", VersionID: "3.19.1", Name: "Alpine Linux 3.19.1", Root: "x"}},
		{"OS-01 lsb-release", "etc/lsb-release", "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=14.04\nDISTRIB_CODENAME=trusty\nDISTRIB_DESCRIPTION=\"Ubuntu 14.04 LTS\"\n", &plimsoll.OS{
			ID: "ubuntu", VersionID: "14.04", Codename: "trusty", Name: "Ubuntu 14.04 LTS",
		}},
		{"OS-01 lsb-release without a name", "etc/lsb-release", "LSB_VERSION=base-4.0\n", nil},
		{"OS-01 system-release-cpe", "etc/system-release-cpe", "cpe:/o:redhat:enterprise_linux:6server:ga:server\n", &plimsoll.OS{
			ID: "rhel", VersionID: "6", Name: "cpe:/o:redhat:enterprise_linux:6server:ga:server", CPE: "cpe:/o:redhat:enterprise_linux:6server:ga:server", Release: "cpe:/o:redhat:enterprise_linux:6server:ga:server",
		}},
		{"someone else's release file", "etc/system-release", "Acme OS 1\n", nil},
		{"empty", "etc/os-release", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want != nil {
				tt.want.Path = tt.path
			}
			if diff := cmp.Diff(tt.want, mustAnalyze(t, tt.path, []byte(tt.content)).System); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOSReleaseIsBounded(t *testing.T) {
	content := "ID=debian\n" + strings.Repeat("#", maxSmall)
	facts, err := analyze(t, "etc/os-release", []byte(content))
	if plimsoll.CodeOf(err) != plimsoll.CodeLimit || facts.System != nil {
		t.Errorf("%v, %v", facts.System, err)
	}
}

func FuzzApkInstalled(f *testing.F) {
	f.Add([]byte("P:p\nV:1\no:q\nF:usr\nR:a\n\n"))
	fuzzFile(f, "lib/apk/db/installed")
}

func FuzzAlpm(f *testing.F) {
	f.Add([]byte("%NAME%\np\n\n%VERSION%\n1\n\n%FILES%\nusr/x\n"))
	fuzzFile(f, "var/lib/pacman/local/p-1-1/desc")
}

func FuzzOSRelease(f *testing.F) {
	f.Add("os-release", []byte("ID=debian\nVERSION_ID=\"12\"\n"))
	f.Add("debian_version", []byte("forky/sid"))
	f.Add("system-release-cpe", []byte("cpe:2.3:o:amazon:amazon_linux:2"))
	f.Add("redhat-release", []byte("CentOS release 6"))
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		if (osRelease{}).Wants("etc/"+name) == 0 {
			return
		}
		facts, err := analyze(t, "etc/"+name, content)
		checkFacts(t, facts, err)
		if facts.System != nil {
			facts.System.Distribution()
		}
	})
}
