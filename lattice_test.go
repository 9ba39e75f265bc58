package plimsoll_test

import (
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// lattice states which of our packages each package may import, and which
// packages of the standard library it must not. A new edge is a decision: it is
// made here first. Test files are not bound by it.
var lattice = map[string]struct{ ours, banned []string }{
	".":                 {nil, []string{"os", "net", "net/http", "os/exec", "io/ioutil"}},
	"version":           {nil, []string{"os", "net", "net/http", "os/exec"}},
	"layerfs":           {[]string{"."}, []string{"net", "net/http", "os/exec"}},
	"inventory":         {[]string{".", "layerfs"}, []string{"os", "net", "net/http", "os/exec"}},
	"inventory/ospkg":   {[]string{".", "inventory"}, []string{"os", "net", "net/http", "os/exec"}},
	"inventory/langpkg": {[]string{".", "inventory"}, []string{"os", "net", "net/http", "os/exec"}},
	"jsonlimit":         {nil, []string{"os", "net", "net/http", "os/exec"}},
	"engine":            {[]string{".", "layerfs", "jsonlimit"}, []string{"os/exec"}},
	"engine/docker":     {[]string{".", "layerfs", "engine"}, []string{"os/exec", "database/sql"}},
	"engine/containerd": {[]string{".", "layerfs", "engine"}, []string{"os/exec", "database/sql"}},
	"engine/podman":     {[]string{".", "layerfs", "engine"}, []string{"os/exec", "database/sql"}},
	"engine/archive":    {[]string{".", "layerfs", "jsonlimit", "engine"}, []string{"net", "net/http", "os/exec", "database/sql"}},
	"engine/enginetest": {[]string{".", "layerfs"}, []string{"net", "net/http", "os/exec"}}, // test support
	"sandbox":           {[]string{".", "layerfs", "inventory"}, []string{"net", "net/http", "database/sql"}},
	"vulndb":            {[]string{"."}, []string{"net", "net/http", "os/exec", "database/sql"}},
	"vulndb/feed":       {[]string{".", "vulndb", "version"}, []string{"os/exec", "database/sql"}},
	"match":             {[]string{".", "version"}, []string{"os", "net", "net/http", "os/exec"}},
	"vex":               {[]string{".", "jsonlimit"}, []string{"os", "net", "net/http", "os/exec"}},
	"sbom":              {[]string{".", "jsonlimit"}, []string{"os", "net", "net/http", "os/exec"}},
	"report":            {[]string{"."}, []string{"os", "net", "net/http", "os/exec", "text/template"}},
	"sample":            {nil, []string{"net", "net/http", "os/exec"}},
	"local":             {[]string{".", "layerfs", "inventory", "inventory/ospkg", "inventory/langpkg", "engine", "engine/docker", "engine/containerd", "engine/podman", "engine/archive"}, []string{"os/exec", "database/sql"}},
	"api":               {[]string{"."}, []string{"os/exec", "database/sql"}},
	"store":             {[]string{".", "api", "version", "vex"}, []string{"net/http", "os/exec"}},
	"agent":             {[]string{".", "api", "inventory"}, []string{"os/exec", "database/sql"}},
	"ui":                {nil, []string{"os", "os/exec", "database/sql"}},
	"server":            {[]string{".", "api", "store", "match", "vulndb", "vulndb/feed", "report", "version", "vex", "jsonlimit", "ui"}, []string{"database/sql"}},
	"cmd/plimsoll":      {[]string{".", "layerfs", "inventory", "inventory/ospkg", "inventory/langpkg", "engine", "engine/docker", "engine/containerd", "engine/podman", "engine/archive", "vulndb", "vulndb/feed", "match", "vex", "sbom", "report", "sample", "local", "sandbox", "api", "store", "agent", "server"}, []string{"database/sql"}},
	"e2e":               {nil, nil},
	"e2e/loadgen":       {[]string{".", "api", "agent", "layerfs", "inventory", "local", "vulndb", "vulndb/feed"}, []string{"os/exec", "database/sql"}}, // test support: fleets that do not exist
	"e2e/bench":         {nil, []string{"net", "net/http", "database/sql"}},                                                                             // test support: measures processes, imports nothing of ours
	"e2e/lab":           {nil, nil},                                                                                                                     // test support: starts engines, imports nothing of ours
	"e2e/independent":   {nil, nil},                                                                                                                     // test support: the other computation of findings, imports nothing of ours
}

const module = "plimsoll"

func TestImportLattice(t *testing.T) {
	for _, dir := range packageDirs(t) {
		pkg, err := build.ImportDir(dir, 0)
		if err != nil {
			if _, none := err.(*build.NoGoError); none {
				continue // tests only
			}
			t.Fatalf("%s: %v", dir, err)
		}
		rule, stated := lattice[dir]
		if !stated {
			t.Errorf("package %s is not in the lattice: state what it may import", dir)
			continue
		}
		for _, path := range pkg.Imports {
			if slices.Contains(rule.banned, path) {
				t.Errorf("package %s must not import %s", dir, path)
			}
			ours, inside := strings.CutPrefix(path, module)
			if !inside || ours != "" && ours[0] != '/' {
				continue
			}
			ours = strings.TrimPrefix(ours, "/")
			if ours == "" {
				ours = "."
			}
			if !slices.Contains(rule.ours, ours) {
				t.Errorf("package %s must not import our package %s", dir, ours)
			}
		}
	}
}

// TestLayerfsOpensByDescriptor keeps the calls that follow links on the host out
// of layerfs (design invariant 4).
func TestLayerfsOpensByDescriptor(t *testing.T) {
	files := sources(t, "layerfs")
	if len(files) == 0 {
		t.Fatal("no files")
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, call := range []string{"os.Open(", "os.OpenFile(", "os.ReadFile(", "os.ReadDir(", "os.DirFS(", "os.Stat(", "os.Lstat(", "filepath.Walk"} {
			// The kernel's own files about this process are no image's.
			if strings.Contains(strings.ReplaceAll(string(text), call+`"/proc/self/`, ""), call) {
				t.Errorf("%s calls %s…): a link of the image could lead it to the host", name, call)
			}
		}
	}
}

// askers are the only files that may open a connection to another process, and whom
// they ask. None takes an address from an image, an agent, an advisory or a browser.
var askers = map[string]string{
	"agent/identity.go":            "the console that the administrator of the host named",
	"agent/membership.go":          "the same, before the host joins",
	"api/client.go":                "as the agent's identity says",
	"engine/containerd/catalog.go": "a socket on this host",
	"engine/docker/discover.go":    "a socket on this host",
	"engine/docker/events.go":      "a socket on this host",
	"vulndb/feed/fetch.go":         "the advisory sources that the administrator named, and no redirect elsewhere",
	"vulndb/feed/update.go":        "as the fetcher",
}

// TestOnlyAskersAsk: a server that makes no request to an address which came from data
// cannot be made to ask for others (server-side request forgery).
func TestOnlyAskersAsk(t *testing.T) {
	calls := regexp.MustCompile(`\b(http\.(Client|Transport|DefaultClient|DefaultTransport|Get|Post|PostForm|Head|NewRequest|NewRequestWithContext)|net\.(Dial\w*|Lookup\w*|Resolver)|tls\.(Dial\w*|Client))\b`)
	seen := make(map[string]bool)
	for _, dir := range packageDirs(t) {
		if dir == "e2e" || strings.HasPrefix(dir, "e2e/") {
			continue
		}
		for _, name := range sources(t, dir) {
			f, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for n, line := range strings.Split(string(f), "\n") {
				code, _, _ := strings.Cut(line, "//")
				if call := calls.FindString(code); call != "" {
					seen[name] = true
					if askers[name] == "" {
						t.Errorf("%s:%d uses %s, and is not among those that may ask others", name, n+1, call)
					}
				}
			}
		}
	}
	for name := range askers {
		if !seen[name] {
			t.Errorf("%s asks nobody", name)
		}
	}
}

func TestEveryPackageSaysWhatItOwns(t *testing.T) {
	for _, dir := range packageDirs(t) {
		names := sources(t, dir)
		doc := ""
		for _, name := range names {
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if f.Doc != nil {
				doc += f.Doc.Text()
			}
		}
		if len(names) > 0 && len(doc) < 120 {
			t.Errorf("package %s has no doc comment that says what it owns and refuses to do", dir)
		}
	}
}

// sources returns the Go files of a package without its tests.
func sources(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(names, func(name string) bool { return strings.HasSuffix(name, "_test.go") })
}

// packageDirs returns every directory with Go files, relative to the module.
func packageDirs(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "tools" || d.Name() == "bin" || d.Name() == "node_modules" || path != "." && strings.HasPrefix(d.Name(), ".")) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			if dir := filepath.Dir(path); !slices.Contains(dirs, dir) {
				dirs = append(dirs, dir)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(dirs) < 5 {
		t.Fatalf("found only %v", dirs)
	}
	return dirs
}
