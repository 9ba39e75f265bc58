package match

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/version"
)

// leftOut stands for a command that would hold text which cannot be typed safely.
const leftOut = "# one package is left out: its name, version or path is not fit for a command"

// command upgrades packages of one project or environment. Commands that are
// equal but for their packages are one.
type command struct {
	before, after string // the tool and its place, and what follows the packages
	// word is the package as the tool takes it, remark what a tool that takes no
	// version tells people; nil for none.
	word, remark func(name, to string) string
	finally      string // a command on the names of the packages; empty for none
	name, to     string
	target       version.Version // to, for comparing
}

// languageCommands upgrades the packages of languages, one line for each project
// or environment and tool, in the order of the first package of each.
func languageCommands(upgrades []*upgrade, inv *plimsoll.Inventory) []string {
	pips := make(map[string]bool) // environments that have one of their own
	for i := range inv.Packages {
		if p := &inv.Packages[i]; p.Type == plimsoll.TypePyPI && p.Name == "pip" {
			pips[placeOf(p)] = true
		}
	}
	type key struct{ before, after string }
	var order []key
	together := make(map[key][]command)
	for _, u := range upgrades {
		if u.key.kind.System() {
			continue
		}
		c := languageCommand(u, pips)
		k := key{c.before, c.after}
		if _, ok := together[k]; !ok {
			order = append(order, k)
		}
		together[k] = append(together[k], c)
	}
	var lines []string
	for _, k := range order {
		lines = append(lines, join(together[k]))
	}
	return lines
}

// join writes commands that differ in their packages only as one. A package
// that is there in several versions goes to the newest target: one environment
// holds one.
func join(commands []command) string {
	var list []command
	var remarks []string
	for _, c := range commands {
		i := slices.IndexFunc(list, func(d command) bool { return d.name == c.name })
		switch {
		case i < 0:
			list = append(list, c)
		case c.target.Compare(list[i].target) > 0:
			list[i] = c
		}
		if c.remark != nil {
			remarks = append(remarks, c.remark(c.name, c.to))
		}
	}
	line := list[0].before
	for _, c := range list {
		if c.word != nil {
			line += " " + c.word(c.name, c.to)
		}
	}
	if finally := list[0].finally; finally != "" {
		line += finally
		for _, c := range list {
			line += " " + quote(c.name)
		}
	}
	line += list[0].after
	if len(remarks) > 0 {
		line += " # brings " + strings.Join(sortedSet(remarks), ", ")
	}
	return line
}

// languageCommand is the way of the ecosystem to upgrade one package.
func languageCommand(u *upgrade, pips map[string]bool) command {
	s := &u.step
	if !validName(s.Type, s.Package) || !validVersion(s.To) || !printable(s.Path) {
		return command{before: leftOut}
	}
	if u.key.bundled != "" {
		return command{before: bundledCommand(u, pips)}
	}
	c := command{name: s.Package, to: s.To}
	c.target, _ = version.Parse(schemeOf(s.Type), s.To)
	switch s.Type {
	case plimsoll.TypeNPM:
		return npmCommand(u, c)
	case plimsoll.TypePyPI:
		if name, ok := condaPackage(u); ok {
			// pip would put a second copy over conda's files (acceptance PY-04).
			c.name, c.before, c.word, c.remark = name, "conda update --prefix "+quote("/"+s.Path), byName, func(_, to string) string {
				return quote(s.Package) + " to " + to
			}
			break
		}
		c.before, c.word = pip(s.Path, pips)+" install --upgrade", joined("==")
		if dir, ok := targetDirectory(s.Path); ok {
			c.before += " --target " + quote("/"+dir)
		} else if userSite(s.Path) {
			c.before += " --user"
		}
	case plimsoll.TypeComposer:
		c.before, c.word = u.in(s.Path)+"composer require --with-all-dependencies", joined(":")
	case plimsoll.TypeMaven:
		c.before = "mvn versions:use-dep-version -DforceVersion=true -Dincludes=" + quote(s.Package) + " -DdepVersion=" + quote(s.To)
		c.after = rebuild(s)
	case plimsoll.TypeGo:
		if s.Package == "stdlib" || s.Package == "toolchain" {
			c.before, c.after = "GOTOOLCHAIN=go"+strings.TrimPrefix(s.To, "v")+" go build ./...", rebuild(s)
			break
		}
		c.before, c.after = "go get", " && go build ./..."+rebuild(s)
		c.word = func(name, to string) string { return quote(name + "@v" + strings.TrimPrefix(to, "v")) }
	case plimsoll.TypeCargo:
		c.before, c.after = "cargo update --package "+quote(s.Package)+" --precise "+quote(s.To), rebuild(s)
	case plimsoll.TypeGem:
		if dir, _, ok := strings.Cut("/"+s.Path+"/", "/vendor/bundle/"); ok {
			c.before, c.word, c.remark = u.in(dir)+"bundle update --conservative", byName, spoken
			break
		}
		c.before, c.word = "gem install", joined(":")
		c.finally = " && gem cleanup" // the old version stays installed beside the new one
	case plimsoll.TypeNuGet:
		c.before, c.after = "dotnet add package "+quote(s.Package)+" --version "+quote(s.To), rebuild(s)
	case "hex":
		c.before, c.word, c.remark = "mix deps.update", byName, spoken
	case "pub":
		c.before, c.word, c.remark = "dart pub upgrade", byName, spoken
	default:
		c.before = fmt.Sprintf("# upgrade %s to %s", s.Package, s.To)
	}
	return c
}

// condaPackage names the conda package that a Python distribution came with, as
// its origin tells: "conda: pytorch 2.1.0".
func condaPackage(u *upgrade) (name string, ok bool) {
	origin, ok := strings.CutPrefix(u.findings[0].Package.Origin, "conda: ")
	name, _, _ = strings.Cut(origin, " ")
	return name, ok && validName(plimsoll.TypeConda, name)
}

// The ways in which tools take a package.

func byName(name, _ string) string { return quote(name) }

func joined(sign string) func(name, to string) string {
	return func(name, to string) string { return quote(name + sign + to) }
}

// spoken tells people what a tool that takes no version should arrive at.
func spoken(name, to string) string { return quote(name) + " to " + to }

// in goes to a directory of the image, and nowhere when it is not known where the
// package is: an SBOM may claim a package without a place.
func (u *upgrade) in(dir string) string {
	if u.findings[0].Package.Path == "" {
		return ""
	}
	return "cd " + quote("/"+strings.TrimPrefix(dir, "/")) + " && "
}

// pip names the pip that installs into an environment: its own, else the one on
// the path, which also serves environments that were made without.
func pip(environment string, pips map[string]bool) string {
	switch environment {
	case "", "usr", "usr/local":
		return "pip"
	}
	if _, target := targetDirectory(environment); target || userSite(environment) {
		return "pip" // neither has a pip of its own
	}
	if pips[environment] {
		return quote("/" + path.Join(environment, "bin/pip"))
	}
	return "pip --python " + quote("/"+path.Join(environment, "bin/python"))
}

// userSite recognises what pip installs for one user.
func userSite(environment string) bool { return path.Base(environment) == ".local" }

// targetDirectory returns where a package lies that was installed into a plain
// directory: its place is its own metadata, which no environment holds.
func targetDirectory(place string) (dir string, ok bool) {
	for dir = place; dir != "." && dir != "/" && dir != ""; dir = path.Dir(dir) {
		if base := path.Base(dir); strings.HasSuffix(base, ".dist-info") || strings.HasSuffix(base, ".egg-info") {
			return strings.TrimPrefix(path.Dir(dir), "."), true
		}
	}
	return "", false
}

// npmCommand upgrades a package of a project, or of the global ones, which have
// no project. One that only others need is upgraded within the versions that
// these allow.
func npmCommand(u *upgrade, c command) command {
	s := &u.step
	global := path.Base("/"+s.Path) == "lib"
	switch {
	case global && u.nested:
		_, inside, _ := strings.Cut("/"+u.findings[0].Package.Path, "/node_modules/")
		top, _, _ := strings.Cut(inside, "/node_modules/")
		if !validName(plimsoll.TypeNPM, top) {
			return command{before: leftOut}
		}
		c.before, c.remark = "npm update --global "+quote(top), spoken
	case global:
		c.before, c.word = "npm install --global", joined("@")
	case u.nested:
		c.before, c.word, c.remark = u.in(s.Path)+"npm update", byName, spoken
	default:
		c.before, c.word = u.in(s.Path)+"npm install", joined("@")
		// A project can know a package by another name: node_modules/old holds
		// what its package.json names npm:real@1.0.0.
		if alias := directoryOf(u.findings[0].Package.Path); alias != s.Package && validName(plimsoll.TypeNPM, alias) {
			c.name, c.word = alias, joined("@npm:"+s.Package+"@")
		}
	}
	return c
}

// directoryOf returns the name of the directory in which npm put a package.
func directoryOf(file string) string {
	dir := strings.TrimSuffix("/"+file, "/package.json")
	i := strings.LastIndex(dir, "/node_modules/")
	if i < 0 || dir == "/"+file {
		return ""
	}
	return dir[i+len("/node_modules/"):]
}

// rebuild says which file of the image is to be built again: those commands run
// where its source is. Not every shell ignores what follows a #, so this is
// quoted too.
func rebuild(s *plimsoll.Step) string {
	if s.Path == "" {
		return " # then rebuild what holds it"
	}
	outermost, _, _ := strings.Cut(s.Path, "!/")
	return " # then rebuild " + quote("/"+outermost)
}

// bundledCommand upgrades the program that carries a package inside it; the
// package alone cannot be exchanged (want 22).
func bundledCommand(u *upgrade, pips map[string]bool) string {
	s, parent := &u.step, u.key.bundled
	switch {
	case parent == "npm" && s.Type == plimsoll.TypeNPM:
		return "npm install --global npm@latest"
	case (parent == "pip" || parent == "setuptools") && s.Type == plimsoll.TypePyPI:
		return pip(s.Path, pips) + " install --upgrade " + parent
	case !printable(parent):
		return leftOut
	}
	return fmt.Sprintf("# %s lives inside %s: upgrade or remove that", s.Package, quote(parent))
}
