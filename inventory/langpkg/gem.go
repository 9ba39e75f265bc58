package langpkg

import (
	"bytes"
	"context"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// gem finds installed gems by specifications/NAME-VERSION[-PLATFORM].gemspec.
// RubyGems writes these files itself, with a "# stub: name version platform"
// line and one assignment per line, so that they can be read without being a
// Ruby. Those in specifications/default are part of Ruby and upgraded with it.
type gem struct{}

// maxGemspec is how much of a specification is read. What matters is at its
// beginning; lists of files follow.
const maxGemspec = 64 << 10

func (gem) Name() string { return "gem" }
func (gem) Version() int { return 1 }

func (gem) Wants(p string) inventory.Want {
	if !strings.HasSuffix(p, ".gemspec") {
		return inventory.No
	}
	dir, _ := split(p)
	if strings.HasSuffix(dir, "/specifications") || strings.HasSuffix(dir, "/specifications/default") || dir == "specifications" {
		return inventory.Yes
	}
	return inventory.No
}

func (gem) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	var facts inventory.Facts
	data, err := head(f, maxGemspec, "read gemspec")
	if err != nil {
		return facts, err
	}
	dir, base := split(f.Path)
	p := plimsoll.Package{Type: plimsoll.TypeGem, Path: f.Path, Evidence: plimsoll.EvidenceMetadata}
	for line := range bytes.Lines(data) {
		line = bytes.TrimSpace(line)
		if stub, ok := bytes.CutPrefix(line, []byte("# stub: ")); ok && p.Name == "" {
			if fields := strings.Fields(string(stub)); len(fields) >= 2 {
				p.Name, p.Version = fields[0], fields[1]
			}
			continue
		}
		if len(line) < 3 || line[1] != '.' {
			continue // "s.name = …"
		}
		field, value, ok := bytes.Cut(line[2:], []byte("="))
		if !ok {
			continue
		}
		switch string(bytes.TrimSpace(field)) {
		case "name":
			if s := rubyStrings(value); p.Name == "" && len(s) == 1 {
				p.Name = s[0]
			}
		case "version":
			if s := rubyStrings(value); p.Version == "" && len(s) == 1 {
				p.Version = s[0]
			}
		case "license", "licenses":
			p.Licenses = licenses(rubyStrings(value)...)
		case "author", "authors":
			if s := rubyStrings(value); len(s) > 0 {
				p.Supplier = text(s[0], maxName)
			}
		}
	}
	if p.Name == "" || p.Version == "" {
		p.Name, p.Version = gemFileName(strings.TrimSuffix(base, ".gemspec"))
		p.Evidence = plimsoll.EvidenceFileName
	}
	if strings.HasSuffix(dir, "/default") {
		p.Bundled = "ruby"
	}
	if !identified(&p) {
		facts.Problems = []plimsoll.Problem{{Code: plimsoll.ProblemUnidentified,
			Detail: "read gemspec: neither its text nor its name tell name and version, so this gem is not judged"}}
		return facts, nil
	}
	facts.Packages = []plimsoll.Package{p}
	return facts, nil
}

// rubyStrings returns the double-quoted strings of a line, up to the first with
// an escape or interpolation.
func rubyStrings(line []byte) (out []string) {
	for len(out) < maxLicenses {
		_, rest, ok := bytes.Cut(line, []byte(`"`))
		if !ok {
			return out
		}
		s, rest, ok := bytes.Cut(rest, []byte(`"`))
		if !ok || bytes.ContainsAny(s, `\#`) {
			return out
		}
		out = append(out, string(s))
		line = rest
	}
	return out
}

// gemFileName splits "nokogiri-1.15.4-x86_64-linux": the version is the first
// part that starts with a digit, what follows is the platform.
func gemFileName(s string) (name, version string) {
	for i := 1; i+1 < len(s); i++ {
		if s[i] == '-' && digit(s[i+1]) {
			version, _, _ = strings.Cut(s[i+1:], "-")
			return s[:i], version
		}
	}
	return s, ""
}
