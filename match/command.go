package match

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode"

	"plimsoll"
)

// commands returns what to type, in the order of the steps: first one command
// per system, then one per language package. Lines that begin with # are for
// people. Names, versions and paths come from the image: what a package manager
// would not accept as a name, or a shell could not be given safely, is left out
// with a remark.
func commands(upgrades []*upgrade, inv *plimsoll.Inventory) []string {
	var lines []string
	for _, root := range rootsOf(upgrades) {
		lines = append(lines, systemCommands(root, upgrades, inv)...)
	}
	for _, u := range upgrades {
		if !u.key.kind.System() {
			lines = append(lines, languageCommand(u))
		}
	}
	// Steps of one project can come to the same line (bundled packages).
	seen := make(map[string]bool, len(lines))
	return slices.DeleteFunc(lines, func(l string) bool {
		again := seen[l]
		seen[l] = true
		return again
	})
}

func rootsOf(upgrades []*upgrade) []string {
	var roots []string
	for _, u := range upgrades {
		if u.key.kind.System() {
			roots = append(roots, u.key.root)
		}
	}
	return sortedSet(roots)
}

// systemCommands upgrades the packages of one system together.
func systemCommands(root string, upgrades []*upgrade, inv *plimsoll.Inventory) []string {
	var names []string
	refused := 0
	for _, u := range upgrades {
		if !u.key.kind.System() || u.key.root != root {
			continue
		}
		for _, name := range u.step.Packages {
			if !validName(u.key.kind, name) {
				refused++
				continue
			}
			names = append(names, quote(name))
		}
	}
	var lines []string
	if refused > 0 {
		lines = append(lines, fmt.Sprintf("# %d packages are left out: their names are not names of packages", refused))
	}
	if names = sortedSet(names); len(names) == 0 {
		return lines
	}
	manager := managerOf(root, inv)
	if manager == nil {
		return append(lines, "# no package manager in the image: rebuild it on a newer base image to upgrade "+strings.Join(names, " "))
	}
	prefix := ""
	if root != "" {
		if !printable(root) {
			return append(lines, "# a system in a directory whose name cannot be printed")
		}
		prefix = "chroot " + quote("/"+root) + " "
	}
	var parts []string
	for _, part := range manager {
		parts = append(parts, prefix+part)
	}
	return append(lines, strings.Join(parts, " && ")+" "+strings.Join(names, " "))
}

// managers maps a package that is a package manager to its commands, the most
// capable first; the names of packages follow the last one.
var managers = [...]struct {
	kind     plimsoll.PackageType
	name     string
	commands []string
}{
	{plimsoll.TypeDeb, "apt", []string{"apt-get update", "apt-get install --yes --only-upgrade"}},
	{plimsoll.TypeAPK, "apk-tools", []string{"apk upgrade --no-cache"}},
	{plimsoll.TypeRPM, "zypper", []string{"zypper --non-interactive update"}},
	{plimsoll.TypeRPM, "dnf5", []string{"dnf upgrade --assumeyes --refresh"}},
	{plimsoll.TypeRPM, "dnf", []string{"dnf upgrade --assumeyes --refresh"}},
	{plimsoll.TypeRPM, "microdnf", []string{"microdnf upgrade --assumeyes --refresh"}},
	{plimsoll.TypeRPM, "tdnf", []string{"tdnf update --assumeyes"}},
	{plimsoll.TypeRPM, "yum", []string{"yum update --assumeyes"}},
	{plimsoll.TypeALPM, "pacman", []string{"pacman --sync --refresh --sysupgrade --noconfirm"}},
}

// managerOf finds the package manager that is installed in a system; nil when
// there is none, as in distroless images.
func managerOf(root string, inv *plimsoll.Inventory) []string {
	for _, m := range managers {
		for i := range inv.Packages {
			if p := &inv.Packages[i]; p.Type == m.kind && p.Name == m.name && p.Root == root {
				return m.commands
			}
		}
	}
	return nil
}

// leftOut stands for a command that would hold text which cannot be typed safely.
const leftOut = "# one package is left out: its name, version or path is not fit for a command"

// languageCommand is the way of the ecosystem to upgrade one package.
func languageCommand(u *upgrade) string {
	s := &u.step
	if !validName(s.Type, s.Package) || !validVersion(s.To) || !printable(s.Path) {
		return leftOut
	}
	if u.key.bundled != "" {
		return bundledCommand(u)
	}
	dir := "cd " + quote("/"+s.Path) + " && "
	switch s.Type {
	case plimsoll.TypeNPM:
		return npmCommand(u, dir)
	case plimsoll.TypePyPI:
		pip := "pip"
		if s.Path != "" && s.Path != "usr" && s.Path != "usr/local" && !strings.Contains(s.Path, ".dist-info") && !strings.Contains(s.Path, ".egg-info") {
			pip = quote("/" + path.Join(s.Path, "bin/pip"))
		}
		return pip + " install --upgrade " + quote(s.Package+"=="+s.To)
	case plimsoll.TypeComposer:
		return dir + "composer require " + quote(s.Package+":"+s.To)
	case plimsoll.TypeMaven:
		return "mvn versions:use-dep-version -DforceVersion=true -Dincludes=" + quote(s.Package) + " -DdepVersion=" + quote(s.To) + remark(s)
	case plimsoll.TypeGo:
		if s.Package == "stdlib" || s.Package == "toolchain" {
			return "GOTOOLCHAIN=go" + strings.TrimPrefix(s.To, "v") + " go build ./..." + remark(s)
		}
		return "go get " + quote(s.Package+"@v"+strings.TrimPrefix(s.To, "v")) + " && go build ./..." + remark(s)
	case plimsoll.TypeCargo:
		return "cargo update --package " + quote(s.Package) + " --precise " + quote(s.To) + remark(s)
	case plimsoll.TypeGem:
		if strings.Contains(s.Path, "vendor/bundle/") {
			return "bundle update --conservative " + quote(s.Package) + " # to " + s.To
		}
		return "gem install " + quote(s.Package) + " --version " + quote(s.To)
	case plimsoll.TypeNuGet:
		return "dotnet add package " + quote(s.Package) + " --version " + quote(s.To) + remark(s)
	case "hex":
		return "mix deps.update " + quote(s.Package) + " # to " + s.To
	case "pub":
		return "dart pub upgrade " + quote(s.Package) + " # to " + s.To
	}
	return fmt.Sprintf("# upgrade %s to %s", s.Package, s.To)
}

// npmCommand upgrades a package of a project, or of the global ones, which have
// no project. One that only others need is upgraded within the versions that
// these allow.
func npmCommand(u *upgrade, dir string) string {
	s := &u.step
	global := path.Base("/"+s.Path) == "lib"
	switch {
	case global && u.nested:
		_, inside, _ := strings.Cut("/"+u.findings[0].Package.Path, "/node_modules/")
		top, _, _ := strings.Cut(inside, "/node_modules/")
		if !validName(plimsoll.TypeNPM, top) {
			return leftOut
		}
		return "npm update --global " + quote(top) + " # brings " + quote(s.Package) + " " + s.To
	case global:
		return "npm install --global " + quote(s.Package+"@"+s.To)
	case u.nested:
		return dir + "npm update " + quote(s.Package) + " # to " + s.To
	}
	return dir + "npm install " + quote(s.Package+"@"+s.To)
}

// remark says which file of the image is to be built again: those commands run
// where its source is. Not every shell ignores what follows a #, so this is
// quoted too.
func remark(s *plimsoll.Step) string { return " # then rebuild " + quote("/"+s.Path) }

// bundledCommand upgrades the program that carries a package inside it; the
// package alone cannot be exchanged (want 22).
func bundledCommand(u *upgrade) string {
	s, parent := &u.step, u.key.bundled
	switch {
	case parent == "npm" && s.Type == plimsoll.TypeNPM:
		return "npm install --global npm@latest"
	case (parent == "pip" || parent == "setuptools") && s.Type == plimsoll.TypePyPI:
		return "pip install --upgrade " + parent
	case !printable(parent):
		return leftOut
	}
	return fmt.Sprintf("# %s lives inside %s: upgrade or remove that", s.Package, quote(parent))
}

// validName says whether a package manager of the type takes name for the name
// of a package and nothing else: not for an option, a URL, a path, or apt's
// "name-" (remove it).
func validName(t plimsoll.PackageType, name string) bool {
	punctuation := "._-"
	switch t {
	case plimsoll.TypeDeb, plimsoll.TypeAPK, plimsoll.TypeRPM, plimsoll.TypeALPM:
		punctuation = "._-+~^"
		if strings.HasSuffix(name, "-") {
			return false
		}
	case plimsoll.TypeNPM:
		if scope, rest, ok := strings.Cut(name, "/"); ok {
			if !strings.HasPrefix(scope, "@") {
				return false // npm takes owner/name for a repository
			}
			return validName("", scope[1:]) && validName("", rest)
		}
	case plimsoll.TypeMaven:
		punctuation = "._-:"
	case plimsoll.TypeGo, plimsoll.TypeComposer, "swift":
		punctuation = "._-~/"
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !isAlphanumeric(c) && (strings.IndexByte(punctuation, c) < 0 || i == 0 && c != '_') {
			return false
		}
	}
	return name != "" && !strings.Contains(name, "..")
}

func validVersion(v string) bool {
	for i := 0; i < len(v); i++ {
		if c := v[i]; !isAlphanumeric(c) && (i == 0 || strings.IndexByte("._-+~:!", c) < 0) {
			return false
		}
	}
	return v != ""
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// printable says whether s can stand in a command that people copy: no control
// characters, no invisible ones, nothing that turns the direction of writing.
func printable(s string) bool {
	for _, r := range s {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// quote makes s one word of a POSIX shell.
func quote(s string) string {
	plain := s != "" && s[0] != '~' && s[0] != '-'
	for i := 0; plain && i < len(s); i++ {
		plain = isAlphanumeric(s[i]) || strings.IndexByte("@/._:+~-", s[i]) >= 0
	}
	if plain {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
