// Package server is the console: it answers agents, people and programs, keeps
// the advisories that findings are judged by, and does what has to be done in
// the background.
//
// It owns the HTTP API, who may call what, identities of hosts and people, and
// the judge. It refuses to touch images, engines and registries, and keeps no
// state outside of package store: several consoles on one database are one.
//
// Trust: nobody. Agents, browsers and programs send hostile bytes; whoever asks
// is known before a route is reached, and every answer is bounded by the
// caller's scope.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/sync/semaphore"

	"plimsoll"
	"plimsoll/store"
)

// Config is what a console needs.
type Config struct {
	Store *store.Store
	// Database is the PostgreSQL URL of a shared store: its background work is
	// queued there too. Empty for the embedded store.
	Database string
	// DataDir is this console's own directory.
	DataDir string
	// DatabaseDir holds the generations of advisories (see vulndb.Dir).
	DatabaseDir string
	// Hosts are names and addresses that the console is reached by, for its
	// certificate; this machine's loopback ones are always in it.
	Hosts []string
	// Certificate and Key are files of a certificate for browsers and programs,
	// used for the names that it holds. Agents know the console by its own CA:
	// they are given AgentURL, under another name or an address.
	Certificate, Key string
	// PublicURL is where people reach the console, AgentURL where agents do;
	// empty means PublicURL.
	PublicURL, AgentURL string
	// Update fetches advisories into DatabaseDir, activates them there, and returns
	// in words which sources could not be fetched; nil when this console fetches none.
	Update  func(ctx context.Context, progress func(stage string, done, total int64)) (behind string, err error)
	Log     *slog.Logger
	Version string
	Now     func() time.Time
}

// Server is one console.
type Server struct {
	Config
	mux      *http.ServeMux
	api      huma.API
	rules    map[string]rule // by mux pattern: what is not here is not served
	ca       *authority
	sessions *scs.SessionManager
	cross    *http.CrossOriginProtection
	hashing  *semaphore.Weighted // password hashes at a time
	ingests  *semaphore.Weighted // lists and results from agents at a time
	// factsRoom is for facts: whoever sends them holds up others until they are in.
	factsRoom *semaphore.Weighted
	largeRoom *semaphore.Weighted // bodies beyond largeBody at a time
	largeOf   sync.Map            // hosts that send one
	waiting   atomic.Int64        // agents that wait for work here
	limits    struct{ address, account, join, credential, page *limits }
	judge     judges
	// following lets one at a time change which generation judges here.
	following sync.Mutex
	metrics   *metrics
	openapi   func() ([]byte, error)
	jobs      jobs

	// stopping ends long polls and streams.
	stopping context.Context
	stop     context.CancelFunc
	setup    string // URL of the first start
}

// Limits of one console.
const (
	maxHashing = 4 // 19 MiB each
	maxIngests = 16
	maxFacts   = 32
	maxLarge   = 2 // up to a gigabyte each
)

// New prepares a console: its identity, its routes and, at the first start, the
// link that makes the first administrator.
func New(ctx context.Context, c Config) (*Server, error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	u, err := url.Parse(c.PublicURL)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
		return nil, plimsoll.Errorf(plimsoll.CodeInvalid, "start the console", "%q is not of the form https://HOST:PORT", c.PublicURL)
	}
	c.PublicURL = u.Scheme + "://" + u.Host
	if c.AgentURL == "" {
		c.AgentURL = c.PublicURL
	}
	s := &Server{
		Config: c, mux: http.NewServeMux(), rules: make(map[string]rule), cross: http.NewCrossOriginProtection(),
		hashing: semaphore.NewWeighted(maxHashing), ingests: semaphore.NewWeighted(maxIngests), factsRoom: semaphore.NewWeighted(maxFacts),
		largeRoom: semaphore.NewWeighted(maxLarge), metrics: newMetrics(),
	}
	s.stopping, s.stop = context.WithCancel(context.WithoutCancel(ctx))
	s.limits.address = newLimits(time.Second, 10)
	s.limits.account = newLimits(6*time.Second, 10)
	s.limits.join = newLimits(time.Second/20, 200)
	s.limits.credential = newLimits(time.Second/50, 200)
	s.limits.page = newLimits(time.Second/500, 4000) // a page is some 30 files, an office is one address
	if s.ca, err = openAuthority(ctx, c.Store, c.Now); err != nil {
		return nil, err
	}
	if err := s.ca.speakFor(c); err != nil {
		return nil, err
	}
	s.newSessions()
	s.newAPI()
	s.openapi = sync.OnceValues(s.api.OpenAPI().MarshalJSON)
	if err := s.offerSetup(ctx); err != nil {
		return nil, err
	}
	if !c.Store.Shared() {
		if err := c.Store.LeftBehind(ctx); err != nil {
			return nil, err
		}
	}
	if err := s.openJudge(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// TLSConfig is how the console speaks: TLS 1.3, with client certificates where
// agents show them.
func (s *Server) TLSConfig() *tls.Config { return s.ca.tlsConfig() }

// Pin is the hash of the fleet CA's public key, as join tokens carry it.
func (s *Server) Pin() string { return s.ca.pin() }

// SetupURL is the link that makes the first administrator, "" once there is one.
// It holds a secret.
func (s *Server) SetupURL() string { return s.setup }

// Serve answers on l until ctx ends, then lets requests finish for grace.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	const grace = 15 * time.Second
	server := &http.Server{
		Handler: s.Handler(), TLSConfig: s.TLSConfig(),
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
		ErrorLog:    slog.NewLogLogger(s.Log.Handler(), slog.LevelDebug), // handshakes of scanners
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	ended := make(chan error, 1)
	go func() { ended <- server.ServeTLS(l, "", "") }()
	select {
	case err := <-ended:
		return plimsoll.Errorf(plimsoll.CodeUnavailable, "answer requests", "%w", err)
	case <-ctx.Done():
	}
	s.stop()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(end); err != nil {
		return errors.Join(err, server.Close())
	}
	return nil
}

// Close ends long polls and releases the advisories. The store stays open: it is
// the caller's.
func (s *Server) Close() {
	s.stop()
	s.judge.close()
}
