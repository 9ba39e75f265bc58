package sbom

import (
	"bytes"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"

	"plimsoll"
)

func (b *builder) cyclonedx(data []byte, xml bool) error {
	format := cyclonedx.BOMFileFormatJSON
	if xml {
		format = cyclonedx.BOMFileFormatXML
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(data), format).Decode(&bom); err != nil {
		return err
	}
	if xml && !strings.Contains(bom.XMLNS, "cyclonedx.org/schema/bom") {
		return errUnknown
	}
	subject := ""
	if m := bom.Metadata; m != nil {
		b.tool = cyclonedxTool(m.Tools)
		if c := m.Component; c != nil {
			subject = c.BOMRef
			b.subject(c)
			if err := b.components(c.Components, 0); err != nil {
				return err
			}
		}
	}
	if bom.Compositions != nil {
		for _, c := range *bom.Compositions {
			about := c.Assemblies == nil
			for _, ref := range deref(c.Assemblies) {
				about = about || string(ref) == subject
			}
			b.incomplete = b.incomplete || about && strings.HasPrefix(string(c.Aggregate), "incomplete")
		}
	}
	return b.components(bom.Components, 0)
}

func deref[T any](list *[]T) []T {
	if list == nil {
		return nil
	}
	return *list
}

// cyclonedxTool names the first tool.
func cyclonedxTool(tools *cyclonedx.ToolsChoice) string {
	if tools == nil {
		return ""
	}
	for _, t := range deref(tools.Components) {
		return text(t.Name + " " + t.Version)
	}
	for _, t := range deref(tools.Tools) {
		return text(t.Name + " " + t.Version)
	}
	return ""
}

// subject takes what the document describes for the image.
func (b *builder) subject(c *cyclonedx.Component) {
	is := propertiesOf(c)
	b.name(c.Name, c.Version, c.PackageURL)
	if d, err := plimsoll.ParseDigest(is["aquasecurity:trivy:ImageID"]); err == nil {
		b.image.ID = d
	}
	if b.tool == "plimsoll" || strings.HasPrefix(b.tool, "plimsoll ") {
		if d, err := plimsoll.ParseDigest(c.Version); err == nil {
			b.image.ID, b.image.Manifests = d, nil
		}
		for _, p := range deref(c.Properties) {
			switch p.Name {
			case "plimsoll:name":
				b.image.Names = appendNew(b.image.Names, text(p.Value))
			case "plimsoll:manifest":
				if d, err := plimsoll.ParseDigest(p.Value); err == nil {
					b.image.Manifests = appendNew(b.image.Manifests, d)
				}
			case "plimsoll:scan":
				b.incomplete = b.incomplete || p.Value != string(plimsoll.ScanComplete)
			}
		}
	}
	for _, key := range []string{"aquasecurity:trivy:RepoTag", "aquasecurity:trivy:RepoDigest"} {
		if is[key] != "" {
			b.image.Names = appendNew(b.image.Names, is[key])
		}
	}
}

// name takes the name of the image, and its manifest where the version or the purl
// is one.
func (b *builder) name(name, version, purl string) {
	if name = text(name); name != "" {
		b.image.Names = append(b.image.Names, name)
	}
	for _, word := range []string{version, purl} {
		if i := strings.Index(word, "sha256"); i >= 0 {
			word = strings.Replace(word[i:], "%3A", ":", 1)
			word, _, _ = strings.Cut(word, "?")
			if d, err := plimsoll.ParseDigest(word); err == nil {
				b.image.Manifests = appendNew(b.image.Manifests, d)
			}
		}
	}
}

func appendNew[T comparable](list []T, item T) []T {
	const most = 100
	for _, known := range list {
		if known == item {
			return list
		}
	}
	if len(list) == most {
		return list
	}
	return append(list, item)
}

func (b *builder) components(list *[]cyclonedx.Component, depth int) error {
	if depth > maxDepth {
		return errLimit
	}
	components := deref(list)
	for i := range components {
		c := &components[i]
		if err := b.component(c); err != nil {
			return err
		}
		if err := b.components(c.Components, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) component(c *cyclonedx.Component) error {
	is := propertiesOf(c)
	if c.Type == cyclonedx.ComponentTypeOS {
		if len(b.systems) < maxDepth {
			b.systems = append(b.systems, plimsoll.OS{ID: systemID(text(c.Name)), VersionID: text(c.Version), Name: text(c.Description), CPE: text(c.CPE),
				Root: is["plimsoll:root"], Path: is["plimsoll:path"]})
		}
		return nil
	}
	p, ok := b.fromPURL(c.PackageURL, c.Name, c.Type == cyclonedx.ComponentTypeLibrary || c.Type == cyclonedx.ComponentTypeFramework)
	if !ok {
		return nil
	}
	if c.Supplier != nil {
		p.Supplier = text(c.Supplier.Name)
	}
	for _, l := range derefLicenses(c.Licenses) {
		switch {
		case len(p.Licenses) == maxDepth:
		case l.Expression != "":
			p.Licenses = append(p.Licenses, text(l.Expression))
		case l.License != nil && l.License.ID+l.License.Name != "":
			p.Licenses = append(p.Licenses, text(l.License.ID+l.License.Name))
		}
	}
	if c.Evidence != nil {
		for _, o := range deref(c.Evidence.Occurrences) {
			p.Path = strings.TrimLeft(text(o.Location), "/")
			break
		}
	}
	b.claims(&p, is)
	return b.add(p)
}

func derefLicenses(l *cyclonedx.Licenses) cyclonedx.Licenses {
	if l == nil {
		return nil
	}
	return *l
}

// claims takes what tools tell beyond the format, in properties of their own.
func (b *builder) claims(p *plimsoll.Package, is map[string]string) {
	for _, key := range []string{"plimsoll:path", "aquasecurity:trivy:FilePath", "syft:location:0:path"} {
		if p.Path == "" {
			p.Path = strings.TrimLeft(is[key], "/")
		}
	}
	for _, key := range []string{"plimsoll:layer", "aquasecurity:trivy:LayerDiffID", "syft:location:0:layerID"} {
		if d, err := plimsoll.ParseDigest(is[key]); err == nil && p.Layer == "" {
			p.Layer = d
		}
	}
	if !p.Type.System() {
		p.Root, p.Owner, p.Bundled = is["plimsoll:root"], is["plimsoll:owner"], is["plimsoll:bundledBy"]
		return
	}
	p.Root, p.Origin = is["plimsoll:root"], is["plimsoll:origin"]
	if p.Module == "" {
		p.Module = is["plimsoll:module"]
	}
	switch {
	case is["plimsoll:sourceName"] != "":
		p.Source = plimsoll.SourcePackage{Name: is["plimsoll:sourceName"], Version: is["plimsoll:sourceVersion"]}
	case is["aquasecurity:trivy:SrcName"] != "":
		version := is["aquasecurity:trivy:SrcVersion"]
		if release := is["aquasecurity:trivy:SrcRelease"]; release != "" {
			version += "-" + release
		}
		if epoch := is["aquasecurity:trivy:SrcEpoch"]; epoch != "" && epoch != "0" {
			version = epoch + ":" + version
		}
		p.Source = plimsoll.SourcePackage{Name: is["aquasecurity:trivy:SrcName"], Version: version}
	case is["syft:metadata:originPackage"] != "":
		p.Source.Name = is["syft:metadata:originPackage"]
	}
}

// propertiesOf returns the properties that are asked for, the first of each name.
func propertiesOf(c *cyclonedx.Component) map[string]string {
	is := make(map[string]string)
	for _, p := range deref(c.Properties) {
		if _, again := is[p.Name]; !again && (strings.HasPrefix(p.Name, "plimsoll:") || strings.HasPrefix(p.Name, "aquasecurity:") || strings.HasPrefix(p.Name, "syft:")) {
			is[p.Name] = text(p.Value)
		}
	}
	return is
}
