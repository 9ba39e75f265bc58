//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"plimsoll/e2e/bench"
)

// growthRecord is what tools/plot draws.
const growthRecord = "testdata/growth.json"

// curve is how time and memory of one command grow with what it works on.
type curve struct {
	Name   string  `json:"name"` // what grows
	What   string  `json:"what"` // is measured
	Points []point `json:"points"`
}

type point struct {
	Size    int     `json:"size"`
	Seconds float64 `json:"seconds"` // the fastest
	MiB     float64 `json:"mib"`     // the most
}

func (p point) seconds() float64 { return p.Seconds }
func (p point) mib() float64     { return p.MiB }

// steepest is the exponent up to which a curve is called linear: fits of three sizes on
// a machine that does other things as well do not agree to a hundredth.
const steepest = 1.1

// BenchmarkGrowth measures the program with more and more files, layers, packages,
// images and advisories, fits an exponent to each curve, and writes the table and the
// record. Run it with make growth. Image stores are made by hand, so it needs no engine.
func BenchmarkGrowth(b *testing.B) {
	g := growth{b, newUser(b)}
	setting, err := bench.Here(g.bin, b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	var curves []curve
	for _, measure := range []func() []curve{g.files, g.layers, g.packages, g.images, g.advisories} {
		curves = append(curves, measure()...)
		fmt.Printf("%s: measured\n", curves[len(curves)-1].Name)
	}

	var table bench.Table
	table.Row("what grows, and what is measured", "from … to", "s", "exponent", "of the last three sizes", "MiB", "exponent", "")
	for _, c := range curves {
		first, last := c.Points[0], c.Points[len(c.Points)-1]
		end := c.Points[max(0, len(c.Points)-3):]
		verdict := "linear or better"
		if max(exponent(end, point.seconds), exponent(end, point.mib)) > steepest {
			verdict = "**steeper than linear**"
		}
		table.Row(c.Name+": "+c.What, fmt.Sprintf("%d … %d", first.Size, last.Size),
			fmt.Sprintf("%.3f … %.3f", first.Seconds, last.Seconds), fmt.Sprintf("%.2f", exponent(c.Points, point.seconds)), fmt.Sprintf("%.2f", exponent(end, point.seconds)),
			fmt.Sprintf("%.0f … %.0f", first.MiB, last.MiB), fmt.Sprintf("%.2f", exponent(c.Points, point.mib)), verdict)
	}
	report := fmt.Sprintf("%s\n\n%s", setting, table)
	fmt.Printf("\n%s\n", report)
	text, err := json.MarshalIndent(map[string]any{"setting": setting, "curves": curves}, "", " ")
	if err != nil {
		b.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(growthRecord, append(text, '\n'), 0o644), bench.Replace(performance, "growth", report)); err != nil {
		b.Fatal(err)
	}
}

func exponent(points []point, figure func(point) float64) float64 {
	var xs, ys []float64
	for _, p := range points {
		xs, ys = append(xs, float64(p.Size)), append(ys, figure(p))
	}
	return bench.Exponent(xs, ys)
}

// growth measures as a user who has the advisories of the last step.
type growth struct {
	*testing.B
	*user
}

// measure runs a command up to three times, once if that takes long.
func (g growth) measure(size int, command func() *exec.Cmd) point {
	g.Helper()
	p := point{Size: size}
	// The first round finds nothing in the page cache: the best of at least two counts.
	for round, start := 0, time.Now(); round < 2 || round < 3 && time.Since(start) < 5*time.Second; round++ {
		c := must(g.B, command(), 10*time.Millisecond)
		if s := c.Wall.Seconds(); round == 0 || s < p.Seconds {
			p.Seconds = s
		}
		p.MiB = max(p.MiB, float64(max(c.All, c.Largest))/(1<<20))
	}
	fmt.Printf("%9d: %.3f s, %.0f MiB\n", size, p.Seconds, p.MiB)
	return p
}

// sizes are up to a number, in steps of about three.
func (g growth) sizes(first, last int) (list []int) {
	if os.Getenv("PLIMSOLL_ROUNDS") != "" { // to try this benchmark
		last = min(last, 3*first)
	}
	for n := first; n < last; n = 10 * n {
		list = append(list, n)
		if 3*n < last {
			list = append(list, 3*n)
		}
	}
	return append(list, last)
}

// store makes a store, lets it be used and removes it: a million files take room.
func (g growth) store(fill func(*bench.Store) error, use func(at *user)) {
	g.Helper()
	dir, err := os.MkdirTemp("", "growth")
	if err != nil {
		g.Fatal(err)
	}
	defer os.RemoveAll(dir)
	s := &bench.Store{Dir: dir}
	if err := errors.Join(fill(s), s.Save()); err != nil {
		g.Fatal(err)
	}
	use(g.at("--engine", "podman", "--storage-root", dir))
}

func (g growth) files() []curve {
	c := curve{Name: "files", What: "cold scan of an image of one layer with a thousand packages"}
	for _, n := range g.sizes(1000, 1_000_000) {
		g.store(func(s *bench.Store) error { return s.Image("files:1", bench.Contents("all", n, 1000)) }, func(at *user) {
			c.Points = append(c.Points, g.measure(n, func() *exec.Cmd { return at.fresh().command("sbom", "--all", "-o", "json=/dev/null") }))
		})
	}
	return []curve{c}
}

func (g growth) layers() []curve {
	c := curve{Name: "layers", What: "cold scan of an image with a thousand files and ten packages in each"}
	for _, n := range g.sizes(1, 125) {
		var layers []bench.Layer
		for i := range n {
			layers = append(layers, bench.Contents(fmt.Sprintf("layer-%d", i), 1000, 10))
		}
		g.store(func(s *bench.Store) error { return s.Image("layers:1", layers...) }, func(at *user) {
			c.Points = append(c.Points, g.measure(n, func() *exec.Cmd { return at.fresh().command("sbom", "--all", "-o", "json=/dev/null") }))
		})
	}
	return []curve{c}
}

// packages are judged, too.
func (g growth) packages() []curve {
	const advisories = 50_000
	g.update(advisories)
	c := curve{Name: "packages", What: fmt.Sprintf("cold scan of an image of one layer, judged by %d advisories", advisories)}
	for _, n := range g.sizes(100, 100_000) {
		g.store(func(s *bench.Store) error { return s.Image("packages:1", bench.Contents("all", 0, n)) }, func(at *user) {
			c.Points = append(c.Points, g.measure(n, func() *exec.Cmd { return at.fresh().command("scan", "--all", "-o", "json=/dev/null") }))
		})
	}
	return []curve{c}
}

func (g growth) images() []curve {
	curves := []curve{
		{Name: "images on the host", What: "cold scan of all, on a common base of a thousand files"},
		{Name: "images on the host", What: "scan of all again"},
		{Name: "images on the host", What: "list of all"},
	}
	for _, n := range g.sizes(1, 1000) {
		g.store(func(s *bench.Store) error {
			base := bench.Contents("base", 1000, 20)
			for i := range n {
				if err := s.Image(fmt.Sprintf("app-%d:1", i), base, bench.Contents(fmt.Sprintf("app-%d", i), 20, 5)); err != nil {
					return err
				}
			}
			return nil
		}, func(at *user) {
			known := at.fresh()
			for i, command := range []func() *exec.Cmd{
				func() *exec.Cmd { known = at.fresh(); return known.command("sbom", "--all", "-o", "json=/dev/null") },
				func() *exec.Cmd { return known.command("sbom", "--all", "-o", "json=/dev/null") },
				func() *exec.Cmd { return known.command("images") },
			} {
				curves[i].Points = append(curves[i].Points, g.measure(n, command))
			}
		})
	}
	return curves
}

func (g growth) advisories() []curve {
	curves := []curve{
		{Name: "advisories", What: "compiling them"},
		{Name: "advisories", What: "scanning a known image of a thousand packages"},
	}
	g.store(func(s *bench.Store) error { return s.Image("app:1", bench.Contents("all", 0, 1000)) }, func(at *user) {
		for _, n := range g.sizes(10_000, 1_000_000) {
			curves[0].Points = append(curves[0].Points, g.update(n))
			must(g.B, at.command("scan", "--all", "-o", "json=/dev/null"), 0)
			curves[1].Points = append(curves[1].Points, g.measure(n, func() *exec.Cmd { return at.command("scan", "--all", "-o", "json=/dev/null") }))
		}
	})
	return curves
}

// update compiles so many advisories anew and makes them the active ones.
func (g growth) update(n int) point {
	g.Helper()
	exports, err := os.MkdirTemp("", "exports")
	if err != nil {
		g.Fatal(err)
	}
	defer os.RemoveAll(exports)
	if err := bench.Exports(exports, n); err != nil {
		g.Fatal(err)
	}
	return g.measure(n, func() *exec.Cmd {
		if err := os.RemoveAll(filepath.Join(g.data, "db")); err != nil {
			g.Fatal(err)
		}
		return g.command("db", "update", "--osv", exports, "--kev", "", "--epss", "")
	})
}
