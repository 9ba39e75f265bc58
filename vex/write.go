package vex

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/CycloneDX/cyclonedx-go"

	"plimsoll"
)

// Write writes a document in one of the formats that are written: OpenVEX or
// CycloneDX. Its ID is made of its content. tool is "name version".
func Write(w io.Writer, f Format, d Document, tool string) error {
	const op = "write VEX document"
	var doc any
	switch f {
	case OpenVEX:
		doc = openvexOf(&d, tool)
	case CycloneDX:
		doc = cyclonedxOf(&d, tool)
	default:
		return plimsoll.Errorf(plimsoll.CodeInvalid, op, "%q is not written", string(f))
	}
	encode := func() ([]byte, error) {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetIndent("", "  ")
		err := e.Encode(doc)
		return b.Bytes(), err
	}
	content, err := encode()
	if err != nil {
		return plimsoll.Errorf(plimsoll.CodeInternal, op, "%w", err)
	}
	id := "urn:uuid:" + contentUUID(content)
	switch doc := doc.(type) {
	case *openvexDoc:
		doc.ID = id
	case *cyclonedx.BOM:
		doc.SerialNumber = id
	}
	if content, err = encode(); err != nil {
		return plimsoll.Errorf(plimsoll.CodeInternal, op, "%w", err)
	}
	_, err = w.Write(content)
	return err
}

// contentUUID is a UUID (RFC 9562, version 8: by own rule) of content.
func contentUUID(content []byte) string {
	h := sha256.Sum256(content)
	h[6] = h[6]&0x0f | 0x80
	h[8] = h[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", h[:4], h[4:6], h[6:8], h[8:10], h[10:16])
}

func rfc3339(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Truncate(time.Second).Format(time.RFC3339)
}

// hash returns the digest among identifiers, as hexadecimal digits.
func hash(ids []string) string {
	for _, id := range ids {
		if sum, ok := strings.CutPrefix(id, "sha256:"); ok {
			return sum
		}
	}
	return ""
}

func openvexOf(d *Document, tool string) *openvexDoc {
	doc := &openvexDoc{Context: "https://openvex.dev/ns/v0.2.0", Author: cmp.Or(text(d.Author), "unknown"), Timestamp: rfc3339(d.Time), Version: 1, Tooling: text(tool), Statements: []openvexStatement{}}
	for i := range d.Statements {
		s := &d.Statements[i]
		is := openvexStatement{Vulnerability: openvexVulnerability{Name: text(s.Vulnerabilities[0]), Aliases: s.Vulnerabilities[1:]}, Timestamp: rfc3339(s.Time),
			Status: string(s.Status), Products: []openvexProduct{}}
		if s.Author != d.Author {
			is.Supplier = text(s.Author)
		}
		switch s.Status {
		case plimsoll.VEXNotAffected: // one of both is required
			if is.Justification = openvexJustification(s.Justification); is.Justification == "" {
				is.ImpactStatement = cmp.Or(text(s.Impact), text(s.Justification), "no reason was given")
			} else {
				is.ImpactStatement = text(s.Impact)
			}
		case plimsoll.VEXAffected: // required
			is.ActionStatement = cmp.Or(text(s.Action), "no action was given")
			is.StatusNotes = text(s.Impact)
		default:
			is.StatusNotes = text(s.Impact)
		}
		where := make(map[string]int) // index in is.Products
		for _, p := range s.Products {
			if len(p.Within) == 0 {
				is.Products = append(is.Products, openvexNamed(p.IDs))
				continue
			}
			outer := openvexNamed(p.Within[0].IDs)
			at, ok := where[outer.ID]
			if !ok {
				at = len(is.Products)
				where[outer.ID] = at
				is.Products = append(is.Products, outer)
			}
			is.Products[at].Subcomponents = append(is.Products[at].Subcomponents, openvexNamed(p.IDs))
		}
		doc.Statements = append(doc.Statements, is)
	}
	return doc
}

func openvexNamed(list []string) openvexProduct {
	var p openvexProduct
	for _, id := range list {
		if !strings.HasPrefix(id, "sha256:") {
			p.ID = id
			break
		}
	}
	if sum := hash(list); sum != "" {
		p.Hashes = map[string]string{"sha-256": sum}
	}
	return p
}

// openvexJustifications turn the labels of CycloneDX into OpenVEX's, which are CSAF's.
var openvexJustifications = map[string]string{
	"code_not_present": "vulnerable_code_not_present", "code_not_reachable": "vulnerable_code_not_in_execute_path",
	"requires_configuration": "vulnerable_code_cannot_be_controlled_by_adversary", "requires_dependency": "vulnerable_code_cannot_be_controlled_by_adversary",
	"requires_environment": "vulnerable_code_cannot_be_controlled_by_adversary", "protected_by_compiler": "inline_mitigations_already_exist",
	"protected_at_runtime": "inline_mitigations_already_exist", "protected_at_perimeter": "inline_mitigations_already_exist",
	"protected_by_mitigating_control": "inline_mitigations_already_exist",
}

func openvexJustification(word string) string {
	switch word {
	case "component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
		"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist":
		return word
	}
	return openvexJustifications[word]
}

func cyclonedxJustification(word string) cyclonedx.ImpactAnalysisJustification {
	switch word {
	case "component_not_present", "vulnerable_code_not_present":
		return cyclonedx.IAJCodeNotPresent
	case "vulnerable_code_not_in_execute_path":
		return cyclonedx.IAJCodeNotReachable
	case "vulnerable_code_cannot_be_controlled_by_adversary":
		return cyclonedx.IAJRequiresEnvironment
	case "inline_mitigations_already_exist":
		return cyclonedx.IAJProtectedByMitigatingControl
	}
	if openvexJustifications[word] != "" {
		return cyclonedx.ImpactAnalysisJustification(word)
	}
	return ""
}

// cyclonedxOf describes the images with their packages, and what is said about
// the packages.
func cyclonedxOf(d *Document, tool string) *cyclonedx.BOM {
	bom := cyclonedx.NewBOM()
	bom.SpecVersion = cyclonedx.SpecVersion1_6
	bom.JSONSchema = "http://cyclonedx.org/schema/bom-1.6.schema.json"
	name, version, _ := strings.Cut(text(tool), " ")
	bom.Metadata = &cyclonedx.Metadata{Timestamp: rfc3339(d.Time),
		Tools: &cyclonedx.ToolsChoice{Components: &[]cyclonedx.Component{{Type: cyclonedx.ComponentTypeApplication, Name: name, Version: version}}}}
	if d.Author != "" {
		bom.Metadata.Authors = &[]cyclonedx.OrganizationalContact{{Name: text(d.Author)}}
	}
	parts := partList{refs: make(map[string]int)}
	list := []cyclonedx.Vulnerability{}
	for i := range d.Statements {
		s := &d.Statements[i]
		affects := []cyclonedx.Affects{}
		for _, p := range s.Products {
			affects = append(affects, cyclonedx.Affects{Ref: parts.ref(&p)})
		}
		v := cyclonedx.Vulnerability{ID: text(s.Vulnerabilities[0]), Affects: &affects,
			Analysis: &cyclonedx.VulnerabilityAnalysis{State: cyclonedxState(s.Status), Detail: text(s.Impact), LastUpdated: rfc3339(s.Time)}}
		if s.Status == plimsoll.VEXNotAffected {
			v.Analysis.Justification = cyclonedxJustification(s.Justification)
		}
		if s.Author != "" && s.Author != d.Author {
			v.Analysis.Detail = strings.TrimSpace(v.Analysis.Detail + " (" + text(s.Author) + ")")
		}
		var references []cyclonedx.VulnerabilityReference
		for _, alias := range s.Vulnerabilities[1:] {
			prefix, _, _ := strings.Cut(alias, "-")
			references = append(references, cyclonedx.VulnerabilityReference{ID: text(alias), Source: &cyclonedx.Source{Name: text(prefix)}})
		}
		if len(references) > 0 {
			v.References = &references
		}
		list = append(list, v)
	}
	components := parts.components()
	bom.Components, bom.Vulnerabilities = &components, &list
	return bom
}

func cyclonedxState(s plimsoll.VEXStatus) cyclonedx.ImpactAnalysisState {
	switch s {
	case plimsoll.VEXNotAffected:
		return cyclonedx.IASNotAffected
	case plimsoll.VEXFixed:
		return cyclonedx.IASResolved
	case plimsoll.VEXAffected:
		return cyclonedx.IASExploitable
	}
	return cyclonedx.IASInTriage
}

// partList makes components of products, each once.
type partList struct {
	list []cyclonedx.Component // containers, with what they hold, and loose packages
	in   []int                 // of each, the index of what holds it, -1 for none
	refs map[string]int
}

// ref returns the reference of a product's component.
func (l *partList) ref(p *plimsoll.VEXProduct) string {
	outer := -1
	if len(p.Within) > 0 {
		outer = l.add(p.Within[0].IDs, cyclonedx.ComponentTypeContainer, -1)
	}
	return l.list[l.add(p.IDs, cyclonedx.ComponentTypeLibrary, outer)].BOMRef
}

func (l *partList) add(list []string, kind cyclonedx.ComponentType, in int) int {
	key := fmt.Sprintf("%d %q", in, list)
	if at, ok := l.refs[key]; ok {
		return at
	}
	named := openvexNamed(list)
	if t := newTarget(named.ID); t.kind == inImage || named.ID == "" {
		kind = cyclonedx.ComponentTypeContainer
	}
	sum := sha256.Sum256([]byte(key))
	c := cyclonedx.Component{BOMRef: string(kind) + "-" + hex.EncodeToString(sum[:8]), Type: kind, Name: cmp.Or(text(named.ID), text(strings.Join(list, " ")), "unnamed")}
	if strings.HasPrefix(named.ID, "pkg:") {
		c.PackageURL = named.ID
	}
	if hex := hash(list); hex != "" {
		c.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA256, Value: hex}}
	}
	l.list, l.in = append(l.list, c), append(l.in, in)
	l.refs[key] = len(l.list) - 1
	return len(l.list) - 1
}

func (l *partList) components() []cyclonedx.Component {
	inner := make(map[int][]cyclonedx.Component)
	for i, in := range l.in {
		if in >= 0 {
			inner[in] = append(inner[in], l.list[i])
		}
	}
	var top []cyclonedx.Component
	for i, in := range l.in {
		if in >= 0 {
			continue
		}
		c := l.list[i]
		if parts := inner[i]; parts != nil {
			slices.SortFunc(parts, func(a, b cyclonedx.Component) int { return cmp.Compare(a.Name, b.Name) })
			c.Components = &parts
		}
		top = append(top, c)
	}
	return append([]cyclonedx.Component{}, top...)
}
