package bench

import (
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll/vulndb"
	"plimsoll/vulndb/feed"
)

// The time of a process that outlives the command counts, too.
func TestRunCountsOrphans(t *testing.T) {
	const burn = `i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done`
	alone, err := Run(exec.Command("sh", "-c", burn), 0)
	if err != nil {
		t.Fatal(err)
	}
	orphaned, err := Run(exec.Command("sh", "-c", "("+burn+") & exit 0"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if alone.CPU == 0 || orphaned.CPU < alone.CPU/10 {
		t.Errorf("the same work took %v of processors, and %v in an orphan", alone.CPU, orphaned.CPU)
	}
	if alone.All != 0 || alone.Largest != 0 {
		t.Errorf("memory %+v; nobody looked", alone.Memory)
	}
	if _, err := Run(exec.Command("sh", "-c", "echo why >&2; exit 3"), 0); err == nil {
		t.Error("a command that failed has a cost")
	}
}

// Memory is counted over all processes of a command.
func TestMemory(t *testing.T) {
	if _, err := os.ReadFile("/proc/self/smaps_rollup"); err != nil {
		t.Skip("this kernel does not tell")
	}
	cmd := exec.Command("setsid", "sh", "-c", "cat & cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Write([]byte("x"))
	out.Read(make([]byte, 1)) // one of them runs
	if m := Look(cmd.Process.Pid); m.All < 50<<10 || m.Largest < 500<<10 || m.All > 100<<20 {
		t.Errorf("a shell and its children hold %+v", m)
	}
	in.Close()
	cmd.Wait()
}

// Lines of strace become counts: files of the store, the cache, and others.
func TestAccess(t *testing.T) {
	var a Access
	for _, line := range []string{
		`openat(AT_FDCWD</>, "/store/a", O_RDONLY|O_CLOEXEC) = 5</store/a>`,
		`openat2(3</store>, "a", {flags=O_RDONLY|O_PATH, resolve=RESOLVE_BENEATH}, 24) = 5</store/a>`,
		`openat2(3</store>, "d", {flags=O_RDONLY|O_DIRECTORY, resolve=RESOLVE_BENEATH}, 24) = 5</store/d>`,
		`openat(AT_FDCWD</>, "/etc/hosts", O_RDONLY) = 5</etc/hosts>`,
		`pread64(5</store/a>, ""..., 4096, 0) = 31`,
		`read(5</store/a>, ""..., 4096) = 9`,
		`read(5</etc/hosts>, ""..., 4096) = 7`,
		`write(6</cache/x/.tmp-1>, ""..., 4096) = 100`,
		`write(1<pipe:[1]>, ""..., 4096) = 1000`,
		`pwrite64(9</memfd:board>(deleted), ""..., 4096, 0) = 4096`,
		`write(5</dev/null>, ""..., 20) = 20`,
		`write(5</out>, ""..., 3) = 3`,
	} {
		a.count(line+"\n", "/store", "/cache")
	}
	if want := (Access{Opened: 1, Read: 40, Kept: 100, Wrote: 3}); a != want {
		t.Errorf("%+v, want %+v", a, want)
	}
}

func TestExponent(t *testing.T) {
	xs := []float64{10, 100, 1000, 10_000}
	for _, want := range []float64{0, 0.5, 1, 2} {
		var ys []float64
		for _, x := range xs {
			ys = append(ys, 3*math.Pow(x, want))
		}
		if got := Exponent(xs, ys); math.Abs(got-want) > 1e-9 {
			t.Errorf("exponent %v, want %v", got, want)
		}
	}
}

func TestReport(t *testing.T) {
	var table Table
	table.Row("what", "ms", "times")
	table.Row("a", 1234*time.Millisecond, 1.25)
	table.Row("b", 120*time.Microsecond, 3)
	want := "| what | ms | times |\n|---|--:|--:|\n| a | 1234 | 1.2 |\n| b | 0.1 | 3 |\n"
	if diff := cmp.Diff(want, table.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	doc := filepath.Join(t.TempDir(), "doc.md")
	if err := os.WriteFile(doc, []byte("before\n<!-- one -->\nold\n<!-- end -->\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Replace(doc, "one", table.String()); err != nil {
		t.Fatal(err)
	}
	if err := Replace(doc, "two", ""); err == nil {
		t.Error("a mark that is not there was found")
	}
	got, _ := os.ReadFile(doc)
	if diff := cmp.Diff("before\n<!-- one -->\n"+want+"<!-- end -->\nafter\n", string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The exports are such that every record of them is read.
func TestExports(t *testing.T) {
	dir := t.TempDir()
	const n = 2000
	if err := Exports(filepath.Join(dir, "osv"), n); err != nil {
		t.Fatal(err)
	}
	_, summary, err := feed.Update(t.Context(), feed.Options{Dir: filepath.Join(dir, "db"), Base: filepath.Join(dir, "osv")})
	if err != nil {
		t.Fatal(err)
	}
	if len(summary.Problems) > 0 {
		t.Errorf("%+v", summary.Problems)
	}
	db, err := vulndb.OpenCurrent(filepath.Join(dir, "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if got, err := db.Affected("npm", "package-1"); err != nil || len(got) != 6 {
		t.Errorf("%d records about a package, %v", len(got), err)
	}
	records := 0
	for _, s := range db.Generation().Sources {
		records += s.Records
	}
	if records != n {
		t.Errorf("%d records, want %d", records, n)
	}
}
