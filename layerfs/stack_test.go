package layerfs

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
)

func stackOf(t testing.TB, layers ...[]string) *Stack {
	indexes := make([]*Index, len(layers))
	for i, l := range layers {
		indexes[i] = build(t.(*testing.T), l...)
	}
	return NewStack(nil, indexes)
}

// shown lists the merged view; each entry with its layer.
func shown(t *testing.T, s *Stack) []string {
	var list []string
	if err := s.Walk(func(e Entry) error {
		list = append(list, fmt.Sprintf("%d %s", e.Layer, line(e)))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestMerge(t *testing.T) {
	cases := []struct {
		name   string
		layers [][]string
		want   []string
	}{
		{"IMG-08 a whiteout removes exactly its path", [][]string{{"a/", "a/b", "a/bb"}, {"a/", "a/b gone"}}, []string{"1 a/", "0 a/bb"}},
		{"IMG-09 an opaque directory in the middle of a chain", [][]string{{"a/", "a/x"}, {"a/ opaque", "a/y"}, {"a/", "a/z"}}, []string{"2 a/", "1 a/y", "2 a/z"}},
		{"IMG-10 a renamed directory", [][]string{{"old/", "old/d/", "old/d/x"}, {"new/ redirect /old", "old gone"}}, []string{"1 new/", "0 new/d/", "0 new/d/x"}},
		{"IMG-10 a directory renamed in its place", [][]string{{"p/", "p/old/", "p/old/x"}, {"p/", "p/new/ redirect old", "p/new/y", "p/old gone"}}, []string{"1 p/", "1 p/new/", "0 p/new/x", "1 p/new/y"}},
		{"IMG-10 renamed out of an opaque directory, and back", [][]string{{"c/", "c/x"}, {"a/ opaque", "a/b/ redirect /c"}, {"new/ redirect /a/b"}},
			[]string{"1 a/", "1 a/b/", "0 a/b/x", "0 c/", "0 c/x", "2 new/", "0 new/x"}},
		{"IMG-10 metacopy", [][]string{{"f"}, {"f metacopy"}}, []string{"1 f metacopy"}},
		{"IMG-14 a whiteout below does not hide what is above", [][]string{{"a"}, {"a gone"}, {"a"}}, []string{"2 a"}},
		{"IMG-14 whiteouts of the base layer are not files", [][]string{{"a gone", "b"}}, []string{"0 b"}},
		{"IMG-15 the topmost of a name", [][]string{{"var/", "var/db"}, {"var/", "var/db"}, {"etc/"}}, []string{"2 etc/", "1 var/", "1 var/db"}},
		{"IMG-16 directory to link, link to directory, file to directory", [][]string{{"a/", "a/x", "b -> a", "c"}, {"a -> b", "b/", "b/y", "c/", "c/z"}}, []string{"1 a -> b", "1 b/", "1 b/y", "1 c/", "1 c/z"}},
		{"IMG-16 a file between directories hides the lowest", [][]string{{"a/", "a/x"}, {"a"}, {"a/", "a/y"}}, []string{"2 a/", "2 a/y"}},
		{"opaque root of a tar", [][]string{{"a"}, {"/ opaque", "b"}}, []string{"1 b"}},
		{"no layers", nil, nil},
		{"empty layers", [][]string{{}, {"a"}, {}}, []string{"1 a"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := stackOf(t, c.layers...)
			if diff := cmp.Diff(c.want, shown(t, s)); diff != "" {
				t.Error(diff)
			}
			for _, l := range c.want {
				f := strings.Fields(l)
				var layer int
				fmt.Sscan(f[0], &layer)
				path := strings.TrimSuffix(f[1], "/")
				if !strings.HasPrefix(c.name, "IMG-10") && !s.Visible(layer, path) {
					t.Errorf("%s of layer %d is not visible", path, layer)
				}
				for higher := layer + 1; higher < len(c.layers); higher++ {
					if s.Visible(higher, path) {
						t.Errorf("%s is visible in layer %d", path, higher)
					}
				}
			}
		})
	}
}

func TestVisible(t *testing.T) {
	s := stackOf(t,
		[]string{"a/", "a/b", "l/", "l/x", "m", "old/", "old/x", "r"},
		[]string{"a/", "a/b", "l -> a", "m metacopy", "new/ redirect /old", "old gone", "r gone", "s redirect /r metacopy"})
	for _, c := range []struct {
		layer int
		path  string
		want  []string
	}{
		{0, "a", []string{"a"}}, {1, "a", []string{"a"}},
		{0, "a/b", nil}, {1, "a/b", []string{"a/b"}},
		{0, "l/x", nil}, {0, "l", nil}, {1, "l", []string{"l"}},
		{1, "l/b", nil}, // links are not followed
		{0, "m", []string{"m"}}, {1, "m", []string{"m"}},
		{0, "old/x", []string{"new/x"}}, {0, "old", []string{"new"}}, {0, "r", []string{"s"}},
		{0, "none", nil}, {5, "a", nil},
	} {
		if diff := cmp.Diff(c.want, s.Shown(c.layer, c.path)); diff != "" {
			t.Errorf("layer %d, %s: %s", c.layer, c.path, diff)
		}
	}
}

func TestIMG10LeadsNowhere(t *testing.T) {
	s := stackOf(t, []string{"a/", "f"}, []string{"d/ redirect /none", "e/ redirect /a", "f metacopy", "g redirect /none metacopy", "h metacopy"})
	var got []string
	for _, p := range s.Problems() {
		got = append(got, string(p.Code)+" "+p.Path)
	}
	if diff := cmp.Diff([]string{"redirect-unknown d", "redirect-unknown g", "redirect-unknown h"}, got); diff != "" {
		t.Error(diff)
	}
	if p := stackOf(t, []string{"a"}).Problems(); len(p) > 0 {
		t.Error(p)
	}
}

func TestIMG17Resolve(t *testing.T) {
	chain := []string{"end"}
	for i := range 50 {
		to := "end"
		if i > 0 {
			to = fmt.Sprintf("c%02d", i-1)
		}
		chain = append(chain, fmt.Sprintf("c%02d -> %s", i, to))
	}
	s := stackOf(t, append(chain, "usr/", "usr/lib/", "usr/lib/os-release", "d/", "d/e/", "d/e/f"),
		[]string{"etc/", "etc/os-release -> ../usr/lib/os-release", "abs -> /usr/lib/os-release", "lib -> usr/lib", "up -> ../../../../etc",
			"root -> /", "loop -> loop", "ping -> pong", "pong -> ping", "dangling -> /nowhere", "host -> /proc/self/root/etc/shadow", "d/", "d/back -> ../lib", "dots -> d/./e/../e//f", "fileslash -> end/x"})
	for path, want := range map[string]string{
		"etc/os-release": "usr/lib/os-release", "/etc/os-release": "usr/lib/os-release", "abs": "usr/lib/os-release",
		"lib/os-release": "usr/lib/os-release", "up/os-release": "usr/lib/os-release", "root/root/abs": "usr/lib/os-release",
		"../../etc/../abs": "usr/lib/os-release", "d/back/../../d/e": "d/e", "dots": "d/e/f", "lib/": "usr/lib", "": "", "..": "", "root": "",
		"c39": "end", "lib/..": "usr",
		"c40": "limit", "loop": "limit", "loop/x": "limit", "ping": "limit",
		"dangling": "not_found", "host": "not_found", "end/x": "not_found", "fileslash": "not_found", "end/..": "not_found", "none/..": "not_found",
		strings.Repeat("n", 256): "limit", strings.Repeat("n", 255): "not_found",
	} {
		e, err := s.Resolve(path)
		got := e.Path
		if err != nil {
			got = string(plimsoll.CodeOf(err))
		}
		if got != want {
			t.Errorf("resolve %q: %q, want %q", path, got, want)
		}
	}
	e, err := s.Lstat("lib/../../root/d/back")
	if err != nil || e.Path != "d/back" || e.Kind != KindSymlink || e.Target != "../lib" || e.Layer != 1 {
		t.Errorf("lstat: %+v %v", e, err)
	}
	list, err := s.ReadDir("root/d")
	if err != nil || len(list) != 2 || list[0].Path != "d/back" || list[1].Path != "d/e" || list[1].Layer != 0 {
		t.Errorf("read directory: %+v %v", list, err)
	}
	if _, err := s.ReadDir("end"); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
		t.Errorf("read directory of a file: %v", err)
	}
}

func TestIMG06Layers(t *testing.T) {
	for count, want := range map[int]plimsoll.Code{1: "", 125: "", maxLayers: "", maxLayers + 1: plimsoll.CodeLimit} {
		layers := make([][]string, count)
		for i := range layers {
			layers[i] = []string{"d/", fmt.Sprintf("d/f%03d", i)}
		}
		s := stackOf(t, layers...)
		_, err := s.Lstat("d/f000")
		if plimsoll.CodeOf(err) != want {
			t.Errorf("%d layers: %v", count, err)
		}
		if err := s.Walk(func(Entry) error { return nil }); plimsoll.CodeOf(err) != want {
			t.Errorf("%d layers: %v", count, err)
		}
		if want == "" && !s.Visible(0, "d/f000") {
			t.Errorf("%d layers: not visible", count)
		}
	}
}

func TestStackOpen(t *testing.T) {
	low := makeTar(t, "usr/f=low", "only=metacopied", "d/")
	high := makeTar(t, "l -> /usr/f", "linked => only", "lost => nowhere")
	layers := []Layer{TarAt(bytes.NewReader(low), int64(len(low)), TarOptions{}), streamOf(high, TarOptions{})}
	var indexes []*Index
	for _, l := range layers {
		x, _, err := l.Scan(t.Context(), nothing{})
		if err != nil {
			t.Fatal(err)
		}
		indexes = append(indexes, x)
	}
	s := NewStack(layers, indexes)
	for path, want := range map[string]string{
		"l": "low", "usr/f": "low", "linked": "metacopied",
		"lost": "unreadable", "d": "invalid", "none": "not_found",
	} {
		f, _, err := s.Open(path)
		got := string(plimsoll.CodeOf(err))
		if err == nil {
			b, _ := io.ReadAll(io.NewSectionReader(f, 0, f.Size))
			got = string(b)
			f.Close()
		}
		if got != want {
			t.Errorf("open %s: %q, want %q (%v)", path, got, want, err)
		}
	}
	if _, _, err := NewStack(nil, indexes).Open("l"); plimsoll.CodeOf(err) != plimsoll.CodeUnreadable {
		t.Errorf("without layers: %v", err)
	}
}
