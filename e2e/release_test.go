//go:build e2e

package e2e

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"plimsoll/e2e/lab"
)

// The same commit gives the same release: built in another directory by somebody with
// other settings, it is the same to the byte. It holds a static program with the pages
// and tells what software is in it. Where architectures are named (make release-check)
// the two builds share nothing; else they share Go's cache, which knows a file by what
// went into it, and the pages' installed packages.
func TestReleaseIsReproducible(t *testing.T) {
	lab.Need(t, "git", "node", "npm", "tar", "gzip", "sha256sum")
	if out, err := exec.Command("git", "rev-parse", "HEAD").CombinedOutput(); err != nil {
		t.Skipf("NOT TESTED: a release is made of a commit, and this is no clone: %s", out)
	}
	archs := os.Getenv("PLIMSOLL_RELEASE_ARCHS")
	var shared, own []string
	if archs == "" {
		archs = runtime.GOARCH
		if out, err := exec.Command("../ui/build").CombinedOutput(); err != nil {
			t.Fatalf("build pages: %v\n%s", err, out)
		}
		modules, err := filepath.Abs("../ui/node_modules")
		if err != nil {
			t.Fatal(err)
		}
		shared = []string{"PLIMSOLL_RELEASE_MODULES=" + modules}
	} else {
		own = []string{"GOCACHE=" + t.TempDir()}
	}
	shared = append(shared, "PLIMSOLL_RELEASE_ARCHS="+archs)
	here, there := filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "quite another", "place")
	release(t, "..", here, "022", append(shared, "TZ=UTC")...)
	clone := filepath.Join(t.TempDir(), "a clone")
	if out, err := exec.Command("git", "clone", "-q", "..", clone).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	release(t, clone, there, "077", slices.Concat(shared, own, []string{"TZ=Asia/Kathmandu", "LC_ALL=C.UTF-8",
		"TMPDIR=" + t.TempDir(), "GOFLAGS=-buildvcs=false", "GOAMD64=v3", "SOURCE_DATE_EPOCH=1"})...)

	first, second := sums(t, here), sums(t, there)
	for name, sum := range first {
		if second[name] != sum {
			t.Errorf("%s differs", name)
		}
	}
	if len(first) != len(second) || len(first) == 0 {
		t.Fatalf("%d files here, %d there", len(first), len(second))
	}
	check := exec.Command("sha256sum", "--check", "--strict", "SHA256SUMS")
	check.Dir = here
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	for arch := range strings.FieldsSeq(archs) {
		t.Run(arch, func(t *testing.T) { examineRelease(t, here, arch) })
	}
}

// release makes one of the commit that source has.
func release(t *testing.T, source, into, umask string, env ...string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", `umask "$1" && exec packaging/release "$2"`, "sh", umask, into)
	cmd.Dir, cmd.Env = source, append(os.Environ(), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// sums returns the files of a directory by their names, and what they hold.
func sums(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		files[name] = hex.EncodeToString(sum.Sum(nil))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// examineRelease looks at the archive and the bill of materials of an architecture.
func examineRelease(t *testing.T, dir, arch string) {
	archives, _ := filepath.Glob(filepath.Join(dir, "*-linux-"+arch+".tar.gz"))
	if len(archives) != 1 {
		t.Fatalf("archives: %v", archives)
	}
	f, err := os.Open(archives[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	layer := sha256.New()
	r := bufio.NewReader(io.TeeReader(unpacked, layer))
	var names []string
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		_, name, _ := strings.Cut(h.Name, "/")
		names = append(names, name)
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Typeflag != tar.TypeReg && h.Typeflag != tar.TypeDir || h.Mode&0o022 != 0 {
			t.Errorf("%s: %+v", h.Name, h)
		}
	}
	if _, err := io.Copy(io.Discard, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"plimsoll", "LICENSE", "licences.txt", "SECURITY.md", "docs/release.md", "systemd/plimsoll-agent.service"} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s in the archive", want)
		}
	}

	base := strings.TrimSuffix(archives[0], ".tar.gz")
	program := filepath.Join(base, "plimsoll")
	mustBeStatic(t, program)
	if arch == runtime.GOARCH {
		out, err := exec.Command(program, "version", "--format", "json").Output()
		var is struct{ Version, Commit string }
		if err != nil || json.Unmarshal(out, &is) != nil || is.Commit == "" || !strings.Contains(base, "plimsoll-"+is.Version+"-linux") {
			t.Errorf("%v: %s", err, out)
		}
	}

	var bill struct {
		BOMFormat  string
		Components []struct {
			PURL       string
			Properties []struct{ Name, Value string }
		}
	}
	b, err := os.ReadFile(base + ".cdx.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &bill); err != nil || bill.BOMFormat != "CycloneDX" {
		t.Fatalf("bill of materials: %v", err)
	}
	kinds := map[string]int{}
	for _, c := range bill.Components {
		kind, _, _ := strings.Cut(c.PURL, "/")
		kinds[kind]++
		if name, _, _ := strings.Cut(c.PURL, "@"); name == "pkg:golang/stdlib" || name == "pkg:npm/react" || name == "pkg:npm/antd" {
			kinds[name]++
		}
	}
	if kinds["pkg:golang"] < 50 || kinds["pkg:npm"] < 50 || kinds["pkg:golang/stdlib"] != 1 || kinds["pkg:npm/react"] != 1 || kinds["pkg:npm/antd"] != 1 {
		t.Errorf("in the bill of materials are %v", kinds)
	}
	if digest := "sha256:" + hex.EncodeToString(layer.Sum(nil)); !strings.Contains(string(b), digest) {
		t.Errorf("the bill of materials does not name the archive's layer %s", digest)
	}
}

// The sums of a release are signed by a key that an offline root has certified, and
// nothing else passes the check of docs/release.md.
func TestReleaseSignatures(t *testing.T) {
	lab.Need(t, "ssh-keygen")
	dir := t.TempDir()
	keygen := func(stdin string, args ...string) error {
		cmd := exec.Command("ssh-keygen", args...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return errors.New(string(out))
		}
		return nil
	}
	must := func(args ...string) {
		t.Helper()
		if err := keygen("", args...); err != nil {
			t.Fatalf("ssh-keygen %v: %v", args, err)
		}
	}
	for _, key := range []string{"root", "signing", "old", "leaked", "stranger"} {
		must("-q", "-t", "ed25519", "-N", "", "-C", key, "-f", key)
	}
	must("-q", "-s", "root", "-I", "2026", "-n", "releases@plimsoll", "-O", "clear", "-V", "+365d", "signing.pub")
	must("-q", "-s", "root", "-I", "2025", "-n", "releases@plimsoll", "-O", "clear", "-V", "20250101:20250201", "old.pub")
	must("-q", "-s", "root", "-I", "2026", "-n", "releases@plimsoll", "-O", "clear", "-V", "+365d", "leaked.pub")
	must("-q", "-s", "stranger", "-I", "2026", "-n", "releases@plimsoll", "-O", "clear", "-V", "+365d", "stranger.pub")
	must("-q", "-k", "-f", "revoked", "leaked.pub")
	root := readFile(t, filepath.Join(dir, "root.pub"))
	if err := os.WriteFile(filepath.Join(dir, "plimsoll-root"), []byte(`releases@plimsoll cert-authority,namespaces="plimsoll-release" `+root), 0o644); err != nil {
		t.Fatal(err)
	}
	const sums = "0000  plimsoll.tar.gz\n"
	for _, c := range []struct {
		name, key, text string
		namespace       string
		args            []string
		good            bool
	}{
		{"as documented", "signing-cert.pub", sums, "plimsoll-release", nil, true},
		{"changed", "signing-cert.pub", sums + "1111  other\n", "plimsoll-release", nil, false},
		{"for another purpose", "signing-cert.pub", sums, "file", nil, false},
		{"without the certificate", "signing", sums, "plimsoll-release", nil, false},
		{"by another root", "stranger-cert.pub", sums, "plimsoll-release", nil, false},
		{"expired", "old-cert.pub", sums, "plimsoll-release", nil, false},
		{"expired, on the day of the release", "old-cert.pub", sums, "plimsoll-release", []string{"-O", "verify-time=20250115"}, true},
		{"revoked", "leaked-cert.pub", sums, "plimsoll-release", []string{"-r", "revoked"}, false},
		{"of a key that is not revoked", "signing-cert.pub", sums, "plimsoll-release", []string{"-r", "revoked"}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(dir, "SHA256SUMS")
			os.Remove(file + ".sig")
			if err := os.WriteFile(file, []byte(sums), 0o644); err != nil {
				t.Fatal(err)
			}
			must("-q", "-Y", "sign", "-f", c.key, "-n", c.namespace, "SHA256SUMS")
			err := keygen(c.text, append([]string{"-Y", "verify", "-f", "plimsoll-root", "-I", "releases@plimsoll", "-n", "plimsoll-release", "-s", "SHA256SUMS.sig"}, c.args...)...)
			if (err == nil) != c.good {
				t.Errorf("verified: %v", err)
			}
		})
	}
}

// The units are what systemd takes for units, and give few rights.
func TestUnits(t *testing.T) {
	lab.Need(t, "systemd-analyze")
	for name, exposure := range map[string]string{"plimsoll-agent.service": "30", "plimsoll-console.service": "15"} {
		t.Run(name, func(t *testing.T) {
			unit := readFile(t, filepath.Join("../packaging/systemd", name))
			// The program need not be installed here.
			file := filepath.Join(t.TempDir(), name)
			if err := os.WriteFile(file, []byte(strings.Replace(unit, "/usr/bin/plimsoll ", "/bin/true ", 1)), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("systemd-analyze", "verify", "--man=no", file).CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("%v: %s", err, out)
			}
			if out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold="+exposure, file).CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
