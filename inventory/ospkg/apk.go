package ospkg

import (
	"context"

	"plimsoll"
	"plimsoll/inventory"
)

// apk reads the installed database of Alpine's package manager and its kin
// (Wolfi, Chainguard). Format: apk-tools, "Apk spec", installed database v2.
type apk struct{}

func (apk) Name() string { return "apk" }
func (apk) Version() int { return 2 }

func (apk) Wants(path string) inventory.Want {
	if _, ok := apkDatabase(path); ok {
		return inventory.Yes
	}
	return inventory.No
}

func apkDatabase(path string) (root string, ok bool) {
	root, ok = cutRoot(path, "lib/apk/db/installed")
	return systemRoot(root), ok
}

func (apk) Analyze(ctx context.Context, f inventory.File) (inventory.Facts, error) {
	root, _ := apkDatabase(f.Path)
	c := &collector{root: root, op: "read apk database"}
	in := newLines(f, maxText)
	p := plimsoll.Package{Type: plimsoll.TypeAPK}
	origin, dir := "", ""
	for n := 0; ; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return c.result(ctx.Err())
		}
		line, more := in.next()
		if !more || len(line) == 0 {
			if p.Name != "" || p.Version != "" {
				p.Source = apkSource(p, origin)
				if err := c.add(p); err != nil {
					return c.result(err)
				}
			}
			p = plimsoll.Package{Type: plimsoll.TypeAPK}
			origin, dir = "", ""
			if !more {
				if in.torn {
					c.tear()
				}
				return c.result(in.done(c.op))
			}
			continue
		}
		if len(line) < 2 || line[1] != ':' {
			continue
		}
		switch value := line[2:]; line[0] {
		case 'P':
			p.Name = text(value, maxName+1)
		case 'V':
			p.Version = text(value, maxName+1)
		case 'A':
			p.Arch = text(value, maxName)
		case 'L':
			if l := text(value, maxField); l != "" {
				p.Licenses = []string{l}
			}
		case 'm':
			p.Supplier = text(value, maxField)
		case 'o':
			origin = text(value, maxName)
		case 'F':
			dir = string(value)
		case 'R':
			c.own(p.Name, dir, string(value))
		}
	}
}

// apkSource returns the origin, by which Alpine's advisories name a package; it
// shares the version of all packages made from it.
func apkSource(p plimsoll.Package, origin string) plimsoll.SourcePackage {
	if origin == "" {
		origin = p.Name
	}
	return plimsoll.SourcePackage{Name: origin, Version: p.Version}
}
