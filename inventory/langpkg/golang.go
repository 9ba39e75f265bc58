package langpkg

import (
	"debug/buildinfo"
	"io"
	"runtime/debug"
	"strings"

	"plimsoll"
	"plimsoll/inventory"
)

// maxBuildInfo bounds what debug/buildinfo may read of one executable: section
// headers, the list of modules and, in stripped ones, the data segment.
const maxBuildInfo = 64 << 20

// goFacts lists the modules that a Go program was linked from and the standard
// library. An executable without build information (before Go 1.13, or stripped
// of it) gives nothing. The version of the main module is "(devel)" unless the
// linker recorded one; a version that -ldflags put into some variable is not
// taken for it.
func goFacts(f inventory.File) (inventory.Facts, error) {
	var facts inventory.Facts
	limited := &readBudget{r: f.ReaderAt, left: maxBuildInfo}
	info, err := buildinfo.Read(limited)
	if limited.err != nil {
		return facts, limited.err
	}
	if err != nil {
		return facts, nil // written in Go or not, nothing in it can be listed
	}
	add := func(name, version string) {
		p := plimsoll.Package{Type: plimsoll.TypeGo, Name: name, Version: version, Path: f.Path, Evidence: plimsoll.EvidenceBuildInfo}
		if identified(&p) && len(facts.Packages) < maxPackages {
			facts.Packages = append(facts.Packages, p)
		}
	}
	if v := goVersion(info.GoVersion); v != "" {
		add("stdlib", v)
		if n := len(facts.Packages); n > 0 && info.GoVersion != "go"+v {
			facts.Packages[n-1].Remark = text(info.GoVersion, maxVersion)
		}
	}
	if info.Main.Path != "" {
		addModule(add, &info.Main)
	}
	for _, m := range info.Deps {
		if m != nil {
			addModule(add, m)
		}
	}
	return facts, nil
}

// addModule honours replace directives: the replacement is what was linked. A
// directory has no version, and the module's own would be untrue.
func addModule(add func(name, version string), m *debug.Module) {
	name, version := m.Path, m.Version
	if r := m.Replace; r != nil {
		name, version = r.Path, r.Version
		if version == "" || strings.HasPrefix(name, "./") || strings.HasPrefix(name, "../") || strings.HasPrefix(name, "/") {
			name, version = m.Path, ""
		}
	}
	if version == "" {
		version = "(devel)"
	}
	add(name, version)
}

// goVersion turns "go1.21" and "go1.22.1 X:boringcrypto" into versions of the
// standard library, "1.21.0" and "1.22.1". Vendors append their names, which are
// not part of it; "devel …" is no version.
func goVersion(v string) string {
	v, _, _ = strings.Cut(v, " ")
	v, ok := strings.CutPrefix(v, "go")
	if !ok || v == "" || !digit(v[0]) {
		return ""
	}
	v, _, _ = strings.Cut(v, "-") // "-bigcorp"
	v, _, _ = strings.Cut(v, "+")
	// What follows the numbers is a pre-release, "1.22rc1".
	end := 0
	for end < len(v) && (digit(v[end]) || v[end] == '.') {
		end++
	}
	numbers, pre := strings.Trim(v[:end], "."), v[end:]
	for strings.Count(numbers, ".") < 2 {
		numbers += ".0"
	}
	if pre != "" {
		if !strings.HasPrefix(pre, "rc") && !strings.HasPrefix(pre, "beta") {
			return numbers
		}
		// Semantic versioning's form, as in Go's vulnerability database.
		kind := strings.TrimRight(pre, "0123456789")
		return numbers + "-" + kind + "." + pre[len(kind):]
	}
	return numbers
}

// readBudget fails once more than left bytes were asked for. It keeps the first
// failure, because debug/buildinfo calls every one "not a Go executable".
type readBudget struct {
	r    io.ReaderAt
	left int64
	err  error
}

func (b *readBudget) ReadAt(p []byte, off int64) (int, error) {
	const op = "read go build information"
	if b.left -= int64(len(p)); b.left < 0 {
		if b.err == nil {
			b.err = plimsoll.Errorf(plimsoll.CodeLimit, op, "more than %d bytes would have to be read", maxBuildInfo)
		}
		return 0, b.err
	}
	n, err := b.r.ReadAt(p, off)
	if err != nil && err != io.EOF && b.err == nil {
		b.err = readError(op, err)
	}
	return n, err
}
