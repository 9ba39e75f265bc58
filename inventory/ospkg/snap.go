package ospkg

import (
	"context"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// snap reads the description of a snap that was unpacked into an image,
// meta/snap.yaml (snapcraft.io, "The snap format"), and tells of those that are
// packed, which are file systems of their own. Nobody publishes advisories for
// snaps: they are listed (acceptance SNAP-01).
type snap struct{}

func (snap) Name() string { return "snap" }
func (snap) Version() int { return 1 }

func (snap) Wants(path string) inventory.Want {
	if strings.HasSuffix(path, "/meta/snap.yaml") || packedSnap(path) {
		return inventory.Yes
	}
	return inventory.No
}

func packedSnap(path string) bool {
	return strings.HasSuffix(path, ".snap") && strings.Contains(path, "var/lib/snapd/")
}

func (snap) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	c := &collector{op: "read snap.yaml"}
	if packedSnap(f.Path) {
		c.facts.Problems = append(c.facts.Problems, plimsoll.Problem{
			Code: plimsoll.ProblemUnidentified, Detail: "a packed snap: what is in it was not looked at"})
		return c.result(nil)
	}
	in := newLines(f, maxSmall)
	p := plimsoll.Package{Type: plimsoll.TypeSnap}
	for {
		line, ok := in.next()
		if !ok {
			break
		}
		key, value, _ := strings.Cut(string(line), ":")
		value = yamlScalar(value)
		switch key {
		case "name":
			p.Name = text([]byte(value), maxName+1)
		case "version":
			p.Version = text([]byte(value), maxName+1)
		case "license":
			p.Licenses = addLicense(nil, []byte(value))
		}
	}
	if err := in.done(c.op); err != nil {
		return c.result(err)
	}
	return c.result(c.add(p))
}

// yamlScalar returns what stands behind a key on one line. The fields read here
// are plain or quoted words at the top of the file; a whole YAML reader would
// follow aliases, which a few bytes can multiply without end.
func yamlScalar(s string) string {
	s = strings.TrimSpace(s)
	if s != "" && (s[0] == '\'' || s[0] == '"') {
		s, _, _ = strings.Cut(s[1:], s[:1])
		return s
	}
	s, _, _ = strings.Cut(s, " #")
	return strings.TrimSpace(s)
}
