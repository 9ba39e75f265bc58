package ospkg

import (
	"context"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// alpm reads pacman's local database: var/lib/pacman/local/<package>/desc and
// files. Format: libalpm, be_local.c: "%FIELD%", its values, an empty line.
type alpm struct{}

func (alpm) Name() string { return "alpm" }
func (alpm) Version() int { return 1 }

func (alpm) Wants(path string) inventory.Want {
	if _, _, _, ok := alpmEntry(path); ok {
		return inventory.Yes
	}
	return inventory.No
}

// alpmEntry returns the system's root, the directory of the package and which
// of its two files path is.
func alpmEntry(path string) (root, entry, base string, ok bool) {
	if !strings.HasSuffix(path, "/desc") && !strings.HasSuffix(path, "/files") {
		return "", "", "", false
	}
	dir, base := split(path)
	local, entry := split(dir)
	root, ok = cutRoot(local, "var/lib/pacman/local")
	return root, entry, base, ok
}

func (alpm) Analyze(_ context.Context, f inventory.File) (inventory.Facts, error) {
	root, entry, base, _ := alpmEntry(f.Path)
	c := &collector{root: root, op: "read pacman database"}
	in := newLines(f, maxText)
	p := plimsoll.Package{Type: plimsoll.TypeALPM}
	owner := alpmName(entry)
	field := ""
	for {
		line, ok := in.next()
		if !ok {
			break
		}
		switch {
		case len(line) == 0:
			field = ""
		case field == "":
			if n := len(line); n > 2 && n < 32 && line[0] == '%' && line[n-1] == '%' {
				field = string(line[1 : n-1])
			}
		case field == "FILES":
			if line[len(line)-1] != '/' {
				c.own(owner, string(line), "")
			}
		case field == "NAME":
			p.Name = text(line, maxName+1)
		case field == "VERSION":
			p.Version = text(line, maxName+1)
		case field == "ARCH":
			p.Arch = text(line, maxName)
		case field == "PACKAGER":
			p.Supplier = text(line, maxField)
		case field == "LICENSE":
			p.Licenses = addLicense(p.Licenses, line)
		}
	}
	if err := in.done(c.op); err != nil || base != "desc" {
		return c.result(err)
	}
	return c.result(c.add(p))
}

// alpmName strips version and release from the name of a package's directory.
func alpmName(entry string) string {
	for range 2 {
		if i := strings.LastIndexByte(entry, '-'); i > 0 {
			entry = entry[:i]
		}
	}
	return entry
}
