//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/e2e/lab"
)

// TestLab proves that the laboratory does what the other tests rely on: one
// image is seen in every engine, and a stopped engine keeps what it stored.
func TestLab(t *testing.T) {
	l := lab.New(t)
	debian := lab.Debian("12")
	t.Run("docker", func(t *testing.T) {
		d := l.DockerAt(t, filepath.Join(l.Dir, "data root"))
		ids := d.Load(t, debian, lab.Tiny("my--app:v1--rc"), lab.Tiny(""), lab.GoStatic())
		got := strings.Fields(d.CLI(t, "image", "ls", "--quiet", "--no-trunc", "--all"))
		slices.Sort(ids)
		slices.Sort(got)
		if diff := cmp.Diff(ids, got); diff != "" {
			t.Errorf("image IDs (-want +got):\n%s", diff)
		}
		names := d.CLI(t, "image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
		for _, want := range []string{"debian:12", "my--app:v1--rc", "<none>:<none>"} {
			if !slices.Contains(strings.Split(names, "\n"), want) {
				t.Errorf("no image is called %s:\n%s", want, names)
			}
		}
		root := d.RootFS(t, "debian:12")
		if diff := cmp.Diff(debian.Truth(t, "deb"), lab.DpkgQuery(t, root, "${Package} ${Version}")); diff != "" {
			t.Errorf("packages by dpkg-query in the image (-) and on its export (+):\n%s", diff)
		}

		d.Stop(t)
		before := lab.HashTree(t, d.Root)
		if len(before) < 1000 {
			t.Errorf("the data root of a stopped Docker has %d entries", len(before))
		}
		if diff := cmp.Diff(before, lab.HashTree(t, d.Root)); diff != "" {
			t.Errorf("a stopped Docker changes:\n%s", diff)
		}
		d.Start(t)
		if d.CLI(t, "image", "inspect", "--format", "{{.Id}}", "debian:12") != debian.ID(t) {
			t.Error("debian:12 is another image after a restart")
		}
		d.CLI(t, "run", "--rm", "--network=none", "debian:12", "true")
	})

	t.Run("containerd", func(t *testing.T) {
		c := l.Containerd(t)
		for _, namespace := range []string{"default", "k8s.io"} {
			c.Load(t, namespace, debian)
			if got := c.CLI(t, namespace, "images", "list", "--quiet"); got != "docker.io/library/debian:12" {
				t.Errorf("namespace %s holds %q", namespace, got)
			}
		}
		if _, err := os.Stat(filepath.Join(c.Root, "io.containerd.snapshotter.v1.overlayfs/snapshots/1/fs/usr")); err != nil {
			t.Errorf("not unpacked: %v", err)
		}
	})

	t.Run("podman", func(t *testing.T) {
		p := l.Podman(t)
		p.Load(t, debian)
		got := p.CLI(t, "image", "ls", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}")
		if want := debian.ID(t) + " localhost/debian:12"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})

	t.Run("oci", func(t *testing.T) {
		index, err := os.ReadFile(filepath.Join(l.OCI(t, debian), "index.json"))
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Manifests []struct{ Annotations map[string]string }
		}
		if err := json.Unmarshal(index, &got); err != nil {
			t.Fatal(err)
		}
		if len(got.Manifests) != 1 || got.Manifests[0].Annotations["org.opencontainers.image.ref.name"] != "12" {
			t.Errorf("index: %s", index)
		}
	})
}

func TestStrace(t *testing.T) {
	dir := t.TempDir()
	script := `mkdir "$1/d"; cd "$1"; echo x > 'd/a b'; mv 'd/a b' d/c; chmod 600 d/c; ln -s /target link; cat d/c > /dev/null; rm d/c; exit 3`
	written, err := lab.Strace(t, exec.Command("sh", "-c", script, "sh", dir))
	if e, ok := err.(*exec.ExitError); !ok || e.ExitCode() != 3 {
		t.Errorf("exit code 3 became %v", err)
	}
	want := []string{"/dev/null", dir + "/d", dir + "/d/a b", dir + "/d/c", dir + "/link"}
	if diff := cmp.Diff(want, written); diff != "" {
		t.Errorf("paths written (-want +got):\n%s", diff)
	}
}

// TestHashTree shows that HashTree notices what a scan must not do.
func TestHashTree(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	before := lab.HashTree(t, dir)
	if err := os.WriteFile(file, []byte("2"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if cmp.Equal(before, lab.HashTree(t, dir)) {
		t.Error("new content of the same size and time goes unnoticed")
	}
}
