//go:build e2e

package e2e

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"plimsoll/e2e/lab"
)

// maxHostile bounds what each of the two processes may take for any image.
const maxHostile = 640 << 20 // bytes

// hostileImages are root file systems that attack whoever reads them. told says
// that the attack must leave a problem: that of what was not read.
func hostileImages(canary string) map[string]struct {
	make func(t *testing.T, root string)
	told bool
} {
	type hostile = struct {
		make func(t *testing.T, root string)
		told bool
	}
	file := func(name, text string) hostile {
		return hostile{func(t *testing.T, root string) { put(t, root, name, []byte(text)) }, true}
	}
	sparse := func(name string, size int64) hostile {
		return hostile{func(t *testing.T, root string) {
			put(t, root, name, nil)
			if err := os.Truncate(filepath.Join(root, name), size); err != nil {
				t.Fatal(err)
			}
		}, true}
	}
	links := func(targets ...string) hostile {
		return hostile{func(t *testing.T, root string) {
			for i, to := range targets {
				for _, name := range []string{"etc/os-release", "usr/lib/os-release", "var/lib/dpkg/status", "lib/apk/db/installed", "srv/node_modules/a/package.json"} {
					path := filepath.Join(root, fmt.Sprintf("system%d", i), name)
					if i == 0 {
						path = filepath.Join(root, name)
					}
					os.MkdirAll(filepath.Dir(path), 0o755)
					if err := os.Symlink(to, path); err != nil {
						t.Fatal(err)
					}
				}
			}
		}, false}
	}
	special := func(mode uint32, dev int) hostile {
		return hostile{func(t *testing.T, root string) {
			for _, name := range []string{"etc/os-release", "var/lib/dpkg/status", "srv/a.jar"} {
				path := filepath.Join(root, name)
				os.MkdirAll(filepath.Dir(path), 0o755)
				if err := unix.Mknod(path, mode|0o644, dev); err != nil {
					t.Fatal(err)
				}
			}
		}, true}
	}
	up := strings.Repeat("../", 30)
	return map[string]hostile{
		"links to the host":         links(canary, up+canary, "/proc/self/root"+canary, "/dev/zero", "/proc/self/environ", "/proc/1/environ"),
		"links in a circle":         links("os-release", "../etc/os-release", ".", "/etc/os-release"),
		"FIFOs":                     special(unix.S_IFIFO, 0),
		"devices":                   special(unix.S_IFCHR, int(unix.Mkdev(1, 5))), // /dev/zero
		"os-release of 1 GiB":       sparse("etc/os-release", 1<<30),
		"package.json of 1 TiB":     sparse("srv/node_modules/a/package.json", 1<<40),
		"jar of 1 TiB":              sparse("srv/a.jar", 1<<40),
		"status of a million lines": file("var/lib/dpkg/status", strings.Repeat("Package: a\n", 1_000_000)),
		"YAML of aliases":           {func(t *testing.T, root string) { put(t, root, "srv/app/pubspec.yaml", []byte(yamlBomb())) }, false},
		"XML of entities": {func(t *testing.T, root string) {
			put(t, root, "srv/a.jar", jar(t, "META-INF/maven/g/a/pom.xml", xmlBomb()))
		}, false},
		"JSON nested a million deep": file("srv/node_modules/a/package.json", strings.Repeat("[", 1<<20)),
		"zip of zeros": {func(t *testing.T, root string) {
			put(t, root, "srv/a.jar", zeros(t))
		}, false},
		"zip of entries":            {func(t *testing.T, root string) { put(t, root, "srv/a.jar", manyEntries(t, 300_000)) }, false},
		"jars nested forty deep":    {func(t *testing.T, root string) { put(t, root, "srv/a.jar", nestedJars(t, 40)) }, true},
		"rpm databases of noise":    {rpmNoise, true},
		"names that climb":          {climbingTar, false},
		"layer of zeros":            {tarOfZeros, false},
		"200,000 damaged manifests": {manyFiles, true},
	}
}

// Between two good images no hostile one delays, hides or changes the second, reads
// the host or takes more memory than it may (issue 6, must show 2).
func TestHostileImagesBetweenGoodOnes(t *testing.T) {
	host := t.TempDir()
	canary := filepath.Join(host, "canary")
	secret := "PRETTY_NAME=canary\nID=canary\nVERSION_ID=1\n"
	if err := os.WriteFile(canary, []byte(secret), 0o644); err != nil {
		t.Fatal(err)
	}
	good := make([]string, 2)
	for i := range good {
		good[i] = t.TempDir()
		put(t, good[i], "etc/os-release", []byte("ID=debian\nVERSION_ID=12\n"))
		put(t, good[i], "var/lib/dpkg/status", fmt.Appendf(nil, "Package: good%d\nStatus: install ok installed\nArchitecture: all\nVersion: 1.0\n", i))
	}
	for name, hostile := range hostileImages(canary) {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "image")
			if err := os.MkdirAll(root, 0o755); err != nil {
				t.Fatal(err)
			}
			hostile.make(t, root)
			if tars, _ := filepath.Glob(filepath.Join(root, "*.tar")); len(tars) == 1 {
				root = tars[0]
			}
			before := lab.HashTree(t, host)
			u := newUser(t)
			cmd := u.command("sbom", "--input", good[0], "--input", root, "--input", good[1], "-o", "json")
			runtime.GC() // what a process takes counts from what its parent has
			debug.FreeOSMemory()
			start := time.Now()
			a := runCommand(t, cmd)
			took := time.Since(start)
			var r report
			if err := json.Unmarshal([]byte(a.stdout), &r); err != nil {
				t.Fatalf("ended with %d: %v\n%.2000s", a.code, err, a.stderr)
			}
			if took > time.Minute {
				t.Errorf("the second good image was done after %s", took)
			}
			if peak := cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10; peak > maxHostile {
				t.Errorf("it took %d MiB", peak>>20)
			}
			if len(r.Results) != 3 {
				t.Fatalf("%d results", len(r.Results))
			}
			for _, got := range r.Results {
				i := slices.Index(good, got.Image.Store)
				if i < 0 {
					if hostile.told && (got.Status == "complete" || len(got.Problems) == 0 && got.Problem == nil) {
						t.Errorf("nothing is told of the attack: %s", got.Status)
					}
					continue
				}
				if diff := cmp.Diff([]string{fmt.Sprintf("good%d 1.0", i)}, got.listed(ofType("deb"))); diff != "" || got.Status != "complete" {
					t.Errorf("good image %d is %s: %s", i, got.Status, diff)
				}
			}
			if strings.Contains(a.stdout, `"id": "canary"`) {
				t.Error("the canary was read")
			}
			if diff := cmp.Diff(before, lab.HashTree(t, host)); diff != "" {
				t.Errorf("the host changed:\n%s", diff)
			}
			t.Logf("%s, %d MiB, exit code %d", took.Round(time.Millisecond), cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss>>10, a.code)
		})
	}
}

// Names that change from file to link and back while they are read lead nowhere.
func TestRacingRenames(t *testing.T) {
	host := t.TempDir()
	if err := os.WriteFile(filepath.Join(host, "status"), []byte("Package: canary\nStatus: install ok installed\nVersion: 1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	put(t, root, "var/lib/dpkg/status", []byte("Package: inside\nStatus: install ok installed\nVersion: 1\n"))
	if err := os.Symlink(host, filepath.Join(root, "var/lib/elsewhere")); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(root, "var/lib/dpkg")
	stop := make(chan bool)
	done := make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				done <- n
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, filepath.Join(root, "var/lib/elsewhere"), unix.RENAME_EXCHANGE)
				n++
			}
		}
	}()
	u := newUser(t)
	for range 20 {
		if a := u.fresh().run("sbom", "--input", root, "-o", "json"); strings.Contains(a.stdout, "canary") {
			t.Errorf("a file of the host was read:\n%.500s", a.stdout)
			break
		}
	}
	close(stop)
	if n := <-done; n < 1000 {
		t.Errorf("only %d renames", n)
	}
}

func put(t *testing.T, root, name string, content []byte) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

func yamlBomb() string {
	var b strings.Builder
	b.WriteString("lockfileVersion: '9.0'\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 30; i++ {
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	b.WriteString("packages: *a29\n")
	return b.String()
}

func xmlBomb() string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\"?><!DOCTYPE project [<!ENTITY a0 \"x\">")
	for i := 1; i < 30; i++ {
		fmt.Fprintf(&b, `<!ENTITY a%d "%s">`, i, strings.Repeat(fmt.Sprintf("&a%d;", i-1), 10))
	}
	b.WriteString("]><project><groupId>g</groupId><artifactId>&a29;</artifactId><version>1</version></project>")
	return b.String()
}

func jar(t *testing.T, name, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create(name)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// zeros is a jar of half a gigabyte in half a megabyte.
func zeros(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("META-INF/MANIFEST.MF")
	for range 512 {
		if err == nil {
			_, err = w.Write(make([]byte, 1<<20))
		}
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func manyEntries(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := range n {
		if _, err := z.CreateHeader(&zip.FileHeader{Name: fmt.Sprintf("a/%d.class", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func nestedJars(t *testing.T, depth int) []byte {
	t.Helper()
	inner := jar(t, "META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")
	for range depth {
		inner = jar(t, "lib/a.jar", string(inner))
	}
	return inner
}

// rpmNoise takes real databases and damages them, each in twenty ways.
func rpmNoise(t *testing.T, root string) {
	t.Helper()
	seed := rand.New(rand.NewPCG(1, 2))
	n := 0
	err := filepath.WalkDir("../inventory/ospkg/testdata/rpm", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		if !strings.HasSuffix(path, ".zst") {
			return nil
		}
		packed, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		unpack, err := zstd.NewReader(nil)
		if err != nil {
			return err
		}
		defer unpack.Close()
		b, err := unpack.DecodeAll(packed, nil)
		if err != nil {
			return err
		}
		base := "Packages"
		switch {
		case strings.Contains(path, ".sqlite"):
			base = "rpmdb.sqlite"
		case strings.Contains(path, ".ndb"):
			base = "Packages.db"
		}
		for range 20 {
			damaged := slices.Clone(b)
			for range 200 {
				damaged[seed.IntN(len(damaged))] = byte(seed.Uint32())
			}
			put(t, root, fmt.Sprintf("system%d/var/lib/rpm/%s", n, base), damaged[:len(damaged)-seed.IntN(len(damaged)/2)])
			n++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, magic := range map[string]string{"Packages": "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x61\x15\x06\x00", "Packages.db": "RpmP", "rpmdb.sqlite": "SQLite format 3\x00"} {
		noise := make([]byte, 1<<20)
		for i := range noise {
			noise[i] = byte(seed.Uint32())
		}
		put(t, root, "noise/var/lib/rpm/"+name, append([]byte(magic), noise...))
		put(t, root, "var/lib/rpm/"+name, append([]byte(magic), noise...))
	}
}

// dockerArchive writes an image of one compressed layer.
func dockerArchive(t *testing.T, root string, layer func(w *tar.Writer)) {
	t.Helper()
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.New()
	w := tar.NewWriter(io.MultiWriter(z, sum))
	layer(w)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf(`{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:%x"]}}`, sum.Sum(nil))
	f, err := os.Create(filepath.Join(root, "image.tar"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := tar.NewWriter(f)
	for _, m := range []struct{ name, text string }{
		{"layer.tar.gz", packed.String()}, {"config.json", config},
		{"manifest.json", `[{"Config":"config.json","RepoTags":["hostile:1"],"Layers":["layer.tar.gz"]}]`},
	} {
		if err := out.WriteHeader(&tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.text))}); err != nil {
			t.Fatal(err)
		}
		io.WriteString(out, m.text)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

func climbingTar(t *testing.T, root string) {
	dockerArchive(t, root, func(w *tar.Writer) {
		text := "ID=debian\nVERSION_ID=12\n"
		for _, name := range []string{"../../../../../../etc/os-release", "/etc/os-release", "a/../../../etc/os-release", "etc/./os-release"} {
			w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text))})
			io.WriteString(w, text)
		}
		w.WriteHeader(&tar.Header{Name: "var/lib/dpkg", Typeflag: tar.TypeSymlink, Linkname: "/"})
		w.WriteHeader(&tar.Header{Name: "var/lib/dpkg/status", Mode: 0o644, Size: int64(len(text))})
		io.WriteString(w, text)
		w.WriteHeader(&tar.Header{Name: "etc/debian_version", Typeflag: tar.TypeLink, Linkname: "../../../etc/passwd"})
	})
}

func tarOfZeros(t *testing.T, root string) {
	dockerArchive(t, root, func(w *tar.Writer) {
		const size = 2 << 30
		w.WriteHeader(&tar.Header{Name: "srv/a.jar", Mode: 0o644, Size: size})
		block := make([]byte, 1<<20)
		for range size / len(block) {
			w.Write(block)
		}
	})
}

func manyFiles(t *testing.T, root string) {
	dockerArchive(t, root, func(w *tar.Writer) {
		for i := range 200_000 {
			w.WriteHeader(&tar.Header{Name: fmt.Sprintf("srv/node_modules/%s%d/package.json", strings.Repeat("x", 100), i), Mode: 0o644})
		}
	})
}
