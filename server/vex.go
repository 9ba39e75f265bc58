package server

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/package-url/packageurl-go"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/store"
	"plimsoll/vex"
)

// maxVEX bounds a document that is handed over, in bytes.
const maxVEX = 32 << 20

func (s *Server) vexRoutes() {
	route(s, viewer, op("GET", "/vex-documents", "list-vex-documents", "Decisions", "List VEX documents"), func(ctx context.Context, c *caller, in *Paging) (api.Page[api.VEXDocument], error) {
		return s.Store.VEXDocuments(ctx, c.scope, in.list(""))
	})
	command(s, operator, op("DELETE", "/vex-documents/{id}", "remove-vex-document", "Decisions", "Remove a VEX document and end its decisions"), func(ctx context.Context, c *caller, in *ByID) error {
		return s.Store.RemoveVEX(ctx, c.scope, c.name, in.ID)
	})
	upload := op("POST", "/vex-documents", "add-vex-document", "Decisions", "Add a VEX document: OpenVEX, CSAF or CycloneDX, told by its content")
	upload.Parameters = []*huma.Param{{Name: "file", In: "query", Schema: &huma.Schema{Type: "string"}, Description: "what to call it"}}
	upload.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{"application/octet-stream": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}}
	upload.Responses = map[string]*huma.Response{"204": {Description: "Its statements act; the same document again changes nothing, a newer one of the same ID and author replaces it."}}
	s.document(upload, rule{need: operator, body: maxVEX, time: 5 * time.Minute}, s.addVEX)
}

func (s *Server) addVEX(w http.ResponseWriter, r *http.Request) {
	const longest = 300 // bytes of a name
	c := &requestOf(r.Context()).caller
	err := func() error {
		body, err := unpacked(r, maxVEX, nil)
		if err != nil {
			return err
		}
		defer body.Close()
		data, err := io.ReadAll(body)
		if err != nil {
			return badBody(err)
		}
		d, err := vex.Read(bytes.NewReader(data))
		if plimsoll.CodeOf(err) == plimsoll.CodeLimit {
			return newProblem(http.StatusRequestEntityTooLarge, codeTooLarge, err.Error())
		}
		if err != nil {
			return err
		}
		file := strings.Map(func(r rune) rune {
			if r < ' ' || r == 0x7f || r == '\uFFFD' {
				return -1
			}
			return r
		}, r.URL.Query().Get("file"))
		if len(file) > longest {
			return plimsoll.Errorf(plimsoll.CodeInvalid, "add a VEX document", "its name is longer than %d bytes", longest)
		}
		_, err = s.Store.AddVEX(r.Context(), c.scope, c.name, file, plimsoll.DigestOf(data), &d)
		return err
	}()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// maxVEXFindings bounds an export of decisions as VEX, which is made in memory.
const maxVEXFindings = 50_000

// handledStates are what an export as VEX is about.
var handledStates = []string{string(plimsoll.FindingIgnored), string(plimsoll.FindingFixed), string(plimsoll.FindingWhitelisted)}

// vex writes what was decided as a VEX document, in terms of images and packages:
// whoever reads it handles the same findings. VEX has no word for an accepted
// risk; the statement then says so in its impact.
func (x *exporter) vex(ctx context.Context, w io.Writer, f vex.Format, n *store.NewExport) (rows int64, err error) {
	filter := given(n.Request.Findings)
	filter.States = handledStates
	b := vexBuilder{exporter: x, scope: n.Scope, decisions: x.decisions(ctx, n.Scope), images: make(map[int64][]string), statements: make(map[vexKey]*plimsoll.VEXStatement), told: make(map[string]bool)}
	var list []api.Finding
	flaws := make(map[string]bool)
	err = x.store.EachFinding(ctx, n.Scope, filter, func(f *api.Finding) error {
		if len(list) == maxVEXFindings {
			return &plimsoll.Error{Code: plimsoll.CodeLimit, Op: "export VEX", Err: fmt.Errorf("more than %d findings are handled", maxVEXFindings), Hint: "narrow the filter, for example to one image"}
		}
		list = append(list, *f)
		flaws[f.Vulnerability] = true
		return nil
	})
	if err != nil {
		return 0, err
	}
	// A statement is about a package, wherever it lies in the image: not if a finding
	// of the same package elsewhere in it is open.
	open := make(map[string]bool)
	for _, flaw := range slices.Sorted(maps.Keys(flaws)) {
		if err := x.store.EachFinding(ctx, n.Scope, api.FindingFilter{Vulnerability: flaw, States: []string{string(plimsoll.FindingOpen)}}, func(f *api.Finding) error {
			open[vexIdentity(f)] = true
			return nil
		}); err != nil {
			return 0, err
		}
	}
	for i := range list {
		if f := &list[i]; f.PURL != "" && !open[vexIdentity(f)] {
			if err := b.add(ctx, f); err != nil {
				return 0, err
			}
			rows++
		}
	}
	d := vex.Document{Author: n.CreatedBy, Statements: b.sorted()}
	for _, s := range d.Statements {
		if s.Time.After(d.Time) {
			d.Time = s.Time
		}
	}
	return rows, vex.Write(w, f, d, x.tool)
}

func vexIdentity(f *api.Finding) string {
	return fmt.Sprintf("%d %s %s", f.ImageID, f.Vulnerability, f.PURL)
}

// vexBuilder makes statements of findings: one for each vulnerability and decision.
type vexBuilder struct {
	*exporter
	scope      plimsoll.Scope
	decisions  func(api.FindingDecision) *api.Decision
	images     map[int64][]string // identifiers
	statements map[vexKey]*plimsoll.VEXStatement
	told       map[string]bool
}

type vexKey struct {
	vulnerability string
	decision      int64
}

func (b *vexBuilder) add(ctx context.Context, f *api.Finding) error {
	at := slices.IndexFunc(f.Decisions, func(d api.FindingDecision) bool { return plimsoll.StateOf(d.Kind) == f.State })
	if at < 0 || b.told[vexIdentity(f)] {
		return nil
	}
	b.told[vexIdentity(f)] = true
	image, err := b.image(ctx, f.ImageID)
	if err != nil {
		return err
	}
	key := vexKey{f.Vulnerability, f.Decisions[at].DecisionID}
	s := b.statements[key]
	if s == nil {
		s = vexStatement(b.decisions(f.Decisions[at]), f)
		b.statements[key] = s
	}
	s.Products = append(s.Products, plimsoll.VEXProduct{IDs: []string{f.PURL}, Within: []plimsoll.VEXProduct{{IDs: image}}})
	return nil
}

// vexStatement says what a decision means for a finding.
func vexStatement(d *api.Decision, f *api.Finding) *plimsoll.VEXStatement {
	s := &plimsoll.VEXStatement{Vulnerabilities: []string{f.Vulnerability}, Status: plimsoll.VEXNotAffected}
	if d.Created != nil {
		s.Time = *d.Created
	}
	if is := d.Statement; is != nil { // passed on in its own words
		s.Status, s.Justification, s.Impact, s.Author = is.Status, is.Justification, is.Impact, is.Author
		if is.Time != nil {
			s.Time = *is.Time
		}
		return s
	}
	switch f.State {
	case plimsoll.FindingFixed:
		s.Status, s.Impact = plimsoll.VEXFixed, d.Remark
	case plimsoll.FindingWhitelisted:
		s.Impact = "accepted: " + d.Remark
	default:
		s.Impact = "ignored: " + d.Remark
	}
	return s
}

// image returns the identifiers of an image: a purl with its manifest, or else its
// ID, and the ID, by which an image that was built here is known everywhere.
func (b *vexBuilder) image(ctx context.Context, id int64) ([]string, error) {
	if known, ok := b.images[id]; ok {
		return known, nil
	}
	d, err := b.store.Image(ctx, b.scope, id)
	if err != nil {
		return nil, err
	}
	digest := d.Digest
	if len(d.Manifests) > 0 {
		digest = d.Manifests[0]
	}
	repository, tag := "", ""
	if len(d.Names) > 0 {
		repository = plimsoll.Repository(d.Names[0])
		if ref, _, _ := strings.Cut(d.Names[0], "@"); ref != repository {
			tag = ref[len(repository)+1:]
		}
	}
	var qualifiers packageurl.Qualifiers
	for key, value := range map[string]string{"repository_url": repository, "tag": tag} {
		if value != "" {
			qualifiers = append(qualifiers, packageurl.Qualifier{Key: key, Value: value})
		}
	}
	slices.SortFunc(qualifiers, func(a, b packageurl.Qualifier) int { return cmp.Compare(a.Key, b.Key) })
	name := strings.ToLower(cmp.Or(repository[strings.LastIndexByte(repository, '/')+1:], "image"))
	b.images[id] = []string{packageurl.NewPackageURL("oci", "", name, string(digest), qualifiers, "").ToString(), string(d.Digest)}
	return b.images[id], nil
}

// sorted returns the statements, by vulnerability and decision.
func (b *vexBuilder) sorted() []plimsoll.VEXStatement {
	list := []plimsoll.VEXStatement{}
	for _, key := range slices.SortedFunc(maps.Keys(b.statements), func(a, b vexKey) int {
		return cmp.Or(cmp.Compare(a.vulnerability, b.vulnerability), cmp.Compare(a.decision, b.decision))
	}) {
		s := b.statements[key]
		slices.SortFunc(s.Products, func(a, b plimsoll.VEXProduct) int {
			return cmp.Or(cmp.Compare(a.Within[0].IDs[0], b.Within[0].IDs[0]), cmp.Compare(a.IDs[0], b.IDs[0]))
		})
		list = append(list, *s)
	}
	return list
}
