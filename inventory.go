package plimsoll

// PackageType is the type of a package in the terms of the purl specification.
type PackageType string

// The package types that Plimsoll finds.
const (
	TypeDeb      PackageType = "deb"
	TypeRPM      PackageType = "rpm"
	TypeAPK      PackageType = "apk"
	TypeALPM     PackageType = "alpm"
	TypeMaven    PackageType = "maven"
	TypeNPM      PackageType = "npm"
	TypePyPI     PackageType = "pypi"
	TypeConda    PackageType = "conda"
	TypeGo       PackageType = "golang"
	TypeCargo    PackageType = "cargo"
	TypeNuGet    PackageType = "nuget"
	TypeComposer PackageType = "composer"
	TypeGem      PackageType = "gem"
	TypeHex      PackageType = "hex"
	TypeCRAN     PackageType = "cran"
	TypeCPAN     PackageType = "cpan"
	TypeLuaRocks PackageType = "luarocks"
	TypePub      PackageType = "pub"
	TypeHackage  PackageType = "hackage"
	TypeSwift    PackageType = "swift"
	TypeNix      PackageType = "nix"
	TypeSnap     PackageType = "snap"
	TypeBitnami  PackageType = "bitnami"
	TypeGeneric  PackageType = "generic"
)

// System says whether an operating system's package manager installs the type.
func (t PackageType) System() bool {
	switch t {
	case TypeDeb, TypeRPM, TypeAPK, TypeALPM:
		return true
	}
	return false
}

// storesSystem says whether packages of the type make up the system of an image
// that has no other: what a Nix closure or a snap brings is its libc and OpenSSL.
func (t PackageType) storesSystem() bool { return t == TypeNix || t == TypeSnap }

// Evidence says how a package was recognised, strongest first.
type Evidence string

// The kinds of evidence.
const (
	EvidencePackageDB Evidence = "package-db" // a package manager's database
	EvidenceMetadata  Evidence = "metadata"   // metadata that the package carries
	EvidenceBuildInfo Evidence = "build-info" // dependency list embedded in a binary
	EvidenceSBOM      Evidence = "sbom"       // an SBOM claims it: one inside the image, or one instead of it
	EvidenceBinary    Evidence = "binary"     // a version string in a binary
	EvidenceFileName  Evidence = "file-name"  // nothing but the file's name
)

// Package is one installed package. Two packages with different paths or
// versions are two packages.
type Package struct {
	Type    PackageType
	Name    string // as the ecosystem spells it; Maven "group:artifact", npm "@scope/name"
	Version string // with epoch where the system has one: "1:2.3-4"
	Arch    string
	// Source is the source package that advisories of dpkg, apk and rpm systems
	// name. For other types it is zero.
	Source   SourcePackage
	Module   string   // rpm modularity label "name:stream:version:context"
	Licenses []string // as declared, not normalised
	Supplier string   // maintainer, vendor or author, as declared
	// Origin tells where a system package came from when it was not the
	// distribution itself ("Docker", "EPEL", "NodeSource" …). Such packages are
	// never judged by the distribution's advisories.
	Origin string
	// Path is the file that proves the package, relative to the image's root,
	// without a leading slash; "outer.war!/WEB-INF/lib/x.jar" inside archives.
	Path string
	// Locations are further places of the same package (hard links, the same
	// binary under several names), sorted.
	Locations []string
	// Root is the directory whose system the package belongs to: empty for the
	// image itself, "srv/chroot" for a second system within the image.
	Root string
	// Layer is the diff ID of the lowest layer since which the package has been
	// present in this version.
	Layer Digest
	// Owner is the "name" of the system package that owns Path; empty when none
	// does. An owned language package is left to the distribution's advisories.
	Owner    string
	PURL     string // canonical purl
	Evidence Evidence
	// Dev marks a package that the ecosystem's own records call a development
	// dependency; Bundled one that lives inside another package (Bundler names it).
	Dev     bool
	Bundled string
	// Remark is what an analyser noticed beyond the fields, in a few words: the
	// toolchain's own spelling of its version, a class that was removed from an
	// archive. It decides nothing.
	Remark string
}

// SourcePackage names the source package of a system package.
type SourcePackage struct{ Name, Version string }

// OS is the identity of an operating system as the image states it.
// The fields are those of os-release(5), unquoted.
type OS struct {
	ID        string   // "debian"
	IDLike    []string // "rhel", "fedora"
	VersionID string   // "12"
	Codename  string   // "bookworm", from VERSION_CODENAME or the fallback file
	Name      string   // PRETTY_NAME or NAME
	Version   string   // VERSION: "22.03 (LTS-SP3)"
	VariantID string
	CPE       string
	// Release is the text of a fallback file (debian_version, redhat-release, …)
	// when it says more than os-release; empty otherwise.
	Release string
	// Repositories are the IDs of the package repositories that the image was built
	// from ("rhel-8-for-x86_64-baseos-eus-rpms"), sorted, where Red Hat's build
	// system recorded them; empty otherwise.
	Repositories []string
	Root         string // as Package.Root
	Path         string // the file that told
}

// Inventory is what one image contains. It is a pure value of the image and
// the analyser set: the engine it was read from leaves no trace in it.
type Inventory struct {
	ImageID   Digest
	Analyzers string // the analyser set that made it
	// Claimed names the tool whose SBOM is all that is known; empty when the image
	// itself was read.
	Claimed  string
	Systems  []OS // sorted by Root; empty for an image without a system
	Packages []Package
	Problems []Problem
}

// Complete says whether everything that was wanted could be read.
func (inv *Inventory) Complete() bool {
	for _, p := range inv.Problems {
		if p.Incomplete() {
			return false
		}
	}
	return true
}

// Owned says of each package whether the distribution speaks for it: it came with
// a system package, and not with one that the distribution did not build.
func (inv *Inventory) Owned() []bool {
	type name struct{ root, name string }
	foreign := make(map[name]bool)
	distros := make(map[string]Distribution) // by root
	for _, os := range inv.Systems {
		distros[os.Root], _ = os.Distribution()
	}
	for i := range inv.Packages {
		p := &inv.Packages[i]
		if !p.Type.System() {
			continue
		}
		rebuilder := p.Rebuilder()
		if p.Origin != "" || rebuilder != "" && !distros[p.Root].By(rebuilder) {
			foreign[name{p.Root, p.Name}] = true
		}
	}
	owned := make([]bool, len(inv.Packages))
	for i := range inv.Packages {
		p := &inv.Packages[i]
		owned[i] = p.Owner != "" && !p.Type.System() && !foreign[name{p.Root, p.Owner}]
	}
	return owned
}
