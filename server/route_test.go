package server

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// target is a concrete address for a route's pattern: of nothing that exists,
// so that walking all routes changes nothing.
func target(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	path = strings.TrimSuffix(path, "{$}")
	if path == api.PublicPath+"/events" {
		path += "?task=999999" // or it would last
	}
	return method, strings.NewReplacer("{page...}", "5", "{file}", "none.js", "{id}", "999999", "{finding}", "999999-1", "{name}", "CVE-2000-0001", "{report}", "none").Replace(path)
}

// Every route, of the document or not, refuses whoever is not known with 401 and
// whoever may not with 403, before it looks at anything else.
func TestEveryRouteByRole(t *testing.T) {
	c := newTestConsole(t).setUp()
	roles := []plimsoll.Role{plimsoll.RoleViewer, plimsoll.RoleOperator, plimsoll.RoleAdmin}
	tokens := map[plimsoll.Role]string{plimsoll.RoleAdmin: c.admin}
	for _, role := range roles[:2] {
		c.user(string(role), role)
		tokens[role] = c.token(string(role), role)
	}
	open := []string{
		"GET /", "GET /login", "GET /setup", "GET /assets/none.js", "GET /docs", "GET /docs/docs.js", "GET /docs/docs.css", "GET /openapi.json",
		"GET /api/v1/openapi.json", "GET /healthz", "GET /readyz", "POST /api/v1/login", "POST /api/v1/setup", "POST /agent/v1/enrol",
	}
	for _, area := range []string{"images", "vulnerabilities", "software", "hosts", "tasks", "decisions", "settings"} {
		open = append(open, "GET /"+area, "GET /"+area+"/5")
	}
	client := c.client()
	ask := func(method, path, token string) int {
		var body any
		if changes(method) {
			body = struct{}{}
		}
		header := slices.Clone(protocol)
		if token != "" {
			header = append(header, "Authorization", "Bearer "+token)
		}
		a := c.do(client, method, path, body, header...)
		if p := a.problem(); a.StatusCode >= 400 && (a.Header.Get("Content-Type") != "application/problem+json" || p.Status != a.StatusCode || p.Code == "" || p.Detail == "") {
			t.Errorf("%s %s is refused with %s", method, path, a.body)
		}
		return a.StatusCode
	}
	for _, pattern := range slices.Sorted(maps.Keys(c.rules)) {
		rule := c.rules[pattern]
		method, path := target(pattern)
		status := ask(method, path, "")
		if slices.Contains(open, method+" "+path) != (rule.need == anybody) {
			t.Errorf("%s is open to anybody: %t", pattern, rule.need == anybody)
		}
		if refused := status == http.StatusUnauthorized; refused == (rule.need == anybody) {
			t.Errorf("%s without credentials: %d", pattern, status)
		}
		if status := ask(method, path, "plt_invented"); rule.need != anybody && status != http.StatusUnauthorized {
			t.Errorf("%s with an invented token: %d", pattern, status)
		}
		for _, role := range roles {
			status := ask(method, path, tokens[role])
			want := rule.need == anybody || role.Allows(plimsoll.Role(rule.need))
			switch {
			case rule.need == agents && status != http.StatusUnauthorized:
				t.Errorf("%s with a user's token: %d", pattern, status)
			case rule.need != agents && !want && status != http.StatusForbidden:
				t.Errorf("%s as %s: %d, want 403", pattern, role, status)
			case want && (status == http.StatusUnauthorized || status == http.StatusForbidden || status == http.StatusInternalServerError):
				t.Errorf("%s as %s: %d", pattern, role, status)
			}
		}
	}
	for path, item := range c.api.OpenAPI().Paths {
		for _, m := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			declared := reflect.ValueOf(item).Elem().FieldByName(m[:1] + strings.ToLower(m[1:])).Pointer()
			if _, ok := c.rules[m+" "+path]; declared != 0 && !ok {
				t.Errorf("%s %s is in the document but has no rule", m, path)
			}
		}
	}
	if len(c.rules) < 60 {
		t.Errorf("only %d routes were walked", len(c.rules))
	}
}

// What has no rule is not served, even if the mux knows it.
func TestNoRuleNoAnswer(t *testing.T) {
	c := newTestConsole(t).setUp()
	c.mux.HandleFunc("GET /forgotten", func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("secret")) })
	if a := c.do(c.client(), "GET", "/forgotten", nil, "Authorization", "Bearer "+c.admin); a.StatusCode != http.StatusForbidden || bytes.Contains(a.body, []byte("secret")) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	for path, want := range map[string]int{"/nothing": 404, "/api/v1/nothing": 404, "/api/v1/login": 405} {
		a := c.do(c.client(), "GET", path, nil)
		if a.StatusCode != want || a.Header.Get("Content-Type") != "application/problem+json" || a.problem().Code == "" {
			t.Errorf("GET %s: %d %s", path, a.StatusCode, a.body)
		}
	}
}

// Enumerated sort keys in the document are those that the store knows.
func TestSortKeys(t *testing.T) {
	for _, test := range []struct {
		input any
		want  []string
	}{
		{imagesInput{}, api.ImageSorts}, {softwareInput{}, api.SoftwareSorts}, {hostsInput{}, api.HostSorts},
		{vulnerabilitiesInput{}, api.VulnerabilitySorts}, {findingsInput{}, api.FindingSorts},
	} {
		field, _ := reflect.TypeOf(test.input).FieldByName("Sort")
		if got := field.Tag.Get("enum"); got != strings.Join(test.want, ",") {
			t.Errorf("%T: %s, want %v", test.input, got, test.want)
		}
	}
	c := newTestConsole(t).setUp()
	for path, keys := range map[string][]string{"/images": api.ImageSorts, "/software": api.SoftwareSorts, "/hosts": api.HostSorts, "/vulnerabilities": api.VulnerabilitySorts, "/findings": api.FindingSorts} {
		for _, key := range append(slices.Clone(keys), "nonsense; DROP TABLE host") {
			a := c.call(c.admin, "GET", path+"?sort="+strings.ReplaceAll(key, " ", "%20"), nil, nil)
			if want := slices.Contains(keys, key); (a.StatusCode == http.StatusOK) != want {
				t.Errorf("%s by %q: %d %s", path, key, a.StatusCode, a.body)
			}
		}
	}
}

// A parameter that a route does not take is refused by its name, whatever it is
// called, and never taken for a filter that finds everything.
func TestUnknownParameters(t *testing.T) {
	c := newTestConsole(t).setUp()
	c.limits.credential = newLimits(time.Microsecond, 1000) // as fast as the machine can
	asked := 0
	for _, pattern := range slices.Sorted(maps.Keys(c.rules)) {
		method, path := target(pattern)
		rule := c.rules[pattern]
		if rule.need == agents || rule.query == nil || strings.Contains(path, "?") {
			continue
		}
		asked++
		for _, name := range []string{"severty", "Limit", ""} {
			var body any
			if changes(method) {
				body = struct{}{}
			}
			a := c.do(c.client(), method, path+"?"+name+"=1", body, "Authorization", "Bearer "+c.admin)
			if p := a.problem(); a.StatusCode != http.StatusBadRequest || p.Code != plimsoll.CodeInvalid || !strings.Contains(p.Detail, fmt.Sprintf("%q", name)) || p.Hint == "" {
				t.Errorf("%s with %q: %d %s", pattern, name, a.StatusCode, a.body)
			}
		}
	}
	if asked < 60 {
		t.Errorf("only %d routes were asked", asked)
	}
	for path, want := range map[string]int{"/images?risk=low&risk=high&limit=1": http.StatusOK, "/findings?severty=critical": http.StatusBadRequest, "/me?": http.StatusOK} {
		if a := c.call(c.admin, "GET", path, nil, nil); a.StatusCode != want {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
}

// What a browser is told holds for every answer, errors too.
func TestHeaders(t *testing.T) {
	c := newTestConsole(t)
	for _, path := range []string{"/docs", "/docs/docs.js", "/assets/none.js", "/openapi.json", "/api/v1/images", "/nothing"} {
		a := c.do(c.client(), "GET", path, nil)
		for header, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
			"X-Content-Type-Options":  "nosniff", "Referrer-Policy": "no-referrer", "Strict-Transport-Security": "max-age=31536000",
		} {
			if got := a.Header.Get(header); got != want {
				t.Errorf("%s: %s is %q, want %q", path, header, got, want)
			}
		}
	}
	page, err := assets.ReadFile("docs/docs.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<script>", "<style", " style=", " onclick=", "http://", "https://", "//cdn"} {
		if bytes.Contains(page, []byte(bad)) {
			t.Errorf("docs.html holds %s, which its own policy forbids", bad)
		}
	}
}

// A request that a browser makes for another site is refused on every route that
// changes something, whatever cookie comes with it.
func TestOtherSites(t *testing.T) {
	c := newTestConsole(t).setUp()
	root := c.signIn("root", testPassword)
	routes := 0
	for pattern, rule := range c.rules {
		method, path := target(pattern)
		if !changes(method) || rule.need == agents {
			continue
		}
		routes++
		for _, header := range [][]string{{"Origin", "https://evil.example"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "null"}} {
			a := c.do(root.client, method, path, struct{}{}, header...)
			if path == api.AgentPath+"/enrol" {
				a = c.do(root.client, method, path, struct{}{}, append(header, protocol...)...)
			}
			if a.StatusCode != http.StatusForbidden || !strings.Contains(a.problem().Detail, "another site") {
				t.Errorf("%s with %v: %d %s", pattern, header, a.StatusCode, a.body)
			}
		}
	}
	if routes < 20 || !root.signedIn() {
		t.Errorf("%d routes were asked, signed in %t", routes, root.signedIn())
	}
	if a := c.do(root.client, "POST", api.PublicPath+"/logout", struct{}{}, "Origin", c.url, "Sec-Fetch-Site", "same-origin"); a.StatusCode != http.StatusNoContent {
		t.Errorf("the console's own page: %d %s", a.StatusCode, a.body)
	}
}

func TestAuditOfChanges(t *testing.T) {
	c := newTestConsole(t).setUp()
	role := plimsoll.RoleViewer
	c.must(c.admin, "POST", "/users", api.UserRequest{Name: "anna", Role: &role, Password: testPassword}, nil)
	c.call(c.admin, "DELETE", "/users/999", nil, nil)
	c.user("viewer", plimsoll.RoleViewer)
	c.call(c.token("viewer", plimsoll.RoleViewer), "DELETE", "/users/1", nil, nil)
	c.do(c.client(), "POST", api.PublicPath+"/login", api.Login{Name: "anna", Password: "wrong, wrong, wrong"})
	var log api.Page[api.AuditEntry]
	c.must(c.admin, "GET", "/audit?limit=500", nil, &log)
	var got []string
	for _, e := range log.Items {
		got = append(got, fmt.Sprint(e.Action, " ", e.User, " ", e.Via, " ", e.Object, " ", e.OK))
		if strings.Contains(e.Detail, testPassword) || e.At.Before(time.Now().Add(-time.Hour)) {
			t.Errorf("%+v", e)
		}
	}
	for _, want := range []string{
		"add-user root token  true", "remove-user root token id=999 false", "remove-user viewer token id=1 false", "login anna session  false",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("no entry %q in %q", want, got)
		}
	}
}

// Parameters of lists reach the store: pages are as long as asked and follow one
// another.
func TestPages(t *testing.T) {
	c, prod, _ := newFleet(t)
	var whole, first, second api.Page[api.Image]
	c.must(c.admin, "GET", "/images?sort=name&order=asc", nil, &whole)
	c.must(c.admin, "GET", "/images?sort=name&order=asc&limit=2", nil, &first)
	if len(first.Items) != 2 || first.Next == "" {
		t.Fatalf("%d images, next %q", len(first.Items), first.Next)
	}
	c.must(c.admin, "GET", "/images?sort=name&order=asc&limit=2&cursor="+first.Next, nil, &second)
	if len(whole.Items) < 4 || first.Items[1].ID != whole.Items[1].ID || second.Items[0].ID != whole.Items[2].ID {
		t.Errorf("pages do not follow one another: %d %d", len(whole.Items), len(second.Items))
	}
	var host api.Host
	c.must(c.admin, "PATCH", fmt.Sprintf("/hosts/%d", prod.id), map[string]any{"labels": map[string]string{"site": "lab"}}, &host)
	if host.ID != prod.id || host.Labels["site"] != "lab" || host.Labels["env"] != "" {
		t.Errorf("labelled %+v", host)
	}
	if a := c.call(c.admin, "GET", "/images?limit=501", nil, nil); a.StatusCode != http.StatusUnprocessableEntity || a.problem().Code != plimsoll.CodeInvalid {
		t.Errorf("too long a page: %d %s", a.StatusCode, a.body)
	}
}
