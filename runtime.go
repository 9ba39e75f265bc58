package plimsoll

import (
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"time"
)

// Runtime is what runs an application and has an end of life of its own.
type Runtime struct {
	Name      string    // "Node.js"
	Release   string    // "18", "3.9"
	EndOfLife time.Time // the last day on which the public gets fixes for nothing, at midnight UTC
}

// Runtime recognises runtimes that do not come from a distribution, which would
// look after them longer; known is false for all other packages, and for
// releases whose end is not known.
func (p *Package) Runtime() (r Runtime, known bool) {
	if p.Type.System() && p.Origin == "" || p.Owner != "" {
		return Runtime{}, false
	}
	id := string(p.Type) + "/" + p.Name
	table := runtimes()
	i := slices.IndexFunc(table, func(row runtimeRow) bool {
		return slices.ContainsFunc(row.Packages, func(pattern string) bool {
			prefix, wild := strings.CutSuffix(pattern, "*")
			return id == pattern || wild && strings.HasPrefix(id, prefix)
		})
	})
	if i < 0 {
		return Runtime{}, false
	}
	version := p.Version
	if _, rest, ok := strings.Cut(version, ":"); ok { // an epoch
		version = rest
	}
	parts := strings.FieldsFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	numbers := 1
	if table[i].Release == "minor" {
		numbers = 2
	}
	if len(parts) < numbers {
		return Runtime{}, false
	}
	r = Runtime{Name: table[i].Name, Release: strings.Join(parts[:numbers], ".")}
	end, known := table[i].EndOfLife[r.Release]
	r.EndOfLife, _ = time.Parse(time.DateOnly, end) // a test reads all dates
	return r, known
}

//go:embed runtimes.json
var runtimesJSON []byte

// runtimeRow is one row of runtimes.json.
type runtimeRow struct {
	Name string `json:"name"`
	// Packages are types and names; one that ends in "*" stands for all that begin
	// so. Packages of a package manager count only when they are a third party's.
	Packages []string `json:"packages"`
	Release  string   `json:"release"` // "major" or "minor": how many numbers name a release
	// EndOfLife maps releases to dates, as the projects announce them.
	EndOfLife map[string]string `json:"endOfLife"`
}

var runtimes = sync.OnceValue(func() []runtimeRow {
	var table []runtimeRow
	if err := json.Unmarshal(runtimesJSON, &table); err != nil {
		panic(err) // the file is part of the program; a test reads it
	}
	return table
})
