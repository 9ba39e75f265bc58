package inventory

import (
	"path"
	"strings"
)

// MayOwn says whether it can matter that a system package owns the file at p.
// File lists of distributions hold a hundred thousand names; those of
// documentation, headers and data never prove a language package, so they are
// not kept. The answer errs on the side of keeping.
func MayOwn(p string) bool {
	for _, prefix := range [...]string{"usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/include/", "usr/share/icons/", "usr/share/zoneinfo/"} {
		if strings.HasPrefix(p, prefix) {
			return false
		}
	}
	switch ext := path.Ext(p); ext {
	case ".h", ".hpp", ".py", ".pyc", ".pyi", ".mo", ".po", ".gz", ".html", ".htm", ".css", ".png", ".svg", ".gif", ".jpg",
		".txt", ".xml", ".conf", ".ttf", ".rb", ".pl", ".pm", ".php", ".ts", ".map", ".md", ".rst", ".class", ".a", ".la", ".o",
		".sh", ".service", ".js", ".mjs", ".cjs", ".ko", ".tcl", ".el", ".elc", ".ui", ".qml", ".c", ".cc", ".cpp":
		return false
	}
	return true
}
