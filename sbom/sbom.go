// Package sbom turns bills of materials that other tools wrote into inventories.
//
// It owns the reading of CycloneDX (JSON and XML) and SPDX 2 (JSON) and what their
// words mean in ours: packages by their purls, the distribution by the component
// or qualifier that names it, the image that is described. All of it is a claim:
// every package has EvidenceSBOM, the inventory names the tool, and what a document
// calls incomplete stays so.
//
// It refuses to guess: a component without a purl that can be read is counted, not
// identified, and a system that is not named is unknown. Documents are hostile: bounded, and never
// a reason to panic.
package sbom

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"plimsoll"
	"plimsoll/jsonlimit"
)

// Limits of one document.
const (
	MaxSize     = 128 << 20 // bytes
	maxPackages = 200_000
	maxObjects  = 1_000_000
	maxDepth    = 64      // of components within components
	maxText     = 1 << 10 // bytes of a field
	maxType     = 64      // bytes of a purl's type; the longest that is registered has 15
)

// Read reads a document and returns what it claims, as a scan that was not judged
// yet. The error has CodeLimit for one that is too large and CodeInvalid for one
// that is none.
func Read(r io.Reader) (plimsoll.Result, error) {
	const op = "read SBOM"
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return plimsoll.Result{}, plimsoll.Errorf(plimsoll.CodeUnreadable, op, "%w", err)
	}
	if len(data) > MaxSize {
		return plimsoll.Result{}, plimsoll.Errorf(plimsoll.CodeLimit, op, "it has more than %d bytes", MaxSize)
	}
	b := newBuilder()
	if err := b.parse(data); err != nil {
		code := plimsoll.CodeInvalid
		if errors.Is(err, errLimit) {
			code = plimsoll.CodeLimit
		}
		return plimsoll.Result{}, plimsoll.Errorf(code, op, "%w", err)
	}
	return b.result(), nil
}

var (
	errLimit   = jsonlimit.ErrLimit
	errUnknown = errors.New("it is neither CycloneDX (JSON or XML) nor SPDX 2 in JSON")
)

// builder gathers what a document claims.
type builder struct {
	image      plimsoll.Image
	tool       string
	systems    []plimsoll.OS
	distros    map[string]int // qualifiers "distro" of the packages
	packages   []plimsoll.Package
	seen       map[string]bool
	nameless   examples // components without a purl
	garbled    examples // purls that cannot be read
	incomplete bool
}

func newBuilder() *builder {
	return &builder{image: plimsoll.Image{Engine: plimsoll.SBOM}, distros: make(map[string]int), seen: make(map[string]bool)}
}

func (b *builder) parse(data []byte) error {
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	switch {
	case len(data) == 0:
		return errors.New("it is empty")
	case data[0] == '<':
		large := bytes.Count(data, []byte("<component")) + bytes.Count(data, []byte("<service"))
		if large > 2*maxPackages || bytes.Count(data, []byte("<")) > 4*maxObjects {
			return errLimit
		}
		return b.cyclonedx(data, true)
	case data[0] == '{':
		if err := jsonlimit.Check(data, jsonlimit.Limits{Depth: 4 * maxDepth, List: maxObjects, Objects: maxObjects, Values: 8 * maxObjects}); err != nil {
			return err
		}
		var head struct {
			BOMFormat string `json:"bomFormat"`
			SPDX      string `json:"spdxVersion"`
		}
		if err := json.Unmarshal(data, &head); err != nil {
			return err
		}
		switch {
		case head.BOMFormat == "CycloneDX":
			return b.cyclonedx(data, false)
		case strings.HasPrefix(head.SPDX, "SPDX-2."):
			return b.spdx(data)
		}
	}
	return errUnknown
}

// add takes a package, once.
func (b *builder) add(p plimsoll.Package) error {
	key := strings.Join([]string{string(p.Type), p.Name, p.Version, p.Arch, p.Path, p.Root}, "\x00")
	if b.seen[key] {
		return nil
	}
	if len(b.packages) == maxPackages {
		return errLimit
	}
	b.seen[key] = true
	p.Evidence = plimsoll.EvidenceSBOM
	b.packages = append(b.packages, p)
	return nil
}

func (b *builder) result() plimsoll.Result {
	inv := plimsoll.Inventory{ImageID: b.image.ID, Claimed: cmp.Or(b.tool, "an unknown tool"), Packages: b.packages}
	slices.SortFunc(inv.Packages, func(x, y plimsoll.Package) int {
		return cmp.Or(cmp.Compare(x.Root, y.Root), cmp.Compare(x.Type, y.Type), cmp.Compare(x.Name, y.Name), cmp.Compare(x.Version, y.Version),
			cmp.Compare(x.Arch, y.Arch), cmp.Compare(x.Path, y.Path))
	})
	inv.Systems = b.system(&inv)
	if b.nameless.count > 0 {
		inv.Problems = append(inv.Problems, b.nameless.problem(plimsoll.ProblemUnidentified, "the SBOM names them without a purl, so they cannot be looked up"))
	}
	if b.garbled.count > 0 {
		inv.Problems = append(inv.Problems, b.garbled.problem(plimsoll.ProblemCorruptFile, "purls of the SBOM that cannot be read"))
	}
	if b.incomplete {
		inv.Problems = append(inv.Problems, plimsoll.Problem{Code: plimsoll.ProblemUnreadableFile, Detail: "the SBOM calls itself incomplete"})
	}
	r := plimsoll.Result{Image: b.image, Status: plimsoll.ScanComplete}
	if !inv.Complete() {
		r.Status = plimsoll.ScanPartial
	}
	r.Inventory, r.Problems = inv, inv.Problems
	return r
}

// system decides which system the packages are of: the one that the document
// names, else the one that most of them name. Two that disagree are none.
func (b *builder) system(inv *plimsoll.Inventory) []plimsoll.OS {
	if !slices.ContainsFunc(inv.Packages, func(p plimsoll.Package) bool { return p.Type.System() }) && len(b.systems) == 0 {
		return nil
	}
	problem := func(detail string) {
		inv.Problems = append(inv.Problems, plimsoll.Problem{Code: plimsoll.ProblemUnknownDistro, Detail: detail})
	}
	systems := b.systems
	if len(systems) == 0 {
		words := slices.SortedFunc(maps.Keys(b.distros), func(x, y string) int {
			return cmp.Or(b.distros[y]-b.distros[x], strings.Compare(x, y))
		})
		if len(words) == 0 {
			return nil // matching says what it does not know
		}
		if len(words) > 1 {
			problem(fmt.Sprintf("packages name %d distributions, taken for %s", len(words), words[0]))
		}
		return []plimsoll.OS{systemNamed(words[0])}
	}
	for _, s := range systems[1:] {
		if s.Root == systems[0].Root && (s.ID != systems[0].ID || s.VersionID != systems[0].VersionID) {
			problem("the SBOM names several operating systems")
			return nil
		}
	}
	if d, known := systems[0].Distribution(); known && !slices.ContainsFunc(inv.Packages, func(p plimsoll.Package) bool { return p.Type == d.Type }) {
		inv.Problems = append(inv.Problems, plimsoll.Problem{Code: plimsoll.ProblemNoPackages,
			Detail: fmt.Sprintf("the SBOM names the system %s and none of its %s packages", d.Name, d.Type)})
	}
	return systems[:1]
}

// systemNamed reads the qualifier "distro": "debian-12", "opensuse-leap-15.5".
func systemNamed(word string) plimsoll.OS {
	id, release := word, ""
	if i := strings.LastIndexByte(word, '-'); i > 0 {
		id, release = word[:i], word[i+1:]
	}
	return plimsoll.OS{ID: systemID(id), VersionID: release, Name: strings.TrimSpace(id + " " + release)}
}

// systemIDs are other tools' words for what os-release calls a system.
var systemIDs = map[string]string{
	"redhat": "rhel", "red hat enterprise linux": "rhel", "amazon": "amzn", "oracle": "ol", "alma": "almalinux",
	"opensuse.leap": "opensuse-leap", "opensuse.tumbleweed": "opensuse-tumbleweed", "suse linux enterprise server": "sles",
	"cbl-mariner": "mariner", "azure": "azurelinux",
}

func systemID(word string) string {
	if id := systemIDs[strings.ToLower(word)]; id != "" {
		return id
	}
	return word
}

// text returns a field as valid UTF-8, bounded.
func text(s string) string {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD"))
	if len(s) > maxText {
		s = s[:maxText]
		for !utf8.ValidString(s) {
			s = s[:len(s)-1]
		}
	}
	return s
}
