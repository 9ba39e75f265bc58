package ospkg

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
	"plimsoll/inventory"
)

func TestNIX01StorePaths(t *testing.T) {
	const store = "nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-"
	for path, want := range map[string]string{
		store + "glibc-2.37-8/lib/libc.so.6":                        "glibc 2.37-8",
		store + "bash-interactive-5.2p26/bin/bash":                  "bash-interactive 5.2p26",
		store + "openssl-3.0.13-bin/bin/openssl":                    "openssl 3.0.13",
		store + "gcc-12.3.0-lib/lib/libstdc++.so.6":                 "gcc 12.3.0",
		store + "python3.11-requests-2.31.0/nix-support/x":          "python3.11-requests 2.31.0",
		store + "nss-cacert-3.95/etc/ssl/ca-bundle.crt":             "nss-cacert 3.95",
		store + "tzdata-2024a/share/zoneinfo/UTC":                   "tzdata 2024a",
		store + "unstable-pkg-unstable-2024-01-01/bin/x":            "unstable-pkg-unstable 2024-01-01",
		store + "glibc-2.37-8/share/i18n/locales/C":                 "", // deep inside
		store + "glibc-2.37-8":                                      "", // a file is no package
		store + "source/README":                                     "",
		store + "setup-hook/nix-support/setup-hook":                 "",
		"nix/store/.links/1abc":                                     "",
		"nix/store/3n58xw4373jp0ljirf06d8077j15pc4e-a-1/bin/a":      "", // e is no digit
		"nix/store/3n58xw4373jp0ljirf06d8077j15pc4j/bin/a":          "",
		"home/nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-a-1/bin/a": "",
	} {
		got := ""
		if (nix{}).Wants(path) == inventory.Yes {
			p := mustAnalyze(t, path, nil).Packages[0]
			got = p.Name + " " + p.Version
			if p.Type != plimsoll.TypeNix || p.Evidence != plimsoll.EvidencePackageDB {
				t.Errorf("%s: %+v", path, p)
			}
		}
		if got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
}

// However many files it has, a directory of the store is one package; another one
// of the same version is another package.
func TestNIX01OnePackageForADirectory(t *testing.T) {
	const a, b = "nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-curl-8.6.0/", "nix/store/0n58xw4373jp0ljirf06d8077j15pc4j-curl-8.6.0-bin/"
	inv := scan(t, map[string]string{a + "lib/libcurl.so.4": "x", a + "lib/libcurl.so": "y", a + "nix-support/x": "z", b + "bin/curl": "x"})
	var got []string
	for _, p := range inv.Packages {
		got = append(got, p.PURL+" "+p.Path)
	}
	want := []string{"pkg:nix/curl@8.6.0 " + b + "bin/curl", "pkg:nix/curl@8.6.0 " + a + "lib/libcurl.so"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSNAP01SnapYAML(t *testing.T) {
	for _, tt := range []struct{ name, content, want string }{
		{"a base", "name: core20\nversion: '20240705'\nsummary: x\ntype: base\narchitectures: [amd64]\nconfinement: strict\n", "core20 20240705 []"},
		{"a version that looks like a number", "name: hello\nversion: 2.10\nlicense: GPL-3.0 # or later\n", "hello 2.10 [GPL-3.0]"},
		{"apps and anchors are not looked at", "name: hello\nversion: \"1\"\nplugs: &p {a: null}\napps:\n  hello: {command: bin/hello, plugs: *p}\n", "hello 1 []"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := mustAnalyze(t, "snap/x/1/meta/snap.yaml", []byte(tt.content)).Packages[0]
			license := "["
			for _, l := range p.Licenses {
				license += l
			}
			if got := p.Name + " " + p.Version + " " + license + "]"; got != tt.want || p.Type != plimsoll.TypeSnap {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
	if facts, err := analyze(t, "snap/x/1/meta/snap.yaml", []byte("name: x\n")); err != nil || len(facts.Packages) != 0 || len(facts.Problems) != 1 {
		t.Errorf("no version: %+v %v", facts, err)
	}
	facts, err := analyze(t, "var/lib/snapd/snaps/core20_2318.snap", []byte("hsqs"))
	if err != nil || len(facts.Packages) != 0 || len(facts.Problems) != 1 || facts.Problems[0].Code != plimsoll.ProblemUnidentified {
		t.Errorf("a packed snap: %+v %v", facts, err)
	}
}

func FuzzSnap(f *testing.F) {
	f.Add([]byte("name: core20\nversion: '20240705'\nlicense: x\narchitectures: [amd64]\n"))
	f.Add([]byte("a: &a [x, x]\nb: &b [*a, *a]\nname: *b\n"))
	fuzzFile(f, "snap/core20/2318/meta/snap.yaml")
}

func FuzzNix(f *testing.F) {
	f.Add("nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.37-8/lib/libc.so.6")
	f.Fuzz(func(t *testing.T, path string) {
		if (nix{}).Wants(path) == inventory.Yes {
			facts, err := nix{}.Analyze(context.Background(), fileOf(path, nil))
			checkFacts(t, facts, err)
		}
	})
}
