package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"plimsoll"
	"plimsoll/api"
)

// Limits of the texts in a result, in bytes. Longer names and purls would not
// fit an index of PostgreSQL.
const (
	maxKey       = 300 // report IDs, leases, keys of facts
	maxField     = api.MaxName
	maxText      = 2000 // of a remark
	maxPath      = api.MaxPath
	maxAnalyzers = 8192
	maxLicenses  = api.MaxLicenses
	maxLocations = api.MaxLocations
	maxSystems   = 1000
	maxIssues    = 100_000
)

// ApplyResult stores what an agent read of an image and judges the packages that
// the fleet did not know. It ends the work on the image and the task items that
// wait for it. A failed result closes no finding and replaces no inventory; a
// partial one replaces only a partial one. known: the report was applied before.
//
// The error has CodeInvalid for a result that does not fit the image (layers,
// limits), CodeNotFound when the host does not hold the image or its lease was
// never given to it: a host speaks only for what it was asked.
func (s *Store) ApplyResult(ctx context.Context, hostID int64, r api.ScanResult, judge plimsoll.Judge) (known bool, err error) {
	const op = "store a result"
	if err := checkResult(&r); err != nil {
		return false, err
	}
	err = s.read(ctx, op, func(t *tx) (err error) {
		if known, err = t.reported(hostID, r.Report); err == nil && !known {
			_, err = t.asked(hostID, &r)
		}
		return err
	})
	if err != nil || known {
		return known, err
	}
	// A second time when software was removed that the first reading knew.
	freed, unjudged := false, false
	for range 2 {
		var reading *reading
		if reading, err = s.prepare(ctx, &r, judge); err != nil {
			return false, err
		}
		known, freed, err = s.deliver(ctx, hostID, reading)
		if unjudged = reading.unjudged; !s.dialect.brokenReference(err) {
			break
		}
		s.software.clear()
	}
	if err == nil && unjudged {
		s.Ring(ctx, TopicJobs)
	}
	if err == nil && !known {
		s.Ring(ctx, TopicTasks)
		s.Ring(ctx, HostWork(hostID))
		if freed {
			s.Ring(ctx, TopicWork)
		}
	}
	return known, err
}

// asked returns the image that a host was asked to read; CodeNotFound when its
// lease was never given to it.
func (t *tx) asked(hostID int64, r *api.ScanResult) (imageID int64, err error) {
	host, imageID, err := t.leaseOf(r.Lease)
	if errors.Is(err, sql.ErrNoRows) || err == nil && host != hostID {
		return 0, plimsoll.Errorf(plimsoll.CodeNotFound, "store a result", "the host was not asked to read %s", r.Image.Short())
	}
	return imageID, err
}

// reported says whether a report of a host was applied before.
func (t *tx) reported(hostID int64, report string) (known bool, err error) {
	var n int
	err = t.row("SELECT count(*) FROM scan WHERE report = ?", reportKey(hostID, report)).Scan(&n)
	return n > 0, err
}

// reportKey keeps hosts from claiming each other's reports.
func reportKey(hostID int64, report string) string { return fmt.Sprintf("%d/%s", hostID, report) }

// imageState is what an image's row says before a result is stored.
type imageState struct {
	digest    plimsoll.Digest
	state     plimsoll.ScanState
	analyzers string
	inventory int64 // when the first inventory was stored; 0: never
	private   bool
}

// storeResult stores what a host read of an image. changed: the image has another
// inventory now; the caller renews what follows from it.
func (t *tx) storeResult(hostID, imageID int64, in *reading) (state plimsoll.TaskState, changed bool, err error) {
	const op = "store a result"
	var image imageState
	var held int
	err = t.row(`SELECT digest, state, analyzers, inventory, private,
		(SELECT count(*) FROM host_image WHERE image_id = image.id AND host_id = ?) FROM image WHERE id = ?`, hostID, imageID).
		Scan(&image.digest, &image.state, &image.analyzers, &image.inventory, &image.private, &held)
	switch {
	case errors.Is(err, sql.ErrNoRows), err == nil && held == 0:
		return "", false, plimsoll.Errorf(plimsoll.CodeNotFound, op, "the host does not hold %s", in.result.Image.Short())
	case err != nil:
		return "", false, err
	case image.digest != in.result.Image:
		return "", false, plimsoll.Errorf(plimsoll.CodeInvalid, op, "the lease is about another image than %s", in.result.Image.Short())
	}
	state = stateOf(in.result)
	keep := state == plimsoll.TaskFailed
	if !keep && image.inventory > 0 {
		if keep, err = t.keepsInventory(imageID, image, state, in); err != nil {
			return "", false, err
		}
	}
	code, detail := reasonOf(in.result)
	switch {
	case !keep:
		if err := t.storeInventory(imageID, in); err != nil {
			return "", false, err
		}
		_, err = t.exec(`UPDATE image SET state = ?, code = ?, detail = ?, scanned = ?, analyzers = ?, scan_host = ?, private = ?,
			inventory = CASE WHEN inventory = 0 THEN ? ELSE inventory END WHERE id = ?`,
			string(state), code, detail, t.now, in.result.Inventory.Analyzers, hostID, bit(in.result.Private), t.now, imageID)
	case image.inventory == 0:
		_, err = t.exec("UPDATE image SET state = ?, code = ?, detail = ?, scan_host = ? WHERE id = ?",
			string(plimsoll.ImageFailed), code, detail, hostID, imageID)
	default:
		_, err = t.exec("UPDATE image SET code = ?, detail = ? WHERE id = ?", code, detail, imageID)
	}
	if err != nil {
		return "", false, err
	}
	packages := 0
	if in.result.Inventory != nil {
		packages = len(in.result.Inventory.Packages)
	}
	_, err = t.exec(`INSERT INTO scan (image_id, host_id, report, state, code, detail, started, ended, stored, packages, analyzed, reused)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, imageID, hostID, reportKey(hostID, in.result.Report), string(state), code, detail,
		ms(in.result.Started), ms(in.result.Ended), t.now, packages, in.result.Analyzed, in.result.Reused)
	if err != nil {
		return "", false, err
	}
	return state, !keep, nil
}

// keepsInventory says whether the inventory that an image has stays although
// another was read (SYS-06): a partial one never replaces a complete one, nor a
// partial one of the same analysers that saw something it lacks; and what a
// private store holds under a digest never replaces what a trusted one does.
func (t *tx) keepsInventory(imageID int64, image imageState, state plimsoll.TaskState, in *reading) (bool, error) {
	if in.result.Private != image.private {
		return in.result.Private, nil
	}
	if state == plimsoll.TaskSucceeded {
		return false, nil
	}
	if image.state == plimsoll.ImageSucceeded {
		return true, nil
	}
	if image.analyzers != in.result.Inventory.Analyzers {
		return false, nil
	}
	type place struct{ key, root, path string }
	seen := make(map[place]bool, len(in.keys))
	for i, p := range in.result.Inventory.Packages {
		seen[place{in.keys[i], p.Root, p.Path}] = true
	}
	lacks := false
	rows, err := t.query("SELECT s.key, i.root, i.path FROM instance i JOIN software s ON s.id = i.software_id WHERE i.image_id = ?", imageID)
	err = each(rows, err, func(scan func(...any) error) error {
		var p place
		if err := scan(&p.key, &p.root, &p.path); err != nil {
			return err
		}
		lacks = lacks || !seen[p]
		return nil
	})
	return lacks, err
}

// stateOf says how the scan ended: never better than what the inventory says.
func stateOf(r *api.ScanResult) plimsoll.TaskState {
	switch {
	case r.Status == plimsoll.ScanFailed:
		return plimsoll.TaskFailed
	case r.Status == plimsoll.ScanPartial, !r.Inventory.Complete():
		return plimsoll.TaskPartial
	}
	return plimsoll.TaskSucceeded
}

// reasonOf says why the scan did not succeed; nothing when it did.
func reasonOf(r *api.ScanResult) (code, detail string) {
	if r.Problem != nil {
		return string(r.Problem.Code), r.Problem.Detail
	}
	if r.Inventory != nil {
		for _, p := range r.Inventory.Problems {
			if p.Incomplete() {
				return string(p.Code), p.Detail
			}
		}
	}
	return "", ""
}

// checkResult refuses what no agent of ours sends. The error has CodeInvalid.
func checkResult(r *api.ScanResult) error {
	const op = "read a result"
	invalid := func(format string, args ...any) error {
		return plimsoll.Errorf(plimsoll.CodeInvalid, op, format, args...)
	}
	if r.Report == "" || !fits(r.Report, maxKey) || r.Lease == "" || !fits(r.Lease, maxKey) {
		return invalid("the report or the lease has no usable ID")
	}
	if _, err := plimsoll.ParseDigest(string(r.Image)); err != nil {
		return err
	}
	if p := r.Problem; p != nil && (!fits(string(p.Code), maxKey) || !fits(p.Detail, maxPath)) {
		return invalid("the problem is longer than a problem can be, or no text")
	}
	if r.Analyzed < 0 || r.Analyzed > api.MaxImageLayers || r.Reused < 0 || r.Reused > api.MaxImageLayers {
		return invalid("%d layers analysed and %d reused, at most %d", r.Analyzed, r.Reused, api.MaxImageLayers)
	}
	switch r.Status {
	case plimsoll.ScanFailed:
		if r.Inventory != nil || r.Problem == nil {
			return invalid("a failed result has a problem and no inventory")
		}
		return nil
	case plimsoll.ScanComplete, plimsoll.ScanPartial:
	default:
		return invalid("the status is none that a scan has")
	}
	if r.Inventory == nil {
		return invalid("the inventory is missing")
	}
	if r.Inventory.ImageID != r.Image {
		return invalid("the inventory is that of another image")
	}
	return checkInventory(r.Inventory)
}

// checkInventory refuses what the tables cannot hold or no scanner makes.
func checkInventory(inv *plimsoll.Inventory) error {
	const op = "read an inventory"
	if !fits(inv.Analyzers, maxAnalyzers) || len(inv.Systems) > maxSystems || len(inv.Packages) > api.MaxPackages || len(inv.Problems) > maxIssues {
		return plimsoll.Errorf(plimsoll.CodeInvalid, op, "it has more systems, packages or problems than a result can have")
	}
	roots := make(map[string]bool, len(inv.Systems))
	for _, os := range inv.Systems {
		if roots[os.Root] {
			return plimsoll.Errorf(plimsoll.CodeInvalid, op, "two systems have the same root")
		}
		roots[os.Root] = true
		for _, text := range append([]string{os.ID, os.VersionID, os.Codename, os.Name, os.Version, os.VariantID, os.CPE}, os.IDLike...) {
			if !fits(text, maxField) {
				return plimsoll.Errorf(plimsoll.CodeInvalid, op, "a system's identity is too long or no text")
			}
		}
		if len(os.IDLike) > maxLicenses || !fits(os.Release, maxPath) || !fits(os.Root, maxPath) || !fits(os.Path, maxPath) {
			return plimsoll.Errorf(plimsoll.CodeInvalid, op, "a system's identity is too long or no text")
		}
	}
	for i := range inv.Packages {
		if !packageFits(&inv.Packages[i]) {
			return plimsoll.Errorf(plimsoll.CodeInvalid, op, "package %d has no type or name, is too long, or holds what is no text", i)
		}
	}
	for i, p := range inv.Problems {
		if p.Code == "" || !fits(string(p.Code), maxKey) || !fits(p.Path, 2*maxPath) || !fits(p.Analyzer, maxKey) || !fits(p.Detail, maxPath) || p.Count < 0 || !digestOrNone(p.Layer) {
			return plimsoll.Errorf(plimsoll.CodeInvalid, op, "problem %d has no code, is too long, or holds what is no text", i)
		}
	}
	return nil
}

func packageFits(p *plimsoll.Package) bool {
	for _, text := range []string{p.Name, p.Version, p.Source.Name, p.Source.Version, p.Module, p.Origin, p.Supplier, p.Owner, p.Bundled} {
		if !fits(text, maxField) {
			return false
		}
	}
	for _, text := range p.Licenses {
		if !fits(text, maxPath) {
			return false
		}
	}
	for _, text := range p.Locations {
		if !fits(text, maxPath) {
			return false
		}
	}
	const word = 40 // bytes of a type, an architecture, a kind of evidence
	return p.Type != "" && p.Name != "" && fits(string(p.Type), word) && fits(p.Arch, api.MaxArch) && fits(string(p.Evidence), word) &&
		fits(p.PURL, api.MaxPURL) && fits(p.Remark, maxPath) && fits(p.Path, maxPath) && fits(p.Root, maxPath) &&
		len(p.Licenses) <= maxLicenses && len(p.Locations) <= maxLocations && digestOrNone(p.Layer)
}

// fits says whether a column takes the text.
func fits(text string, most int) bool { return len(text) <= most && storable(text) }

func digestOrNone(d plimsoll.Digest) bool {
	if d == "" {
		return true
	}
	_, err := plimsoll.ParseDigest(string(d))
	return err == nil
}

// leasesLayer says whether a host has a lease in force on an image with the layer,
// and one that the fleet's facts may serve.
const leasesLayer = `EXISTS (SELECT 1 FROM work w JOIN image_layer il ON il.image_id = w.image_id JOIN layer l ON l.id = il.layer_id
	WHERE w.host_id = ? AND w.lease <> '' AND w.until >= ? AND l.diff_id = ?
	AND NOT EXISTS (SELECT 1 FROM host_image h WHERE h.host_id = w.host_id AND h.image_id = w.image_id AND h.private = 1))`

// KeepFacts keeps the facts of a layer that the host has leased work on. key is
// the agent's, diff and analyzers say what for.
func (s *Store) KeepFacts(ctx context.Context, hostID int64, key string, diff plimsoll.Digest, analyzers string, data []byte) error {
	const op = "keep the facts of a layer"
	if _, err := plimsoll.ParseDigest(string(diff)); err != nil {
		return err
	}
	if key == "" || !fits(key, maxKey) || !fits(analyzers, maxAnalyzers) {
		return plimsoll.Errorf(plimsoll.CodeInvalid, op, "the key or the analysers are no usable text")
	}
	if len(data) > api.MaxFacts {
		return plimsoll.Errorf(plimsoll.CodeLimit, op, "they have %d bytes, at most %d", len(data), api.MaxFacts)
	}
	return s.write(ctx, op, func(t *tx) error {
		var leased bool
		if err := t.row("SELECT "+leasesLayer, hostID, t.now, string(diff)).Scan(&leased); err != nil {
			return err
		}
		if !leased {
			return plimsoll.Errorf(plimsoll.CodeNotFound, op, "the host has no lease on an image with %s", diff.Short())
		}
		// The first to tell is believed: facts are a pure value of their key.
		_, err := t.exec(`INSERT INTO layer_facts (key, diff_id, analyzers, host_id, size, stored, data) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (key) DO NOTHING`, key, string(diff), analyzers, hostID, len(data), t.now, data)
		return err
	})
}

// Facts returns kept facts; CodeNotFound when there are none, or when the host
// has no lease on an image with the layer.
func (s *Store) Facts(ctx context.Context, hostID int64, key string) (data []byte, err error) {
	err = s.read(ctx, "read the facts of a layer", func(t *tx) error {
		var diff string
		err := t.row("SELECT diff_id, data FROM layer_facts WHERE key = ?", key).Scan(&diff, &data)
		if err != nil {
			return err
		}
		var leased bool
		if err := t.row("SELECT "+leasesLayer, hostID, t.now, diff).Scan(&leased); err != nil {
			return err
		}
		if !leased {
			return sql.ErrNoRows
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return data, nil
}
