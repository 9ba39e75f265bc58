package plimsoll

import (
	_ "embed"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// Rebuilder names who patched and rebuilt a package that otherwise looks like the
// distribution's or the ecosystem's own, as its name or version tells; empty when
// nothing does. What others publish is about other builds, so that only the
// rebuilder's advisories count (acceptance OS-09).
func (p *Package) Rebuilder() string {
	for _, row := range rebuilders() {
		if row.made(p) {
			return row.Name
		}
	}
	return ""
}

// By says whether the whole release is a rebuilder's: then its packages are the
// distribution's own.
func (d Distribution) By(rebuilder string) bool {
	return slices.ContainsFunc(d.Ecosystems, func(e string) bool {
		family, _, _ := strings.Cut(e, ":")
		return family == rebuilder
	})
}

//go:embed rebuilders.json
var rebuildersJSON []byte

// rebuilder is one row of rebuilders.json: a mark by which a rebuilder's packages
// are known. All that it says must hold.
type rebuilder struct {
	// Name is the rebuilder, as OSV begins the names of its ecosystems: what Root
	// says about its builds for Debian 12 is under "Root:Debian:12".
	Name  string        `json:"name"`
	Types []PackageType `json:"types"` // empty: all
	// Package begins the name of the package or of its source package.
	Package string `json:"package"`
	// Version is part of the version. Pattern is a regular expression that the
	// version of a package with that part must match, where the part alone is
	// ambiguous.
	Version string `json:"version"`
	Pattern string `json:"pattern"`

	pattern *regexp.Regexp
}

func (r *rebuilder) made(p *Package) bool {
	switch {
	case r.Version != "" && !strings.Contains(p.Version, r.Version):
	case r.Package != "" && !strings.HasPrefix(p.Name, r.Package) && !strings.HasPrefix(p.Source.Name, r.Package):
	case len(r.Types) > 0 && !slices.Contains(r.Types, p.Type):
	default:
		return r.pattern == nil || r.pattern.MatchString(p.Version)
	}
	return false
}

var rebuilders = sync.OnceValue(func() []rebuilder {
	var table []rebuilder
	if err := json.Unmarshal(rebuildersJSON, &table); err != nil {
		panic(err) // the file is part of the program; a test reads it
	}
	for i := range table {
		if r := &table[i]; r.Pattern != "" {
			r.pattern = regexp.MustCompile(r.Pattern)
		}
	}
	return table
})
