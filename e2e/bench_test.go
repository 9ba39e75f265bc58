//go:build e2e

package e2e

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/e2e/bench"
	"plimsoll/e2e/lab"
	"plimsoll/inventory"
	"plimsoll/local"
	"plimsoll/match"
	"plimsoll/vulndb"
)

// What a benchmark writes.
const (
	performance = "../docs/performance.md"
	benchRecord = "testdata/bench.json"
)

// Files of these run into the page cache again after it was dropped.
const dropped = "/proc/sys/vm/drop_caches"

// Ways to scan an image.
const (
	cold   = "cold"    // nothing is known
	onBase = "base"    // its base image was scanned before
	warm   = "warm"    // all its layers are known, the image is not
	rescan = "re-scan" // it was scanned before
)

// hostRecord is what BenchmarkOneHost leaves for BenchmarkCheck, and for whoever wants
// to compare figures.
type hostRecord struct {
	About   string           `json:"about"`
	Setting bench.Setting    `json:"setting"`
	Ratios  map[string]ratio `json:"ratios"`
	Images  []imageFigures   `json:"images"`
	Host    hostFigures      `json:"host"`
}

// ratio can be compared between machines, which times cannot.
type ratio struct {
	Value float64 `json:"value"`
	Limit float64 `json:"limit"` // the check fails beyond it
}

// What a ratio may grow by before the check fails. Times vary most, even as ratios:
// the cold scan of a small image is the start of two processes, which suffers more than
// find when other work takes the processors. Memory varies with the collector's moment,
// counts of files with the records that an engine keeps.
const (
	timeMargin   = 1.6
	memoryMargin = 1.2
	countMargin  = 1.05
)

// imageFigures are those of one image. Times are in nanoseconds, sizes in bytes.
type imageFigures struct {
	Name        string
	Entries     int // of all layers
	Packages    int
	Wanted      int // files that analysers read
	Archives    int // of Java, among them
	WantedBytes int64
	Walk, Read  time.Duration
	Dropped     time.Duration // walk and read after the page cache was dropped
	Save        time.Duration
	Cold        time.Duration // after the page cache was dropped
	Ratio       float64       // cold ÷ (walk + read), fastest of the rounds
	Runs        map[string]runFigures
}

type runFigures struct {
	Wall, CPU    time.Duration // medians
	bench.Memory               // the most of three rounds
	bench.Access
}

type hostFigures struct {
	Advisories                        int
	CompileWall, CompileCPU, Unpacked time.Duration // Unpacked: reading the records' archives and JSON
	CompileMemory, OnDisk             int64
	Open, Found, NotFound             time.Duration
	Judged                            float64 // packages a second and core
	AllCold, AllAgain                 time.Duration
	AllColdMemory, AllAgainMemory     int64
	Binary                            int64
	Start                             time.Duration
	IdleMemory, AgentMemory           int64
	IdleCPU                           float64 // share of one core
}

// BenchmarkOneHost measures what scanning costs on one host, compares it with the
// budgets and with baselines of the same run, and writes the report and the record. Run
// it with make bench; it is no test, because times prove nothing on a machine that
// others use.
func BenchmarkOneHost(b *testing.B) {
	u, d := inDocker(b, benchImages()...)
	setting, err := bench.Here(u.bin, d.Root)
	if err != nil {
		b.Fatal(err)
	}
	r := hostRecord{Setting: setting, Ratios: make(map[string]ratio),
		About: fmt.Sprintf("Written by make bench, compared by make bench-check. A ratio fails beyond its limit: %.1f times the value for times, %.1f for memory, %.2f for counts. Times in nanoseconds, sizes in bytes.",
			timeMargin, memoryMargin, countMargin)}
	for _, recipe := range benchImages() {
		m := measureImage(b, u, d, recipe, rounds(b, 7), 3)
		m.Save = once(func() {
			if out, err := exec.Command("sh", "-c", `docker --host "$1" save "$2" > /dev/null`, "sh", d.Host, recipe.Name).CombinedOutput(); err != nil {
				b.Fatalf("docker save: %v: %s", err, out)
			}
		})
		r.Images = append(r.Images, m)
		m.ratios(r.Ratios)
		fmt.Printf("%s: measured\n", recipe.Name)
	}
	r.Host = measureHost(b, u, d)
	text, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		b.Fatal(err)
	}
	report := r.report()
	fmt.Printf("\n%s\n", report)
	if err := errors.Join(os.WriteFile(benchRecord, append(text, '\n'), 0o644), bench.Replace(performance, "bench one host", report)); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkCheck measures two of the images again and fails when a ratio has grown
// beyond its limit in the record. It looks at no time by itself.
func BenchmarkCheck(b *testing.B) {
	var r hostRecord
	if err := json.Unmarshal([]byte(readFile(b, benchRecord)), &r); err != nil {
		b.Fatal(err)
	}
	recipes := []lab.Recipe{lab.Debian("12"), lab.Node()}
	u, d := inDocker(b, recipes...)
	got := make(map[string]ratio)
	for _, recipe := range recipes {
		m := measureImage(b, u, d, recipe, rounds(b, 9), 0)
		m.ratios(got)
	}
	var table bench.Table
	table.Row("ratio", "recorded", "limit", "now")
	for _, name := range slices.Sorted(maps.Keys(got)) {
		was, ok := r.Ratios[name]
		if !ok {
			b.Errorf("%s has no ratio %q: run make bench", benchRecord, name)
			continue
		}
		table.Row(name, fmt.Sprintf("%.2f", was.Value), fmt.Sprintf("%.2f", was.Limit), fmt.Sprintf("%.2f", got[name].Value))
		if got[name].Value > was.Limit {
			b.Errorf("%s is %.2f, more than %.2f; it was %.2f", name, got[name].Value, was.Limit, was.Value)
		}
	}
	fmt.Printf("\n%s\n", table)
}

func benchImages() []lab.Recipe {
	return []lab.Recipe{lab.Debian("12"), lab.Node(), lab.Python(), lab.JavaMany(), lab.Go(), lab.Huge()}
}

// rounds is how often something is measured: PLIMSOLL_ROUNDS, or so often.
func rounds(b *testing.B, usual int) int {
	text := os.Getenv("PLIMSOLL_ROUNDS")
	if text == "" {
		return usual
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		b.Fatalf("PLIMSOLL_ROUNDS: %q is no number of rounds", text)
	}
	return n
}

func once(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}

// must is the cost of a command that succeeds. A scan for which nobody can be asked
// about some packages ends with code 4, and is no failure.
func must(b *testing.B, cmd *exec.Cmd, look time.Duration) bench.Cost {
	b.Helper()
	cmd.Stdout = io.Discard
	c, err := bench.Run(cmd, look)
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 4) {
		b.Fatal(err)
	}
	return c
}

// A way is one way to scan: which image, and what the cache holds before.
type way struct {
	name, image string
	known       string // a directory; empty for nothing
}

// measureImage measures one image in rounds, in which all ways and baselines follow one
// another, so that what disturbs the machine disturbs all alike.
func measureImage(b *testing.B, u *user, d *lab.Docker, recipe lab.Recipe, rounds, drops int) imageFigures {
	dirs := layerDirs(b, d, recipe.Name)
	wanted, size, archives := wantedFiles(b, dirs)
	m := imageFigures{Name: recipe.Name, Wanted: len(wanted), WantedBytes: size, Archives: archives, Runs: make(map[string]runFigures)}

	known := u.fresh()
	m.Packages = len(only(b, known.sbom(recipe.Name)).Packages)
	ways := []way{{cold, recipe.Name, ""}, {warm, sameLayers(b, d, recipe.Name), known.cache}, {rescan, recipe.Name, known.cache}}
	if base := lab.Debian("12").Name; base != recipe.Name && slices.Contains(dirs, layerDirs(b, d, base)[0]) {
		before := u.fresh()
		before.sbom(base)
		ways = append(ways, way{onBase, recipe.Name, before.cache})
	}
	scan := func(w way) (*exec.Cmd, string) {
		own := u.fresh()
		if w.known != "" {
			if err := os.CopyFS(own.cache, os.DirFS(w.known)); err != nil {
				b.Fatal(err)
			}
		}
		return own.command("sbom", w.image, "-o", "json=/dev/null"), own.cache
	}

	var walks, reads []time.Duration
	wall, cpu := make(map[string][]time.Duration), make(map[string][]time.Duration)
	for round := range rounds + 1 { // the first one warms the page cache
		walk, read := once(func() { m.Entries = walkAll(b, dirs) }), once(func() { readAll(b, wanted) })
		if round > 0 {
			walks, reads = append(walks, walk), append(reads, read)
		}
		for _, w := range ways {
			cmd, _ := scan(w)
			if c := must(b, cmd, 0); round > 0 {
				wall[w.name], cpu[w.name] = append(wall[w.name], c.Wall), append(cpu[w.name], c.CPU)
			}
		}
	}
	m.Walk, m.Read = bench.Median(walks), bench.Median(reads)
	m.Ratio = float64(slices.Min(wall[cold])) / float64(slices.Min(walks)+slices.Min(reads))
	for _, w := range ways {
		r := runFigures{Wall: bench.Median(wall[w.name]), CPU: bench.Median(cpu[w.name])}
		for range 3 {
			cmd, _ := scan(w)
			c := must(b, cmd, time.Millisecond)
			r.All, r.Largest = max(r.All, c.All), max(r.Largest, c.Largest)
		}
		cmd, cache := scan(w)
		var err error
		if r.Access, err = bench.Trace(cmd, d.Root, cache); err != nil {
			b.Fatal(err)
		}
		m.Runs[w.name] = r
	}

	var baselines, colds []time.Duration
	for range drops {
		drop(b)
		baselines = append(baselines, once(func() { walkAll(b, dirs); readAll(b, wanted) }))
		drop(b)
		cmd, _ := scan(ways[0])
		colds = append(colds, must(b, cmd, 0).Wall)
	}
	if drops > 0 {
		m.Dropped, m.Cold = bench.Median(baselines), bench.Median(colds)
	}
	return m
}

// drop empties the page cache, with the kernel's caches of names and files.
func drop(b *testing.B) {
	b.Helper()
	if err := exec.Command("sync").Run(); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(dropped, []byte("3\n"), 0); err != nil {
		b.Fatalf("the page cache cannot be dropped: %v", err)
	}
}

// ratios adds what the check compares.
func (m *imageFigures) ratios(to map[string]ratio) {
	add := func(what string, value, margin float64) { to[m.Name+": "+what] = ratio{value, value * margin} }
	c, again := m.Runs[cold], m.Runs[rescan]
	add("cold ÷ (walk + read)", m.Ratio, timeMargin)
	add("warm ÷ cold", float64(m.Runs[warm].Wall)/float64(c.Wall), timeMargin)
	add("re-scan ÷ cold", float64(again.Wall)/float64(c.Wall), timeMargin)
	add("memory, cold, MiB", float64(c.All)/(1<<20), memoryMargin)
	add("memory, re-scan, MiB", float64(again.All)/(1<<20), memoryMargin)
	add("files opened ÷ wanted", float64(c.Opened)/float64(m.Wanted), countMargin)
	add("bytes read ÷ wanted", float64(c.Read)/float64(m.WantedBytes), countMargin)
	if base, ok := m.Runs[onBase]; ok {
		add("base known ÷ cold", float64(base.Wall)/float64(c.Wall), timeMargin)
		add("files opened, base known ÷ cold", float64(base.Opened)/float64(c.Opened), countMargin)
	}
}

// measureHost measures what does not depend on one image.
func measureHost(b *testing.B, u *user, d *lab.Docker) hostFigures {
	h := hostFigures{Advisories: 200_000}
	info, err := os.Stat(u.bin)
	if err != nil {
		b.Fatal(err)
	}
	h.Binary = info.Size()
	var starts []time.Duration
	for range 3 * rounds(b, 7) {
		starts = append(starts, must(b, exec.Command(u.bin, "version"), 0).Wall)
	}
	h.Start = bench.Median(starts)

	exports := b.TempDir()
	if err := bench.Exports(exports, h.Advisories); err != nil {
		b.Fatal(err)
	}
	h.Unpacked = once(func() { unpack(b, exports) })
	compile := must(b, u.command("db", "update", "--osv", exports, "--kev", "", "--epss", ""), 5*time.Millisecond)
	h.CompileWall, h.CompileCPU, h.CompileMemory = compile.Wall, compile.CPU, compile.All
	h.lookUp(b, filepath.Join(u.data, "db"))

	var colds, agains []time.Duration
	for range rounds(b, 7) {
		own := u.fresh()
		colds = append(colds, must(b, own.command("scan", "--all", "-o", "json=/dev/null"), 0).Wall)
		agains = append(agains, must(b, own.command("scan", "--all", "-o", "json=/dev/null"), 0).Wall)
	}
	h.AllCold, h.AllAgain = bench.Median(colds), bench.Median(agains)
	own := u.fresh()
	h.AllColdMemory = must(b, own.command("scan", "--all", "-o", "json=/dev/null"), time.Millisecond).All
	h.AllAgainMemory = must(b, own.command("scan", "--all", "-o", "json=/dev/null"), time.Millisecond).All

	h.agent(b, d)
	return h
}

// unpack reads every record of exports: the least that compiling them takes.
func unpack(b *testing.B, exports string) {
	archives, err := filepath.Glob(filepath.Join(exports, "*", "all.zip"))
	if err != nil {
		b.Fatal(err)
	}
	for _, archive := range archives {
		z, err := zip.OpenReader(archive)
		if err != nil {
			b.Fatal(err)
		}
		defer z.Close()
		for _, f := range z.File {
			text, err := fs.ReadFile(z, f.Name)
			if err != nil || !json.Valid(text) {
				b.Fatal(f.Name, err)
			}
		}
	}
}

// lookUp measures the advisories in this process, with one core.
func (h *hostFigures) lookUp(b *testing.B, dir string) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	installed, err := vulndb.Generations(dir)
	if err != nil || len(installed) != 1 {
		b.Fatal(installed, err)
	}
	h.OnDisk = installed[0].Size
	var opens []time.Duration
	for range 101 {
		opens = append(opens, once(func() {
			db, err := vulndb.Open(installed[0].Path)
			if err != nil {
				b.Fatal(err)
			}
			db.Close()
		}))
	}
	h.Open = bench.Median(opens)
	db, err := vulndb.Open(installed[0].Path)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	const lookups = 50_000
	each := func(pattern string) time.Duration {
		return once(func() {
			for i := range lookups {
				if _, err := db.Affected("npm", fmt.Sprintf(pattern, i*7919%(h.Advisories/30))); err != nil {
					b.Fatal(err)
				}
			}
		}) / lookups
	}
	h.Found, h.NotFound = each("package-%d"), each("nothing-%d")

	inv := fleetSoftware(100_000, h.Advisories)
	took := once(func() {
		if _, err := match.Evaluate(b.Context(), db, inv, match.Options{}); err != nil {
			b.Fatal(err)
		}
	})
	h.Judged = float64(len(inv.Packages)) / took.Seconds()
}

// fleetSoftware are distinct packages of three ecosystems. Of a fifth of their names
// the exports with so many advisories tell.
func fleetSoftware(packages, advisories int) plimsoll.Inventory {
	var inv plimsoll.Inventory
	names := advisories / 30
	for i := range packages {
		name := fmt.Sprintf("package-%d", i/15%names)
		if i/3%5 != 0 {
			name = fmt.Sprintf("other-%d", i)
		}
		p := plimsoll.Package{Type: [...]plimsoll.PackageType{plimsoll.TypeNPM, plimsoll.TypePyPI, plimsoll.TypeGem}[i%3], Name: name,
			Version: fmt.Sprintf("1.%d.%d", i%25, i%7), Path: fmt.Sprintf("app/%d", i)}
		inv.Packages = append(inv.Packages, p)
	}
	return inv
}

// agent measures an agent whose host changes nothing, and one that reads all images.
func (h *hostFigures) agent(b *testing.B, d *lab.Docker) {
	c := newConsole(b, "")
	a := c.join([]string{"setsid"}, dockerAt(d)...) // a session of its own
	a.start()
	c.eventually("the images are listed", time.Minute, func() bool { return len(all[api.Image](c, "/images")) >= len(benchImages()) })
	time.Sleep(10 * time.Second) // what a start brings with it is over
	session := a.cmd.Process.Pid
	const seconds = 30
	before := bench.ProcessorTime(session)
	for range seconds {
		h.IdleMemory = max(h.IdleMemory, bench.Look(session).All)
		time.Sleep(time.Second)
	}
	h.IdleCPU = (bench.ProcessorTime(session) - before).Seconds() / seconds

	var task api.Task
	c.must("POST", "/scans", api.ScanRequest{Selection: api.Selection{All: true}}, &task)
	done := make(chan bool)
	go func() {
		defer close(done)
		c.ended(task.ID, 5*time.Minute)
	}()
	for {
		select {
		case <-done:
			return
		case <-time.After(2 * time.Millisecond):
			h.AgentMemory = max(h.AgentMemory, bench.Look(session).All)
		}
	}
}

// layerDirs returns the layers of an image as Docker itself names them, top first.
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

// sameLayers makes another image of the layers of an image and returns its name.
func sameLayers(b *testing.B, d *lab.Docker, image string) string {
	dir := b.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte("FROM "+image+"\nLABEL other=1\n"), 0o644); err != nil {
		b.Fatal(err)
	}
	other := "other/" + image
	d.CLI(b, "build", "--quiet", "--network=none", "--tag", other, dir)
	if !slices.Equal(layerDirs(b, d, image), layerDirs(b, d, other)) {
		b.Fatalf("%s has other layers", other)
	}
	return other
}

// walkAll is the baseline: every entry of every layer with its size, by the system's
// own find.
func walkAll(b *testing.B, dirs []string) int {
	out, err := exec.Command("find", append(slices.Clone(dirs), "-printf", "%s\n")...).Output()
	if err != nil {
		b.Fatal(err)
	}
	return bytes.Count(out, []byte("\n"))
}

// wantedFiles lists the files that analysers read, with their bytes, and counts Java's
// archives among them.
func wantedFiles(b *testing.B, dirs []string) (wanted []string, size int64, archives int) {
	analyzers := local.Analyzers()
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
				size += info.Size()
				if ext := filepath.Ext(path); ext == ".jar" || ext == ".war" {
					archives++
				}
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return wanted, size, archives
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

// report is the part of docs/performance.md about one host.
func (r *hostRecord) report() string {
	var times, costs, host, budgets bench.Table
	times.Row("image", "entries", "wanted", "walk", "read", "`docker save`", cold, "cold ÷ (walk + read)", "base known", warm, rescan, "walk + read, page cache dropped", "cold, page cache dropped")
	costs.Row("image", "packages", "processors: cold, base known, warm, re-scan", "memory: cold, base known, warm, re-scan", "largest process, cold", "files opened: cold, base known", "MB read: cold", "KiB kept")
	for _, m := range r.Images {
		name := m.Name
		if m.Archives > 0 {
			name += fmt.Sprintf(" (%d archives)", m.Archives)
		}
		c := m.Runs[cold]
		times.Row(name, m.Entries, m.Wanted, m.Walk, m.Read, m.Save, c.Wall, m.Ratio, m.at(onBase, runFigures.wall), m.Runs[warm].Wall, m.Runs[rescan].Wall, m.Dropped, m.Cold)
		costs.Row(m.Name, m.Packages, m.each(runFigures.cpu), m.each(runFigures.memory), bench.MiB(c.Largest),
			fmt.Sprintf("%d, %s", c.Opened, m.at(onBase, runFigures.opened)), float64(c.Read)/1e6, c.Kept>>10)
	}
	h := r.Host
	host.Row("what", "figure")
	host.Row("start of the program (`plimsoll version`)", bench.Millis(h.Start)+" ms")
	host.Row("its size", fmt.Sprintf("%.1f MB", float64(h.Binary)/1e6))
	host.Row(fmt.Sprintf("compiling %d advisories", h.Advisories), fmt.Sprintf("%.1f s, %.1f s of processors, %s MiB; unpacking and reading their JSON takes %.1f s", h.CompileWall.Seconds(), h.CompileCPU.Seconds(), bench.MiB(h.CompileMemory), h.Unpacked.Seconds()))
	host.Row("their size on disk", bench.MiB(h.OnDisk)+" MiB")
	host.Row("opening them", bench.Millis(h.Open)+" ms")
	host.Row("looking up a package: found, not found", fmt.Sprintf("%.1f µs, %.2f µs", float64(h.Found)/1e3, float64(h.NotFound)/1e3))
	host.Row("judging distinct packages, with one core", fmt.Sprintf("%.0f a second", h.Judged))
	host.Row("scanning and judging all images: cold, again", fmt.Sprintf("%s and %s ms, %s and %s MiB", bench.Millis(h.AllCold), bench.Millis(h.AllAgain), bench.MiB(h.AllColdMemory), bench.MiB(h.AllAgainMemory)))
	host.Row("an idle agent", fmt.Sprintf("%s MiB, %.2f %% of a core", bench.MiB(h.IdleMemory), 100*h.IdleCPU))
	host.Row("an agent that reads all images", bench.MiB(h.AgentMemory)+" MiB")

	budgets.Row("budget", "figure", "")
	for _, x := range r.budgets() {
		budgets.Row(x.budget, x.figure, map[bool]string{true: "met", false: "**missed**"}[x.met])
	}
	return fmt.Sprintf("%s\n\n%s\nTimes in ms.\n\n%s\nProcessor times in ms, memory in MiB.\n\n%s\n### Budgets\n\n%s", r.Setting, times, costs, host, budgets)
}

func (f runFigures) wall() string   { return bench.Millis(f.Wall) }
func (f runFigures) cpu() string    { return bench.Millis(f.CPU) }
func (f runFigures) memory() string { return bench.MiB(f.All) }
func (f runFigures) opened() string { return fmt.Sprint(f.Opened) }

// at is a figure of one way to scan, if the image was scanned so.
func (m *imageFigures) at(way string, figure func(runFigures) string) string {
	r, ok := m.Runs[way]
	if !ok {
		return "–"
	}
	return figure(r)
}

func (m *imageFigures) each(figure func(runFigures) string) string {
	return strings.Join([]string{m.at(cold, figure), m.at(onBase, figure), m.at(warm, figure), m.at(rescan, figure)}, ", ")
}

type budget struct {
	budget, figure string
	met            bool
}

// budgets compares with what a host may be asked for.
func (r *hostRecord) budgets() []budget {
	var ratios []float64
	var rescans []time.Duration
	var based []string
	var memory []int64 // of all but the last image, which is the large one
	var kept, wrote int64
	basedMet := true
	base := r.Images[0].Runs[cold]
	for i, m := range r.Images {
		ratios, rescans = append(ratios, m.Ratio), append(rescans, m.Runs[rescan].Wall)
		if i < len(r.Images)-1 {
			memory = append(memory, m.Runs[cold].All)
		}
		for _, run := range m.Runs {
			kept, wrote = max(kept, run.Kept), wrote+run.Wrote
		}
		if run, ok := m.Runs[onBase]; ok {
			// What names the image and its layers is read in any case.
			own := m.Runs[cold].Opened - base.Opened
			basedMet = basedMet && run.Opened <= own+2*m.Runs[rescan].Opened && run.CPU <= m.Runs[cold].CPU
			based = append(based, fmt.Sprintf("%s opens %d files of %d", m.Name, run.Opened, m.Runs[cold].Opened))
		}
	}
	huge := r.Images[len(r.Images)-1].Runs[cold].All
	h := r.Host
	mib := func(n int64) int64 { return n << 20 }
	return []budget{
		{"cold scan ≤ 3 × (walk + read)", fmt.Sprintf("%.1f to %.1f times", slices.Min(ratios), slices.Max(ratios)), slices.Max(ratios) <= 3},
		{"second image on the same base costs its own layers only", strings.Join(based, "; "), basedMet},
		{"re-scan of an unchanged image ≤ 50 ms", fmt.Sprintf("%s to %s ms", bench.Millis(slices.Min(rescans)), bench.Millis(slices.Max(rescans))), slices.Max(rescans) <= 50*time.Millisecond},
		{"bytes written during a scan: none but the result", fmt.Sprintf("%d; and up to %d KiB an image in the cache, which is safe to delete", wrote, kept>>10), wrote == 0},
		{"idle agent ≤ 40 MiB", bench.MiB(h.IdleMemory) + " MiB", h.IdleMemory <= mib(40)},
		{"memory of a scan in all processes ≤ 60 MiB", fmt.Sprintf("%s to %s MiB", bench.MiB(slices.Min(memory)), bench.MiB(slices.Max(memory))), slices.Max(memory) <= mib(60)},
		{"of a large image, and of an agent that reads all ≤ 100 MiB", fmt.Sprintf("%s and %s MiB", bench.MiB(huge), bench.MiB(h.AgentMemory)), max(huge, h.AgentMemory) <= mib(100)},
		{"matching ≥ 100,000 distinct packages a second and core", fmt.Sprintf("%.0f", h.Judged), h.Judged >= 100_000},
		{"opening the advisories ≤ 20 ms", bench.Millis(h.Open) + " ms", h.Open <= 20*time.Millisecond},
		{"resident for a lookup-heavy run ≤ 60 MiB", bench.MiB(h.AllAgainMemory) + " MiB for judging all images", h.AllAgainMemory <= mib(60)},
		{"compiling advisories ≤ 512 MiB", fmt.Sprintf("%s MiB for %d", bench.MiB(h.CompileMemory), h.Advisories), h.CompileMemory <= mib(512)},
		{"binary ≤ 60 MB, static, no cgo", fmt.Sprintf("%.1f MB", float64(h.Binary)/1e6), h.Binary <= 60e6},
	}
}
