package plimsoll

import (
	"bytes"
	"encoding/json"
	"slices"
	"testing"
	"time"
)

func TestRuntime(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    Package
		want string
	}{
		{"Node.js as the project ships it", Package{Type: TypeGeneric, Name: "node", Version: "16.20.2"}, "Node.js 16 2023-09-11"},
		{"Node.js of NodeSource", Package{Type: TypeDeb, Name: "nodejs", Version: "18.20.4-1nodesource1", Origin: "NodeSource"}, "Node.js 18 2025-04-30"},
		{"the distribution looks after its own", Package{Type: TypeDeb, Name: "nodejs", Version: "12.22.12~dfsg-1"}, ""},
		{"and after what its packages own", Package{Type: TypeGeneric, Name: "node", Version: "12.22.12", Owner: "nodejs"}, ""},
		{"CPython", Package{Type: TypeGeneric, Name: "python", Version: "3.8.20"}, "Python 3.8 2024-10-07"},
		{".NET's shared runtime", Package{Type: TypeNuGet, Name: "Microsoft.NETCore.App", Version: "6.0.36"}, ".NET 6.0 2024-11-12"},
		{".NET within an application", Package{Type: TypeNuGet, Name: "Microsoft.NETCore.App.Runtime.linux-x64", Version: "7.0.20"}, ".NET 7.0 2024-05-14"},
		{"a release of which no end is known", Package{Type: TypeGeneric, Name: "node", Version: "99.0.0"}, ""},
		{"no version", Package{Type: TypeGeneric, Name: "python", Version: "3"}, ""},
		{"another program", Package{Type: TypeGeneric, Name: "nginx", Version: "1.2.3"}, ""},
		{"a library of the name", Package{Type: TypeNPM, Name: "node", Version: "16.0.0"}, ""},
	} {
		got := ""
		if r, known := tt.p.Runtime(); known {
			got = r.Name + " " + r.Release + " " + r.EndOfLife.Format(time.DateOnly)
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestRuntimeTable keeps the data in order.
func TestRuntimeTable(t *testing.T) {
	d := json.NewDecoder(bytes.NewReader(runtimesJSON))
	d.DisallowUnknownFields()
	var table []runtimeRow
	if err := d.Decode(&table); err != nil {
		t.Fatal(err)
	}
	for i, row := range table {
		if i > 0 && table[i-1].Name >= row.Name || !slices.IsSorted(row.Packages) || len(row.EndOfLife) == 0 || row.Release != "major" && row.Release != "minor" {
			t.Errorf("%s is out of order", row.Name)
		}
		for release, day := range row.EndOfLife {
			if _, err := time.Parse(time.DateOnly, day); err != nil {
				t.Errorf("%s %s: %v", row.Name, release, err)
			}
		}
	}
}
