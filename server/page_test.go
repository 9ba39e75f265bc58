package server

import (
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"

	"plimsoll/ui"
)

// Every address of a page, deep ones and those with filters too, answers with the
// document of all pages: scripts only from files of this console, styles also with a
// nonce that no other answer has.
func TestPageAddresses(t *testing.T) {
	c := newTestConsole(t)
	policy := regexp.MustCompile(`^default-src 'none'; script-src 'self'; style-src 'self' 'nonce-([A-Z0-9]{26})'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'$`)
	seen := make(map[string]bool)
	for _, path := range []string{
		"/", "/login", "/login?to=%2Fimages", "/setup", "/images", "/images/5?risk=high&risk=low", "/vulnerabilities/CVE-2023-4911", "/vulnerabilities?severty=critical",
		"/software/places", "/hosts/1", "/tasks", "/decisions", "/settings/users", "/images/no/such/page",
	} {
		a := c.do(c.client(), "GET", path, nil)
		found := policy.FindStringSubmatch(a.Header.Get("Content-Security-Policy"))
		if a.StatusCode != http.StatusOK || a.Header.Get("Content-Type") != "text/html; charset=utf-8" || a.Header.Get("Cache-Control") != "no-store" || found == nil {
			t.Fatalf("%s: %d %v", path, a.StatusCode, a.Header)
		}
		nonce := found[1]
		if seen[nonce] {
			t.Errorf("%s: the nonce was there before", path)
		}
		seen[nonce] = true
		want := "make build" // says what to do
		if ui.Built() {
			want = `<meta name="csp-nonce" content="` + nonce + `"`
		}
		if !strings.Contains(string(a.body), want) {
			t.Errorf("%s: no %s in %s", path, want, a.body)
		}
	}
	for _, path := range []string{"/image", "/imagesx", "/login/x", "/assets/", "/assets/none-1234.js", "/assets/../www/index.html", "/dist/www/index.html"} {
		a := c.do(c.client(), "GET", path, nil)
		if a.StatusCode != http.StatusNotFound || a.Header.Get("Content-Type") != "application/problem+json" || a.problem().Code == "" {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
}

// An office behind one address opens the console at once: no browser misses a file.
func TestFirstLoadOfManyBrowsers(t *testing.T) {
	c := newTestConsole(t)
	const browsers, files = 40, 30
	client := c.client()
	var wait sync.WaitGroup
	for range browsers {
		wait.Go(func() {
			for range files {
				if a := c.do(client, "GET", "/assets/plimsoll.svg", nil); a.StatusCode == http.StatusTooManyRequests {
					t.Error("refused")
					return
				}
			}
		})
	}
	wait.Wait()
}
