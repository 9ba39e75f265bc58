package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/api"
)

// reading is a result that was checked, with all that is known of it before the
// transaction that stores it.
type reading struct {
	result   *api.ScanResult
	systems  []string                    // key of each system
	systemOf []int                       // of each package: index of its system, -1 for none
	keys     []string                    // software key of each package
	owned    []bool                      // of each package: the distribution speaks for it
	known    map[string]knownSoftware    // by software key, of what the fleet knew before the transaction
	judge    plimsoll.Digest             // the advisories that verdicts are by; empty without a judge
	verdicts map[string]plimsoll.Verdict // by software key, of what the fleet did not know
	unjudged bool                        // it brought software that the active advisories have yet to judge
}

// prepare computes the software keys of a result and has the packages judged
// that the fleet does not know. judge may be nil.
func (s *Store) prepare(ctx context.Context, r *api.ScanResult, judge plimsoll.Judge) (*reading, error) {
	in := &reading{result: r}
	if r.Inventory == nil {
		return in, nil
	}
	in.identify()
	var missing []string
	if in.known, missing = s.software.get(in.keys); len(missing) > 0 {
		err := s.read(ctx, "find the software of a result", func(t *tx) error {
			found, err := t.knownSoftware(missing)
			if err == nil {
				s.software.add(found)
				maps.Copy(in.known, found)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if judge == nil {
		return in, nil
	}
	in.judge = judge.Generation().ID
	return in, in.judgeUnknown(ctx, judge)
}

// identify computes what the packages of an inventory are in the fleet.
func (in *reading) identify() {
	inv := in.result.Inventory
	systemAt := make(map[string]int, len(inv.Systems))
	for i, os := range inv.Systems {
		systemAt[os.Root] = i
		in.systems = append(in.systems, systemKey(os))
	}
	in.owned = inv.Owned()
	for i, owned := range in.owned {
		p := &inv.Packages[i]
		system, key := -1, ""
		if at, ok := systemAt[p.Root]; ok && (owned || p.Type.System()) {
			system, key = at, in.systems[at]
		}
		in.systemOf = append(in.systemOf, system)
		in.keys = append(in.keys, softwareKey(key, p, owned))
	}
}

// judgeAll returns a verdict for each package.
func judgeAll(ctx context.Context, judge plimsoll.Judge, system plimsoll.OS, packages []plimsoll.Package) ([]plimsoll.Verdict, error) {
	verdicts, err := judge.Judge(ctx, system, packages)
	if err == nil && len(verdicts) != len(packages) {
		err = plimsoll.Errorf(plimsoll.CodeInternal, "judge packages", "%d verdicts for %d packages", len(verdicts), len(packages))
	}
	return verdicts, err
}

// judgeUnknown has the packages judged that are not known, system by system.
func (in *reading) judgeUnknown(ctx context.Context, judge plimsoll.Judge) error {
	in.verdicts = make(map[string]plimsoll.Verdict)
	bySystem := make(map[int][]int) // indices of packages, one for each key
	for i, key := range in.keys {
		if _, ok := in.known[key]; ok {
			continue
		}
		if _, ok := in.verdicts[key]; !ok {
			in.verdicts[key] = plimsoll.Verdict{}
			bySystem[in.systemOf[i]] = append(bySystem[in.systemOf[i]], i)
		}
	}
	for system, indices := range bySystem {
		os := plimsoll.OS{}
		if system >= 0 {
			os = identity(in.result.Inventory.Systems[system])
		}
		slices.SortFunc(indices, func(a, b int) int {
			p, q := &in.result.Inventory.Packages[a], &in.result.Inventory.Packages[b]
			return strings.Compare(string(p.Type)+"\x00"+p.Name, string(q.Type)+"\x00"+q.Name)
		})
		packages := make([]plimsoll.Package, len(indices))
		for i, at := range indices {
			packages[i] = subject(&in.result.Inventory.Packages[at], in.owned[at])
		}
		verdicts, err := judgeAll(ctx, judge, os, packages)
		if err != nil {
			return err
		}
		for i, at := range indices {
			in.verdicts[in.keys[at]] = verdicts[i]
		}
	}
	return nil
}

// subject is the package as its software row tells it: a verdict depends on
// nothing else.
func subject(p *plimsoll.Package, owned bool) plimsoll.Package {
	s := plimsoll.Package{Type: p.Type, Name: p.Name, Version: p.Version, Arch: p.Arch, Source: p.Source, Module: p.Module, Origin: p.Origin}
	if owned {
		s.Owner = ownedBySystem
	}
	return s
}

// ownedBySystem stands for the owner's name, which is not part of a software row.
const ownedBySystem = "the system"

// identity is the part of a system's identity that judging depends on.
func identity(os plimsoll.OS) plimsoll.OS {
	os.Root, os.Path = "", ""
	if len(os.IDLike) == 0 {
		os.IDLike = nil
	}
	return os
}

func systemKey(os plimsoll.OS) string { return hashOf(identity(os)) }

func softwareKey(system string, p *plimsoll.Package, owned bool) string {
	mark := ""
	if owned {
		mark = "owned"
	}
	return hashOf([]string{system, string(p.Type), p.Name, p.Version, p.Arch, p.Source.Name, p.Source.Version, p.Module, p.Origin, mark})
}

// hashOf names a value: the SHA-256 of its JSON, in 43 characters.
func hashOf(v any) string {
	sum := sha256.Sum256([]byte(encode(v)))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// encode writes a value of ours as JSON; such values always can be.
func encode(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(data)
}

// knownSoftware is a software row as far as storing an inventory needs it: its
// ID, and the texts of the package that was seen first.
type knownSoftware struct {
	id             int64
	licenses       string
	supplier, purl string
}

// knownSoftware returns what the fleet knows of the keys.
func (t *tx) knownSoftware(keys []string) (map[string]knownSoftware, error) {
	found := make(map[string]knownSoftware, len(keys))
	unique := slices.Compact(slices.Sorted(slices.Values(keys)))
	for part := range slices.Chunk(unique, chunk) {
		rows, err := t.query("SELECT key, id, licenses, supplier, purl FROM software WHERE key IN ("+marks(len(part))+")", args(part)...)
		err = each(rows, err, func(scan func(...any) error) error {
			var key string
			var k knownSoftware
			if err := scan(&key, &k.id, &k.licenses, &k.supplier, &k.purl); err != nil {
				return err
			}
			found[key] = k
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// chunk is how many values one IN lists.
const chunk = 500

// storeInventory replaces the inventory of an image. An instance that was there
// before keeps its ID, so that findings keep theirs.
func (t *tx) storeInventory(imageID int64, in *reading) error {
	inv := in.result.Inventory
	systems := make([]int64, len(inv.Systems))
	var rootSystem int64
	var rootName string
	if _, err := t.exec("DELETE FROM image_system WHERE image_id = ?", imageID); err != nil {
		return err
	}
	for i, os := range inv.Systems {
		id, err := t.id(`INSERT INTO system (key, name, os) VALUES (?, ?, ?)
			ON CONFLICT (key) DO UPDATE SET name = excluded.name RETURNING id`, in.systems[i], systemName(os), encode(identity(os)))
		if err != nil {
			return err
		}
		systems[i] = id
		if os.Root == "" {
			rootSystem, rootName = id, systemName(os)
		}
		if _, err := t.exec("INSERT INTO image_system (image_id, root, system_id, path) VALUES (?, ?, ?, ?)", imageID, os.Root, id, os.Path); err != nil {
			return err
		}
	}
	software, err := t.storeSoftware(in, systems)
	if err != nil {
		return err
	}
	if err := t.storeInstances(imageID, in, software); err != nil {
		return err
	}
	problems, unidentified := 0, 0
	if _, err := t.exec("DELETE FROM image_problem WHERE image_id = ?", imageID); err != nil {
		return err
	}
	var rows [][]any
	for i, p := range inv.Problems {
		n := max(1, p.Count)
		problems += n
		if p.Code == plimsoll.ProblemUnidentified {
			unidentified += n
		}
		rows = append(rows, []any{imageID, i, string(p.Code), p.Path, string(p.Layer), p.Analyzer, p.Detail, p.Count})
	}
	if err := t.insertMany("image_problem (image_id, number, code, path, layer, analyzer, detail, count)", 8, rows, ""); err != nil {
		return err
	}
	_, err = t.exec("UPDATE image SET system_id = ?, system = ?, problems = ?, unidentified = ? WHERE id = ?",
		rootSystem, rootName, problems, unidentified, imageID)
	return err
}

// systemName is the distribution and its release, as lists show it.
func systemName(os plimsoll.OS) string {
	if d, known := os.Distribution(); known {
		return strings.TrimSpace(d.Name + " " + d.Release)
	}
	for _, name := range []string{os.Name, strings.TrimSpace(os.ID + " " + os.VersionID), os.Release} {
		if name != "" {
			return name
		}
	}
	return "unknown"
}

// storeSoftware adds the packages that the fleet did not know, with what the
// advisories say of them, and returns all by key. What was known before the
// transaction is believed: a row that was removed since breaks a foreign key, and
// the result is prepared again.
func (t *tx) storeSoftware(in *reading, systems []int64) (map[string]knownSoftware, error) {
	var missing []string
	for _, key := range in.keys {
		if _, ok := in.known[key]; !ok {
			missing = append(missing, key)
		}
	}
	if len(missing) == 0 {
		return in.known, nil
	}
	all, err := t.knownSoftware(missing) // another result may have brought some meanwhile
	if err != nil {
		return nil, err
	}
	maps.Copy(all, in.known)
	var rows [][]any
	var added []string
	for i, key := range in.keys {
		if _, ok := all[key]; ok {
			continue
		}
		all[key] = knownSoftware{}
		added = append(added, key)
		p := &in.result.Inventory.Packages[i]
		var system int64
		if at := in.systemOf[i]; at >= 0 {
			system = systems[at]
		}
		rows = append(rows, []any{key, string(p.Type), p.Name, strings.ToLower(p.Name), p.Version, p.Arch, p.Source.Name, p.Source.Version,
			p.Module, p.Origin, system, bit(in.owned[i]), p.PURL, encodeList(p.Licenses), p.Supplier, t.now})
	}
	if err := t.insertMany(`software (key, type, name, name_lower, version, arch, source_name, source_version,
		module, origin, system_id, owned, purl, licenses, supplier, first_seen)`, 16, rows, ""); err != nil {
		return nil, err
	}
	fresh, err := t.knownSoftware(added)
	if err != nil {
		return nil, err
	}
	generation, err := t.generationOf(in.judge)
	if err != nil {
		return nil, err
	}
	active, err := t.activeGeneration()
	if err != nil {
		return nil, err
	}
	in.unjudged = in.unjudged || generation != active
	var list []judgement
	for _, key := range added {
		all[key] = fresh[key]
		if verdict, ok := in.verdicts[key]; ok && generation > 0 {
			list = append(list, judgement{software: fresh[key].id, verdict: verdict})
		}
	}
	return all, t.storeVerdicts(generation, list)
}

// encodeList is encode with "[]" for no list.
func encodeList[T any](list []T) string {
	if len(list) == 0 {
		return "[]"
	}
	return encode(list)
}

// decodeList reads what encodeList wrote; nil when there is nothing.
func decodeList[T any](text string) (list []T) {
	if text != "" && text != "[]" && json.Unmarshal([]byte(text), &list) != nil {
		return nil
	}
	return list
}

// extra holds what instances seldom have beyond their columns.
type extra struct {
	// Number orders the packages of an inventory; 0 when the IDs do.
	Number    int      `json:"n,omitempty"`
	Locations []string `json:"locations,omitempty"`
	Remark    string   `json:"remark,omitempty"`
	// The rest is set where it differs from the software's.
	Licenses *[]string `json:"licenses,omitempty"`
	Supplier *string   `json:"supplier,omitempty"`
	PURL     *string   `json:"purl,omitempty"`
}

func (e *extra) String() string {
	if e.Number == 0 && len(e.Locations) == 0 && e.Remark == "" && e.Licenses == nil && e.Supplier == nil && e.PURL == nil {
		return ""
	}
	return encode(e)
}

// instance is one row of the table, without its ID and image.
type instance struct {
	software          int64
	path, class, root string
	owner             string
	layer             int64
	base              bool
	evidence, bundled string
	dev               bool
	extra             string
	id                int64
}

// place is what makes an instance the same in two inventories of an image.
type place struct {
	software   int64
	root, path string
}

// storeInstances makes the instances of an image those of an inventory. Effects
// on what is gone end with applyDecisions, which counts them.
func (t *tx) storeInstances(imageID int64, in *reading, software map[string]knownSoftware) error {
	type layer struct {
		number int64
		base   bool
	}
	layers := make(map[plimsoll.Digest]layer)
	rows, err := t.query("SELECT il.number, il.base, l.diff_id FROM image_layer il JOIN layer l ON l.id = il.layer_id WHERE il.image_id = ? ORDER BY il.number DESC", imageID)
	err = each(rows, err, func(scan func(...any) error) error {
		var l layer
		var diff string
		if err := scan(&l.number, &l.base, &diff); err != nil {
			return err
		}
		layers[plimsoll.Digest(diff)] = l
		return nil
	})
	if err != nil {
		return err
	}
	before, err := t.instancesOf(imageID)
	if err != nil {
		return err
	}
	kept := make(map[int64]instance)
	const newest = math.MaxInt64
	packages := in.result.Inventory.Packages
	want := make([]instance, len(packages))
	extras := make([]extra, len(packages))
	last, ordered := int64(0), true // whether the IDs tell the order
	for i := range packages {
		p := &packages[i]
		at := layer{number: -1}
		if p.Layer != "" {
			var ok bool
			if at, ok = layers[p.Layer]; !ok {
				return plimsoll.Errorf(plimsoll.CodeInvalid, "store an inventory", "package %d lies in a layer that the image does not have", i)
			}
		}
		shared := software[in.keys[i]]
		id := shared.id
		want[i] = instance{software: id, path: p.Path, class: plimsoll.PathClass(p), root: p.Root, owner: p.Owner, layer: at.number, base: at.base,
			evidence: string(p.Evidence), bundled: p.Bundled, dev: p.Dev}
		extras[i] = extraOf(p, shared)
		was := place{id, p.Root, p.Path}
		switch list := before[was]; {
		case len(list) > 0:
			want[i].id = list[0].id
			ordered = ordered && list[0].id > last
			last = list[0].id
		default:
			last = newest // what is new comes behind all that stays
		}
		if want[i].id > 0 {
			kept[want[i].id] = before[was][0]
			before[was] = before[was][1:]
		}
	}
	var added [][]any
	for i := range want {
		w := &want[i]
		if !ordered {
			extras[i].Number = i + 1
		}
		w.extra = extras[i].String()
		if w.id == 0 {
			added = append(added, []any{imageID, w.software, w.path, w.class, w.root, w.owner, w.layer, bit(w.base), w.evidence, bit(w.dev), w.bundled, w.extra})
			continue
		}
		if *w == kept[w.id] {
			continue
		}
		_, err := t.exec("UPDATE instance SET path_class = ?, owner = ?, layer = ?, base = ?, evidence = ?, dev = ?, bundled = ?, extra = ? WHERE id = ?",
			w.class, w.owner, w.layer, bit(w.base), w.evidence, bit(w.dev), w.bundled, w.extra, w.id)
		if err != nil {
			return err
		}
	}
	var gone []int64
	for _, list := range before {
		for _, i := range list {
			gone = append(gone, i.id)
		}
	}
	slices.Sort(gone)
	for part := range slices.Chunk(gone, chunk) {
		if _, err := t.exec("DELETE FROM instance WHERE id IN ("+marks(len(part))+")", args(part)...); err != nil {
			return err
		}
	}
	if err := t.insertMany("instance (image_id, software_id, path, path_class, root, owner, layer, base, evidence, dev, bundled, extra)", 12, added, ""); err != nil {
		return err
	}
	paths := make([][]any, len(added))
	for i, row := range added {
		paths[i] = []any{row[1], row[2]}
	}
	if err := t.insertMany("software_path (software_id, path)", 2, paths, "ON CONFLICT DO NOTHING"); err != nil {
		return err
	}
	counts := make(map[int64]int64, len(want))
	for i := range want {
		counts[want[i].software]++
	}
	list := make([]portion, 0, len(counts))
	for _, id := range sortedKeys(counts) {
		list = append(list, portion{id, counts[id]})
	}
	return t.storeContents(imageID, list)
}

// instancesOf returns the instances of an image, those of one place by ID.
func (t *tx) instancesOf(imageID int64) (map[place][]instance, error) {
	found := make(map[place][]instance)
	rows, err := t.query(`SELECT id, software_id, path, path_class, root, owner, layer, base, evidence, dev, bundled, extra
		FROM instance WHERE image_id = ? ORDER BY id`, imageID)
	err = each(rows, err, func(scan func(...any) error) error {
		var i instance
		if err := scan(&i.id, &i.software, &i.path, &i.class, &i.root, &i.owner, &i.layer, &i.base, &i.evidence, &i.dev, &i.bundled, &i.extra); err != nil {
			return err
		}
		at := place{i.software, i.root, i.path}
		found[at] = append(found[at], i)
		return nil
	})
	return found, err
}

func extraOf(p *plimsoll.Package, shared knownSoftware) extra {
	e := extra{Locations: p.Locations, Remark: p.Remark}
	if encodeList(p.Licenses) != shared.licenses {
		own := append([]string{}, p.Licenses...) // never null
		e.Licenses = &own
	}
	if p.Supplier != shared.supplier {
		e.Supplier = &p.Supplier
	}
	if p.PURL != shared.purl {
		e.PURL = &p.PURL
	}
	return e
}

// Inventory returns an image and its inventory as the agent read them, byte for
// byte the same once encoded. CodeNotFound when it was never read.
func (s *Store) Inventory(ctx context.Context, scope plimsoll.Scope, imageID int64) (img plimsoll.Image, inv plimsoll.Inventory, err error) {
	err = s.read(ctx, "read an inventory", func(t *tx) (err error) {
		if img, inv, err = t.imageOf(scope, imageID); err != nil {
			return err
		}
		layers := make([]plimsoll.Digest, len(img.Layers))
		for i, l := range img.Layers {
			layers[i] = l.DiffID
		}
		if inv.Packages, err = t.packagesOf(imageID, layers); err != nil {
			return err
		}
		rows, err := t.query("SELECT s.os, i.root, i.path FROM image_system i JOIN system s ON s.id = i.system_id WHERE i.image_id = ? ORDER BY i.root", imageID)
		err = each(rows, err, func(scan func(...any) error) error {
			var text, root, path string
			if err := scan(&text, &root, &path); err != nil {
				return err
			}
			var os plimsoll.OS
			if err := json.Unmarshal([]byte(text), &os); err != nil {
				return err
			}
			os.Root, os.Path = root, path
			inv.Systems = append(inv.Systems, os)
			return nil
		})
		if err != nil {
			return err
		}
		rows, err = t.query("SELECT code, path, layer, analyzer, detail, count FROM image_problem WHERE image_id = ? ORDER BY number", imageID)
		return each(rows, err, func(scan func(...any) error) error {
			var p plimsoll.Problem
			inv.Problems = append(inv.Problems, p)
			last := &inv.Problems[len(inv.Problems)-1]
			return scan(&last.Code, &last.Path, &last.Layer, &last.Analyzer, &last.Detail, &last.Count)
		})
	})
	return img, inv, err
}

// imageOf returns an image that was read, and the head of its inventory. Names
// are those on hosts in sight.
func (t *tx) imageOf(scope plimsoll.Scope, imageID int64) (img plimsoll.Image, inv plimsoll.Inventory, err error) {
	var w where
	w.and("image.id = ?", imageID)
	w.and("image.inventory > 0")
	w.seesImage(scope, "image")
	var platform, manifests, config, history string
	var created, gone int64
	err = t.row("SELECT digest, platform, manifests, created, size, config, history, analyzers, gone FROM image"+w.String(), w.args...).
		Scan(&img.ID, &platform, &manifests, &created, &img.Size, &config, &history, &inv.Analyzers, &gone)
	if errors.Is(err, sql.ErrNoRows) {
		return img, inv, notFound("inventory of image", imageID)
	}
	if err != nil {
		return img, inv, err
	}
	inv.ImageID = img.ID
	parts := append(strings.SplitN(platform, "/", 3), "", "")
	img.Platform = plimsoll.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
	img.Created = moment(created)
	img.Manifests = decodeList[plimsoll.Digest](manifests)
	var c api.ImageConfig
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return img, inv, err
	}
	img.Config = plimsoll.Config{User: c.User, WorkingDir: c.WorkingDir, Entrypoint: c.Entrypoint, Cmd: c.Cmd, Labels: c.Labels}
	for _, step := range decodeList[api.BuildStep](history) {
		h := plimsoll.History{CreatedBy: step.CreatedBy, Comment: step.Comment, EmptyLayer: step.EmptyLayer}
		if step.Created != nil {
			h.Created = *step.Created
		}
		img.History = append(img.History, h)
	}
	var names where
	names.and("image_id = ?", imageID)
	names.and("name <> ''")
	if gone == 0 {
		names.and("gone = 0")
	}
	names.seesHost(scope, "host_id")
	rows, err := t.query("SELECT DISTINCT name FROM presence"+names.String()+" ORDER BY name", names.args...)
	err = each(rows, err, func(scan func(...any) error) error {
		img.Names = append(img.Names, "")
		return scan(&img.Names[len(img.Names)-1])
	})
	if err != nil {
		return img, inv, err
	}
	rows, err = t.query("SELECT l.diff_id, l.size, il.created_by, il.base FROM image_layer il JOIN layer l ON l.id = il.layer_id WHERE il.image_id = ? ORDER BY il.number", imageID)
	var diffs []plimsoll.Digest
	err = each(rows, err, func(scan func(...any) error) error {
		var l plimsoll.Layer
		if err := scan(&l.DiffID, &l.Size, &l.CreatedBy, &l.Base); err != nil {
			return err
		}
		img.Layers = append(img.Layers, l)
		diffs = append(diffs, l.DiffID)
		return nil
	})
	for i, chain := range plimsoll.ChainIDs(diffs) {
		img.Layers[i].ChainID = chain
	}
	return img, inv, err
}

// packagesOf returns the packages of an image in the order of its inventory.
func (t *tx) packagesOf(imageID int64, layers []plimsoll.Digest) ([]plimsoll.Package, error) {
	type numbered struct {
		number int
		plimsoll.Package
	}
	var list []numbered
	rows, err := t.query(`SELECT s.type, s.name, s.version, s.arch, s.source_name, s.source_version, s.module, s.licenses, s.supplier, s.origin, s.purl,
		i.path, i.root, i.layer, i.owner, i.evidence, i.dev, i.bundled, i.extra
		FROM instance i JOIN software s ON s.id = i.software_id WHERE i.image_id = ? ORDER BY i.id`, imageID)
	err = each(rows, err, func(scan func(...any) error) error {
		var n numbered
		p := &n.Package
		var licenses, more string
		var layer int
		if err := scan(&p.Type, &p.Name, &p.Version, &p.Arch, &p.Source.Name, &p.Source.Version, &p.Module, &licenses, &p.Supplier, &p.Origin, &p.PURL,
			&p.Path, &p.Root, &layer, &p.Owner, &p.Evidence, &p.Dev, &p.Bundled, &more); err != nil {
			return err
		}
		if layer >= 0 && layer < len(layers) {
			p.Layer = layers[layer]
		}
		p.Licenses = decodeList[string](licenses)
		if more != "" {
			var e extra
			if err := json.Unmarshal([]byte(more), &e); err != nil {
				return err
			}
			n.number, p.Locations, p.Remark = e.Number, e.Locations, e.Remark
			if e.Licenses != nil {
				p.Licenses = *e.Licenses
				if len(p.Licenses) == 0 {
					p.Licenses = nil
				}
			}
			if e.Supplier != nil {
				p.Supplier = *e.Supplier
			}
			if e.PURL != nil {
				p.PURL = *e.PURL
			}
		}
		list = append(list, n)
		return nil
	})
	slices.SortStableFunc(list, func(a, b numbered) int { return a.number - b.number })
	packages := make([]plimsoll.Package, len(list))
	for i := range list {
		packages[i] = list[i].Package
	}
	return packages, err
}
