package loadgen

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing/fstest"
	"time"

	"plimsoll"
	"plimsoll/vulndb"
	"plimsoll/vulndb/feed"
)

// An ecosystem is a line of names, each with a line of versions. Version k of a
// name is "1.<2k>.0"; a flaw that was fixed after version k is fixed in
// "1.<2k+1>.0". So whether a version has a flaw is one comparison of numbers.
type ecosystem struct {
	typ             plimsoll.PackageType
	osv             string // directory and ecosystem of its records
	release         string // of the ecosystem, ":12"
	prefix          string // of names
	names, versions int
	flawed          int // of a hundred names have flaws
	most            int // flaws of a name that is no exception
	heavy           int // flaws of the first name; the next ones have fewer
}

// They are read only.
var (
	debian = ecosystem{plimsoll.TypeDeb, "Debian", ":12", "lib", debNames, debVersions, 50, 4, 70}
	npm    = ecosystem{plimsoll.TypeNPM, "npm", "", "node-", npmNames, npmVersions, 30, 3, 12}
	pypi   = ecosystem{plimsoll.TypePyPI, "PyPI", "", "py-", pypiNames, pypiVersions, 30, 3, 12}
)

func ecosystems() []*ecosystem { return []*ecosystem{&debian, &npm, &pypi} }

// nameOf spells a name so that it is found by parts: words, then a number.
func (e *ecosystem) nameOf(name int) string {
	words := [...]string{"ssl", "xml", "json", "http", "zip", "crypt", "image", "parse", "stream", "cache", "queue", "auth", "path", "date", "color", "socket"}
	return fmt.Sprintf("%s%s-%s-%d", e.prefix, words[name%len(words)], words[name/len(words)%len(words)], name)
}

func (e *ecosystem) versionOf(v int) string {
	if e.typ == plimsoll.TypeDeb {
		return fmt.Sprintf("1.%d.0-1", 2*v)
	}
	return fmt.Sprintf("1.%d.0", 2*v)
}

func (e *ecosystem) fixOf(v int) string {
	if e.typ == plimsoll.TypeDeb {
		return fmt.Sprintf("1.%d.0-1", 2*v+1)
	}
	return fmt.Sprintf("1.%d.0", 2*v+1)
}

// flaw is one vulnerability of a name: versions up to after have it.
type flaw struct {
	id       string
	after    int
	severity plimsoll.Severity
	kev      bool
	epss     float64
}

// Generations are what two editions of the advisories differ in: of the flaws of
// the first, the second has withdrawn one in fifty, and each tenth name with
// flaws has one more.
const (
	First  = 1
	Second = 2
)

// flaws returns the flaws of a name in a generation of the advisories.
func (e *ecosystem) flaws(name, generation int) []flaw {
	count := int(float64(e.heavy) / math.Pow(float64(1+name), 0.9))
	if h := hash(e.osv, name); count < e.most && int(h%100) < e.flawed {
		count = max(count, 1+int(h>>8)%e.most)
	}
	if count == 0 {
		return nil
	}
	var list []flaw
	for k := range count {
		if generation == Second && hash(e.osv+" withdrawn", name<<10+k)%50 == 0 {
			continue
		}
		list = append(list, e.flaw(name, k))
	}
	if generation == Second && hash(e.osv+" new", name)%10 == 0 {
		list = append(list, e.flaw(name, count))
	}
	return list
}

func (e *ecosystem) flaw(name, k int) flaw {
	h := hash(e.osv+" flaw", name<<10+k)
	f := flaw{id: fmt.Sprintf("CVE-%d-%d%05d%03d", 2016+h%10, e.serial(), name, k), after: int(h>>8) % e.versions, kev: h>>16%200 == 0}
	switch p := h >> 24 % 100; {
	case p < 4:
		f.severity = plimsoll.SeverityCritical
	case p < 30:
		f.severity = plimsoll.SeverityHigh
	case p < 78:
		f.severity = plimsoll.SeverityMedium
	default:
		f.severity = plimsoll.SeverityLow
	}
	f.epss = math.Pow(float64(h>>32%1000)/1000, 6)
	return f
}

func (e *ecosystem) serial() int {
	for i, other := range ecosystems() {
		if other.osv == e.osv {
			return i + 1
		}
	}
	return 0
}

// Expected returns how many findings the advisories of a generation must make in
// image i.
func (f Fleet) Expected(i, generation int) int {
	n := 0
	for _, l := range f.layers(i) {
		for _, c := range f.contents(l) {
			for _, flaw := range c.eco.flaws(c.name, generation) {
				if c.version <= flaw.after {
					n += len(c.packages())
				}
			}
		}
	}
	return n
}

// findings returns how many the advisories of a generation must make in all
// images, each counted once and on each host that has it.
func (f Fleet) findings(generation int) (distinct, everywhere int) {
	in := make([]int, f.Distinct)
	for i := range in {
		in[i] = f.Expected(i, generation)
		distinct += in[i]
	}
	for h := range f.Hosts {
		for _, i := range f.Images(h) {
			everywhere += in[i]
		}
	}
	return distinct, everywhere
}

// vectors are CVSS vectors with a score in the middle of each severity.
var vectors = map[plimsoll.Severity]string{
	plimsoll.SeverityCritical: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
	plimsoll.SeverityHigh:     "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H",
	plimsoll.SeverityMedium:   "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:L",
	plimsoll.SeverityLow:      "CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:N/I:N/A:L",
}

// Compile writes a generation of advisories to path, the way every generation is
// made: from OSV records.
func Compile(ctx context.Context, path string, generation int) (plimsoll.Generation, error) {
	files := make(fstest.MapFS)
	kev := map[string]any{"dateReleased": day(generation)}
	var exploited []any
	epss := strings.Builder{}
	fmt.Fprintf(&epss, "#model_version:v2025.03.14,score_date:%s\ncve,epss,percentile\n", day(generation))
	for _, e := range ecosystems() {
		for name := range e.names {
			for _, f := range e.flaws(name, generation) {
				id := e.recordID(f.id)
				text, err := json.Marshal(e.record(id, name, f, generation))
				if err != nil {
					return plimsoll.Generation{}, err
				}
				files[e.osv+"/"+id+".json"] = &fstest.MapFile{Data: text}
				fmt.Fprintf(&epss, "%s,%.5f,%.5f\n", f.id, f.epss, math.Sqrt(f.epss))
				if f.kev {
					exploited = append(exploited, map[string]any{"cveID": f.id, "dateAdded": "2026-05-04", "dueDate": "2026-05-25", "requiredAction": "Apply updates.", "knownRansomwareCampaignUse": "Unknown"})
				}
			}
		}
	}
	kev["vulnerabilities"] = exploited
	text, err := json.Marshal(kev)
	if err != nil {
		return plimsoll.Generation{}, err
	}
	files["kev.json"] = &fstest.MapFile{Data: text}
	files["epss.csv"] = &fstest.MapFile{Data: []byte(epss.String())}
	w := vulndb.NewWriter(path)
	defer w.Abort()
	sources, problems, err := feed.Compile(ctx, w, files)
	if err != nil {
		return plimsoll.Generation{}, err
	}
	if len(problems) > 0 {
		return plimsoll.Generation{}, plimsoll.Errorf(plimsoll.CodeCorrupt, "compile advisories", "%s: %s", problems[0].Path, problems[0].Detail)
	}
	return w.Finish(ctx, sources, false)
}

// day is the day of a generation: a later one is newer.
func day(generation int) string {
	return Epoch().AddDate(0, 0, generation).Format(time.RFC3339)
}

func (e *ecosystem) recordID(cve string) string {
	if e.typ == plimsoll.TypeDeb {
		return "DEBIAN-" + cve
	}
	return "PYSEC-" + strings.TrimPrefix(cve, "CVE-")
}

func (e *ecosystem) record(id string, name int, f flaw, generation int) map[string]any {
	kind := "ECOSYSTEM"
	if e.typ == plimsoll.TypeNPM {
		kind = "SEMVER"
	}
	rec := map[string]any{
		"id": id, "schema_version": "1.7.3", "modified": day(First), "published": day(First), "summary": "A flaw in " + e.nameOf(name),
		"details":    "An attacker who can reach " + e.nameOf(name) + " can make it do what it should not. Versions before " + e.fixOf(f.after) + " are affected.",
		"severity":   []any{map[string]string{"type": "CVSS_V3", "score": vectors[f.severity]}},
		"references": []any{map[string]string{"type": "ADVISORY", "url": "https://www.cve.org/CVERecord?id=" + f.id}},
		"affected": []any{map[string]any{
			"package": map[string]string{"ecosystem": e.osv + e.release, "name": e.nameOf(name)},
			"ranges":  []any{map[string]any{"type": kind, "events": []any{map[string]string{"introduced": "0"}, map[string]string{"fixed": e.fixOf(f.after)}}}},
		}},
	}
	if generation == Second && name == 0 { // something is newer in a newer generation
		rec["modified"] = day(Second)
	}
	if e.typ == plimsoll.TypeDeb {
		rec["upstream"] = []string{f.id}
	} else {
		rec["aliases"] = []string{f.id}
	}
	return rec
}
