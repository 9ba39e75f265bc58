package vex

import (
	"bytes"
	"net/url"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"

	"plimsoll"
)

// CycloneDX from 1.4 on: the analysis of a vulnerability is a statement about
// what it affects. An entry without analysis states nothing.

var cyclonedxStates = map[cyclonedx.ImpactAnalysisState]plimsoll.VEXStatus{
	cyclonedx.IASNotAffected: plimsoll.VEXNotAffected, cyclonedx.IASFalsePositive: plimsoll.VEXNotAffected,
	cyclonedx.IASResolved: plimsoll.VEXFixed, cyclonedx.IASResolvedWithPedigree: plimsoll.VEXFixed,
	cyclonedx.IASExploitable: plimsoll.VEXAffected, cyclonedx.IASInTriage: plimsoll.VEXUnderInvestigation,
}

func readCycloneDX(data []byte, xml bool) (Document, error) {
	format := cyclonedx.BOMFileFormatJSON
	if xml {
		format = cyclonedx.BOMFileFormatXML
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(data), format).Decode(&bom); err != nil {
		return Document{}, err
	}
	if xml && !strings.Contains(bom.XMLNS, "cyclonedx.org/schema/bom") {
		return Document{}, errUnknown
	}
	d := Document{Format: CycloneDX, ID: text(bom.SerialNumber)}
	parts := make(map[string]plimsoll.VEXProduct)
	var within []plimsoll.VEXProduct
	if m := bom.Metadata; m != nil {
		d.Time = moment(m.Timestamp)
		d.Author = text(cyclonedxAuthor(m))
		if m.Component != nil {
			product := plimsoll.VEXProduct{IDs: componentIDs(m.Component, true)}
			parts[m.Component.BOMRef] = product
			if describes(m.Component) {
				within = []plimsoll.VEXProduct{product}
			}
			if err := cyclonedxParts(parts, m.Component.Components, within, 0); err != nil {
				return d, err
			}
		}
	}
	if err := cyclonedxParts(parts, bom.Components, within, 0); err != nil {
		return d, err
	}
	if bom.Vulnerabilities == nil {
		return d, nil
	}
	var c collector
	for i := range *bom.Vulnerabilities {
		v := &(*bom.Vulnerabilities)[i]
		if v.Analysis == nil || v.Analysis.State == "" {
			continue
		}
		s := plimsoll.VEXStatement{Vulnerabilities: []string{v.ID}, Status: cyclonedxStates[v.Analysis.State], Justification: text(string(v.Analysis.Justification)),
			Impact: text(v.Analysis.Detail), Time: moment(v.Analysis.LastUpdated)}
		if s.Status == "" {
			continue // a state of a later version: nothing is concluded from it
		}
		if s.Time.IsZero() {
			s.Time = moment(v.Updated)
		}
		if v.References != nil {
			for _, r := range *v.References {
				s.Vulnerabilities = append(s.Vulnerabilities, r.ID)
			}
		}
		if v.Analysis.Response != nil {
			var words []string
			for _, r := range *v.Analysis.Response {
				words = append(words, string(r))
			}
			s.Action = text(strings.Join(words, ", "))
		}
		if v.Affects != nil {
			for _, a := range *v.Affects {
				product := cyclonedxRef(parts, a.Ref)
				if a.Range != nil {
					for _, r := range *a.Range {
						// A range is kept as it is: it equals no version.
						product.Versions = append(product.Versions, ids(r.Version, r.Range)...)
					}
				}
				s.Products = append(s.Products, product)
			}
		}
		if err := c.add(s); err != nil {
			return d, err
		}
	}
	d.Statements = c.list
	return d, nil
}

// cyclonedxAuthor says who made the document.
func cyclonedxAuthor(m *cyclonedx.Metadata) string {
	if m.Authors != nil {
		for _, a := range *m.Authors {
			if a.Name != "" {
				return a.Name
			}
		}
	}
	for _, o := range []*cyclonedx.OrganizationalEntity{m.Manufacturer, m.Manufacture, m.Supplier} {
		if o != nil && o.Name != "" {
			return o.Name
		}
	}
	return ""
}

// cyclonedxParts notes what components are. Those within an image count there only.
func cyclonedxParts(parts map[string]plimsoll.VEXProduct, list *[]cyclonedx.Component, within []plimsoll.VEXProduct, depth int) error {
	if list == nil {
		return nil
	}
	if depth > maxDepth {
		return errLimit
	}
	for i := range *list {
		c := &(*list)[i]
		product := plimsoll.VEXProduct{IDs: componentIDs(c, false), Within: within}
		if c.BOMRef != "" {
			parts[c.BOMRef] = product
		}
		inner := within
		if c.Type == cyclonedx.ComponentTypeContainer {
			inner = []plimsoll.VEXProduct{{IDs: componentIDs(c, true)}}
			parts[c.BOMRef] = inner[0]
		}
		if err := cyclonedxParts(parts, c.Components, inner, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// describes says whether the component that a document is about names something:
// a document that several images share often has an empty one.
func describes(c *cyclonedx.Component) bool { return c.PackageURL != "" || c.Name != "" }

// componentIDs are the names of a component. What a document is about may go by
// its name alone: it is then taken for an image's.
func componentIDs(c *cyclonedx.Component, subject bool) []string {
	list := []string{c.PackageURL, c.CPE}
	if c.Hashes != nil {
		for _, h := range *c.Hashes {
			if h.Algorithm == cyclonedx.HashAlgoSHA256 {
				list = append(list, "sha256:"+strings.ToLower(h.Value))
			}
		}
	}
	if subject && c.PackageURL == "" && c.Name != "" {
		name := c.Name
		switch {
		case strings.HasPrefix(c.Version, "sha256:"):
			name += "@" + c.Version
		case c.Version != "" && !strings.ContainsAny(name[strings.LastIndexByte(name, '/')+1:], ":@"):
			name += ":" + c.Version
		}
		list = append(list, name)
	}
	return ids(list...)
}

// cyclonedxRef finds what "affects" refers to: an element of the document, or of
// another one (BOM-Link), which is known by its name only if that is a purl.
func cyclonedxRef(parts map[string]plimsoll.VEXProduct, ref string) plimsoll.VEXProduct {
	if p, ok := parts[ref]; ok {
		return p
	}
	if strings.HasPrefix(ref, "urn:cdx:") {
		_, fragment, _ := strings.Cut(ref, "#")
		if p, ok := parts[fragment]; ok {
			return p
		}
		if ref = fragment; !strings.HasPrefix(ref, "pkg:") {
			if plain, err := url.PathUnescape(ref); err == nil {
				ref = plain
			}
		}
	}
	if !strings.HasPrefix(ref, "pkg:") {
		return plimsoll.VEXProduct{}
	}
	return plimsoll.VEXProduct{IDs: ids(ref)}
}
