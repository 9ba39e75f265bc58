//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"plimsoll/e2e/lab"
)

// binary returns the program under test: PLIMSOLL_BIN, which make sets, else
// one that is built now.
func binary(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("PLIMSOLL_BIN"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "plimsoll")
	build := exec.Command("go", "build", "-o", path, "plimsoll/cmd/plimsoll")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build plimsoll: %v\n%s", err, out)
	}
	return path
}

// user runs plimsoll as a person on a host does, with a cache and a data
// directory of its own.
type user struct {
	t           testing.TB
	bin         string
	cache, data string
	// place are the flags that say where the lab's engines are, so that engines
	// of the host or of other tests play no part.
	place []string
}

func newUser(t testing.TB, place ...string) *user {
	dir := t.TempDir()
	return &user{t: t, bin: binary(t), cache: filepath.Join(dir, "cache"), data: filepath.Join(dir, "data"), place: place}
}

// at returns the same user looking elsewhere.
func (u *user) at(place ...string) *user {
	other := *u
	other.place = place
	return &other
}

// fresh returns the same user with an empty cache.
func (u *user) fresh() *user {
	other := *u
	other.cache = filepath.Join(u.t.TempDir(), "cache")
	return &other
}

func (u *user) command(args ...string) *exec.Cmd {
	cmd := exec.Command(u.bin, append(slices.Clone(args), u.place...)...)
	cmd.Env = append(os.Environ(), "PLIMSOLL_CACHE_DIR="+u.cache, "PLIMSOLL_DATA_DIR="+u.data)
	return cmd
}

// answer is what one run printed and its exit code.
type answer struct {
	stdout, stderr string
	code           int
}

func (u *user) run(args ...string) answer {
	u.t.Helper()
	return runCommand(u.t, u.command(args...))
}

func runCommand(t testing.TB, cmd *exec.Cmd) answer {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("run %v: %v", cmd.Args, err)
	}
	return answer{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// sbom lists the software of images; the exit code must be one of codes, or 0.
func (u *user) sbom(args ...string) report {
	u.t.Helper()
	return u.report(append([]string{"sbom", "-o", "json"}, args...), 0)
}

func (u *user) report(args []string, codes ...int) report {
	u.t.Helper()
	a := u.run(args...)
	if !slices.Contains(codes, a.code) {
		u.t.Fatalf("plimsoll %v ended with %d\n%s", args, a.code, a.stderr)
	}
	var r report
	if err := json.Unmarshal([]byte(a.stdout), &r); err != nil {
		u.t.Fatalf("plimsoll %v: %v\n%.300s", args, err, a.stdout)
	}
	return r
}

// report is the part of the JSON report that the tests look at.
type report struct {
	Results []result
}

type result struct {
	Image struct {
		ID     string
		Engine string
		Store  string
		Names  []string
		Layers []struct{ DiffID string }
	}
	Status  string
	Problem *problem
	Matched bool
	// Inventory is everything that is a value of the image alone.
	Systems   json.RawMessage
	Analyzers string
	Packages  []pkg
	Findings  []finding
	Problems  []problem
	Plan      json.RawMessage
}

type problem struct{ Code, Path, Detail string }

type pkg struct {
	Type, Name, Version, Arch string
	Source                    *struct{ Name, Version string }
	Path, Layer, Owner, PURL  string
	Module, Origin, Evidence  string
	Dev                       bool
	Bundled, Root             string
	Locations                 []string
	Licenses                  []string
	Supplier                  string
}

type finding struct {
	Vulnerability, Status, State, Severity string
	Package                                pkg
	FixedVersion                           string
	Reasons                                []struct{ Advisory, Ecosystem, Package, Version, Range string }
}

// inventory is the image's content as bytes, without the place it was read from.
func (r result) inventory(t testing.TB) string {
	t.Helper()
	b, err := json.MarshalIndent(struct {
		ID       string
		Systems  json.RawMessage
		Packages []pkg
		Problems []problem
	}{r.Image.ID, r.Systems, r.Packages, r.Problems}, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// listed returns "name version" of the packages that keep accepts, sorted, each
// as often as it is there.
func (r result) listed(keep func(pkg) bool) []string {
	var out []string
	for _, p := range r.Packages {
		if keep(p) {
			out = append(out, p.Name+" "+p.Version)
		}
	}
	slices.Sort(out)
	return out
}

func only(t testing.TB, r report) result {
	t.Helper()
	if len(r.Results) != 1 {
		t.Fatalf("want one result, got %d", len(r.Results))
	}
	return r.Results[0]
}

func ofType(typ string) func(pkg) bool { return func(p pkg) bool { return p.Type == typ } }

// inDocker loads recipes into a private Docker and returns a user who looks there.
func inDocker(t testing.TB, recipes ...lab.Recipe) (*user, *lab.Docker) {
	t.Helper()
	d := lab.New(t).Docker(t)
	d.Load(t, recipes...)
	return newUser(t, dockerAt(d)...), d
}

func dockerAt(d *lab.Docker) []string {
	return []string{"--engine", "docker", "--docker-root", d.Root}
}

func containerdAt(c *lab.Containerd) []string {
	return []string{"--engine", "containerd", "--containerd-address", c.Address}
}

func podmanAt(p *lab.Podman) []string {
	return []string{"--engine", "podman", "--storage-root", p.Root}
}

func distinct(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}
