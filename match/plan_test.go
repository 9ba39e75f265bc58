package match

import (
	"encoding/json"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

var update = flag.Bool("update", false, "write the golden files")

const (
	baseLayer = plimsoll.Digest("sha256:aaaa")
	ownLayer  = plimsoll.Digest("sha256:bbbb")
)

func layered(p plimsoll.Package, layer plimsoll.Digest, path string) plimsoll.Package {
	p.Layer = layer
	if path != "" {
		p.Path = path
	}
	return p
}

// One plan with a base of Debian and applications of many ecosystems (part G).
func TestPlan(t *testing.T) {
	img := plimsoll.Image{Layers: []plimsoll.Layer{
		{DiffID: baseLayer, CreatedBy: "ADD rootfs.tar.xz /", Base: true},
		{DiffID: ownLayer, CreatedBy: "RUN npm ci"},
	}}
	const eco = "Debian:12"
	adv := generation(
		about("DEBIAN-CVE-2024-1", eco, "openssl", "introduced 0", "fixed 3.0.9-1"),
		about("DEBIAN-CVE-2024-2", eco, "openssl", "introduced 0", "fixed 3.0.11-1"),
		withState(about("DEBIAN-CVE-2024-3", eco, "openssl", "introduced 0"), plimsoll.FixDeferred),
		about("DEBIAN-CVE-2024-4", eco, "linux", "introduced 0", "fixed 6.1.99-1"),
		about("DEBIAN-CVE-2024-5", eco, "curl", "introduced 0", "fixed 7.88.1-10+deb12u5"),
		about("CVE-2024-10", "npm", "lodash", "introduced 0", "fixed 4.17.21"),
		about("CVE-2024-11", "npm", "minimist", "introduced 0", "fixed 0.2.4", "introduced 1.0.0", "fixed 1.2.6"),
		about("CVE-2024-12", "npm", "tar", "introduced 0"),
		about("CVE-2024-20", "PyPI", "django", "introduced 3.2", "fixed 3.2.5", "introduced 4.0", "fixed 4.0.3"),
		about("CVE-2024-21", "PyPI", "django", "introduced 0", "fixed 4.0.1"),
		about("CVE-2024-22", "PyPI", "urllib3", "introduced 0", "fixed 1.26.18"),
		about("CVE-2024-30", "Go", "golang.org/x/net", "introduced 0", "fixed 0.17.0"),
		about("CVE-2024-31", "Go", "stdlib", "introduced 0", "fixed 1.21.9"),
		about("CVE-2024-40", "Maven", "org.apache.logging.log4j:log4j-core", "introduced 2.0", "fixed 2.17.1"),
		about("CVE-2024-50", "Packagist", "symfony/http-kernel", "introduced 0", "fixed 5.4.20"),
		about("CVE-2024-60", "RubyGems", "rack", "introduced 0", "fixed 2.2.8"),
		about("CVE-2024-70", "crates.io", "time", "introduced 0", "fixed 0.2.23"),
		about("CVE-2024-80", "NuGet", "newtonsoft.json", "introduced 0", "fixed 13.0.1"),
	)
	adv.flaws["CVE-2024-40"] = plimsoll.Vulnerability{ID: "CVE-2024-40", Ratings: []plimsoll.Rating{{Source: "GitHub", Severity: plimsoll.SeverityCritical}}}
	inv := debian(
		layered(deb("apt", "2.6.1"), baseLayer, ""),
		layered(built(deb("libssl3", "3.0.8-1"), "openssl", "3.0.8-1"), baseLayer, ""),
		layered(built(deb("openssl", "3.0.8-1"), "openssl", "3.0.8-1"), baseLayer, ""),
		layered(built(deb("linux-libc-dev", "6.1.90-1"), "linux", "6.1.90-1"), baseLayer, ""),
		layered(deb("curl", "7.88.1-10"), ownLayer, ""),
		layered(lang("npm", "lodash", "4.17.20"), ownLayer, "app/node_modules/lodash/package.json"),
		layered(lang("npm", "minimist", "1.2.0"), ownLayer, "app/node_modules/mkdirp/node_modules/minimist/package.json"),
		layered(lang("npm", "lodash", "4.17.19"), ownLayer, "usr/local/lib/node_modules/lodash/package.json"),
		layered(lang("npm", "lodash", "4.17.18"), ownLayer, "usr/local/lib/node_modules/@vue/cli/node_modules/lodash/package.json"),
		layered(lang("npm", "tar", "1.0.0"), ownLayer, "app/node_modules/tar/package.json"),
		layered(lang("pypi", "Django", "3.2.1"), ownLayer, "opt/venv/lib/python3.11/site-packages/Django-3.2.1.dist-info/METADATA"),
		withBundler(layered(lang("pypi", "urllib3", "1.26.0"), ownLayer, "usr/local/lib/python3.11/site-packages/pip/_vendor/urllib3"), "pip"),
		layered(lang("golang", "golang.org/x/net", "v0.10.0"), ownLayer, "usr/local/bin/tool"),
		layered(lang("golang", "stdlib", "1.20.1"), ownLayer, "usr/local/bin/tool"),
		layered(lang("maven", "org.apache.logging.log4j:log4j-core", "2.14.1"), ownLayer, "srv/my app.war!/WEB-INF/lib/log4j-core-2.14.1.jar"),
		layered(lang("composer", "symfony/http-kernel", "v5.4.0"), ownLayer, "var/www/vendor/composer/installed.json"),
		layered(lang("gem", "rack", "2.2.0"), ownLayer, "usr/local/bundle/specifications/rack-2.2.0.gemspec"),
		layered(lang("cargo", "time", "0.1.43"), ownLayer, "usr/local/bin/rusty"),
		layered(lang("nuget", "Newtonsoft.Json", "12.0.3"), ownLayer, "app/app.deps.json"),
	)
	e := evaluate(t, adv, inv, Options{})
	golden(t, "plan.json", Plan(img, inv, e.Findings))
}

func withBundler(p plimsoll.Package, b string) plimsoll.Package { p.Bundled = b; return p }

func golden(t *testing.T, name string, v any) {
	t.Helper()
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), b.String()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

// Each distribution has its package manager; images without one get no command.
func TestPlanCommandsOfSystems(t *testing.T) {
	tests := []struct {
		name    string
		id      string
		release string
		eco     string
		manager plimsoll.Package
		pkg     plimsoll.Package
		want    string
	}{
		{"debian", "debian", "12", "Debian:12", deb("apt", "2"), deb("tar", "1"), "apt-get update && apt-get install --yes --only-upgrade tar"},
		{"distroless", "debian", "12", "Debian:12", deb("base-files", "2"), deb("tar", "1"), "# no package manager in the image: rebuild it on a newer base image to upgrade tar"},
		{"alpine", "alpine", "3.19.1", "Alpine:v3.19", apk("apk-tools", "2", "apk-tools"), apk("tar", "1", "tar"), "apk upgrade --no-cache tar"},
		{"dnf", "almalinux", "8.4", "AlmaLinux:8", rpm("dnf", "4"), rpm("tar", "1"), "dnf upgrade --assumeyes --refresh tar"},
		{"microdnf", "almalinux", "8.4", "AlmaLinux:8", rpm("microdnf", "4"), rpm("tar", "1"), "microdnf upgrade --assumeyes --refresh tar"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inv := install(tt.id, tt.release, tt.manager, tt.pkg)
			e := evaluate(t, generation(about("CVE-1", tt.eco, "tar", "introduced 0", "fixed 2")), inv, Options{})
			if diff := cmp.Diff([]string{tt.want}, Plan(plimsoll.Image{}, inv, e.Findings).Own.Commands); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("a system in a directory", func(t *testing.T) {
		inv := debian(deb("tar", "1"), deb("apt", "2"))
		inv.Systems[0].Root, inv.Packages[0].Root, inv.Packages[1].Root = "srv/o'dd root", "srv/o'dd root", "srv/o'dd root"
		e := evaluate(t, generation(about("CVE-1", "Debian:12", "tar", "introduced 0", "fixed 2")), inv, Options{})
		want := `chroot '/srv/o'\''dd root' apt-get update && chroot '/srv/o'\''dd root' apt-get install --yes --only-upgrade tar`
		if diff := cmp.Diff([]string{want}, Plan(plimsoll.Image{}, inv, e.Findings).Own.Commands); diff != "" {
			t.Error(diff)
		}
	})
}

// One command does all that one tool does in one place.
func TestPlanJoinsCommands(t *testing.T) {
	inv := app(
		layered(lang("npm", "a", "1.0.0"), "", "srv/one/node_modules/a/package.json"),
		layered(lang("npm", "b", "1.0.0"), "", "srv/one/node_modules/b/package.json"),
		layered(lang("npm", "a", "1.1.0"), "", "srv/two/node_modules/a/package.json"),
		layered(lang("npm", "a", "1.2.0"), "", "srv/two/node_modules/old-a/package.json"),
		layered(lang("npm", "c", "1.0.0"), "", "srv/one/node_modules/a/node_modules/c/package.json"),
		layered(lang("npm", "c", "5.0.0"), "", "srv/one/node_modules/b/node_modules/c/package.json"),
		layered(lang("npm", "d", "1.0.0"), "", "srv/one/node_modules/b/node_modules/d/package.json"),
		layered(lang("pypi", "a", "1.0"), "", "opt/venv/lib/python3.11/site-packages/a-1.0.dist-info/METADATA"),
		layered(lang("pypi", "b", "1.0"), "", "opt/venv/lib/python3.11/site-packages/b-1.0.dist-info/METADATA"),
		layered(lang("pypi", "pip", "23.0"), "", "opt/venv/lib/python3.11/site-packages/pip-23.0.dist-info/METADATA"),
		layered(lang("pypi", "a", "1.4"), "", "srv/env/lib/python3.11/site-packages/a-1.4.dist-info/METADATA"),
		layered(lang("pypi", "a", "1.1"), "", "usr/local/lib/python3.11/site-packages/a-1.1.dist-info/METADATA"),
		layered(lang("pypi", "a", "1.2"), "", "usr/local/lib/python3.12/site-packages/a-1.2.dist-info/METADATA"),
		layered(lang("pypi", "b", "1.1"), "", "srv/my app/b-1.1.dist-info/METADATA"),
		layered(lang("pypi", "b", "1.2"), "", "root/.local/lib/python3.11/site-packages/b-1.2.dist-info/METADATA"),
		layered(lang("gem", "a", "1.0"), "", "usr/local/bundle/specifications/a-1.0.gemspec"),
		layered(lang("gem", "b", "1.0"), "", "usr/local/bundle/specifications/b-1.0.gemspec"),
		layered(lang("gem", "a", "1.1"), "", "srv/rails/vendor/bundle/ruby/3.1.0/specifications/a-1.1.gemspec"),
		layered(lang("composer", "x/a", "1.0"), "", "srv/php/vendor/composer/installed.json"),
		layered(lang("composer", "x/b", "1.0"), "", "srv/php/vendor/composer/installed.json"),
		layered(lang("golang", "example.com/a", "v1.0.0"), "", "usr/bin/tool"),
		layered(lang("golang", "example.com/b", "v1.0.0"), "", "usr/bin/tool"),
		layered(lang("maven", "g:a", "1.0"), "", "srv/app.jar"),
		layered(lang("maven", "g:b", "1.0"), "", "srv/app.jar"),
	)
	var findings []plimsoll.Finding
	for _, p := range inv.Packages {
		if p.Name == "pip" {
			continue
		}
		fix := "2.0.0"
		if p.Version == "5.0.0" {
			fix = "5.0.1"
		}
		findings = append(findings, plimsoll.Finding{Package: p, Status: plimsoll.StatusAffected, State: plimsoll.FixAvailable, FixedVersion: fix})
	}
	want := []string{
		"/opt/venv/bin/pip install --upgrade 'a==2.0.0' 'b==2.0.0'",
		"gem install a:2.0.0 b:2.0.0 && gem cleanup a b",
		"cd /srv/one && npm install a@2.0.0 b@2.0.0",
		"cd /srv/rails && bundle update --conservative a # brings a to 2.0.0",
		"pip install --upgrade 'a==2.0.0'",
		"cd /srv/two && npm install a@2.0.0 old-a@npm:a@2.0.0",
		"pip --python /srv/env/bin/python install --upgrade 'a==2.0.0'",
		"pip install --upgrade --target '/srv/my app' 'b==2.0.0'",
		"pip install --upgrade --user 'b==2.0.0'",
		"cd /srv/one && npm update c d # brings c to 2.0.0, c to 5.0.1, d to 2.0.0",
		"go get example.com/a@v2.0.0 example.com/b@v2.0.0 && go build ./... # then rebuild /usr/bin/tool",
		"mvn versions:use-dep-version -DforceVersion=true -Dincludes=g:a -DdepVersion=2.0.0 # then rebuild /srv/app.jar",
		"mvn versions:use-dep-version -DforceVersion=true -Dincludes=g:b -DdepVersion=2.0.0 # then rebuild /srv/app.jar",
		"cd /srv/php && composer require --with-all-dependencies x/a:2.0.0 x/b:2.0.0",
	}
	got := Plan(plimsoll.Image{}, inv, findings).Own.Commands
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// An SBOM may claim a package without a place: the plan then names none.
func TestPlanWithoutPlaces(t *testing.T) {
	var findings []plimsoll.Finding
	inv := install("debian", "12", lang("npm", "a", "1.0.0"), lang("npm", "@s/b", "1.0.0"), lang("composer", "x/a", "1.0"), lang("pypi", "a", "1.0"), lang("maven", "g:a", "1.0"))
	for i := range inv.Packages {
		inv.Packages[i].Path = ""
		findings = append(findings, plimsoll.Finding{Package: inv.Packages[i], Status: plimsoll.StatusAffected, State: plimsoll.FixAvailable, FixedVersion: "2.0.0"})
	}
	want := []string{
		"npm install @s/b@2.0.0 a@2.0.0",
		"composer require --with-all-dependencies x/a:2.0.0",
		"mvn versions:use-dep-version -DforceVersion=true -Dincludes=g:a -DdepVersion=2.0.0 # then rebuild what holds it",
		"pip install --upgrade 'a==2.0.0'",
	}
	got := Plan(plimsoll.Image{}, inv, findings).Own.Commands
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// What conda installed is upgraded by conda, under its own name.
func TestPY04PlanLeavesCondaItsPackages(t *testing.T) {
	torch := lang("pypi", "torch", "2.1.0")
	torch.Path, torch.Origin = "opt/conda/lib/python3.11/site-packages/torch-2.1.0.dist-info/METADATA", "conda: pytorch 2.1.0"
	hostile := torch
	hostile.Name, hostile.Origin = "x", "conda: --file=/etc/passwd 1"
	var findings []plimsoll.Finding
	for _, p := range []plimsoll.Package{torch, hostile} {
		findings = append(findings, plimsoll.Finding{Package: p, Status: plimsoll.StatusAffected, State: plimsoll.FixAvailable, FixedVersion: "2.2.0"})
	}
	got := Plan(plimsoll.Image{}, install("debian", "12", torch, hostile), findings).Own.Commands
	want := []string{
		"conda update --prefix /opt/conda pytorch # brings torch to 2.2.0",
		"pip --python /opt/conda/bin/python install --upgrade 'x==2.2.0'",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("commands (-want +got):\n%s", diff)
	}
}

// Names, versions and paths are the attacker's; commands are for copying.
func TestPlanHostileNames(t *testing.T) {
	hostile := []string{
		"x; rm -rf /", "$(reboot)", "`reboot`", "a'b", `a"b`, "a\nb", "a\x00b", "a\u202eb", "-rf", "--index-url=http://evil", "~root",
		"git+https://evil.example/x", "evil/repo", "../../x", "a b", "a\x1b[2Jb", "é", "tar-", "", "a|b", "a&b", "!1", "*",
	}
	types := []plimsoll.PackageType{plimsoll.TypeDeb, plimsoll.TypeAPK, plimsoll.TypeRPM, plimsoll.TypeNPM, plimsoll.TypePyPI, plimsoll.TypeMaven,
		plimsoll.TypeGo, plimsoll.TypeCargo, plimsoll.TypeNuGet, plimsoll.TypeComposer, plimsoll.TypeGem, "hex", "pub", "swift", "\x1b"}
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range types {
		var script strings.Builder
		for _, h := range hostile {
			for _, p := range []plimsoll.Package{
				{Type: typ, Name: h, Version: "1.0.0", Path: "app/x"},
				{Type: typ, Name: "name", Version: h, Path: "app/x"},
				{Type: typ, Name: "name", Version: "1.0.0", Path: h + "/lib/python3/" + h, Root: h},
				{Type: typ, Name: "name", Version: "1.0.0", Path: "app/" + h + "/node_modules/name", Bundled: h},
			} {
				f := plimsoll.Finding{Package: p, Status: plimsoll.StatusAffected, State: plimsoll.FixAvailable, FixedVersion: "2.0.0"}
				if p.Version == h {
					f.FixedVersion = h
				}
				inv := plimsoll.Inventory{Packages: []plimsoll.Package{{Type: typ, Name: "apt", Root: p.Root}, {Type: typ, Name: "dnf", Root: p.Root}, {Type: typ, Name: "apk-tools", Root: p.Root}}}
				for _, line := range Plan(plimsoll.Image{}, inv, []plimsoll.Finding{f}).Own.Commands {
					for _, r := range line {
						if r < ' ' || r == 0x7f || r == 0x202e {
							t.Errorf("%s %q: the command holds %q: %q", typ, h, r, line)
						}
					}
					for _, command := range strings.Split(line, " && ") {
						if !strings.HasPrefix(command, "#") {
							script.WriteString("printf '[%s]' " + command + "\n")
						}
					}
				}
			}
		}
		// The shell prints the words it sees. There is no program on its PATH, so
		// that anything which a name made it run would be an error.
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "script"), []byte("set -e\n"+script.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(sh, filepath.Join(dir, "script"))
		cmd.Dir, cmd.Env = dir, []string{"PATH=" + dir}
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil || stderr.Len() > 0 {
			t.Errorf("%s: %v: %s\n%s", typ, err, stderr.String(), script.String())
		}
		never := []string{"[-rf]", "[--index-url", "[script]", "[~root", "[root]", "[git+https"}
		if typ == plimsoll.TypeNPM {
			never = append(never, "[evil/repo")
		}
		if typ.System() {
			never = append(never, "[tar-]")
		}
		for _, word := range never {
			if strings.Contains(string(out), word) {
				t.Errorf("%s: the shell sees %s in\n%s", typ, word, script.String())
			}
		}
	}
}

func TestBreaking(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		want     bool
	}{
		{"1.2.3", "1.9.0", false}, {"1.2.3", "2.0.0", true}, {"0.1.2", "0.2.0", true}, {"0.1.2", "0.1.9", false},
		{"2022.9.24", "2023.7.22", false}, {"2022.9.24", "3.0", true},
	} {
		if got := breaking(plimsoll.TypePyPI, tt.from, tt.to); got != tt.want {
			t.Errorf("%s to %s: %t", tt.from, tt.to, got)
		}
	}
}

func TestPlanNothing(t *testing.T) {
	if diff := cmp.Diff(plimsoll.Plan{}, Plan(plimsoll.Image{}, plimsoll.Inventory{}, nil)); diff != "" {
		t.Error(diff)
	}
}

func TestTargetClearsEveryBranch(t *testing.T) {
	finding := func(fix string, all ...string) *plimsoll.Finding {
		return &plimsoll.Finding{FixedVersion: fix, FixedVersions: all}
	}
	tests := []struct {
		name     string
		findings []*plimsoll.Finding
		want     string
	}{
		{"the greatest fix", []*plimsoll.Finding{finding("1.2.0", "1.2.0"), finding("1.10.0", "1.10.0")}, "1.10.0"},
		{"its own branch is enough", []*plimsoll.Finding{finding("3.2.5", "3.2.5", "4.0.3")}, "3.2.5"},
		{"a jump must not land before the fix of another branch", []*plimsoll.Finding{finding("3.2.5", "3.2.5", "4.0.3"), finding("4.0.1", "4.0.1")}, "4.0.3"},
		{"versions that cannot be read", []*plimsoll.Finding{finding("!!", "!!")}, "!!"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			u := upgrade{key: stepKey{kind: plimsoll.TypePyPI}, findings: tt.findings}
			if got := u.target(); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
