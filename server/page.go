package server

import (
	"crypto/rand"
	"embed"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/ui"
)

//go:embed docs
var assets embed.FS

func (s *Server) pageRoutes() {
	open := func(pattern string, h http.HandlerFunc) { s.raw("GET "+pattern, rule{need: anybody}, h) }
	page := func(pattern string, h http.HandlerFunc) { s.raw("GET "+pattern, rule{need: anybody, page: true}, h) }
	for _, path := range []string{"/{$}", "/login", "/setup"} {
		page(path, showPage)
	}
	for _, area := range []string{"images", "vulnerabilities", "software", "hosts", "tasks", "decisions", "settings"} {
		page("/"+area, showPage)
		page("/"+area+"/{page...}", showPage)
	}
	page("/assets/{file}", func(w http.ResponseWriter, r *http.Request) {
		if !ui.Asset(w, r) {
			s.nothing(w, r)
		}
	})
	for _, file := range []struct{ path, name string }{
		{"/docs", "docs.html"}, {"/docs/docs.js", "docs.js"}, {"/docs/docs.css", "docs.css"},
	} {
		open(file.path, func(w http.ResponseWriter, r *http.Request) { http.ServeFileFS(w, r, assets, "docs/"+file.name) })
	}
	open("/openapi.json", s.showOpenAPI)
	open(api.PublicPath+"/openapi.json", s.showOpenAPI)
	text := func(path, id, summary, says string) huma.Operation {
		return huma.Operation{Method: "GET", Path: path, OperationID: id, Tags: []string{"Operations"}, Summary: summary,
			Responses: map[string]*huma.Response{"200": {Description: says, Content: map[string]*huma.MediaType{"text/plain": {Schema: &huma.Schema{Type: "string"}}}}}}
	}
	s.document(text("/healthz", "get-health", "Whether the console runs", "It does"), rule{need: anybody},
		func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("ok\n")) })
	s.document(text("/readyz", "get-readiness", "Whether the console can serve; 503 when not", "It can"), rule{need: anybody}, s.ready)
	s.document(text("/metrics", "get-metrics", "Figures of this console and the fleet, for Prometheus; for who sees all hosts", "Metrics"), rule{need: viewer}, s.showMetrics)
}

// showPage answers with the document of all pages. Ant Design makes styles in the
// browser: those with the nonce of this answer are allowed, no others.
func showPage(w http.ResponseWriter, _ *http.Request) {
	nonce := rand.Text()
	h := w.Header()
	h.Set("Content-Security-Policy", strings.Replace(h.Get("Content-Security-Policy"), "style-src 'self'", "style-src 'self' 'nonce-"+nonce+"'", 1))
	ui.Page(w, nonce)
}

func (s *Server) showOpenAPI(w http.ResponseWriter, r *http.Request) {
	document, err := s.openapi()
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(document)
}

// ready says whether the console can serve: the database answers, its schema is
// ours, and which advisories are active is known. That there are none is known.
func (s *Server) ready(w http.ResponseWriter, r *http.Request) {
	err := s.Store.Ping(r.Context())
	if err == nil {
		if _, err = s.Store.CurrentGeneration(r.Context()); plimsoll.CodeOf(err) == plimsoll.CodeNotFound {
			err = nil
		}
	}
	if s.stopping.Err() != nil {
		err = plimsoll.Errorf(plimsoll.CodeUnavailable, "serve", "the console is stopping")
	}
	if err != nil {
		p := newProblem(http.StatusServiceUnavailable, plimsoll.CodeUnavailable, "the database does not answer")
		s.Log.WarnContext(r.Context(), "not ready", "error", err)
		s.fail(w, r, p)
		return
	}
	w.Write([]byte("ready\n"))
}
