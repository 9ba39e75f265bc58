package feed

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/package-url/packageurl-go"

	"plimsoll"
	"plimsoll/vulndb"
)

// The limits of one CSAF document.
const (
	maxCSAF         = 128 << 20 // bytes of JSON; Red Hat's about a flaw of the kernel have some twenty million
	maxCSAFProducts = 2_000_000 // products and relationships, each
	maxCSAFChain    = 8         // relationships from a package to its platform
	maxNote         = 1 << 10   // bytes kept of a vendor's note
)

// csafDocument is what Plimsoll reads of a document of the Common Security
// Advisory Framework, version 2.0 (OASIS), in the profiles "security advisory"
// (one notice about an update) and "VEX" (the state of one flaw in all
// products). Plain structs do: of the libraries, the reference implementation
// validates what vendors do not keep to, and brings its distribution client.
type csafDocument struct {
	Document struct {
		Category  string `json:"category"`
		Version   string `json:"csaf_version"`
		Title     string `json:"title"`
		Publisher struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"publisher"`
		Severity struct {
			Text string `json:"text"`
		} `json:"aggregate_severity"`
		Notes      []csafNote     `json:"notes"`
		References []osvReference `json:"references"`
		Tracking   struct {
			ID       string `json:"id"`
			Status   string `json:"status"`
			Released string `json:"initial_release_date"`
			Current  string `json:"current_release_date"`
		} `json:"tracking"`
	} `json:"document"`
	Tree struct {
		Branches      []csafBranch  `json:"branches"`
		Products      []csafProduct `json:"full_product_names"`
		Relationships []struct {
			Product   csafProduct `json:"full_product_name"`
			Reference string      `json:"product_reference"`
			RelatesTo string      `json:"relates_to_product_reference"`
		} `json:"relationships"`
	} `json:"product_tree"`
	Vulnerabilities []csafFlaw `json:"vulnerabilities"`
}

type csafNote struct {
	Category string `json:"category"`
	Text     string `json:"text"`
}

type csafBranch struct {
	Name     string       `json:"name"`
	Branches []csafBranch `json:"branches"`
	Product  *csafProduct `json:"product"`
}

type csafProduct struct {
	ID     string `json:"product_id"`
	Name   string `json:"name"`
	Helper struct {
		CPE  string `json:"cpe"`
		PURL string `json:"purl"`
	} `json:"product_identification_helper"`
}

type csafFlaw struct {
	CVE string `json:"cve"`
	IDs []struct {
		Text string `json:"text"`
	} `json:"ids"`
	Title      string         `json:"title"`
	Notes      []csafNote     `json:"notes"`
	References []osvReference `json:"references"`
	Released   string         `json:"release_date"`
	Status     struct {
		Affected      []string `json:"known_affected"`
		FirstAffected []string `json:"first_affected"`
		LastAffected  []string `json:"last_affected"`
		NotAffected   []string `json:"known_not_affected"`
		Investigated  []string `json:"under_investigation"`
		Fixed         []string `json:"fixed"`
		FirstFixed    []string `json:"first_fixed"`
		Recommended   []string `json:"recommended"`
	} `json:"product_status"`
	Remediations []csafWord `json:"remediations"`
	Threats      []csafWord `json:"threats"`
	Flags        []struct {
		Label    string   `json:"label"`
		Products []string `json:"product_ids"`
	} `json:"flags"`
	Scores []struct {
		V3 struct {
			Vector string `json:"vectorString"`
		} `json:"cvss_v3"`
		V2 struct {
			Vector string `json:"vectorString"`
		} `json:"cvss_v2"`
	} `json:"scores"`
}

// csafWord is a remediation or a threat: what is to be done or feared, for some
// products.
type csafWord struct {
	Category string   `json:"category"`
	Details  string   `json:"details"`
	Products []string `json:"product_ids"`
}

// parseCSAF reads one document. Rows are about rpm packages on platforms that
// are systems: those that the document names by CPE (Red Hat, openEuler) or by
// product (SUSE), or bound, an ecosystem, for all platforms when it is not
// empty. A document about one flaw gives one record named after vendor and
// flaw, for it is the flaw's present state; a notice gives one record, or one
// for each flaw when they are not in the same packages.
func parseCSAF(b []byte, bound string) ([]vulndb.Record, error) {
	if len(b) > maxCSAF {
		return nil, fmt.Errorf("the document is larger than %d bytes", maxCSAF)
	}
	var d csafDocument
	if err := json.Unmarshal(b, &d); err != nil {
		return nil, err
	}
	head := &d.Document
	switch {
	case !strings.HasPrefix(head.Version, "2."):
		return nil, fmt.Errorf("csaf_version is %.20q, not 2.0", head.Version)
	case head.Tracking.ID == "" || len(head.Tracking.ID) > maxID:
		return nil, errors.New("the document has no usable tracking id")
	case len(d.Vulnerabilities) > maxIDs:
		return nil, fmt.Errorf("the document names %d flaws, more than %d", len(d.Vulnerabilities), maxIDs)
	case head.Tracking.Status == "draft":
		return nil, errNotAdvisory
	}
	tree, err := newCSAFTree(&d, bound)
	if err != nil {
		return nil, err
	}
	var records []vulndb.Record
	for i := range d.Vulnerabilities {
		f := &d.Vulnerabilities[i]
		id := f.id()
		if id == "" {
			continue
		}
		r := d.record(f, id)
		if r.Affected, err = tree.affected(f); err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	if len(records) == 0 {
		return nil, errNotAdvisory
	}
	return d.named(records), nil
}

// id names the flaw: its CVE, else the first name that its vendor gives it.
func (f *csafFlaw) id() string {
	if strings.HasPrefix(f.CVE, "CVE-") && len(f.CVE) <= maxID {
		return f.CVE
	}
	for _, other := range f.IDs {
		if recordID().MatchString(other.Text) && (strings.HasPrefix(other.Text, "GHSA-") || strings.HasPrefix(other.Text, "CVE-")) {
			return other.Text
		}
	}
	return ""
}

// record is what the document says about a flaw apart from packages.
func (d *csafDocument) record(f *csafFlaw, id string) vulndb.Record {
	head := &d.Document
	r := vulndb.Record{Flaws: []string{id}}
	a := &r.Advisory
	_, a.Provider = d.publisher()
	a.Upstream = []string{id}
	a.Summary = clip(cmp.Or(head.Title, f.Title), maxSummary)
	a.Details = clip(cmp.Or(noteOf(f.Notes, "description"), noteOf(head.Notes, "description"), noteOf(head.Notes, "summary")), maxDetails)
	a.Modified, _ = parseTime(head.Tracking.Current)
	a.Published, _ = parseTime(cmp.Or(f.Released, head.Tracking.Released))
	for _, ref := range slices.Concat(head.References, f.References) {
		if ref.URL != "" && len(ref.URL) <= maxReference && len(a.References) < maxReferences && !slices.Contains(a.References, ref.URL) {
			a.References = append(a.References, ref.URL)
		}
	}
	for _, s := range f.Scores {
		for _, vector := range []string{s.V3.Vector, s.V2.Vector} {
			if rating, ok := vectorRating(a.Provider, vector); ok && len(vector) <= maxVersion && !slices.Contains(a.Ratings, rating) {
				a.Ratings = append(a.Ratings, rating)
			}
		}
	}
	word := head.Severity.Text
	for _, t := range f.Threats {
		if t.Category == "impact" {
			word = t.Details
			break
		}
	}
	a.Ratings = append(a.Ratings, wordRating(a.Provider, "", word)...)
	return r
}

func noteOf(notes []csafNote, category string) string {
	for _, n := range notes {
		if n.Category == category {
			return n.Text
		}
	}
	return ""
}

// named gives the records their IDs. What several flaws share is one record.
func (d *csafDocument) named(records []vulndb.Record) []vulndb.Record {
	id := d.Document.Tracking.ID
	prefix, _ := d.publisher()
	if d.Document.Category == "csaf_vex" || strings.HasPrefix(id, "CVE-") {
		for i := range records {
			records[i].Advisory.ID = prefix + "-" + records[i].Flaws[0]
		}
		return records
	}
	same := true
	for i := range records[1:] {
		same = same && slices.EqualFunc(records[0].Affected, records[i+1].Affected, sameRow)
	}
	if !same {
		for i := range records {
			records[i].Advisory.ID = id + "/" + records[i].Flaws[0]
		}
		return records
	}
	one := &records[0]
	for _, r := range records[1:] {
		one.Flaws = append(one.Flaws, r.Flaws...)
		one.Advisory.Upstream = append(one.Advisory.Upstream, r.Flaws...)
		// The vector of one flaw is not that of another.
		one.Advisory.Ratings = slices.DeleteFunc(one.Advisory.Ratings, func(r plimsoll.Rating) bool { return r.Vector != "" })
	}
	slices.Sort(one.Flaws)
	slices.Sort(one.Advisory.Upstream)
	one.Advisory.ID = id
	return records[:1]
}

func sameRow(a, b plimsoll.Affected) bool {
	return rowKey(&a) == rowKey(&b) && a.State == b.State && slices.EqualFunc(a.Ranges, b.Ranges, func(a, b plimsoll.Range) bool { return slices.Equal(a.Events, b.Events) })
}

// publisher returns a prefix for IDs and the name of the provider.
func (d *csafDocument) publisher() (prefix, name string) {
	p := &d.Document.Publisher
	for _, known := range [...]struct{ mark, prefix, name string }{
		{"redhat.com", "REDHAT", "Red Hat"},
		{"suse.com", "SUSE", "SUSE"},
		{"openeuler.org", "OPENEULER", "openEuler"},
	} {
		if strings.Contains(strings.ToLower(p.Namespace), known.mark) {
			return known.prefix, known.name
		}
	}
	name = clip(p.Name, maxID/4)
	prefix = strings.ToUpper(strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' {
			return r
		}
		return -1
	}, name))
	if prefix == "" {
		return "CSAF", cmp.Or(name, "CSAF")
	}
	return prefix, name
}

// csafTree resolves the product IDs of a document.
type csafTree struct {
	products map[string]*csafProduct
	parents  map[string][2]string // of a combined product: component, platform
	bound    string
}

func newCSAFTree(d *csafDocument, bound string) (*csafTree, error) {
	t := &csafTree{products: map[string]*csafProduct{}, parents: map[string][2]string{}, bound: bound}
	if err := t.addBranches(d.Tree.Branches); err != nil {
		return nil, err
	}
	for i := range d.Tree.Products {
		p := &d.Tree.Products[i]
		t.products[p.ID] = p
	}
	for i := range d.Tree.Relationships {
		r := &d.Tree.Relationships[i]
		t.parents[r.Product.ID] = [2]string{r.Reference, r.RelatesTo}
	}
	if n := max(len(t.products), len(t.parents)); n > maxCSAFProducts {
		return nil, fmt.Errorf("the document names %d products, more than %d", n, maxCSAFProducts)
	}
	return t, nil
}

func (t *csafTree) addBranches(branches []csafBranch) error {
	for i := range branches {
		b := &branches[i]
		if p := b.Product; p != nil {
			p.Name = cmp.Or(p.Name, b.Name)
			t.products[p.ID] = p
		}
		if len(t.products) > maxCSAFProducts {
			return fmt.Errorf("the document names more than %d products", maxCSAFProducts)
		}
		if err := t.addBranches(b.Branches); err != nil {
			return err
		}
	}
	return nil
}

// csafPackage is a package on a platform.
type csafPackage struct {
	ecosystem, name, version, module string
	source                           bool
}

// resolve says which package a product ID stands for; ok is false when it is no
// rpm package, or not one of a system.
func (t *csafTree) resolve(id string) (p csafPackage, ok bool) {
	component, platform, module := id, id, ""
	if parent, related := t.parents[id]; related {
		component, platform = parent[0], parent[1]
		for range maxCSAFChain { // a module stands between its packages and the platform
			up, related := t.parents[platform]
			if !related {
				break
			}
			module, platform = cmp.Or(module, t.moduleOf(up[0])), up[1]
		}
		for range maxCSAFChain { // or packages are parts of the module first
			up, related := t.parents[component]
			if !related {
				break
			}
			component, module = up[0], cmp.Or(module, t.moduleOf(up[1]))
		}
	} else if of, rest, cut := strings.Cut(id, ":"); cut && t.products[id] == nil && t.products[of] != nil {
		platform, component = of, rest // "SUSE Linux Enterprise Server 15 SP5:libopenssl1_1"
	}
	if p, ok = t.packageOf(component); !ok {
		return p, false
	}
	p.module = cmp.Or(p.module, module)
	if p.ecosystem = t.bound; p.ecosystem == "" {
		p.ecosystem = csafEcosystem(t.products[platform])
	}
	return p, p.ecosystem != "" && len(p.name) <= maxName && max(len(p.version), len(p.module)) <= maxVersion && strings.IndexByte(p.name, 0) < 0
}

// packageOf reads a component: its purl, else its name.
func (t *csafTree) packageOf(id string) (p csafPackage, ok bool) {
	product := t.products[id]
	if product == nil {
		product = &csafProduct{ID: id}
	}
	if product.Helper.PURL == "" {
		return packageNamed(cmp.Or(product.Name, product.ID))
	}
	u, err := packageurl.FromString(product.Helper.PURL)
	if err != nil || u.Type != packageurl.TypeRPM {
		return p, false
	}
	q := u.Qualifiers.Map()
	p = csafPackage{name: u.Name, version: u.Version, module: streamOf(q["rpmmod"])}
	if epoch := q["epoch"]; epoch != "" && epoch != "0" && p.version != "" && !strings.Contains(p.version, ":") {
		p.version = epoch + ":" + p.version
	}
	p.source = q["arch"] == "src" || q["arch"] == "nosrc"
	if module, name, cut := strings.Cut(product.ID, "/"); cut && p.module == "" && name == p.name {
		p.module = streamOf(module) // "nodejs:16/nodejs"
	}
	return p, p.name != ""
}

// moduleOf returns "name:stream" of a product that is a module.
func (t *csafTree) moduleOf(id string) string {
	if p := t.products[id]; p != nil && strings.HasPrefix(p.Helper.PURL, "pkg:rpmmod/") {
		if u, err := packageurl.FromString(p.Helper.PURL); err == nil {
			return streamOf(u.Name + ":" + u.Version)
		}
	}
	return streamOf(id)
}

// streamOf cuts a module's label to "name:stream".
func streamOf(label string) string {
	name, rest, ok := strings.Cut(label, ":")
	if !ok || name == "" || rest == "" {
		return ""
	}
	stream, _, _ := strings.Cut(rest, ":")
	return name + ":" + stream
}

// packageNamed reads "kernel-5.10.0-1.oe2203sp2.aarch64.rpm" and
// "libopenssl1_1-1.1.1l-150500.15.4" from the right, as names have hyphens;
// whatever has no version is a name.
func packageNamed(text string) (p csafPackage, ok bool) {
	module, name, cut := strings.Cut(text, "/")
	if cut { // "nodejs:16/nodejs"
		text, p.module = name, streamOf(module)
	}
	text = strings.TrimSuffix(text, ".rpm")
	if i := strings.LastIndexByte(text, '.'); i >= 0 {
		switch arch := text[i+1:]; arch {
		case "src", "nosrc":
			p.source = true
			text = text[:i]
		case "noarch", "x86_64", "aarch64", "i586", "i686", "ppc64", "ppc64le", "s390x", "armv7hl", "loongarch64", "riscv64", "sw_64":
			text = text[:i]
		}
	}
	p.name = text
	release := strings.LastIndexByte(text, '-')
	if release <= 0 {
		return p, p.name != ""
	}
	version := strings.LastIndexByte(text[:release], '-')
	digit := func(i int) bool { return i < len(text) && '0' <= text[i] && text[i] <= '9' }
	if version > 0 && digit(version+1) && digit(release+1) {
		p.name = text[:version]
		p.version = strings.TrimPrefix(text[version+1:], "0:")
	}
	return p, p.name != ""
}

// csafEcosystem returns OSV's name for a platform, empty when it is no system
// that Plimsoll asks about.
func csafEcosystem(p *csafProduct) string {
	if p == nil || len(p.Helper.CPE) > maxName || len(p.Name) > maxName {
		return ""
	}
	cpe := p.Helper.CPE
	for _, part := range [...]string{"cpe:/o:redhat:", "cpe:/a:redhat:"} {
		if rest, ok := strings.CutPrefix(cpe, part); ok && (strings.HasPrefix(rest, "enterprise_linux:") || strings.HasPrefix(rest, "rhel_")) {
			return "Red Hat:" + rest
		}
	}
	for _, part := range [...]string{"cpe:/a:openEuler:openEuler:", "cpe:/o:openEuler:openEuler:", "cpe:/a:openEuler:openEuler-"} {
		if rest, ok := strings.CutPrefix(cpe, part); ok && rest != "" {
			return "openEuler:" + rest
		}
	}
	for _, family := range [...]string{"SUSE", "openSUSE"} {
		if rest, ok := strings.CutPrefix(cmp.Or(p.Name, p.ID), family+" "); ok {
			return family + ":" + rest
		}
	}
	return ""
}

// affected translates the states of all products, sorted. Of the many products
// that differ in nothing but their architecture, one row is left.
func (t *csafTree) affected(f *csafFlaw) ([]plimsoll.Affected, error) {
	rows := map[string]plimsoll.Affected{}
	add := func(ids []string, build func(id string, p csafPackage) (plimsoll.Affected, bool)) {
		for _, id := range ids {
			p, ok := t.resolve(id)
			if !ok {
				continue
			}
			row, ok := build(id, p)
			if !ok {
				continue
			}
			row.Ecosystem, row.Package = p.ecosystem, plimsoll.NormalizeName(p.ecosystem, p.name)
			if p.source {
				row.Package = plimsoll.SourcePrefix + row.Package
			}
			if p.module != "" {
				row.Modules = []string{p.module}
			}
			if strings.HasPrefix(p.ecosystem, "Red Hat:rhel_") && row.State == "" {
				row.State = plimsoll.FixExtended
			}
			if _, twice := rows[rowKey(&row)]; !twice {
				rows[rowKey(&row)] = row
			}
		}
	}
	fixed := func(_ string, p csafPackage) (plimsoll.Affected, bool) {
		// The binary packages of a fix are all listed beside their source.
		return rowUntil(plimsoll.Event{Fixed: p.version}), p.version != "" && !p.source
	}
	s := &f.Status
	add(s.Fixed, fixed)
	add(s.FirstFixed, fixed)
	add(s.Recommended, fixed)
	words := csafWords(f.Remediations)
	add(slices.Concat(s.Affected, s.FirstAffected, s.LastAffected), func(id string, p csafPackage) (plimsoll.Affected, bool) {
		row := rowUntil(plimsoll.Event{LastAffected: p.version})
		row.State, row.Note = fixStateOf(words[id])
		return row, true
	})
	add(s.Investigated, func(string, csafPackage) (plimsoll.Affected, bool) {
		row := rowUntil(plimsoll.Event{})
		row.State, row.Note = plimsoll.FixInvestigating, "Under investigation"
		return row, true
	})
	reasons := map[string]string{}
	for _, flag := range f.Flags {
		for _, id := range flag.Products {
			reasons[id] = clip(flag.Label, maxNote)
		}
	}
	add(s.NotAffected, func(id string, p csafPackage) (plimsoll.Affected, bool) {
		// That one build is free of the flaw says nothing about the others.
		row := neverAffected()
		row.Note = reasons[id]
		return row, p.version == ""
	})
	if len(rows) > maxAffected {
		return nil, fmt.Errorf("the document names %d packages, more than %d", len(rows), maxAffected)
	}
	list := make([]plimsoll.Affected, 0, len(rows))
	for _, row := range rows {
		list = append(list, row)
	}
	slices.SortFunc(list, func(a, b plimsoll.Affected) int { return strings.Compare(rowKey(&a), rowKey(&b)) })
	return list, nil
}

// rowKey is what makes a row another one.
func rowKey(a *plimsoll.Affected) string {
	var last plimsoll.Event
	if len(a.Ranges) > 0 {
		events := a.Ranges[0].Events
		last = events[len(events)-1]
	}
	return strings.Join([]string{a.Ecosystem, a.Package, strings.Join(a.Arches, ","), strings.Join(a.Modules, ","), last.Fixed, last.LastAffected}, "\x00")
}

// rowUntil is a row about all versions up to an event; an empty event ends
// nothing.
func rowUntil(end plimsoll.Event) plimsoll.Affected {
	r := plimsoll.Range{Type: plimsoll.RangeEcosystem, Events: []plimsoll.Event{{Introduced: "0"}}}
	if end != (plimsoll.Event{}) {
		r.Events = append(r.Events, end)
	}
	return plimsoll.Affected{Ranges: []plimsoll.Range{r}}
}

// neverAffected is a row that denies the flaw: fixed before every version.
func neverAffected() plimsoll.Affected { return rowUntil(plimsoll.Event{Fixed: "0"}) }

// csafWords gives for each product the remediation that tells why there is no
// fix.
func csafWords(list []csafWord) map[string]csafWord {
	words := map[string]csafWord{}
	for _, r := range list {
		if r.Category != "none_available" && r.Category != "no_fix_planned" {
			continue
		}
		for _, id := range r.Products {
			words[id] = r
		}
	}
	return words
}

// fixStateOf translates why there is no fix (acceptance RPM-08). The details are
// Red Hat's words; the categories hold for everybody.
func fixStateOf(w csafWord) (plimsoll.FixState, string) {
	note := clip(strings.TrimSpace(w.Details), maxNote)
	switch strings.ToLower(note) {
	case "affected":
		return plimsoll.FixNone, ""
	case "fix deferred":
		return plimsoll.FixDeferred, note
	case "will not fix":
		return plimsoll.FixRefused, note
	case "out of support scope":
		return plimsoll.FixEndOfLife, note
	}
	if w.Category == "no_fix_planned" {
		return plimsoll.FixRefused, note
	}
	return plimsoll.FixNone, note
}
