//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"plimsoll/e2e/lab"
)

// Whoever runs Plimsoll with fewer rights than root gets the same inventory, or one
// that says what it could not know (issue 6, must show 6; IMG-09).
func TestLadderOfRights(t *testing.T) {
	// Directories that are replaced as a whole are opaque in what engines unpack.
	recipe := lab.Handmade("rights:1",
		map[string]string{"etc/os-release": "ID=debian\nVERSION_ID=12\n", "var/lib/dpkg/status": "Package: kept\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n", "srv/node_modules/old/package.json": `{"name":"old","version":"1.0.0"}`},
		map[string]string{"srv/node_modules/.wh..wh..opq": "", "srv/node_modules/new/package.json": `{"name":"new","version":"1.0.0"}`})
	l := lab.New(t)
	d, c, p := l.Docker(t), l.Containerd(t), l.Podman(t)
	d.Load(t, recipe)
	c.Load(t, "default", recipe)
	p.Load(t, recipe)
	d.Stop(t) // what a daemon's socket gives takes root
	c.Stop(t)
	for name, place := range map[string][]string{
		"docker": dockerAt(d), "containerd": {"--engine", "containerd", "--containerd-root", c.Root}, "podman": podmanAt(p),
	} {
		t.Run(name, func(t *testing.T) {
			u := newUser(t, place...)
			root := only(t, u.sbom(recipe.Name))
			if diff := cmp.Diff([]string{"new 1.0.0"}, root.listed(ofType("npm"))); diff != "" {
				t.Fatalf("root finds:\n%s", diff)
			}
			for rights, caps := range map[string][]uintptr{
				"capabilities only": {unix.CAP_DAC_READ_SEARCH, unix.CAP_SYS_ADMIN},
				"least":             {unix.CAP_DAC_READ_SEARCH},
			} {
				t.Run(rights, func(t *testing.T) {
					a := u.asNobody(t, caps, "sbom", "-o", "json", recipe.Name)
					var r report
					if err := json.Unmarshal([]byte(a.stdout), &r); err != nil {
						t.Fatalf("ended with %d: %v\n%s", a.code, err, a.stderr)
					}
					got := only(t, r)
					told := slices.ContainsFunc(got.Problems, func(p problem) bool { return p.Code == "opaque-unknown" })
					if told && rights == "least" && a.code == 4 {
						return
					}
					if diff := cmp.Diff(root.inventory(t), got.inventory(t)); diff != "" {
						t.Errorf("inventory (-root +%s):\n%s", rights, diff)
					}
				})
			}
		})
	}
}

// asNobody runs plimsoll as a user who owns nothing, with these capabilities.
func (u *user) asNobody(t *testing.T, caps []uintptr, args ...string) answer {
	t.Helper()
	const nobody = 65534
	dir := t.TempDir()
	for p := dir; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		os.Chmod(p, 0o755)
	}
	b, err := os.ReadFile(u.bin)
	if err != nil {
		t.Fatal(err)
	}
	other := *u
	other.bin = filepath.Join(dir, "plimsoll")
	other.cache, other.data = filepath.Join(dir, "own", "cache"), filepath.Join(dir, "own", "data")
	if err := os.WriteFile(other.bin, b, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "own"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(dir, "own"), nobody, nobody); err != nil {
		t.Fatal(err)
	}
	cmd := other.command(args...)
	cmd.Env = append(slices.DeleteFunc(cmd.Env, func(s string) bool { return strings.HasPrefix(s, "HOME=") }), "HOME="+filepath.Join(dir, "own"))
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}, AmbientCaps: caps}
	return runCommand(t, cmd)
}
