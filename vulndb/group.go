package vulndb

import (
	"cmp"
	"strings"
)

// groups joins IDs that are aliases of each other, transitively (acceptance
// ADV-05), and names each group by its canonical ID. IDs that were never joined
// are groups of their own and take no memory.
type groups struct {
	number map[string]int32
	parent []int32
	name   []string // of a root: the canonical ID
}

func (g *groups) lookup(id string) int32 {
	if n, ok := g.number[id]; ok {
		return n
	}
	if g.number == nil {
		g.number = make(map[string]int32)
	}
	id = strings.Clone(id) // id may be part of a much larger string
	n := int32(len(g.parent))
	g.number[id] = n
	g.parent = append(g.parent, n)
	g.name = append(g.name, id)
	return n
}

func (g *groups) root(n int32) int32 {
	for g.parent[n] != n {
		g.parent[n] = g.parent[g.parent[n]]
		n = g.parent[n]
	}
	return n
}

// join makes a and b aliases.
func (g *groups) join(a, b string) {
	ra, rb := g.root(g.lookup(a)), g.root(g.lookup(b))
	if ra == rb {
		return
	}
	if compareIDs(g.name[rb], g.name[ra]) < 0 {
		ra, rb = rb, ra
	}
	g.parent[rb] = ra
}

// joined says whether id has an alias.
func (g *groups) joined(id string) bool {
	_, ok := g.number[id]
	return ok
}

// canonical returns the name of id's group: its first ID by compareIDs.
func (g *groups) canonical(id string) string {
	n, ok := g.number[id]
	if !ok {
		return id
	}
	return g.name[g.root(n)]
}

// compareIDs orders IDs by how well they name a flaw: CVE IDs first, by year
// and number, then GHSA IDs, then all others by their letters.
func compareIDs(a, b string) int {
	if c := cmp.Compare(idRank(a), idRank(b)); c != 0 {
		return c
	}
	// CVE-1999-2 stands before CVE-1999-10, and 4-digit years sort as text.
	if strings.HasPrefix(a, "CVE-") && len(a) != len(b) && len(a) > 9 && len(b) > 9 && a[:9] == b[:9] {
		return cmp.Compare(len(a), len(b))
	}
	return strings.Compare(a, b)
}

func idRank(id string) int {
	switch {
	case strings.HasPrefix(id, "CVE-"):
		return 0
	case strings.HasPrefix(id, "GHSA-"):
		return 1
	}
	return 2
}
