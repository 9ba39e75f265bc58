package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

func TestClient(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get(api.HeaderVersion) != "1" || r.Header.Get("User-Agent") != "test" {
			t.Errorf("headers %v", r.Header)
		}
		switch r.URL.Path {
		case "/none":
			w.WriteHeader(http.StatusNoContent)
		case "/busy":
			w.Header().Set("Retry-After", "7")
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusServiceUnavailable)
			w.Write([]byte(`{"title":"Busy","status":503,"detail":"the queue is full","code":"busy"}`))
		case "/proxy":
			w.WriteHeader(http.StatusForbidden)
			w.Write([]byte("<html>"))
		case "/html":
			w.Write([]byte("<html>"))
		default:
			w.Write([]byte(`{"hostID":` + r.URL.Query().Get("n") + `}`))
		}
	}))
	defer srv.Close()
	c := &api.Client{Base: srv.URL + "/", HTTP: srv.Client(), Header: http.Header{"User-Agent": {"test"}}}
	var out api.Enrolled
	if got, err := c.Call(t.Context(), http.MethodPost, "/ok", map[string][]string{"n": {"3"}}, api.Renew{}, &out); err != nil || !got || out.HostID != 3 {
		t.Errorf("%v, %v, %+v", got, err, out)
	}
	if got, err := c.Call(t.Context(), http.MethodGet, "/none", nil, nil, &out); err != nil || got {
		t.Errorf("an empty answer: %v, %v", got, err)
	}
	_, err := c.Call(t.Context(), http.MethodGet, "/busy", nil, nil, nil)
	e, ok := err.(*api.Error)
	if !ok || e.Status != 503 || e.Code != "busy" || e.RetryAfter != 7*time.Second || !e.Temporary() || plimsoll.CodeOf(err) != plimsoll.CodeUnavailable {
		t.Errorf("got %#v", err)
	}
	if !strings.Contains(err.Error(), "the queue is full") {
		t.Errorf("it says: %v", err)
	}
	_, err = c.Call(t.Context(), http.MethodGet, "/proxy", nil, nil, nil)
	if e, ok := err.(*api.Error); !ok || e.Code != "" || e.Status != 403 {
		t.Errorf("got %#v", err)
	}
	if _, err = c.Call(t.Context(), http.MethodGet, "/html", nil, nil, &out); plimsoll.CodeOf(err) != plimsoll.CodeUnavailable {
		t.Errorf("an answer that is no JSON: %v", err)
	}
	if b, err := c.Fetch(t.Context(), "/html", nil, 6); err != nil || string(b) != "<html>" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := c.Fetch(t.Context(), "/html", nil, 5); err == nil {
		t.Error("an answer beyond the limit was read")
	}
}
