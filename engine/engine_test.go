package engine_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
	"plimsoll/engine"
)

func TestProblemOf(t *testing.T) {
	tests := map[string]struct {
		err  error
		want plimsoll.ProblemCode
	}{
		"fault": {
			fmt.Errorf("outer: %w", engine.Fail(plimsoll.ProblemEncrypted, "read layer", "", errors.New("no key"))),
			plimsoll.ProblemEncrypted,
		},
		"permission": {&fs.PathError{Op: "open", Path: "x", Err: fs.ErrPermission}, plimsoll.ProblemPermission},
		"not there":  {&fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}, plimsoll.ProblemLayerMissing},
		"IMG-23 a layer vanished": {
			plimsoll.Errorf(plimsoll.CodeNotFound, "scan layer", "%w", fs.ErrNotExist), plimsoll.ProblemImageGone,
		},
		"limit":       {plimsoll.Errorf(plimsoll.CodeLimit, "read", "too much"), plimsoll.ProblemLimit},
		"unavailable": {plimsoll.Errorf(plimsoll.CodeUnavailable, "ask", "no answer"), plimsoll.ProblemEngineUnavailable},
		"anything":    {errors.New("boom"), plimsoll.ProblemCorruptStore},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := engine.ProblemOf(test.err); got.Code != test.want || got.Detail == "" {
				t.Errorf("got %+v, want code %s and a sentence", got, test.want)
			}
		})
	}
	t.Run("says what to do", func(t *testing.T) {
		got := engine.ProblemOf(engine.Fail(plimsoll.ProblemLayerMissing, "find layer 1", "Pull it again.", fs.ErrNotExist))
		if want := "find layer 1: file does not exist. Pull it again."; got.Detail != want {
			t.Errorf("got %q, want %q", got.Detail, want)
		}
	})
}

func TestIMG24MergeOneImageManyNames(t *testing.T) {
	problem := &plimsoll.Problem{Code: plimsoll.ProblemLayerMissing}
	got := engine.Merge([]plimsoll.Image{
		{ID: "sha256:b", Names: []string{"z"}, Manifests: []plimsoll.Digest{"sha256:2"}, Problem: problem},
		{Manifests: []plimsoll.Digest{"sha256:9"}, Problem: problem},
		{ID: "sha256:b", Names: []string{"a"}, Manifests: []plimsoll.Digest{"sha256:1"}, Size: 7,
			Containers: []plimsoll.Container{{ID: "2"}, {ID: "1"}}},
		{ID: "sha256:b", Names: []string{"a"}, Size: 7, Containers: []plimsoll.Container{{ID: "1"}}},
		{ID: "sha256:a"},
		{Manifests: []plimsoll.Digest{"sha256:8"}, Problem: problem},
	})
	want := []plimsoll.Image{
		{Manifests: []plimsoll.Digest{"sha256:8"}, Problem: problem},
		{Manifests: []plimsoll.Digest{"sha256:9"}, Problem: problem},
		{ID: "sha256:a"},
		{ID: "sha256:b", Names: []string{"a", "z"}, Manifests: []plimsoll.Digest{"sha256:1", "sha256:2"}, Size: 7,
			Containers: []plimsoll.Container{{ID: "1"}, {ID: "2"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestIMG03Names(t *testing.T) {
	tests := map[string]string{
		"debian:12":                               "debian:12",
		"docker.io/library/debian:12":             "debian:12",
		"docker.io/library/my--app/x--y:1":        "library/my--app/x--y:1",
		"docker.io/grafana/grafana":               "grafana/grafana",
		"index.docker.io/library/debian":          "debian",
		"docker.io/library/debian@sha256:abc":     "debian@sha256:abc",
		"localhost/app:1":                         "localhost/app:1",
		"localhost:5000/library/z:latest":         "localhost:5000/library/z:latest",
		"Host.Example:5000/a/b:2":                 "Host.Example:5000/a/b:2",
		"docker.io/localhost/x":                   "docker.io/localhost/x",
		"docker.io/Host/x":                        "docker.io/Host/x",
		"registry.k8s.io/pause:3.9":               "registry.k8s.io/pause:3.9",
		"my--app/x--y:1":                          "my--app/x--y:1",
		"docker.io/":                              "docker.io/",
		"docker.io/library/":                      "library/",
		"":                                        "",
		"docker.io/library/\x1b[31m:\xff<script>": "\x1b[31m:\xff<script>",
	}
	for ref, want := range tests {
		if got := engine.Name(ref); got != want {
			t.Errorf("Name(%q) = %q, want %q", ref, got, want)
		}
	}
}

func TestIMG03SetNames(t *testing.T) {
	digest := plimsoll.DigestOf([]byte("manifest"))
	tests := map[string]struct {
		refs, names []string
		manifests   []plimsoll.Digest
	}{
		"none":           {nil, nil, nil},
		"tags, unsorted": {[]string{"b:1", "docker.io/library/a:1", "a:1"}, []string{"a:1", "b:1"}, nil},
		"tag and digest": {[]string{"a:1", "a@" + string(digest)}, []string{"a:1"}, []plimsoll.Digest{digest}},
		"digest only":    {[]string{"a@" + string(digest)}, []string{"a@" + string(digest)}, []plimsoll.Digest{digest}},
		"CRI's image ID": {[]string{string(digest), "docker.io/library/a:1"}, []string{"a:1"}, nil},
		"bare digest":    {[]string{string(digest)}, nil, nil},
		"invalid digest": {[]string{"a@sha256:zz"}, []string{"a@sha256:zz"}, nil},
		"placeholder":    {[]string{"<none>:<none>"}, nil, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var img plimsoll.Image
			engine.SetNames(&img, test.refs)
			if diff := cmp.Diff(test.names, img.Names); diff != "" {
				t.Error("names", diff)
			}
			if diff := cmp.Diff(test.manifests, img.Manifests); diff != "" {
				t.Error("manifests", diff)
			}
		})
	}
}

// TestDirStaysInside: whatever a store's owner puts into it, we read no more.
func TestDirStaysInside(t *testing.T) {
	top := t.TempDir()
	root := filepath.Join(top, "store")
	write(t, filepath.Join(top, "secret"), "canary")
	write(t, filepath.Join(root, "file"), "inside")
	write(t, filepath.Join(root, "sub/file"), "inside")
	for link, target := range map[string]string{
		"absolute": filepath.Join(top, "secret"),
		"relative": "../secret",
		"up":       "..",
		"loop":     "loop",
		"ok":       "sub/file",
		"subl":     "sub",
	} {
		if err := os.Symlink(target, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	mkfifo(t, filepath.Join(root, "fifo"))

	d, err := engine.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, name := range []string{"absolute", "relative", "up/secret", "../secret", "loop", "/etc/passwd", "fifo", "sub", "missing"} {
		if b, err := d.Read(name, 100); err == nil {
			t.Errorf("Read(%q) gave %q, want an error", name, b)
		}
	}
	for _, name := range []string{"file", "ok", "sub/../file"} {
		if b, err := d.Read(name, 100); err != nil || string(b) != "inside" {
			t.Errorf("Read(%q) = %q, %v", name, b, err)
		}
	}
	for _, name := range []string{"subl", "up", "file", "absolute"} {
		if path, err := d.Sub(name); err == nil {
			t.Errorf("Sub(%q) = %q, want an error", name, path)
		}
	}
	if path, err := d.Sub("sub"); err != nil || path != filepath.Join(root, "sub") {
		t.Errorf("Sub = %q, %v", path, err)
	}
	if _, err := d.Read("file", 5); plimsoll.CodeOf(err) != plimsoll.CodeLimit {
		t.Errorf("a file of 6 bytes with limit 5: %v", err)
	}
	var v any
	if err := d.JSON("file", 100, &v); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
		t.Errorf("malformed JSON: %v", err)
	}
	if names, err := d.List("sub"); err != nil || cmp.Diff([]string{"file"}, names) != "" {
		t.Errorf("List = %q, %v", names, err)
	}
	if names, err := d.List("missing"); err != nil || names != nil {
		t.Errorf("List of a missing directory = %q, %v", names, err)
	}
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
