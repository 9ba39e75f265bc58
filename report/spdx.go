package report

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

	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"

	"plimsoll"
)

// writeSPDX writes one SPDX 2.3 document. It describes each image, and each
// image contains its packages. The format says what is installed and under which
// licence; findings are not its business.
func writeSPDX(w io.Writer, r plimsoll.Report) error {
	b := &spdxBuilder{ids: newIdentifiers(), licences: make(map[string]string)}
	title := "container images"
	if len(r.Results) == 1 {
		title = raw(cmp.Or(r.Results[0].Image.Name(), r.Results[0].Image.Store, "image"), maxPath)
	}
	b.doc = v2_3.Document{
		SPDXVersion: v2_3.Version, DataLicense: v2_3.DataLicense, SPDXIdentifier: "DOCUMENT", DocumentName: title,
		CreationInfo: &v2_3.CreationInfo{
			Created:  cmp.Or(reportDate(r), "1970-01-01T00:00:00Z"), // the format wants a date, and there is none
			Creators: []common.Creator{{CreatorType: "Tool", Creator: raw(strings.ReplaceAll(r.Tool, " ", "-"), maxName)}},
		},
	}
	for i := range r.Results {
		b.image(&r.Results[i])
	}
	for id, text := range b.licences {
		b.doc.OtherLicenses = append(b.doc.OtherLicenses, &v2_3.OtherLicense{LicenseIdentifier: id, ExtractedText: text, LicenseName: text})
	}
	slices.SortFunc(b.doc.OtherLicenses, func(a, b *v2_3.OtherLicense) int { return strings.Compare(a.LicenseIdentifier, b.LicenseIdentifier) })
	var content bytes.Buffer
	if err := json.NewEncoder(&content).Encode(b.doc); err != nil {
		return plimsoll.Errorf(plimsoll.CodeInternal, "encode SPDX", "%w", err)
	}
	b.doc.DocumentNamespace = "urn:uuid:" + contentUUID(content.Bytes())
	return writeJSON(w, b.doc)
}

type spdxBuilder struct {
	doc      v2_3.Document
	ids      *identifiers
	licences map[string]string // LicenseRef → declared text
}

const noAssertion = "NOASSERTION"

func (b *spdxBuilder) image(r *plimsoll.Result) {
	img := &r.Image
	id := common.ElementID(b.ids.image(img))
	p := &v2_3.Package{
		PackageName: raw(cmp.Or(img.Name(), img.Store, "image"), maxPath), PackageSPDXIdentifier: id, PackageVersion: string(img.ID),
		PackageDownloadLocation: noAssertion, PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion, PackageCopyrightText: noAssertion,
		PrimaryPackagePurpose: "CONTAINER", BuiltDate: date(img.Created),
	}
	var comments []string
	switch r.Status {
	case plimsoll.ScanFailed:
		comments = append(comments, "The image could not be read; nothing is known about its content.")
		if r.Problem != nil {
			comments = append(comments, string(r.Problem.Code)+": "+raw(r.Problem.Detail, maxPath))
		}
	case plimsoll.ScanPartial:
		comments = append(comments, "The image could not be read completely; packages may be missing.")
	}
	for _, w := range warnings(r.Problems) {
		comments = append(comments, fmt.Sprintf("%s (%d): %s", w.Code, w.Count, w.Sentence))
	}
	p.PackageComment = strings.Join(comments, " ")
	b.doc.Packages = append(b.doc.Packages, p)
	b.relate("DOCUMENT", common.TypeRelationshipDescribe, id)
	for _, s := range r.Inventory.Systems {
		system := common.ElementID(b.ids.unique("system", string(img.ID), s.Root, s.ID, s.VersionID))
		b.doc.Packages = append(b.doc.Packages, &v2_3.Package{
			PackageName: raw(cmp.Or(s.ID, s.Name, "unknown"), maxName), PackageSPDXIdentifier: system, PackageVersion: raw(s.VersionID, maxName), PackageDescription: raw(s.Name, maxName),
			PackageDownloadLocation: noAssertion, PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion, PackageCopyrightText: noAssertion,
			PrimaryPackagePurpose: "OPERATING_SYSTEM",
		})
		b.relate(id, common.TypeRelationshipContains, system)
	}
	for i := range r.Inventory.Packages {
		b.relate(id, common.TypeRelationshipContains, b.pkg(img, &r.Inventory.Packages[i]))
	}
}

func (b *spdxBuilder) pkg(img *plimsoll.Image, p *plimsoll.Package) common.ElementID {
	id := common.ElementID(b.ids.pkg(img, p))
	out := &v2_3.Package{
		PackageName: raw(cmp.Or(p.Name, "unnamed"), maxName), PackageSPDXIdentifier: id, PackageVersion: raw(p.Version, maxName),
		PackageDownloadLocation: noAssertion, PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: b.licence(p.Licenses), PackageCopyrightText: noAssertion,
		PackageSupplier: &common.Supplier{Supplier: noAssertion}, PrimaryPackagePurpose: "LIBRARY",
	}
	if supplier := strings.TrimSpace(raw(p.Supplier, maxPath)); supplier != "" && supplier != noAssertion {
		out.PackageSupplier = &common.Supplier{SupplierType: "Organization", Supplier: supplier}
	}
	if p.Path != "" {
		out.PackageSourceInfo = fmt.Sprintf("found by %s in /%s, layer %s", cmp.Or(string(p.Evidence), "an unknown kind of evidence"), raw(p.Path, maxPath), cmp.Or(string(p.Layer), "unknown"))
	}
	if purl := raw(p.PURL, maxPath); strings.HasPrefix(purl, "pkg:") {
		out.PackageExternalReferences = []*v2_3.PackageExternalReference{{Category: common.CategoryPackageManager, RefType: common.TypePackageManagerPURL, Locator: purl}}
	}
	b.doc.Packages = append(b.doc.Packages, out)
	return id
}

// licence joins declared licences to an expression; words that are no SPDX
// expression become a licence of this document.
func (b *spdxBuilder) licence(declared []string) string {
	var parts []string
	for _, l := range declared {
		switch {
		case l == "":
		case spdxExpression(l):
			if strings.Contains(l, " ") && len(declared) > 1 {
				l = "(" + l + ")"
			}
			parts = append(parts, l)
		default:
			text := raw(l, maxPath)
			h := sha256.Sum256([]byte(text))
			ref := "LicenseRef-" + hex.EncodeToString(h[:8])
			b.licences[ref] = text
			parts = append(parts, ref)
		}
	}
	return cmp.Or(strings.Join(parts, " AND "), noAssertion)
}

func (b *spdxBuilder) relate(from common.ElementID, how string, to common.ElementID) {
	b.doc.Relationships = append(b.doc.Relationships, &v2_3.Relationship{
		RefA: common.MakeDocElementID("", string(from)), RefB: common.MakeDocElementID("", string(to)), Relationship: how,
	})
}
