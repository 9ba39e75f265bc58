package plimsoll

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDistribution(t *testing.T) {
	tests := []struct {
		name      string
		os        OS
		want      string // name, release and, joined by a bar, ecosystems
		assumed   bool
		unknown   bool
		endOfLife string
		typ       PackageType
	}{
		{name: "OS-01 debian_version only", os: OS{ID: "debian", VersionID: "12.5", Release: "12.5"}, want: "Debian 12 Debian:12", endOfLife: "2028-06-30", typ: TypeDeb},
		{name: "Debian", os: OS{ID: "debian", VersionID: "12", Codename: "bookworm"}, want: "Debian 12 Debian:12", endOfLife: "2028-06-30"},
		{name: "OS-02 testing by codename", os: OS{ID: "debian", Codename: "forky", Release: "forky/sid"}, want: "Debian 14 Debian:14", assumed: true},
		{name: "OS-02 testing before it got its number", os: OS{ID: "debian", Codename: "trixie"}, want: "Debian 13 Debian:13", endOfLife: "2030-06-30"},
		{name: "OS-02 testing by debian_version", os: OS{ID: "debian", Release: "forky/sid"}, want: "Debian 14 Debian:14", assumed: true},
		{name: "OS-02 sid is not testing", os: OS{ID: "debian", Codename: "sid"}, want: "Debian sid "},
		{name: "OS-02 nothing known", os: OS{ID: "debian"}, want: "Debian  "},
		{name: "OS-03 Alpine edge", os: OS{ID: "alpine", VersionID: "3.24_alpha20260901"}, want: "Alpine Linux edge Alpine:edge"},
		{name: "OS-03 Alpine branch", os: OS{ID: "alpine", VersionID: "3.19.1"}, want: "Alpine Linux 3.19 Alpine:v3.19", endOfLife: "2025-11-01", typ: TypeAPK},
		{name: "OS-04 CentOS", os: OS{ID: "centos", VersionID: "7", Name: "CentOS Linux 7 (Core)"}, want: "CentOS 7 Red Hat:enterprise_linux:7|Red Hat:enterprise_linux:7.*|Red Hat:enterprise_linux:7::*", assumed: true, endOfLife: "2024-06-30"},
		{name: "OS-04 CentOS 8 ends before RHEL 8", os: OS{ID: "centos", VersionID: "8", Name: "CentOS Linux 8"}, want: "CentOS 8 Red Hat:enterprise_linux:8|Red Hat:enterprise_linux:8.*|Red Hat:enterprise_linux:8::*", assumed: true, endOfLife: "2021-12-31"},
		{name: "OS-04 CentOS Stream", os: OS{ID: "centos", VersionID: "9", Name: "CentOS Stream 9"}, want: "CentOS Stream 9 ", endOfLife: "2027-05-31"},
		{name: "OS-04 Fedora", os: OS{ID: "fedora", VersionID: "35"}, want: "Fedora 35 ", endOfLife: "2022-12-13"},
		{name: "OS-04 Rocky", os: OS{ID: "rocky", VersionID: "9.3"}, want: "Rocky Linux 9 Rocky Linux:9", endOfLife: "2032-05-31"},
		{name: "OS-04 Alma", os: OS{ID: "almalinux", VersionID: "8.9", Name: "AlmaLinux 8.9"}, want: "AlmaLinux 8 AlmaLinux:8", endOfLife: "2029-05-31"},
		{name: "OS-04 Alma Kitten", os: OS{ID: "almalinux", VersionID: "10", Name: "AlmaLinux Kitten 10"}, want: "AlmaLinux Kitten 10 "},
		{name: "OS-04 Oracle", os: OS{ID: "ol", VersionID: "8.8"}, want: "Oracle Linux 8 ", endOfLife: "2029-07-31"},
		{name: "RHEL", os: OS{ID: "rhel", VersionID: "8.6"}, want: "Red Hat Enterprise Linux 8 Red Hat:enterprise_linux:8|Red Hat:enterprise_linux:8.*|Red Hat:enterprise_linux:8::*", endOfLife: "2029-05-31", typ: TypeRPM},
		{name: "OS-05 Amazon 1", os: OS{ID: "amzn", VersionID: "2018.03"}, want: "Amazon Linux 2018 ", endOfLife: "2023-12-31"},
		{name: "OS-05 Amazon 2023", os: OS{ID: "amzn", VersionID: "2023"}, want: "Amazon Linux 2023 ", endOfLife: "2029-06-30"},
		{name: "OS-05 SLES service pack", os: OS{ID: "sles", VersionID: "15.3"}, want: "SUSE Linux Enterprise Server 15.3 " +
			"SUSE:Linux Enterprise Module for Basesystem 15 SP3|SUSE:Linux Enterprise Module for Containers 15 SP3|SUSE:Linux Enterprise Module for Desktop Applications 15 SP3|" +
			"SUSE:Linux Enterprise Module for Development Tools 15 SP3|SUSE:Linux Enterprise Module for Legacy 15 SP3|SUSE:Linux Enterprise Module for Public Cloud 15 SP3|" +
			"SUSE:Linux Enterprise Module for Python 3 15 SP3|SUSE:Linux Enterprise Module for Server Applications 15 SP3|SUSE:Linux Enterprise Module for Web and Scripting 15 SP3|" +
			"SUSE:Linux Enterprise Server 15 SP3|SUSE:Linux Enterprise Server 15 SP3-*", endOfLife: "2022-12-31"},
		{name: "OS-05 Leap", os: OS{ID: "opensuse-leap", VersionID: "15.2"}, want: "openSUSE Leap 15.2 openSUSE:Leap 15.2", endOfLife: "2022-01-04"},
		{name: "OS-05 Tumbleweed date", os: OS{ID: "opensuse-tumbleweed", VersionID: "20240607"}, want: "openSUSE Tumbleweed  openSUSE:Tumbleweed"},
		{name: "OS-05 SLE Micro", os: OS{ID: "sle-micro", VersionID: "5.3"}, want: "SUSE Linux Enterprise Micro 5.3 SUSE:Linux Enterprise Micro 5.3"},
		{name: "OS-05 Mariner", os: OS{ID: "mariner", VersionID: "2.0"}, want: "Azure Linux 2 Azure Linux:2", endOfLife: "2025-07-31"},
		{name: "OS-05 Azure Linux", os: OS{ID: "azurelinux", VersionID: "3.0"}, want: "Azure Linux 3 Azure Linux:3", endOfLife: "2027-08-31"},
		{name: "OS-05 Photon", os: OS{ID: "photon", VersionID: "3.0"}, want: "Photon OS 3.0 ", endOfLife: "2024-03-01"},
		{name: "OS-05 openEuler service pack", os: OS{ID: "openEuler", VersionID: "22.03", Version: "22.03 (LTS-SP3)"}, want: "openEuler 22.03-LTS-SP3 openEuler:22.03-LTS-SP3", endOfLife: "2025-12-31"},
		{name: "OS-05 openEuler LTS", os: OS{ID: "openEuler", VersionID: "20.03", Version: "20.03 (LTS)"}, want: "openEuler 20.03-LTS openEuler:20.03-LTS", endOfLife: "2021-03-31"},
		{name: "OS-05 openEuler innovation release", os: OS{ID: "openEuler", VersionID: "23.09", Version: "23.09"}, want: "openEuler 23.09 openEuler:23.09", endOfLife: "2024-03-31"},
		{name: "OS-05 EulerOS, with the architecture in its name", os: OS{ID: "euleros", VersionID: "2.0", Version: "2.0 (SP9x86_64)"}, want: "EulerOS 2.0-SP9 "},
		{name: "OS-05 EulerOS, and another spelling", os: OS{ID: "euleros", VersionID: "2.0", Version: "2.0 (SP12 x86_64)"}, want: "EulerOS 2.0-SP12 "},
		{name: "OS-05 HCE", os: OS{ID: "hce", VersionID: "2.0", Version: "2.0 (x86_64)"}, want: "Huawei Cloud EulerOS 2.0 "},
		{name: "OS-05 Kylin's service packs have names", os: OS{ID: "kylin", VersionID: "V10", Version: "V10 (Lance)"}, want: "Kylin V10-SP3 "},
		{name: "OS-05 Anolis: one stream of errata for a major release", os: OS{ID: "anolis", VersionID: "8.6"}, want: "Anolis OS 8 ", endOfLife: "2031-03-31"},
		{name: "OS-05 CTyunOS", os: OS{ID: "ctyunos", VersionID: "23.01", Version: "23.01"}, want: "CTyunOS 23.01 "},
		{name: "OS-05 UnionTech's server", os: OS{ID: "uos", VersionID: "20", Name: "UnionTech OS Server 20"}, want: "UnionTech OS Server 20 ", typ: TypeRPM},
		{name: "OS-05 UnionTech's desktop", os: OS{ID: "uos", VersionID: "20", Name: "UnionTech OS Desktop 20 Home"}, want: "UnionTech OS 20 ", typ: TypeDeb},
		{name: "OS-06 EuroLinux", os: OS{ID: "eurolinux", VersionID: "9.2"}, want: "EuroLinux 9 Red Hat:enterprise_linux:9|Red Hat:enterprise_linux:9.*|Red Hat:enterprise_linux:9::*", assumed: true, endOfLife: "2032-05-31"},
		{name: "OS-05 Wolfi", os: OS{ID: "wolfi", VersionID: "20230201"}, want: "Wolfi  Wolfi"},
		{name: "OS-05 Chainguard", os: OS{ID: "chainguard", VersionID: "20230214"}, want: "Chainguard  Chainguard"},
		{name: "OS-09 Docker's Alpine", os: OS{ID: "dhi", VersionID: "3.24", IDLike: []string{"alpine"}}, want: "Docker Hardened Images of Alpine 3.24 Docker Hardened Images:Alpine:3.24", typ: TypeAPK},
		{name: "OS-09 Docker's Debian", os: OS{ID: "dhi", VersionID: "13", IDLike: []string{"debian"}}, want: "Docker Hardened Images of Debian 13 Docker Hardened Images:Debian:13", typ: TypeDeb},
		{name: "OS-06 Raspbian", os: OS{ID: "raspbian", VersionID: "11", IDLike: []string{"debian"}}, want: "Raspbian 11 Debian:11", assumed: true, endOfLife: "2026-08-31"},
		{name: "OS-06 Devuan has its own numbers", os: OS{ID: "devuan", VersionID: "5"}, want: "Devuan 5 Debian:12", assumed: true, endOfLife: "2028-06-30"},
		{name: "OS-06 Mint", os: OS{ID: "linuxmint", VersionID: "21.3"}, want: "Linux Mint 21 Ubuntu:Pro:22.04:LTS|Ubuntu:22.04:LTS", assumed: true, endOfLife: "2027-06-01"},
		{name: "OS-06 ID_LIKE alone is no reason", os: OS{ID: "acme", VersionID: "12", IDLike: []string{"debian"}}, unknown: true},
		{name: "OS-06 Kali", os: OS{ID: "kali", VersionID: "2026.3", IDLike: []string{"debian"}}, want: "Kali Linux  "},
		{name: "OS-07 Ubuntu LTS", os: OS{ID: "ubuntu", VersionID: "18.04"}, want: "Ubuntu 18.04 Ubuntu:Pro:18.04:LTS|Ubuntu:18.04:LTS", endOfLife: "2023-05-31"},
		{name: "OS-07 Ubuntu", os: OS{ID: "ubuntu", VersionID: "19.10"}, want: "Ubuntu 19.10 Ubuntu:19.10", endOfLife: "2020-07-17"},
		{name: "no identity", os: OS{}, unknown: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, known := tt.os.Distribution()
			if known == tt.unknown {
				t.Fatalf("known: %v", known)
			}
			if tt.unknown {
				return
			}
			if got := d.Name + " " + d.Release + " " + strings.Join(d.Ecosystems, "|"); got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
			if d.Assumed != tt.assumed {
				t.Errorf("assumed: %v", d.Assumed)
			}
			end := ""
			if !d.EndOfLife.IsZero() {
				end = d.EndOfLife.Format(time.DateOnly)
			}
			if end != tt.endOfLife {
				t.Errorf("end of life %q, want %q", end, tt.endOfLife)
			}
			if tt.typ != "" && d.Type != tt.typ {
				t.Errorf("type %q", d.Type)
			}
		})
	}
}

// TestBound: every row of mission section 2 can be given advisories by its release
// alone, and what people write in a configuration is what its images are.
func TestBound(t *testing.T) {
	for _, tt := range []struct {
		claim string
		os    OS
		want  string
	}{
		{"euleros:2.0-SP9", OS{ID: "euleros", VersionID: "2.0", Version: "2.0 (SP9x86_64)"}, "EulerOS:2.0-SP9"},
		{"hce:1.1", OS{ID: "hce", VersionID: "1.1", Version: "1.1 (x86_64)"}, "Huawei Cloud EulerOS:1.1"},
		{"hce:2.0", OS{ID: "hce", VersionID: "2.0", Version: "2.0 (x86_64)"}, "Huawei Cloud EulerOS:2.0"},
		{"kylin:V10-SP1", OS{ID: "kylin", VersionID: "V10", Version: "V10 (Tercel)"}, "Kylin:V10-SP1"},
		{"kylin:V10-SP2", OS{ID: "kylin", VersionID: "V10", Version: "V10 (Sword)"}, "Kylin:V10-SP2"},
		{"kylin:V10-SP3", OS{ID: "kylin", VersionID: "V10", Version: "V10 (Lance)"}, "Kylin:V10-SP3"},
		{"uniontech-os-server:20", OS{ID: "uos", VersionID: "20", Name: "UnionTech OS Server 20"}, "UnionTech OS Server:20"},
		{"ctyunos:23.01", OS{ID: "ctyunos", VersionID: "23.01"}, "CTyunOS:23.01"},
		{"anolis:8", OS{ID: "anolis", VersionID: "8.6"}, "Anolis OS:8"},
		{"amzn:2", OS{ID: "amzn", VersionID: "2"}, "Amazon Linux:2"},
		{"amzn:2023", OS{ID: "amzn", VersionID: "2023"}, "Amazon Linux:2023"},
		{"ol:9", OS{ID: "ol", VersionID: "9.4"}, "Oracle Linux:9"},
		{"fedora:42", OS{ID: "fedora", VersionID: "42"}, "Fedora:42"},
		{"photon:5.0", OS{ID: "photon", VersionID: "5.0"}, "Photon OS:5.0"},
		{"azurelinux:3", OS{ID: "azurelinux", VersionID: "3.0"}, "Azure Linux:3"},
		{"centos-stream:9", OS{ID: "centos", VersionID: "9", Name: "CentOS Stream 9"}, "CentOS Stream:9"},
		{"centos:7", OS{ID: "centos", VersionID: "7", Name: "CentOS Linux 7 (Core)"}, "CentOS:7"},
		{"mageia:9", OS{ID: "mageia", VersionID: "9"}, "Mageia:9"},
		{"opensuse-tumbleweed", OS{ID: "opensuse-tumbleweed", VersionID: "20260101"}, "openSUSE Tumbleweed"},
		{"openeuler:22.03-LTS-SP3", OS{ID: "openEuler", VersionID: "22.03", Version: "22.03 (LTS-SP3)"}, "openEuler:22.03-LTS-SP3"},
		{"debian:12", OS{ID: "debian", VersionID: "12"}, "Debian:12"},
		{"debian:sid", OS{ID: "debian", Codename: "sid"}, "Debian:sid"},
	} {
		claimed, err := ParseOS(tt.claim, "")
		if err != nil {
			t.Errorf("%s: %v", tt.claim, err)
		}
		for _, os := range []OS{claimed, tt.os} {
			if d, _ := os.Distribution(); d.Bound() != tt.want {
				t.Errorf("%s: %+v is %q, want %q", tt.claim, os, d.Bound(), tt.want)
			}
		}
	}
}

// What no image can say it is is refused, with what would do.
func TestClaimsThatNothingCanMatch(t *testing.T) {
	for claim, says := range map[string]string{
		"nonesuch:1":         "not a known distribution",
		"debian":             "it names no release of Debian; write it like 12, 13, 14, 15, sid",
		"debian:":            "names no release",
		"debian:*":           `"*" is no release of Debian`,
		"debian:12:13":       `"12:13" is no release`,
		"debian:stable":      "write it like",
		"debian:12-slim":     `"12-slim" is no release of Debian; write it like 12, 13, 14, 15, sid`,
		"debian/12 ":         `"12 " is no release`,
		"alpine:3":           "3.22",
		"ubuntu:24":          "write it like 24.04, 24.10",
		"ubuntu:noble-extra": "write it like",
		"sles:15-SP3":        `"15-SP3" is no release of SUSE Linux Enterprise Server`,
		"openeuler:22.03":    "22.03-LTS-SP4",
		"euleros:*":          "write it like 2.0, 2.0-SP9",
		"euleros:2.9":        "write it like 2.0, 2.0-SP9",
		"hce:2":              "write it like 2.0",
		"hce:base":           "write it like 1.1, 2.0",
		"kylin:v10-sp3":      "V10-SP3",
		"kylin:10":           "V10, V10-SP1, V10-SP2, V10-SP3, V10-SP3-2403",
		"uos:server":         "VERSION_ID",
		"wolfi:*":            "Wolfi has no releases; write wolfi alone",
	} {
		if os, err := ParseOS(claim, ""); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %+v, %v; want %q", claim, os, err, says)
		}
	}
	kylin, _ := OS{ID: "kylin", Version: "V10 (Azalea)"}.Distribution()
	if got := strings.Join(kylin.ServicePacks(), " "); got != "V10-SP1 V10-SP2 V10-SP3 V10-SP3-2403" {
		t.Errorf("service packs of Kylin V10: %s", got)
	}
	// Releases that are not in the table yet are spelled like the others.
	for _, claim := range []string{"debian:16", "debian:12.5", "debian:bookworm", "alpine:3.99", "alpine:3.19.1", "ubuntu:28.04", "ubuntu:noble", "openeuler:26.03-LTS-SP1", "openeuler:23.09",
		"euleros:2.0-SP15", "hce:3.0", "kylin:V11", "kylin:V10", "sles:15.7", "sles:15", "amzn:2018.03", "fedora:60", "wolfi", "arch", "opensuse-tumbleweed:20260101", "uos:25", "opencloudos:9.2"} {
		if _, err := ParseOS(claim, ""); err != nil {
			t.Errorf("%s: %v", claim, err)
		}
	}
}

// TestDistributionTable keeps the data in order, so that a row is reviewed by
// reading it.
func TestDistributionTable(t *testing.T) {
	decoder := json.NewDecoder(strings.NewReader(string(distributionsJSON)))
	decoder.DisallowUnknownFields()
	var table distributionTable
	if err := decoder.Decode(&table); err != nil {
		t.Fatal(err)
	}
	schemes := map[PackageType]string{TypeDeb: "deb", TypeRPM: "rpm", TypeAPK: "apk", TypeALPM: "pacman"}
	for i, row := range table {
		if !slices.IsSorted(row.IDs) || len(row.IDs) == 0 || i > 0 && table[i-1].IDs[0] > row.IDs[0] {
			t.Errorf("%s is out of order", row.Name)
		}
		for _, id := range row.IDs {
			if table.find(OS{ID: id, Name: row.Variant, IDLike: []string{row.Like}}) != i {
				t.Errorf("%s: ID %s belongs to another row too", row.Name, id)
			}
		}
		if row.Scheme == "" || row.Scheme != schemes[row.Type] {
			t.Errorf("%s: %s packages in the order of %q", row.Name, row.Type, row.Scheme)
		}
		if !slices.Contains([]string{"major", "minor", "full", "version", "none"}, row.Release) {
			t.Errorf("%s: release rule %q", row.Name, row.Release)
		}
		if row.As != "" {
			if base := table.find(OS{ID: row.As}); base < 0 || table[base].As != "" || table[base].Type != row.Type {
				t.Errorf("%s derives from %q", row.Name, row.As)
			}
		}
		for release, day := range row.EndOfLife {
			if _, err := time.Parse(time.DateOnly, day); err != nil {
				t.Errorf("%s %s: %v", row.Name, release, err)
			}
		}
	}
}

func BenchmarkDistribution(b *testing.B) {
	for b.Loop() {
		OS{ID: "debian", VersionID: "12"}.Distribution()
	}
}
