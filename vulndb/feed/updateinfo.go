package feed

import (
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll"
	"plimsoll/vulndb"
)

// The limits of an updateinfo.xml.
const (
	maxUpdate   = 16 << 20  // bytes of one update
	maxKind     = 32        // bytes of the type of an update that is shown
	maxUpdates  = 1_000_000 // of a source; the largest published have some ten thousand
	maxPackages = 8_000_000 // distinct builds of a source
)

// updateXML is one <update>, as yum, dnf and zypper read it. There is no
// specification; what tools accept and publishers write is the measure.
type updateXML struct {
	Status      string         `xml:"status,attr"`
	Type        string         `xml:"type,attr"`
	ID          string         `xml:"id"`
	Title       string         `xml:"title"`
	Severity    string         `xml:"severity"`
	Summary     string         `xml:"summary"`
	Description string         `xml:"description"`
	Issued      dateXML        `xml:"issued"`
	Updated     dateXML        `xml:"updated"`
	References  []referenceXML `xml:"references>reference"`
	// Collections of hot patches are left out: these are packages of their own.
	Collections []collectionXML `xml:"pkglist>collection"`
}

type dateXML struct {
	Date string `xml:"date,attr"`
	Text string `xml:",chardata"`
}

type referenceXML struct {
	Href  string `xml:"href,attr"`
	ID    string `xml:"id,attr"`
	Title string `xml:"title,attr"`
	Type  string `xml:"type,attr"`
}

type collectionXML struct {
	Module *struct {
		Name   string `xml:"name,attr"`
		Stream string `xml:"stream,attr"`
	} `xml:"module"`
	Packages []packageXML `xml:"package"`
}

type packageXML struct {
	Name    string  `xml:"name,attr"`
	Epoch   *string `xml:"epoch,attr"`
	Version string  `xml:"version,attr"`
	Release string  `xml:"release,attr"`
	Arch    string  `xml:"arch,attr"`
}

// erratum gathers what a source says under one ID: the same erratum stands in
// several repositories of a distribution, with the packages of each.
type erratum struct {
	record vulndb.Record
	kind   string                    // what the publisher calls it when that is not a security update
	builds map[build]map[string]bool // architectures
}

// build is one fixed package.
type build struct {
	name, version, module string
	epochless             bool
}

// readUpdateInfo reads the errata of yum and dnf repositories.
func readUpdateInfo(ctx context.Context, in *intake) error {
	errata := make(map[string]*erratum)
	builds := 0
	err := in.each(ctx, func(file string, r io.Reader) error {
		return eachUpdate(ctx, r, func(u *updateXML) error {
			e, err := in.erratum(u)
			switch {
			case errors.Is(err, errNotAdvisory):
				return nil
			case err != nil:
				return in.add(u.ID, vulndb.Record{}, err)
			}
			known := errata[e.record.Advisory.ID]
			if known == nil {
				known = e
				errata[e.record.Advisory.ID] = e
			} else {
				known.merge(&e.record)
				if e.kind == "" {
					known.kind = ""
				}
			}
			for i := range u.Collections {
				n, err := known.take(&u.Collections[i])
				builds += n
				if err != nil {
					in.problem(in.source.Name, u.ID, err)
				}
			}
			if len(errata) > maxUpdates || builds > maxPackages {
				return plimsoll.Errorf(plimsoll.CodeLimit, "read "+file, "more than %d errata or %d packages", maxUpdates, maxPackages)
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(errata)) {
		e := errata[id]
		if e.record.Advisory.Withdrawn.IsZero() {
			e.record.Affected = e.affected(in.bound())
		}
		if err := in.add(id, e.record, nil); err != nil {
			return err
		}
	}
	return nil
}

// eachUpdate decodes one update after the other.
func eachUpdate(ctx context.Context, r io.Reader, visit func(*updateXML) error) error {
	bounded := &capped{r: r, n: maxUpdate}
	d := xml.NewDecoder(bounded)
	root := ""
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		bounded.n = maxUpdate
		t, err := d.Token()
		if errors.Is(err, io.EOF) && root != "" {
			return nil
		}
		if err != nil {
			return fmt.Errorf("no updateinfo.xml: %w", err)
		}
		start, ok := t.(xml.StartElement)
		switch {
		case !ok:
		case root == "":
			if root = start.Name.Local; root != "updates" {
				return fmt.Errorf("no updateinfo.xml: it begins with <%.40s>", root)
			}
		case start.Name.Local != "update":
			err = d.Skip()
		default:
			var u updateXML
			if err = d.DecodeElement(&u, &start); err == nil {
				u.ID = strings.TrimSpace(u.ID)
				err = visit(&u)
			}
		}
		if err != nil {
			return err
		}
	}
}

var cveID = regexp.MustCompile(`CVE-(?:1999|2\d{3})-\d{4,}`)

// erratum translates all but the packages.
func (in *intake) erratum(u *updateXML) (*erratum, error) {
	if u.ID == "" || len(u.ID) > maxID {
		return nil, errors.New("an update has no usable id")
	}
	security := strings.EqualFold(u.Type, "security")
	flaws := u.flaws(security)
	if !security && len(flaws) == 0 {
		return nil, errNotAdvisory
	}
	e := &erratum{builds: make(map[build]map[string]bool)}
	if !security {
		e.kind = clip(tidyText(u.Type), maxKind)
	}
	e.record.Flaws = flaws
	a := &e.record.Advisory
	*a = plimsoll.Advisory{
		ID: u.ID, Provider: in.system.Name, Upstream: flaws,
		Published: u.Issued.time(), Modified: u.Updated.time(),
		Summary: clip(tidyText(u.Title), maxSummary), Details: clip(tidyText(u.Description), maxDetails),
	}
	if a.Modified.IsZero() {
		a.Modified = a.Published
	}
	if a.Details == "" {
		a.Details = clip(tidyText(u.Summary), maxDetails)
	}
	if strings.EqualFold(u.Status, "retracted") {
		if a.Withdrawn = a.Modified; a.Withdrawn.IsZero() {
			a.Withdrawn = time.Unix(0, 0).UTC()
		}
	}
	for _, r := range u.References {
		if len(a.References) < maxReferences && len(r.Href) <= maxReference && (strings.HasPrefix(r.Href, "https://") || strings.HasPrefix(r.Href, "http://")) {
			a.References = append(a.References, r.Href)
		}
	}
	// "None" is what some write who do not rate.
	if !strings.EqualFold(u.Severity, "none") {
		a.Ratings = wordRating(in.system.Name, "", strings.TrimSpace(u.Severity))
	}
	return e, nil
}

// flaws returns the CVE IDs that an update is about: those of its references of
// type "cve", else, for a security update, those of other references' titles
// (Fedora names Bugzilla entries), else those of its texts.
//
// An update of another type (bugfix, enhancement, recommended …) is about those
// that it refers to as "cve": the type says why it was published, the reference
// which flaws it fixes, and Red Hat's, Oracle's and SUSE's bugfix updates do fix
// some. What it merely mentions, a regression of an earlier fix, say, is no flaw
// that it fixes.
func (u *updateXML) flaws(security bool) []string {
	var typed, titled, written []string
	for _, r := range u.References {
		if strings.EqualFold(r.Type, "cve") {
			found := cveID.FindAllString(r.ID, -1)
			if len(found) == 0 {
				found = cveID.FindAllString(r.Title+" "+r.Href, -1)
			}
			typed = append(typed, found...)
		} else if security {
			titled = append(titled, cveID.FindAllString(r.ID+" "+r.Title, -1)...)
		}
	}
	if security {
		written = cveID.FindAllString(u.Title+" "+u.Summary+" "+u.Description, maxIDs)
	}
	for _, list := range [...][]string{typed, titled, written} {
		if len(list) > 0 {
			slices.Sort(list)
			list = slices.Compact(list)
			return list[:min(len(list), maxIDs)]
		}
	}
	return nil
}

// merge adds what another entry with the same ID says.
func (e *erratum) merge(other *vulndb.Record) {
	a, b := &e.record.Advisory, &other.Advisory
	if b.Modified.After(a.Modified) {
		flaws, references := e.record.Flaws, a.References
		*a, e.record.Flaws = *b, append(flaws, other.Flaws...)
		a.References = append(a.References, references...)
	} else {
		e.record.Flaws = append(e.record.Flaws, other.Flaws...)
		a.References = append(a.References, b.References...)
	}
	slices.Sort(e.record.Flaws)
	e.record.Flaws = slices.Compact(e.record.Flaws)
	e.record.Flaws = e.record.Flaws[:min(len(e.record.Flaws), maxIDs)]
	a.Upstream = e.record.Flaws
	slices.Sort(a.References)
	a.References = slices.Compact(a.References)
	a.References = a.References[:min(len(a.References), maxReferences)]
}

// take adds the packages of a collection and says how many builds are new.
func (e *erratum) take(c *collectionXML) (added int, err error) {
	module := ""
	if c.Module != nil && c.Module.Name != "" {
		if module = c.Module.Name + ":" + c.Module.Stream; len(module) > maxName {
			return 0, errors.New("the name of a module is too long")
		}
	}
	for i := range c.Packages {
		p := &c.Packages[i]
		// openEuler's tools write "aarch64/noarch/x86_64".
		list := strings.FieldsFunc(p.Arch, func(r rune) bool { return strings.ContainsRune("/,;| ", r) })
		list = slices.DeleteFunc(list, func(a string) bool { return a == "src" || a == "nosrc" })
		if len(list) == 0 && p.Arch != "" {
			continue // a source package is not installed
		}
		version, err2 := p.evr()
		if err2 != nil {
			err = err2
			continue
		}
		b := build{name: p.Name, version: version, module: module, epochless: p.Epoch == nil}
		of := e.builds[b]
		if of == nil {
			of = make(map[string]bool)
			e.builds[b] = of
			added++
		}
		if len(list) == 0 {
			list = []string{"noarch"}
		}
		for _, a := range list {
			if len(a) <= maxArch && len(of) < maxArches {
				of[plimsoll.NormalizeArch(a)] = true
			}
		}
	}
	return added, err
}

// The architectures of a build are few and short.
const (
	maxArch   = 32
	maxArches = 64
)

// evr returns the version as rpm writes it. An epoch of 0 is left out: it is
// what a missing one means.
func (p *packageXML) evr() (string, error) {
	if p.Name == "" || len(p.Name) > maxName || p.Version == "" {
		return "", fmt.Errorf("a package %.80q has no usable name and version", p.Name)
	}
	v := p.Version
	if p.Release != "" {
		v += "-" + p.Release
	}
	if p.Epoch != nil {
		switch epoch := strings.TrimSpace(*p.Epoch); strings.ToLower(epoch) {
		case "", "0", "none", "(none)":
		default:
			if _, err := strconv.ParseUint(epoch, 10, 32); err != nil {
				return "", fmt.Errorf("package %.80q has the epoch %.20q", p.Name, epoch)
			}
			v = epoch + ":" + v
		}
	}
	if len(v) > maxVersion || strings.IndexByte(p.Name+v, 0) >= 0 {
		return "", fmt.Errorf("package %.80q has no usable version", p.Name)
	}
	return v, nil
}

// affected says that everything before the fixed builds is affected.
func (e *erratum) affected(ecosystem string) []plimsoll.Affected {
	var list []plimsoll.Affected
	for b, arches := range e.builds {
		f := plimsoll.Affected{
			Ecosystem: ecosystem,
			Package:   b.name,
			Ranges:    []plimsoll.Range{{Type: plimsoll.RangeEcosystem, Events: []plimsoll.Event{{Introduced: "0"}, {Fixed: b.version}}}},
			Epochless: b.epochless,
		}
		if e.kind != "" {
			f.Note = "published as an update of the type " + strconv.Quote(e.kind) + " that refers to the CVE"
		}
		if !arches["noarch"] {
			f.Arches = slices.Sorted(maps.Keys(arches))
		}
		if b.module != "" {
			f.Modules = []string{b.module}
		}
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b plimsoll.Affected) int {
		return cmp.Or(strings.Compare(a.Package, b.Package), slices.Compare(a.Modules, b.Modules),
			strings.Compare(a.Ranges[0].Events[1].Fixed, b.Ranges[0].Events[1].Fixed), compareBools(a.Epochless, b.Epochless))
	})
	return list
}

func compareBools(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// time reads a date: Amazon writes minutes, Red Hat seconds, SUSE and others
// seconds since 1970, some a day or RFC 3339. A date that cannot be read is
// unknown.
func (d *dateXML) time() time.Time {
	s := strings.TrimSpace(d.Date)
	if s == "" {
		s = strings.TrimSpace(d.Text)
	}
	s = strings.TrimSuffix(s, " UTC")
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 1e8 && n < 1e11 {
		return time.Unix(n, 0).UTC()
	}
	for _, layout := range [...]string{time.DateTime, "2006-01-02 15:04", time.DateOnly, time.RFC3339, "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05.999999"} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() >= 1970 {
			return t.UTC()
		}
	}
	return time.Time{}
}

// tidyText takes off the space that indented XML puts around a text.
func tidyText(s string) string { return strings.TrimSpace(strings.ToValidUTF8(s, "\ufffd")) }
