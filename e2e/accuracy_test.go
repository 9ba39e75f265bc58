//go:build e2e

package e2e

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	godiff "github.com/google/go-cmp/cmp"

	"plimsoll/e2e/independent"
	"plimsoll/e2e/lab"
)

// A Debian in which everything is as new as Debian's archive has it today has no
// finding for which a fix is available. The advisories may be younger than the
// archive of a mirror: then this fails, and somebody has to look.
func TestADV16PatchedImages(t *testing.T) {
	recipes := []lab.Recipe{lab.Patched("11"), lab.Patched("12"), lab.Patched("13")}
	u, _ := inDocker(t, recipes...)
	dir := osvExports(t)
	if extract := filepath.Join("..", "match", "testdata", "osv"); !isDir(filepath.Join(dir, "AlmaLinux")) { // the samples know fewer
		dir = extract
	}
	if a := u.run("db", "update", "--osv", serve(t, dir), "--kev", "", "--epss", "", "--ecosystems", "Debian"); a.code != 0 {
		t.Fatalf("db update: exit code %d: %s", a.code, a.stderr)
	}
	for _, recipe := range recipes {
		t.Run(recipe.Name, func(t *testing.T) {
			if newer := recipe.Truth(t, "upgradable"); len(newer) > 0 {
				t.Fatalf("not fully patched, the archive has %v", newer)
			}
			r := only(t, u.report([]string{"scan", "-o", "json", "--show-suppressed", recipe.Name}, 0, 4))
			if !r.Matched {
				t.Fatal("nothing was judged")
			}
			unfixed := 0
			for _, f := range r.Findings {
				if f.FixedVersion == "" {
					unfixed++
					continue
				}
				t.Errorf("%s in %s %s is said to be fixed in %s: %+v", f.Vulnerability, f.Package.Name, f.Package.Version, f.FixedVersion, f.Reasons)
			}
			// What was decided against: what the records would say about versions older
			// than all.
			items := itemsOf(r)
			for i := range items {
				items[i].Version = "0~~"
			}
			against, err := independent.Compute(t.Context(), dir, items)
			if err != nil {
				t.Fatal(err)
			}
			if len(against) == 0 {
				t.Error("no record is about any of the packages")
			}
			t.Logf("PATCHED | %s | %d | %d | %d | %d |", recipe.Name, len(r.Packages), len(against), unfixed, len(r.Findings)-unfixed)
		})
	}
}

// labelledPackage is a line of match/testdata/accuracy/sampled.tsv.
type labelledPackage struct {
	ecosystem, name, version string
	affected, not            []string
}

// Images that hold the labelled packages, written as their package managers
// write them, have exactly the labelled flaws: what the readers of package
// databases and the comparison find together. One release of each distribution
// is taken, that with the most packages.
func TestADV16SeededImages(t *testing.T) {
	accuracy := filepath.Join("..", "match", "testdata", "accuracy")
	images := make(map[string][]labelledPackage) // by ecosystem with release
	for line := range strings.Lines(readFile(t, filepath.Join(accuracy, "sampled.tsv"))) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		list := func(s string) []string { return strings.Fields(strings.TrimPrefix(s, "-")) }
		p := labelledPackage{f[0], f[1], strings.TrimPrefix(f[2], "0:"), list(f[3]), list(f[4])}
		same := func(q labelledPackage) bool { return q.name == p.name }
		if system := systems[family(p.ecosystem)]; system.manager != "" && slices.ContainsFunc(images[p.ecosystem], same) {
			continue // a system has one version of a package
		} else if system.manager == "rpm" && !strings.Contains(p.version, "-") {
			continue // last affected, of any release: no rpm has such a version
		}
		images[p.ecosystem] = append(images[p.ecosystem], p)
	}
	most := make(map[string]string)
	for _, ecosystem := range slices.Sorted(maps.Keys(images)) {
		if f := family(ecosystem); most[f] == "" || flawsIn(images[ecosystem]) > flawsIn(images[most[f]]) {
			most[f] = ecosystem
		}
	}
	var recipes []lab.Recipe
	var ecosystems []string
	for _, f := range slices.Sorted(maps.Keys(most)) {
		if recipe, ok := seeded(t, most[f], images[most[f]]); ok {
			recipes, ecosystems = append(recipes, recipe), append(ecosystems, most[f])
		}
	}
	u, _ := inDocker(t, recipes...)
	if a := u.run("db", "update", "--osv", serve(t, labelledExports(t, accuracy)), "--kev", "", "--epss", ""); a.code != 0 {
		t.Fatalf("db update: exit code %d: %s", a.code, a.stderr)
	}
	for i, recipe := range recipes {
		t.Run(ecosystems[i], func(t *testing.T) {
			r := only(t, u.report([]string{"scan", "-o", "json", "--show-suppressed", recipe.Name}, 0, 4))
			found := make(map[string]bool)
			labelled := make(map[string]bool)
			var want, got []string
			for _, p := range images[ecosystems[i]] {
				for j, flaw := range slices.Concat(p.affected, p.not) {
					key := fmt.Sprintf("%s %s %s", p.name, p.version, flaw)
					labelled[key] = true
					if j < len(p.affected) {
						want = append(want, key)
					}
				}
			}
			unlabelled := 0
			for _, f := range r.Findings {
				known := false
				for _, flaw := range append([]string{f.Vulnerability}, advisoriesOf(f)...) {
					key := f.Package.Name + " " + f.Package.Version + " " + flaw
					if known = known || labelled[key]; labelled[key] {
						found[key] = true
					}
				}
				if !known {
					unlabelled++
				}
			}
			got = keys(found)
			slices.Sort(want)
			if len(want) == 0 {
				t.Error("nothing is expected")
			}
			if diff := godiff.Diff(want, got); diff != "" {
				t.Errorf("flaws (-labelled +plimsoll):\n%s", diff)
			}
			if unlabelled > 0 {
				t.Errorf("%d findings have no label", unlabelled)
			}
			t.Logf("SEEDED | %s | %d | %d | %d |", ecosystems[i], len(images[ecosystems[i]]), len(want), len(got))
		})
	}
}

func flawsIn(packages []labelledPackage) (n int) {
	for _, p := range packages {
		n += len(p.affected)
	}
	return n
}

func advisoriesOf(f finding) (ids []string) {
	for _, r := range f.Reasons {
		ids = append(ids, r.Advisory)
	}
	return ids
}

func family(ecosystem string) string {
	f, _, _ := strings.Cut(ecosystem, ":")
	return f
}

// systems are the distributions as their own images tell.
var systems = map[string]struct{ manager, osRelease, vendor string }{
	"Debian":      {"dpkg", "ID=debian\nVERSION_ID=\"%s\"\n", ""},
	"Ubuntu":      {"dpkg", "ID=ubuntu\nVERSION_ID=\"%s\"\n", ""},
	"Alpine":      {"apk", "ID=alpine\nVERSION_ID=%s.0\n", ""},
	"Wolfi":       {"apk", "ID=wolfi\nVERSION_ID=20230201%s\n", ""},
	"AlmaLinux":   {"rpm", "ID=almalinux\nVERSION_ID=\"%s.4\"\n", "AlmaLinux"},
	"Azure Linux": {"rpm", "ID=mariner\nVERSION_ID=\"%s.0\"\n", "Microsoft Corporation"},
	"openSUSE":    {"rpm", "ID=\"opensuse-leap\"\nVERSION_ID=\"%s\"\n", "openSUSE"},
}

// seeded makes the image of packages of one ecosystem; false for what only
// compilers install (Go, crates.io).
func seeded(t *testing.T, ecosystem string, packages []labelledPackage) (lab.Recipe, bool) {
	files := make(map[string]string)
	name := "seeded-" + strings.NewReplacer(" ", "", ".", "").Replace(strings.ToLower(family(ecosystem))) + ":1"
	s := systems[family(ecosystem)]
	_, release, _ := strings.Cut(ecosystem, ":")
	release = strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(release, "v"), "Leap "), ":LTS")
	osRelease := fmt.Sprintf(s.osRelease, release)
	if s.manager == "rpm" {
		var list []string
		for _, p := range packages {
			epoch, rest, ok := strings.Cut(p.version, ":")
			if !ok {
				epoch, rest = "-", p.version
			}
			i := strings.LastIndex(rest, "-")
			list = append(list, fmt.Sprintf("%s %s %s %s -", p.name, epoch, rest[:i], rest[i+1:]))
		}
		return lab.RPMSystem(name, osRelease, s.vendor, list...), true
	}
	var database strings.Builder
	composer := make([]map[string]string, 0)
	libraries, targets := make(map[string]any), make(map[string]any)
	for i, p := range packages {
		switch family(ecosystem) {
		case "Debian", "Ubuntu":
			fmt.Fprintf(&database, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\n\n", p.name, p.version)
		case "Alpine", "Wolfi":
			fmt.Fprintf(&database, "P:%s\nV:%s\nA:x86_64\no:%s\n\n", p.name, p.version, p.name)
		case "npm":
			files[fmt.Sprintf("app%d/node_modules/%s/package.json", i, p.name)] = fmt.Sprintf("{\"name\":%q,\"version\":%q}\n", p.name, p.version)
		case "PyPI":
			files[fmt.Sprintf("opt/venv%d/lib/python3.11/site-packages/%s-%s.dist-info/METADATA", i, strings.ReplaceAll(p.name, "-", "_"), p.version)] = fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n\n", p.name, p.version)
		case "RubyGems":
			files[fmt.Sprintf("usr/local/bundle/specifications/%s-%s.gemspec", p.name, p.version)] = fmt.Sprintf("Gem::Specification.new do |s|\n  s.name = %q.freeze\n  s.version = %q\nend\n", p.name, p.version)
		case "Packagist":
			composer = append(composer, map[string]string{"name": p.name, "version": p.version})
		case "Maven":
			group, artifact, _ := strings.Cut(p.name, ":")
			files[fmt.Sprintf("app/lib%d/%s-%s.jar", i, artifact, p.version)] = jarOf(t, group, artifact, p.version)
		case "NuGet":
			libraries[p.name+"/"+p.version] = map[string]any{"type": "package", "serviceable": true}
			targets[p.name+"/"+p.version] = map[string]any{"runtime": map[string]any{"lib/net8.0/" + p.name + ".dll": map[string]any{}}}
		default:
			return lab.Recipe{}, false
		}
	}
	toJSON := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	switch {
	case s.manager == "dpkg":
		files["etc/os-release"], files["var/lib/dpkg/status"] = osRelease, database.String()
	case s.manager == "apk":
		files["etc/os-release"], files["lib/apk/db/installed"] = osRelease, database.String()
	case len(composer) > 0:
		for i, p := range composer { // a project has one version of a package
			files[fmt.Sprintf("app%d/vendor/composer/installed.json", i)] = toJSON(map[string]any{"packages": []any{p}})
		}
	case len(libraries) > 0:
		const target = ".NETCoreApp,Version=v8.0"
		files["app/app.deps.json"] = toJSON(map[string]any{
			"runtimeTarget": map[string]string{"name": target}, "targets": map[string]any{target: targets}, "libraries": libraries})
	}
	return lab.Handmade(name, files), true
}

func jarOf(t *testing.T, group, artifact, version string) string {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range [][2]string{
		{"META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\n\r\n"},
		{"META-INF/maven/" + group + "/" + artifact + "/pom.properties", fmt.Sprintf("groupId=%s\nartifactId=%s\nversion=%s\n", group, artifact, version)},
	} {
		w, err := z.Create(f[0])
		if err == nil {
			_, err = w.Write([]byte(f[1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// labelledExports packs the records of the labelled cases as OSV exports.
func labelledExports(t *testing.T, accuracy string) string {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob(filepath.Join(accuracy, "records", "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Fatal("no records", err)
	}
	var ecosystems []string
	for _, file := range files {
		ecosystem := strings.TrimSuffix(filepath.Base(file), ".jsonl")
		ecosystems = append(ecosystems, ecosystem)
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for line := range strings.Lines(readFile(t, file)) {
			var r struct{ ID string }
			err := json.Unmarshal([]byte(line), &r)
			if err == nil {
				w, e := z.Create(r.ID + ".json")
				err = e
				if err == nil {
					_, err = w.Write([]byte(line))
				}
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		err := cmp.Or(z.Close(), os.Mkdir(filepath.Join(dir, ecosystem), 0o755), os.WriteFile(path.Join(dir, ecosystem, "all.zip"), b.Bytes(), 0o644))
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "ecosystems.txt"), []byte(strings.Join(ecosystems, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir
}
