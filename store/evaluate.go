package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"plimsoll"
	"plimsoll/api"
)

// Activate makes a generation the one that findings are judged by, and returns
// its number. All software then waits to be judged; Evaluate does it. Activating
// the active one again changes nothing.
func (s *Store) Activate(ctx context.Context, g plimsoll.Generation) (id int64, err error) {
	if _, err := plimsoll.ParseDigest(string(g.ID)); err != nil {
		return 0, err
	}
	err = s.writeFindings(ctx, "activate a generation", func(t *tx) error {
		var digest string
		err := t.row("SELECT id, digest FROM generation ORDER BY id DESC LIMIT 1").Scan(&id, &digest)
		if err != nil && !errors.Is(err, sql.ErrNoRows) || err == nil && digest == string(g.ID) {
			return err
		}
		sources := make([]api.DataSource, len(g.Sources))
		for i, source := range g.Sources {
			sources[i] = api.DataSource{Name: source.Name, Newest: source.Newest, Fetched: source.Fetched, Records: int64(source.Records)}
		}
		id, err = t.id("INSERT INTO generation (digest, built, sample, advisories, sources, activated) VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
			string(g.ID), ms(g.Built), bit(g.Sample), g.Advisories, encodeList(sources), t.now)
		return err
	})
	if err == nil {
		s.Ring(ctx, TopicGeneration)
	}
	return id, err
}

// Sizes of the transactions of an evaluation.
const (
	evaluateSoftware = 3000
	evaluateImages   = 1000
)

// Evaluate judges all software that was not judged by the judge's generation,
// which must be the active one, and renews the counts that follow. It may be
// stopped at any point and called again; progress is told at most once a second.
func (s *Store) Evaluate(ctx context.Context, judge plimsoll.Judge, progress func(done, total int64)) error {
	total, err := s.PendingSoftware(ctx)
	if err != nil {
		return err
	}
	e := evaluation{s: s, judge: judge}
	var told time.Time
	done := int64(0)
	tell := func(n int) {
		done += int64(n)
		if now := time.Now(); progress != nil && now.Sub(told) >= time.Second {
			told = now
			progress(done, max(total, done))
		}
	}
	// Again for what came or was left by another console meanwhile.
	for before := int64(-1); before != done; {
		before = done
		if err := e.pass(ctx, tell); err != nil {
			return err
		}
	}
	for more := true; more; {
		if err := e.spread(ctx); err != nil {
			return err
		}
		if more, err = e.renew(ctx); err != nil {
			return err
		}
	}
	if progress != nil {
		progress(total, total)
	}
	s.Ring(ctx, TopicGeneration)
	return nil
}

// evaluation is one run of Evaluate.
type evaluation struct {
	s       *Store
	judge   plimsoll.Judge
	counted countedCache
}

// active returns the number of the judge's generation, which must be active.
func (e *evaluation) active(t *tx) (int64, error) {
	active, err := t.activeGeneration()
	if err != nil {
		return 0, err
	}
	id, err := t.generationOf(e.judge.Generation().ID)
	if err == nil && (id == 0 || id != active) {
		err = plimsoll.Errorf(plimsoll.CodeInvalid, "judge software", "the advisories are not the active ones")
	}
	return id, err
}

// pending is software that waits to be judged.
type pending struct {
	id, system int64
	before     int64 // the generation that judged it last
	was        summary
	pkg        plimsoll.Package
	matches    map[string]int64 // its live matches by vulnerability
}

// pass judges all software that waits. While verdicts are written the next batch is
// read and judged; what was judged is written even if the next batch fails.
func (e *evaluation) pass(ctx context.Context, tell func(n int)) error {
	group, ctx := errgroup.WithContext(ctx)
	batches := make(chan *judgedBatch)
	group.Go(func() error {
		defer close(batches)
		for last := (*pending)(nil); ; {
			var b *judgedBatch
			var err error
			if b, last, err = e.step(ctx, last); err != nil || b == nil {
				return err
			}
			select {
			case batches <- b:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	group.Go(func() error {
		for b := range batches {
			if err := e.write(context.WithoutCancel(ctx), b); err != nil {
				return err
			}
			tell(len(b.list))
		}
		return nil
	})
	return group.Wait()
}

// judgedBatch is software that one generation judged before, with new verdicts.
type judgedBatch struct {
	list   []judgement
	before int64
}

// step judges the batch behind the last software of the one before it; nil when
// none waits there.
func (e *evaluation) step(ctx context.Context, last *pending) (*judgedBatch, *pending, error) {
	var batch []pending
	var before int64
	systems := map[int64]plimsoll.OS{0: {}}
	if err := e.s.read(ctx, "read software", func(t *tx) (err error) {
		batch, before, err = e.next(t, last, systems)
		return err
	}); err != nil || len(batch) == 0 {
		return nil, nil, err
	}
	list := make([]judgement, 0, len(batch))
	for part := range chunkBy(batch, func(p pending) int64 { return p.system }) {
		packages := make([]plimsoll.Package, len(part))
		for i := range part {
			packages[i] = part[i].pkg
		}
		os := systems[part[0].system]
		verdicts, err := judgeAll(ctx, e.judge, os, packages)
		if err != nil {
			return nil, nil, err
		}
		for i := range part {
			j := judgement{software: part[i].id, was: &part[i].was, before: before, verdict: verdicts[i]}
			if j.gone, err = e.whyGone(ctx, os, &part[i], verdicts[i].Findings); err != nil {
				return nil, nil, err
			}
			list = append(list, j)
		}
	}
	return &judgedBatch{list, before}, &batch[len(batch)-1], nil
}

// write stores the verdicts of a batch.
func (e *evaluation) write(ctx context.Context, b *judgedBatch) error {
	return e.s.writeFindings(ctx, "store verdicts", func(t *tx) error {
		generation, err := e.active(t)
		if err != nil {
			return err
		}
		// Another console may have judged some meanwhile.
		waiting, err := t.stillBy(b.list, b.before)
		if err != nil {
			return err
		}
		todo := slices.DeleteFunc(slices.Clone(b.list), func(j judgement) bool { return !waiting[j.software] })
		if err := t.storeVerdicts(generation, todo); err != nil {
			return err
		}
		_, err = t.exec("UPDATE generation SET software = software + ? WHERE id = ?", len(todo), generation)
		return err
	})
}

// next reads a batch of software that one other generation judged last, behind the
// last one of a batch before, in an order that lets the judge read its records in order.
func (e *evaluation) next(t *tx, last *pending, systems map[int64]plimsoll.OS) (batch []pending, before int64, err error) {
	active, err := e.active(t)
	if err != nil {
		return nil, 0, err
	}
	var w where
	if last != nil {
		before = last.before
		w.and("generation = ?", before)
		w.and("(system_id, type, name, id) > (?, ?, ?, ?)", last.system, string(last.pkg.Type), last.pkg.Name, last.id)
	} else {
		var older, newer sql.NullInt64
		if err := t.row("SELECT (SELECT min(generation) FROM software WHERE generation < ?), (SELECT min(generation) FROM software WHERE generation > ?)",
			active, active).Scan(&older, &newer); err != nil {
			return nil, 0, err
		}
		switch {
		case older.Valid:
			before = older.Int64
		case newer.Valid:
			before = newer.Int64
		default:
			return nil, 0, nil
		}
		w.and("generation = ?", before)
	}
	rows, err := t.query(`SELECT id, system_id, type, name, version, arch, source_name, source_version, module, origin, owned,
		covered, ended, verdict_group, ecosystem, problem, m_critical, m_high, m_medium, m_low, m_unknown, m_none, risk_order FROM software`+w.String()+" ORDER BY system_id, type, name, id LIMIT ?", append(w.args, evaluateSoftware)...)
	at := make(map[int64]int)
	var ids []int64
	err = each(rows, err, func(scan func(...any) error) error {
		p := pending{before: before}
		var owned bool
		was, counts := &p.was, &p.was.counts
		if err := scan(&p.id, &p.system, &p.pkg.Type, &p.pkg.Name, &p.pkg.Version, &p.pkg.Arch, &p.pkg.Source.Name, &p.pkg.Source.Version,
			&p.pkg.Module, &p.pkg.Origin, &owned, &was.covered, &was.ended, &was.group, &was.ecosystem, &was.problem,
			&counts.Critical, &counts.High, &counts.Medium, &counts.Low, &counts.Unknown, &counts.None, &was.order); err != nil {
			return err
		}
		p.pkg = subject(&p.pkg, owned)
		at[p.id] = len(batch)
		ids = append(ids, p.id)
		batch = append(batch, p)
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	for part := range slices.Chunk(ids, chunk) {
		rows, err := t.query(`SELECT m.software_id, m.id, v.name FROM match m JOIN vulnerability v ON v.id = m.vulnerability_id
			WHERE +m.gone = 0 AND m.software_id IN (`+marks(len(part))+")", args(part)...)
		err = each(rows, err, func(scan func(...any) error) error {
			var software, match int64
			var name string
			if err := scan(&software, &match, &name); err != nil {
				return err
			}
			p := &batch[at[software]]
			if p.matches == nil {
				p.matches = make(map[string]int64)
			}
			p.matches[name] = match
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	for i := range batch {
		id := batch[i].system
		if _, known := systems[id]; known {
			continue
		}
		var text string
		var os plimsoll.OS
		if err := t.row("SELECT os FROM system WHERE id = ?", id).Scan(&text); err != nil {
			return nil, 0, err
		}
		if err := json.Unmarshal([]byte(text), &os); err != nil {
			return nil, 0, err
		}
		systems[id] = os
	}
	return batch, before, nil
}

// whyGone asks why the matches that a verdict does not have any more are gone.
func (e *evaluation) whyGone(ctx context.Context, os plimsoll.OS, p *pending, now []plimsoll.Finding) (map[int64]string, error) {
	if len(p.matches) == 0 {
		return nil, nil
	}
	still := make(map[string]bool, len(now))
	for i := range now {
		if now[i].Status != plimsoll.StatusOwned {
			still[plain(now[i].Vulnerability.ID)] = true
		}
	}
	var why map[int64]string
	for _, name := range sortedKeys(p.matches) {
		if still[name] {
			continue
		}
		var reasons string
		err := e.s.reader.QueryRowContext(ctx, e.s.dialect.rebind("SELECT reasons FROM match WHERE id = ?"), p.matches[name]).Scan(&reasons)
		if err != nil {
			return nil, storeError("read a match", err)
		}
		if why == nil {
			why = make(map[int64]string)
		}
		why[p.matches[name]] = e.judge.Why(ctx, os, p.pkg, reasonsOf(reasons))
	}
	return why, nil
}

// stillBy says which of the software is still judged by the generation before.
func (t *tx) stillBy(list []judgement, before int64) (map[int64]bool, error) {
	found := make(map[int64]bool, len(list))
	for part := range slices.Chunk(list, chunk) {
		values := []any{before}
		for _, j := range part {
			values = append(values, j.software)
		}
		ids, err := t.ids("SELECT id FROM software WHERE +generation = ? AND id IN ("+marks(len(part))+")", values...)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			found[id] = true
		}
	}
	return found, nil
}

// chunkBy cuts a list into runs with the same key.
func chunkBy[T any, K comparable](list []T, key func(T) K) func(yield func([]T) bool) {
	return func(yield func([]T) bool) {
		for len(list) > 0 {
			n := 1
			for n < len(list) && key(list[n]) == key(list[0]) {
				n++
			}
			if !yield(list[:n]) {
				return
			}
			list = list[n:]
		}
	}
}

// shift is software of which a generation's matches came and went.
type shift struct{ software, generation, came, went int64 }

// reach is how many live images and instances have some software.
type reach struct{ images, instances int64 }

// spread finds out which images have the software whose matches changed: they must
// be counted anew. It looks through the contents of all images, once: that is a
// hundredth of the work of finding them by each software.
func (e *evaluation) spread(ctx context.Context) error {
	var shifts []shift
	reached := make(map[int64]*reach)
	err := e.s.read(ctx, "read what changed", func(t *tx) error {
		rows, err := t.query("SELECT software_id, generation_id, new_matches, gone_matches FROM dirty_software ORDER BY software_id, generation_id")
		return each(rows, err, func(scan func(...any) error) error {
			var s shift
			err := scan(&s.software, &s.generation, &s.came, &s.went)
			shifts, reached[s.software] = append(shifts, s), &reach{}
			return err
		})
	})
	if err != nil || len(shifts) == 0 {
		return err
	}
	for last, more := int64(0), true; more; {
		var touched [][]any
		more = false
		err := e.s.read(ctx, "read contents", func(t *tx) error {
			rows, err := t.query(`SELECT c.image_id, c.data, g.gone FROM contents c JOIN image g ON g.id = c.image_id
				WHERE c.image_id > ? ORDER BY c.image_id LIMIT ?`, last, evaluateSoftware)
			var gone int64
			var data sql.RawBytes
			return each(rows, err, func(scan func(...any) error) error {
				if err := scan(&last, &data, &gone); err != nil {
					return err
				}
				more = true
				has := false
				if !eachPortion(data, func(p portion) {
					r := reached[p.software]
					has = has || r != nil
					if r != nil && gone == 0 {
						r.images++
						r.instances += p.n
					}
				}) {
					return damagedContents(last)
				}
				if has {
					touched = append(touched, []any{last})
				}
				return nil
			})
		})
		if err != nil {
			return err
		}
		if err := e.s.writeFindings(ctx, "note images", func(t *tx) error {
			return t.insertMany("dirty_image (image_id)", 1, touched, "ON CONFLICT DO NOTHING")
		}); err != nil {
			return err
		}
	}
	for part := range slices.Chunk(shifts, evaluateSoftware) {
		if err := e.s.writeFindings(ctx, "note what changes reach", func(t *tx) error {
			for _, s := range part {
				if err := t.noteReach(s, *reached[s.software]); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// noteReach writes what the changes of some software reach, once; its images are known.
func (t *tx) noteReach(s shift, r reach) error {
	done, err := t.exec("DELETE FROM dirty_software WHERE software_id = ? AND generation_id = ?", s.software, s.generation)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 0 {
		return err // another console was faster
	}
	if _, err := t.exec("UPDATE change SET images = ?, findings = ? WHERE software_id = ? AND generation_id = ?", r.images, r.instances, s.software, s.generation); err != nil {
		return err
	}
	_, err = t.exec(`UPDATE generation SET new_matches = new_matches + ?, gone_matches = gone_matches + ?, new_findings = new_findings + ?,
		gone_findings = gone_findings + ? WHERE id = ?`, s.came, s.went, s.came*r.instances, s.went*r.instances, s.generation)
	return err
}

// renew counts some of the images and risks anew that the new verdicts touched,
// and marks the generation as evaluated once nothing is left to do.
func (e *evaluation) renew(ctx context.Context) (more bool, err error) {
	err = e.s.writeFindings(ctx, "count findings", func(t *tx) error {
		generation, err := e.active(t)
		if err != nil {
			return err
		}
		if e.counted.generation != generation {
			e.counted = countedCache{generation: generation}
		}
		images, err := t.ids("SELECT image_id FROM dirty_image ORDER BY image_id LIMIT ?", evaluateImages)
		if err != nil {
			return err
		}
		if more = len(images) > 0; more {
			if err := t.renewFindings(images, &e.counted); err != nil {
				return err
			}
			_, err := t.exec("DELETE FROM dirty_image WHERE image_id IN ("+marks(len(images))+")", args(images)...)
			return err
		}
		risks, err := t.ids("SELECT vulnerability_id FROM dirty_risk ORDER BY vulnerability_id LIMIT ?", evaluateSoftware)
		if err != nil {
			return err
		}
		if more = len(risks) > 0; more {
			if err := t.refreshRisks(risks); err != nil {
				return err
			}
			for part := range slices.Chunk(risks, chunk) {
				if _, err := t.exec("DELETE FROM dirty_risk WHERE vulnerability_id IN ("+marks(len(part))+")", args(part)...); err != nil {
					return err
				}
			}
			return nil
		}
		if err := t.row("SELECT EXISTS (SELECT 1 FROM dirty_software)").Scan(&more); err != nil || more {
			return err
		}
		_, err = t.exec("UPDATE generation SET evaluated = ? WHERE id = ? AND evaluated = 0 AND NOT EXISTS (SELECT 1 FROM software WHERE generation <> ?)",
			t.now, generation, generation)
		return err
	})
	return more, err
}

const generationColumns = `id, digest, built, sample, advisories, sources, activated, evaluated, software, new_matches, gone_matches, new_findings, gone_findings`

func scanGeneration(scan func(...any) error) (g api.Generation, err error) {
	var built, activated, evaluated int64
	var sources string
	err = scan(&g.ID, &g.Digest, &built, &g.Sample, &g.Advisories, &sources, &activated, &evaluated, &g.Software, &g.NewMatches, &g.GoneMatches, &g.NewFindings, &g.GoneFindings)
	g.Built, g.Activated, g.Evaluated = moment(built), moment(activated), momentOrNil(evaluated)
	g.Sources = decodeList[api.DataSource](sources)
	return g, err
}

// CurrentGeneration returns the active generation; CodeNotFound when there is none.
func (s *Store) CurrentGeneration(ctx context.Context) (g api.Generation, err error) {
	err = s.read(ctx, "read the active generation", func(t *tx) error {
		g, err = scanGeneration(t.row("SELECT " + generationColumns + " FROM generation ORDER BY id DESC LIMIT 1").Scan)
		return err
	})
	return g, err
}

// PendingSoftware counts software that waits to be judged.
func (s *Store) PendingSoftware(ctx context.Context) (n int64, err error) {
	err = s.read(ctx, "count software", func(t *tx) error {
		active, err := t.activeGeneration()
		if err != nil {
			return err
		}
		return t.row("SELECT count(*) FROM software WHERE generation < ? OR generation > ?", active, active).Scan(&n)
	})
	return n, err
}

// Generations lists what was active, newest first.
func (s *Store) Generations(ctx context.Context, l api.List) (page api.Page[api.Generation], err error) {
	err = s.read(ctx, "list generations", func(t *tx) error {
		k, err := newKeyset(l, "generations", "id", []sortKey{{name: "id", column: "id", desc: true}})
		if err != nil {
			return err
		}
		if page, err = fetch(t, k, generationColumns, "generation", where{}, scanGeneration); err != nil {
			return err
		}
		page.Total, err = t.count("generation", where{})
		return err
	})
	return page, err
}

var changeKeys = []sortKey{{name: "id", column: "c.id", desc: true}}

// Changes lists what a generation changed, within the scope.
func (s *Store) Changes(ctx context.Context, scope plimsoll.Scope, generation int64, kind string, l api.List) (page api.Page[api.Change], err error) {
	err = s.read(ctx, "list changes", func(t *tx) error {
		k, err := newKeyset(l, "changes", "c.id", changeKeys)
		if err != nil {
			return err
		}
		var w where
		w.and("c.generation_id = ?", generation)
		if kind != "" {
			w.and("c.kind = ?", kind)
		}
		page, err = t.changes(scope, k, w)
		return err
	})
	return page, err
}

// ImageChanges lists what generations changed about the packages of an image since
// it was first read, newest first.
func (s *Store) ImageChanges(ctx context.Context, scope plimsoll.Scope, image int64, l api.List) (page api.Page[api.Change], err error) {
	err = s.read(ctx, "list changes about an image", func(t *tx) error {
		k, err := newKeyset(l, "changes of an image", "c.id", changeKeys)
		if err != nil {
			return err
		}
		if _, err := t.lookImage(scope, image); err != nil {
			return err
		}
		var w where
		w.and("c.software_id IN (SELECT n.software_id FROM instance n WHERE n.image_id = ?)", image)
		w.and("c.at >= (SELECT inventory FROM image WHERE id = ?)", image)
		page, err = t.changesOf(scope, k, w)
		return err
	})
	return page, err
}

// changes is changesOf software in sight.
func (t *tx) changes(scope plimsoll.Scope, k *keyset, w where) (api.Page[api.Change], error) {
	if !scope.All {
		var held where
		held.seesLive(scope, "i.image_id")
		w.and("EXISTS (SELECT 1 FROM instance i"+held.and1("i.software_id = c.software_id")+")", held.args...)
	}
	return t.changesOf(scope, k, w)
}

// changesOf reads a page of changes, with the number of images in sight.
func (t *tx) changesOf(scope plimsoll.Scope, k *keyset, w where) (api.Page[api.Change], error) {
	var software []int64
	page, err := fetch(t, k, "c.generation_id, c.at, c.kind, v.name, c.severity, s.type, s.name, s.version, c.reason, c.images, c.software_id",
		"change c JOIN vulnerability v ON v.id = c.vulnerability_id JOIN software s ON s.id = c.software_id", w,
		func(scan func(...any) error) (c api.Change, err error) {
			var at, id int64
			var severity plimsoll.Severity
			err = scan(&c.Generation, &at, &c.Kind, &c.Vulnerability, &severity, &c.Type, &c.Package, &c.Version, &c.Reason, &c.Images, &id)
			c.At, c.Severity = moment(at), severity.String()
			software = append(software, id)
			return c, err
		})
	if err != nil || scope.All {
		return page, err
	}
	for i := range page.Items { // what was reached elsewhere is not in sight: those that have it now
		var held where
		held.and("i.software_id = ?", software[i])
		held.seesLive(scope, "i.image_id")
		if err := t.row("SELECT count(DISTINCT i.image_id) FROM instance i"+held.String(), held.args...).Scan(&page.Items[i].Images); err != nil {
			return page, err
		}
	}
	return page, nil
}

// and1 is String with one more condition, which has no parameters.
func (w where) and1(condition string) string {
	w.conditions = append(slices.Clone(w.conditions), condition)
	return w.String()
}

// generationPart is the size of the parts of a generation's file, in bytes.
const generationPart = 1 << 20

// PutGeneration keeps the file of a generation for the other consoles, at most
// the two newest; GetGeneration writes it to w, CodeNotFound when it is not kept.
func (s *Store) PutGeneration(ctx context.Context, digest plimsoll.Digest, r io.Reader) error {
	const op = "keep a generation"
	if _, err := plimsoll.ParseDigest(string(digest)); err != nil {
		return err
	}
	// Part by part, so that nobody waits long; a last part, the number of all,
	// says that the file is whole.
	put := func(number int64, data []byte) error {
		return s.write(ctx, op, func(t *tx) error {
			_, err := t.exec("INSERT INTO generation_part (digest, number, data) VALUES (?, ?, ?) ON CONFLICT (digest, number) DO UPDATE SET data = excluded.data",
				string(digest), number, data)
			return err
		})
	}
	buffer := make([]byte, generationPart)
	for number := int64(0); ; number++ {
		n, err := io.ReadFull(r, buffer)
		if n > 0 {
			if err := put(number, buffer[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
			continue
		case !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF):
			return &plimsoll.Error{Code: plimsoll.CodeUnreadable, Op: op, Err: err}
		}
		if n > 0 {
			number++
		}
		if err := put(wholeFile, binary.AppendUvarint(nil, uint64(number))); err != nil {
			return err
		}
		break
	}
	return s.write(ctx, op, func(t *tx) error {
		_, err := t.exec(`DELETE FROM generation_part WHERE digest <> ? AND digest <> coalesce(
			(SELECT digest FROM generation WHERE digest <> ? AND digest IN (SELECT digest FROM generation_part) ORDER BY id DESC LIMIT 1), '')`, string(digest), string(digest))
		return err
	})
}

// wholeFile is the number of the part that says how many there are.
const wholeFile = -1

// GetGeneration: see PutGeneration.
func (s *Store) GetGeneration(ctx context.Context, digest plimsoll.Digest, w io.Writer) error {
	return s.read(ctx, "read a generation", func(t *tx) error {
		var data []byte
		err := t.row("SELECT data FROM generation_part WHERE digest = ? AND number = ?", string(digest), wholeFile).Scan(&data)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound("generation", digest.Short())
		}
		if err != nil {
			return err
		}
		parts, _ := binary.Uvarint(data)
		for number := range int64(parts) {
			if err := t.row("SELECT data FROM generation_part WHERE digest = ? AND number = ?", string(digest), number).Scan(&data); err != nil {
				return err
			}
			if _, err := w.Write(data); err != nil {
				return &plimsoll.Error{Code: plimsoll.CodeUnreadable, Op: "write a generation", Err: err}
			}
		}
		return nil
	})
}
