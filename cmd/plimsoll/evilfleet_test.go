package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"plimsoll"
	"plimsoll/api"
)

// evilFleet is console and agent in this process, on an evil world.
type evilFleet struct {
	*evilWorld
	client *http.Client
	url    string
	stop   func() (log string)
	seen   map[string]int  // kinds of answers
	texts  map[string]bool // in answers of JSON
}

// stream is what a running program has written so far.
type stream struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *stream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *stream) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

var setupLink = regexp.MustCompile(`(https://\S+)/setup#token=(\S+)`)

// up starts the program, lets the first administrator in, and waits until all
// images are read and judged.
func (w *evilWorld) up() *evilFleet {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var stderr stream
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"up", "--listen", "127.0.0.1:0", "--engine", "docker", "--docker-root", w.root,
			"--osv", w.osv, "--kev", "", "--epss", "", "-v", "--log-format", "json"}, strings.NewReader(""), io.Discard, &stderr)
	}()
	jar, _ := cookiejar.New(nil)
	f := &evilFleet{evilWorld: w, seen: map[string]int{}, texts: map[string]bool{}, client: &http.Client{Jar: jar, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // the console is this process
	}}}
	f.stop = sync.OnceValue(func() string {
		cancel()
		if code := <-ended; code != exitOK {
			w.t.Errorf("it ended with code %d", code)
		}
		f.client.CloseIdleConnections()
		return stderr.String()
	})
	w.t.Cleanup(func() { f.stop() })
	var link []string
	f.until("it gives its link", func() bool {
		if len(ended) > 0 {
			w.t.Fatalf("it ended: %s", stderr.String())
		}
		link = setupLink.FindStringSubmatch(stderr.String())
		return link != nil
	})
	f.url = link[1]
	f.must("POST", "/setup", api.Setup{Token: link[2], Name: "root", Password: "correct horse battery"}, nil)
	var images api.Page[api.Image]
	f.until("the agent has listed its images", func() bool {
		f.must("GET", "/images", nil, &images)
		return len(images.Items) == evilImages
	})
	var task api.Task
	f.must("POST", "/scans", api.ScanRequest{Selection: api.Selection{All: true}, Force: true, Title: cut(w.strings[0], 200)}, &task)
	f.until("all is read", func() bool {
		f.must("GET", fmt.Sprint("/tasks/", task.ID), nil, &task)
		return task.State != plimsoll.TaskQueued && task.State != plimsoll.TaskRunning
	})
	if task.Failed > 0 || task.Succeeded+task.Partial != evilImages {
		w.t.Errorf("what images say makes their scans fail: %+v", task)
	}
	var findings api.Page[api.Finding]
	f.until("all is judged", func() bool {
		f.must("GET", "/findings", nil, &findings)
		return len(findings.Items) > 0
	})
	return f
}

// until waits for a state; the end of the whole test is the limit.
func (f *evilFleet) until(what string, ok func() bool) {
	f.t.Helper()
	for !ok() {
		select {
		case <-f.t.Context().Done():
			f.t.Fatalf("never: %s", what)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// ask returns the status and the body of an answer, which does nothing to whoever
// looks at it.
func (f *evilFleet) ask(method, path string, in any) (int, []byte) {
	f.t.Helper()
	for {
		var body io.Reader
		switch in := in.(type) {
		case nil:
		case []byte:
			body = bytes.NewReader(in)
		default:
			body = strings.NewReader(asJSON(in))
		}
		r, err := http.NewRequest(method, f.url+path, body)
		if err != nil {
			f.t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		resp, err := f.client.Do(r)
		if err != nil {
			f.t.Fatal(err)
		}
		out, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			f.t.Fatal(err)
		}
		if resp.StatusCode == http.StatusTooManyRequests {
			time.Sleep(100 * time.Millisecond) // as it says
			continue
		}
		if resp.StatusCode >= 500 {
			f.t.Errorf("%s %.200s: %d %.300s", method, path, resp.StatusCode, out)
		}
		for name, values := range resp.Header {
			for _, v := range values {
				if err := harmful("header", []byte(v)); err != nil {
					f.t.Errorf("%s %.200s: header %s: %v", method, path, name, err)
				}
			}
		}
		media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		f.seen[media]++
		switch {
		case len(out) == 0:
		case strings.HasSuffix(media, "json"):
			err = harmful("json", out)
			f.remember(out)
		case media == "text/csv":
			err = harmful("csv", out)
		case media == "text/html":
			err = harmful("html", out)
		case strings.HasSuffix(media, ".sheet"):
			err = harmfulSheet(out)
		default:
			err = harmful("text", out)
		}
		if err != nil {
			f.t.Errorf("%s %.200s: %s: %v", method, path, media, err)
		}
		return resp.StatusCode, out
	}
}

// remember notes every text of an answer.
func (f *evilFleet) remember(body []byte) {
	d := json.NewDecoder(bytes.NewReader(body))
	for {
		token, err := d.Token()
		if err != nil {
			return
		}
		if s, ok := token.(string); ok {
			f.texts[s] = true
		}
	}
}

// must asks the API for what it has to give.
func (f *evilFleet) must(method, path string, in, out any) {
	f.t.Helper()
	status, body := f.ask(method, api.PublicPath+path, in)
	if status >= 300 {
		f.t.Fatalf("%s %s: %d %.500s", method, path, status, body)
	}
	if out != nil {
		if err := json.Unmarshal(body, out); err != nil {
			f.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
}

// What an image, an engine, a feed, a VEX document or a user says is in every
// answer, file and log of a console, and is nothing but text there.
func TestEvilStringsThroughAFleet(t *testing.T) {
	f := newEvilWorld(t).up()
	f.say()
	f.readEverything()
	f.takeEverythingAway()
	if status, _ := f.ask("GET", "/metrics", nil); status != http.StatusOK {
		t.Errorf("/metrics: %d", status)
	}
	for media, least := range map[string]int{"application/json": 100, "application/problem+json": 50, "text/csv": 5, "text/html": 5, "text/plain": 1,
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": 5, "application/vnd.cyclonedx+json": 2, "application/spdx+json": 2} {
		if f.seen[media] < least {
			t.Errorf("only %d answers of %s: %v", f.seen[media], media, f.seen)
		}
	}
	shown := 0
	for _, evil := range f.strings {
		if f.texts[evil] || f.texts[strings.TrimSpace(strings.ToValidUTF8(evil, string(utf8.RuneError)))] {
			shown++
		}
	}
	if shown < len(f.strings)-5 { // all but the longest and what no text may hold
		t.Errorf("only %d of %d texts are in the answers", shown, len(f.strings))
	}
	log := f.stop()
	if n := strings.Count(log, "\n"); n < 150 {
		t.Errorf("the log has %d lines", n)
	}
	if err := harmful("log", []byte(log)); err != nil {
		t.Errorf("log: %v", err)
	}
	for _, args := range [][]string{{"token", "list"}, {"user", "list"}, {"db", "status"}} {
		stdout, stderr, code := f.run(args...)
		if err := harmful("table", []byte(strings.ReplaceAll(stdout, "\t", " ")+stderr)); err != nil || code != exitOK {
			t.Errorf("%v: exit code %d: %v", args, code, err)
		}
	}
}

// say gives evil strings to whatever takes text from people.
func (f *evilFleet) say() {
	f.t.Helper()
	accepted := map[string]int{}
	for i, evil := range f.strings {
		word := strings.ToValidUTF8(cut(evil, 100), "?")
		text := strings.ToValidUTF8(cut(evil, 2000), "?")
		for n, call := range []struct {
			method, path string
			body         any
		}{
			{"POST", "/decisions", api.DecisionRequest{Rules: []api.Decision{{Kind: plimsoll.DecisionWhitelist, Vulnerability: word, Package: word, Path: word, Repositories: []string{word}, Remark: text}}}},
			{"POST", "/decisions", api.DecisionRequest{Rules: []api.Decision{{Kind: plimsoll.DecisionWhitelist, Vulnerability: "CVE-2026-1003", Package: word, Remark: text}}}},
			{"POST", "/tokens", api.APITokenRequest{Name: word, Role: plimsoll.RoleViewer}},
			{"POST", "/enrolment-tokens", api.EnrolmentTokenRequest{Labels: plimsoll.Labels{"evil": word}}},
			{"POST", "/enrolment-tokens", api.EnrolmentTokenRequest{Labels: plimsoll.Labels{word: "evil"}}},
			{"POST", "/schedules", api.Schedule{Name: word, Trigger: "new-image", Enabled: true}},
			{"POST", "/schedules", api.Schedule{Name: "evil", Trigger: "cron", Cron: word}},
			{"POST", "/users", map[string]any{"name": word, "role": "viewer", "password": "correct horse battery"}},
			{"POST", "/users", map[string]any{"name": "evil", "role": "viewer", "password": "correct horse battery", "labels": []string{"evil=" + word}}},
			{"POST", "/scans", api.ScanRequest{Selection: api.Selection{Label: "evil=" + word}, Title: word}},
			{"PATCH", "/hosts/1", map[string]any{"labels": map[string]string{"evil": word}}},
			{"PUT", "/settings", map[string]any{"window": word}},
			{"POST", "/vex-documents?file=" + url.QueryEscape(cut(evil, 1000)), []byte(evil)},
			{"POST", "/vex-documents?file=" + url.QueryEscape(word), map[string]any{
				"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/" + word, "author": text, "timestamp": "2026-11-01T00:00:00Z", "version": 1, "tooling": text,
				"statements": []map[string]any{{"vulnerability": map[string]string{"name": "CVE-2026-1004"}, "products": []map[string]string{{"@id": "pkg:npm/victim"}}, "status": "not_affected",
					"justification": "component_not_present", "impact_statement": text, "action_statement": text}},
			}},
		} {
			if n%7 != i%7 { // the console takes so many requests a second
				continue
			}
			if status, _ := f.ask(call.method, api.PublicPath+call.path, call.body); status < 300 {
				path, _, _ := strings.Cut(call.path, "?")
				accepted[path]++
			}
		}
	}
	for _, path := range []string{"/decisions", "/tokens", "/schedules", "/vex-documents", "/hosts/1"} {
		if accepted[path] == 0 {
			f.t.Errorf("%s took nothing: %v", path, accepted)
		}
	}
}

// readEverything reads every list to its end and everything that is in one, and
// asks each for evil.
func (f *evilFleet) readEverything() {
	f.t.Helper()
	var document struct {
		Paths map[string]map[string]struct {
			Parameters []struct{ Name, In string }
		}
	}
	_, body := f.ask("GET", "/openapi.json", nil)
	if err := json.Unmarshal(body, &document); err != nil {
		f.t.Fatal(err)
	}
	var forms []string
	for form, item := range document.Paths {
		if _, ok := item["get"]; ok && !strings.HasSuffix(form, "/events") { // of the console: it does not end
			forms = append(forms, form)
		}
	}
	slices.Sort(forms) // a list before what is in it
	members := map[string][]string{}
	for _, form := range forms {
		list, rest, one := strings.Cut(form, "/{")
		paths := []string{form}
		if one {
			_, rest, _ = strings.Cut(rest, "}")
			paths = nil
			for _, id := range members[list] {
				paths = append(paths, list+"/"+url.PathEscape(id)+rest)
			}
			if len(paths) == 0 && list != api.PublicPath+"/exports" {
				f.t.Errorf("%s: the list is empty", form)
			}
		}
		for _, path := range paths {
			f.read(path, members)
			if path == paths[0] && (strings.HasSuffix(path, "/sbom") || strings.HasSuffix(path, "/report")) {
				for _, format := range []string{"json", "html", "csv", "cyclonedx", "spdx"} {
					f.ask("GET", path+"?format="+format, nil)
				}
			}
		}
		for i, p := range document.Paths[form]["get"].Parameters {
			if p.In == "query" && !one {
				f.ask("GET", paths[0]+"?"+p.Name+"="+url.QueryEscape(cut(f.strings[i%len(f.strings)], 1000)), nil)
			}
		}
	}
	for i, evil := range f.strings {
		path := []string{"/images?q=", "/images?", "/vulnerabilities/", "/findings?cursor="}[i%4]
		f.ask("GET", api.PublicPath+path+url.QueryEscape(cut(evil, 1000)), nil)
	}
}

// read reads all pages at path and remembers what is in them.
func (f *evilFleet) read(path string, members map[string][]string) {
	f.t.Helper()
	const most = 5 // members of a list that are read one by one
	cursor := ""
	for {
		_, body := f.ask("GET", path+cursor, nil)
		var page api.Page[struct{ ID, Name any }]
		if json.Unmarshal(body, &page) != nil {
			return
		}
		for _, item := range page.Items {
			id := item.ID
			if strings.HasSuffix(path, "/vulnerabilities") {
				id = item.Name
			}
			if id != nil && len(members[path]) < most {
				members[path] = append(members[path], fmt.Sprint(id))
			}
		}
		if page.Next == "" {
			return
		}
		cursor = "?cursor=" + url.QueryEscape(page.Next)
	}
}

// takeEverythingAway makes every export there is.
func (f *evilFleet) takeEverythingAway() {
	f.t.Helper()
	made := 0
	for _, kind := range []string{"findings", "vulnerabilities", "images", "software", "decisions", "report", "vex"} {
		for _, format := range []string{"csv", "xlsx", "json", "html", "cyclonedx", "spdx", "openvex"} {
			var e api.Export
			status, body := f.ask("POST", api.PublicPath+"/exports", api.ExportRequest{Kind: kind, Format: format})
			if status == http.StatusBadRequest {
				continue // there is no such file
			}
			if err := json.Unmarshal(body, &e); err != nil || status >= 300 {
				f.t.Fatalf("%s as %s: %d %s", kind, format, status, body)
			}
			f.until("the export is made", func() bool {
				f.must("GET", fmt.Sprint("/exports/", e.ID), nil, &e)
				return e.State != plimsoll.TaskQueued && e.State != plimsoll.TaskRunning
			})
			if e.State != plimsoll.TaskSucceeded || e.Rows == 0 && filepath.Ext(e.FileName) != ".json" {
				f.t.Errorf("%s as %s: %s, %d rows: %s", kind, format, e.State, e.Rows, e.Detail)
			}
			f.must("GET", fmt.Sprintf("/exports/%d/content", e.ID), nil, nil)
			made++
		}
	}
	if made < 25 {
		f.t.Errorf("only %d exports", made)
	}
}
