package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/vex"
)

// maxStatements is how many statements of one document are kept: each that handles
// something is a decision.
const maxStatements = 5000

// AddVEX keeps a document and lets its statements act: those that handle findings
// are decisions, the others are told with the findings. digest is that of its
// content: the same again changes nothing. A document of the same ID and author
// replaces the one before. Whoever sees a part of the fleet adds for that part.
func (s *Store) AddVEX(ctx context.Context, scope plimsoll.Scope, who, file string, digest plimsoll.Digest, d *vex.Document) (added api.VEXDocument, err error) {
	const op = "add a VEX document"
	if n := len(d.Statements); n > maxStatements {
		return added, &plimsoll.Error{Code: plimsoll.CodeLimit, Op: op, Err: plimsoll.Errorf(plimsoll.CodeLimit, op, "it holds %d statements, at most %d are kept", n, maxStatements),
			Hint: "split it into several documents with IDs of their own"}
	}
	labels := slices.Compact(slices.Sorted(slices.Values(scope.Labels)))
	if scope.All {
		labels = nil
	} else if len(labels) == 0 {
		return added, plimsoll.Errorf(plimsoll.CodeInvalid, op, "nothing is in sight")
	}
	err = s.writeDecisions(ctx, op, func(t *tx) error {
		var before []int64
		id := int64(0)
		rows, err := t.query("SELECT id, digest FROM vex_document WHERE removed = 0 AND labels = ? AND (digest = ? OR document <> '' AND document = ? AND author = ?) ORDER BY id",
			encodeList(labels), string(digest), d.ID, d.Author)
		err = each(rows, err, func(scan func(...any) error) error {
			var known int64
			var content plimsoll.Digest
			err := scan(&known, &content)
			if content == digest {
				id = known
			}
			before = append(before, known)
			return err
		})
		if err != nil {
			return err
		}
		if id == 0 {
			if id, err = t.addVEX(who, file, digest, labels, d, before); err != nil {
				return err
			}
		}
		added, err = t.vexDocument(id)
		return err
	})
	return added, err
}

// addVEX stores a document in place of those before it and applies it.
func (t *tx) addVEX(who, file string, digest plimsoll.Digest, labels []string, d *vex.Document, before []int64) (id int64, err error) {
	id, err = t.id(`INSERT INTO vex_document (digest, file, format, document, version, author, said, labels, statements, account, added)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`, string(digest), file, string(d.Format), d.ID, d.Version, d.Author, ms(d.Time), encodeList(labels), len(d.Statements), who, t.now)
	if err != nil {
		return 0, err
	}
	var made []int64
	var names [][]any
	for i := range d.Statements {
		is := &d.Statements[i]
		decision := int64(0)
		if is.Status.Handles() {
			kind := plimsoll.DecisionIgnore
			if is.Status == plimsoll.VEXFixed {
				kind = plimsoll.DecisionFixed
			}
			decision, err = t.id(`INSERT INTO decision (kind, vulnerability, labels, remark, author, created, document_id) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id`,
				string(kind), cutText(is.Vulnerabilities[0], maxKey), encodeList(labels), vexRemark(is), who, t.now, id)
			if err != nil {
				return 0, err
			}
			made = append(made, decision)
		}
		statement, err := t.id("INSERT INTO vex_statement (document_id, decision_id, data) VALUES (?, ?, ?) RETURNING id", id, decision, encode(is))
		if err != nil {
			return 0, err
		}
		told := make(map[string]bool)
		for _, name := range is.Vulnerabilities {
			if alias := aliasOf(cutText(name, maxKey)); !told[alias] {
				told[alias] = true
				names = append(names, []any{alias, statement})
			}
		}
	}
	if err := t.insertMany("vex_name (alias, statement_id)", 2, names, ""); err != nil {
		return 0, err
	}
	gone, err := t.dropVEX(before)
	if err != nil {
		return 0, err
	}
	if err := t.reapplyVEX(append([]int64{id}, before...), gone, who, "revoked", "replaced by a newer document"); err != nil {
		return 0, err
	}
	return id, t.noteDecisions(made, who, "created", "")
}

func cutText(s string, most int) string {
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "")
	}
	return s
}

// vexRemark says in the words of a remark what a statement says.
func vexRemark(s *plimsoll.VEXStatement) string {
	words := []string{strings.ReplaceAll(string(s.Status), "_", " ")}
	for _, word := range []string{s.Justification, s.Impact, s.Action} {
		if word != "" {
			words = append(words, word)
		}
	}
	return cutText(strings.Join(words, ": "), maxText)
}

// dropVEX ends documents and their decisions, which it returns.
func (t *tx) dropVEX(documents []int64) (decisions []int64, err error) {
	for _, id := range documents {
		if _, err := t.exec("UPDATE vex_document SET removed = ? WHERE id = ?", t.now, id); err != nil {
			return nil, err
		}
		of, err := t.ids("SELECT id FROM decision WHERE document_id = ? AND revoked = 0 ORDER BY id", id)
		if err != nil {
			return nil, err
		}
		if _, err := t.exec("UPDATE decision SET revoked = ? WHERE document_id = ? AND revoked = 0", t.now, id); err != nil {
			return nil, err
		}
		decisions = append(decisions, of...)
	}
	return decisions, nil
}

// reapplyVEX applies all decisions anew to the findings that documents are about,
// and notes what decisions have become.
func (t *tx) reapplyVEX(documents, decisions []int64, who, action, remark string) error {
	on := findingsIn{}
	var images []int64
	for _, document := range documents {
		const about = `FROM vex_statement s JOIN vex_name n ON n.statement_id = s.id JOIN vulnerability_alias a ON a.alias = n.alias
			JOIN match m ON m.vulnerability_id = a.vulnerability_id`
		matches, err := t.ids("SELECT DISTINCT m.id "+about+" WHERE s.document_id = ? AND m.gone = 0 ORDER BY m.id", document)
		if err != nil {
			return err
		}
		on.matches = append(on.matches, matches...)
		some, err := t.ids("SELECT DISTINCT i.image_id "+about+" JOIN instance i ON i.software_id = m.software_id JOIN image g ON g.id = i.image_id WHERE s.document_id = ? AND m.gone = 0 AND g.gone = 0", document)
		if err != nil {
			return err
		}
		images = append(images, some...)
	}
	for part := range slices.Chunk(decisions, chunk) {
		had, err := t.ids("SELECT DISTINCT image_id FROM effect WHERE decision_id IN ("+marks(len(part))+")", args(part)...)
		if err != nil {
			return err
		}
		images = append(images, had...)
		were, err := t.ids("SELECT DISTINCT match_id FROM effect WHERE decision_id IN ("+marks(len(part))+")", args(part)...)
		if err != nil {
			return err
		}
		on.matches = append(on.matches, were...)
	}
	slices.Sort(on.matches)
	on.matches = slices.Compact(on.matches)
	const most = 10_000 // matches: no longer worth telling apart
	on.all = len(on.matches) > most
	if err := t.reapplyOn(on, images); err != nil {
		return err
	}
	return t.noteDecisions(decisions, who, action, remark)
}

// RemoveVEX ends a document: what its statements alone handled is open again.
func (s *Store) RemoveVEX(ctx context.Context, scope plimsoll.Scope, who string, id int64) error {
	return s.writeDecisions(ctx, "remove a VEX document", func(t *tx) error {
		d, err := t.vexDocument(id)
		if errors.Is(err, sql.ErrNoRows) || err == nil && !seesDocument(scope, d.Labels) {
			return notFound("VEX document", id)
		}
		if err != nil {
			return err
		}
		gone, err := t.dropVEX([]int64{id})
		if err != nil {
			return err
		}
		return t.reapplyVEX([]int64{id}, gone, who, "revoked", "the VEX document was removed")
	})
}

// seesDocument says whether somebody may see and remove a document: it was added
// for hosts in sight alone.
func seesDocument(scope plimsoll.Scope, labels []string) bool {
	return scope.All || len(labels) > 0 && within(labels, scope.Labels)
}

const documentColumns = `v.id, v.file, v.format, v.document, v.version, v.author, v.said, v.labels, v.statements, v.account, v.added,
	(SELECT count(*) FROM decision d WHERE d.document_id = v.id), (SELECT coalesce(sum(d.hits), 0) FROM decision d WHERE d.document_id = v.id)`

func scanDocument(scan func(...any) error) (d api.VEXDocument, err error) {
	var said, added int64
	var labels string
	err = scan(&d.ID, &d.File, &d.Format, &d.Document, &d.Version, &d.Author, &said, &labels, &d.Statements, &d.AddedBy, &added, &d.Decisions, &d.Hits)
	d.Time, d.Added, d.Labels = momentOrNil(said), moment(added), decodeList[string](labels)
	return d, err
}

func (t *tx) vexDocument(id int64) (api.VEXDocument, error) {
	return scanDocument(t.row("SELECT "+documentColumns+" FROM vex_document v WHERE v.removed = 0 AND v.id = ?", id).Scan)
}

// VEXDocuments lists the documents in force, newest first.
func (s *Store) VEXDocuments(ctx context.Context, scope plimsoll.Scope, l api.List) (page api.Page[api.VEXDocument], err error) {
	err = s.read(ctx, "list VEX documents", func(t *tx) error {
		k, err := newKeyset(l, "VEX documents", "v.id", []sortKey{{name: "id", column: "v.id", desc: true}})
		if err != nil {
			return err
		}
		var w where
		w.and("v.removed = 0")
		if !scope.All {
			var own []string
			rows, err := t.query("SELECT DISTINCT labels FROM vex_document WHERE removed = 0")
			if err := each(rows, err, func(scan func(...any) error) error {
				var labels string
				err := scan(&labels)
				if seesDocument(scope, decodeList[string](labels)) {
					own = append(own, labels)
				}
				return err
			}); err != nil {
				return err
			}
			in(&w, "v.labels", own)
		}
		if page, err = fetch(t, k, documentColumns, "vex_document v", w, scanDocument); err != nil {
			return err
		}
		page.Total, err = t.count("vex_document v", w)
		return err
	})
	return page, err
}

// claimRules loads the statements in force as rules; w narrows them.
func (t *tx) claimRules(w where) (list []*rule, err error) {
	w.and("c.removed = 0 AND (s.decision_id = 0 OR d.revoked = 0)")
	byID := make(map[int64]*rule)
	var unread []int64
	rows, err := t.query("SELECT s.id, s.decision_id, coalesce(d.kind, ''), c.labels FROM vex_statement s JOIN vex_document c ON c.id = s.document_id LEFT JOIN decision d ON d.id = s.decision_id"+
		w.String()+" ORDER BY s.id", w.args...)
	err = each(rows, err, func(scan func(...any) error) error {
		r := &rule{}
		var labels string
		if err := scan(&r.statement, &r.ID, &r.Kind, &labels); err != nil {
			return err
		}
		r.Labels = decodeList[string](labels)
		if known, ok := t.s.claims.Load(r.statement); ok {
			r.claim = known.(*vex.Claim)
		} else {
			unread = append(unread, r.statement)
		}
		byID[r.statement] = r
		list = append(list, r)
		return nil
	})
	if err != nil || len(list) == 0 {
		return nil, err
	}
	for part := range slices.Chunk(unread, chunk) {
		rows, err := t.query("SELECT id, data FROM vex_statement WHERE id IN ("+marks(len(part))+")", args(part)...)
		err = each(rows, err, func(scan func(...any) error) error {
			var id int64
			var data string
			if err := scan(&id, &data); err != nil {
				return err
			}
			var is plimsoll.VEXStatement
			if err := json.Unmarshal([]byte(data), &is); err != nil {
				return err
			}
			byID[id].claim = vex.NewClaim(is)
			t.s.claims.Store(id, byID[id].claim) // statements never change
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	rows, err = t.query("SELECT n.statement_id, a.vulnerability_id FROM vex_statement s JOIN vex_document c ON c.id = s.document_id LEFT JOIN decision d ON d.id = s.decision_id"+
		" JOIN vex_name n ON n.statement_id = s.id JOIN vulnerability_alias a ON a.alias = n.alias"+w.String()+" ORDER BY n.statement_id, a.vulnerability_id", w.args...)
	return list, each(rows, err, func(scan func(...any) error) error {
		var statement, vulnerability int64
		err := scan(&statement, &vulnerability)
		if r := byID[statement]; r != nil && !slices.Contains(r.vulnerabilities, vulnerability) {
			r.vulnerabilities = append(r.vulnerabilities, vulnerability)
		}
		return err
	})
}

// claimColumns are what statements ask of a finding beyond its row: software s,
// instance i.
const claimColumns = ", s.version, s.arch, s.source_name, s.source_version, s.module, s.system_id, i.path, i.bundled"

// claimSubject is a finding with the package that statements are compared with.
type claimSubject struct {
	findingRow
	pkg    plimsoll.Package
	system int64
	about  []*rule // by its vulnerability
}

func (f *claimSubject) dest() []any {
	p := &f.pkg
	return []any{&p.Version, &p.Arch, &p.Source.Name, &p.Source.Version, &p.Module, &f.system, &p.Path, &p.Bundled}
}

// witness compares statements with findings of images.
type witness struct {
	holders map[int64]*holder
	systems map[int64]*plimsoll.OS
	others  map[int64][]plimsoll.Package // of images, for statements about what is built into a package
}

// newWitness loads what comparing needs.
func (t *tx) newWitness(holders map[int64]*holder, list []claimSubject) (*witness, error) {
	v := &witness{holders, make(map[int64]*plimsoll.OS), make(map[int64][]plimsoll.Package)}
	rows, err := t.query("SELECT id, os FROM system")
	err = each(rows, err, func(scan func(...any) error) error {
		var id int64
		var text string
		if err := scan(&id, &text); err != nil {
			return err
		}
		v.systems[id] = new(plimsoll.OS)
		return json.Unmarshal([]byte(text), v.systems[id])
	})
	if err != nil {
		return nil, err
	}
	for i := range list {
		f := &list[i]
		f.pkg.Type, f.pkg.Name = f.kind, f.name
		if _, ok := v.others[f.image]; ok || !slices.ContainsFunc(f.about, func(r *rule) bool { return r.claim.AsksOthers() }) {
			continue
		}
		v.others[f.image] = nil
		rows, err := t.query("SELECT s.type, s.name, s.version, s.arch, i.path FROM instance i JOIN software s ON s.id = i.software_id WHERE i.image_id = ?", f.image)
		err = each(rows, err, func(scan func(...any) error) error {
			var p plimsoll.Package
			err := scan(&p.Type, &p.Name, &p.Version, &p.Arch, &p.Path)
			v.others[f.image] = append(v.others[f.image], p)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

// about returns the rules of a finding whose statements are about it in one
// repository of its image.
func (v *witness) about(f *claimSubject, at *heldAs) (list []*rule) {
	h := v.holders[f.image]
	if h == nil {
		return nil
	}
	place := vex.Place{System: v.systems[f.system], Others: func() []plimsoll.Package { return v.others[f.image] },
		Image: &plimsoll.Image{ID: h.digest, Manifests: decodeList[plimsoll.Digest](h.manifests), Names: at.names}}
	parts := append(strings.SplitN(h.platform, "/", 3), "", "")
	place.Image.Platform = plimsoll.Platform{OS: parts[0], Architecture: parts[1], Variant: parts[2]}
	for _, r := range f.about {
		if r.reaches(h) && r.claim.Fits(&f.pkg, place) {
			list = append(list, r)
		}
	}
	return list
}

// decides returns the rule whose statement decides in a repository; nil when none
// does, or one that handles nothing.
func (v *witness) decides(f *claimSubject, at *heldAs) *rule {
	about := v.about(f, at)
	claims := make([]*vex.Claim, len(about))
	for i, r := range about {
		claims[i] = r.claim
	}
	first := vex.Decides(claims)
	if first == nil || !first.Status.Handles() {
		return nil
	}
	return about[slices.Index(claims, first)]
}

// fitClaims adds the effects of statements on findings.
func (t *tx) fitClaims(book *ruleBook, holders map[int64]*holder, list []claimSubject, effects map[effectKey]effectValue) error {
	v, err := t.newWitness(holders, list)
	if err != nil {
		return err
	}
	for i := range list {
		f := &list[i]
		h := holders[f.image]
		if h == nil {
			continue
		}
		for repository, at := range h.repositories {
			r := v.decides(f, at)
			if r == nil {
				continue
			}
			key := effectKey{f.instance, f.match, repository}
			if was, ok := effects[key]; !ok || book.order[r.ID] < book.order[was.decision] {
				effects[key] = effectValue{r.ID, f.image}
			}
		}
	}
	return nil
}

// tellStatements adds to findings what statements say about them, whether they
// handle them or not.
func (t *tx) tellStatements(list []api.Finding) error {
	const most = 10 // statements of a finding
	if len(list) == 0 {
		return nil
	}
	if any, err := t.ids("SELECT id FROM vex_document WHERE removed = 0 LIMIT 1"); err != nil || len(any) == 0 {
		return err
	}
	at := make(map[string]int, len(list))
	var flaws []string
	var instances, images []int64
	for i := range list {
		at[list[i].ID] = i
		flaws, images = append(flaws, list[i].Vulnerability), append(images, list[i].ImageID)
		instance, _, err := parseFinding(list[i].ID)
		if err != nil {
			return err
		}
		instances = append(instances, instance)
	}
	var rules []*rule
	slices.Sort(flaws)
	for part := range slices.Chunk(slices.Compact(flaws), chunk) {
		var w where
		w.and("s.id IN (SELECT n.statement_id FROM vex_name n JOIN vulnerability_alias a ON a.alias = n.alias JOIN vulnerability v ON v.id = a.vulnerability_id WHERE v.name IN ("+marks(len(part))+"))", args(part)...)
		some, err := t.claimRules(w)
		if err != nil {
			return err
		}
		rules = append(rules, some...)
	}
	if len(rules) == 0 {
		return nil
	}
	byFlaw := make(map[int64][]*rule)
	for _, r := range rules {
		for _, id := range r.vulnerabilities {
			byFlaw[id] = append(byFlaw[id], r)
		}
	}
	var subjects []claimSubject
	for part := range slices.Chunk(instances, chunk) {
		rows, err := t.query("SELECT i.image_id, i.id, m.id, m.vulnerability_id, s.type, s.name"+claimColumns+" FROM instance i JOIN match m ON m.software_id = i.software_id JOIN software s ON s.id = i.software_id WHERE i.id IN ("+
			marks(len(part))+")", args(part)...)
		err = each(rows, err, func(scan func(...any) error) error {
			var f claimSubject
			if err := scan(append([]any{&f.image, &f.instance, &f.match, &f.vulnerability, &f.kind, &f.name}, f.dest()...)...); err != nil {
				return err
			}
			if _, ok := at[findingName(f.instance, f.match)]; ok && len(byFlaw[f.vulnerability]) > 0 {
				f.about = byFlaw[f.vulnerability]
				subjects = append(subjects, f)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	slices.Sort(images)
	holders, err := t.holders(slices.Compact(images))
	if err != nil {
		return err
	}
	v, err := t.newWitness(holders, subjects)
	if err != nil {
		return err
	}
	for i := range subjects {
		f := &subjects[i]
		h := holders[f.image]
		if h == nil {
			continue
		}
		told := make(map[int64]bool)
		said := &list[at[findingName(f.instance, f.match)]].VEX
		for _, repository := range sortedKeys(h.repositories) {
			for _, r := range v.about(f, h.repositories[repository]) {
				if !told[r.statement] && len(*said) < most {
					told[r.statement] = true
					*said = append(*said, statementOf(&r.claim.VEXStatement, r.ID))
				}
			}
		}
	}
	return nil
}

func statementOf(s *plimsoll.VEXStatement, decision int64) api.VEXStatement {
	return api.VEXStatement{Document: s.Document, Author: s.Author, Time: momentOrNil(ms(s.Time)), Status: s.Status, Justification: s.Justification,
		Impact: s.Impact, Action: s.Action, DecisionID: decision}
}

// tellSources adds to decisions the statements that they follow from.
func (t *tx) tellSources(list []api.Decision) error {
	at := make(map[int64][]int)
	var ids []int64
	for i := range list {
		if list[i].DocumentID != 0 {
			at[list[i].ID] = append(at[list[i].ID], i)
			ids = append(ids, list[i].ID)
		}
	}
	for part := range slices.Chunk(ids, chunk) {
		rows, err := t.query("SELECT decision_id, data FROM vex_statement WHERE decision_id IN ("+marks(len(part))+")", args(part)...)
		err = each(rows, err, func(scan func(...any) error) error {
			var id int64
			var data string
			if err := scan(&id, &data); err != nil {
				return err
			}
			var is plimsoll.VEXStatement
			if err := json.Unmarshal([]byte(data), &is); err != nil {
				return err
			}
			said := statementOf(&is, id)
			const most = 20 // products
			for _, p := range is.Products[:min(len(is.Products), most)] {
				said.Products = append(said.Products, productWord(&p))
			}
			for _, i := range at[id] {
				list[i].Statement = &said
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// productWord names a product, and what it has to be within.
func productWord(p *plimsoll.VEXProduct) string {
	word := "?"
	if len(p.IDs) > 0 {
		word = p.IDs[0]
	}
	for i := range p.Within {
		word += " in " + productWord(&p.Within[i])
	}
	return word
}
