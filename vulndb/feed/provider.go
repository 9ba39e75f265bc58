package feed

import (
	"strings"

	"plimsoll"
)

// publisher says who publishes the records with a prefix of IDs.
type publisher struct {
	name string
	// distribution says that the records are about the publisher's builds of
	// other people's software, so that the CVE IDs under "related" are what they
	// are about.
	distribution bool
	// fixes says that the records are about any kind of update: only those that
	// name a flaw are advisories.
	fixes bool
}

// publisherOf returns who publishes the record with an ID, by the prefixes that
// the OSV schema lists and those of converted sources. An unknown prefix stands
// for itself.
func publisherOf(id string) publisher {
	prefix, _, _ := strings.Cut(id, "-")
	if p, ok := publishers[prefix]; ok {
		return p
	}
	return publisher{name: prefix}
}

var publishers = map[string]publisher{
	// Those who publish about software as its authors release it.
	"CVE":     {name: "CVE"},
	"NVD":     {name: plimsoll.EcosystemNVD},
	"GHSA":    {name: "GitHub"},
	"GO":      {name: "Go"},
	"PYSEC":   {name: "PyPA"},
	"PSF":     {name: "Python"},
	"RUSTSEC": {name: "RustSec"},
	"MAL":     {name: "OpenSSF"},
	"OSV":     {name: "OSV"},
	"GSD":     {name: "GSD"},
	"HSEC":    {name: "Haskell"},
	"RSEC":    {name: "R Consortium"},
	"JLSEC":   {name: "Julia"},
	"OSEC":    {name: "OCaml"},
	"EEF":     {name: "Erlang"},
	"DRUPAL":  {name: "Drupal"},
	"CURL":    {name: "curl"},
	"BIT":     {name: "Bitnami"},
	"ASB":     {name: "Android"},
	"PUB":     {name: "Android"},
	"RUBYSEC": {name: "RubySec"},
	"FOP":     {name: "FriendsOfPHP"},
	"NSWG":    {name: "Node Security WG"},
	"RETIRE":  {name: "Retire.js"},
	"VICTIMS": {name: "VICTIMS"},

	// Distributions.
	"DEBIAN":   {name: "Debian", distribution: true},
	"DSA":      {name: "Debian", distribution: true},
	"DLA":      {name: "Debian", distribution: true},
	"DTSA":     {name: "Debian", distribution: true},
	"UBUNTU":   {name: "Ubuntu", distribution: true},
	"USN":      {name: "Ubuntu", distribution: true},
	"LSN":      {name: "Ubuntu", distribution: true},
	"ALPINE":   {name: "Alpine", distribution: true},
	"CGA":      {name: "Chainguard", distribution: true},
	"MINI":     {name: "MinimOS", distribution: true},
	"ECHO":     {name: "Echo", distribution: true},
	"DHI":      {name: "Docker", distribution: true},
	"BELL":     {name: "BellSoft", distribution: true},
	"ROOT":     {name: "Root", distribution: true},
	"TUXCARE":  {name: "TuxCare", distribution: true},
	"RHSA":     {name: "Red Hat", distribution: true},
	"RHBA":     {name: "Red Hat", distribution: true, fixes: true},
	"RHEA":     {name: "Red Hat", distribution: true, fixes: true},
	"ALSA":     {name: "AlmaLinux", distribution: true},
	"ALBA":     {name: "AlmaLinux", distribution: true, fixes: true},
	"ALEA":     {name: "AlmaLinux", distribution: true, fixes: true},
	"RLSA":     {name: "Rocky Linux", distribution: true},
	"RXSA":     {name: "Rocky Linux", distribution: true},
	"RLBA":     {name: "Rocky Linux", distribution: true, fixes: true},
	"RLEA":     {name: "Rocky Linux", distribution: true, fixes: true},
	"SUSE":     {name: "SUSE", distribution: true},
	"openSUSE": {name: "openSUSE", distribution: true},
	"OESA":     {name: "openEuler", distribution: true},
	"MGASA":    {name: "Mageia", distribution: true},
	"AZL":      {name: "Azure Linux", distribution: true},
	"PHSA":     {name: "Photon OS", distribution: true},
}

// notTaken are the ecosystems that are left out unless they are asked for: none
// of their records can meet a package of an image, and some are very large.
var notTaken = map[string]bool{
	"Android":        true, // phones
	"GIT":            true, // commits, not versions
	"GitHub Actions": true, // build steps
	"GSD":            true, // superseded by CVE
	"Linux":          true, // the kernel's tree by commit; images hold no kernel
	"OSS-Fuzz":       true, // commits
	"UVI":            true, // superseded
	"VSCode":         true, // editor extensions
}
