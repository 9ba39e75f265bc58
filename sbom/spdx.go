package sbom

import (
	"bytes"
	"fmt"
	"strings"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"

	"plimsoll"
)

func (b *builder) spdx(data []byte) (err error) {
	defer func() { // the library is not written for hostile documents
		if fault := recover(); fault != nil {
			err = fmt.Errorf("it cannot be read as SPDX: %v", fault)
		}
	}()
	doc, err := spdxjson.Read(bytes.NewReader(data))
	if err != nil {
		return err
	}
	if doc.CreationInfo != nil {
		for _, c := range doc.CreationInfo.Creators {
			if c.CreatorType == "Tool" && b.tool == "" {
				b.tool = text(c.Creator)
			}
		}
	}
	for _, p := range doc.Packages {
		if p == nil {
			continue
		}
		if err := b.spdxPackage(p); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) spdxPackage(is *spdx.Package) error {
	purl := ""
	for _, ref := range is.PackageExternalReferences {
		if ref != nil && ref.RefType == "purl" {
			purl = ref.Locator
			break
		}
	}
	switch {
	case is.PrimaryPackagePurpose == "CONTAINER" || strings.HasPrefix(purl, "pkg:oci/") || strings.HasPrefix(purl, "pkg:docker/"):
		b.name(is.PackageName, is.PackageVersion, purl)
		return nil
	case is.PrimaryPackagePurpose == "OPERATING-SYSTEM" || is.PrimaryPackagePurpose == "OPERATING_SYSTEM":
		if len(b.systems) < maxDepth {
			b.systems = append(b.systems, plimsoll.OS{ID: systemID(text(is.PackageName)), VersionID: text(is.PackageVersion)})
		}
		return nil
	}
	purpose := is.PrimaryPackagePurpose
	p, ok := b.fromPURL(purl, is.PackageName, purpose == "" || purpose == "LIBRARY" || purpose == "FRAMEWORK")
	if !ok {
		return nil
	}
	if l := text(is.PackageLicenseDeclared); l != "" && l != "NOASSERTION" && l != "NONE" {
		p.Licenses = []string{l}
	}
	if s := is.PackageSupplier; s != nil && s.Supplier != "NOASSERTION" {
		p.Supplier = text(s.Supplier)
	}
	return b.add(p)
}
