package plimsoll

import "strings"

// NormalizeName returns name in the form under which the ecosystem compares
// names, so that advisories and inventories meet (acceptance ADV-12):
//
//   - PyPI: PEP 503, lower case with runs of '-', '_' and '.' as one '-';
//   - NuGet, Packagist, Hex, Pub, GitHub Actions, Bitnami, VSCode: lower case,
//     because these registries ignore case;
//   - all others (npm, Go, Maven, RubyGems, crates.io, every distribution): as
//     it is, because case and punctuation tell packages apart there.
//
// The ecosystem is in OSV's spelling; what follows its first colon is a release
// and does not matter, but for "Root:PyPI" and the like, where it names the
// ecosystem whose packages were rebuilt. Names already in normal form are returned
// without allocation.
func NormalizeName(ecosystem, name string) string {
	family, rebuilt, _ := strings.Cut(ecosystem, ":")
	for {
		switch family {
		case "PyPI", "PyPi":
			return normalizePyPI(name)
		case "NuGet", "Packagist", "Hex", "Pub", "GitHub Actions", "Bitnami", "VSCode":
			return strings.ToLower(name)
		}
		if rebuilt == "" {
			return name
		}
		family, _, _ = strings.Cut(rebuilt, ":")
		rebuilt = ""
	}
}

// normalizePyPI follows PEP 503: re.sub(r"[-_.]+", "-", name).lower().
func normalizePyPI(name string) string {
	normal := true
	for i := 0; i < len(name) && normal; i++ {
		c := name[i]
		normal = c != '_' && c != '.' && (c < 'A' || c > 'Z') && (c != '-' || i == 0 || name[i-1] != '-')
	}
	if normal {
		return name
	}
	b := make([]byte, 0, len(name))
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '-' || c == '_' || c == '.':
			if n := len(b); n > 0 && b[n-1] == '-' {
				continue
			}
			c = '-'
		case 'A' <= c && c <= 'Z':
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return string(b)
}

// NormalizeArch returns the architecture of a package in Go's spelling, whichever
// spelling a package manager or a feed uses; others, "noarch" too, as they are.
func NormalizeArch(arch string) string {
	switch arch {
	case "x86_64":
		return "amd64"
	case "aarch64":
		return "arm64"
	case "x86", "i386", "i486", "i586", "i686":
		return "386"
	case "powerpc64le", "ppc64el":
		return "ppc64le"
	case "armhf", "armv7", "armv7l", "armv7hl":
		return "arm"
	case "loongarch64":
		return "loong64"
	}
	return arch
}
