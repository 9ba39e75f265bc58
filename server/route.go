package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"reflect"
	"runtime/debug"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/store"
)

// need is who may call a route.
type need string

// The needs. There is no zero one: a route cannot be added without saying.
const (
	anybody  need = "anybody"
	viewer   need = need(plimsoll.RoleViewer)
	operator need = need(plimsoll.RoleOperator)
	admin    need = need(plimsoll.RoleAdmin)
	agents   need = "agent" // with a certificate of ours
)

// rule is what holds for one route.
type rule struct {
	need need
	// operation names it in the audit log; calls of methods that change something
	// are noted there unless quiet.
	operation string
	quiet     bool
	page      bool          // of the binary: a browser asks for many at once
	body      int64         // bytes; 0 means maxBody
	time      time.Duration // for body and answer; 0 means requestTime, -1 no end
	query     []string      // parameters that it takes; nil: it is not described, and takes any
}

// Limits of a request.
const (
	maxBody     = 1 << 20 // bytes
	requestTime = time.Minute
)

// caller is who asks. The zero caller is anybody.
type caller struct {
	name    string
	account int64
	role    plimsoll.Role
	scope   plimsoll.Scope
	via     string // "session", "token" or "setup"
	token   string // name of the API token
	host    store.AgentHost
}

// who narrows lists of things that belong to users: administrators see all.
func (c *caller) who() string {
	if c.role == plimsoll.RoleAdmin && c.scope.All {
		return ""
	}
	return c.name
}

// request is what is known about a request besides what it says.
type request struct {
	id      string
	address string // of the connection; headers about it are not believed
	caller  caller
	detail  string // for the audit log
	writer  http.ResponseWriter
	raw     *http.Request
}

type requestKey struct{}

func requestOf(ctx context.Context) *request {
	if r, ok := ctx.Value(requestKey{}).(*request); ok {
		return r
	}
	return &request{}
}

// op describes a route of the public API.
func op(method, path, id, tag, summary string) huma.Operation {
	return huma.Operation{Method: method, Path: api.PublicPath + path, OperationID: id, Tags: []string{tag}, Summary: summary}
}

type answer[T any] struct{ Body T }

// route adds a route that answers with a T.
func route[I, T any](s *Server, need need, o huma.Operation, h func(context.Context, *caller, *I) (T, error)) {
	s.describe(&o, rule{need: need})
	huma.Register(s.api, o, func(ctx context.Context, in *I) (*answer[T], error) {
		out, err := h(ctx, &requestOf(ctx).caller, in)
		if err != nil {
			return nil, s.apiError(ctx, err)
		}
		return &answer[T]{out}, nil
	})
}

// command adds a route that answers with nothing but success.
func command[I any](s *Server, need need, o huma.Operation, h func(context.Context, *caller, *I) error) {
	s.describe(&o, rule{need: need})
	huma.Register(s.api, o, func(ctx context.Context, in *I) (*struct{}, error) {
		if err := h(ctx, &requestOf(ctx).caller, in); err != nil {
			return nil, s.apiError(ctx, err)
		}
		return nil, nil
	})
}

func (s *Server) apiError(ctx context.Context, err error) error {
	p := s.problemOf(ctx, err)
	if p.retry > 0 {
		return huma.ErrorWithHeaders(p, http.Header{"Retry-After": {fmt.Sprint(p.retry)}})
	}
	return p
}

// raw adds a route outside of the API's own reader and writer.
func (s *Server) raw(pattern string, r rule, h http.HandlerFunc) {
	s.allow(pattern, r)
	s.mux.HandleFunc(pattern, h)
}

func (s *Server) allow(pattern string, r rule) {
	if r.need == "" {
		panic("nobody may call " + pattern) // a fault of ours, met at every start
	}
	r.operation = cmp.Or(r.operation, pattern)
	s.rules[pattern] = r
}

// describe makes o a route under a rule, in the document too.
func (s *Server) describe(o *huma.Operation, r rule) {
	r.operation, r.body = o.OperationID, o.MaxBodyBytes
	r.quiet = o.Metadata["quiet"] == true
	s.allow(o.Method+" "+o.Path, r)
	o.BodyReadTimeout = -1 // ServeHTTP sets deadlines
	s.complete(o, r)
}

// document adds a raw route, which is described by hand.
func (s *Server) document(o huma.Operation, r rule, h http.HandlerFunc) {
	r.operation = o.OperationID
	s.complete(&o, r)
	s.raw(o.Method+" "+o.Path, r, h)
	s.api.OpenAPI().AddOperation(&o)
}

// takes notes which parameters a described route takes.
func (s *Server) takes(_ *huma.OpenAPI, o *huma.Operation) {
	r := s.rules[o.Method+" "+o.Path]
	r.query = []string{}
	for _, p := range o.Parameters {
		if p.In == "query" {
			r.query = append(r.query, p.Name)
		}
	}
	s.rules[o.Method+" "+o.Path] = r
}

// complete adds to a description what holds for every route under a rule.
func (s *Server) complete(o *huma.Operation, r rule) {
	if r.need == anybody {
		o.Security = []map[string][]string{}
	} else {
		o.Description = strings.TrimSpace(o.Description + "\n\nNeeds the role " + string(r.need) + ".")
	}
	schema := s.api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Refusal](), true, "Refusal")
	if o.Responses == nil {
		o.Responses = map[string]*huma.Response{}
	}
	o.Responses["default"] = &huma.Response{Description: "Error",
		Content: map[string]*huma.MediaType{"application/problem+json": {Schema: schema}}}
}

// newAPI makes the mux with all routes.
func (s *Server) newAPI() {
	config := huma.DefaultConfig("Plimsoll", s.Version)
	config.DocsPath, config.OpenAPIPath, config.SchemasPath = "", "", ""
	config.CreateHooks = nil
	config.Transformers = []huma.Transformer{problems}
	config.OnAddOperation = append(config.OnAddOperation, s.takes)
	config.Info.Description = "Security scanning of container images stored on hosts. " +
		"Sign in with POST " + api.PublicPath + "/login, or send an API token as Authorization: Bearer."
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"session": {Type: "apiKey", In: "cookie", Name: sessionCookie},
		"token":   {Type: "http", Scheme: "bearer", BearerFormat: "plt_…"},
	}
	config.Security = []map[string][]string{{"session": {}}, {"token": {}}}
	s.api = humago.New(s.mux, config)
	s.accessRoutes()
	s.fleetRoutes()
	s.findingRoutes()
	s.taskRoutes()
	s.databaseRoutes()
	s.exportRoutes()
	s.vexRoutes()
	s.agentRoutes()
	s.pageRoutes()
}

// Handler answers everything.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

// serve knows who asks, and whether they may, before any route is reached.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	start := s.Now()
	q := &request{id: rand.Text()[:16], address: clientAddress(r)}
	answer := &statusWriter{ResponseWriter: w}
	q.writer = answer
	r = r.WithContext(context.WithValue(r.Context(), requestKey{}, q))
	q.raw = r
	secure(answer.Header(), r.TLS != nil, q.id)
	_, pattern := s.mux.Handler(r)
	rule, known := s.rules[pattern]
	s.metrics.open.Inc()
	defer func() {
		s.metrics.open.Dec()
		if fault := recover(); fault != nil {
			if fault == http.ErrAbortHandler {
				panic(fault)
			}
			s.Log.ErrorContext(r.Context(), "panic", "request", q.id, "fault", fault, "stack", string(debug.Stack()))
			if answer.status == 0 {
				s.fail(answer, r, newProblem(http.StatusInternalServerError, plimsoll.CodeInternal, "something went wrong inside; the log has it as request "+q.id))
			}
		}
		took := s.Now().Sub(start)
		s.metrics.observe(cmp.Or(pattern, "none"), answer.status, took)
		s.Log.DebugContext(r.Context(), "request", "request", q.id, "method", r.Method, "path", r.URL.Path,
			"status", answer.status, "ms", took.Milliseconds(), "address", q.address, "user", q.caller.name, "host", q.caller.host.ID)
	}()
	limit := cmp.Or(rule.time, requestTime)
	control := http.NewResponseController(w)
	if limit > 0 {
		end := time.Now().Add(limit)
		control.SetReadDeadline(end)
		control.SetWriteDeadline(end.Add(5 * time.Second))
	} else {
		control.SetReadDeadline(time.Time{})
		control.SetWriteDeadline(time.Time{})
	}
	if !known {
		s.unknown(answer, r, pattern)
		return
	}
	if err := s.admit(r, q, rule); err != nil {
		s.fail(answer, r, err)
	} else {
		r.Body = http.MaxBytesReader(answer, r.Body, cmp.Or(rule.body, maxBody))
		s.mux.ServeHTTP(answer, r)
	}
	// A stranger, or one who asks too often, cannot fill the audit log.
	if changes(r.Method) && !rule.quiet && rule.need != agents && q.caller.name != "" && answer.status != http.StatusTooManyRequests {
		s.note(r, q, rule, pattern, answer.status)
	}
}

func changes(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// admit says whether the caller may call the route, and notes who it is.
func (s *Server) admit(r *http.Request, q *request, rule rule) error {
	if rule.need == agents {
		if err := s.admitAgent(r, q); err != nil {
			return err
		}
		return readable(r, rule)
	}
	if err := s.cross.Check(r); err != nil {
		return newProblem(http.StatusForbidden, codeForbidden, "a request from another site is not accepted")
	}
	if rule.need == anybody {
		limit := s.limits.credential
		if rule.page {
			limit = s.limits.page
		}
		if !limit.allow("address " + q.address) {
			return tooMany(1)
		}
		return readable(r, rule)
	}
	c, err := s.authenticate(r)
	if err != nil {
		return err
	}
	q.caller = c
	if !s.limits.credential.allow(fmt.Sprintf("%s %d %s", c.via, c.account, c.token)) {
		return tooMany(1)
	}
	if !c.role.Allows(plimsoll.Role(rule.need)) {
		return newProblem(http.StatusForbidden, codeForbidden, "this needs the role "+string(rule.need)+", yours is "+string(c.role))
	}
	return readable(r, rule)
}

// readable refuses an address that holds what is no text, which no database takes,
// and parameters that the route does not: a mistyped filter would find everything.
func readable(r *http.Request, rule rule) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	ok := err == nil && isText(r.URL.Path)
	for key, values := range query {
		ok = ok && isText(key) && !slices.ContainsFunc(values, func(v string) bool { return !isText(v) })
	}
	if !ok {
		return plimsoll.Errorf(plimsoll.CodeInvalid, "read the address", "it is not UTF-8, or holds a zero byte or a stray percent sign or semicolon")
	}
	for _, key := range slices.Sorted(maps.Keys(query)) {
		if rule.query != nil && !slices.Contains(rule.query, key) {
			p := newProblem(http.StatusBadRequest, plimsoll.CodeInvalid, fmt.Sprintf("there is no parameter %.80q here", key))
			p.Hint = "it takes " + cmp.Or(strings.Join(rule.query, ", "), "none")
			return p
		}
	}
	return nil
}

func isText(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// unknown answers where no route is.
func (s *Server) unknown(w http.ResponseWriter, r *http.Request, pattern string) {
	if pattern != "" {
		s.fail(w, r, newProblem(http.StatusForbidden, codeForbidden, "nobody may call this"))
		return
	}
	probe := &statusWriter{ResponseWriter: discard{http.Header{}}}
	s.mux.ServeHTTP(probe, r)
	if probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.Header().Get("Allow"))
		s.fail(w, r, newProblem(http.StatusMethodNotAllowed, plimsoll.CodeInvalid, "this address does not take "+r.Method))
		return
	}
	s.nothing(w, r)
}

func (s *Server) nothing(w http.ResponseWriter, r *http.Request) {
	s.fail(w, r, newProblem(http.StatusNotFound, plimsoll.CodeNotFound, "there is nothing at this address"))
}

// note adds an entry to the audit log.
func (s *Server) note(r *http.Request, q *request, rule rule, pattern string, status int) {
	_, form, _ := strings.Cut(pattern, " ")
	parts := strings.Split(r.URL.Path, "/")
	var object []string
	for i, part := range strings.Split(form, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok && i < len(parts) {
			object = append(object, strings.TrimRight(name, ".}$")+"="+parts[i])
		}
	}
	entry := api.AuditEntry{
		At: s.Now(), User: q.caller.name, Via: cmp.Or(q.caller.via, "session"), Action: rule.operation,
		Object: strings.Join(object, " "), Detail: q.detail, Address: q.address, OK: status < 400,
	}
	ctx := context.WithoutCancel(r.Context()) // whoever hangs up does not go unnoticed
	if err := s.Store.Audit(ctx, entry); err != nil {
		s.Log.ErrorContext(ctx, "audit entry not kept", "request", q.id, "action", entry.Action, "user", entry.User, "error", err)
	}
}

// secure sets what every answer says to a browser.
func secure(h http.Header, tls bool, id string) {
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "+
		"base-uri 'none'; form-action 'self'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Request-Id", id)
	if tls {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
}

// clientAddress is the address of the connection. An IPv6 client is its /64.
func clientAddress(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host
	}
	if addr = addr.Unmap().WithZone(""); addr.Is6() {
		if p, err := addr.Prefix(64); err == nil && !addr.IsLoopback() {
			return p.String()
		}
	}
	return addr.String()
}

func tooMany(seconds int) *Refusal {
	p := newProblem(http.StatusTooManyRequests, codeTooMany, "too many requests")
	p.retry = seconds
	return p
}

// statusWriter remembers the status.
type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *statusWriter) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap is for http.ResponseController.
func (w *statusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// discard takes an answer that nobody gets.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}
