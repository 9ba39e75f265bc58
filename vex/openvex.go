package vex

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"plimsoll"
)

// The OpenVEX specification, versions 0.0.1 (strings for products and
// vulnerabilities) and 0.2.0 (objects). The types are written out because the
// library for it brings in-toto and protobuf along.

type openvexDoc struct {
	Context     string             `json:"@context"`
	ID          string             `json:"@id"`
	Author      string             `json:"author"`
	Role        string             `json:"role,omitempty"`
	Timestamp   string             `json:"timestamp"`
	LastUpdated string             `json:"last_updated,omitempty"`
	Version     any                `json:"version"` // a number; earlier a string
	Tooling     string             `json:"tooling,omitempty"`
	Statements  []openvexStatement `json:"statements"`
}

type openvexStatement struct {
	Vulnerability   openvexVulnerability `json:"vulnerability"`
	Timestamp       string               `json:"timestamp,omitempty"`
	LastUpdated     string               `json:"last_updated,omitempty"`
	Products        []openvexProduct     `json:"products"`
	Subcomponents   []openvexProduct     `json:"subcomponents,omitempty"` // 0.0.1
	Status          string               `json:"status"`
	StatusNotes     string               `json:"status_notes,omitempty"`
	Justification   string               `json:"justification,omitempty"`
	ImpactStatement string               `json:"impact_statement,omitempty"`
	ActionStatement string               `json:"action_statement,omitempty"`
	Supplier        string               `json:"supplier,omitempty"`
}

type openvexVulnerability struct {
	ID      string   `json:"@id,omitempty"`
	Name    string   `json:"name"`
	Aliases []string `json:"aliases,omitempty"`
}

func (v *openvexVulnerability) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &v.Name)
	}
	type plain openvexVulnerability
	return json.Unmarshal(data, (*plain)(v))
}

type openvexProduct struct {
	ID            string            `json:"@id,omitempty"`
	Identifiers   map[string]string `json:"identifiers,omitempty"`
	Hashes        map[string]string `json:"hashes,omitempty"`
	Subcomponents []openvexProduct  `json:"subcomponents,omitempty"`
}

func (p *openvexProduct) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		return json.Unmarshal(data, &p.ID)
	}
	type plain openvexProduct
	return json.Unmarshal(data, (*plain)(p))
}

func (p *openvexProduct) ids() []string {
	list := []string{p.ID}
	for _, kind := range slices.Sorted(maps.Keys(p.Identifiers)) {
		list = append(list, p.Identifiers[kind])
	}
	if sum := p.Hashes["sha-256"]; sum != "" {
		list = append(list, "sha256:"+strings.ToLower(sum))
	}
	return ids(list...)
}

func readOpenVEX(data []byte) (Document, error) {
	var doc openvexDoc
	if err := json.Unmarshal(data, &doc); err != nil {
		return Document{}, err
	}
	d := Document{Format: OpenVEX, ID: text(doc.ID), Author: text(doc.Author), Time: moment(doc.LastUpdated)}
	if d.Time.IsZero() {
		d.Time = moment(doc.Timestamp)
	}
	switch v := doc.Version.(type) {
	case float64:
		d.Version = strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		d.Version = text(v)
	}
	var c collector
	for i, s := range doc.Statements {
		word, ok := status(s.Status)
		if !ok {
			return d, fmt.Errorf("statement %d: %q is no status", i+1, text(s.Status))
		}
		is := plimsoll.VEXStatement{
			Author: text(s.Supplier), Vulnerabilities: append([]string{s.Vulnerability.Name, lastSegment(s.Vulnerability.ID)}, s.Vulnerability.Aliases...),
			Status: word, Justification: text(s.Justification), Impact: text(s.ImpactStatement), Action: text(s.ActionStatement),
			Time: moment(s.LastUpdated),
		}
		if is.Time.IsZero() {
			is.Time = moment(s.Timestamp)
		}
		if is.Impact == "" {
			is.Impact = text(s.StatusNotes)
		}
		for _, p := range s.Products {
			product := plimsoll.VEXProduct{IDs: p.ids()}
			parts := append(slices.Clone(s.Subcomponents), p.Subcomponents...)
			if len(parts) == 0 {
				is.Products = append(is.Products, product)
			}
			for _, part := range parts {
				is.Products = append(is.Products, plimsoll.VEXProduct{IDs: part.ids(), Within: []plimsoll.VEXProduct{product}})
			}
			if len(is.Products) > maxProducts {
				return d, errLimit
			}
		}
		if err := c.add(is); err != nil {
			return d, err
		}
	}
	d.Statements = c.list
	return d, nil
}

// lastSegment returns the end of an IRI: "…/CVE-2024-1" is known as CVE-2024-1.
func lastSegment(iri string) string {
	return iri[strings.LastIndexByte(iri, '/')+1:]
}
