//go:build e2e

package e2e

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"plimsoll/e2e/lab"
	"plimsoll/inventory"
	"plimsoll/inventory/langpkg"
	"plimsoll/inventory/ospkg"
)

// BenchmarkOneHost prints, for real images in one run: a bare walk of their
// layers, reading what analysers want, docker save, and our cold and warm scans
// with their peak memory and what the cache keeps. The figures are medians of
// runs with a warm page cache.
//
// Run it with make bench; it is no test, because times prove nothing on a
// machine that others use.
func BenchmarkOneHost(b *testing.B) {
	recipes := []lab.Recipe{lab.Debian("12"), lab.Node(), lab.Python(), lab.Java(), lab.Go(), lab.Huge()}
	u, d := inDocker(b, recipes...)
	var out strings.Builder
	table := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "image\tentries\twanted\twalk\tread\tdocker save\tcold\tcold÷(walk+read)\twarm\tpeak cold MiB\tpeak warm MiB\tcache KiB\tpackages\t")
	for _, recipe := range recipes {
		dirs := layerDirs(b, d, recipe.Name)
		wanted := wantedFiles(b, dirs)
		save := once(func() {
			if out, err := exec.Command("sh", "-c", `docker --host "$1" save "$2" > /dev/null`, "sh", d.Host, recipe.Name).CombinedOutput(); err != nil {
				b.Fatalf("docker save: %v: %s", err, out)
			}
		})
		known := u.fresh()
		packages := len(only(b, known.sbom(recipe.Name)).Packages)
		kept := treeSize(b, known.cache)
		var entries int
		var coldPeak, warmPeak int64
		times := medians(
			func() { entries = walkAll(b, dirs) },
			func() { readAll(b, wanted) },
			func() {
				coldPeak = max(coldPeak, peak(b, u.fresh().command("sbom", recipe.Name, "-o", "json=/dev/null")))
			},
			func() { warmPeak = max(warmPeak, peak(b, known.command("sbom", recipe.Name, "-o", "json=/dev/null"))) },
		)
		walk, read, cold, warm := times[0], times[1], times[2], times[3]
		fmt.Fprintf(table, "%s\t%d\t%d\t%s\t%s\t%s\t%s\t%.1f\t%s\t%d\t%d\t%d\t%d\t\n", recipe.Name, entries, len(wanted), ms(walk), ms(read), ms(save), ms(cold),
			float64(cold)/float64(walk+read), ms(warm), coldPeak>>20, warmPeak>>20, kept>>10, packages)
	}
	table.Flush()
	fmt.Print("\n" + out.String() + "\nTimes in ms.\n")

	// A second image on the same base costs only its own layers.
	own := u.fresh()
	own.sbom(lab.Debian("12").Name)
	layered := lab.Layered()
	d.Load(b, layered)
	u.fresh().sbom(layered.Name) // the page cache is warm in the other figures, too
	both := once(func() { u.fresh().sbom(layered.Name) })
	shared := once(func() { own.sbom(layered.Name) })
	fmt.Printf("image on debian:12: cold %s ms, with the base known %s ms\n", ms(both), ms(shared))
}

func ms(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d.Microseconds())/1000) }

func once(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// medians runs the functions in turn, so that what disturbs the machine
// disturbs all alike: seven rounds after one that warms up.
func medians(functions ...func()) []time.Duration {
	times := make([][]time.Duration, len(functions))
	for round := range 8 {
		for i, f := range functions {
			if took := once(f); round > 0 {
				times[i] = append(times[i], took)
			}
		}
	}
	medians := make([]time.Duration, len(functions))
	for i := range times {
		slices.Sort(times[i])
		medians[i] = times[i][len(times[i])/2]
	}
	return medians
}

// peak runs cmd and returns the most memory it held, in bytes.
func peak(b *testing.B, cmd *exec.Cmd) int64 {
	cmd.Stdout = io.Discard
	if err := cmd.Run(); err != nil {
		b.Fatalf("%v: %v", cmd.Args, err)
	}
	return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
}

// layerDirs returns the layers of an image as Docker itself names them.
func layerDirs(b *testing.B, d *lab.Docker, image string) []string {
	text := d.CLI(b, "image", "inspect", "--format", "{{.GraphDriver.Data.UpperDir}}:{{.GraphDriver.Data.LowerDir}}", image)
	var dirs []string
	for dir := range strings.SplitSeq(text, ":") {
		if filepath.IsAbs(dir) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// walkAll is the baseline: every entry of every layer with its size, by the
// system's own find.
func walkAll(b *testing.B, dirs []string) int {
	out, err := exec.Command("find", append(slices.Clone(dirs), "-printf", "%s\n")...).Output()
	if err != nil {
		b.Fatal(err)
	}
	return strings.Count(string(out), "\n")
}

// wantedFiles lists the files that analysers read.
func wantedFiles(b *testing.B, dirs []string) []string {
	analyzers := slices.Concat(ospkg.Analyzers(), langpkg.Analyzers())
	var wanted []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			want := inventory.No
			for _, a := range analyzers {
				want = max(want, a.Wants(strings.TrimPrefix(path, dir+"/")))
			}
			info, err := e.Info()
			if err == nil && (want == inventory.Yes || want == inventory.IfExecutable && info.Mode()&0o111 != 0) {
				wanted = append(wanted, path)
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return wanted
}

// readAll reads files as a plain program would, whole.
func readAll(b *testing.B, paths []string) {
	buf := make([]byte, 256<<10)
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			b.Fatal(err)
		}
		for {
			if _, err := f.Read(buf); err != nil {
				break
			}
		}
		f.Close()
	}
}
