package server

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/e2e/loadgen"
	"plimsoll/store"
)

// fuzzed asks the console as who was let in: no answer is a fault, and every
// refusal says in a problem document what is wrong.
func (c *testConsole) fuzzed(t *testing.T, who caller, r *http.Request) {
	t.Helper()
	w := httptest.NewRecorder()
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, &request{id: "fuzz", caller: who, writer: w, raw: r}))
	if err := readable(r, rule{}); err != nil {
		c.fail(w, r, err)
	} else {
		c.mux.ServeHTTP(w, r)
	}
	if w.Code < 400 {
		return
	}
	var p Refusal
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Header().Get("Content-Type") != "application/problem+json" ||
		p.Status != w.Code || p.Code == "" || p.Title == "" || p.Detail == "" {
		t.Errorf("%s %s: %d %v %q", r.Method, r.URL, w.Code, w.Header(), w.Body)
	}
	if w.Code >= 500 {
		t.Errorf("%s %s: %d %s", r.Method, r.URL, w.Code, w.Body)
	}
}

var root = caller{name: "root", account: 1, role: plimsoll.RoleAdmin, scope: plimsoll.Everything, via: "session"}

func FuzzJoinToken(f *testing.F) {
	c := newTestConsole(f)
	secret, _ := newSecret()
	f.Add(c.ca.joinToken(7, secret))
	f.Add("plim1.+7.secret." + c.ca.pin())
	f.Add("plim1.9223372036854775808.." + c.ca.pin())
	f.Add("plim1....")
	f.Fuzz(func(t *testing.T, text string) {
		id, secret, err := c.ca.parseJoinToken(text)
		if err == nil && (id < 1 || c.ca.joinToken(id, secret) != text) {
			t.Errorf("%q was read as %d and %q", text, id, secret)
		}
	})
}

func FuzzQuery(f *testing.F) {
	c, _, _ := newFleet(f)
	paths := []string{"/images", "/hosts", "/software", "/software/places", "/findings", "/vulnerabilities", "/vulnerabilities/CVE-2018-1", "/containers",
		"/tasks", "/tasks/1/items", "/decisions", "/decision-events", "/vex-documents", "/audit", "/generations", "/generations/1/changes", "/exports", "/images/1/software",
		"/images/1/presences", "/images/1/sbom", "/events"}
	var page api.Page[api.Image]
	c.must(c.admin, "GET", "/images?limit=1&sort=name", nil, &page)
	for _, query := range []string{
		"", "limit=1&sort=name&cursor=" + page.Next, "sort=name&order=asc&cursor=" + page.Next, "cursor=e30", "cursor=bnVsbA", "cursor=%00", "cursor=" + strings.Repeat("A", 4000),
		"q=%25_%5C%27", "q=%ff", "q=a;b", "limit=-1", "limit=501", "limit=9223372036854775808", "ids=1&ids=2", "ids=a", "label=env%3Dprod", "label=%3D", "host=-1",
		"name=zlib&type=deb&below=1%3A2.0~rc1-1", "name=x&below=%C3%A9", "path=%2A%2A%2F%5B", "severity=high&severity=nonsense", "state=open&state=x", "since=9223372036854775807",
		"since=2026-01-01T00%3A00%3A00Z", "since=99999-01-01T00%3A00%3A00Z", "format=cyclonedx", "format=xlsx", "task=x", "task=999999", "minSeverity=critical", "minSeverity=x",
		"ids=1-1", "ids=9223372036854775808-1", "fix=fixed", "class=system", "risk=critical", "purl=pkg%3Adeb%2F", "queue=any", "gone=any", "sort=risk%20DESC", "sort=-name",
	} {
		for i := range paths {
			f.Add(uint8(i), query)
		}
	}
	f.Fuzz(func(t *testing.T, path uint8, query string) {
		target := api.PublicPath + paths[int(path)%len(paths)]
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if strings.HasSuffix(target, "/events") { // a stream that is let in does not end by itself
			cancel()
		}
		r := httptest.NewRequestWithContext(ctx, "GET", target, nil)
		r.URL.RawQuery = query
		c.fuzzed(t, root, r)
	})
}

func FuzzPublicBodies(f *testing.F) {
	c, _, _ := newFleet(f)
	routes := []string{"POST /scans", "POST /syncs", "POST /schedules", "PUT /schedules/1", "POST /decisions/preview", "POST /decisions", "POST /exports", "POST /users",
		"PATCH /users/1", "POST /tokens", "POST /enrolment-tokens", "PUT /settings", "PATCH /hosts/1", "POST /login", "POST /setup", "POST /vex-documents"}
	for _, body := range []string{
		"", "null", "{}", "[]", `{"a":1}`, `{"all":true}`, `{"images":[1,2]}`, `{"filter":{"q":"\u0000"}}`, `{"hosts":[9223372036854775807]}`,
		`{"name":"n","enabled":true,"trigger":"cron","cron":"* * * * *","selection":{"all":true}}`, `{"name":"n","trigger":"cron","cron":"0 0 31 2 *"}`, `{"name":"\ud800","trigger":"pull"}`,
		`{"kind":"ignore","findings":["1-1"],"remark":"r"}`, `{"kind":"ignore","filter":{"severity":["x"]},"remark":"r"}`,
		`{"rules":[{"kind":"whitelist","vulnerability":"CVE-2018-1","package":"p","repositories":["a*"],"labels":["env=prod"],"remark":"r","expires":"9999-12-31T23:59:59Z"}]}`,
		`{"kind":"findings","format":"csv"}`, `{"kind":"report","format":"xlsx"}`, `{"kind":"images","format":"html","images":{"risk":["high"]}}`,
		`{"name":"anna","role":"viewer","password":"correct horse battery","labels":["env=prod"]}`, `{"name":"a b","role":"viewer"}`, `{"role":"root"}`,
		`{"uses":3,"ttl":60,"labels":{"env":"prod"}}`, `{"labels":{"a=b":"c\u0000"}}`, `{"scansPerHour":0,"hostConcurrency":1,"window":"22:00-06:00"}`,
		`{"name":"root","password":"wrong"}`, `{"token":"t","name":"n","password":"correct horse battery"}`, strings.Repeat(`{"filter":`, 10_000),
		`{"@context":"https://openvex.dev/ns","statements":[{"vulnerability":"CVE-2018-1","status":"fixed","products":["pkg:npm/a@1"]}]}`,
	} {
		for i := range routes {
			f.Add(uint8(i), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, route uint8, body []byte) {
		method, path, _ := strings.Cut(routes[int(route)%len(routes)], " ")
		r := httptest.NewRequestWithContext(t.Context(), method, api.PublicPath+path, bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		c.fuzzed(t, root, r)
	})
}

func FuzzAgentBodies(f *testing.F) {
	c, prod, _ := newFleet(f)
	host := caller{name: "host 1", via: "agent", host: store.AgentHost{ID: prod.id}}
	lease := prod.lease()
	routes := []string{"POST /sync", "POST /heartbeat", "PUT /results/r", "POST /renew", "POST /enrol", "POST /leases/" + lease.ID + "/progress",
		"PUT /facts?key=k&analyzers=a&diff=" + string(prod.ImageID(0))}
	seed := func(v any) []byte {
		text, err := json.Marshal(v)
		if err != nil {
			f.Fatal(err)
		}
		return text
	}
	small := loadgen.Fleet{Size: loadgen.Size{Hosts: 1, PerHost: 1, Distinct: 1, Seed: 1}}
	result := prod.result("r", lease)
	few := *result.Inventory
	few.Packages = few.Packages[:2]
	result.Inventory = &few
	failed := api.ScanResult{Report: "r", Lease: lease.ID, Image: lease.Image, Status: plimsoll.ScanFailed, Problem: &api.Problem{Code: "c", Detail: "d"}}
	_, csr := newCSR(f)
	for _, body := range [][]byte{
		{}, []byte("{}"), []byte("null"), []byte("[[[["), []byte(`{"host":{"name":"\u0000"}}`), []byte(`{"images":[{"id":"sha256:"}]}`), []byte(`{"seq":1e400}`),
		seed(small.Sync(0, 9, time.Now())), seed(api.Heartbeat{MachineID: "m", Boot: "b", Now: time.Now()}), seed(result), seed(failed), seed(api.Renew{CSR: csr}),
		seed(api.Enrol{Token: "plim1.1.x." + c.ca.pin(), CSR: csr, Host: api.HostFacts{Name: "h"}}), seed(api.Progress{Done: -1, Total: 1}),
		[]byte(`{"now":"9999-12-31T23:59:59.999999999Z","dropped":-9223372036854775808}`), []byte(`{"status":"complete","inventory":{"packages":[{}]}}`),
	} {
		for i := range routes {
			for e := range 3 {
				f.Add(uint8(i), uint8(e), body)
			}
		}
	}
	f.Fuzz(func(t *testing.T, route, encoding uint8, body []byte) {
		method, path, _ := strings.Cut(routes[int(route)%len(routes)], " ")
		r := httptest.NewRequestWithContext(t.Context(), method, api.AgentPath+path, bytes.NewReader(body))
		r.Header.Set("Content-Encoding", []string{"", "zstd", "gzip"}[int(encoding)%3])
		for i := 0; i+1 < len(protocol); i += 2 {
			r.Header.Set(protocol[i], protocol[i+1])
		}
		c.fuzzed(t, host, r)
	})
}
