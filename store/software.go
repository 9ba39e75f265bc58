package store

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/version"
)

// softwareKeys are the orders of software, those of api.SoftwareSorts.
var softwareKeys = []sortKey{
	{name: "name", column: "s.name_lower", kind: keyText},
	{name: "images", column: "s.images", desc: true},
	{name: "risk", column: "s.risk_order", desc: true},
	{name: "firstSeen", column: "s.first_seen", desc: true},
}

const softwareColumns = `s.id, s.type, s.name, s.version, s.arch, s.source_name, s.source_version, s.module, s.origin, coalesce(y.name, ''), s.purl,
	s.licenses, s.supplier, s.covered, s.verdict_group, s.images, s.m_critical, s.m_high, s.m_medium, s.m_low, s.m_unknown, s.m_none, s.first_seen`

// softwareInto returns where softwareColumns are scanned to, and what to do then.
func softwareInto(p *api.Software) (dest []any, finish func() error) {
	var sourceName, sourceVersion, licenses string
	var covered, first int64
	dest = []any{&p.ID, &p.Type, &p.Name, &p.Version, &p.Arch, &sourceName, &sourceVersion, &p.Module, &p.Origin, &p.System, &p.PURL,
		&licenses, &p.Supplier, &covered, &p.Group, &p.Images, &p.Findings.Critical, &p.Findings.High, &p.Findings.Medium, &p.Findings.Low,
		&p.Findings.Unknown, &p.Findings.None, &first}
	return dest, func() error {
		p.Source = strings.TrimSpace(sourceName + " " + sourceVersion)
		p.Covered, p.FirstSeen = covered != 0, moment(first)
		return json.Unmarshal([]byte(licenses), &p.Licenses)
	}
}

const softwareFrom = "software s LEFT JOIN system y ON y.id = s.system_id"

// named returns a query for the IDs of software by its name in any case, and of
// Maven packages by their artifact alone.
func named(name string, kind plimsoll.PackageType) (string, []any) {
	lower := strings.ToLower(name)
	query, args := "SELECT id FROM software WHERE name_lower = ?", []any{lower}
	if !strings.Contains(name, ":") && (kind == "" || kind == plimsoll.TypeMaven) {
		// The inner query needs nothing but the index of names.
		query += " UNION SELECT id FROM software WHERE type = ? AND id IN (SELECT id FROM software WHERE " + like("name_lower") + ")"
		args = append(args, string(plimsoll.TypeMaven), "%:"+likeEscapes.Replace(lower))
	}
	return query, args
}

// softwareFilter returns the conditions of a filter on table software s, but for
// those about images, hosts and paths.
func (t *tx) softwareFilter(f api.SoftwareFilter) (where, error) {
	var w where
	if f.Query != "" {
		w.contains("s.name_lower", f.Query)
	}
	if f.Name != "" {
		text, args := named(f.Name, plimsoll.PackageType(f.Type))
		w.and("s.id IN ("+text+")", args...)
	}
	if f.Type != "" {
		w.and("s.type = ?", f.Type)
	}
	if f.Version != "" {
		w.and("s.version = ?", f.Version)
	}
	if f.License != "" {
		w.and(like("lower(s.licenses)"), likePattern(f.License))
	}
	if f.PURL != "" {
		w.prefix("s.purl", f.PURL)
	}
	if f.System != "" {
		w.and("s.system_id IN (SELECT id FROM system WHERE name = ?)", f.System)
	}
	if word(&w, "covered", f.Covered, "yes", "no") {
		w.and("s.covered = ?", bit(f.Covered == "yes"))
	}
	if f.Affected {
		w.and("s.m_critical + s.m_high + s.m_medium + s.m_low + s.m_unknown + s.m_none > 0")
	}
	if w.err != nil || f.Below == "" && f.AtLeast == "" {
		return w, w.err
	}
	ids, err := t.versions(w, f)
	in(&w, "s.id", ids)
	return w, err
}

// versions returns the software that w allows whose version lies within the
// bounds, in the order of its ecosystem. A version that cannot be compared lies
// nowhere.
func (t *tx) versions(w where, f api.SoftwareFilter) ([]int64, error) {
	const op = "compare versions"
	if f.Name == "" {
		return nil, plimsoll.Errorf(plimsoll.CodeInvalid, op, "versions are compared for one name only")
	}
	type bound struct{ below, atLeast version.Version }
	bounds := make(map[version.Scheme]*bound)
	var failed error
	read := func(s version.Scheme) *bound {
		b := &bound{}
		for _, part := range []struct {
			text string
			to   *version.Version
		}{{f.Below, &b.below}, {f.AtLeast, &b.atLeast}} {
			if part.text == "" {
				continue
			}
			v, err := version.Parse(s, part.text)
			if err != nil {
				failed = &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: op, Err: err}
				return nil
			}
			*part.to = v
		}
		return b
	}
	var ids []int64
	rows, err := t.query("SELECT s.id, s.type, s.version FROM software s"+w.String(), w.args...)
	err = each(rows, err, func(scan func(...any) error) error {
		var id int64
		var kind plimsoll.PackageType
		var text string
		if err := scan(&id, &kind, &text); err != nil {
			return err
		}
		scheme, ok := schemeOf(kind)
		if !ok {
			return nil
		}
		b, known := bounds[scheme]
		if !known {
			b = read(scheme)
			bounds[scheme] = b
		}
		v, err := version.Parse(scheme, text)
		if b == nil || err != nil {
			return nil
		}
		if f.Below != "" && v.Compare(b.below) >= 0 || f.AtLeast != "" && v.Compare(b.atLeast) < 0 {
			return nil
		}
		ids = append(ids, id)
		return nil
	})
	// A bound that is no version of one ecosystem may be one of another.
	if err == nil && failed != nil && !slices.ContainsFunc(slices.Collect(maps.Values(bounds)), func(b *bound) bool { return b != nil }) {
		err = failed
	}
	slices.Sort(ids)
	return ids, err
}

// schemeOf returns the order of the versions of a package type.
func schemeOf(kind plimsoll.PackageType) (version.Scheme, bool) {
	switch kind {
	case plimsoll.TypeDeb:
		return version.Deb, true
	case plimsoll.TypeRPM:
		return version.RPM, true
	case plimsoll.TypeAPK:
		return version.APK, true
	case plimsoll.TypeALPM:
		return version.Pacman, true
	case plimsoll.TypeMaven:
		return version.Maven, true
	case plimsoll.TypeNPM:
		return version.NPM, true
	case plimsoll.TypePyPI, plimsoll.TypeConda:
		return version.PEP440, true
	case plimsoll.TypeGo:
		return version.Go, true
	case plimsoll.TypeCargo:
		return version.Cargo, true
	case plimsoll.TypeNuGet:
		return version.NuGet, true
	case plimsoll.TypeComposer:
		return version.Composer, true
	case plimsoll.TypeGem:
		return version.Gem, true
	case plimsoll.TypeHex:
		return version.Hex, true
	case plimsoll.TypeCRAN:
		return version.CRAN, true
	case plimsoll.TypeGeneric:
		return version.SemVer, true
	}
	return "", false
}

// oncePath returns a query for the IDs of software that lies, or once lay, where the
// pattern says.
func (t *tx) oncePath(pattern string) (string, []any) {
	var w where
	w.glob(t.s.dialect, "p.path", pattern)
	return "SELECT DISTINCT p.software_id FROM software_path p" + w.String(), w.args
}

// layer narrows instances in table n to what a layer of their image brought.
func (w *where) layer(n string, image int64, diff string) error {
	switch {
	case diff == "":
	case image == 0:
		return plimsoll.Errorf(plimsoll.CodeInvalid, "filter by layer", "a layer is looked up in one image: say which")
	default:
		w.and(n+".layer IN (SELECT il.number FROM image_layer il JOIN layer l ON l.id = il.layer_id WHERE il.image_id = ? AND l.diff_id = ?)", image, diff)
	}
	return nil
}

// held returns the condition under which a host in sight that the filter allows
// holds the image in column now.
func held(scope plimsoll.Scope, f api.SoftwareFilter, column string) (string, []any) {
	at := sight{scope, f.Host, f.Label}
	if at.everything() {
		return "EXISTS (SELECT 1 FROM host_image o WHERE o.image_id = " + column + ")", nil
	}
	return column + " IN (" + theIDs + ")", []any{heldBy{sight: at}}
}

// Software lists distinct packages of live images.
func (s *Store) Software(ctx context.Context, scope plimsoll.Scope, f api.SoftwareFilter, l api.List) (page api.Page[api.Software], err error) {
	k, err := newKeyset(l, "software", "s.id", softwareKeys)
	if err != nil {
		return page, err
	}
	if k.key.name == "images" && !scope.All {
		return page, plimsoll.Errorf(plimsoll.CodeInvalid, "sort software", "the number of images on all hosts is not yours to sort by: sort by name, risk or firstSeen")
	}
	err = s.read(ctx, "list software", func(t *tx) error {
		w, err := t.softwareFilter(f)
		if err != nil {
			return err
		}
		w.and("+s.images > 0") // nearly all: no index helps
		at := sight{scope, f.Host, f.Label}
		switch {
		case f.Image != 0 || f.Layer != "" || f.Path != "":
			var n where
			// Of few images all packages are looked at, elsewhere all images of each package.
			few := f.Image != 0 || f.Host != 0
			if !few && !at.everything() {
				images, err := t.idsOf(heldBy{sight: at}) // which the condition needs, too
				if err != nil {
					return err
				}
				few = len(images) <= chunk
			}
			column := "n.image_id"
			if !few {
				n.and("n.software_id = s.id")
				column = "+n.image_id"
			}
			text, args := held(scope, f, column)
			n.and(text, args...)
			if f.Image != 0 {
				n.and("n.image_id = ?", f.Image)
			}
			if err := n.layer("n", f.Image, f.Layer); err != nil {
				return err
			}
			if f.Path != "" {
				text, args := t.oncePath(f.Path)
				w.and("s.id IN ("+text+")", args...)
				n.glob(t.s.dialect, "n.path", f.Path)
			}
			if few {
				w.and("s.id IN (SELECT n.software_id FROM instance n"+n.String()+")", n.args...)
			} else {
				w.and("EXISTS (SELECT 1 FROM instance n"+n.String()+")", n.args...)
			}
		case !at.everything():
			w.and("s.id IN ("+theIDs+")", heldBy{sight: at, software: true})
		}
		page, err = fetch(t, k, softwareColumns, softwareFrom, w, func(scan func(...any) error) (p api.Software, err error) {
			dest, finish := softwareInto(&p)
			if err = scan(dest...); err == nil {
				err = finish()
			}
			return p, err
		})
		if err != nil {
			return err
		}
		if err := imagesInSight(t, scope, page.Items, func(p *api.Software) *api.Software { return p }); err != nil {
			return err
		}
		page.Total, err = t.count("software s", w)
		return err
	})
	return page, err
}

// imagesInSight replaces the number of images of software by that in sight.
func imagesInSight[T any](t *tx, scope plimsoll.Scope, list []T, of func(*T) *api.Software) error {
	if scope.All || len(list) == 0 {
		return nil
	}
	ids := make([]int64, len(list))
	for i := range list {
		p := of(&list[i])
		ids[i], p.Images = p.ID, 0
	}
	held, heldArgs := heldInSight(scope, "+n.image_id")
	numbers := make(map[int64]int64, len(ids))
	rows, err := t.query(`SELECT n.software_id, count(DISTINCT n.image_id) FROM instance n WHERE n.software_id IN (`+marks(len(ids))+`)
		AND `+held+" GROUP BY n.software_id", append(args(ids), heldArgs...)...)
	err = each(rows, err, func(scan func(...any) error) error {
		var id, n int64
		err := scan(&id, &n)
		numbers[id] = n
		return err
	})
	for i := range list {
		p := of(&list[i])
		p.Images = numbers[p.ID]
	}
	return err
}

// Installed lists the packages of one image, by name.
func (s *Store) Installed(ctx context.Context, scope plimsoll.Scope, imageID int64, f api.SoftwareFilter, l api.List) (page api.Page[api.Installed], err error) {
	k, err := newKeyset(l, "installed", "n.id", softwareKeys[:1])
	if err != nil {
		return page, err
	}
	err = s.read(ctx, "list the packages of an image", func(t *tx) error {
		if _, err := t.lookImage(scope, imageID); err != nil {
			return err
		}
		w, err := t.softwareFilter(f)
		if err != nil {
			return err
		}
		w.and("n.image_id = ?", imageID)
		if err := w.layer("n", imageID, f.Layer); err != nil {
			return err
		}
		if f.Path != "" {
			w.glob(t.s.dialect, "n.path", f.Path)
		}
		page, err = fetch(t, k, softwareColumns+`, n.id, n.image_id, n.path, n.layer, coalesce(r.diff_id, ''), n.base, n.owner, n.evidence, n.dev, n.bundled, n.extra`,
			"instance n JOIN software s ON s.id = n.software_id LEFT JOIN system y ON y.id = s.system_id"+
				" LEFT JOIN image_layer il ON il.image_id = n.image_id AND il.number = n.layer LEFT JOIN layer r ON r.id = il.layer_id", w, func(scan func(...any) error) (p api.Installed, err error) {
				dest, finish := softwareInto(&p.Software)
				var base, dev int64
				var more string
				dest = append(dest, &p.InstanceID, &p.ImageID, &p.Path, &p.LayerIndex, &p.Layer, &base, &p.Owner, &p.Evidence, &dev, &p.Bundled, &more)
				if err = scan(dest...); err != nil {
					return p, err
				}
				p.Base, p.Dev = base != 0, dev != 0
				if err = finish(); err != nil || more == "" {
					return p, err
				}
				return p, unpack(more, &p)
			})
		if err != nil {
			return err
		}
		if err := imagesInSight(t, scope, page.Items, func(p *api.Installed) *api.Software { return &p.Software }); err != nil {
			return err
		}
		page.Total, err = t.count("instance n JOIN software s ON s.id = n.software_id", w)
		return err
	})
	return page, err
}

// unpack adds what column extra holds: what instances seldom have, and where
// they differ from their software.
func unpack(text string, p *api.Installed) error {
	more := struct {
		Locations *[]string `json:"locations"`
		Remark    *string   `json:"remark"`
		Licenses  *[]string `json:"licenses"`
		Supplier  *string   `json:"supplier"`
		PURL      *string   `json:"purl"`
	}{&p.Locations, &p.Remark, &p.Licenses, &p.Supplier, &p.PURL}
	return json.Unmarshal([]byte(text), &more)
}

// Places answers which hosts and running containers have the software that f
// finds: one row for each package at its path in an image, on each host.
func (s *Store) Places(ctx context.Context, scope plimsoll.Scope, f api.SoftwareFilter, l api.List) (page api.Page[api.Place], err error) {
	k, err := newKeyset(l, "places", "o.host_id", []sortKey{{name: "id", column: "n.id"}})
	if err != nil {
		return page, err
	}
	err = s.read(ctx, "find where software is", func(t *tx) error {
		w, err := t.softwareFilter(f)
		if err != nil {
			return err
		}
		// First the packages, as many as a page can need: each is on one host at
		// least, and on thousands perhaps.
		text, args := held(scope, f, "n.image_id")
		w.and(text, args...)
		if f.Image != 0 {
			w.and("n.image_id = ?", f.Image)
		}
		if err := w.layer("n", f.Image, f.Layer); err != nil {
			return err
		}
		if f.Path != "" {
			w.glob(t.s.dialect, "n.path", f.Path)
			// Where much lies a page is soon full; where little does, that is looked up.
			text, args := t.oncePath(f.Path)
			ids, err := t.ids(text+" LIMIT ?", append(args, chunk)...)
			if err != nil {
				return err
			}
			if len(ids) < chunk {
				in(&w, "s.id", ids)
			}
		}
		if k.after != nil {
			w.and("n.id >= ?", k.after.value)
		}
		if w.err != nil {
			return w.err
		}
		from := `(SELECT n.id, n.image_id, n.path, s.type, s.name, s.version FROM software s JOIN instance n ON n.software_id = s.id` + w.String() +
			` ORDER BY n.id LIMIT ?) n JOIN host_image o ON o.image_id = n.image_id JOIN host h ON h.id = o.host_id JOIN image i ON i.id = n.image_id`
		var outer where
		outer.from = append(w.args, k.limit+2)
		outer.seesHost(scope, "o.host_id")
		if f.Host != 0 {
			outer.and("o.host_id = ?", f.Host)
		}
		if f.Label != "" {
			outer.and("o.host_id IN (SELECT host_id FROM host_label WHERE label = ?)", f.Label)
		}
		page, err = fetch(t, k, "o.host_id, h.name, n.image_id, i.digest, n.type, n.name, n.version, n.path", from, outer,
			func(scan func(...any) error) (p api.Place, err error) {
				var digest plimsoll.Digest
				err = scan(&p.HostID, &p.Host, &p.ImageID, &digest, &p.Type, &p.Package, &p.Version, &p.Path)
				p.Image = digest.Short()
				return p, err
			})
		if err != nil || len(page.Items) == 0 {
			return err
		}
		return t.running(scope, page.Items)
	})
	return page, err
}

// running fills in the names of images and their running containers on the hosts.
func (t *tx) running(scope plimsoll.Scope, places []api.Place) error {
	hosts, images := make([]int64, 0, len(places)), make([]int64, 0, len(places))
	for _, p := range places {
		hosts, images = append(hosts, p.HostID), append(images, p.ImageID)
	}
	names, err := t.firstNames(scope, images)
	if err != nil {
		return err
	}
	k, err := newKeyset(api.List{}, "containers", "c.id", []sortKey{{name: "id", column: "c.id"}})
	if err != nil {
		return err
	}
	k.limit = api.MaxContainers
	var w where
	w.and("c.gone = 0 AND c.running = 1")
	in(&w, "c.image_id", images)
	in(&w, "c.host_id", hosts)
	found, err := t.containers(scope, k, w)
	if err != nil {
		return err
	}
	type holder struct{ host, image int64 }
	by := make(map[holder][]api.Container)
	for _, c := range found.Items {
		at := holder{c.HostID, c.ImageID}
		by[at] = append(by[at], c)
	}
	for i := range places {
		p := &places[i]
		if name := names[p.ImageID]; name != "" {
			p.Image = name
		}
		p.Containers = by[holder{p.HostID, p.ImageID}]
	}
	return nil
}
