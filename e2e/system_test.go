//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/e2e/lab"
)

// OS packages equal what the distribution's own tool lists in the same system,
// name by name and version by version.
func TestDEB01SystemPackagesEqualDpkgQuery(t *testing.T) {
	recipes := []lab.Recipe{lab.Debian("11"), lab.Debian("12"), lab.Debian("13"), lab.Debian("sid"), lab.Layered()}
	u, _ := inDocker(t, recipes...)
	for _, r := range recipes {
		t.Run(r.Name, func(t *testing.T) {
			got := only(t, u.sbom(r.Name))
			want := r.Truth(t, "deb")
			if len(want) < 60 {
				t.Fatalf("dpkg-query lists only %d packages", len(want))
			}
			if diff := cmp.Diff(want, got.listed(ofType("deb"))); diff != "" {
				t.Errorf("packages (-dpkg-query +plimsoll):\n%s", diff)
			}
			if got.Status != "complete" {
				t.Errorf("status %s: %+v", got.Status, got.Problems)
			}
		})
	}
}

// The same image gives the same inventory, whoever holds it (IMG-01, IMG-04,
// IMG-27): only the place differs.
func TestIMG27SameInventoryFromEveryEngine(t *testing.T) {
	for _, r := range []lab.Recipe{lab.Debian("12"), lab.Layered()} {
		t.Run(r.Name, func(t *testing.T) {
			l := lab.New(t)
			d := l.Docker(t)
			d.Load(t, r)
			u := newUser(t, dockerAt(d)...)
			want := only(t, u.sbom(r.Name)).inventory(t)
			if strings.Count(want, `"Name"`) < 50 {
				t.Fatalf("hardly anything was found:\n%.500s", want)
			}
			same := func(name string, got report) {
				t.Helper()
				if diff := cmp.Diff(want, only(t, got).inventory(t)); diff != "" {
					t.Errorf("%s (-docker +%s):\n%s", name, name, diff)
				}
			}

			d.Stop(t)
			same("docker stopped", u.fresh().sbom(r.Name))

			c := l.Containerd(t)
			for _, namespace := range []string{"default", "k8s.io"} {
				c.Load(t, namespace, r)
				same("containerd "+namespace, u.fresh().at(containerdAt(c)...).sbom(r.Name))
			}

			p := l.Podman(t)
			p.Load(t, r)
			same("podman", u.fresh().at(podmanAt(p)...).sbom(r.Name))
			same("docker-save tar", u.fresh().at().sbom("--input", r.Archive(t)))
			// containerd exports an OCI layout with the same configuration, as a tar
			// that carries Docker's manifest too; skopeo rewrites the configuration,
			// which makes it another image ID with the same content.
			exported := filepath.Join(l.Dir, "export.tar")
			c.CLI(t, "default", "images", "export", exported, "docker.io/library/"+r.Name)
			same("OCI layout tar", u.fresh().at().sbom("--input", exported))
			unpacked := t.TempDir()
			if out, err := exec.Command("tar", "-xf", exported, "-C", unpacked).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			same("OCI layout directory", u.fresh().at().sbom("--input", unpacked))
			converted := only(t, u.fresh().at().sbom("--input", l.OCI(t, r)))
			converted.Image.ID = r.ID(t)
			same("OCI layout by skopeo", report{Results: []result{converted}})
		})
	}
}

// rpm systems in three database formats equal what rpm itself lists.
func TestRPM01SystemPackagesEqualRpm(t *testing.T) {
	for name, recipe := range map[string]lab.Recipe{
		"sqlite":      lab.RPM(t, "cbl-mariner-2.0"),
		"ndb":         lab.RPM(t, "sle15-bci"),
		"berkeley-db": lab.RPM(t, "centos8-modularitylabel"),
		"built":       lab.RPMBuilt(),
	} {
		t.Run(name, func(t *testing.T) {
			u, _ := inDocker(t, recipe)
			got := only(t, u.sbom(recipe.Name))
			// rpm prints an explicit epoch of 0, which means the same as none.
			want := recipe.Truth(t, "rpm")
			for i, line := range want {
				want[i] = strings.Replace(line, " 0:", " ", 1)
			}
			if diff := cmp.Diff(want, got.listed(ofType("rpm"))); diff != "" {
				t.Errorf("packages (-rpm +plimsoll):\n%s", diff)
			}
		})
	}
}

func TestAPK01SystemPackagesEqualTheDatabase(t *testing.T) {
	recipe := lab.Alpine(t)
	u, _ := inDocker(t, recipe)
	if diff := cmp.Diff(recipe.Truth(t, "apk"), only(t, u.sbom(recipe.Name)).listed(ofType("apk"))); diff != "" {
		t.Errorf("packages (-apk +plimsoll):\n%s", diff)
	}
}
