package store

import (
	"bytes"
	"cmp"
	"database/sql"
	"encoding/binary"
	"errors"
	"slices"

	"plimsoll"
	"plimsoll/api"
)

// counted is the condition under which a match m counts: a package without the
// vulnerable component is listed and not counted (want 15). The plus keeps the
// planner from the indexes that list all matches: it has no statistics.
const counted = "+m.gone = 0 AND m.status = 'affected'"

// recount computes anew the counts of images, of the risks that they have part
// in, and of the software that they hold. gained and lost vulnerabilities of the
// images are found by comparing with what the risk view holds. known, unless nil,
// remembers software from one transaction to the next.
func (t *tx) recount(imageIDs []int64, known *countedCache) error {
	ids := slices.Compact(slices.Sorted(slices.Values(imageIDs)))
	software := make(map[int64]int64)
	risks := make(map[riskKey]riskDelta)
	for part := range slices.Chunk(ids, chunk) {
		if err := t.recountSome(part, known, software, risks); err != nil {
			return err
		}
	}
	if err := t.addSoftwareImages(software); err != nil {
		return err
	}
	return t.addRisks(risks)
}

// imageCounts are the counts of one image and its share of the fleet's.
type imageCounts struct {
	id, gone, inventory, system int64
	state                       plimsoll.ScanState
	repositories                int64
	packages, uncovered         int64
	ended                       bool
	bySystem, byApplication     api.Counts
	fixable, kev, malicious     int64
	handled                     int64
	share                       share
}

// share is what an image adds to the counts of software and risks: nothing when
// it is gone or was never read.
type share struct {
	software []int64    // ascending
	risks    []riskPart // ascending
}

// riskPart is the part of an image in one risk.
type riskPart struct {
	riskKey
	riskShare
}

type riskKey struct {
	vulnerability int64
	class         plimsoll.Class
}

func compareRisks(a, b riskKey) int {
	return cmp.Or(cmp.Compare(a.vulnerability, b.vulnerability), cmp.Compare(a.class, b.class))
}

// riskShare counts the findings of an image with one vulnerability.
type riskShare struct {
	open, handled, fixable int64
	worst                  plimsoll.Severity
}

func (t *tx) recountSome(ids []int64, known *countedCache, software map[int64]int64, risks map[riskKey]riskDelta) error {
	images, err := t.imageCounts(ids, known)
	if err != nil {
		return err
	}
	before, err := t.shares(ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		img := images[id]
		if img == nil {
			img = &imageCounts{} // removed: it has a share of nothing
		} else if err := img.store(t); err != nil {
			return err
		}
		var was share
		if data, ok := before[id]; ok {
			if was, ok = decodeShare(data); !ok {
				return damaged(id)
			}
		}
		compare(was, img.share, software, risks)
		data := img.share.encode()
		switch {
		case bytes.Equal(data, before[id]):
		case data != nil:
			_, err = t.exec("INSERT INTO share (image_id, data) VALUES (?, ?) ON CONFLICT (image_id) DO UPDATE SET data = excluded.data", id, data)
		default:
			_, err = t.exec("DELETE FROM share WHERE image_id = ?", id)
		}
		if err != nil {
			return err
		}
		if open := img.share.open(); !bytes.Equal(open, was.open()) {
			if err := t.storeOpen(id, open); err != nil {
				return err
			}
		}
	}
	return nil
}

// imageCounts counts what images have.
func (t *tx) imageCounts(ids []int64, known *countedCache) (map[int64]*imageCounts, error) {
	images := make(map[int64]*imageCounts, len(ids))
	list := marks(len(ids))
	rows, err := t.query(`SELECT id, gone, inventory, state, system_id,
		(SELECT count(DISTINCT repository_id) FROM presence p WHERE p.image_id = image.id AND p.gone = 0) FROM image WHERE id IN (`+list+")", args(ids)...)
	err = each(rows, err, func(scan func(...any) error) error {
		img := &imageCounts{}
		if err := scan(&img.id, &img.gone, &img.inventory, &img.state, &img.system, &img.repositories); err != nil {
			return err
		}
		images[img.id] = img
		return nil
	})
	if err != nil {
		return nil, err
	}
	contents, err := t.contents(ids)
	if err != nil {
		return nil, err
	}
	software := make(map[int64]*countedSoftware)
	for _, list := range contents {
		for _, c := range list {
			software[c.software] = nil
		}
	}
	if err := t.countedSoftware(software, known); err != nil {
		return nil, err
	}
	handled, err := t.handledFindings(images)
	if err != nil {
		return nil, err
	}
	for _, id := range sortedKeys(images) {
		img := images[id]
		for _, c := range contents[id] {
			of := software[c.software]
			if of == nil {
				return nil, damagedContents(id)
			}
			img.packages += c.n
			img.uncovered += bit(!of.covered) * c.n
			img.ended = img.ended || of.ended && of.system == img.system && of.system != 0
			if img.live() {
				img.share.software = append(img.share.software, c.software)
			}
			for m := range of.matches {
				img.add(&of.matches[m], c.n, handled[imageMatch{id, of.matches[m].id}])
			}
		}
		img.share.merge()
	}
	return images, nil
}

type imageMatch struct{ image, match int64 }

// handledFindings counts the instances on which decisions cover a match for all
// repositories of its image.
func (t *tx) handledFindings(images map[int64]*imageCounts) (map[imageMatch]int64, error) {
	handled := make(map[imageMatch]int64)
	ids := sortedKeys(images)
	rows, err := t.query("SELECT image_id, match_id, count(*) FROM effect WHERE image_id IN ("+marks(len(ids))+") GROUP BY image_id, match_id, instance_id", args(ids)...)
	return handled, each(rows, err, func(scan func(...any) error) error {
		var of imageMatch
		var covers int64
		err := scan(&of.image, &of.match, &covers)
		if n := images[of.image].repositories; err == nil && n > 0 && covers >= n {
			handled[of]++
		}
		return err
	})
}

// countedSoftware is what the counts of images need of their software, and its
// matches that count. Images share most of it: it is read once for all of them.
type countedSoftware struct {
	covered, ended bool
	system         int64
	matches        []countedMatch
}

type countedMatch struct {
	id                      int64
	key                     riskKey
	severity                plimsoll.Severity
	fixable, kev, malicious bool
}

// countedCache remembers software that a generation has judged: it stays as it is
// for as long as the generation is the active one.
type countedCache struct {
	generation int64
	software   map[int64]*countedSoftware
	matches    int
}

// maxCounted bounds the software and the matches of a cache: some 50 MiB.
const maxCounted = 500_000

func (c *countedCache) add(id int64, of *countedSoftware) {
	if c.software == nil || len(c.software)+c.matches > maxCounted {
		c.software, c.matches = make(map[int64]*countedSoftware), 0
	}
	c.software[id] = of
	c.matches += len(of.matches)
}

// countedSoftware fills in the software whose IDs are the keys.
func (t *tx) countedSoftware(software map[int64]*countedSoftware, known *countedCache) error {
	missing := make([]int64, 0, len(software))
	for id := range software {
		if known != nil && known.software[id] != nil {
			software[id] = known.software[id]
		} else {
			missing = append(missing, id)
		}
	}
	slices.Sort(missing)
	for part := range slices.Chunk(missing, chunk) {
		list := marks(len(part))
		var id int64
		judged := make(map[int64]int64, len(part))
		rows, err := t.query("SELECT id, generation, covered, ended, system_id FROM software WHERE id IN ("+list+")", args(part)...)
		err = each(rows, err, func(scan func(...any) error) error {
			of := &countedSoftware{}
			var generation int64
			err := scan(&id, &generation, &of.covered, &of.ended, &of.system)
			software[id], judged[id] = of, generation
			return err
		})
		if err != nil {
			return err
		}
		var m countedMatch
		var fix plimsoll.FixState
		rows, err = t.query("SELECT m.software_id, m.id, m.vulnerability_id, m.class, m.severity, m.fix, m.kev, m.malicious FROM match m WHERE m.software_id IN ("+
			list+") AND "+counted, args(part)...)
		err = each(rows, err, func(scan func(...any) error) error {
			err := scan(&id, &m.id, &m.key.vulnerability, &m.key.class, &m.severity, &fix, &m.kev, &m.malicious)
			m.fixable = fix == plimsoll.FixAvailable
			software[id].matches = append(software[id].matches, m)
			return err
		})
		if err != nil {
			return err
		}
		for _, id := range part {
			if known != nil && judged[id] == known.generation {
				known.add(id, software[id])
			}
		}
	}
	return nil
}

func (img *imageCounts) live() bool { return img.gone == 0 && img.inventory > 0 }

// add counts a match of n instances, on some of which it is handled.
func (img *imageCounts) add(m *countedMatch, n, handled int64) {
	open := n - handled
	img.handled += handled
	if open > 0 {
		img.fixable += bit(m.fixable) * open
		img.kev += bit(m.kev) * open
		img.malicious += bit(m.malicious) * open
		if m.key.class == plimsoll.ClassSystem {
			img.bySystem.Add(m.severity, open)
		} else {
			img.byApplication.Add(m.severity, open)
		}
	}
	if img.live() {
		img.share.risks = append(img.share.risks, riskPart{m.key, riskShare{open: open, handled: handled, fixable: bit(m.fixable) * open, worst: m.severity}})
	}
}

// merge puts the parts in one risk together.
func (s *share) merge() {
	slices.SortFunc(s.risks, func(a, b riskPart) int { return compareRisks(a.riskKey, b.riskKey) })
	merged := s.risks[:0]
	for _, r := range s.risks {
		if n := len(merged); n > 0 && merged[n-1].riskKey == r.riskKey {
			sum := &merged[n-1].riskShare
			sum.open += r.open
			sum.handled += r.handled
			sum.fixable += r.fixable
			sum.worst = max(sum.worst, r.worst)
			continue
		}
		merged = append(merged, r)
	}
	s.risks = merged
}

// store writes the counts of the image's own row.
func (img *imageCounts) store(t *tx) error {
	all := img.bySystem
	for s := plimsoll.SeverityNone; s <= plimsoll.SeverityCritical; s++ {
		all.Add(s, countOf(img.byApplication, s))
	}
	risk := img.risk(all)
	s, a := img.bySystem, img.byApplication
	_, err := t.exec(`UPDATE image SET repositories = ?, packages = ?, uncovered = ?, system_ended = ?,
		s_critical = ?, s_high = ?, s_medium = ?, s_low = ?, s_unknown = ?, s_none = ?,
		a_critical = ?, a_high = ?, a_medium = ?, a_low = ?, a_unknown = ?, a_none = ?,
		fixable = ?, kev = ?, malicious = ?, handled = ?, risk = ?, risk_order = ? WHERE id = ?`,
		img.repositories, img.packages, img.uncovered, bit(img.ended),
		s.Critical, s.High, s.Medium, s.Low, s.Unknown, s.None, a.Critical, a.High, a.Medium, a.Low, a.Unknown, a.None,
		img.fixable, img.kev, img.malicious, img.handled, riskNames[risk], orderOf(img.malicious, img.kev, risk, all), img.id)
	return err
}

// The risks of an image, in order. Those above safe are severities.
var riskNames = [...]string{"unscanned", "safe", "low", "unknown", "medium", "high", "critical"}

// risk is the worst severity of the image's open findings. What was read in part,
// is covered by nobody, or holds nothing that was recognised, is unknown at least:
// that is not the same as safe.
func (img *imageCounts) risk(all api.Counts) int {
	if img.inventory == 0 {
		return 0
	}
	risk := worst(all)
	if img.malicious > 0 {
		risk = riskOf(plimsoll.SeverityCritical)
	}
	if img.state != plimsoll.ImageSucceeded || img.uncovered > 0 || img.packages == 0 {
		risk = max(risk, riskOf(plimsoll.SeverityUnknown))
	}
	return risk
}

func riskOf(s plimsoll.Severity) int { return int(s) + 1 }

// worst is the risk that the worst of the counted findings is.
func worst(c api.Counts) int {
	for s := plimsoll.SeverityCritical; s > plimsoll.SeverityNone; s-- {
		if countOf(c, s) > 0 {
			return riskOf(s)
		}
	}
	return riskOf(plimsoll.SeverityNone)
}

func countOf(c api.Counts, s plimsoll.Severity) int64 {
	switch s {
	case plimsoll.SeverityCritical:
		return c.Critical
	case plimsoll.SeverityHigh:
		return c.High
	case plimsoll.SeverityMedium:
		return c.Medium
	case plimsoll.SeverityLow:
		return c.Low
	case plimsoll.SeverityNone:
		return c.None
	}
	return c.Unknown
}

// orderOf makes one number of what images and software are sorted by: malicious
// before exploited before the risk before the counts of the worst severities.
func orderOf(malicious, kev int64, risk int, c api.Counts) int64 {
	const most = 1<<14 - 1
	order := bit(malicious > 0)*2 + bit(kev > 0)
	order = order<<3 + int64(risk)
	for _, n := range []int64{c.Critical, c.High, c.Medium} {
		order = order<<14 + min(n, most)
	}
	return order
}

// riskDelta is how the share of images in a risk changes.
type riskDelta struct {
	findings, handled, fixable, images int64
	worst                              plimsoll.Severity // of what was gained
	look                               bool              // the worst finding may be gone: look
}

// compare adds to software and risks what turns the share was into now.
func compare(was, now share, software map[int64]int64, risks map[riskKey]riskDelta) {
	for i, j := 0, 0; i < len(was.software) || j < len(now.software); {
		switch {
		case j == len(now.software) || i < len(was.software) && was.software[i] < now.software[j]:
			software[was.software[i]]--
			i++
		case i == len(was.software) || was.software[i] > now.software[j]:
			software[now.software[j]]++
			j++
		default:
			i, j = i+1, j+1
		}
	}
	change := func(key riskKey, a, b riskShare) {
		d := risks[key]
		d.findings += b.open - a.open
		d.handled += b.handled - a.handled
		d.fixable += b.fixable - a.fixable
		d.images += bit(b.open > 0) - bit(a.open > 0)
		d.worst = max(d.worst, b.worst)
		d.look = d.look || b.worst < a.worst || b.open+b.handled == 0
		risks[key] = d
	}
	for a, b := was.risks, now.risks; len(a) > 0 || len(b) > 0; {
		order := 0
		switch {
		case len(a) == 0:
			order = 1
		case len(b) == 0:
			order = -1
		default:
			order = compareRisks(a[0].riskKey, b[0].riskKey)
		}
		switch {
		case order < 0:
			change(a[0].riskKey, a[0].riskShare, riskShare{})
			a = a[1:]
		case order > 0:
			change(b[0].riskKey, riskShare{}, b[0].riskShare)
			b = b[1:]
		default:
			if a[0] != b[0] {
				change(a[0].riskKey, a[0].riskShare, b[0].riskShare)
			}
			a, b = a[1:], b[1:]
		}
	}
}

func (t *tx) addSoftwareImages(changes map[int64]int64) error {
	byDelta := make(map[int64][]int64)
	for _, id := range sortedKeys(changes) {
		if d := changes[id]; d != 0 {
			byDelta[d] = append(byDelta[d], id)
		}
	}
	for _, delta := range sortedKeys(byDelta) {
		for part := range slices.Chunk(byDelta[delta], chunk) {
			if _, err := t.exec("UPDATE software SET images = images + ? WHERE id IN ("+marks(len(part))+")", append([]any{delta}, args(part)...)...); err != nil {
				return err
			}
		}
	}
	return nil
}

// riskRow is a row of table risk as far as it is counted.
type riskRow struct {
	id                                 int64
	severity                           plimsoll.Severity
	findings, handled, fixable, images int64
}

// addRisks changes the rows of the risk view.
func (t *tx) addRisks(changes map[riskKey]riskDelta) error {
	keys := make([]riskKey, 0, len(changes))
	for key, d := range changes {
		if d != (riskDelta{}) {
			keys = append(keys, key)
		}
	}
	slices.SortFunc(keys, compareRisks)
	stored := make(map[riskKey]riskRow, len(keys))
	for part := range slices.Chunk(keys, chunk) {
		ids := make([]any, len(part))
		for i, key := range part {
			ids[i] = key.vulnerability
		}
		rows, err := t.query("SELECT vulnerability_id, class, id, severity, findings, handled, fixable, images FROM risk WHERE vulnerability_id IN ("+marks(len(ids))+")", ids...)
		err = each(rows, err, func(scan func(...any) error) error {
			var key riskKey
			var r riskRow
			if err := scan(&key.vulnerability, &key.class, &r.id, &r.severity, &r.findings, &r.handled, &r.fixable, &r.images); err != nil {
				return err
			}
			stored[key] = r
			return nil
		})
		if err != nil {
			return err
		}
	}
	var err error
	var changed [][]any
	for _, key := range keys {
		d, was := changes[key], stored[key]
		now := was
		now.findings += d.findings
		now.handled += d.handled
		now.fixable += d.fixable
		now.images += d.images
		now.severity = max(now.severity, d.worst)
		switch {
		case now.findings+now.handled == 0:
			_, err = t.exec("DELETE FROM risk WHERE id = ?", was.id)
		case was.id == 0 || d.look || now.severity != was.severity:
			err = t.storeRisk(key, now, d.look)
		case now != was:
			changed = append(changed, []any{was.id, now.findings, now.handled, now.fixable, now.images})
		}
		if err != nil {
			return err
		}
	}
	return t.updateMany("risk", []string{"findings", "handled", "fixable", "images"}, changed)
}

// storeRisk writes a row of the risk view with what its vulnerability says. look:
// find the worst severity in the matches.
func (t *tx) storeRisk(key riskKey, r riskRow, look bool) error {
	var v struct {
		name                                 string
		score, epss                          float64
		kev, malicious, published, firstSeen int64
	}
	err := t.row("SELECT name, score, epss, kev, malicious, published, first_seen FROM vulnerability WHERE id = ?", key.vulnerability).
		Scan(&v.name, &v.score, &v.epss, &v.kev, &v.malicious, &v.published, &v.firstSeen)
	if err != nil {
		return err
	}
	if look {
		err := t.row(`SELECT coalesce(max(m.severity), 0) FROM match m JOIN software s ON s.id = m.software_id AND s.images > 0
			WHERE m.vulnerability_id = ? AND m.class = ? AND `+counted, key.vulnerability, string(key.class)).Scan(&r.severity)
		if err != nil {
			return err
		}
	}
	_, err = t.exec(`INSERT INTO risk (vulnerability_id, class, name, severity, score, epss, kev, malicious, published, priority,
			findings, handled, fixable, images, first_seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (vulnerability_id, class) DO UPDATE SET severity = excluded.severity, score = excluded.score, epss = excluded.epss, kev = excluded.kev,
			malicious = excluded.malicious, published = excluded.published, priority = excluded.priority, findings = excluded.findings,
			handled = excluded.handled, fixable = excluded.fixable, images = excluded.images`,
		key.vulnerability, string(key.class), v.name, int64(r.severity), v.score, v.epss, bit(v.kev > 0), v.malicious, v.published,
		priority(v.malicious > 0, v.kev > 0, r.severity, v.epss), r.findings, r.handled, r.fixable, r.images, v.firstSeen)
	return err
}

// refreshRisks writes what vulnerabilities say now into their rows of the risk view.
func (t *tx) refreshRisks(vulnerabilities []int64) error {
	for _, id := range vulnerabilities {
		for _, class := range []plimsoll.Class{plimsoll.ClassSystem, plimsoll.ClassApplication} {
			var r riskRow
			err := t.row("SELECT findings, handled, fixable, images FROM risk WHERE vulnerability_id = ? AND class = ?", id, string(class)).
				Scan(&r.findings, &r.handled, &r.fixable, &r.images)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			if err := t.storeRisk(riskKey{id, class}, r, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// shares returns what of images the counts hold now, encoded.
func (t *tx) shares(ids []int64) (map[int64][]byte, error) {
	found := make(map[int64][]byte, len(ids))
	rows, err := t.query("SELECT image_id, data FROM share WHERE image_id IN ("+marks(len(ids))+")", args(ids)...)
	err = each(rows, err, func(scan func(...any) error) error {
		var id int64
		var data []byte
		err := scan(&id, &data)
		found[id] = data
		return err
	})
	return found, err
}

func damaged(image int64) error {
	return plimsoll.Errorf(plimsoll.CodeCorrupt, "count findings", "the share of image %d is damaged", image)
}

// encode writes a share as numbers of variable length, IDs as differences; nil
// for a share of nothing.
func (s share) encode() []byte {
	if len(s.software) == 0 && len(s.risks) == 0 {
		return nil
	}
	b := binary.AppendUvarint(nil, uint64(len(s.software)))
	last := int64(0)
	for _, id := range s.software {
		b = binary.AppendUvarint(b, uint64(id-last))
		last = id
	}
	last = 0
	for _, r := range s.risks {
		for _, n := range []int64{r.vulnerability - last, bit(r.class == plimsoll.ClassSystem), r.open, r.handled, r.fixable, int64(r.worst)} {
			b = binary.AppendUvarint(b, uint64(n))
		}
		last = r.vulnerability
	}
	return b
}

func decodeShare(b []byte) (share, bool) {
	var s share
	ok := eachShare(b, func(software int64) { s.software = append(s.software, software) },
		func(key riskKey, r riskShare) { s.risks = append(s.risks, riskPart{key, r}) })
	return s, ok
}

// eachShare calls the functions for the software (unless nil) and the risks of an
// encoded share, each in ascending order; ok says whether it was whole.
func eachShare(b []byte, software func(int64), risk func(riskKey, riskShare)) (ok bool) {
	ok = true
	next := func() int64 {
		if len(b) > 0 && b[0] < 0x80 { // nearly all are small
			n := b[0]
			b = b[1:]
			return int64(n)
		}
		n, size := binary.Uvarint(b)
		if size <= 0 {
			ok, b = false, nil
			return 0
		}
		b = b[size:]
		return int64(n)
	}
	last := int64(0)
	for n := next(); n > 0 && ok; n-- {
		last += next()
		if software != nil {
			software(last)
		}
	}
	last = 0
	for len(b) > 0 && ok {
		var delta, class int64
		var r riskShare
		if len(b) >= 6 && b[0]|b[1]|b[2]|b[3]|b[4]|b[5] < 0x80 { // as next reads them, at once
			delta, class = int64(b[0]), int64(b[1])
			r = riskShare{open: int64(b[2]), handled: int64(b[3]), fixable: int64(b[4]), worst: plimsoll.Severity(b[5])}
			b = b[6:]
		} else {
			delta, class = next(), next()
			r = riskShare{open: next(), handled: next(), fixable: next(), worst: plimsoll.Severity(next())}
		}
		last += delta
		key := riskKey{last, plimsoll.ClassApplication}
		if class == 1 {
			key.class = plimsoll.ClassSystem
		}
		risk(key, r)
	}
	return ok
}
