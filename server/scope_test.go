package server

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/ui"
)

// twoSights is a fleet of two hosts, seen by an administrator of all and by anna,
// one of host prod alone; what the other made about host dev is hidden from her.
type twoSights struct {
	*testConsole
	prod, dev *testAgent
	anna      string // API token

	mine   []api.Image
	shared int64 // an image on both hosts
	hidden struct {
		images                                 []int64
		digests                                []string
		finding, vulnerability, class          string
		open                                   string // another vulnerability, which nobody has handled
		scan, sync, schedule, export, decision int64
	}
}

func newTwoSights(t *testing.T, change ...func(*Config)) *twoSights {
	t.Helper()
	c, prod, dev := newFleet(t, change...)
	s := &twoSights{testConsole: c, prod: prod, dev: dev}
	c.user("anna", plimsoll.RoleAdmin, fmt.Sprintf("id=%d", prod.id))
	s.anna = c.token("anna", plimsoll.RoleAdmin)

	var theirs, mine api.Page[api.Image]
	c.must(c.admin, "GET", fmt.Sprintf("/images?host=%d&limit=500", dev.id), nil, &theirs)
	c.must(c.admin, "GET", fmt.Sprintf("/images?host=%d&limit=500", prod.id), nil, &mine)
	s.mine = mine.Items
	for _, img := range theirs.Items {
		if slices.ContainsFunc(s.mine, func(m api.Image) bool { return m.ID == img.ID }) {
			s.shared = img.ID
			continue
		}
		s.hidden.images = append(s.hidden.images, img.ID)
		s.hidden.digests = append(s.hidden.digests, string(img.Digest))
	}
	if len(s.hidden.images) == 0 || s.shared == 0 {
		t.Fatal("the hosts hold nothing apart, or nothing together")
	}
	image := s.hidden.images[0]
	var findings api.Page[api.Finding]
	c.must(c.admin, "GET", fmt.Sprintf("/findings?image=%d&limit=500", image), nil, &findings)
	for _, f := range findings.Items {
		if s.hidden.open != "" {
			break
		}
		var known api.Page[api.Finding]
		c.must(c.admin, "GET", fmt.Sprintf("/findings?host=%d&vulnerability=%s", prod.id, f.Vulnerability), nil, &known)
		switch {
		case len(known.Items) > 0 || f.Vulnerability == s.hidden.vulnerability:
		case s.hidden.finding == "":
			s.hidden.finding, s.hidden.vulnerability, s.hidden.class = f.ID, f.Vulnerability, string(f.Class)
		default:
			s.hidden.open = f.Vulnerability
		}
	}
	if s.hidden.open == "" {
		t.Fatal("the hidden image has no two vulnerabilities of its own")
	}
	var made struct{ ID int64 }
	post := func(path string, in any) int64 {
		t.Helper()
		c.must(c.admin, "POST", path, in, &made)
		return made.ID
	}
	s.hidden.scan = post("/scans", api.ScanRequest{Selection: api.Selection{Images: []int64{image}}, Title: "unseen scan"})
	s.hidden.sync = post("/syncs", api.SyncRequest{Hosts: []int64{dev.id}})
	s.hidden.schedule = post("/schedules", api.Schedule{Name: "unseen schedule", Trigger: "cron", Cron: "0 0 1 1 *", Selection: api.Selection{All: true}})
	s.hidden.export = post("/exports", api.ExportRequest{Kind: "images", Format: "json"})
	if err := c.makeExports(t.Context()); err != nil {
		t.Fatal(err)
	}
	var decisions items[api.Decision]
	c.must(c.admin, "POST", "/decisions", api.DecisionRequest{Kind: "ignore", Findings: []string{s.hidden.finding}, Remark: "unseen remark"}, &decisions)
	s.hidden.decision = decisions.Items[0].ID
	return s
}

// asAnna asks as the one who sees a part and says whether it was answered thus.
func (s *twoSights) asAnna(method, path string, in any, status int) {
	s.t.Helper()
	if a := s.call(s.anna, method, path, in, nil); a.StatusCode != status {
		s.t.Errorf("%s %s: %d %.300s, want %d", method, path, a.StatusCode, a.body, status)
	}
}

// Whoever is limited to one host meets nothing of the other: what is asked for by
// ID does not exist (SYS-08).
func TestSYS08OutOfSightByID(t *testing.T) {
	s := newTwoSights(t)
	h := &s.hidden
	image := fmt.Sprintf("/images/%d", h.images[0])
	for _, path := range []string{
		fmt.Sprintf("/hosts/%d", s.dev.id), image, image + "/plan", image + "/changes", image + fmt.Sprintf("/diff?with=%d", s.shared), fmt.Sprintf("/images/%d/diff?with=%d", s.shared, h.images[0]),
		image + "/presences", image + "/containers", image + "/software",
		image + "/sbom", image + "/report?format=html", "/findings/" + h.finding, "/findings/" + h.finding + "/history",
		"/vulnerabilities/" + h.vulnerability + "?class=" + h.class,
		fmt.Sprintf("/tasks/%d", h.scan), fmt.Sprintf("/tasks/%d/items", h.scan), fmt.Sprintf("/tasks/%d", h.sync), fmt.Sprintf("/tasks/%d/items", h.sync),
		fmt.Sprintf("/exports/%d", h.export), fmt.Sprintf("/exports/%d/content", h.export),
		fmt.Sprintf("/decisions/%d", h.decision), fmt.Sprintf("/decisions/%d/events", h.decision),
	} {
		s.asAnna("GET", path, nil, http.StatusNotFound)
		if a := s.call(s.admin, "GET", path, nil, nil); a.StatusCode != http.StatusOK {
			t.Errorf("GET %s as one who sees it: %d %.200s", path, a.StatusCode, a.body)
		}
	}
	for _, task := range []int64{h.scan, h.sync} {
		s.asAnna("GET", fmt.Sprintf("/events?task=%d", task), nil, http.StatusNotFound)
	}
	selections := []api.Selection{
		{Images: h.images}, {Hosts: []int64{s.dev.id}}, {Label: "env=dev"}, {Filter: &api.ImageFilter{Host: s.dev.id}}, {Filter: &api.ImageFilter{IDs: h.images}},
	}
	for _, selection := range selections {
		s.asAnna("POST", "/scans", api.ScanRequest{Selection: selection}, http.StatusNotFound)
	}
	decide := api.DecisionRequest{Kind: "ignore", Findings: []string{h.finding}, Remark: "r"}
	for _, test := range []struct {
		method, path string
		body         any
		status       int
	}{
		{"POST", fmt.Sprintf("/hosts/%d/revoke", s.dev.id), nil, 404},
		{"DELETE", fmt.Sprintf("/hosts/%d", s.dev.id), nil, 404},
		{"POST", fmt.Sprintf("/tasks/%d/stop", h.scan), nil, 404},
		{"POST", fmt.Sprintf("/tasks/%d/retry", h.scan), nil, 404},
		{"POST", fmt.Sprintf("/tasks/%d/stop", h.sync), nil, 404},
		{"PUT", fmt.Sprintf("/schedules/%d", h.schedule), api.Schedule{Name: "n", Trigger: "pull"}, 404},
		{"DELETE", fmt.Sprintf("/schedules/%d", h.schedule), nil, 404},
		{"POST", "/decisions", decide, 404},
		{"POST", "/decisions/preview", decide, 404},
		{"PUT", fmt.Sprintf("/decisions/%d", h.decision), api.Decision{Kind: "ignore", Vulnerability: h.vulnerability, Remark: "r"}, 404},
		{"DELETE", fmt.Sprintf("/decisions/%d", h.decision), nil, 404},
		// A part of the fleet does not rule the whole.
		{"PATCH", fmt.Sprintf("/hosts/%d", s.prod.id), map[string]any{"labels": map[string]string{"env": "all"}}, 403},
		{"GET", "/users", nil, 403},
		{"POST", "/users", map[string]any{"name": "eve", "role": "admin", "password": testPassword}, 403},
		{"PATCH", fmt.Sprintf("/users/%d", s.account("root")), map[string]any{"disabled": true}, 403},
		{"PATCH", fmt.Sprintf("/users/%d", s.account("anna")), map[string]any{"labels": []string{}}, 403},
		{"DELETE", fmt.Sprintf("/users/%d", s.account("root")), nil, 403},
		{"GET", "/enrolment-tokens", nil, 403},
		{"POST", "/enrolment-tokens", api.EnrolmentTokenRequest{}, 403},
		{"DELETE", "/enrolment-tokens/1", nil, 403},
		{"PUT", "/settings", api.DefaultSettings(), 403},
		{"GET", "/audit", nil, 403},
		{"POST", "/database/update", nil, 403},
		{"POST", "/database/import", []byte("x"), 403},
		{"DELETE", "/tokens/1", nil, 404}, // the other's
	} {
		s.asAnna(test.method, test.path, test.body, test.status)
	}
	if a := s.do(s.client(), "GET", "/metrics", nil, "Authorization", "Bearer "+s.anna); a.StatusCode != http.StatusForbidden {
		t.Errorf("figures of the whole fleet: %d", a.StatusCode)
	}
	var task api.Task
	if s.must(s.anna, "POST", "/syncs", api.SyncRequest{Hosts: []int64{s.dev.id}}, &task); task.Total != 0 {
		t.Errorf("the other host is asked for its images: %+v", task)
	}
	if s.must(s.anna, "POST", "/syncs", api.SyncRequest{All: true}, &task); task.Total != 1 {
		t.Errorf("all hosts are %d", task.Total)
	}
}

// No filter and no search finds what is out of sight, and no count counts it
// (SYS-08).
func TestSYS08OutOfSightInListsAndCounts(t *testing.T) {
	s := newTwoSights(t)
	h := &s.hidden
	type list struct {
		Items []any
		Total int64
	}
	ask := func(token, path string) (l list) {
		t.Helper()
		s.must(token, "GET", path, nil, &l)
		return l
	}
	host := fmt.Sprint(s.dev.id)
	name := url.QueryEscape(s.dev.Host(s.dev.number).Name)
	var installed api.Page[api.Installed]
	s.must(s.admin, "GET", fmt.Sprintf("/images/%d/software?limit=500", h.images[0]), nil, &installed)
	for _, query := range []string{
		"/hosts?q=" + name, "/hosts?label=env%3Ddev", "/hosts?vulnerability=" + h.open,
		"/images?host=" + host, "/images?label=env%3Ddev", "/images?hostName=" + name, "/images?q=" + h.digests[0], "/images?vulnerability=" + h.open,
		fmt.Sprintf("/images?ids=%d", h.images[0]),
		"/containers?host=" + host, "/containers?vulnerability=" + h.open, fmt.Sprintf("/containers?image=%d", h.images[0]),
		"/software?host=" + host, "/software?label=env%3Ddev", fmt.Sprintf("/software?image=%d", h.images[0]),
		"/findings?host=" + host, "/findings?label=env%3Ddev", fmt.Sprintf("/findings?image=%d", h.images[0]), "/findings?state=ignored&ids=" + h.finding,
		"/findings?vulnerability=" + h.vulnerability + "&state=open&state=ignored",
		"/vulnerabilities?host=" + host, "/vulnerabilities?label=env%3Ddev", "/vulnerabilities?handled=any&q=" + h.vulnerability,
		"/decisions?q=unseen", "/decision-events", "/tasks?kind=export", "/exports", "/schedules",
	} {
		if l := ask(s.admin, query); len(l.Items) == 0 {
			t.Errorf("%s finds nothing, for nobody", query)
		}
		if l := ask(s.anna, query); len(l.Items) > 0 || l.Total > 0 {
			t.Errorf("%s finds %d of %d out of sight", query, len(l.Items), l.Total)
		}
	}
	for path, want := range map[string]int64{
		"/images": int64(len(s.mine)), "/hosts": 1, fmt.Sprintf("/images?q=%s", s.mine[0].Digest): 1,
	} {
		if l := ask(s.anna, path); l.Total != want || int64(len(l.Items)) != want {
			t.Errorf("%s: %d of %d, want %d", path, len(l.Items), l.Total, want)
		}
	}
	var image api.Image
	if s.must(s.anna, "GET", fmt.Sprintf("/images/%d", s.shared), nil, &image); image.Hosts != 1 {
		t.Errorf("an image on both hosts is on %d", image.Hosts)
	}
	var presences api.Page[api.Presence]
	s.must(s.anna, "GET", fmt.Sprintf("/images/%d/presences", s.shared), nil, &presences)
	for _, p := range presences.Items {
		if p.HostID != s.prod.id {
			t.Errorf("the shared image is shown on %+v", p)
		}
	}
	var vulnerabilities api.Page[api.Vulnerability]
	s.must(s.anna, "GET", "/vulnerabilities?limit=500", nil, &vulnerabilities)
	for _, v := range vulnerabilities.Items {
		if v.Hosts != 1 || v.Images > int64(len(s.mine)) {
			t.Errorf("%s counts %d images on %d hosts", v.Name, v.Images, v.Hosts)
		}
	}
	var places api.Page[api.Place]
	s.must(s.anna, "GET", "/software/places?limit=500&name="+url.QueryEscape(installed.Items[0].Name), nil, &places)
	for _, p := range places.Items {
		if p.HostID != s.prod.id {
			t.Errorf("a place out of sight: %+v", p)
		}
	}
	var d api.Dashboard
	s.must(s.anna, "GET", "/dashboard", nil, &d)
	hosts := int64(0)
	for _, n := range d.Hosts {
		hosts += n
	}
	if hosts != 1 || d.Images != int64(len(s.mine)) || d.Database.Pending != -1 || d.Database.Current.Software != -1 {
		t.Errorf("the dashboard counts %d hosts, %d images, %+v", hosts, d.Images, d.Database)
	}
	var generations api.Page[api.Generation]
	if s.must(s.anna, "GET", "/generations", nil, &generations); generations.Items[0].NewFindings != -1 {
		t.Errorf("findings of the whole fleet: %+v", generations.Items[0])
	}
	// The scan of all images, which she sees a part of.
	var tasks api.Page[api.Task]
	s.must(s.anna, "GET", "/tasks", nil, &tasks)
	if len(tasks.Items) != 1 || tasks.Items[0].Total != int64(len(s.mine)) || tasks.Items[0].Succeeded != int64(len(s.mine)) {
		t.Errorf("tasks in sight: %+v", tasks.Items)
	}
	var preview api.Preview
	s.must(s.anna, "POST", "/decisions/preview", api.DecisionRequest{Kind: "ignore", All: true, Remark: "r"}, &preview)
	if a := s.call(s.admin, "POST", "/decisions", map[string]any{"kind": "ignore", "filter": map[string]any{}, "remark": "r"}, nil); a.StatusCode != http.StatusBadRequest || a.problem().Hint == "" {
		t.Errorf("a decision with an empty filter: %d %s", a.StatusCode, a.body)
	}
	if preview.Hosts != 1 || preview.Images > int64(len(s.mine)) || preview.Findings == 0 {
		t.Errorf("a decision about everything would reach %+v", preview)
	}
}

// readings returns for each route that people read from its addresses with IDs that
// exist, after it has made what there is to read.
func (s *twoSights) readings() map[string][]string {
	t := s.t
	t.Helper()
	for _, kind := range []string{"images", "findings", "vulnerabilities", "software", "decisions", "report"} {
		for _, format := range []string{"csv", "json", "html"} {
			s.must(s.anna, "POST", "/exports", api.ExportRequest{Kind: kind, Format: format}, nil)
		}
	}
	if err := s.makeExports(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.must(s.anna, "POST", "/schedules", api.Schedule{Name: "seen", Trigger: "pull"}, nil)
	var findings api.Page[api.Finding]
	s.must(s.anna, "GET", "/findings", nil, &findings)
	var decisions items[api.Decision]
	s.must(s.anna, "POST", "/decisions", api.DecisionRequest{Kind: "ignore", Findings: []string{findings.Items[0].ID}, Remark: "seen"}, &decisions)
	var exports api.Page[api.Export]
	s.must(s.anna, "GET", "/exports?limit=500", nil, &exports)
	var tasks api.Page[api.Task]
	s.must(s.anna, "GET", "/tasks?kind=scan", nil, &tasks)

	fill := strings.NewReplacer("{$}", "", "{page...}", "1", "{file}", "plimsoll.svg", "{finding}", findings.Items[1].ID, "{name}", findings.Items[1].Vulnerability,
		"/images/{id}", fmt.Sprintf("/images/%d", s.shared), "/hosts/{id}", fmt.Sprintf("/hosts/%d", s.prod.id), "/tasks/{id}", fmt.Sprintf("/tasks/%d", tasks.Items[0].ID),
		"/generations/{id}", "/generations/1", "/decisions/{id}", fmt.Sprintf("/decisions/%d", decisions.Items[0].ID))
	query := map[string]string{
		"GET /api/v1/software/places": "?name=" + url.QueryEscape(findings.Items[0].Package), "GET /api/v1/vulnerabilities/{name}": "?class=" + string(findings.Items[1].Class),
		"GET /api/v1/images/{id}/diff": fmt.Sprintf("?with=%d", s.mine[slices.IndexFunc(s.mine, func(i api.Image) bool { return i.ID != s.shared })].ID),
		"GET /api/v1/events":           fmt.Sprintf("?task=%d", tasks.Items[0].ID),
	}
	readings := make(map[string][]string)
	for pattern, rule := range s.rules {
		method, path, _ := strings.Cut(pattern, " ")
		switch {
		case method != "GET" || rule.need == agents:
		case strings.Contains(pattern, "/exports/{id}"):
			for _, e := range exports.Items {
				readings[pattern] = append(readings[pattern], strings.ReplaceAll(path, "{id}", fmt.Sprint(e.ID)))
			}
		default:
			readings[pattern] = []string{fill.Replace(path) + query[pattern]}
		}
	}
	return readings
}

// No answer to whoever sees a part tells of the rest, in any field. Every route that
// reads is asked, with IDs that exist.
func TestEveryAnswer(t *testing.T) {
	s := newTwoSights(t)
	if a := s.signIn("anna", testPassword).call("POST", "/tokens", api.APITokenRequest{Name: "seed", Role: plimsoll.RoleViewer}, nil); a.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	forbidden := []string{"GET /metrics", "GET /api/v1/users", "GET /api/v1/enrolment-tokens", "GET /api/v1/audit"} // to her
	out := append(slices.Clone(s.hidden.digests), fmt.Sprintf(`"hostID":%d,`, s.dev.id), fmt.Sprintf(`"hostID":%d}`, s.dev.id),
		s.dev.Host(s.dev.number).Name, s.hidden.vulnerability, s.hidden.open, "unseen")
	ask := func(token, path string, status int) {
		t.Helper()
		a := s.do(s.client(), "GET", path, nil, "Authorization", "Bearer "+token)
		if a.StatusCode != status || len(a.body) == 0 {
			t.Errorf("%s: %d %.200s, want %d", path, a.StatusCode, a.body, status)
		}
		for _, text := range out {
			if token == s.anna && bytes.Contains(a.body, []byte(text)) {
				t.Errorf("%s tells of what is out of sight: %s", path, text)
			}
		}
	}
	for pattern, paths := range s.readings() {
		for _, path := range paths {
			want := http.StatusOK
			if strings.HasPrefix(path, "/assets/") && !ui.Built() {
				want = http.StatusNotFound
			}
			if !strings.Contains(pattern, "/exports/{id}") { // hers alone
				ask(s.admin, path, want)
			}
			if slices.Contains(forbidden, pattern) {
				want = http.StatusForbidden
			}
			ask(s.anna, path, want)
		}
	}
}
