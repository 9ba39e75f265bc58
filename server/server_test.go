package server

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/e2e/loadgen"
	"plimsoll/store"
	"plimsoll/vulndb"
)

// testConsole is a console with an embedded store, real TLS and a first
// administrator.
type testConsole struct {
	*Server
	t     testing.TB
	url   string
	admin string // API token
	stop  func() // ends it as a signal does, and waits
}

const testPassword = "correct horse battery"

func newTestConsole(t testing.TB, change ...func(*Config)) *testConsole {
	t.Helper()
	dir := t.TempDir()
	c := Config{DataDir: dir, DatabaseDir: filepath.Join(dir, "db"), Version: "test", Log: slog.New(slog.DiscardHandler)}
	for _, f := range change {
		f(&c)
	}
	if c.Database == "" {
		c.Database = testDatabase(t)
	}
	st, err := store.Open(t.Context(), store.Options{DSN: cmp.Or(c.Database, filepath.Join(dir, "fleet.sqlite")), Now: c.Now, Log: c.Log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	c.Store = st
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.PublicURL = "https://" + listener.Addr().String()
	s, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listener) }()
	console := &testConsole{Server: s, t: t, url: c.PublicURL}
	once := make(chan struct{}, 1)
	console.stop = func() {
		select {
		case once <- struct{}{}:
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("the console ended with %v", err)
			}
		default:
		}
	}
	t.Cleanup(func() { console.stop(); s.Close() })
	return console
}

// testDatabase makes a PostgreSQL database for one console when PLIMSOLL_TEST_PG
// holds the URL of a server's maintenance database, and returns its URL; "" for
// the embedded store.
func testDatabase(t testing.TB) string {
	t.Helper()
	maintenance := os.Getenv("PLIMSOLL_TEST_PG")
	if maintenance == "" {
		return ""
	}
	name := "plimsoll_" + strings.ToLower(rand.Text())
	run := func(statement string) {
		t.Helper()
		conn, err := pgx.Connect(context.Background(), maintenance)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(context.Background())
		if _, err := conn.Exec(context.Background(), statement); err != nil {
			t.Fatal(err)
		}
	}
	run("CREATE DATABASE " + name + " ENCODING 'UTF8' TEMPLATE template0")
	t.Cleanup(func() { run("DROP DATABASE " + name + " WITH (FORCE)") })
	u := mustURL(t, maintenance)
	u.Path = "/" + name
	return u.String()
}

// clock is a clock that a test moves on.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time        { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) pass(d time.Duration)  { c.ahead.Add(int64(d)) }
func (c *clock) config(config *Config) { config.Now = c.now }

// setUp makes the first administrator and a token.
func (c *testConsole) setUp() *testConsole {
	c.t.Helper()
	c.user("root", plimsoll.RoleAdmin)
	c.admin = c.token("root", plimsoll.RoleAdmin)
	return c
}

func (c *testConsole) user(name string, role plimsoll.Role, labels ...string) {
	c.t.Helper()
	if _, err := NewAccount(c.t.Context(), c.Store, "test", name, testPassword, role, labels); err != nil {
		c.t.Fatal(err)
	}
}

// token returns an API token of a user.
func (c *testConsole) token(user string, role plimsoll.Role) string {
	c.t.Helper()
	a, err := c.Store.AccountByName(c.t.Context(), user)
	if err != nil {
		c.t.Fatal(err)
	}
	secret, _ := newSecret()
	secret = tokenPrefix + secret
	if _, err := c.Store.AddToken(c.t.Context(), a.ID, hashSecret(secret), api.APIToken{Name: user, Role: role, Labels: a.Labels}); err != nil {
		c.t.Fatal(err)
	}
	return secret
}

// client speaks to the console, with a certificate if one is given.
func (c *testConsole) client(certificates ...tls.Certificate) *http.Client {
	roots := x509.NewCertPool()
	roots.AddCert(c.ca.cert)
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
		RootCAs: roots, Certificates: certificates, MinVersion: tls.VersionTLS13, Time: c.Config.Now}}
	c.t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// answered is an answer that was read.
type answered struct {
	*http.Response
	body []byte
}

func (a answered) problem() (p Refusal) {
	json.Unmarshal(a.body, &p)
	return p
}

func (a answered) decode(v any) error { return json.Unmarshal(a.body, v) }

// do sends one request. A body is sent as JSON unless it is bytes.
func (c *testConsole) do(client *http.Client, method, path string, body any, header ...string) answered {
	c.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case []byte:
		reader = bytes.NewReader(b)
	case io.Reader:
		reader = b
	default:
		text, err := json.Marshal(b)
		if err != nil {
			c.t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, reader)
	if err != nil {
		c.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answered{response, text}
}

// call asks the public API with an API token; out is decoded from a good answer.
func (c *testConsole) call(token, method, path string, in, out any) answered {
	c.t.Helper()
	a := c.do(c.client(), method, api.PublicPath+path, in, "Authorization", "Bearer "+token)
	if out != nil && a.StatusCode/100 == 2 {
		if err := json.Unmarshal(a.body, out); err != nil {
			c.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return a
}

func (c *testConsole) must(token, method, path string, in, out any) {
	c.t.Helper()
	if a := c.call(token, method, path, in, out); a.StatusCode/100 != 2 {
		c.t.Fatalf("%s %s: %d %s", method, path, a.StatusCode, a.body)
	}
}

// testAgent is a host that speaks the protocol.
type testAgent struct {
	c      *testConsole
	id     int64
	cert   tls.Certificate
	client *http.Client
	number int
	loadgen.Fleet
}

func newCSR(t testing.TB) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return key, csr
}

var protocol = []string{api.HeaderVersion, fmt.Sprint(api.Version)}

// join enrols host h of a fleet with labels.
func (c *testConsole) join(f loadgen.Fleet, h int, labels plimsoll.Labels) *testAgent {
	c.t.Helper()
	key, csr := newCSR(c.t)
	a := c.enrol(api.Enrol{Token: c.joinToken(api.EnrolmentTokenRequest{Labels: labels}).Secret, CSR: csr, Host: f.Host(h), MachineID: fmt.Sprint("machine ", h)})
	var enrolled api.Enrolled
	if err := json.Unmarshal(a.body, &enrolled); err != nil || enrolled.HostID == 0 {
		c.t.Fatalf("enrol: %d %s", a.StatusCode, a.body)
	}
	cert := tls.Certificate{Certificate: [][]byte{enrolled.Certificate}, PrivateKey: key}
	return &testAgent{c: c, id: enrolled.HostID, cert: cert, client: c.client(cert), number: h, Fleet: f}
}

func (c *testConsole) joinToken(r api.EnrolmentTokenRequest) (made api.NewSecret) {
	c.t.Helper()
	c.must(c.admin, "POST", "/enrolment-tokens", r, &made)
	return made
}

func (c *testConsole) enrol(e api.Enrol) answered {
	c.t.Helper()
	return c.do(c.client(), "POST", api.AgentPath+"/enrol", e, protocol...)
}

func (a *testAgent) send(method, path string, body any) answered {
	a.c.t.Helper()
	return a.c.do(a.client, method, api.AgentPath+path, body, protocol...)
}

// tell sends what must be accepted.
func (a *testAgent) tell(method, path string, in, out any) {
	a.c.t.Helper()
	answer := a.send(method, path, in)
	if answer.StatusCode/100 != 2 {
		a.c.t.Fatalf("%s %s: %d %s", method, path, answer.StatusCode, answer.body)
	}
	if out != nil && len(answer.body) > 0 {
		if err := json.Unmarshal(answer.body, out); err != nil {
			a.c.t.Fatal(err)
		}
	}
}

// renew replaces the host's certificate by one for a new key.
func (a *testAgent) renew() {
	a.c.t.Helper()
	key, csr := newCSR(a.c.t)
	var renewed api.Enrolled
	a.tell("POST", "/renew", api.Renew{CSR: csr}, &renewed)
	a.cert = tls.Certificate{Certificate: [][]byte{renewed.Certificate}, PrivateKey: key}
	a.client = a.c.client(a.cert)
}

func (a *testAgent) sync(seq int64) {
	a.c.t.Helper()
	a.tell("POST", "/heartbeat", api.Heartbeat{Now: time.Now(), MachineID: fmt.Sprint("machine ", a.number)}, nil)
	a.tell("POST", "/sync", a.Sync(a.number, seq, time.Now()), nil)
}

// read does the work that the console has for the host, and returns how much.
func (a *testAgent) read() (n int) {
	a.c.t.Helper()
	number := make(map[plimsoll.Digest]int)
	for _, i := range a.Images(a.number) {
		number[a.ImageID(i)] = i
	}
	for {
		var w api.Work
		a.tell("GET", "/work?wait=0", nil, &w)
		if w.Scan == nil {
			return n
		}
		report := rand.Text()
		a.tell("PUT", "/results/"+report, api.ScanResult{
			Report: report, Lease: w.Scan.ID, Image: w.Scan.Image, Attempt: w.Scan.Attempt, Status: plimsoll.ScanComplete,
			Started: time.Now(), Ended: time.Now(), Inventory: a.Inventory(number[w.Scan.Image]),
		}, nil)
		n++
	}
}

// advisories puts a generation of the invented fleet into a directory.
func advisories(t testing.TB, dir string, generation int) {
	t.Helper()
	d, err := vulndb.Acquire(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release()
	if _, err := d.Import(t.Context(), openAdvisories(t, generation), vulndb.Terms{Unsigned: true}); err != nil {
		t.Fatal(err)
	}
}

// generations are the files of the invented fleet's advisories: to compile one
// takes seconds.
var generations = [...]func() ([]byte, error){loadgen.First: compiled(loadgen.First), loadgen.Second: compiled(loadgen.Second)}

func compiled(generation int) func() ([]byte, error) {
	return sync.OnceValues(func() ([]byte, error) {
		dir, err := os.MkdirTemp("", "generation")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		path := filepath.Join(dir, "generation")
		if _, err := loadgen.Compile(context.Background(), path, generation); err != nil {
			return nil, err
		}
		return os.ReadFile(path)
	})
}

func openAdvisories(t testing.TB, generation int) io.Reader {
	t.Helper()
	file, err := generations[generation]()
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(file)
}

// newFleet is a console with two hosts, env=prod and env=dev, whose images were
// all read and judged.
func newFleet(t testing.TB, change ...func(*Config)) (c *testConsole, prod, dev *testAgent) {
	t.Helper()
	change = append(change, func(c *Config) { advisories(t, c.DatabaseDir, loadgen.First) })
	c = newTestConsole(t, change...).setUp()
	f := loadgen.Fleet{Size: loadgen.Size{Hosts: 2, PerHost: 3, Distinct: 5, Seed: 1}}
	prod, dev = c.join(f, 0, plimsoll.Labels{"env": "prod"}), c.join(f, 1, plimsoll.Labels{"env": "dev"})
	prod.sync(1)
	dev.sync(1)
	c.must(c.admin, "POST", "/scans", api.ScanRequest{Selection: api.Selection{All: true}}, nil)
	if prod.read()+dev.read() == 0 {
		t.Fatal("nothing was read")
	}
	return c, prod, dev
}

func mustURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
