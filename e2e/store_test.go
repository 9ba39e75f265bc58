//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/e2e/lab"
)

// What the model product cannot scan is scanned: a data root anywhere, names
// with "--", images without a name, a system or a shell (IMG-03, IMG-21).
func TestIMG03ImagesThatOthersRefuse(t *testing.T) {
	l := lab.New(t)
	d := l.DockerAt(t, filepath.Join(l.Dir, "data root"))
	d.Load(t, lab.Tiny("my--app:v1--rc"), lab.Tiny(""), lab.GoStatic())
	u := newUser(t, dockerAt(d)...)
	dangling := lab.Tiny("").ID(t)
	for name, args := range map[string][]string{
		"name with --":     {"my--app:v1--rc"},
		"dangling by ID":   {dangling},
		"short ID":         {strings.TrimPrefix(dangling, "sha256:")[:12]},
		"IMG-21 no system": {lab.GoStatic().Name},
	} {
		t.Run(name, func(t *testing.T) {
			r := only(t, u.sbom(args...))
			if r.Status != "complete" || len(r.Packages) == 0 {
				t.Errorf("status %s, %d packages, %+v", r.Status, len(r.Packages), r.Problems)
			}
		})
	}
	t.Run("all", func(t *testing.T) {
		if r := u.sbom("--all"); len(r.Results) != 3 {
			t.Errorf("%d results, want 3", len(r.Results))
		}
	})
	t.Run("data root from the process list", func(t *testing.T) {
		found := u.at("--engine", "docker").run("images")
		// 4: another daemon of this machine may be starting or ending.
		if found.code != 0 && found.code != 4 || !strings.Contains(found.stdout, d.Root) {
			t.Errorf("exit code %d:\n%s%s", found.code, found.stdout, found.stderr)
		}
	})
}

func TestIMG06HundredLayers(t *testing.T) {
	recipe := lab.HundredLayers()
	u, _ := inDocker(t, recipe)
	r := only(t, u.sbom(recipe.Name))
	if len(r.Image.Layers) != 100 {
		t.Fatalf("%d layers", len(r.Image.Layers))
	}
	if diff := cmp.Diff(recipe.Truth(t, "npm"), r.listed(ofType("npm"))); diff != "" {
		t.Errorf("packages (-made +plimsoll):\n%s", diff)
	}
	layers := map[string]bool{}
	for _, p := range r.Packages {
		layers[p.Layer] = true
	}
	if len(layers) != len(r.Packages) {
		t.Errorf("%d packages, each of another layer, are said to come from %d layers", len(r.Packages), len(layers))
	}
}

// Four gigabytes are scanned in place: nothing is written but the cache.
func TestSYS04HugeImage(t *testing.T) {
	recipe := lab.Huge()
	u, d := inDocker(t, recipe)
	d.Stop(t)
	before := lab.HashTree(t, filepath.Join(d.Root, "image"))
	a := u.run("sbom", recipe.Name, "-o", "csv=/dev/null")
	if a.code != 0 {
		t.Fatalf("exit code %d: %s", a.code, a.stderr)
	}
	if diff := cmp.Diff(before, lab.HashTree(t, filepath.Join(d.Root, "image"))); diff != "" {
		t.Errorf("Docker's records changed:\n%s", diff)
	}
	if diff := cmp.Diff(recipe.Truth(t, "npm"), only(t, u.sbom(recipe.Name)).listed(ofType("npm"))); diff != "" {
		t.Errorf("packages (-made +plimsoll):\n%.2000s", diff)
	}
	if size := treeSize(t, u.cache); size > 64<<20 {
		t.Errorf("the cache took %d MiB for an image of 4 GB", size>>20)
	}
}

// A scan changes nothing in an engine's directories and state and writes nothing
// but the cache and the result (IMG-26).
func TestIMG26NothingIsChanged(t *testing.T) {
	recipe := lab.Layered()
	l := lab.New(t)
	d, c, p := l.Docker(t), l.Containerd(t), l.Podman(t)
	d.Load(t, recipe)
	c.Load(t, "default", recipe)
	p.Load(t, recipe)
	d.Stop(t)
	c.Stop(t)
	c.Start(t)
	result := filepath.Join(t.TempDir(), "result.json")
	for name, test := range map[string]struct{ place, roots []string }{
		"docker":     {dockerAt(d), []string{d.Root}},
		"containerd": {containerdAt(c), []string{c.Root}},
		"podman":     {podmanAt(p), []string{p.Root}},
	} {
		t.Run(name, func(t *testing.T) {
			u := newUser(t, test.place...)
			var before []map[string]string
			for _, root := range test.roots {
				before = append(before, lab.HashTree(t, root))
			}
			mounts := readFile(t, "/proc/self/mountinfo")
			written, err := lab.Strace(t, u.command("sbom", recipe.Name, "-o", "json="+result))
			if err != nil {
				t.Fatal(err)
			}
			for i, root := range test.roots {
				if diff := cmp.Diff(before[i], lab.HashTree(t, root)); diff != "" {
					t.Errorf("%s changed:\n%s", root, diff)
				}
			}
			if mounts != readFile(t, "/proc/self/mountinfo") {
				t.Error("mounts changed")
			}
			allowed := []string{u.cache + "/", filepath.Dir(result) + "/"}
			for _, path := range written {
				if path != u.cache && path != "/dev/null" && !slices.ContainsFunc(allowed, func(dir string) bool { return strings.HasPrefix(path, dir) }) {
					t.Errorf("wrote %s", path)
				}
			}
		})
	}
}

// An engine that cannot be read hides no other.
func TestOneBrokenStoreHidesNoOther(t *testing.T) {
	d := lab.New(t).Docker(t)
	d.Load(t, lab.Tiny("app:1"))
	broken := t.TempDir()
	for _, dir := range []string{"image/overlay2/imagedb/content/sha256", "overlay2"} {
		if err := os.MkdirAll(filepath.Join(broken, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	id := fmt.Sprintf("%064x", 1)
	for name, text := range map[string]string{
		"image/overlay2/repositories.json":            `{"Repositories":{"bad":{"bad:1":"sha256:` + id + `"}}}`,
		"image/overlay2/imagedb/content/sha256/" + id: `{"rootfs":{"type":"layers","diff_ids":["../../etc"]}}`,
	} {
		if err := os.WriteFile(filepath.Join(broken, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	u := newUser(t, "--engine", "docker", "--docker-root", broken, "--docker-root", d.Root)
	a := u.run("sbom", "--all", "-o", "json")
	if a.code != 4 || !strings.Contains(a.stdout, `"app:1"`) {
		t.Errorf("exit code %d, want 4 and the good image:\n%.500s\n%s", a.code, a.stdout, a.stderr)
	}
}

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func treeSize(t testing.TB, dir string) (size int64) {
	t.Helper()
	err := filepath.Walk(dir, func(_ string, info os.FileInfo, err error) error {
		if err == nil && info.Mode().IsRegular() {
			size += info.Size()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}
