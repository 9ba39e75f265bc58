package layerfs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzMerge stacks layers made of arbitrary bytes and compares the merged view with
// what plain words say of it (OCI image specification, "Applying Changesets"): layer
// after layer, first what its whiteouts and opaque directories remove of the layers
// below, then what it adds.
func FuzzMerge(f *testing.F) {
	f.Add([]byte("\x00\x01\x05\x00\x01\x02\x05\x00\x03\x01"))
	f.Add([]byte("\x01\x41\x00\x82\x05\x00\x04\x41\x05\x00\x03\x41\x02\x01"))
	f.Add([]byte("\x00\xc9\x05\x00\x00\x01\x05\x00\x01\x01\x00\x4a"))
	f.Fuzz(func(t *testing.T, program []byte) {
		layers := arbitraryLayers(program)
		var want []string
		for path, e := range applied(layers) {
			want = append(want, fmt.Sprintf("%d %s", e.layer, strings.Replace(e.line, "?", path, 1)))
		}
		got := shown(t, stackOf(t, layers...))
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q (-applied one by one +merged)\n%s", layers, diff)
		}
	})
}

// arbitraryLayers reads pairs of bytes, what and where, as the lines of build.
func arbitraryLayers(program []byte) [][]string {
	const most = 12
	layers := []map[string]string{{}}
	for ; len(program) >= 2; program = program[2:] {
		layer := layers[len(layers)-1]
		what, where := program[0]%6, program[1]
		if what == 5 {
			if len(layers) < most {
				layers = append(layers, map[string]string{})
			}
			continue
		}
		path, free := "", true
		for depth := int(where >> 6); ; depth-- {
			path += string('a' + rune(where&3))
			if where >>= 2; depth == 0 {
				break
			}
			if kind, there := layer[path]; there && kind != "?/" && kind != "?/ opaque" {
				free = false
			}
			if free && layer[path] == "" {
				layer[path] = "?/"
			}
			path += "/"
		}
		if free && layer[path] == "" {
			layer[path] = []string{"?", "?/", "? -> a/b", "? gone", "?/ opaque"}[what]
		}
	}
	var lines [][]string
	for _, layer := range layers {
		list := []string{}
		for _, path := range slices.Sorted(maps.Keys(layer)) {
			list = append(list, strings.Replace(layer[path], "?", path, 1))
		}
		lines = append(lines, list)
	}
	return lines
}

type appliedEntry struct {
	layer int
	line  string // with "?" for the path
}

func applied(layers [][]string) map[string]appliedEntry {
	tree := map[string]appliedEntry{}
	remove := func(path string, itself bool) {
		for p := range tree {
			if strings.HasPrefix(p, path+"/") || itself && p == path {
				delete(tree, p)
			}
		}
	}
	for number, lines := range layers {
		for _, pass := range []string{"remove", "add"} {
			for _, line := range lines {
				path := strings.TrimSuffix(strings.Fields(line)[0], "/")
				dir := strings.HasPrefix(line, path+"/")
				switch {
				case pass == "remove" && strings.HasSuffix(line, " gone"):
					remove(path, true)
				case pass == "remove" && (strings.HasSuffix(line, " opaque") || !dir):
					remove(path, false)
				case pass == "remove" || strings.HasSuffix(line, " gone"):
				case dir:
					tree[path] = appliedEntry{number, "?/"}
				default:
					tree[path] = appliedEntry{number, strings.Replace(line, path, "?", 1)}
				}
			}
		}
	}
	return tree
}
