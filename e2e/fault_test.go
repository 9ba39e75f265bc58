//go:build e2e

package e2e

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"plimsoll/e2e/lab"
)

// Garbage in: a clear error, the right exit code, and the previous advisories
// still in use.
func TestFaultsAreToldAndCostNothing(t *testing.T) {
	recipe := lab.Tiny("app:1")
	u, d := inDocker(t, recipe)
	update := func(args ...string) answer {
		return u.run(append([]string{"db", "update", "--kev", "", "--epss", "", "--ecosystems", "npm"}, args...)...)
	}
	if a := update("--osv", serve(t, osvExports(t))); a.code != 0 {
		t.Fatalf("first update: %s", a.stderr)
	}
	before := u.run("db", "verify")
	if before.code != 0 {
		t.Fatalf("db verify: %s", before.stderr)
	}
	stillInUse := func(t *testing.T) {
		t.Helper()
		if after := u.run("db", "verify"); after != before {
			t.Errorf("the advisories in use changed: %+v", after)
		}
	}
	says := func(t *testing.T, a answer, code int, words ...string) {
		t.Helper()
		if a.code != code {
			t.Errorf("exit code %d, want %d", a.code, code)
		}
		for _, word := range words {
			if !strings.Contains(a.stderr, word) {
				t.Errorf("the error does not say %q: %s", word, a.stderr)
			}
		}
		if strings.Contains(a.stderr, "goroutine ") {
			t.Errorf("a stack dump: %s", a.stderr)
		}
	}

	t.Run("update from a dead server", func(t *testing.T) {
		server := httptest.NewServer(http.NotFoundHandler())
		url := server.URL
		server.Close()
		says(t, update("--osv", url), 1, "refused")
		stillInUse(t)
	})
	t.Run("update from a truncated zip", func(t *testing.T) {
		dir := t.TempDir()
		whole := readFile(t, filepath.Join(osvExports(t), "npm", "all.zip"))
		mkdir(t, filepath.Join(dir, "npm"))
		writeFile(t, filepath.Join(dir, "npm", "all.zip"), whole[:len(whole)/2])
		writeFile(t, filepath.Join(dir, "ecosystems.txt"), "npm\n")
		says(t, update("--osv", serve(t, dir)), 1, "npm", "zip")
		stillInUse(t)
	})
	t.Run("update from a page that is no zip", func(t *testing.T) {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte("<html>sign in</html>"))
		}))
		defer server.Close()
		says(t, update("--osv", server.URL), 1, "npm")
		stillInUse(t)
	})
	t.Run("import of garbage", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "garbage")
		writeFile(t, file, strings.Repeat("garbage", 1000))
		says(t, u.run("db", "import", file), 1, "advisories")
		stillInUse(t)
	})
	t.Run("import of a truncated database", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "whole")
		if a := u.run("db", "export", file); a.code != 0 {
			t.Fatalf("db export: %s", a.stderr)
		}
		whole := readFile(t, file)
		writeFile(t, file, whole[:len(whole)-100])
		says(t, u.run("db", "import", file), 1)
		stillInUse(t)
	})
	t.Run("scan with a damaged database", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "damaged")
		writeFile(t, file, "not a database")
		says(t, u.run("scan", "app:1", "--db-path", file), 1, file)
	})
	t.Run("unknown image", func(t *testing.T) {
		says(t, u.run("scan", "nowhere:1"), 5, "nowhere:1", d.Root, "plimsoll images")
	})
	t.Run("no image named", func(t *testing.T) {
		says(t, u.run("scan"), 2, "--all")
	})
	t.Run("unknown flag", func(t *testing.T) {
		says(t, u.run("scan", "--no-such-flag"), 2, "no-such-flag")
	})
	t.Run("corrupt archive", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "image.tar")
		whole := readFile(t, recipe.Archive(t))
		writeFile(t, file, whole[:len(whole)/2])
		a := u.at().run("sbom", "--input", file)
		if a.code == 0 || !strings.Contains(a.stdout+a.stderr, "image.tar") && !strings.Contains(a.stdout, "corrupt") {
			t.Errorf("exit code %d: %s%s", a.code, a.stdout, a.stderr)
		}
		writeFile(t, file, "no archive at all")
		says(t, u.at().run("sbom", "--input", file), 2, file)
	})
	t.Run("full disk for the cache", func(t *testing.T) {
		full := t.TempDir()
		if err := syscall.Mount("tmpfs", full, "tmpfs", 0, "size=4k"); err != nil {
			t.Fatal(err)
		}
		defer syscall.Unmount(full, 0)
		writeFile(t, filepath.Join(full, "filler"), strings.Repeat("x", 4096))
		other := *u
		other.cache = full
		a := other.run("sbom", "app:1")
		says(t, a, 0, "cache", "no space left")
		if !strings.Contains(a.stdout, "app:1") {
			t.Errorf("no result: %s", a.stdout)
		}
	})
	t.Run("full disk for the result", func(t *testing.T) {
		says(t, u.run("sbom", "app:1", "-o", "json=/dev/full"), 1, "no space left")
	})
	t.Run("unreadable root", func(t *testing.T) {
		cmd := u.command("sbom", "app:1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		copyOfBinary := filepath.Join(os.TempDir(), "plimsoll-nobody-"+filepath.Base(t.TempDir()))
		if out, err := exec.Command("install", "-m755", u.bin, copyOfBinary).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		defer os.Remove(copyOfBinary)
		cmd.Path, cmd.Args[0] = copyOfBinary, copyOfBinary
		a := runCommand(t, cmd)
		if a.code == 0 || !strings.Contains(a.stderr, "permission") {
			t.Errorf("exit code %d: %s%s", a.code, a.stdout, a.stderr)
		}
	})
}

func mkdir(t testing.TB, path string) {
	t.Helper()
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
