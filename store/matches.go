package store

import (
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// judgement is what a generation says about one software.
type judgement struct {
	software int64
	was      *summary // nil for new software: no image has it, no match is there
	before   int64    // the generation that judged it last, 0 for none
	verdict  plimsoll.Verdict
	gone     map[int64]string // why matches that are gone are, by their ID
}

// matchRow is what a match says, without where it belongs.
type matchRow struct {
	Class          plimsoll.Class
	Status         plimsoll.Status
	Severity       plimsoll.Severity
	SeveritySource string
	Score          float64
	KEV, Malicious bool
	Fix            plimsoll.FixState
	FixedVersion   string
	FixedVersions  string
	Reasons        string
}

// storedMatch is a match that is there already.
type storedMatch struct {
	id, vulnerability  int64
	status, fix, fixed string
	severity           plimsoll.Severity
	kev, malicious     bool
	hash               string
	priority, gone     int64
}

// priority orders findings and risks by what to act on first: packages that are
// the attack themselves, then flaws known to be exploited, then by severity, then
// by how likely they are exploited.
func priority(malicious, kev bool, s plimsoll.Severity, epss float64) int64 {
	const steps = 10_000 // of EPSS
	return ((bit(malicious)*2+bit(kev))*8+int64(s))*(steps+1) + int64(max(0, min(1, epss))*steps)
}

// generationOf returns the number of the generation with a digest, 0 when it was
// never active here.
func (t *tx) generationOf(digest plimsoll.Digest) (id int64, err error) {
	if digest == "" {
		return 0, nil
	}
	err = t.row("SELECT id FROM generation WHERE digest = ? ORDER BY id DESC LIMIT 1", string(digest)).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, err
}

// activeGeneration returns the number of the active generation, 0 for none.
func (t *tx) activeGeneration() (id int64, err error) {
	err = t.row("SELECT coalesce(max(id), 0) FROM generation").Scan(&id)
	return id, err
}

// storeVerdicts makes the matches of software what a generation says. For
// software that was there before it notes what changed, and that the images that
// have it must be counted anew.
func (t *tx) storeVerdicts(generation int64, list []judgement) error {
	flaws := make(map[string]*plimsoll.Finding)
	for i := range list {
		for j := range list[i].verdict.Findings {
			f := &list[i].verdict.Findings[j]
			if _, ok := flaws[f.Vulnerability.ID]; !ok {
				flaws[f.Vulnerability.ID] = f
			}
		}
	}
	vulnerabilities, err := t.storeVulnerabilities(generation, flaws)
	if err != nil {
		return err
	}
	var known []int64
	for i := range list {
		if list[i].was != nil {
			known = append(known, list[i].software)
		}
	}
	old, err := t.matchesOf(known)
	if err != nil {
		return err
	}
	w := verdictWriter{tx: t, generation: generation, vulnerabilities: vulnerabilities}
	for i := range list {
		if err := w.write(&list[i], old[list[i].software]); err != nil {
			return err
		}
	}
	return w.finish()
}

// verdictWriter collects what storeVerdicts writes with one statement.
type verdictWriter struct {
	*tx
	generation      int64
	vulnerabilities map[string]int64
	added           [][]any
	changes         []change
	dirty           [][]any // software whose images need new counts
	summaries       [][]any // of software of which something changed
	same            []int64 // software of which nothing changed
}

// summary is what the row of software says about its verdict.
type summary struct {
	covered, ended            bool
	group, ecosystem, problem string
	counts                    api.Counts
	order                     int64
}

// change is a row of the table; spread adds what it reaches.
type change struct {
	kind                    string
	software, vulnerability int64
	severity                plimsoll.Severity
	reason                  string
	noted                   bool // whether it was judged before, so that it is news
}

func (w *verdictWriter) write(j *judgement, old map[int64]storedMatch) error {
	var counts api.Counts
	seen := make(map[int64]bool, len(j.verdict.Findings))
	touched := false
	came, went := 0, 0 // matches
	note := func(kind string, vulnerability int64, s plimsoll.Severity, reason string) {
		touched = true
		switch kind {
		case "new":
			came++
		case "gone":
			went++
		}
		w.changes = append(w.changes, change{kind, j.software, vulnerability, s, shorten(reason), j.before > 0})
	}
	for i := range j.verdict.Findings {
		f := &j.verdict.Findings[i]
		id := w.vulnerabilities[f.Vulnerability.ID]
		if f.Status == plimsoll.StatusOwned || seen[id] {
			continue
		}
		seen[id] = true
		row := matchOf(f)
		if f.Status == plimsoll.StatusAffected {
			counts.Add(row.Severity, 1)
		}
		hash, order := hashOf(row), priority(row.Malicious, row.KEV, row.Severity, epssOf(&f.Vulnerability))
		was, stored := old[id]
		if !stored {
			w.added = append(w.added, []any{j.software, id, string(row.Class), string(row.Status), int64(row.Severity), row.SeveritySource, row.Score,
				bit(row.KEV), bit(row.Malicious), string(row.Fix), row.FixedVersion, row.FixedVersions, row.Reasons, hash, order, w.now})
			if j.was != nil {
				note("new", id, row.Severity, newReason(f))
			}
			continue
		}
		switch difference := row.differs(was); {
		case was.gone > 0:
			note("new", id, row.Severity, newReason(f))
		case difference != "":
			note("changed", id, row.Severity, difference)
		case was.hash == hash && was.priority == order:
			continue
		}
		if _, err := w.exec(`UPDATE match SET class = ?, status = ?, severity = ?, severity_source = ?, score = ?, kev = ?, malicious = ?, fix = ?,
			fixed_version = ?, fixed_versions = ?, reasons = ?, hash = ?, priority = ?, gone = 0, gone_reason = '' WHERE id = ?`,
			string(row.Class), string(row.Status), int64(row.Severity), row.SeveritySource, row.Score,
			bit(row.KEV), bit(row.Malicious), string(row.Fix), row.FixedVersion, row.FixedVersions, row.Reasons, hash, order, was.id); err != nil {
			return err
		}
	}
	for _, id := range sortedKeys(old) {
		if was := old[id]; was.gone == 0 && !seen[id] {
			reason := shorten(j.gone[was.id])
			note("gone", id, was.severity, reason)
			if _, err := w.exec("UPDATE match SET gone = ?, gone_reason = ? WHERE id = ?", w.now, reason, was.id); err != nil {
				return err
			}
		}
	}
	now := summary{covered: j.verdict.Ecosystem != "", ended: j.verdict.Ended, group: plain(j.verdict.Group), ecosystem: plain(j.verdict.Ecosystem),
		counts: counts, order: orderOf(0, 0, worst(counts), counts)}
	if len(j.verdict.Problems) > 0 {
		list := make([]api.Problem, len(j.verdict.Problems))
		for i, p := range j.verdict.Problems {
			list[i] = api.Problem(p)
		}
		now.problem = encode(list)
	}
	if j.was != nil {
		// Its images count what is covered, too.
		if touched || j.before == 0 || j.was.covered != now.covered || j.was.ended != now.ended {
			w.dirty = append(w.dirty, []any{j.software, w.generation, came, went})
		}
		if *j.was == now {
			w.same = append(w.same, j.software)
			return nil
		}
	}
	w.summaries = append(w.summaries, []any{j.software, w.generation, bit(now.covered), bit(now.ended), now.group, now.ecosystem, now.problem,
		counts.Critical, counts.High, counts.Medium, counts.Low, counts.Unknown, counts.None, now.order})
	return nil
}

func (w *verdictWriter) finish() error {
	if err := w.insertMany(`match (software_id, vulnerability_id, class, status, severity, severity_source, score, kev, malicious, fix,
		fixed_version, fixed_versions, reasons, hash, priority, first_seen)`, 16, w.added, ""); err != nil {
		return err
	}
	if err := w.updateMany("software", []string{"generation", "covered", "ended", "verdict_group", "ecosystem", "problem",
		"m_critical", "m_high", "m_medium", "m_low", "m_unknown", "m_none", "risk_order"}, w.summaries); err != nil {
		return err
	}
	for part := range slices.Chunk(w.same, chunk) {
		if _, err := w.exec("UPDATE software SET generation = ? WHERE id IN ("+marks(len(part))+")", append([]any{w.generation}, args(part)...)...); err != nil {
			return err
		}
	}
	if err := w.insertMany("dirty_software (software_id, generation_id, new_matches, gone_matches)", 4, w.dirty, `ON CONFLICT (software_id, generation_id) DO UPDATE
		SET new_matches = dirty_software.new_matches + excluded.new_matches, gone_matches = dirty_software.gone_matches + excluded.gone_matches`); err != nil {
		return err
	}
	var rows [][]any
	for _, c := range w.changes {
		if c.noted {
			rows = append(rows, []any{w.generation, w.now, c.kind, c.software, c.vulnerability, int64(c.severity), c.reason, 0, 0})
		}
	}
	return w.insertMany("change (generation_id, at, kind, software_id, vulnerability_id, severity, reason, images, findings)", 9, rows, "")
}

// matchesOf returns all matches of software, by software and vulnerability.
func (t *tx) matchesOf(software []int64) (map[int64]map[int64]storedMatch, error) {
	found := make(map[int64]map[int64]storedMatch)
	for part := range slices.Chunk(software, chunk) {
		rows, err := t.query(`SELECT software_id, id, vulnerability_id, status, fix, fixed_version, severity, kev, malicious, hash, priority, gone
			FROM match WHERE software_id IN (`+marks(len(part))+")", args(part)...)
		err = each(rows, err, func(scan func(...any) error) error {
			var software int64
			var m storedMatch
			if err := scan(&software, &m.id, &m.vulnerability, &m.status, &m.fix, &m.fixed, &m.severity, &m.kev, &m.malicious, &m.hash, &m.priority, &m.gone); err != nil {
				return err
			}
			if found[software] == nil {
				found[software] = make(map[int64]storedMatch)
			}
			found[software][m.vulnerability] = m
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

func matchOf(f *plimsoll.Finding) matchRow {
	reasons := make([]api.Reason, len(f.Reasons))
	for i, r := range f.Reasons {
		reasons[i] = api.Reason{Advisory: r.Advisory, Provider: r.Provider, Ecosystem: r.Ecosystem, Package: r.Package, Version: r.Version,
			Scheme: r.Scheme, Range: r.Range, Note: r.Note}
		if !r.Modified.IsZero() {
			modified := r.Modified.UTC()
			reasons[i].Modified = &modified
		}
	}
	return matchRow{Class: f.Class, Status: f.Status, Severity: f.Vulnerability.Severity, SeveritySource: plain(f.Vulnerability.SeveritySource),
		Score: scoreOf(&f.Vulnerability), KEV: f.Vulnerability.KEV != nil, Malicious: f.Vulnerability.Malicious,
		Fix: f.State, FixedVersion: plain(f.FixedVersion), FixedVersions: encodeList(f.FixedVersions), Reasons: encodeList(reasons)}
}

// reasonsOf reads what matchOf wrote.
func reasonsOf(stored string) []plimsoll.Reason {
	var list []plimsoll.Reason
	for _, r := range decodeList[api.Reason](stored) {
		modified := time.Time{}
		if r.Modified != nil {
			modified = *r.Modified
		}
		list = append(list, plimsoll.Reason{Advisory: r.Advisory, Provider: r.Provider, Modified: modified, Ecosystem: r.Ecosystem, Package: r.Package,
			Version: r.Version, Scheme: r.Scheme, Range: r.Range, Note: r.Note})
	}
	return list
}

// differs says in words what a person would call a change; "" for none.
func (m *matchRow) differs(was storedMatch) string {
	var words []string
	if m.Severity != was.severity {
		words = append(words, fmt.Sprintf("severity %s, was %s", m.Severity, was.severity))
	}
	if string(m.Status) != was.status {
		words = append(words, fmt.Sprintf("status %s, was %s", m.Status, was.status))
	}
	if m.KEV != was.kev {
		words = append(words, map[bool]string{true: "known to be exploited", false: "no longer listed as exploited"}[m.KEV])
	}
	if m.Malicious != was.malicious {
		words = append(words, map[bool]string{true: "malicious", false: "no longer called malicious"}[m.Malicious])
	}
	if m.FixedVersion != was.fixed || string(m.Fix) != was.fix {
		now := m.FixedVersion
		if now == "" {
			now = "none"
		}
		words = append(words, "fix "+now)
	}
	return strings.Join(words, "; ")
}

func newReason(f *plimsoll.Finding) string {
	if len(f.Reasons) == 0 {
		return ""
	}
	r := f.Reasons[0]
	return fmt.Sprintf("%s of %s: %s", r.Advisory, r.Provider, r.Range)
}

func scoreOf(v *plimsoll.Vulnerability) (score float64) {
	for _, r := range v.Ratings {
		if strings.HasPrefix(r.Method, "CVSS") {
			score = max(score, r.Score)
		}
	}
	return score
}

func epssOf(v *plimsoll.Vulnerability) float64 {
	if v.EPSS == nil {
		return 0
	}
	return v.EPSS.Score
}

// shorten bounds a sentence.
func shorten(s string) string {
	const most = 500
	if len(s) > most {
		s = s[:most] + "…"
	}
	return plain(s)
}
