package ui

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func pack(t *testing.T, text string) *fstest.MapFile {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	io.WriteString(z, text)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return &fstest.MapFile{Data: out.Bytes()}
}

// A binary without pages says why, and what to do.
func TestPlaceholder(t *testing.T) {
	text, err := dist.ReadFile("dist/placeholder.html")
	if err != nil {
		t.Fatal(err)
	}
	for built, build := range map[bool]fstest.MapFS{
		false: {"dist/placeholder.html": {Data: text}},
		true:  {"dist/placeholder.html": {Data: text}, "dist/www/index.html": {Data: []byte(`<meta content="{{nonce}}">`)}},
	} {
		w := httptest.NewRecorder()
		page(build, w, "N1")
		got := w.Body.String()
		if strings.Contains(got, "make build") == built || built && got != `<meta content="N1">` || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("built %t: %s", built, got)
		}
	}
}

// Files are held packed, and unpacked for whoever cannot do that.
func TestAsset(t *testing.T) {
	build := fstest.MapFS{
		"dist/www/index.html":                {Data: []byte("<html>")},
		"dist/www/assets/page-Ab12.js.gz":    pack(t, "export {}"),
		"dist/www/assets/page-Ab12.css.gz":   pack(t, "a {}"),
		"dist/www/assets/plimsoll.svg.gz":    pack(t, "<svg/>"),
		"dist/www/assets/damaged-Ab12.js.gz": {Data: []byte("no gzip")},
	}
	for _, test := range []struct {
		name, body, media string
		kept              bool
	}{
		{"page-Ab12.js", "export {}", "text/javascript; charset=utf-8", true},
		{"page-Ab12.css", "a {}", "text/css; charset=utf-8", true},
		{"plimsoll.svg", "<svg/>", "image/svg+xml", false}, // its name stays when it changes
	} {
		for _, takes := range []string{"", "gzip, deflate, br"} {
			r := httptest.NewRequest("GET", "/assets/"+test.name, nil)
			r.Header.Set("Accept-Encoding", takes)
			w := httptest.NewRecorder()
			if !asset(build, w, r) {
				t.Fatalf("no %s", test.name)
			}
			var body io.Reader = w.Body
			if packed := w.Header().Get("Content-Encoding") == "gzip"; packed != (takes != "") {
				t.Errorf("%s to %q: packed %t", test.name, takes, packed)
			} else if packed {
				z, err := gzip.NewReader(body)
				if err != nil {
					t.Fatal(err)
				}
				body = z
			}
			got, err := io.ReadAll(body)
			if err != nil || string(got) != test.body {
				t.Errorf("%s to %q: %q, %v", test.name, takes, got, err)
			}
			h := w.Header()
			if h.Get("Content-Type") != test.media || h.Get("Vary") != "Accept-Encoding" || strings.Contains(h.Get("Cache-Control"), "immutable") != test.kept {
				t.Errorf("%s: %v", test.name, h)
			}
		}
	}
	for _, name := range []string{"none.js", "page-Ab12.js.gz", "../index.html", "..%2findex.html", "", "."} {
		r := httptest.NewRequest("GET", "/", nil)
		r.URL.Path = "/assets/" + name
		if w := httptest.NewRecorder(); asset(build, w, r) || w.Body.Len() > 0 {
			t.Errorf("%q is served: %s", name, w.Body)
		}
	}
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("a damaged file was served as if it were whole")
		}
	}()
	asset(build, httptest.NewRecorder(), httptest.NewRequest("GET", "/assets/damaged-Ab12.js", nil))
}

// What is embedded here runs under the console's policy: no script or style in the
// page, nothing from another host.
func TestEmbeddedPage(t *testing.T) {
	w := httptest.NewRecorder()
	Page(w, "N1")
	got := w.Body.String()
	wanted := []string{"make build"}
	if Built() {
		wanted = []string{`<meta name="csp-nonce" content="N1"`, `<script type="module" crossorigin src="/assets/`}
	}
	for _, want := range wanted {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in %s", want, got)
		}
	}
	for _, bad := range []string{"<script>", "<style", " style=", " onload=", "http://", "https://", `src="//`, nonceMark} {
		if strings.Contains(got, bad) {
			t.Errorf("%s in %s", bad, got)
		}
	}
}

// Packages of the pages are those of the lock file, to the byte, from whichever registry
// npm is set to, and run nothing when they are installed.
func TestPackagesAreFixedAndRunNothing(t *testing.T) {
	settings, err := os.ReadFile(".npmrc")
	if err != nil || !strings.Contains("\n"+string(settings), "\nignore-scripts=true\n") {
		t.Errorf("packages may run scripts (%v):\n%s", err, settings)
	}
	text, err := os.ReadFile("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	var lock struct {
		Packages map[string]struct{ Resolved, Integrity string }
	}
	if err := json.Unmarshal(text, &lock); err != nil {
		t.Fatal(err)
	}
	if len(lock.Packages) < 50 {
		t.Errorf("only %d packages", len(lock.Packages))
	}
	for path, p := range lock.Packages {
		if path != "" && (!strings.HasPrefix(p.Integrity, "sha512-") || p.Resolved != "") {
			t.Errorf("%s: %q from %q", path, p.Integrity, p.Resolved)
		}
	}
}
