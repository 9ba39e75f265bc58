package vex

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"plimsoll"
)

// The parts of the Common Security Advisory Framework 2.0 that say which product
// has which status.

type csafDoc struct {
	Document struct {
		Publisher struct {
			Name string `json:"name"`
		} `json:"publisher"`
		Tracking struct {
			ID      string `json:"id"`
			Version string `json:"version"`
			Current string `json:"current_release_date"`
		} `json:"tracking"`
	} `json:"document"`
	ProductTree struct {
		Branches      []csafBranch  `json:"branches"`
		Names         []csafProduct `json:"full_product_names"`
		Relationships []struct {
			Category  string      `json:"category"`
			Product   csafProduct `json:"full_product_name"`
			Component string      `json:"product_reference"`
			Within    string      `json:"relates_to_product_reference"`
		} `json:"relationships"`
		Groups []struct {
			ID       string   `json:"group_id"`
			Products []string `json:"product_ids"`
		} `json:"product_groups"`
	} `json:"product_tree"`
	Vulnerabilities []csafVulnerability `json:"vulnerabilities"`
}

type csafBranch struct {
	Product  *csafProduct `json:"product"`
	Branches []csafBranch `json:"branches"`
}

type csafProduct struct {
	ID     string `json:"product_id"`
	Name   string `json:"name"`
	Helper *struct {
		PURL   string `json:"purl"`
		CPE    string `json:"cpe"`
		Hashes []struct {
			List []struct {
				Algorithm string `json:"algorithm"`
				Value     string `json:"value"`
			} `json:"file_hashes"`
		} `json:"hashes"`
	} `json:"product_identification_helper"`
}

type csafVulnerability struct {
	CVE string `json:"cve"`
	IDs []struct {
		Text string `json:"text"`
	} `json:"ids"`
	Status map[string][]string `json:"product_status"`
	Flags  []struct {
		csafReach
		Label string `json:"label"`
		Date  string `json:"date"`
	} `json:"flags"`
	Threats      []csafRemark `json:"threats"`
	Remediations []csafRemark `json:"remediations"`
}

type csafRemark struct {
	csafReach
	Category string `json:"category"`
	Details  string `json:"details"`
}

// csafReach is which products something is about.
type csafReach struct {
	Products []string `json:"product_ids"`
	Groups   []string `json:"group_ids"`
}

// csafStatuses turns the lists of product_status into statuses. "recommended"
// says nothing about the vulnerability.
var csafStatuses = map[string]plimsoll.VEXStatus{
	"known_not_affected": plimsoll.VEXNotAffected, "fixed": plimsoll.VEXFixed, "first_fixed": plimsoll.VEXFixed,
	"known_affected": plimsoll.VEXAffected, "first_affected": plimsoll.VEXAffected, "last_affected": plimsoll.VEXAffected,
	"under_investigation": plimsoll.VEXUnderInvestigation,
}

// csafTree knows what products are by their IDs.
type csafTree struct {
	products map[string][]string // their identifiers
	parts    map[string]csafPart
	groups   map[string][]string
	known    map[string]plimsoll.VEXProduct // what product answered; empty while it is being followed
}

type csafPart struct{ component, within string }

func readCSAF(data []byte) (Document, error) {
	var doc csafDoc
	if err := json.Unmarshal(data, &doc); err != nil {
		return Document{}, err
	}
	d := Document{Format: CSAF, ID: text(doc.Document.Tracking.ID), Version: text(doc.Document.Tracking.Version),
		Author: text(doc.Document.Publisher.Name), Time: moment(doc.Document.Tracking.Current)}
	tree := csafTree{make(map[string][]string), make(map[string]csafPart), make(map[string][]string), make(map[string]plimsoll.VEXProduct)}
	for _, p := range doc.ProductTree.Names {
		tree.add(&p)
	}
	if err := tree.branches(doc.ProductTree.Branches, 0); err != nil {
		return d, err
	}
	for _, r := range doc.ProductTree.Relationships {
		tree.add(&r.Product)
		tree.parts[r.Product.ID] = csafPart{r.Component, r.Within}
	}
	for _, g := range doc.ProductTree.Groups {
		tree.groups[g.ID] = g.Products
	}
	var c collector
	for i := range doc.Vulnerabilities {
		if err := tree.statements(&doc.Vulnerabilities[i], &c); err != nil {
			return d, err
		}
	}
	d.Statements = c.list
	return d, nil
}

func (t *csafTree) branches(list []csafBranch, depth int) error {
	if depth > maxDepth {
		return errLimit
	}
	for i := range list {
		if list[i].Product != nil {
			t.add(list[i].Product)
		}
		if err := t.branches(list[i].Branches, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (t *csafTree) add(p *csafProduct) {
	var list []string
	if h := p.Helper; h != nil {
		list = append(list, h.PURL, h.CPE)
		for _, of := range h.Hashes {
			for _, sum := range of.List {
				if strings.EqualFold(sum.Algorithm, "sha256") {
					list = append(list, "sha256:"+strings.ToLower(sum.Value))
				}
			}
		}
	}
	t.products[p.ID] = ids(list...)
}

// product follows relationships to the component and all that it is within. One
// that cannot be followed, a circle among them, has no IDs and so fits nothing.
func (t *csafTree) product(id string, depth int) plimsoll.VEXProduct {
	part, composed := t.parts[id]
	if !composed {
		return plimsoll.VEXProduct{IDs: t.products[id]}
	}
	if p, ok := t.known[id]; ok || depth > maxDepth {
		return p
	}
	t.known[id] = plimsoll.VEXProduct{}
	p := t.product(part.component, depth+1)
	within := t.product(part.within, depth+1)
	if len(p.IDs) == 0 || len(p.Within)+len(within.Within) >= maxDepth {
		return plimsoll.VEXProduct{}
	}
	p.Within = append(append(slices.Clone(p.Within), plimsoll.VEXProduct{IDs: within.IDs}), within.Within...)
	t.known[id] = p
	return p
}

func (t *csafTree) statements(v *csafVulnerability, c *collector) error {
	names := []string{v.CVE}
	for _, id := range v.IDs {
		names = append(names, id.Text)
	}
	labels, impacts, actions := make(map[string]string), make(map[string]string), make(map[string]string)
	for _, f := range v.Flags {
		t.note(labels, f.csafReach, f.Label)
	}
	for _, r := range v.Threats {
		if r.Category == "impact" {
			t.note(impacts, r.csafReach, r.Details)
		}
	}
	for _, r := range v.Remediations {
		t.note(actions, r.csafReach, r.Details)
	}
	type key struct {
		status                plimsoll.VEXStatus
		label, impact, action string
	}
	where := make(map[key]int) // index in list
	var list []plimsoll.VEXStatement
	for _, word := range slices.Sorted(maps.Keys(v.Status)) {
		status, ok := csafStatuses[word]
		if !ok {
			continue
		}
		for _, id := range v.Status[word] {
			k := key{status, labels[id], impacts[id], actions[id]}
			at, ok := where[k]
			if !ok {
				at = len(list)
				where[k] = at
				list = append(list, plimsoll.VEXStatement{Vulnerabilities: names, Status: status, Justification: k.label, Impact: k.impact, Action: k.action})
			}
			if c.products++; c.products > maxProducts {
				return errLimit
			}
			list[at].Products = append(list[at].Products, t.product(id, 0))
		}
	}
	for _, s := range list {
		c.products -= len(s.Products) // add counts them again
		if err := c.add(s); err != nil {
			return err
		}
	}
	return nil
}

// note keeps the first thing that is said about each product.
func (t *csafTree) note(said map[string]string, about csafReach, words string) {
	words = text(words)
	tell := func(products []string) {
		for _, id := range products {
			if said[id] == "" {
				said[id] = words
			}
		}
	}
	tell(about.Products)
	for _, g := range about.Groups {
		tell(t.groups[g])
	}
}
