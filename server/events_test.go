package server

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/store"
)

// stream is a stream of events that is being read.
type stream struct {
	t      *testing.T
	body   io.Closer
	events chan event // closed at its end
}

type event struct{ name, data string }

// watch opens a stream of events.
func (c *testConsole) watch(t *testing.T, token, query string) *stream {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", c.url+api.PublicPath+"/events"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	response, err := c.client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/event-stream" {
		text, _ := io.ReadAll(response.Body)
		t.Fatalf("%d %s", response.StatusCode, text)
	}
	s := &stream{t: t, body: response.Body, events: make(chan event)}
	go func() {
		defer close(s.events)
		var e event
		lines := bufio.NewScanner(response.Body)
		for lines.Scan() {
			key, value, _ := strings.Cut(lines.Text(), ": ")
			switch key {
			case "event":
				e.name = value
			case "data":
				e.data = value
			case "":
				if e.name == "" { // after a comment
					continue
				}
				select {
				case s.events <- e:
				case <-t.Context().Done():
					return
				}
				e = event{}
			}
		}
	}()
	return s
}

// next returns the next event, none at the end of the stream.
func (s *stream) next() event { return <-s.events }

// nextBut is next without events of one kind: PostgreSQL may bring those of what was
// before late.
func (s *stream) nextBut(kind string) event {
	for {
		if e := s.next(); e.name != kind {
			return e
		}
	}
}

// tasks reads a task's events to the end of the stream.
func (s *stream) tasks() (list []api.Task) {
	s.t.Helper()
	for e := range s.events {
		var task api.Task
		if err := json.Unmarshal([]byte(e.data), &task); err != nil || e.name != "task" {
			s.t.Fatalf("%+v: %v", e, err)
		}
		list = append(list, task)
	}
	return list
}

// A task's progress is told as it goes; the stream ends with the task.
func TestProgressOfATask(t *testing.T) {
	c, prod, dev := newFleet(t)
	var task api.Task
	c.must(c.admin, "POST", "/scans", api.ScanRequest{Selection: api.Selection{All: true}, Force: true}, &task)
	s := c.watch(t, c.admin, fmt.Sprintf("?task=%d", task.ID))
	var first api.Task
	if e := s.next(); json.Unmarshal([]byte(e.data), &first) != nil || first.State != plimsoll.TaskQueued || first.Total != task.Total {
		t.Fatalf("at first: %+v", e)
	}
	prod.read()
	dev.read()
	told := s.tasks()
	if len(told) == 0 || told[len(told)-1].State != plimsoll.TaskSucceeded || told[len(told)-1].Succeeded != task.Total {
		t.Fatalf("told %+v", told)
	}
	for i := 1; i < len(told); i++ {
		if told[i].Succeeded < told[i-1].Succeeded || told[i-1].State.Final() {
			t.Errorf("%+v is followed by %+v", told[i-1], told[i])
		}
	}
	// One that has ended is told once.
	if told := c.watch(t, c.admin, fmt.Sprintf("?task=%d", task.ID)).tasks(); len(told) != 1 || !told[0].State.Final() {
		t.Errorf("afterwards: %+v", told)
	}
}

// Who reads late gets the end all the same, and keeps nobody waiting.
func TestSlowReader(t *testing.T) {
	c, prod, dev := newFleet(t)
	var task api.Task
	c.must(c.admin, "POST", "/scans", api.ScanRequest{Selection: api.Selection{All: true}, Force: true}, &task)
	var slow []*stream
	for range 5 {
		slow = append(slow, c.watch(t, c.admin, fmt.Sprintf("?task=%d", task.ID)))
	}
	prod.read()
	dev.read()
	if state := c.task(task.ID).State; state != plimsoll.TaskSucceeded {
		t.Errorf("while nobody reads the task is %s", state)
	}
	for _, s := range slow {
		if told := s.tasks(); told[len(told)-1].State != plimsoll.TaskSucceeded {
			t.Errorf("told %+v", told)
		}
	}
}

// stuck is a reader that never reads: each write lasts until its deadline.
type stuck struct {
	*httptest.ResponseRecorder
	mu       sync.Mutex
	deadline time.Time
	read     int // writes until it is stuck
	said     chan struct{}
}

func (w *stuck) SetWriteDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = t
	if t.IsZero() {
		select {
		case w.said <- struct{}{}:
		default:
		}
	}
	return nil
}

func (w *stuck) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deadline.IsZero() {
		panic("a write that may last for ever")
	}
	if w.read--; w.read < 0 {
		return 0, os.ErrDeadlineExceeded
	}
	return w.ResponseRecorder.Write(b)
}

// A stream has a time limit while something is written, and none while nothing
// is: a reader that is stuck loses it, a quiet task does not end it.
func TestStuckReader(t *testing.T) {
	c := newTestConsole(t).setUp()
	request := func(ctx context.Context) *http.Request {
		r := httptest.NewRequestWithContext(context.WithValue(ctx, requestKey{}, &request{}), "GET", "/", nil)
		r.Header.Set("Authorization", "Bearer "+c.admin)
		return r
	}
	c.Server.watch(&stuck{ResponseRecorder: httptest.NewRecorder(), said: make(chan struct{}, 1)}, request(t.Context())) // returns

	ctx, cancel := context.WithCancel(t.Context())
	w := &stuck{ResponseRecorder: httptest.NewRecorder(), read: 1, said: make(chan struct{}, 1)}
	ended := make(chan struct{})
	go func() { c.Server.watch(w, request(ctx)); close(ended) }()
	<-w.said // and now it waits for news, without a limit
	cancel()
	<-ended
	if got := w.Body.String(); got != "event: hello\ndata: {}\n\n" {
		t.Errorf("said %q", got)
	}
}

// Without a task the stream says what has changed; rings between two looks are
// not lost.
func TestNews(t *testing.T) {
	c := newTestConsole(t).setUp()
	c.join(smallFleet, 0, nil).sync(1)
	s := c.watch(t, c.admin, "")
	if e := s.next(); e.name != "hello" {
		t.Fatalf("first %+v", e)
	}
	c.Store.Ring(t.Context(), store.TopicTasks)
	c.Store.Ring(t.Context(), store.TopicGeneration)
	c.Store.Ring(t.Context(), store.TopicDecisions)
	told := make(map[string]bool)
	for len(told) < 3 {
		told[s.nextBut("fleet").name] = true
	}
	if !told["generation"] || !told["tasks"] || !told["decisions"] {
		t.Errorf("told of %v", told)
	}
	c.must(c.admin, "POST", "/scans", api.ScanRequest{Selection: api.Selection{All: true}}, nil)
	if e := s.nextBut("fleet"); e.name != "tasks" {
		t.Errorf("a scan was started: %+v", e)
	}
}

// Images that a host has removed are news too.
func TestNewsOfRemovedImages(t *testing.T) {
	c := newTestConsole(t).setUp()
	host := c.join(smallFleet, 0, nil)
	host.sync(1)
	s := c.watch(t, c.admin, "")
	s.next()
	empty := host.Sync(host.number, 2, time.Now())
	empty.Images, empty.Known = nil, nil
	host.tell("POST", "/sync", empty, nil)
	if e := s.next(); e.name != "fleet" {
		t.Errorf("told of %+v", e)
	}
}

// What one user decides, the pages of others show.
func TestNewsOfDecisions(t *testing.T) {
	c := newTestConsole(t).setUp()
	s := c.watch(t, c.admin, "")
	s.next()
	c.must(c.admin, "POST", "/decisions", api.DecisionRequest{Rules: []api.Decision{{Kind: plimsoll.DecisionWhitelist, Vulnerability: "CVE-2020-1", Remark: "accepted"}}}, nil)
	if e := s.next(); e.name != "decisions" {
		t.Errorf("told of %+v", e)
	}
}

// A stream ends with the rights by which it was opened.
func TestNewsEndWithTheToken(t *testing.T) {
	c := newTestConsole(t).setUp()
	c.user("anna", plimsoll.RoleViewer)
	token := c.token("anna", plimsoll.RoleViewer)
	s := c.watch(t, token, "")
	s.next()
	c.must(c.admin, "DELETE", fmt.Sprintf("/users/%d", c.account("anna")), nil, nil)
	c.Store.Ring(t.Context(), store.TopicTasks)
	if e, more := <-s.events; more {
		t.Errorf("a removed user is told of %+v", e)
	}
}

// open is how many requests the console is answering.
func (c *testConsole) open() (n int) {
	c.t.Helper()
	a := c.do(c.client(), "GET", "/metrics", nil, "Authorization", "Bearer "+c.admin)
	for line := range strings.Lines(string(a.body)) {
		if value, ok := strings.CutPrefix(line, "plimsoll_http_requests_open "); ok {
			fmt.Sscan(value, &n)
		}
	}
	return n
}

// A console that stops does not wait for who waits: Serve returns without an
// error, which it would have after its grace.
func TestShutdownEndsWaiting(t *testing.T) {
	c := newTestConsole(t).setUp()
	agent := c.join(smallFleet, 0, nil)
	agent.sync(1)
	streams := []*stream{c.watch(t, c.admin, ""), c.watch(t, c.admin, "")}
	for _, s := range streams {
		s.next()
	}
	polls := make(chan answered)
	for range 3 {
		go func() { polls <- agent.send("GET", "/work?wait=55", nil) }()
	}
	for c.open() < 3+2+1 { // and the question itself
		time.Sleep(10 * time.Millisecond)
	}
	c.stop()
	for _, s := range streams {
		for range s.events {
		}
	}
	for range 3 {
		if a := <-polls; a.StatusCode != http.StatusNoContent {
			t.Errorf("an agent that waited got %d %s", a.StatusCode, a.body)
		}
	}
}

// While it stops, a console says that it is not ready.
func TestNotReadyWhileStopping(t *testing.T) {
	c := newTestConsole(t)
	if a := c.do(c.client(), "GET", "/readyz", nil); a.StatusCode != http.StatusOK {
		t.Errorf("ready: %d %s", a.StatusCode, a.body)
	}
	c.Server.stop()
	if a := c.do(c.client(), "GET", "/readyz", nil); a.StatusCode != http.StatusServiceUnavailable || a.problem().Code != plimsoll.CodeUnavailable {
		t.Errorf("stopping: %d %s", a.StatusCode, a.body)
	}
	if a := c.do(c.client(), "GET", "/healthz", nil); a.StatusCode != http.StatusOK {
		t.Errorf("it lives: %d", a.StatusCode)
	}
}
