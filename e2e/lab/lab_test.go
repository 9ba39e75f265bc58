package lab

import (
	"archive/tar"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestChangedPaths(t *testing.T) {
	tests := []struct {
		line string
		want []string
	}{
		{`openat(AT_FDCWD</w>, "a b", O_WRONLY|O_CREAT|O_TRUNC, 0644) = 3</w/a b>`, []string{"/w/a b"}},
		{`openat(AT_FDCWD</w>, "/etc/passwd", O_RDONLY|O_CLOEXEC) = 3</etc/passwd>`, nil},
		{`mkdirat(5</w/x>, "y", 0755) = 0`, []string{"/w/x/y"}},
		{`mkdirat(AT_FDCWD</w>, "/abs/../y", 0755) = 0`, []string{"/y"}},
		{`mkdir("y", 0755) = 0`, []string{"y"}},
		{`renameat2(AT_FDCWD</w>, "a", 7</z>, "b", RENAME_NOREPLACE) = 0`, []string{"/w/a", "/z/b"}},
		{`symlinkat("/target", AT_FDCWD</w>, "link") = 0`, []string{"/w/link"}},
		{`fchmod(3</w/f>, 0600) = 0`, []string{"/w/f"}},
		{`unlink("/w/quote\"newline\n") = 0`, []string{"/w/quote\"newline\n"}},
		{`umount2("/mnt", MNT_DETACH) = 0`, []string{"/mnt"}},
		{`+++ exited with 0 +++`, nil},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, changedPaths(test.line)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.line, diff)
		}
	}
}

func TestHandmadeIsTheSameEachTime(t *testing.T) {
	t.Setenv(envCache, t.TempDir())
	r := Handmade("x:1", map[string]string{"b": "2", "a": "1"}, map[string]string{".wh.a": ""})
	first, id := r.Archive(t), r.ID(t)
	content, err := os.ReadFile(first)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(envCache, t.TempDir())
	again, err := os.ReadFile(r.Archive(t))
	if err != nil {
		t.Fatal(err)
	}
	if string(content) != string(again) || id != r.ID(t) {
		t.Error("two archives of one recipe differ")
	}
}

func TestHandmadeEntries(t *testing.T) {
	t.Setenv(envCache, t.TempDir())
	f, err := os.Open(HundredLayers().Archive(t))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	count := make(map[string]int)
	for tr := tar.NewReader(f); ; {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		count[filepath.Ext(h.Name)]++
	}
	if diff := cmp.Diff(map[string]int{".tar": 100, ".json": 2}, count); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
}

// TestScriptsNameTheirNeeds: a machine without a tool must skip, not fail.
func TestScriptsNameTheirNeeds(t *testing.T) {
	dirs, err := recipes.ReadDir("recipes")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		script, err := recipes.ReadFile("recipes/" + dir.Name() + "/prepare.sh")
		if err == nil && !strings.HasPrefix(string(script), "# needs: ") {
			t.Errorf("%s/prepare.sh does not start with the programs it needs", dir.Name())
		}
	}
}
