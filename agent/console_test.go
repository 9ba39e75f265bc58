package agent

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/inventory"
	"plimsoll/local"
	"plimsoll/sample"
)

// authority is a console's CA.
type authority struct {
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	serial int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{key: key, cert: cert, serial: 1}
}

func (ca *authority) issue(public any, usage x509.ExtKeyUsage) []byte {
	ca.serial++
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(ca.serial), Subject: pkix.Name{CommonName: "issued"},
		NotBefore: time.Now().Add(-5 * time.Minute), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{usage}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}, ca.cert, public, ca.key)
	if err != nil {
		panic(err)
	}
	return der
}

func (ca *authority) token() string {
	sum := sha256.Sum256(ca.cert.RawSubjectPublicKeyInfo)
	return "plim1.7.secret." + hex.EncodeToString(sum[:])
}

// console is a console for tests: real TLS with client certificates, and a
// memory of everything it was told.
type console struct {
	t   *testing.T
	ca  *authority
	srv *httptest.Server

	mu       sync.Mutex
	enrols   int
	renew    time.Time
	renewals int
	clients  map[string]bool // certificates that were shown
	syncs    []api.Sync
	images   map[plimsoll.Digest]api.HostImage // what it knows, by the protocol
	work     []api.Work
	facts    map[string][]byte
	factGets int
	results  map[string]api.ScanResult
	puts     int
	beats    []api.Heartbeat
	progress []api.Progress
	stop     map[string]bool // leases to be stopped
	returned []string
	settings api.AgentSettings
	// fault answers instead of the console when it returns true.
	fault func(w http.ResponseWriter, r *http.Request) bool
}

func newConsole(t *testing.T) *console {
	t.Helper()
	c := &console{
		t: t, ca: newAuthority(t), clients: map[string]bool{}, images: map[plimsoll.Digest]api.HostImage{},
		facts: map[string][]byte{}, results: map[string]api.ScanResult{}, stop: map[string]bool{},
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	clients := x509.NewCertPool()
	clients.AddCert(c.ca.cert)
	c.srv = httptest.NewUnstartedServer(c)
	c.srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	c.srv.TLS = &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{{Certificate: [][]byte{c.ca.issue(&key.PublicKey, x509.ExtKeyUsageServerAuth), c.ca.cert.Raw}, PrivateKey: key}},
		ClientCAs:    clients, ClientAuth: tls.VerifyClientCertIfGiven,
	}
	c.srv.EnableHTTP2 = true
	c.srv.StartTLS()
	t.Cleanup(c.srv.Close)
	return c
}

func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := strings.CutPrefix(r.URL.Path, api.AgentPath)
	if !ok {
		http.NotFound(w, r)
		return
	}
	if path != "/enrol" {
		if len(r.TLS.PeerCertificates) == 0 {
			refuse(w, http.StatusUnauthorized, "no_certificate")
			return
		}
	}
	c.mu.Lock()
	if len(r.TLS.PeerCertificates) > 0 {
		c.clients[r.TLS.PeerCertificates[0].SerialNumber.String()] = true
	}
	fault := c.fault
	c.mu.Unlock()
	if fault != nil && fault(w, r) {
		return
	}
	body := c.body(r)
	c.mu.Lock()
	defer c.mu.Unlock()
	lease := strings.TrimSuffix(strings.TrimPrefix(path, "/leases/"), "/progress")
	switch op := r.Method + " " + path; {
	case op == "POST /enrol" || op == "POST /renew":
		var in api.Enrol
		c.decode(body, &in)
		csr, err := x509.ParseCertificateRequest(in.CSR)
		if err != nil || csr.CheckSignature() != nil {
			refuse(w, http.StatusBadRequest, "invalid")
			return
		}
		if path == "/enrol" && in.Token != c.ca.token() {
			refuse(w, http.StatusForbidden, "token")
			return
		}
		if path == "/renew" {
			c.renewals++
			c.renew = time.Now().Add(time.Hour)
		}
		c.enrols++
		answer(w, api.Enrolled{HostID: 7, Certificate: c.ca.issue(csr.PublicKey, x509.ExtKeyUsageClientAuth), CA: c.ca.cert.Raw, Renew: c.renew})
	case op == "POST /heartbeat":
		var in api.Heartbeat
		c.decode(body, &in)
		c.beats = append(c.beats, in)
		answer(w, api.HeartbeatAnswer{Settings: c.settings})
	case op == "POST /sync":
		var in api.Sync
		c.decode(body, &in)
		answer(w, api.SyncAnswer{Want: c.apply(in)})
	case op == "GET /work":
		if len(c.work) == 0 {
			c.mu.Unlock()
			select { // a long poll that is short
			case <-r.Context().Done():
			case <-time.After(20 * time.Millisecond):
			}
			c.mu.Lock()
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next := c.work[0]
		c.work = c.work[1:]
		answer(w, next)
	case r.Method == http.MethodPost && strings.HasSuffix(path, "/progress"):
		var in api.Progress
		c.decode(body, &in)
		c.progress = append(c.progress, in)
		answer(w, api.ProgressAnswer{Stop: c.stop[lease]})
	case r.Method == http.MethodDelete && strings.HasPrefix(path, "/leases/"):
		c.returned = append(c.returned, lease)
		w.WriteHeader(http.StatusNoContent)
	case op == "GET /facts":
		c.factGets++
		value, ok := c.facts[r.URL.Query().Get("key")]
		if !ok {
			refuse(w, http.StatusNotFound, "not_found")
			return
		}
		w.Write(value)
	case op == "PUT /facts":
		q := r.URL.Query()
		if q.Get("diff") == "" || q.Get("analyzers") == "" || !strings.HasPrefix(q.Get("key"), "layer/") {
			c.t.Errorf("facts without their identity: %s", r.URL)
		}
		c.facts[q.Get("key")] = body
		w.WriteHeader(http.StatusNoContent)
	case r.Method == http.MethodPut && strings.HasPrefix(path, "/results/"):
		c.puts++
		var in api.ScanResult
		c.decode(body, &in)
		id := strings.TrimPrefix(path, "/results/")
		if in.Report != id || r.Header.Get(api.HeaderReport) != id || r.Header.Get("Content-Encoding") != "zstd" {
			c.t.Errorf("report %s came as %s", in.Report, id)
		}
		_, known := c.results[id]
		c.results[id] = in
		answer(w, api.ResultAnswer{Known: known})
	default:
		c.t.Errorf("a request that the protocol does not know: %s", op)
	}
}

// apply does what a console does with a sync and returns what it wants.
func (c *console) apply(m api.Sync) (want []plimsoll.Digest) {
	c.syncs = append(c.syncs, m)
	for _, img := range m.Images {
		if hashOf(img) != img.Hash {
			c.t.Errorf("image %s came with a wrong hash", img.ID)
		}
		c.images[img.ID] = img
	}
	for _, id := range m.Gone {
		delete(c.images, id)
	}
	if m.Full {
		known := map[plimsoll.Digest]bool{}
		for _, k := range m.Known {
			known[k.ID] = true
			if c.images[k.ID].Hash != k.Hash {
				want = append(want, k.ID)
			}
		}
		maps.DeleteFunc(c.images, func(id plimsoll.Digest, _ api.HostImage) bool { return !known[id] })
	}
	return want
}

func (c *console) body(r *http.Request) []byte {
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "zstd" {
		var d *zstd.Decoder
		if d, err = zstd.NewReader(bytes.NewReader(body)); err == nil {
			defer d.Close()
			body, err = io.ReadAll(d)
		}
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the agent hung up
	}
	return body
}

func (c *console) decode(body []byte, v any) {
	if err := json.Unmarshal(body, v); err != nil {
		c.t.Errorf("an agent sent what is no JSON: %v", err)
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"title": "refused", "status": status, "code": code})
}

// until waits for a state of the console; the test's own deadline is the limit.
func (c *console) until(what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c.mu.Lock()
		done := ok()
		c.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("never: %s", what)
		}
	}
}

func (c *console) give(w api.Work) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.work = append(c.work, w)
}

// fixture is the sample images in a store whose list can be narrowed, whose
// reading can be held up, and which can be said to be private.
type fixture struct {
	dir string

	mu      sync.Mutex
	hidden  map[string]bool // by name
	extra   []Held
	private bool
	events  chan struct{}
	hold    chan struct{} // not nil: reading waits until it is closed or cancelled
	reads   int
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{dir: filepath.Join(t.TempDir(), "images"), hidden: map[string]bool{}, events: make(chan struct{}, 1)}
	if err := sample.Write(f.dir); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) change(do func()) {
	f.mu.Lock()
	do()
	f.mu.Unlock()
	f.events <- struct{}{}
}

func (f *fixture) List(ctx context.Context) (Listing, error) {
	host, err := local.Open(ctx, local.Options{Inputs: []string{f.dir}})
	if err != nil {
		return Listing{}, err
	}
	defer host.Close()
	f.mu.Lock()
	defer f.mu.Unlock()
	var l Listing
	for _, img := range host.Images(ctx) {
		if !f.hidden[img.Name()] {
			l.Images = append(l.Images, Held{img.Image, f.private})
		}
	}
	l.Images = append(l.Images, f.extra...)
	l.Stores = []api.Store{{Name: "fixture", Images: len(l.Images)}}
	return l, nil
}

func (f *fixture) Read(ctx context.Context, id plimsoll.Digest, timeout time.Duration, scanner func(bool) *inventory.Scanner) (plimsoll.Result, bool) {
	f.mu.Lock()
	f.reads++
	hold, private := f.hold, f.private
	f.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return plimsoll.Result{Status: plimsoll.ScanFailed, Problem: &plimsoll.Problem{Detail: "cancelled"}}, private
		}
	}
	host, err := local.Open(ctx, local.Options{Inputs: []string{f.dir}})
	if err != nil {
		return plimsoll.Result{Status: plimsoll.ScanFailed, Problem: &plimsoll.Problem{Detail: err.Error()}}, private
	}
	defer host.Close()
	for _, img := range host.Images(ctx) {
		if img.ID == id {
			return local.Read(ctx, scanner(private), img, timeout), private
		}
	}
	return plimsoll.Result{Status: plimsoll.ScanFailed, Problem: &plimsoll.Problem{Code: plimsoll.ProblemImageGone}}, private
}

func (f *fixture) Watch(ctx context.Context, changed func()) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.events:
			changed()
		}
	}
}

// id returns the ID of a sample image.
func (f *fixture) id(t *testing.T, name string) plimsoll.Digest {
	t.Helper()
	l, err := f.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(l.Images, func(h Held) bool { return h.Name() == name })
	if i < 0 {
		t.Fatalf("no image %s", name)
	}
	return l.Images[i].ID
}

// config is an agent of the fixture with a state directory of its own, and fast.
func config(t *testing.T, f *fixture) Config {
	t.Helper()
	dir := t.TempDir()
	return Config{
		StateDir:   dir,
		Stores:     f,
		NewScanner: func(c inventory.Cache) *inventory.Scanner { return local.NewScanner(c, nil) },
		Cache:      &local.Cache{Dir: filepath.Join(dir, "cache"), Fail: func(err error) { t.Error(err) }},
		Version:    "test",
		Shared:     true,
		Log:        slog.New(slog.DiscardHandler),
		pace: &pace{
			heartbeat: 20 * time.Millisecond, renew: 20 * time.Millisecond, settle: time.Millisecond, hour: time.Hour,
			backoff: time.Millisecond, capped: 20 * time.Millisecond, poll: 1,
		},
	}
}

// join makes the agent one of the console's.
func join(t *testing.T, c Config, to *console) {
	t.Helper()
	if _, err := Join(t.Context(), c, to.srv.URL, to.ca.token()); err != nil {
		t.Fatal(err)
	}
}

// start joins and runs an agent; the function that it returns stops it and
// returns what Run did.
func start(t *testing.T, c Config, to *console) (stop func() error) {
	t.Helper()
	join(t, c, to)
	return rerun(t, c)
}

func rerun(t *testing.T, c Config) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, c) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() {
		if err := stop(); err != nil && !t.Failed() {
			t.Logf("agent ended with: %v", err)
		}
	})
	return stop
}
