package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"

	"plimsoll"
)

// writeCycloneDX writes one CycloneDX 1.6 document. A report of one image
// describes that image; a report of several describes a set of images, each a
// container component that holds its own packages. What the format has no field
// for are properties named "plimsoll:…".
func writeCycloneDX(w io.Writer, r plimsoll.Report) error {
	b := &bomBuilder{
		ids: newIdentifiers(), entries: make(map[string]*cyclonedx.Vulnerability),
		dependencies: []cyclonedx.Dependency{}, compositions: []cyclonedx.Composition{},
	}
	bom := cyclonedx.NewBOM()
	bom.SpecVersion = cyclonedx.SpecVersion1_6
	bom.JSONSchema = "http://cyclonedx.org/schema/bom-1.6.schema.json"
	tool, version, _ := strings.Cut(raw(r.Tool, maxName), " ")
	bom.Metadata = &cyclonedx.Metadata{
		Timestamp: reportDate(r),
		Tools:     &cyclonedx.ToolsChoice{Components: &[]cyclonedx.Component{{Type: cyclonedx.ComponentTypeApplication, Name: tool, Version: version}}},
	}
	if g := r.Generation; g != nil {
		bom.Metadata.Properties = &[]cyclonedx.Property{
			{Name: "plimsoll:advisories", Value: string(g.ID)},
			{Name: "plimsoll:advisoriesDate", Value: date(g.Built)},
			{Name: "plimsoll:advisoriesSample", Value: strconv.FormatBool(g.Sample)},
		}
	}
	images := []cyclonedx.Component{}
	for i := range r.Results {
		images = append(images, b.image(&r.Results[i]))
	}
	if len(images) == 1 {
		image := images[0]
		if packages := image.Components; packages != nil {
			bom.Components, image.Components = packages, nil
		}
		bom.Metadata.Component = &image
	} else {
		set := cyclonedx.Component{BOMRef: "images", Type: cyclonedx.ComponentTypePlatform, Name: "container images"}
		bom.Metadata.Component = &set
		bom.Components = &images
		refs := make([]string, len(images))
		for i := range images {
			refs[i] = images[i].BOMRef
		}
		b.dependencies = slices.Insert(b.dependencies, 0, cyclonedx.Dependency{Ref: set.BOMRef, Dependencies: &refs})
	}
	bom.Dependencies, bom.Compositions = &b.dependencies, &b.compositions
	if r.Generation != nil {
		list := b.vulnerabilities()
		bom.Vulnerabilities = &list
	}
	var content bytes.Buffer
	if err := json.NewEncoder(&content).Encode(bom); err != nil {
		return plimsoll.Errorf(plimsoll.CodeInternal, "encode CycloneDX", "%w", err)
	}
	bom.SerialNumber = "urn:uuid:" + contentUUID(content.Bytes())
	return writeJSON(w, bom)
}

type bomBuilder struct {
	ids          *identifiers
	dependencies []cyclonedx.Dependency
	compositions []cyclonedx.Composition
	entries      map[string]*cyclonedx.Vulnerability
}

// image returns the container component of a result with its packages inside.
func (b *bomBuilder) image(r *plimsoll.Result) cyclonedx.Component {
	img := &r.Image
	ref := b.ids.image(img)
	c := cyclonedx.Component{BOMRef: ref, Type: cyclonedx.ComponentTypeContainer, Name: raw(cmp.Or(img.Name(), img.Store, "image"), maxPath), Version: string(img.ID)}
	if hex := img.ID.Hex(); len(hex) == 64 {
		c.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex}}
	}
	properties := propertyList{}
	properties.add("engine", string(img.Engine))
	properties.add("platform", img.Platform.String())
	properties.add("scan", string(r.Status))
	properties.add("matched", strconv.FormatBool(r.Matched))
	for _, n := range img.Names {
		properties.add("name", n)
	}
	for _, m := range img.Manifests {
		properties.add("manifest", string(m))
	}
	for _, l := range img.Layers {
		properties.add("layer", string(l.DiffID))
	}
	if r.Problem != nil {
		properties.add("failure", string(r.Problem.Code)+": "+r.Problem.Detail)
	}
	for _, p := range r.Problems {
		properties.add("problem", fmt.Sprintf("%s (%d): %s", p.Code, times(p), example(p)))
	}
	c.Properties = properties.list()

	packages := b.systems(r)
	seen := make(map[string]string, len(r.Inventory.Packages)) // package → bom-ref
	for i := range r.Inventory.Packages {
		p := &r.Inventory.Packages[i]
		component := packageComponent(p)
		component.BOMRef = b.ids.pkg(img, p)
		seen[packageKey(p)] = component.BOMRef
		packages = append(packages, component)
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		if _, ok := seen[packageKey(&f.Package)]; !ok { // a finding is never without its package
			component := packageComponent(&f.Package)
			component.BOMRef = b.ids.pkg(img, &f.Package)
			seen[packageKey(&f.Package)] = component.BOMRef
			packages = append(packages, component)
		}
		b.finding(f, seen[packageKey(&f.Package)])
	}
	refs := make([]string, len(packages))
	for i := range packages {
		refs[i] = packages[i].BOMRef
	}
	if len(packages) > 0 {
		c.Components = &packages
	}
	b.dependencies = append(b.dependencies, cyclonedx.Dependency{Ref: ref, Dependencies: &refs})
	aggregate := cyclonedx.CompositionAggregateUnknown
	switch r.Status {
	case plimsoll.ScanComplete:
		aggregate = cyclonedx.CompositionAggregateComplete
	case plimsoll.ScanPartial:
		aggregate = cyclonedx.CompositionAggregateIncomplete
	}
	b.compositions = append(b.compositions, cyclonedx.Composition{Aggregate: aggregate, Assemblies: &[]cyclonedx.BOMReference{cyclonedx.BOMReference(ref)}})
	return c
}

func (b *bomBuilder) systems(r *plimsoll.Result) []cyclonedx.Component {
	var list []cyclonedx.Component
	for _, s := range r.Inventory.Systems {
		properties := propertyList{}
		properties.add("path", s.Path)
		properties.add("root", s.Root)
		list = append(list, cyclonedx.Component{
			BOMRef: b.ids.unique("system", string(r.Image.ID), s.Root, s.ID, s.VersionID), Type: cyclonedx.ComponentTypeOS,
			Name: raw(cmp.Or(s.ID, s.Name, "unknown"), maxName), Version: raw(s.VersionID, maxName), Description: raw(s.Name, maxName), Properties: properties.list(),
		})
	}
	return list
}

func packageComponent(p *plimsoll.Package) cyclonedx.Component {
	c := cyclonedx.Component{Type: cyclonedx.ComponentTypeLibrary, Name: raw(cmp.Or(p.Name, "unnamed"), maxName), Version: raw(p.Version, maxName), PackageURL: raw(p.PURL, maxPath)}
	if p.Supplier != "" {
		c.Supplier = &cyclonedx.OrganizationalEntity{Name: raw(p.Supplier, maxPath)}
	}
	if p.Dev {
		c.Scope = cyclonedx.ScopeOptional
	}
	if len(p.Licenses) == 1 && spdxExpression(p.Licenses[0]) && !spdxID(p.Licenses[0]) {
		c.Licenses = &cyclonedx.Licenses{{Expression: p.Licenses[0]}}
	} else if len(p.Licenses) > 0 {
		var licenses cyclonedx.Licenses
		for _, l := range p.Licenses {
			if spdxID(l) {
				licenses = append(licenses, cyclonedx.LicenseChoice{License: &cyclonedx.License{ID: l}})
			} else if l != "" {
				licenses = append(licenses, cyclonedx.LicenseChoice{License: &cyclonedx.License{Name: raw(l, maxPath)}})
			}
		}
		c.Licenses = &licenses
	}
	var places []cyclonedx.EvidenceOccurrence
	for _, place := range append([]string{p.Path}, p.Locations...) {
		if place != "" {
			places = append(places, cyclonedx.EvidenceOccurrence{Location: "/" + raw(place, maxPath)})
		}
	}
	if len(places) > 0 {
		c.Evidence = &cyclonedx.Evidence{Occurrences: &places}
	}
	properties := propertyList{}
	properties.add("type", string(p.Type))
	properties.add("path", p.Path)
	properties.add("layer", string(p.Layer))
	properties.add("evidence", string(p.Evidence))
	properties.add("arch", p.Arch)
	properties.add("sourceName", p.Source.Name)
	properties.add("sourceVersion", p.Source.Version)
	properties.add("module", p.Module)
	properties.add("origin", p.Origin)
	properties.add("root", p.Root)
	properties.add("owner", p.Owner)
	properties.add("bundledBy", p.Bundled)
	properties.add("remark", p.Remark)
	c.Properties = properties.list()
	return c
}

// finding adds a component to the entry of its vulnerability. Findings that do
// not say "affected" have entries of their own, because the analysis of an entry
// speaks for all that it affects.
func (b *bomBuilder) finding(f *plimsoll.Finding, ref string) {
	v := &f.Vulnerability
	key := v.ID + "\x00" + string(f.Status)
	if len(f.VEX) > 0 {
		key += "\x00" + vexWord(&f.VEX[0])
	}
	entry := b.entries[key]
	if entry == nil {
		entry = vulnerabilityEntry(f)
		entry.BOMRef = b.ids.unique("vulnerability", key)
		b.entries[key] = entry
	}
	for _, a := range *entry.Affects {
		if a.Ref == ref {
			return
		}
	}
	status := cyclonedx.VulnerabilityStatusAffected
	if f.Status != plimsoll.StatusAffected {
		status = cyclonedx.VulnerabilityStatusNotAffected
	}
	affects := cyclonedx.Affects{Ref: ref}
	if f.Package.Version != "" {
		affects.Range = &[]cyclonedx.AffectedVersions{{Version: raw(f.Package.Version, maxName), Status: status}}
	}
	*entry.Affects = append(*entry.Affects, affects)
	if f.FixedVersion == "" || f.Status != plimsoll.StatusAffected {
		return
	}
	advice := fmt.Sprintf("Upgrade %s to %s.", name(f.Package.Name), name(f.FixedVersion))
	if !strings.Contains(entry.Recommendation, advice) {
		entry.Recommendation = strings.TrimSpace(entry.Recommendation + " " + advice)
	}
}

func vulnerabilityEntry(f *plimsoll.Finding) *cyclonedx.Vulnerability {
	v := &f.Vulnerability
	entry := &cyclonedx.Vulnerability{
		ID: raw(v.ID, maxName), Description: raw(v.Summary, maxProse), Detail: raw(v.Details, maxProse),
		Published: date(v.Published), Affects: &[]cyclonedx.Affects{},
	}
	if len(f.Reasons) > 0 {
		entry.Source = &cyclonedx.Source{Name: raw(f.Reasons[0].Provider, maxName)}
	}
	var references []cyclonedx.VulnerabilityReference
	for _, alias := range v.Aliases {
		prefix, _, _ := strings.Cut(alias, "-")
		references = append(references, cyclonedx.VulnerabilityReference{ID: raw(alias, maxName), Source: &cyclonedx.Source{Name: raw(prefix, maxName)}})
	}
	if len(references) > 0 {
		entry.References = &references
	}
	ratings := []cyclonedx.VulnerabilityRating{}
	for _, rating := range v.Ratings {
		c := cyclonedx.VulnerabilityRating{Source: &cyclonedx.Source{Name: raw(rating.Source, maxName)}, Severity: cyclonedx.Severity(rating.Severity.String()),
			Method: scoringMethod(rating), Vector: raw(rating.Vector, maxPath)}
		if score := number(rating.Score); score > 0 {
			c.Score = &score
		}
		ratings = append(ratings, c)
	}
	if !slices.ContainsFunc(v.Ratings, func(r plimsoll.Rating) bool { return r.Severity == v.Severity && r.Source == v.SeveritySource }) {
		ratings = append(ratings, cyclonedx.VulnerabilityRating{Source: &cyclonedx.Source{Name: raw(cmp.Or(v.SeveritySource, "plimsoll"), maxName)}, Severity: cyclonedx.Severity(v.Severity.String())})
	}
	entry.Ratings = &ratings
	var advisories []cyclonedx.Advisory
	for _, ref := range v.References {
		if link := webLink(ref); link != "" && !slices.ContainsFunc(advisories, func(a cyclonedx.Advisory) bool { return a.URL == link }) {
			advisories = append(advisories, cyclonedx.Advisory{URL: link})
		}
	}
	if len(advisories) > 0 {
		entry.Advisories = &advisories
	}
	switch f.Status {
	case plimsoll.StatusNotPresent:
		entry.Analysis = &cyclonedx.VulnerabilityAnalysis{State: cyclonedx.IASNotAffected, Justification: cyclonedx.IAJCodeNotPresent,
			Detail: "The source package is affected; the vulnerable component is not in this package."}
	case plimsoll.StatusOwned:
		entry.Analysis = &cyclonedx.VulnerabilityAnalysis{State: cyclonedx.IASInTriage,
			Detail: "A system package owns the files: the distribution's advisories speak for them."}
	}
	if len(f.VEX) > 0 && entry.Analysis == nil {
		entry.Analysis = vexAnalysis(&f.VEX[0])
	}
	properties := propertyList{}
	properties.add("severity", v.Severity.String())
	properties.add("state", state(f.State))
	if v.EPSS != nil {
		properties.add("epss", strconv.FormatFloat(number(v.EPSS.Score), 'f', -1, 64))
	}
	if v.KEV != nil {
		properties.add("kev", exploitedWord(v.KEV))
	}
	for _, r := range f.Reasons {
		properties.add("reason", strings.Join(reasonLines(&r), " "))
	}
	entry.Properties = properties.list()
	return entry
}

func (b *bomBuilder) vulnerabilities() []cyclonedx.Vulnerability {
	list := []cyclonedx.Vulnerability{}
	for _, entry := range b.entries {
		list = append(list, *entry)
	}
	slices.SortFunc(list, func(a, b cyclonedx.Vulnerability) int {
		return cmp.Or(strings.Compare(a.ID, b.ID), strings.Compare(a.BOMRef, b.BOMRef))
	})
	return list
}

func scoringMethod(r plimsoll.Rating) cyclonedx.ScoringMethod {
	switch {
	case r.Method == "CVSS_V2":
		return cyclonedx.ScoringMethodCVSSv2
	case r.Method == "CVSS_V3" && strings.HasPrefix(r.Vector, "CVSS:3.1/"):
		return cyclonedx.ScoringMethodCVSSv31
	case r.Method == "CVSS_V3":
		return cyclonedx.ScoringMethodCVSSv3
	case r.Method == "CVSS_V4":
		return cyclonedx.ScoringMethodCVSSv4
	}
	return cyclonedx.ScoringMethodOther
}

// propertyList gathers properties with a value.
type propertyList []cyclonedx.Property

func (l *propertyList) add(key, value string) {
	if value != "" {
		*l = append(*l, cyclonedx.Property{Name: "plimsoll:" + key, Value: raw(value, maxPath)})
	}
}

func (l propertyList) list() *[]cyclonedx.Property {
	if len(l) == 0 {
		return nil
	}
	properties := []cyclonedx.Property(l)
	return &properties
}

// webLink returns ref as an http or https address with everything unusual
// escaped, or "" when it is none.
func webLink(ref string) string {
	if len(ref) > maxPath {
		return ""
	}
	u, err := url.Parse(strings.TrimSpace(ref))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
		return ""
	}
	for _, r := range u.Host {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(".-:[]", r)) {
			return ""
		}
	}
	link := u.String()
	if !plain(link) || strings.ContainsAny(link, "<>\"`{}|\\^ '") {
		return ""
	}
	if _, err := url.ParseRequestURI(link); err != nil {
		return ""
	}
	return link
}
