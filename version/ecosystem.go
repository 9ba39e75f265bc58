package version

import "strings"

// ForEcosystem returns the scheme of an ecosystem as OSV names it, with or
// without a release after a colon ("Debian:12", "npm"). It is false for
// ecosystems whose versions have no order of their own, such as commits.
func ForEcosystem(osvEcosystem string) (Scheme, bool) {
	name, release, _ := strings.Cut(osvEcosystem, ":")
	switch name {
	case "Debian", "Ubuntu":
		return Deb, true
	case "Red Hat", "AlmaLinux", "Rocky Linux", "CentOS", "Fedora", "Oracle", "Oracle Linux",
		"Amazon Linux", "Azure Linux", "Photon OS", "SUSE", "openSUSE", "openEuler", "Mageia", "Anolis":
		return RPM, true
	case "Alpine", "Wolfi", "Chainguard", "MinimOS", "Alpaquita", "BellSoft Hardened Containers", "CleanStart":
		return APK, true
	case "Arch Linux":
		return Pacman, true
	case "npm":
		return NPM, true
	case "PyPI", "PyPi":
		return PEP440, true
	case "Maven", "NVD":
		// NVD's programs have no order of their own. Maven's knows numbers, the
		// words for pre-releases, and letters behind a release, OpenSSL's
		// 1.1.1k < 1.1.1za among them (acceptance BIN-01).
		return Maven, true
	case "Go":
		return Go, true
	case "crates.io":
		return Cargo, true
	case "NuGet":
		return NuGet, true
	case "Packagist":
		return Composer, true
	case "RubyGems":
		return Gem, true
	case "Hex":
		return Hex, true
	case "Pub":
		return Pub, true
	case "CRAN", "Bioconductor":
		return CRAN, true
	case "Hackage", "GHC":
		return Hackage, true
	case "opam":
		return Opam, true
	case "SwiftURL", "ConanCenter", "GitHub Actions", "Julia", "Bitnami", "VSCode", "Linux":
		return SemVer, true
	case "Echo":
		if release == "" {
			return Deb, true
		}
		return ForEcosystem(release)
	case "Docker Hardened Images", "RapidFort", "Root", "Seal", "TuxCare": // they rebuild the packages of another ecosystem
		return ForEcosystem(release)
	}
	return "", false
}
