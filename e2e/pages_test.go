//go:build e2e

package e2e

import (
	"archive/zip"
	"bytes"
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"plimsoll/e2e/lab"
	"plimsoll/sample"
)

// hostileAdvisories are OSV records by ecosystem, about packages of [lab.Hostile] and
// of Debian 11, in the words of an author who means harm.
func hostileAdvisories() map[string][]map[string]any {
	const script, image = `</script><script>window.hostile=4</script>`, `"><img src=x onerror=window.hostile=5>`
	type list = []any
	affects := func(ecosystem, name string, events ...any) any {
		return map[string]any{
			"package": map[string]string{"ecosystem": ecosystem, "name": name},
			"ranges":  list{map[string]any{"type": "ECOSYSTEM", "events": append(list{map[string]string{"introduced": "0"}}, events...)}},
		}
	}
	record := func(id string, affected ...any) map[string]any {
		return map[string]any{
			"schema_version": "1.7.0", "id": id, "modified": "2026-01-02T00:00:00Z", "published": "2026-01-01T00:00:00Z",
			"summary": script + "\u202e" + image + " =1+1",
			"details": "# " + script + "\n\n[click](javascript:window.hostile=6) " + image + strings.Repeat(" and on and on", 1000),
			"references": list{
				map[string]string{"type": "WEB", "url": "javascript:window.hostile=7"},
				map[string]string{"type": "WEB", "url": "data:text/html,<script>window.hostile=8</script>"},
				map[string]string{"type": "ADVISORY", "url": "https://advisory.invalid/" + image},
			},
			"affected":          affected,
			"database_specific": map[string]string{"severity": "CRITICAL"},
		}
	}
	fixed := map[string]string{"fixed": "2.0.0"}
	return map[string][]map[string]any{
		"Debian": {record("DSA-9999-1", affects("Debian:12", "hostile-deb", fixed), affects("Debian:11", "glibc"))},
		"npm": {
			record("GHSA-2222-2222-2222", affects("npm", "hostile-victim", fixed)),
			record("GHSA-3333-3333-3333", affects("npm", `</script><script>window.hostile=1</script>`, fixed)),
			record("GHSA-4444-4444-4444", affects("npm", `=HYPERLINK("javascript:window.hostile=3","x")`, fixed)),
			record("GHSA-5555-5555-5555", affects("npm", `"><img src=x onerror=window.hostile=2>`, fixed)),
		},
	}
}

// exportsWith is a directory of OSV exports for judged ecosystems, with records added.
func exportsWith(t testing.TB, records map[string][]map[string]any) string {
	t.Helper()
	from, dir := osvExports(t), t.TempDir()
	writeFile(t, filepath.Join(dir, "ecosystems.txt"), strings.Join(judged, "\n")+"\n")
	for _, ecosystem := range judged {
		old, err := zip.OpenReader(filepath.Join(from, ecosystem, "all.zip"))
		if err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		var made bytes.Buffer
		w := zip.NewWriter(&made)
		for _, f := range old.File {
			if err := w.Copy(f); err != nil {
				t.Fatal(err)
			}
		}
		for _, record := range records[ecosystem] {
			f, err := w.Create(record["id"].(string) + ".json")
			if err == nil {
				err = json.NewEncoder(f).Encode(record)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		mkdir(t, filepath.Join(dir, ecosystem))
		writeFile(t, filepath.Join(dir, ecosystem, "all.zip"), made.String())
	}
	return dir
}

// remote is the end of a test's line to the browser: it stops and starts the console.
func (c *console) remote() string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/stop":
			c.signal(syscall.SIGTERM)
		case "/start":
			c.start()
			c.ready()
		}
	}))
	c.t.Cleanup(server.Close)
	return server.URL
}

// TestPages drives the console's pages in a real browser: plimsoll up on a host with
// a Docker of real images and one of hostile texts, from the link that it prints on.
// What is tested is in ui/e2e; each test there is a subtest here.
func TestPages(t *testing.T) {
	chromium := cmp.Or(os.Getenv("PLIMSOLL_CHROMIUM"), "chromium")
	lab.Need(t, "node", "npx", chromium)
	chromium, err := exec.LookPath(chromium)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("../ui/build").CombinedOutput(); err != nil {
		t.Fatalf("build pages: %v\n%s", err, out)
	}
	l := lab.New(t)
	d := l.Docker(t)
	d.Load(t, lab.Debian("11"), lab.Python(), lab.Node(), lab.Hostile())
	d.CLI(t, "run", "--detach", "--network=none", "--name", "shop", "--label", `team="><img src=x onerror=window.hostile=9>`, "node-app:1", "sleep", "infinity")

	c := prepareConsole(t, "", dockerAt(d)...)
	c.args[0] = "up"
	known := t.TempDir()
	if err := os.CopyFS(known, sample.Advisories()); err != nil {
		t.Fatal(err)
	}
	sources := []string{
		"--osv", exportsWith(t, hostileAdvisories()), "--ecosystems", strings.Join(judged, ","),
		"--kev", filepath.Join(known, "kev.json"), "--epss", filepath.Join(known, "epss.csv"), "--cvss", filepath.Join(known, "cvss.csv"),
	}
	c.args = append(c.args, sources...)
	u := &user{t: t, bin: binary(t), cache: filepath.Join(c.dir, "cache"), data: c.dir}
	if a := u.run(append([]string{"db", "update"}, sources...)...); a.code != 0 {
		t.Fatalf("db update: exit code %d: %s", a.code, a.stderr)
	}
	c.start()
	c.ready()
	c.eventually("the console tells its setup link", 10*time.Second, func() bool { return setupLink.MatchString(c.said()) })

	report := filepath.Join(t.TempDir(), "report.json")
	browse := exec.Command("npx", "--no-install", "playwright", "test", "--project", "console")
	browse.Dir = filepath.Join("..", "ui")
	browse.Env = append(os.Environ(), "PLIMSOLL_URL="+c.url, "PLIMSOLL_SETUP="+c.url+setupLink.FindString(c.said()), "PLIMSOLL_REMOTE="+c.remote(),
		"PLIMSOLL_CHROMIUM="+chromium, "PLAYWRIGHT_JSON_OUTPUT_NAME="+report, "DOCKER_HOST="+d.Host, "PLIMSOLL_BIN="+u.bin, "FORCE_COLOR=0")
	browse.Stdout, browse.Stderr = os.Stdout, os.Stdout // as it goes
	failed := browse.Run()
	var results struct{ Suites []suite }
	if err := json.Unmarshal([]byte(readFile(t, report)), &results); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, s := range results.Suites {
		count += s.tell(t)
	}
	if count == 0 || failed != nil && !t.Failed() {
		t.Errorf("%d tests, %v", count, failed)
	}
	if t.Failed() {
		t.Logf("screenshots are in ui/test-results; the console said:\n%s", tail(c.said()))
	}
}

// suite is a file or a group of browser tests and how they ended.
type suite struct {
	Title  string
	Suites []suite
	Specs  []struct {
		Title string
		Tests []struct {
			Results []struct {
				Status string
				Errors []struct{ Message string }
			}
		}
	}
}

// tell makes each browser test a subtest.
func (s suite) tell(t *testing.T) (count int) {
	t.Run(s.Title, func(t *testing.T) {
		for _, spec := range s.Specs {
			count++
			t.Run(spec.Title, func(t *testing.T) {
				for _, test := range spec.Tests {
					if len(test.Results) == 0 {
						t.Error("did not run")
					}
					for i, r := range test.Results {
						switch {
						case r.Status == "passed":
						case i < len(test.Results)-1:
							t.Logf("UNSTEADY: %s at first: %v", r.Status, r.Errors)
						default:
							t.Errorf("%s: %v", r.Status, r.Errors)
						}
					}
				}
			})
		}
		for _, inner := range s.Suites {
			count += inner.tell(t)
		}
	})
	return count
}

// A program built as for a release shows the console's pages, not what takes their
// place without Node.js, and holds every file that they ask for.
func TestReleaseHoldsPages(t *testing.T) {
	lab.Need(t, "node", "npm")
	if out, err := exec.Command("../ui/build").CombinedOutput(); err != nil {
		t.Fatalf("build pages: %v\n%s", err, out)
	}
	c := newConsole(t, "")
	get := func(path string) (int, string) {
		response, err := c.client.Get(c.url + path)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		return response.StatusCode, string(text)
	}
	_, page := get("/")
	if strings.Contains(page, "make build") {
		t.Fatalf("the binary shows the placeholder:\n%s", page)
	}
	scripts := 0
	seen := map[string]bool{}
	var follow func(text string)
	follow = func(text string) {
		for _, name := range regexp.MustCompile(`assets/[\w.-]+\.(?:js|css|svg)`).FindAllString(text, -1) {
			if seen[name] {
				continue
			}
			seen[name] = true
			status, body := get("/" + name)
			if status != http.StatusOK || body == "" {
				t.Errorf("%s: %d", name, status)
			}
			if strings.HasSuffix(name, ".js") {
				scripts++
				follow(body)
			}
		}
	}
	follow(page)
	if scripts < 15 {
		t.Errorf("only %d scripts: %v", scripts, seen)
	}
}
