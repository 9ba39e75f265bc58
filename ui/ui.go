// Package ui holds the console's pages: their source beside this file, their build
// in dist, embedded in the binary.
//
// It owns what a browser is given. It refuses to know the fleet: pages ask the HTTP
// API like any other client. Without Node.js there is no build; a page that says so
// takes its place, and everything else of the console works.
package ui

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
)

//go:embed all:dist
var dist embed.FS

// nonceMark is where the page wants the nonce of its styles.
const nonceMark = "{{nonce}}"

// Built says whether the binary holds the pages.
func Built() bool {
	_, err := fs.Stat(dist, "dist/www/index.html")
	return err == nil
}

// Page writes the document of every page. Styles that its scripts make carry nonce:
// the caller allows it in the content security policy of this answer.
func Page(w http.ResponseWriter, nonce string) { page(dist, w, nonce) }

func page(build fs.FS, w http.ResponseWriter, nonce string) {
	document, err := fs.ReadFile(build, "dist/www/index.html")
	if err != nil {
		document, _ = fs.ReadFile(build, "dist/placeholder.html")
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Write(bytes.ReplaceAll(document, []byte(nonceMark), []byte(nonce)))
}

// Asset serves a file that pages load, and says whether there is one of this name.
// Names of built files change with their content, so browsers keep them.
func Asset(w http.ResponseWriter, r *http.Request) bool { return asset(dist, w, r) }

func asset(build fs.FS, w http.ResponseWriter, r *http.Request) bool {
	name := path.Base(r.URL.Path)
	packed, err := fs.ReadFile(build, "dist/www/assets/"+name+".gz")
	if err != nil {
		return false
	}
	h := w.Header()
	h.Set("Content-Type", mime.TypeByExtension(path.Ext(name)))
	h.Set("Vary", "Accept-Encoding")
	if strings.Contains(name, "-") { // NAME-HASH.EXT
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		h.Set("Content-Encoding", "gzip")
		w.Write(packed)
		return true
	}
	plain, err := gzip.NewReader(bytes.NewReader(packed))
	if err == nil {
		_, err = io.Copy(w, plain)
	}
	if err != nil {
		panic(http.ErrAbortHandler) // the binary is damaged
	}
	return true
}
