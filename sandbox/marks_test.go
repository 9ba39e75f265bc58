package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"plimsoll"
	"plimsoll/inventory"
)

// A child that gives up CAP_SYS_ADMIN before it reads knows what a process knows
// that keeps it: opaque directories, and files whose content is in lower layers
// (IMG-09, IMG-10).
func TestIMG10MarksOfOverlayfs(t *testing.T) {
	img := newImage(t,
		map[string]string{"d/hidden.list": "hidden", "m/moved.list": "below", "m/behind": "behind a link", "e/kept.list": "kept"},
		map[string]string{"d/new.list": "new", "m/moved.list": "", "m/behind": "", "e/zero.list": ""})
	upper := img.dirs[1]
	for _, name := range []string{"m/moved.list", "m/behind", "e/zero.list"} {
		if err := os.Truncate(filepath.Join(upper, name), 64); err != nil { // one hole, as copy-up without content leaves
			t.Fatal(err)
		}
	}
	if err := os.Symlink("m/behind", filepath.Join(upper, "link.list")); err != nil {
		t.Fatal(err)
	}
	trusted := unix.Setxattr(filepath.Join(upper, "d"), "trusted.overlay.opaque", []byte("y"), 0) == nil
	for _, name := range []string{"m/moved.list", "m/behind"} {
		if trusted {
			if err := unix.Setxattr(filepath.Join(upper, name), "trusted.overlay.metacopy", nil, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := scan(t, scanner(&Sandbox{}), img)
	if diff := cmp.Diff(scan(t, &inventory.Scanner{Analyzers: analyzers()}, img), got); diff != "" {
		t.Errorf("inventory (-here +child):\n%s", diff)
	}
	if !trusted { // nor does the test see them: both say so
		if len(got.Problems) == 0 || got.Problems[0].Code != plimsoll.ProblemOpaqueUnknown {
			t.Errorf("problems: %+v", got.Problems)
		}
		return
	}
	want := []string{"d/new.list: new", "e/kept.list: kept", "e/zero.list: " + strings.Repeat("\x00", 64), "link.list: behind a link", "m/moved.list: below"}
	if diff := cmp.Diff(want, names(got)); diff != "" || len(got.Problems) > 0 {
		t.Errorf("packages (-want +got):\n%s\n%+v", diff, got.Problems)
	}
}
