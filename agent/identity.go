package agent

import (
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
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// An identity is a directory that a link names, so that key and certificate are
// replaced together.
const (
	identityLink = "identity"
	keyFile      = "key.pem"
	certFile     = "cert.pem"
	caFile       = "ca.pem"
	consoleFile  = "console.json"
	maxIdentity  = 64 << 10 // bytes of each of its files
)

// consoleRecord is who issued an identity.
type consoleRecord struct {
	URL    string    `json:"url"`
	HostID int64     `json:"hostID"`
	Renew  time.Time `json:"renew"` // when to ask for the next certificate
}

// identity is what a host shows to its console and knows it by.
type identity struct {
	dir     string // the state directory
	console consoleRecord
	ca      *x509.Certificate
	current atomic.Pointer[tls.Certificate]
}

// Token is a join token: "plim1.<id>.<secret>.<SHA-256 of the CA's public key>".
type token struct {
	text string
	pin  [sha256.Size]byte
}

func parseToken(text string) (token, error) {
	parts := strings.Split(strings.TrimSpace(text), ".")
	bad := plimsoll.Errorf(plimsoll.CodeInvalid, "read join token", "it is not of the form plim1.ID.SECRET.HASH")
	if len(parts) != 4 || parts[0] != "plim1" || parts[1] == "" || parts[2] == "" || len(text) > 300 {
		return token{}, bad
	}
	pin, err := hex.DecodeString(parts[3])
	if err != nil || len(pin) != sha256.Size {
		return token{}, bad
	}
	return token{strings.Join(parts, "."), [sha256.Size]byte(pin)}, nil
}

// Join makes this host one of the console's: it connects to no other console
// than the one whose CA key the token names, and keeps the identity that it gets
// in the state directory. An identity that is there already is replaced.
func Join(ctx context.Context, c Config, console, tokenText string) (hostID int64, err error) {
	t, err := parseToken(tokenText)
	if err != nil {
		return 0, err
	}
	base, err := consoleURL(console)
	if err != nil {
		return 0, err
	}
	key, csr, err := newRequest()
	if err != nil {
		return 0, err
	}
	facts := c.withDefaults().Facts(c.Version, c.NewScanner(nil).AnalyzerSet())
	transport := &http.Transport{
		Proxy:             http.ProxyFromEnvironment,
		ForceAttemptHTTP2: true,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS13,
			// Not by the CAs of this host but by the token: see verifyPinned.
			InsecureSkipVerify: true,
			VerifyConnection:   func(state tls.ConnectionState) error { return verifyPinned(state, t.pin) },
		},
	}
	defer transport.CloseIdleConnections()
	client := &api.Client{Base: base, HTTP: &http.Client{Transport: transport, CheckRedirect: noRedirect}, Header: userAgent(c.Version)}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var enrolled api.Enrolled
	if _, err := client.Call(ctx, http.MethodPost, api.AgentPath+"/enrol", nil, api.Enrol{
		Token: t.text, CSR: csr, Host: facts.HostFacts, MachineID: facts.MachineID,
	}, &enrolled); err != nil {
		return 0, joinError(err)
	}
	ca, err := x509.ParseCertificate(enrolled.CA)
	if err != nil || keyHash(ca) != t.pin {
		return 0, plimsoll.Errorf(plimsoll.CodeCorrupt, "join", "the console sent another CA than the token names")
	}
	id := &identity{dir: c.StateDir, ca: ca, console: consoleRecord{URL: base, HostID: enrolled.HostID, Renew: enrolled.Renew}}
	if err := id.store(key, enrolled.Certificate); err != nil {
		return 0, err
	}
	return enrolled.HostID, nil
}

func joinError(err error) error {
	var e *api.Error
	if errors.As(err, &e) {
		return &plimsoll.Error{Code: plimsoll.CodeOf(err), Op: "join", Err: err,
			Hint: "Tokens end after a time or a number of hosts; make a new one on the console."}
	}
	return plimsoll.Errorf(plimsoll.CodeUnavailable, "join", "%w", err)
}

func consoleURL(text string) (string, error) {
	u, err := url.Parse(strings.TrimRight(strings.TrimSpace(text), "/"))
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return "", plimsoll.Errorf(plimsoll.CodeInvalid, "read console address", "%q is not of the form https://HOST:PORT", text)
	}
	return u.String(), nil
}

func noRedirect(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

func userAgent(version string) http.Header {
	return http.Header{"User-Agent": {"plimsoll-agent/" + version}}
}

// keyHash is the hash of a certificate's public key that join tokens carry.
func keyHash(cert *x509.Certificate) [sha256.Size]byte {
	return sha256.Sum256(cert.RawSubjectPublicKeyInfo)
}

// verifyPinned accepts a server whose certificate was issued, for its name, by
// the CA with the pinned key.
func verifyPinned(state tls.ConnectionState, pin [sha256.Size]byte) error {
	for _, ca := range state.PeerCertificates {
		if keyHash(ca) != pin {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(ca)
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
			Roots: roots, DNSName: state.ServerName, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		})
		return err
	}
	return errors.New("this is not the console that the token is for: its CA has another key")
}

func newRequest() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "plimsoll agent"}, // the console names the host itself
	}, key)
	return key, csr, err
}

// store keeps a new key and its certificate and makes them the current ones.
func (id *identity) store(key *ecdsa.PrivateKey, der []byte) error {
	fail := func(err error) error {
		return plimsoll.Errorf(plimsoll.CodeUnreadable, "keep the host's identity", "%w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return fail(err)
	}
	if public, ok := cert.PublicKey.(*ecdsa.PublicKey); !ok || !public.Equal(&key.PublicKey) {
		return fail(errors.New("the certificate is for another key"))
	}
	if err := cert.CheckSignatureFrom(id.ca); err != nil {
		return fail(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fail(err)
	}
	record, err := json.Marshal(id.console)
	if err != nil {
		return fail(err)
	}
	if err := makeDir(id.dir); err != nil {
		return fail(err)
	}
	name := identityLink + "." + randomID()[:8]
	dir := filepath.Join(id.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fail(err)
	}
	for file, content := range map[string][]byte{
		keyFile:     pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
		certFile:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		caFile:      pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: id.ca.Raw}),
		consoleFile: record,
	} {
		if err := replaceFile(filepath.Join(dir, file), content); err != nil {
			os.RemoveAll(dir)
			return fail(err)
		}
	}
	link := filepath.Join(id.dir, tempPrefix+name)
	if err := errors.Join(os.Symlink(name, link), os.Rename(link, filepath.Join(id.dir, identityLink)), syncDir(id.dir)); err != nil {
		return fail(err)
	}
	old, _ := filepath.Glob(filepath.Join(id.dir, identityLink+".*"))
	for _, other := range old {
		if other != dir {
			os.RemoveAll(other)
		}
	}
	id.current.Store(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: cert})
	return nil
}

func loadIdentity(state string) (*identity, error) {
	dir := filepath.Join(state, identityLink)
	fail := func(err error) error {
		return &plimsoll.Error{Code: plimsoll.CodeUnreadable, Op: "read the host's identity", Err: err,
			Hint: "Join a console first: plimsoll agent join https://CONSOLE:PORT."}
	}
	read := func(name string) ([]byte, error) { return readFile(filepath.Join(dir, name), maxIdentity) }
	record, err := read(consoleFile)
	if err != nil {
		return nil, fail(err)
	}
	id := &identity{dir: state}
	if err := json.Unmarshal(record, &id.console); err != nil {
		return nil, fail(err)
	}
	key, err1 := read(keyFile)
	cert, err2 := read(certFile)
	ca, err3 := read(caFile)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, fail(err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fail(err)
	}
	block, _ := pem.Decode(ca)
	if block == nil {
		return nil, fail(fmt.Errorf("%s holds no certificate", caFile))
	}
	if id.ca, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, fail(err)
	}
	id.current.Store(&pair)
	return id, nil
}

// client returns a client that trusts the console's own CA alone and shows the
// current certificate.
func (id *identity) client(version string) *api.Client {
	return &api.Client{
		Base:   id.console.URL,
		Header: userAgent(version),
		HTTP:   &http.Client{CheckRedirect: noRedirect, Transport: &connections{transport: id.transport()}},
	}
}

func (id *identity) transport() *http.Transport {
	roots := x509.NewCertPool()
	roots.AddCert(id.ca)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		ForceAttemptHTTP2:   true,
		TLSHandshakeTimeout: 30 * time.Second,
		IdleConnTimeout:     90 * time.Second,
		// All that an agent asks goes over one connection of HTTP/2, which a console
		// always speaks. Else those who ask first would each make their own: two or three
		// handshakes for each host when a console comes back to its fleet.
		MaxConnsPerHost: 1,
		// One that nobody answers must not be waited for when the next would be answered.
		DialContext: (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		HTTP2:       &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second},
		TLSClientConfig: &tls.Config{
			MinVersion:   tls.VersionTLS13,
			RootCAs:      roots,
			Certificates: []tls.Certificate{*id.current.Load()},
		},
	}
}

// connections are those to the console. A connection keeps the certificate that
// it was made with, so a new certificate needs new ones.
type connections struct {
	mu        sync.Mutex
	transport *http.Transport
}

func (c *connections) get() *http.Transport {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.transport
}

func (c *connections) RoundTrip(r *http.Request) (*http.Response, error) { return c.get().RoundTrip(r) }

// CloseIdleConnections makes http.Client's method work.
func (c *connections) CloseIdleConnections() { c.get().CloseIdleConnections() }

// replace uses t from now on. What is under way on the old ones may end.
func (c *connections) replace(t *http.Transport) {
	c.mu.Lock()
	old := c.transport
	c.transport = t
	c.mu.Unlock()
	old.CloseIdleConnections()
	time.AfterFunc(bodyTimeout, old.CloseIdleConnections)
}

// renewAt is when to ask for the next certificate: when the console said, else
// after two thirds of the current one's life.
func (id *identity) renewAt() time.Time {
	if !id.console.Renew.IsZero() {
		return id.console.Renew
	}
	leaf := id.current.Load().Leaf
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) * 2 / 3)
}

// renewals keeps the certificate from running out.
func (a *Agent) renewals(ctx context.Context) error {
	for failures := 0; ; {
		const look = time.Hour // a clock that jumps is noticed by then
		pause := min(a.identity.renewAt().Sub(a.Now()), look)
		if failures > 0 {
			pause = max(pause, min(time.Duration(failures)*time.Minute, look))
		}
		if err := wait(ctx, max(pause, 0)); err != nil {
			return err
		}
		if a.Now().Before(a.identity.renewAt()) {
			continue
		}
		err := a.renew(ctx)
		switch fatal := a.refused(ctx, err); {
		case fatal != nil:
			return fatal
		case err != nil:
			failures++
			a.Log.Warn("certificate not renewed", "error", err)
		default:
			failures = 0
			a.Log.Info("certificate renewed", "until", a.identity.current.Load().Leaf.NotAfter)
		}
	}
}

// renew gets a certificate for a new key.
func (a *Agent) renew(ctx context.Context) error {
	key, csr, err := newRequest()
	if err != nil {
		return err
	}
	var renewed api.Enrolled
	if err := a.call(ctx, http.MethodPost, "/renew", api.Renew{CSR: csr}, &renewed); err != nil {
		return err
	}
	next := &identity{dir: a.StateDir, ca: a.identity.ca, console: a.identity.console}
	next.console.Renew = renewed.Renew
	if err := next.store(key, renewed.Certificate); err != nil {
		return err
	}
	a.identity.console.Renew = renewed.Renew // read by this goroutine only
	a.identity.current.Store(next.current.Load())
	a.client.HTTP.Transport.(*connections).replace(a.identity.transport())
	return nil
}
