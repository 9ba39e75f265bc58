//go:build e2e

package e2e

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"plimsoll/api"
)

// program is a process of plimsoll that a test starts, kills and starts again.
type program struct {
	t    testing.TB
	args []string
	env  []string
	wrap []string // what runs it: "ip netns exec NAME"
	bin  string   // another program than the one that is tested

	mu     sync.Mutex
	output bytes.Buffer // of all its lives
	cmd    *exec.Cmd
	done   chan struct{}
}

func (p *program) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.Write(b)
}

func (p *program) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// start starts the program; it ends with the test.
func (p *program) start() {
	p.t.Helper()
	argv := append(slices.Clone(p.wrap), append([]string{cmp.Or(p.bin, binary(p.t))}, p.args...)...)
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr = p, p
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	cmd, done := p.cmd, make(chan struct{})
	go func() { cmd.Wait(); close(done) }()
	p.done = done
	p.t.Cleanup(func() { cmd.Process.Kill(); <-done })
}

// signal sends sig and waits until the program has ended.
func (p *program) signal(sig syscall.Signal) {
	p.t.Helper()
	p.cmd.Process.Signal(sig)
	select {
	case <-p.done:
	case <-time.After(30 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
		p.t.Errorf("%v did not end 30 s after %v:\n%s", p.args, sig, tail(p.said()))
	}
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

// console is a running console with an administrator.
type console struct {
	program
	dir, url, token string
	client          *http.Client
}

// newConsole starts a console on address (127.0.0.1 with a free port when empty)
// and makes its first administrator.
func newConsole(t testing.TB, address string, args ...string) *console {
	t.Helper()
	c := prepareConsole(t, address, args...)
	c.start()
	c.ready()
	c.setUp()
	return c
}

func prepareConsole(t testing.TB, address string, args ...string) *console {
	t.Helper()
	if address == "" {
		address = "127.0.0.1:" + freePort(t)
	}
	dir := t.TempDir()
	c := &console{dir: dir, url: "https://" + address}
	c.t = t
	c.args = append([]string{"console", "--listen", address, "--public-url", c.url, "--data-dir", dir, "--cache-dir", filepath.Join(dir, "cache")}, args...)
	c.client = &http.Client{
		Timeout:   2 * time.Minute,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 16},
	}
	return c
}

func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// ready waits until the console answers.
func (c *console) ready() {
	c.t.Helper()
	c.eventually("the console is ready", time.Minute, func() bool {
		response, err := c.client.Get(c.url + "/readyz")
		if err != nil {
			return false
		}
		response.Body.Close()
		return response.StatusCode == http.StatusOK
	})
}

var setupLink = regexp.MustCompile(`/setup#token=([A-Za-z0-9_.-]+)`)

// setUp follows the one-time link of the first start and makes an API token.
func (c *console) setUp() {
	c.t.Helper()
	c.eventually("the console tells its setup link", 10*time.Second, func() bool { return setupLink.MatchString(c.said()) })
	token := setupLink.FindStringSubmatch(c.said())[1]
	const name, password = "root", "correct horse battery staple"
	if status, body := c.call("POST", "/setup", api.Setup{Token: token, Name: name, Password: password}, nil); status/100 != 2 {
		c.t.Fatalf("setup: %d %s", status, body)
	}
	c.token = c.apiToken(name, password, api.APITokenRequest{Name: "test", Role: "admin"})
}

// apiToken signs in and makes an API token.
func (c *console) apiToken(name, password string, request api.APITokenRequest) string {
	c.t.Helper()
	body, _ := json.Marshal(api.Login{Name: name, Password: password})
	response, err := c.client.Post(c.url+api.PublicPath+"/login", "application/json", bytes.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 || len(response.Cookies()) == 0 {
		text, _ := io.ReadAll(response.Body)
		c.t.Fatalf("sign in as %s: %s %s", name, response.Status, text)
	}
	var made api.NewSecret
	c.with(func(r *http.Request) {
		for _, cookie := range response.Cookies() {
			r.AddCookie(cookie)
		}
	}, "POST", "/tokens", request, &made)
	return made.Secret
}

// call sends a request with the administrator's token; it decodes a good answer
// into out.
func (c *console) call(method, path string, in, out any) (int, string) {
	c.t.Helper()
	return c.with(func(r *http.Request) {
		if c.token != "" {
			r.Header.Set("Authorization", "Bearer "+c.token)
		}
	}, method, path, in, out)
}

func (c *console) with(sign func(*http.Request), method, path string, in, out any) (int, string) {
	c.t.Helper()
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			c.t.Fatal(err)
		}
		body = bytes.NewReader(b)
	}
	r, err := http.NewRequestWithContext(context.Background(), method, c.url+api.PublicPath+path, body)
	if err != nil {
		c.t.Fatal(err)
	}
	if in != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	sign(r)
	response, err := c.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err.Error()
	}
	if out != nil && response.StatusCode/100 == 2 {
		if err := json.Unmarshal(text, out); err != nil {
			c.t.Fatalf("%s %s: %v in %.300s", method, path, err, text)
		}
	}
	return response.StatusCode, string(text)
}

// must is call, and a failure of the test unless the answer is good.
func (c *console) must(method, path string, in, out any) {
	c.t.Helper()
	if status, body := c.call(method, path, in, out); status/100 != 2 {
		c.t.Fatalf("%s %s: %d %.500s\n%s", method, path, status, body, tail(c.said()))
	}
}

// all follows a list to its end.
func all[T any](c *console, path string) []T {
	c.t.Helper()
	var list []T
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	for cursor := ""; ; {
		var page api.Page[T]
		c.must("GET", path+separator+"limit=500&cursor="+cursor, nil, &page)
		list = append(list, page.Items...)
		if cursor = page.Next; cursor == "" {
			return list
		}
	}
}

func (c *console) eventually(what string, within time.Duration, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("not within %s: %s\n%s", within, what, tail(c.said()))
		}
	}
}

// agent is a host's agent.
type agent struct {
	program
	hostID int64
}

// join enrols a host and returns its agent, not started yet. place says where
// its engines are, wrap where it runs.
func (c *console) join(wrap []string, place ...string) *agent {
	c.t.Helper()
	return c.joinIn(c.t.TempDir(), wrap, place...)
}

// joinIn is join with a directory for the agent's state.
func (c *console) joinIn(dir string, wrap []string, place ...string) *agent {
	c.t.Helper()
	var token api.NewSecret
	c.must("POST", "/enrolment-tokens", api.EnrolmentTokenRequest{Uses: 1, TTL: 3600}, &token)
	state := []string{"--data-dir", dir, "--cache-dir", filepath.Join(dir, "cache")}
	known := map[int64]bool{}
	for _, h := range all[api.Host](c, "/hosts") {
		known[h.ID] = true
	}
	argv := append(slices.Clone(wrap), append([]string{binary(c.t), "agent", "join", c.url, "--token", token.Secret}, state...)...)
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		c.t.Fatalf("join: %v\n%s\n%s", err, out, tail(c.said()))
	}
	a := &agent{}
	a.t, a.wrap = c.t, wrap
	a.args = append(append([]string{"agent"}, state...), place...)
	for _, h := range all[api.Host](c, "/hosts") {
		if !known[h.ID] {
			a.hostID = h.ID
		}
	}
	if a.hostID == 0 {
		c.t.Fatal("the host that joined is not listed")
	}
	return a
}

// image returns the image with a name that a host holds now.
func (c *console) image(name string) (api.Image, bool) {
	c.t.Helper()
	for _, img := range all[api.Image](c, "/images?q="+name) {
		if slices.Contains(img.Names, name) {
			return img, true
		}
	}
	return api.Image{}, false
}

// scan starts a scan and returns the task when it has ended.
func (c *console) scan(request api.ScanRequest) api.Task {
	c.t.Helper()
	var task api.Task
	c.must("POST", "/scans", request, &task)
	return c.ended(task.ID, 5*time.Minute)
}

// ended waits for a task to end.
func (c *console) ended(id int64, within time.Duration) (task api.Task) {
	c.t.Helper()
	c.eventually(fmt.Sprintf("task %d ends", id), within, func() bool {
		status, _ := c.call("GET", fmt.Sprintf("/tasks/%d", id), nil, &task)
		return status == http.StatusOK && task.State.Final()
	})
	return task
}

// import gives the console another generation of advisories and waits until
// everything is judged by it.
func (c *console) use(generation string) api.Generation {
	c.t.Helper()
	content := readFile(c.t, generation)
	c.eventually("the advisories are taken", time.Minute, func() bool {
		r, err := http.NewRequest("POST", c.url+api.PublicPath+"/database/import?unsigned=true", strings.NewReader(content))
		if err != nil {
			c.t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+c.token)
		r.Header.Set("Content-Type", "application/octet-stream")
		response, err := c.client.Do(r)
		if err != nil {
			c.t.Fatal(err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode/100 != 2 && response.StatusCode != http.StatusServiceUnavailable { // it fetches some itself
			c.t.Fatalf("import: %s %s", response.Status, text)
		}
		return response.StatusCode/100 == 2
	})
	var db api.Database
	want := digestOf(c.t, generation)
	defer func() {
		if c.t.Failed() {
			c.t.Logf("of the advisories %s the console says %+v %+v", want, db, db.Current)
		}
	}()
	c.eventually("everything is judged by the new advisories", 2*time.Minute, func() bool {
		c.must("GET", "/database", nil, &db)
		return db.Current != nil && db.Current.Digest == want && db.Current.Evaluated != nil && db.Pending == 0
	})
	return *db.Current
}
