package loadgen

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"
	"time"

	"plimsoll/api"
)

// Figures are what a run took.
type Figures struct {
	Fleet    Fleet
	consoles int
	postgres bool
	// Findings by generation, in the distinct images and on all hosts.
	distinct, everywhere [Second + 1]int

	enrol        time.Duration
	enrolRefused int64
	settle       time.Duration    // of the first lists of all hosts at once
	quarters     [4]time.Duration // until a quarter, a half … of the images were read
	used         used             // of processors, meanwhile
	agentsTime   time.Duration
	idle         used // in idleTime, while nobody wants anything
	idleTime     time.Duration

	analyzed, reused  int64 // layers
	answered, refused map[string]histogram
	beats             histogram // heartbeats that were answered while images were read
	answers           []answers
	again             time.Duration
	reconnect         time.Duration
	memory            peaks
	data              int64 // bytes
	warnings          map[string]int
	errors            map[string]string
}

// answers are the times of one question.
type answers struct {
	question
	series
}

// rate is how many images were read and judged in a second.
func (f *Figures) rate() float64 { return float64(f.Fleet.Distinct) / f.quarters[3].Seconds() }

// idleShare is the part of a processor that was used while nobody wanted anything.
func (f *Figures) idleShare(used time.Duration) float64 { return float64(used) / float64(f.idleTime) }

// worst returns the question whose p95 is the longest, of those that match.
func (f *Figures) worst(match func(question) bool) (worst answers) {
	for _, a := range f.answers {
		if match(a.question) && a.quantile(.95) >= worst.quantile(.95) {
			worst = a
		}
	}
	return worst
}

// Write prints the figures as tables, in Markdown.
func (f *Figures) Write(out io.Writer) error {
	fmt.Fprintf(out, "%d hosts with %d images each, %d distinct; %d findings in the distinct ones, %d on all hosts; consoles: %d, with %s\n\n",
		f.Fleet.Hosts, f.Fleet.PerHost, f.Fleet.Distinct, f.distinct[First], f.everywhere[First], f.consoles, map[bool]string{true: "PostgreSQL", false: "SQLite"}[f.postgres])
	postgres := func(format string, args ...any) string {
		if !f.postgres {
			return ""
		}
		return ", PostgreSQL " + fmt.Sprintf(format, args...)
	}
	t := table{tabwriter.NewWriter(out, 0, 0, 1, ' ', tabwriter.Debug)}
	images := float64(f.Fleet.Distinct)
	t.head("what", "figure")
	t.row("all hosts join", "%s: %.0f a second, %d times told to wait", seconds(f.enrol), float64(f.Fleet.Hosts)/f.enrol.Seconds(), f.enrolRefused)
	t.row("all agents start and tell their images", "%s", seconds(f.settle))
	t.row("all images read, stored and judged", "%s: %.1f a second", seconds(f.quarters[3]), f.rate())
	t.row("… the first quarter, the last", "%.1f and %.1f a second", images/4/f.quarters[0].Seconds(), images/4/(f.quarters[3]-f.quarters[2]).Seconds())
	t.row("… processor time for an image", "console %.1f ms, its agent %.1f ms%s", millis(f.used.consoles)/images, millis(f.agentsTime)/images, postgres("%.1f ms", millis(f.used.database)/images))
	t.row("layers of the images", "%d read, %d known to the fleet", f.analyzed, f.reused)
	t.row("the console with all agents idle", "%.1f %% of a processor%s", 100*f.idleShare(f.idle.consoles), postgres("%.1f %%", 100*f.idleShare(f.idle.database)))
	t.row("new advisories, until all is judged", "%s", seconds(f.again))
	t.row("console started again, until all hosts are back and have told their images", "%s", seconds(f.reconnect))
	t.row("the console's memory, at most", "%d MiB of its own; %d MiB with pages of its files that the kernel can take back%s", f.memory.own>>20, f.memory.share>>20, postgres("%d MiB", f.memory.database>>20))
	t.row("its data", "%d MiB", f.data>>20)
	t.flush()

	fmt.Fprintln(out, "\nThe answers of all consoles to agents until all images were read, by their own metrics:")
	fmt.Fprintln(out)
	t.head("request", "answered", "refused", "p50, ms", "p95, ms", "p99, ms")
	for _, route := range agentRoutes {
		h := f.answered[route]
		bound := func(q float64) string { return fmt.Sprintf("≤ %.0f", 1000*h.quantile(q)) }
		t.cells(route, fmt.Sprint(h.count()), fmt.Sprint(f.refused[route].count()), bound(.5), bound(.95), bound(.99))
	}
	t.flush()

	fmt.Fprintln(out, "\nLists and searches, each page by page:")
	fmt.Fprintln(out)
	t.head("question", "p50, ms", "p95, ms", "p99, ms")
	for _, a := range f.answers {
		t.cells(a.String(), fmt.Sprintf("%.1f", millis(a.quantile(.5))), fmt.Sprintf("%.1f", millis(a.quantile(.95))), fmt.Sprintf("%.1f", millis(a.quantile(.99))))
	}
	t.flush()

	fmt.Fprintln(out, "\nBudgets:")
	fmt.Fprintln(out)
	t.head("budget", "figure", "")
	for _, b := range f.budgets() {
		t.cells(b.budget, b.figure, map[bool]string{true: "met", false: "missed"}[b.met])
	}
	t.flush()
	for _, text := range slices.Sorted(maps.Keys(f.warnings)) {
		fmt.Fprintf(out, "\nAgents warned %d times: %s (%.300s)\n", f.warnings[text], text, f.errors[text])
	}
	return nil
}

// agentRoutes are those of the agents' requests that are answered at once.
var agentRoutes = []string{
	"POST " + api.AgentPath + "/enrol", heartbeats, "POST " + api.AgentPath + "/sync",
	"GET " + api.AgentPath + "/facts", "PUT " + api.AgentPath + "/facts", "PUT " + api.AgentPath + "/results/{report}",
}

const heartbeats = "POST " + api.AgentPath + "/heartbeat"

type budget struct {
	budget, figure string
	met            bool
}

// budgets compares with those of a fleet of the large size.
func (f *Figures) budgets() []budget {
	const patience = 300 * time.Millisecond
	asked := func(what string, match func(question) bool) budget {
		w := f.worst(match)
		p95 := w.quantile(.95)
		return budget{what + " p95 ≤ 300 ms", fmt.Sprintf("%.0f ms, the worst: %s", millis(p95), w.question), p95 <= patience}
	}
	const many = 10_000
	idle := f.idleShare(f.idle.consoles) * many / float64(f.Fleet.Hosts)
	beats := f.beats.quantile(.95)
	return []budget{
		{"ingest ≥ 200 inventories a second", fmt.Sprintf("%.1f, agents on the same machine", f.rate()), f.rate() >= 200},
		{"whole fleet at once settles in 5 minutes", fmt.Sprintf("%s at the first start, %s after a restart of the console", seconds(f.settle), seconds(f.reconnect)), max(f.settle, f.reconnect) <= 5*time.Minute},
		{"heartbeats are answered while all images are read: p95 ≤ 300 ms", fmt.Sprintf("≤ %.0f ms", 1000*beats), beats <= patience.Seconds()},
		{"heartbeats of 10,000 agents", fmt.Sprintf("they would use %.0f %% of a processor, by these agents", 100*idle), idle <= 1},
		{"re-evaluation ≤ 60 s", seconds(f.again), f.again <= time.Minute},
		asked("lists", func(q question) bool { return !q.search() }),
		asked("searches", question.search),
		asked("which hosts have package X below version Y", question.below),
	}
}

// table is a table in Markdown whose columns are as wide as they have to be.
type table struct{ w *tabwriter.Writer }

func (t table) cells(cells ...string) {
	for _, c := range cells {
		fmt.Fprintf(t.w, "%s\t", c)
	}
	fmt.Fprintln(t.w)
}

func (t table) head(cells ...string) {
	t.cells(cells...)
	rule := make([]string, len(cells))
	for i := range rule {
		rule[i] = "---"
	}
	t.cells(rule...)
}

func (t table) row(what, format string, args ...any) { t.cells(what, fmt.Sprintf(format, args...)) }

func (t table) flush() { t.w.Flush() }

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

func millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
