//go:build e2e

package containerd

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll/e2e/lab"
	"plimsoll/engine"
)

// TestIMG04DatabaseOfARunningDaemon: the daemon holds its databases locked and
// writes them while they are read; what is read is whole, and what it says.
func TestIMG04DatabaseOfARunningDaemon(t *testing.T) {
	l := lab.New(t)
	c := l.Containerd(t)
	recipe := lab.Tiny("app:1")
	c.Load(t, "default", recipe)
	for i := range 40 {
		c.CLI(t, "default", "images", "tag", "docker.io/library/app:1", fmt.Sprintf("registry.example/app:%d", i))
	}
	c.CLI(t, "default", "containers", "create", "--label", "nerdctl/name=web", "docker.io/library/app:1", "one", "/bin/none")

	dir, err := engine.OpenDir(c.Root)
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	conn, err := dial(c.Address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	t.Run("disk and daemon agree", func(t *testing.T) {
		for name, list := range map[string]func(catalog) (any, error){
			"namespaces": func(c catalog) (any, error) { return c.namespaces(t.Context()) },
			"images": func(c catalog) (any, error) {
				images, err := c.images(t.Context(), "default")
				slices.SortFunc(images, func(a, b imageRecord) int { return strings.Compare(a.name, b.name) })
				return images, err
			},
			"containers": func(c catalog) (any, error) {
				containers, err := c.containers(t.Context(), "default")
				for i := range containers {
					containers[i].state = "" // only the daemon knows
				}
				return containers, err
			},
		} {
			told, err1 := list(remote{conn})
			read, err2 := list(disk{dir})
			if err1 != nil || err2 != nil {
				t.Fatal(err1, err2)
			}
			if diff := cmp.Diff(told, read, cmp.AllowUnexported(imageRecord{}, containerRecord{})); diff != "" {
				t.Errorf("%s (-daemon +disk): %s", name, diff)
			}
		}
	})

	done := make(chan error)
	go func() {
		for range 20 {
			for _, args := range [][]string{{"import", recipe.Archive(t)}, {"rm", "--sync", "docker.io/library/app:1"}} {
				args = append([]string{"--address", c.Address, "--namespace", "busy", "images"}, args...)
				if err := exec.Command("ctr", args...).Run(); err != nil {
					done <- err
					return
				}
			}
		}
		done <- nil
	}()
	for reads := 1; ; reads++ {
		images, err := disk{dir}.images(t.Context(), "default")
		if err != nil || len(images) != 41 {
			t.Fatalf("read %d gave %d images, want 41: %v", reads, len(images), err)
		}
		stores, problems := Discover(t.Context(), Options{Roots: []string{c.Root}})
		for _, s := range stores {
			if list, _, err := s.Images(t.Context()); s.namespace == "default" &&
				(err != nil || len(list) != 1 || list[0].Problem != nil || len(list[0].Names) != 41) {
				t.Fatalf("read %d gave %+v, %v, %+v", reads, list, err, problems)
			}
			s.Close()
		}
		select {
		case err := <-done:
			t.Logf("%d reads", reads)
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}
