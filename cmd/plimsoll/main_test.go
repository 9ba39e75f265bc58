package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll"
	"plimsoll/sample"
)

// session runs the program in this process, on the sample images and the sample
// of advisories, without looking at the host.
type session struct {
	t      *testing.T
	layout string
}

func newSession(t *testing.T) *session {
	dir := t.TempDir()
	t.Chdir(dir) // a plimsoll.yaml of the test's own
	t.Setenv("XDG_CONFIG_HOME", dir)
	t.Setenv("PLIMSOLL_CACHE_DIR", filepath.Join(dir, "cache"))
	t.Setenv("PLIMSOLL_DATA_DIR", filepath.Join(dir, "data"))
	s := &session{t: t, layout: filepath.Join(dir, "layout")}
	if err := sample.Write(s.layout); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *session) run(args ...string) (stdout, stderr string, code int) {
	var out, errs bytes.Buffer
	code = run(s.t.Context(), args, strings.NewReader(""), &out, &errs)
	return out.String(), errs.String(), code
}

// demo is what make run does on a host without engines.
func (s *session) demo() {
	s.t.Helper()
	if _, stderr, code := s.run("demo", "--engine", "docker", "--docker-root", s.t.TempDir()); code != exitOK {
		s.t.Fatalf("demo: exit code %d: %s", code, stderr)
	}
}

func TestUsage(t *testing.T) {
	s := newSession(t)
	for name, test := range map[string]struct {
		args []string
		code int
		says string
	}{
		"nothing":                 {nil, exitOK, ""},
		"unknown command":         {[]string{"scna"}, exitUsage, `did you mean "scan"`},
		"unknown db command":      {[]string{"db", "udpate"}, exitUsage, `did you mean "update"`},
		"unknown setting command": {[]string{"config", "x"}, exitUsage, "unknown command"},
		"empty severity":          {[]string{"scan", "--severity", "HIGH,", "--input", s.layout}, exitUsage, "severity"},
		"no time":                 {[]string{"sbom", "--timeout", "0s", "--input", s.layout}, exitUsage, "--timeout"},
		"no such exit code":       {[]string{"scan", "--exit-code", "256", "--input", s.layout}, exitUsage, "--exit-code"},
		"no such directory":       {[]string{"sbom", "-o", "json=no/such/x.json", "--input", s.layout}, exitUsage, "no/such"},
		"no such file":            {[]string{"db", "import", "/no/such"}, exitNotFound, "/no/such"},
		"unknown flag":            {[]string{"scan", "--severty", "high"}, exitUsage, "severty"},
		"unknown format":          {[]string{"scan", "-o", "pdf", "--input", s.layout}, exitUsage, "pdf"},
		"two to stdout":           {[]string{"sbom", "-o", "json", "-o", "csv", "--input", s.layout}, exitUsage, "csv=FILE"},
		"no image":                {[]string{"scan"}, exitUsage, "--all"},
		"image and all":           {[]string{"scan", "a", "--all", "--offline"}, exitUsage, "not both"},
		"unknown severity":        {[]string{"scan", "--min-severity", "severe", "--input", s.layout}, exitUsage, "severe"},
		"unknown gate":            {[]string{"scan", "--fail-on", "bad+high", "--input", s.layout}, exitUsage, "bad"},
		"unknown class":           {[]string{"scan", "--pkg-types", "kernel", "--input", s.layout}, exitUsage, "kernel"},
		"unknown engine":          {[]string{"images", "--engine", "lxc"}, exitUsage, "lxc"},
		"unknown colour":          {[]string{"version", "--color", "blue"}, exitUsage, "blue"},
		"no such help":            {[]string{"help", "scna"}, exitUsage, `did you mean "scan"`},
		"help":                    {[]string{"help", "db", "update"}, exitOK, ""},
		"no such shell":           {[]string{"completion", "cmd"}, exitUsage, "cmd"},
		"an empty name":           {[]string{"scan", ""}, exitUsage, "without a name"},
		"an empty document":       {[]string{"scan", "sbom:"}, exitUsage, "names no file"},
		"an empty input":          {[]string{"sbom", "--input", ""}, exitUsage, "--input"},
		"one file twice":          {[]string{"sbom", "-o", "json=a", "-o", "csv=a", "--input", s.layout}, exitUsage, "written twice"},
		"negative age":            {[]string{"scan", "--max-db-age", "-1h", "--input", s.layout}, exitUsage, "--max-db-age"},
		"empty gate":              {[]string{"scan", "--fail-on", "", "--input", s.layout}, exitUsage, "--fail-on"},
		"half a gate":             {[]string{"scan", "--fail-on", "high,", "--input", s.layout}, exitUsage, "confident"},
		"explain nothing":         {[]string{"explain", ""}, exitUsage, "CVE-"},
		"no join token":           {[]string{"agent", "join", "https://console.example:8443"}, exitUsage, "no join token"},
		"no such token file":      {[]string{"agent", "join", "https://console.example:8443", "--token-file", "/no/such"}, exitNotFound, "/no/such"},
		"no address to listen on": {[]string{"up", "--listen", "nowhere"}, exitUsage, "--listen"},
		"a token for nobody":      {[]string{"token", "create", "--uses", "0"}, exitUsage, "--uses"},
		"a token for no time":     {[]string{"token", "create", "--ttl", "0s"}, exitUsage, "--ttl"},
		"restore of noise":        {[]string{"restore", write(t, "noise", "noise and more noise")}, exitError, "it is no backup"},
		"export to nowhere":       {[]string{"db", "export", "/no/such/x"}, exitError, "write /no/such/x: no such file"},
		"unknown image":           {[]string{"sbom", "nowhere", "--input", s.layout}, exitNotFound, "nowhere"},
		"no such archive":         {[]string{"sbom", "--input", "/no/such"}, exitNotFound, "/no/such"},
		"no advisories":           {[]string{"db", "status"}, exitError, "db update"},
		"explain needs one":       {[]string{"explain"}, exitUsage, "CVE-"},
		"argument too many":       {[]string{"images", "debian"}, exitUsage, "debian"},
		"unreadable setting":      {[]string{"version", "--config", "/no/such.yaml"}, exitUsage, "/no/such.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr, code := s.run(test.args...)
			if code != test.code || !strings.Contains(stderr, test.says) {
				t.Errorf("exit code %d, want %d and %q:\n%s", code, test.code, test.says, stderr)
			}
		})
	}
}

// What is no advisory database is told with its own name and what helps with it,
// and every text is on lines of its own.
func TestFilesThatAreNoAdvisories(t *testing.T) {
	s := newSession(t)
	dir := t.TempDir()
	empty, noise, page := write(t, filepath.Join(dir, "empty"), ""), write(t, filepath.Join(dir, "noise"), strings.Repeat("noise", 9000)), write(t, filepath.Join(dir, "page.xml"), "<html></html>")
	osv := npmExport(t)
	update := func(advisories ...string) []string {
		args := []string{"db", "update", "--osv", osv, "--kev", "", "--epss", ""}
		for _, a := range advisories {
			args = append(args, "--advisories", a)
		}
		return args
	}
	for name, test := range map[string]struct {
		args []string
		code int
		says []string
	}{
		"import of nothing":          {[]string{"db", "import", empty}, exitError, []string{empty + ": the file is too short for a generation", "db export"}},
		"import of noise":            {[]string{"db", "import", "--unsigned", noise}, exitError, []string{noise + ": the file is not a generation", "db export"}},
		"import of a directory":      {[]string{"db", "import", dir}, exitError, []string{dir + ": is a directory"}},
		"scan by nothing":            {[]string{"scan", "--input", s.layout, "--db-path", empty}, exitError, []string{empty, "db import"}},
		"scan by noise":              {[]string{"scan", "--input", s.layout, "--db-path", noise}, exitError, []string{noise, "db import"}},
		"scan by a directory":        {[]string{"scan", "--input", s.layout, "--db-path", dir}, exitError, []string{dir + " is not a regular file"}},
		"a page for NVD":             {update("nvd=" + page), exitError, []string{page + ": no JSON in NVD's form: "}},
		"nothing for NVD":            {update("nvd=" + empty), exitError, []string{empty + ": the file is empty"}},
		"a page for secdb":           {update("secdb=" + page), exitError, []string{page + ": no security database in JSON"}},
		"nothing for updateinfo":     {update("updateinfo@euleros:2.0-SP9=" + empty), exitError, []string{empty + ": the file is empty"}},
		"a directory for one file":   {update("debian-tracker=" + dir), exitUsage, []string{"a source of this kind is one file"}},
		"no such file":               {update("nvd=" + filepath.Join(dir, "none")), exitNotFound, []string{"none: no such file"}},
		"a directory of settings":    {[]string{"version", "--config", dir}, exitUsage, []string{dir + ": is a directory"}},
		"a configuration of no form": {[]string{"version", "--config", write(t, filepath.Join(dir, "bad.yaml"), ": :\n a")}, exitUsage, []string{"bad.yaml: [1:1] "}},
		"outputs that nobody can write": {[]string{"sbom", "--input", s.layout, "-o", "json=/dev/null/a", "-o", "csv=" + filepath.Join(dir, "no", "b")}, exitUsage,
			[]string{"is not a directory"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr, code := s.run(test.args...)
			for _, want := range test.says {
				if !strings.Contains(stderr, want) {
					t.Errorf("it does not say %q", want)
				}
			}
			if code != test.code || strings.Contains(stderr, `\n`) || strings.Contains(stderr, ".tmp") || strings.Contains(stderr, "rollback") || t.Failed() {
				t.Errorf("exit code %d, want %d:\n%s", code, test.code, stderr)
			}
		})
	}
}

// What cannot be read is no missing file: scripts tell the two by the exit code,
// and no database is fetched in place of one that cannot be read. A file where a
// directory should be stands for lacking rights, which root does not know.
func TestWhatCannotBeRead(t *testing.T) {
	s := newSession(t)
	closed := write(t, filepath.Join(t.TempDir(), "closed"), "")
	secret := filepath.Join(closed, "secret")
	for name, args := range map[string][]string{
		"document":           {"scan", "--offline", "sbom:" + secret},
		"VEX document":       {"scan", "--input", s.layout, "--vex", secret},
		"database file":      {"scan", "--input", s.layout, "--db-path", secret},
		"import":             {"db", "import", secret},
		"source":             {"db", "update", "--osv", secret, "--kev", "", "--epss", ""},
		"ratings":            {"db", "update", "--osv", npmExport(t), "--kev", secret, "--epss", ""},
		"backup":             {"restore", secret},
		"token":              {"agent", "join", "https://console.example:8443", "--token-file", secret},
		"fleet's database":   {"token", "list", "--data-dir", closed},
		"database":           {"db", "status", "--data-dir", closed},
		"database of a scan": {"scan", "--input", s.layout, "--data-dir", closed},
	} {
		t.Run(name, func(t *testing.T) {
			if _, stderr, code := s.run(args...); code != exitError || !strings.Contains(stderr, "not a directory") {
				t.Errorf("exit code %d, want %d: %s", code, exitError, stderr)
			}
		})
	}
}

// Flag before environment before file before default.
func TestConfiguration(t *testing.T) {
	s := newSession(t)
	show := func(args ...string) string {
		t.Helper()
		stdout, stderr, code := s.run(append([]string{"config", "show", "--origin"}, args...)...)
		if code != exitOK {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		for line := range strings.Lines(stdout) {
			if strings.HasPrefix(line, "color:") {
				return strings.TrimSpace(line)
			}
		}
		return ""
	}
	check := func(want string, args ...string) {
		t.Helper()
		if got := show(args...); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	check("color: auto  # default")
	write(t, "plimsoll.yaml", "color: never\ndocker-root: [/srv/a, /srv/b]\n")
	check("color: never  # plimsoll.yaml")
	t.Setenv("PLIMSOLL_COLOR", "always")
	check("color: always  # PLIMSOLL_COLOR")
	check("color: never  # command line", "--color", "never")

	write(t, "plimsoll.yaml", "min-severity: high\nseverity:\n")
	if stdout, _, _ := s.run("config", "show", "--origin"); !strings.Contains(stdout, "min-severity: high  # plimsoll.yaml") {
		t.Errorf("the setting of one command is not shown:\n%s", stdout)
	}
	write(t, "plimsoll.yaml", "docker-rot: /srv/a\n")
	if _, stderr, code := s.run("version"); code != exitUsage || !strings.Contains(stderr, `did you mean "docker-root"`) {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	write(t, "plimsoll.yaml", "color: never\ncolor: always\n: :\n")
	if _, _, code := s.run("version"); code != exitUsage {
		t.Errorf("broken file: exit code %d", code)
	}
}

func TestDemoTwice(t *testing.T) {
	s := newSession(t)
	s.demo()
	s.demo()
}

func TestOutputsFiltersAndGate(t *testing.T) {
	s := newSession(t)
	s.demo()
	db := filepath.Join(os.Getenv("PLIMSOLL_CACHE_DIR"), "sample.plim")
	scan := func(args ...string) (string, string, int) {
		return s.run(append([]string{"scan", "--input", s.layout, "--db-path", db}, args...)...)
	}

	_, stderr, code := scan("-o", "json=r.json", "-o", "html=r.html", "-o", "csv=r.csv")
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, name := range []string{"r.json", "r.html", "r.csv"} {
		if info, err := os.Stat(name); err != nil || info.Size() < 1000 {
			t.Errorf("%s: %v", name, err)
		}
	}

	rows := func(args ...string) int {
		t.Helper()
		stdout, stderr, code := scan(append(args, "-o", "csv")...)
		if code != exitOK {
			t.Fatalf("%v: exit code %d: %s", args, code, stderr)
		}
		return strings.Count(stdout, "\n")
	}
	all := rows()
	for _, narrower := range [][]string{{"--min-severity", "high"}, {"--severity", "LOW"}, {"--pkg-types", "library"}, {"sample/shop:1.0"}} {
		if n := rows(narrower...); n >= all || n < 2 {
			t.Errorf("%v: %d rows of %d", narrower, n, all)
		}
	}
	if stdout, _, _ := scan("--min-severity", "critical"); !strings.Contains(stdout, "hidden") {
		t.Error("the table does not count what a filter hid")
	}

	if _, _, code := scan("--fail-on", "critical"); code != exitGate {
		t.Errorf("gate: exit code %d", code)
	}
	if _, _, code := scan("--fail-on", "critical", "--min-severity", "critical", "--exit-code", "9"); code != 9 {
		t.Errorf("gate with its own code: exit code %d", code)
	}
	if _, _, code := scan("--fail-on", "critical+malicious"); code != exitOK {
		t.Errorf("gate not met: exit code %d", code)
	}
}

func TestExplain(t *testing.T) {
	s := newSession(t)
	s.demo()
	db := filepath.Join(os.Getenv("PLIMSOLL_CACHE_DIR"), "sample.plim")
	stdout, stderr, code := s.run("explain", "cve-2023-4911", "--db-path", db, "--input", s.layout)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, want := range []string{"2.36-9+deb12u3", "2.36-9+deb12u1", "DEBIAN-CVE-2023-4911", "glibc"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in:\n%s", want, stdout)
		}
	}
	if _, stderr, code := s.run("explain", "CVE-1999-0001", "--db-path", db); code != exitNotFound {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// An image that could not be scanned is no success, whatever else is amiss.
func TestExitCodeOfAFailedScan(t *testing.T) {
	s := newSession(t)
	if _, stderr, code := s.run("scan", "--input", s.layout, "--offline", "--timeout", "1ns"); code != exitError {
		t.Errorf("exit code %d: %s", code, stderr)
	}
}

// A store that cannot be read may hold images: neither a list nor a scan of all
// is complete without it.
func TestExitCodeOfAnUnreadableStore(t *testing.T) {
	s := newSession(t)
	_, stderr, code := s.run("images", "--engine", "docker", "--docker-root", write(t, "no-store", ""))
	if code != exitIncomplete || !strings.Contains(stderr, "no-store") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	read := reading{results: make([]plimsoll.Result, 1), gaps: 1}
	if code := exitOf(read.verdict()); code != exitIncomplete {
		t.Errorf("exit code %d", code)
	}
}

// npmExport is a directory of OSV exports with one record, which is made up.
func npmExport(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	z := zip.NewWriter(&b)
	w, err := z.Create("GHSA-aaaa-bbbb-cccc.json")
	if err == nil {
		_, err = w.Write([]byte(`{"id":"GHSA-aaaa-bbbb-cccc","modified":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"npm","name":"x"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.0.0"}]}]}]}`))
	}
	dir := t.TempDir()
	if err := errors.Join(err, z.Close(), os.Mkdir(filepath.Join(dir, "npm"), 0o755)); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "ecosystems.txt"), "npm\n")
	write(t, filepath.Join(dir, "npm", "all.zip"), b.String())
	return dir
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
