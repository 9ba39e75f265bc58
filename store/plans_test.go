package store

import (
	"encoding/json"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/e2e/loadgen"
)

// large are the tables that grow with the fleet or with time.
var large = []string{"host", "host_label", "image", "layer", "image_layer", "presence", "image_reference", "host_image", "container", "software", "software_path", "instance",
	"image_system", "image_problem", "scan", "vulnerability", "vulnerability_alias", "match", "risk", "share", "contents", "open_risk", "host_held", "change", "effect", "decision_event", "task_item", "work", "audit"}

type allowedPlan struct{ question, step, why string }

// Plans that go through a large table or sort what they find, and why they may. "*"
// is any text.
var allowedPlans = []allowedPlan{
	{"images*", "scan image", "the total of what a filter finds: a row for each image, none for what is in it"},
	{"images q", "scan image_reference", "a part of a name: each name of an image is there once"},
	{"images*", "sort", "images that something else has found"},
	{"images hostName", "scan host", "a part of a name"},
	{"images*software", "scan software", "Maven packages by their artifact alone: the index of names is looked through"},
	{"software below", "scan software", "the same"},
	{"places below", "scan software", "the same"},
	{"places below", "sort", "a page of packages that their name has found"},
	{"software*", "scan software", "the total, and a part of a name: a row for each distinct package of the fleet"},
	{"software below", "sort", "packages of one name"},
	{"software*", "sort", "packages that something else has found"},
	{"vulnerabilities*", "scan host_held", "on how many hosts: who holds what is read once for all rows, a row for each host"},
	{"vulnerabilities*", "scan open_risk", "the same: what images have is read by image, not by finding"},
	{"vulnerabilities q", "scan vulnerability_alias", "a part of a name"},
	{"vulnerabilities q", "sort", "vulnerabilities that their names have found"},
	{"vulnerabilities package", "sort", "vulnerabilities of one package"},
	{"findings*package*", "sort", "of a package with few findings: they are counted first"},
	{"hosts*", "scan host", "the total: a row for each host"},
	{"*with the worst vulnerability*", "sort", "what is on the images that have it"},
	{"containers", "scan container", "the total"},
	{"containers with the worst vulnerability", "scan container", "the total: an index of those that run, and nothing else of them"},
	{"places of an image", "sort", "of one image"},
	{"packages of an image", "sort", "of one image"},
	{"changes of an image", "sort", "of the software of one image"},
	{"dashboard*", "*", "no list: figures of all that is in sight"},
}

// Each list, by each of its sort keys and as people search it, walks an index in its
// order, or finds what it shows by an index: it neither goes through a large table
// nor sorts more than it has found.
func TestListsHaveIndexes(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		fillFleet(t, s, loadgen.Small, compiled(t, loadgen.First))
		if s.dialect == postgres { // which looks at how much there is
			multiply(t, s, 40)
			execTest(t, s, "ANALYZE")
		} else {
			multiply(t, s, 10)
		}
		task, err := s.StartScan(t.Context(), NewScan{Title: "scan", CreatedBy: "ann", Scope: plimsoll.Everything, Images: []int64{1, 2, 3}})
		if err != nil {
			t.Fatal(err)
		}
		page, err := s.Vulnerabilities(t.Context(), plimsoll.Everything, api.VulnerabilityFilter{}, api.List{Sort: "images", Limit: 1})
		if err != nil || len(page.Items) == 0 {
			t.Fatal(err, "no vulnerability")
		}
		asking := make(map[string]bool) // functions
		steps := make(map[string]string)
		var order []string
		questions := append(fleetQuestions(page.Items[0].Name),
			fleetQuestion{"items of a task", func(s *Store) error {
				_, err := s.TaskItems(t.Context(), plimsoll.Everything, "", task.ID, "", api.List{})
				return err
			}},
			fleetQuestion{"vulnerabilities of many images", func(s *Store) error { // more than this fleet has
				return s.read(t.Context(), "list", func(t *tx) error {
					var w where
					if err := t.inSight(sight{scope: plimsoll.Everything, label: "env=load"}, api.VulnerabilityFilter{}, 0, &w); err != nil {
						return err
					}
					_, err := t.ids("SELECT r.id FROM risk r"+w.String()+" ORDER BY r.priority DESC, r.id DESC LIMIT 100", w.args...)
					return err
				})
			}})
		for _, q := range questions {
			type statement struct {
				text string
				args []any
			}
			var all []statement
			s.asked = func(text string, args []any) {
				all = append(all, statement{text, args})
				pcs := make([]uintptr, 32)
				frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
				for more := true; more; {
					var f runtime.Frame
					f, more = frames.Next()
					asking[f.Function] = true
				}
			}
			if err := q.ask(s); err != nil {
				t.Fatal(q.name, err)
			}
			s.asked = nil
			for _, a := range all {
				for _, step := range planSteps(t, s, a.text, a.args) {
					step = q.name + ": " + step
					if steps[step] == "" {
						order = append(order, step)
					}
					steps[step] = a.text
				}
			}
		}
		needed := make([]bool, len(allowedPlans))
		for _, step := range order {
			i := slices.IndexFunc(allowedPlans, func(a allowedPlan) bool { return plimsoll.Glob(a.question+": "+a.step, step) })
			if i < 0 {
				t.Errorf("%s, in\n%s", step, steps[step])
			} else {
				needed[i] = true
			}
		}
		for i, a := range allowedPlans {
			if !needed[i] && s.dialect == sqliteDialect {
				t.Errorf("nothing needs the exception for %s: %s", a.question, a.step)
			}
		}
		lists := reflect.TypeFor[*Store]()
		for i := range lists.NumMethod() {
			m := lists.Method(i)
			if m.Type.NumOut() > 0 && strings.HasPrefix(m.Type.Out(0).Name(), "Page[") && !asking["plimsoll/store.(*Store)."+m.Name] {
				t.Errorf("no question is about the list of Store.%s", m.Name)
			}
		}
	})
}

// planSteps returns what a query does that a large fleet would feel: "scan TABLE" for
// each large table that it goes through, but for one in the order of the list, whose
// first rows are enough, and "sort" when it puts in order what it has found.
func planSteps(t *testing.T, s *Store, query string, args []any) (steps []string) {
	t.Helper()
	if s.dialect == postgres {
		return postgresSteps(t, s, query, args)
	}
	err := s.read(t.Context(), "explain", func(t *tx) error {
		var lines []sqliteStep
		rows, err := t.query("EXPLAIN QUERY PLAN "+query, args...)
		err = each(rows, err, func(scan func(...any) error) error {
			var l sqliteStep
			var unused int
			err := scan(&l.id, &l.parent, &unused, &l.detail)
			lines = append(lines, l)
			return err
		})
		steps = sqliteSteps(query, lines)
		return err
	})
	if err != nil {
		t.Fatalf("%v, of\n%s", err, query)
	}
	return steps
}

type sqliteStep struct {
	id, parent int
	detail     string
}

var sqliteScan = regexp.MustCompile(`^SCAN (\w+)`)

// sqliteSteps reads EXPLAIN QUERY PLAN.
func sqliteSteps(query string, lines []sqliteStep) (steps []string) {
	const sort = "USE TEMP B-TREE FOR ORDER BY"
	limited := strings.Contains(query, " ORDER BY ") && strings.Contains(query, " LIMIT ")
	// A level of the plan joins loops, the outermost first.
	outermost := func(level int) sqliteStep {
		return lines[slices.IndexFunc(lines, func(o sqliteStep) bool {
			return o.parent == level && (strings.HasPrefix(o.detail, "SCAN ") || strings.HasPrefix(o.detail, "SEARCH "))
		})]
	}
	inner := func(name string) bool {
		return slices.ContainsFunc(lines, func(o sqliteStep) bool { return o.detail == "CO-ROUTINE "+name || o.detail == "MATERIALIZE "+name })
	}
	sorted := make(map[int]bool) // levels
	for _, l := range lines {
		if l.detail != sort || !limited {
			continue
		}
		sorted[l.parent] = true
		if m := sqliteScan.FindStringSubmatch(outermost(l.parent).detail); m == nil || !inner(m[1]) { // else it is a page that was found in order
			steps = append(steps, "sort")
		}
	}
	for _, l := range lines {
		m := sqliteScan.FindStringSubmatch(l.detail)
		if m == nil || inner(m[1]) || limited && l.parent == 0 && !sorted[0] && l == outermost(0) {
			continue
		}
		table := m[1]
		if of := regexp.MustCompile(`(?:FROM|JOIN) (\w+) ` + table + `\b`).FindStringSubmatch(query); of != nil {
			table = of[1]
		}
		if slices.Contains(large, table) {
			steps = append(steps, "scan "+table)
		}
	}
	return steps
}

// manyRows is how many rows PostgreSQL may go through or sort: what is that small
// here it rightly reads without an index.
const manyRows = 5000

// postgresSteps reads EXPLAIN.
func postgresSteps(t *testing.T, s *Store, query string, args []any) (steps []string) {
	t.Helper()
	err := s.read(t.Context(), "explain", func(t *tx) error {
		var text string
		if err := t.row("EXPLAIN (FORMAT JSON) "+query, args...).Scan(&text); err != nil {
			return err
		}
		var plans []struct{ Plan postgresPlan }
		if err := json.Unmarshal([]byte(text), &plans); err != nil {
			return err
		}
		rows := make(map[string]float64)
		tables, err := t.query("SELECT relname, reltuples FROM pg_class WHERE relnamespace = 'public'::regnamespace")
		err = each(tables, err, func(scan func(...any) error) error {
			var name string
			var n float64
			err := scan(&name, &n)
			rows[name] = n
			return err
		})
		plans[0].Plan.walk(rows, false, func(step string) { steps = append(steps, step) })
		return err
	})
	if err != nil {
		t.Fatalf("%v, of\n%s", err, query)
	}
	return steps
}

// postgresPlan is a node of EXPLAIN's.
type postgresPlan struct {
	NodeType     string  `json:"Node Type"`
	RelationName string  `json:"Relation Name"`
	IndexCond    string  `json:"Index Cond"`
	PlanRows     float64 `json:"Plan Rows"`
	Plans        []postgresPlan
}

// walk tells the steps of a plan. inOrder: no more of it is read than a page needs.
func (p postgresPlan) walk(rows map[string]float64, inOrder bool, tell func(step string)) {
	switch p.NodeType {
	case "Limit":
		inOrder = true
	case "Sort":
		inOrder = false
		if p.Plans[0].PlanRows > manyRows {
			tell("sort")
		}
	case "Hash", "Aggregate":
		inOrder = false
	}
	whole := p.NodeType == "Seq Scan" || strings.HasPrefix(p.NodeType, "Index") && p.IndexCond == ""
	if whole && !inOrder && rows[p.RelationName] > manyRows {
		tell("scan " + p.RelationName)
	}
	for _, inner := range p.Plans {
		inner.walk(rows, inOrder, tell)
	}
}
