package main

import (
	"archive/zip"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
	"golang.org/x/net/html"

	"plimsoll"
	"plimsoll/report"
)

// evilWorld is a Docker store and OSV exports in which everything that somebody
// else can choose is hostile. Each image and each advisory has its share of the
// evil strings in every place that can hold a text.
type evilWorld struct {
	*session
	root, osv string
	strings   []string
}

const evilImages = 5

func newEvilWorld(t *testing.T) *evilWorld {
	list := evilStrings(t) // before the session leaves this directory
	w := &evilWorld{session: newSession(t), root: t.TempDir(), osv: t.TempDir(), strings: list}
	repositories := map[string]map[string]string{}
	for i := range evilImages {
		var share []string
		for j := i; j < len(list); j += evilImages {
			share = append(share, list[j])
		}
		w.image(i, share, repositories)
	}
	w.record("repositories.json", asJSON(map[string]any{"Repositories": repositories}))
	w.advisories()
	return w
}

// evilStrings reads the corpus that report's own tests use: one Go string literal a line.
func evilStrings(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../../report/testdata/evil-strings.txt")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for l := range strings.Lines(string(text)) {
		if l = strings.TrimSpace(l); l == "" || strings.HasPrefix(l, "#") {
			continue
		}
		s, err := strconv.Unquote(l)
		if err != nil {
			t.Fatalf("%s: %v", l, err)
		}
		list = append(list, s)
	}
	return append(list, strings.Repeat("long \u202e\x1b[31m ", 20<<10), strings.Repeat("x", 10<<20))
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func (w *evilWorld) record(name, text string) {
	w.put(filepath.Join("image/overlay2", name), text)
}

func (w *evilWorld) put(name, text string) {
	w.t.Helper()
	path := filepath.Join(w.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	write(w.t, path, text)
}

// image adds an image of one layer, which has a directory named after each of
// the strings.
func (w *evilWorld) image(i int, share []string, repositories map[string]map[string]string) {
	diff := plimsoll.DigestOf(fmt.Appendf(nil, "evil layer %d", i))
	layer := fmt.Sprintf("%064x", i)
	db := "layerdb/sha256/" + plimsoll.ChainIDs([]plimsoll.Digest{diff})[0].Hex() + "/"
	w.record(db+"cache-id", layer)
	w.record(db+"size", "1")
	var history []map[string]any
	texts, labels := []string{}, map[string]string{}
	for n, evil := range share {
		w.files("overlay2/"+layer+"/diff/", evil, n == 0)
		text := cut(evil, 300<<10) // an engine's record of many MiB is refused as a whole
		texts = append(texts, text)
		labels[text] = text
		history = append(history, map[string]any{"created_by": text, "comment": text, "empty_layer": n > 0})
	}
	short := cut(share[0], 100)
	config := asJSON(map[string]any{
		"os": "linux", "architecture": short, "variant": short, "rootfs": map[string]any{"type": "layers", "diff_ids": []plimsoll.Digest{diff}},
		"config":  map[string]any{"User": short, "WorkingDir": short, "Entrypoint": texts, "Cmd": texts, "Env": texts, "Labels": labels},
		"history": history,
	})
	id := plimsoll.DigestOf([]byte(config))
	w.record("imagedb/content/sha256/"+id.Hex(), config)
	for n, text := range texts {
		name := cut(text, 60<<10)
		repositories[name] = map[string]string{name: string(id), fmt.Sprintf("evil/%d/%d:1", i, n): string(id), "evil/" + name: string(id), name + "@" + string(id): string(id)}
		word := cut(text, 10<<10)
		w.put(fmt.Sprintf("containers/%032x%032x/config.v2.json", i, n), asJSON(map[string]any{
			"Name": "/" + word, "Image": id, "Driver": "overlay2", "State": map[string]any{"Running": true},
			"Config": map[string]any{"Labels": map[string]string{"io.kubernetes.pod.name": word, "io.kubernetes.pod.namespace": word}},
		}))
	}
}

// files writes what analysers read: below a directory named after evil, as a
// system of its own, and for the image itself.
func (w *evilWorld) files(layer, evil string, top bool) {
	dir := fileNameOf(evil)
	put := func(name, text string) { w.put(layer+name, text) }
	line := strings.NewReplacer("\n", " ", "\r", " ").Replace(cut(evil, 20<<10)) // for formats of lines
	roots := map[string]string{dir + "/": strconv.Quote(line)}
	if top {
		roots[""] = "debian"
	}
	for root, id := range roots {
		put(root+"etc/os-release", fmt.Sprintf("ID=%s\nVERSION_ID=12\nNAME=%s\nPRETTY_NAME=%[2]s\nVERSION=%[2]s\nVERSION_CODENAME=%[2]s\nVARIANT_ID=%[2]s\nCPE_NAME=%[2]s\n", id, strconv.Quote(line)))
		put(root+"var/lib/dpkg/status", fmt.Sprintf("Package: evil\nStatus: install ok installed\nArchitecture: %s\nVersion: 1.0\nSource: %[1]s (%[1]s)\nMaintainer: %[1]s\nHomepage: %[1]s\n\n"+
			"Package: %[1]s\nStatus: install ok installed\nArchitecture: all\nVersion: %[1]s\n\n", line))
		put(root+"usr/share/doc/evil/copyright", "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n\nFiles: *\nLicense: "+line+"\n")
		put(root+"lib/apk/db/installed", fmt.Sprintf("P:evil\nV:1.0\nA:%s\no:%[1]s\nm:%[1]s\nL:%[1]s\n\nP:%[1]s\nV:%[1]s\n\n", line))
	}
	node := func(name string, v any) { put(dir+"/node_modules/"+name+"/package.json", asJSON(v)) }
	node("victim", map[string]any{"name": "victim", "version": "1.0.0", "license": evil, "author": map[string]string{"name": evil}})
	node("evil", map[string]any{"name": evil, "version": "1.0.0", "license": []string{evil}})
	node("version", map[string]any{"name": "version", "version": evil})
	put(dir+"/node_modules/broken/package.json", `{"name":"`+line)
	put(dir+"/evil.dist-info/METADATA", fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %[1]s\nLicense: %[1]s\nAuthor: %[1]s\n", line))
	put(dir+"/evil.jar", w.jar("META-INF/maven/g/a/pom.properties", fmt.Sprintf("groupId=%s\nartifactId=%[1]s\nversion=%[1]s\n", line), dir+".jar", "no archive"))
}

// fileNameOf is as much of s as a file's name can hold.
func fileNameOf(s string) string {
	s = strings.NewReplacer("/", "", "\x00", "").Replace(s)
	return s[:min(len(s), 200)]
}

func cut(s string, most int) string { return s[:min(len(s), most)] }

func (w *evilWorld) jar(members ...string) string {
	w.t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for m := range slices.Chunk(members, 2) {
		f, err := z.Create(m[0])
		if err == nil {
			_, err = io.WriteString(f, m[1])
		}
		if err != nil {
			w.t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		w.t.Fatal(err)
	}
	return b.String()
}

// advisories speak in evil words about what the images hold.
func (w *evilWorld) advisories() {
	var members []string
	for i, evil := range w.strings {
		ranges := []map[string]any{{"type": "SEMVER", "events": []map[string]string{{"introduced": "0"}, {"fixed": "1.0.1"}}}}
		short := cut(evil, 400<<10)
		for n, about := range []map[string]any{
			{"id": fmt.Sprintf("GHSA-evil-evil-%04d", i), "aliases": []string{fmt.Sprintf("CVE-2026-%d", 1000+i), cut(evil, 50)}, "fixed": "1.0.1"},
			{"id": cut(evil, 50), "aliases": []string{fmt.Sprintf("CVE-2026-%d", 2000+i)}, "fixed": cut(evil, 100)},
		} {
			ranges[0]["events"].([]map[string]string)[1]["fixed"] = about["fixed"].(string)
			members = append(members, fmt.Sprintf("%d-%d.json", i, n), asJSON(map[string]any{
				"id": about["id"], "aliases": about["aliases"], "modified": "2026-01-01T00:00:00Z", "summary": short, "details": short,
				"references": []map[string]string{{"type": "WEB", "url": cut(evil, 1000)}, {"type": "WEB", "url": "https://example.org/" + cut(evil, 1000)}},
				"affected": []map[string]any{
					{"package": map[string]string{"ecosystem": "npm", "name": "victim"}, "ranges": ranges, "database_specific": map[string]string{"severity": cut(evil, 100)}},
					{"package": map[string]string{"ecosystem": "npm", "name": cut(evil, 200)}, "ranges": ranges},
				},
				"credits": []map[string]string{{"name": cut(evil, 100)}}, "database_specific": map[string]any{"severity": cut(evil, 100), "cwe_ids": []string{cut(evil, 100)}},
			}))
		}
	}
	if err := os.Mkdir(filepath.Join(w.osv, "npm"), 0o755); err != nil {
		w.t.Fatal(err)
	}
	write(w.t, filepath.Join(w.osv, "ecosystems.txt"), "npm\n")
	write(w.t, filepath.Join(w.osv, "npm", "all.zip"), w.jar(members...))
}

// harmful says what in an output would do more than be shown: kind is that of
// the output, by the name of its format.
func harmful(kind string, out []byte) error {
	if !utf8.Valid(out) {
		return errors.New("invalid UTF-8")
	}
	switch kind {
	case "csv":
		return harmfulRows(csv.NewReader(bytes.NewReader(out)).ReadAll())
	case "html":
		return harmfulPage(out)
	case "json":
		var v any
		if err := json.Unmarshal(out, &v); err != nil {
			return err
		}
		return tooLongText(v)
	}
	for l := range strings.Lines(string(out)) {
		l = strings.TrimSuffix(l, "\n")
		if shown := report.Text(l) == l; !shown && kind != "log" || kind == "log" && strings.ContainsFunc(l, obeyed) {
			return fmt.Errorf("a line that does more than be shown: %.300q", l)
		}
		if len(l) > 1<<20 {
			return fmt.Errorf("a line of %d bytes", len(l))
		}
	}
	return nil
}

// obeyed says whether r does more in a log than be shown. What JSON puts in the
// place of invalid UTF-8 does not.
func obeyed(r rune) bool { return r != utf8.RuneError && report.Text(string(r)) != string(r) }

func harmfulRows(rows [][]string, err error) error {
	if err != nil {
		return err
	}
	for _, cell := range slices.Concat(rows...) {
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
			if _, err := strconv.ParseFloat(cell, 64); err != nil {
				return fmt.Errorf("a formula: %.80q", cell)
			}
		}
		if report.Text(cell) != cell {
			return fmt.Errorf("a cell that does more than be shown: %.80q", cell)
		}
	}
	return nil
}

func harmfulSheet(out []byte) error {
	book, err := excelize.OpenReader(bytes.NewReader(out))
	if err != nil {
		return err
	}
	defer book.Close()
	z, err := zip.NewReader(bytes.NewReader(out), int64(len(out)))
	if err != nil {
		return err
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			return err
		}
		text, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if bytes.Contains(text, []byte("<f>")) || bytes.Contains(text, []byte("<f ")) || !utf8.Valid(text) {
			return fmt.Errorf("%s holds a formula or is no text", f.Name)
		}
		for l := range strings.Lines(string(text)) {
			if l = strings.Trim(l, "\r\n"); report.Text(l) != l {
				return fmt.Errorf("%s: text that does more than be shown", f.Name)
			}
		}
	}
	return nil
}

// harmfulPage looks for what our own pages never have: elements that load or run
// something, handlers of events, links that are none.
func harmfulPage(out []byte) error {
	doc, err := html.Parse(bytes.NewReader(out))
	if err != nil {
		return err
	}
	for n := range doc.Descendants() {
		switch {
		case n.Type == html.CommentNode:
			return fmt.Errorf("a comment: %.80q", n.Data)
		case n.Type == html.TextNode && !(n.Parent.Data == "script" || n.Parent.Data == "style"):
			for l := range strings.Lines(n.Data) {
				if l = strings.Trim(l, "\n"); report.Text(l) != l {
					return fmt.Errorf("text that does more than be shown: %.80q", l)
				}
			}
		case n.Type == html.TextNode && (strings.Contains(n.Data, "alert(1)") || strings.Contains(n.Data, "display:none}")):
			return errors.New("a script or a style of somebody else's")
		case n.Type == html.ElementNode && slices.Contains([]string{"img", "iframe", "object", "embed", "base", "form", "audio", "video"}, n.Data):
			return fmt.Errorf("an element %s", n.Data)
		}
		for _, a := range n.Attr {
			link := a.Key == "href" || a.Key == "src" || a.Key == "action"
			if strings.HasPrefix(a.Key, "on") || link && !strings.HasPrefix(a.Val, "https://") && !strings.HasPrefix(a.Val, "#") {
				return fmt.Errorf("%s=%.80q", a.Key, a.Val)
			}
		}
	}
	return nil
}

func tooLongText(v any) error {
	const most = 80 << 10 // the longest is the text of an advisory
	switch v := v.(type) {
	case string:
		if len(v) > most {
			return fmt.Errorf("a text of %d bytes: %.80q", len(v), v)
		}
	case []any:
		for _, e := range v {
			if err := tooLongText(e); err != nil {
				return err
			}
		}
	case map[string]any:
		for k, e := range v {
			if err := errors.Join(tooLongText(k), tooLongText(e)); err != nil {
				return fmt.Errorf("%.80q: %w", k, err)
			}
		}
	}
	return nil
}

// What an image, an engine or a feed says is shown by every command in every
// format, and does nothing else; nor in the log.
func TestEvilStringsThroughEveryCommand(t *testing.T) {
	w := newEvilWorld(t)
	if _, stderr, code := w.run("db", "update", "--osv", w.osv, "--kev", "", "--epss", "", "-v"); code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	places := []string{"--engine", "docker", "--docker-root", w.root, "--offline", "-v"}
	outputs := []string{"json=r.json", "csv=r.csv", "html=r.html", "cyclonedx-json=r.cdx.json", "spdx-json=r.spdx.json", "table", "sarif=r.sarif.json"}
	var formats []string
	for _, o := range outputs {
		formats = append(formats, "-o", o)
	}
	findings := 0 // of the package that is in each directory
	for name, test := range map[string]struct {
		args []string
		kind string
	}{
		"images":          {append([]string{"images"}, places[:4]...), "table"},
		"images as JSON":  {append([]string{"images", "-o", "json"}, places[:4]...), "json"},
		"scan":            {slices.Concat([]string{"scan", "--all"}, formats, places), "table"},
		"scan as seen":    {slices.Concat([]string{"scan", "--all", "--log-format", "json"}, places), "table"},
		"scan, gate":      {slices.Concat([]string{"scan", "--all", "--fail-on", "low", "--packages"}, places), "table"},
		"scan of a name":  {slices.Concat([]string{"scan", w.strings[0]}, places), "table"},
		"sbom":            {slices.Concat([]string{"sbom", "--all"}, formats[:10], places[:4]), "table"},
		"explain":         {slices.Concat([]string{"explain", "CVE-2026-1000", "--image", "evil/0/0:1"}, places), "table"},
		"explain nothing": {slices.Concat([]string{"explain", w.strings[1]}, places), "table"},
		"database":        {[]string{"db", "status"}, "table"},
		"doctor":          {append([]string{"doctor"}, places[:4]...), "table"},
		"wrong command":   {[]string{w.strings[0]}, "table"},
		"wrong flag":      {[]string{"scan", "--min-severity", w.strings[0]}, "table"},
	} {
		t.Run(name, func(t *testing.T) {
			stdout, stderr, _ := w.run(test.args...)
			if err := harmful(test.kind, []byte(stdout)); err != nil {
				t.Errorf("stdout: %v", err)
			}
			if err := harmful("log", []byte(stderr)); err != nil {
				t.Errorf("stderr: %v", err)
			}
			files, _ := filepath.Glob("r.*")
			for _, name := range files {
				out, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if err := harmful(strings.TrimPrefix(filepath.Ext(name), "."), out); err != nil {
					t.Errorf("%s: %v", name, err)
				}
				if name == "r.csv" {
					findings = max(findings, bytes.Count(out, []byte("victim")))
				}
				os.Remove(name)
			}
		})
	}
	if findings < len(w.strings) {
		t.Errorf("only %d findings, %d images", findings, len(w.strings))
	}
}
