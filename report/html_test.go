package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// checkHTML parses the page as a browser does and fails when it holds anything
// that the template does not: elements, attributes, addresses, code.
func checkHTML(t *testing.T, page []byte) {
	t.Helper()
	doc, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	elements := make(map[string]int)
	policy := ""
	var code []string
	for n := range doc.Descendants() {
		if n.Type == html.CommentNode {
			t.Errorf("a comment: %q", n.Data)
		}
		if n.Type != html.ElementNode {
			continue
		}
		elements[n.Data]++
		switch n.Data {
		case "html", "head", "meta", "title", "body", "header", "main", "footer", "section", "h1", "h2", "h3", "h4", "p", "div", "span", "dl", "dt", "dd",
			"ul", "li", "table", "thead", "tbody", "tr", "th", "td", "details", "summary", "a", "strong", "pre", "code", "svg", "rect",
			"input", "label", "fieldset", "legend":
		case "style", "script":
			code = append(code, n.FirstChild.Data)
		default:
			t.Errorf("element <%s>", n.Data)
		}
		for _, a := range n.Attr {
			switch {
			case strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "src" || a.Key == "srcset":
				t.Errorf("attribute %s=%q", a.Key, a.Val)
			case a.Key == "href" && !strings.HasPrefix(a.Val, "#image-") && !strings.HasPrefix(a.Val, "https://") && !strings.HasPrefix(a.Val, "http://"):
				t.Errorf("link to %q", a.Val)
			case a.Key == "content" && strings.HasPrefix(a.Val, "default-src"):
				policy = a.Val
			}
		}
	}
	if elements["style"] != 1 || elements["script"] != 1 || elements["h1"] != 1 || elements["main"] != 1 {
		t.Errorf("elements: %v", elements)
	}
	for _, c := range code {
		h := sha256.Sum256([]byte(c))
		if !strings.Contains(policy, base64.StdEncoding.EncodeToString(h[:])) {
			t.Errorf("policy %q does not allow %.40q", policy, c)
		}
	}
	if !strings.HasPrefix(policy, "default-src 'none';") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy %q", policy)
	}
}

func TestHTMLHoldsNothingForeign(t *testing.T) {
	checkHTML(t, render(t, func(w io.Writer) error { return Write(w, HTML, sampleReport(), Options{Packages: true}) }))
	checkHTML(t, render(t, func(w io.Writer) error { return Write(w, HTML, inventoryReport(), Options{}) }))
	for _, evil := range evilStrings(t) {
		checkHTML(t, render(t, func(w io.Writer) error { return Write(w, HTML, evilReport(evil), Options{Packages: true}) }))
	}
}

func FuzzHTML(f *testing.F) {
	for _, evil := range evilStrings(f) {
		f.Add(evil)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkHTML(t, render(t, func(w io.Writer) error { return Write(w, HTML, evilReport(s), Options{Packages: true}) }))
	})
}
