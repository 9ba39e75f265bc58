package langpkg

import (
	"bytes"
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
// of it) gives nothing. The version of the main module is what the go command
// recorded or, where that is "(devel)", what -ldflags put into a variable that is
// called a version, see linkedVersion.
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
		if n := len(facts.Packages); n > 0 && facts.Packages[n-1].Version == devel && info.Main.Replace == nil {
			if v := linkedVersion(info); v != "" {
				facts.Packages[n-1].Version, facts.Packages[n-1].Remark = v, "the version is from -ldflags"
			} else if v, err := releaseVersion(f, info.Main.Path); v != "" || err != nil {
				if err != nil {
					return facts, err
				}
				facts.Packages[n-1].Version, facts.Packages[n-1].Evidence = v, plimsoll.EvidenceBinary
			}
		}
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
		version = devel
	}
	add(name, version)
}

// devel is the go command's word for a module built outside a release.
const devel = "(devel)"

// linkedVersion returns the version of the main module that the build wrote into
// one of its own variables: "-X main.version=1.2.3". Variables of other modules
// say nothing about it, and two that disagree say nothing either (acceptance
// GO-02). A build with -trimpath does not record its flags.
func linkedVersion(info *buildinfo.BuildInfo) string {
	flags := ""
	for _, s := range info.Settings {
		if s.Key == "-ldflags" {
			flags = s.Value
		}
	}
	found := ""
	for len(flags) > 0 {
		i := strings.Index(flags, "-X")
		if i < 0 {
			break
		}
		flags = strings.TrimLeft(flags[i+2:], " =\"'")
		variable, rest, ok := strings.Cut(flags, "=")
		if !ok || strings.ContainsAny(variable, " \"'") {
			continue
		}
		value := strings.TrimLeft(rest, `"'`)
		if end := strings.IndexAny(value, " \"'"); end >= 0 {
			value = value[:end]
		}
		pkg, name := variable, ""
		if dot := strings.LastIndexByte(variable, '.'); dot > 0 {
			pkg, name = variable[:dot], variable[dot+1:]
		}
		if pkg != "main" && pkg != info.Main.Path && !strings.HasPrefix(pkg, info.Main.Path+"/") || !versionVariable(name) {
			continue
		}
		v := moduleVersion(info.Main.Path, value)
		if v == "" {
			continue
		}
		if found != "" && v != found {
			return ""
		}
		found = v
	}
	return found
}

// versionVariable knows the names under which programs keep their version;
// "goVersion" and "apiVersion" are versions of something else.
func versionVariable(name string) bool {
	switch strings.ToLower(name) {
	case "version", "buildversion", "appversion", "releaseversion", "semver", "tag", "gittag", "gitversion", "versionstring":
		return true
	}
	return false
}

// moduleVersion writes a release as versions of the module at path are written:
// with "v", and "+incompatible" where the path lacks the suffix for the major
// version. A release that the path contradicts is none of it.
func moduleVersion(path, release string) string {
	v := strings.TrimPrefix(release, "v")
	if !versionText(v) || strings.Count(strings.SplitN(v, "-", 2)[0], ".") != 2 {
		return ""
	}
	major, _, _ := strings.Cut(v, ".")
	_, suffix := split(path)
	switch {
	case len(suffix) > 1 && suffix[0] == 'v' && strings.Trim(suffix[1:], "0123456789") == "":
		if suffix[1:] != major {
			return ""
		}
	case major != "0" && major != "1":
		return "v" + v + "+incompatible"
	}
	return "v" + v
}

// linkedPrograms are programs whose releases are built without recording a
// version, but with -X, so that it stands in the data by itself.
var linkedPrograms = [...]string{"github.com/traefik/traefik", "github.com/containous/traefik"}

// releaseVersion returns the version of such a program: the first text between
// two zero bytes that fits the module's path.
func releaseVersion(f inventory.File, path string) (string, error) {
	known := false
	for _, p := range linkedPrograms {
		known = known || path == p || strings.HasPrefix(path, p+"/v")
	}
	var header [64]byte
	if _, err := f.ReadAt(header[:], 0); !known || err != nil {
		return "", notEOF(err)
	}
	e, ok, err := readElf(f.ReaderAt, f.Size, header[:])
	if err != nil || !ok {
		return "", err
	}
	s, ok := e.section(".rodata")
	if !ok || s.size > maxBinary {
		return "", nil
	}
	found := ""
	err = windows(f, s, func(data []byte) bool {
		for len(data) > 0 && found == "" {
			i := bytes.IndexByte(data, 0)
			if i < 0 || i+1 >= len(data) {
				break
			}
			data = data[i+1:]
			if end := bytes.IndexByte(data[:min(len(data), 32)], 0); end > 4 {
				found = moduleVersion(path, string(data[:end]))
			}
		}
		return found != ""
	})
	return found, err
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
