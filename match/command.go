package match

import (
	"fmt"
	"strings"
	"unicode"

	"plimsoll"
)

// commands returns what to type, in the order of the steps: first one command
// per system, then one per project or environment of a language. Lines that begin with # are for
// people. Names, versions and paths come from the image: what a package manager
// would not accept as a name, or a shell could not be given safely, is left out
// with a remark.
func commands(upgrades []*upgrade, inv *plimsoll.Inventory) []string {
	var lines []string
	for _, root := range rootsOf(upgrades) {
		lines = append(lines, systemCommands(root, upgrades, inv)...)
	}
	return append(lines, languageCommands(upgrades, inv)...)
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
