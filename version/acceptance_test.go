package version

import (
	"strings"
	"testing"
)

// TestAcceptance proves the vectors of the acceptance catalogue. Each line is
// a chain of versions joined by < or =.
func TestAcceptance(t *testing.T) {
	t.Parallel()
	tests := []struct {
		number string
		scheme Scheme
		chains []string
	}{
		{"DEB-12", Deb, []string{
			"1.0~rc1-1 < 1.0-1 < 1.0-1+b1 < 1.0-1+deb12u1",
			"2.0-1 < 1:0.9-1",
			"2.36-9+deb12u3 < 2.36-9+deb12u10",
			"1.2.3 = 1.2.3-0",
			"0:1.0 = 1.0",
			"1.0-1~bpo12+1 < 1.0-1",
			"5.0a < 5.0+a",
			"1.18.3-1 < 1.18.3+dfsg-1",
			"1.0.1-1~esm1 < 1.0.1-1 < 1.0.1-1+esm1",
			"1.0~~ < 1.0~ < 1.0",
			"09 = 9",
			"3.0.2-0ubuntu1.15 < 3.0.2-0ubuntu1.18",
		}},
		{"RPM-11", RPM, []string{
			"1.0~rc1 < 1.0 < 1.0^git1 < 1.0.1",
			"4.19.01 = 4.19.1",
			"1.a < 1.1",
			"1.0-1 = 0:1.0-1 < 1:0.5-1",
			"1-2.el7 < 1-2.el7_9",
		}},
		{"APK-02", APK, []string{
			"20.10.11.r0 < 20.10.11-r0",
		}},
		{"APK-04", APK, []string{
			"1.2_alpha < 1.2_beta < 1.2_pre < 1.2_rc < 1.2 < 1.2_cvs < 1.2_svn < 1.2_git < 1.2_hg < 1.2_p",
			"1.2 < 1.2a < 1.2b < 1.2.1",
			"1.2-r9 < 1.2-r10",
			"1.2 < 1.2-r1 < 1.2_p1-r0 < 1.2_p2-r0",
			"1.2 < 1.2~0a1b-r0 < 1.2_p1",
			"8.2.0015 < 8.2.002",
			"1.1-r9 < 1.1.0-r0 < 1.1.1-r0", // apk does not fill up with zeros
		}},
		{"ARC-01", Pacman, []string{
			"1.0a < 1.0b < 1.0beta < 1.0p < 1.0pre < 1.0rc < 1.0 < 1.0.a < 1.0.1", // from vercmp(8)
			"1 < 1.0 < 1.1 < 1.1.1 < 1.2 < 2.0 < 3.0.0",
			"1.0-9 < 1.0-10 < 1.0.1-1 < 1:0.5-1 = 1:0.5-01",
		}},
		{"JAR-08", Maven, []string{
			"1-alpha < 1-beta < 1-milestone < 1-rc = 1-cr < 1-SNAPSHOT < 1 = 1-ga = 1-final = 1.0.0 < 1-sp < 1-xyz < 1-1",
			"2.0-1 < 2.0.1",
			"2.0.1 < 2.0.1-xyz < 2.0.1-123",
			"31.1-jre < 32.0.0-android",
			"12.10.2.jre11 = 12.10.2 = 12.10.2.jre8 < 12.10.3.jre8",
			"5.0.0.RC1 < 5.0.0.RC2 < 5.0.0.RELEASE < 5.0.1",
		}},
		{"NPM-08", NPM, []string{
			"1.0.0-alpha < 1.0.0-alpha.1 < 1.0.0-alpha.beta < 1.0.0-beta < 1.0.0-beta.2 < 1.0.0-beta.11 < 1.0.0-rc.1 < 1.0.0",
			"1.0.0+a = 1.0.0+b = v1.0.0",
			"1.2.3beta = 1.2.3-beta = 1.2.3.beta < 1.2.3",
			"1.0.0-rc.1+build.5 = 1.0.0-rc.1",
		}},
		{"PY-06", PEP440, []string{
			"1.0.dev1 < 1.0a1 < 1.0b1 < 1.0rc1 < 1.0 < 1.0+local1 < 1.0.post1",
			"2.0 < 1!0.1",
			"1.0 = 1.0.0",
			"1.0c1 = 1.0rc1",
			"1.0-1 = 1.0.post1",
			"1.0.post1.dev1 < 1.0.post1",
			"1.0+abc < 1.0+5",
			"1.9 < 1.10",
		}},
		{"GO-03", Go, []string{
			"go1.21 = 1.21.0 = go1.21.0",
			"go1.22beta1 < go1.22rc1 = 1.22.0-rc.1 = go1.22.0-rc.1 = 1.22rc1 < go1.22rc2 < go1.22.0",
			"go1.21.9 < go1.21.10",
			"go1.22.1-bigcorp = go1.22.1",
			"go1.9.7 < go1.10",
		}},
		{"GO-04", Go, []string{
			"v2.0.0+incompatible = v2.0.0 = 2.0.0",
			"v1.2.2 < v1.2.3-0.20200101120000-abcdefabcdef < v1.2.3",
			"v1.2.3-pre < v1.2.3-pre.0.20200101120000-abcdefabcdef < v1.2.3",
			"v0.0.0-20190101000000-aaaaaaaaaaaa < v0.0.0-20200101000000-000000000000 < v0.0.1",
			"v1.2.3+dirty = v1.2.3",
		}},
		{"NET-01", NuGet, []string{
			"1.0 = 1.0.0 = 1.0.0.0 < 1.0.0.1",
			"1.0.0-Beta = 1.0.0-beta < 1.0.0-rc.1 < 1.0.0-rc.2 < 1.0.0",
			"1.0.0+a = 1.0.0+b",
		}},
		{"RB-01", Gem, []string{
			"1.0.a < 1.0 = 1.0.0",
			"1.8.2.a9 < 1.8.2.a10 < 1.8.2",
			"1.2-b4 < 1.2",
			"1.a.b < 1.a.0.b < 1.a = 1.a.0 < 1.a.0.1 < 1.a.1 < 1 < 1.0.1",
			"3.a < 3-11",
		}},
		{"PHP-01", Composer, []string{
			"1.0-dev < 1.0-alpha < 1.0-beta < 1.0-RC < 1.0 = 1.0-stable < 1.0-patch < 1.0.1",
			"v1.0 = 1.0 = 1.0.0.0",
			"dev-main < 0.1",
			"1.9.9 < 1.x-dev < 2.0.0-alpha1",
			"1.0.0-beta9 < 1.0.0-beta10",
			"1.0.0+build = 1.0.0",
		}},
	}
	for _, test := range tests {
		t.Run(test.number, func(t *testing.T) {
			t.Parallel()
			for _, chain := range test.chains {
				checkChain(t, test.scheme, chain)
			}
		})
	}
}

// TestOtherSchemes covers the schemes that no acceptance case names.
func TestOtherSchemes(t *testing.T) {
	t.Parallel()
	chains := map[Scheme]string{
		Opam:    "v0.15.1 < v0.16~preview < v0.16.0", // as Debian, letters included
		Cargo:   "0.9.0 < 1.0.0-alpha.1 < 1.0.0-rc.1 < 1.0.0 = 1.0.0+build",
		Hex:     "1.7.0-rc.0 < 1.7.0-rc.1 < 1.7.0 < 1.7.10",
		SemVer:  "v3 = 3.0 = v3.0.0 < v3.1 < v3.1.0.1 < v4",
		Pub:     "1.0.0-dev < 1.0.0 < 1.0.0+1 < 1.0.0+2 < 1.0.0+10 < 1.0.0+a",
		CRAN:    "0.1-2 < 0.1.3 < 0.1.3-0 < 0.2",
		Hackage: "0.11 < 1.0 < 1.0.0 < 1.0.10 = 1.0.10-tag",
	}
	for scheme, chain := range chains {
		t.Run(string(scheme), func(t *testing.T) {
			t.Parallel()
			checkChain(t, scheme, chain)
		})
	}
	// Numbers have no upper limit.
	ten := "1" + strings.Repeat("0", 600)
	for _, s := range []Scheme{Deb, RPM, APK, Pacman, NPM, Go, NuGet, Maven, PEP440, Gem, Composer, CRAN} {
		checkChain(t, s, strings.Repeat("9", 600)+" < "+ten+" < "+ten[:600]+"1")
	}
}

// checkChain checks every pair of a chain, both ways round.
func checkChain(t *testing.T, s Scheme, chain string) {
	t.Helper()
	f := strings.Fields(chain)
	for i := 0; i < len(f); i += 2 {
		want := "="
		for j := i; j < len(f); j += 2 {
			if j > i && f[j-1] == "<" {
				want = "<"
			}
			if got := relation(s, f[i], f[j]); got != want {
				t.Errorf("%s ? %s: got %s, want %s", f[i], f[j], got, want)
			}
			if got := relation(s, f[j], f[i]); got != mirror(want) {
				t.Errorf("%s ? %s: got %s, want %s", f[j], f[i], got, mirror(want))
			}
		}
	}
}

func TestGO03ToolchainWithExperiment(t *testing.T) {
	t.Parallel()
	for _, v := range []string{"go1.22.1 X:loopvar", "go1.22.1 (Red Hat 1.22.1-1.el9)", "go1.22.1+vendor"} {
		if got := relation(Go, v, "go1.22.1"); got != "=" {
			t.Errorf("%s: got %s go1.22.1, want =", v, got)
		}
	}
	if got := relation(Go, "go1.22rc1 X:loopvar", "go1.22rc1"); got != "=" {
		t.Errorf("release candidate with experiment: got %s, want =", got)
	}
}

func TestADV11Refuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		scheme Scheme
		v      string
	}{
		{Deb, ""}, {Deb, "a:1"}, {Deb, ":1"}, {Deb, "1:"}, {Deb, "-1"}, {Deb, "1-"}, {Deb, "1 2"}, {Deb, "1.α"},
		{RPM, "1\x00"},
		{NPM, "latest"}, {NPM, "1.x"}, {NPM, "1.2.3-"}, {NPM, "git+ssh://host/x"}, {NPM, "v"},
		{Go, "(devel)"}, {Go, "devel +abc"}, {Go, "go"}, {Go, "gopher"}, {Go, "go1.21pre"}, {Go, "v1.0.0 x"},
		{PEP440, "unknown"}, {PEP440, "v"}, {PEP440, "4f2a9c1d"}, {PEP440, "1.0-gfedcba9"}, {PEP440, "0.1dev-r1234"},
		{APK, "v1.2-r0"}, {APK, "edge"},
		{Gem, "a.1"}, {Gem, "1_2"},
		{Composer, "main"}, {Composer, "v"}, {Composer, "1.2#abc"},
		{CRAN, "1.a"}, {CRAN, "1."}, {Hackage, "-tag"},
		{"calver", "1"},
		{RPM, strings.Repeat("1", maxLength+1)},
	}
	for _, test := range tests {
		_, err := Parse(test.scheme, test.v)
		if err == nil {
			t.Errorf("%s %q: no error", test.scheme, test.v)
			continue
		}
		if !strings.Contains(err.Error(), string(test.scheme)) || len(err.Error()) > 300 {
			t.Errorf("%s %q: error does not name the scheme, or is too long: %v", test.scheme, test.v, err)
		}
	}
}

func TestPrerelease(t *testing.T) {
	t.Parallel()
	tests := []struct {
		scheme Scheme
		v      string
		want   bool
	}{
		{NPM, "1.0.0-rc.1", true}, {NPM, "1.0.0+rc", false},
		{PEP440, "1.0a1", true}, {PEP440, "1.0.dev3", true}, {PEP440, "1.0.post1.dev2", true}, {PEP440, "1.0.post1", false},
		{Maven, "1.0-SNAPSHOT", true}, {Maven, "1.0.Final", false}, {Maven, "31.1-jre", false},
		{Gem, "1.0.a", true}, {Gem, "1.0", false},
		{Composer, "dev-main", true}, {Composer, "1.0-RC1", true}, {Composer, "1.0-p1", false},
		{APK, "1.0_rc1-r0", true}, {APK, "1.0_p1-r0", false},
		{Go, "go1.22rc1", true}, {Go, "v2.0.0+incompatible", false},
		{NuGet, "1.0-beta", true}, {Deb, "1.0~rc1-1", false},
	}
	for _, test := range tests {
		v, err := Parse(test.scheme, test.v)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := v.Prerelease(); got != test.want {
			t.Errorf("%s %s: got %t, want %t", test.scheme, test.v, got, test.want)
		}
	}
}

func TestForEcosystem(t *testing.T) {
	t.Parallel()
	tests := map[string]Scheme{
		"Debian:12": Deb, "Ubuntu:22.04:LTS": Deb, "Echo": Deb,
		"Red Hat:enterprise_linux:9::baseos": RPM, "AlmaLinux:9": RPM, "Rocky Linux:8": RPM,
		"openEuler:24.03-LTS": RPM, "SUSE:Linux Enterprise Server 15 SP5": RPM, "openSUSE:Leap 15.6": RPM,
		"Mageia:9": RPM, "Azure Linux:3": RPM, "Amazon Linux": RPM, "Photon OS": RPM, "Oracle": RPM,
		"Fedora": RPM, "Anolis": RPM,
		"Alpine:v3.19": APK, "Wolfi": APK, "Chainguard": APK, "MinimOS": APK,
		"Docker Hardened Images:Alpine:3.24": APK, "Docker Hardened Images:Debian:13": Deb, "Root:PyPI": PEP440, "Echo:PyPi": PEP440, "Echo:npm": NPM,
		"PyPI": PEP440, "npm": NPM, "Maven": Maven, "Maven:https://repo.example": Maven, "Go": Go, "crates.io": Cargo,
		"NuGet": NuGet, "Packagist": Composer, "RubyGems": Gem, "Hex": Hex, "Pub": Pub, "CRAN": CRAN,
		"Bioconductor": CRAN, "Hackage": Hackage, "SwiftURL": SemVer, "ConanCenter": SemVer,
		"GitHub Actions": SemVer, "Julia": SemVer, "opam": Opam, "Linux": SemVer,
		"": "", "Android": "", "GIT": "", "Root": "", "debian": "",
	}
	for ecosystem, want := range tests {
		got, ok := ForEcosystem(ecosystem)
		if got != want || ok != (want != "") {
			t.Errorf("%q: got %q, %t, want %q", ecosystem, got, ok, want)
		}
	}
}

func TestRPMSpaceInFeedIsASeparator(t *testing.T) {
	t.Parallel()
	if got := relation(RPM, "0: 1.20.10-1.azl3", "1.20.10-1.azl3"); got != "=" {
		t.Errorf("got %s, want =", got)
	}
}

func TestCompareAcrossSchemesIsDeterministic(t *testing.T) {
	t.Parallel()
	a, _ := Parse(Deb, "2")
	b, _ := Parse(RPM, "1")
	if a.Compare(b) != -1 || b.Compare(a) != 1 {
		t.Error("versions of different schemes are not in the order of the schemes")
	}
}
