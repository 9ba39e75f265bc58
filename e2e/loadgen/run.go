package loadgen

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// Target is the console that a fleet is let loose on. It has no other hosts.
type Target struct {
	Base string // "https://127.0.0.1:8443"
	// Setup is the one-time token of its first start.
	Setup string
	PID   int    // of its process; 0: its memory is not known
	Dir   string // of its data; empty: its size is not known
	Asks  int    // how often each question is asked
	// Activate makes a generation of advisories the one that it judges by.
	Activate func(ctx context.Context, a *Admin, generation int) error
}

// Admin is an administrator of a console, as a program.
type Admin struct {
	client *api.Client
	busy   Refusals
}

// NewAdmin makes the first administrator of a console.
func NewAdmin(ctx context.Context, base, setup string) (*Admin, error) {
	a := &Admin{client: newClient(base, nil)}
	var err error
	if a.client.HTTP.Jar, err = cookiejar.New(nil); err != nil {
		return nil, err
	}
	if err := a.Call(ctx, http.MethodPost, "/setup", nil, api.Setup{Token: setup, Name: "loadgen", Password: "a password of enough length"}, nil); err != nil {
		return nil, err
	}
	var secret api.NewSecret
	if err := a.Call(ctx, http.MethodPost, "/tokens", nil, api.APITokenRequest{Name: "loadgen", Role: plimsoll.RoleAdmin}, &secret); err != nil {
		return nil, err
	}
	a.client.HTTP.Jar = nil
	a.client.Header.Set("Authorization", "Bearer "+secret.Secret)
	return a, nil
}

// Call asks the public API, patiently.
func (a *Admin) Call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	return a.busy.patiently(ctx, func() error {
		_, err := a.client.Call(ctx, method, api.PublicPath+path, query, in, out)
		return err
	})
}

// joinToken makes a token for so many hosts.
func (a *Admin) joinToken(ctx context.Context, hosts int) (string, error) {
	var secret api.NewSecret
	err := a.Call(ctx, http.MethodPost, "/enrolment-tokens", nil, api.EnrolmentTokenRequest{Uses: hosts, Labels: plimsoll.Labels{"env": "load"}}, &secret)
	return secret.Secret, err
}

// workers is how many requests of hosts are under way at a time.
const workers = 32

// Run lets a fleet join, report, be read, be searched and be judged anew, and
// writes what that took as a table. It fails when the console does not know in
// the end what the fleet was made to have.
func Run(ctx context.Context, f Fleet, t Target, out io.Writer) error {
	a, err := NewAdmin(ctx, t.Base, t.Setup)
	if err != nil {
		return fmt.Errorf("first administrator: %w", err)
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(out, "%d hosts with %d images each, %d distinct\n\n", f.Hosts, f.PerHost, f.Distinct)
	fmt.Fprintln(table, "what\tcount\tper second\tp50\tp95\tp99\t")
	row := func(what string, s *Series) {
		fmt.Fprintf(table, "%s\t%d\t%.0f\t%s\t%s\t%s\t\n", what, s.Count(), s.Rate(), ms(s.Quantile(.5)), ms(s.Quantile(.95)), ms(s.Quantile(.99)))
	}
	if err := t.Activate(ctx, a, First); err != nil {
		return fmt.Errorf("first advisories: %w", err)
	}
	hosts, s, err := join(ctx, f, a, t.Base)
	if err != nil {
		return fmt.Errorf("enrol: %w", err)
	}
	row("enrol", s)
	var busy Refusals
	if s, err = parallel(ctx, len(hosts), workers, func(ctx context.Context, i int) error {
		return busy.patiently(ctx, func() error { return hosts[i].Sync(ctx) })
	}); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	row("sync", s)
	results, beats, err := scanAll(ctx, f, a, hosts, &busy)
	if err != nil {
		return fmt.Errorf("scan: %w", err)
	}
	row("inventory", results)
	row("heartbeat meanwhile", beats)
	if err := a.check(ctx, f, First); err != nil {
		return err
	}
	for _, q := range questions() {
		s, err := a.ask(ctx, q, t.Asks)
		if err != nil {
			return fmt.Errorf("%s: %w", q, err)
		}
		row(q.String(), s)
	}
	start := time.Now()
	if err := t.Activate(ctx, a, Second); err != nil {
		return fmt.Errorf("second advisories: %w", err)
	}
	again := time.Since(start)
	if err := a.check(ctx, f, Second); err != nil {
		return err
	}
	table.Flush()
	fmt.Fprintf(out, "\nTimes in ms. New advisories, until all software was judged: %s ms.\n", ms(again))
	if t.PID > 0 {
		peak, err := peakMemory(t.PID)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "Peak memory of the console: %d MiB.\n", peak>>20)
	}
	if t.Dir != "" {
		size, err := treeSize(t.Dir)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "Its data: %d MiB.\n", size>>20)
	}
	fmt.Fprintf(out, "Answers that asked for patience: %d.\n", busy.Load()+a.busy.Load())
	return nil
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }

func join(ctx context.Context, f Fleet, a *Admin, base string) ([]*Host, *Series, error) {
	token, err := a.joinToken(ctx, f.Hosts)
	if err != nil {
		return nil, nil, err
	}
	hosts := make([]*Host, f.Hosts)
	s, err := parallel(ctx, f.Hosts, workers, func(ctx context.Context, i int) error {
		return a.busy.patiently(ctx, func() (err error) {
			hosts[i], err = Join(ctx, f, i, base, token)
			return err
		})
	})
	return hosts, s, err
}

// scanAll asks for every image and has the hosts deliver, while all send
// heartbeats, each once a minute.
func scanAll(ctx context.Context, f Fleet, a *Admin, hosts []*Host, busy *Refusals) (results, beats *Series, err error) {
	var task api.Task
	if err := a.Call(ctx, http.MethodPost, "/scans", nil, api.ScanRequest{Selection: api.Selection{All: true}}, &task); err != nil {
		return nil, nil, err
	}
	results, beats = new(Series), new(Series)
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var beating sync.WaitGroup
	beating.Go(func() {
		tick := time.NewTicker(max(time.Minute/time.Duration(len(hosts)), time.Millisecond))
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i = (i + 1) % len(hosts) {
			start := time.Now()
			if err := hosts[i].Beat(ctx); err != nil && ctx.Err() == nil {
				stop(fmt.Errorf("heartbeat: %w", err))
			}
			beats.add(time.Since(start))
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	})
	start := time.Now()
	var done atomic.Int64
	var group sync.WaitGroup
	for w := range workers {
		group.Go(func() {
			for idle := 0; done.Load() < int64(f.Distinct) && ctx.Err() == nil; idle++ {
				for i := w; i < len(hosts); i += workers {
					begin := time.Now()
					worked, err := hosts[i].Work(ctx, 0, busy)
					if err != nil && ctx.Err() == nil {
						stop(err)
						return
					}
					if worked {
						idle = 0
						done.Add(1)
						results.add(time.Since(begin))
					}
				}
				if idle > 3000 { // half a minute
					stop(errors.New("no host is given work any more"))
				}
				if idle > 0 {
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
	group.Wait()
	results.whole = time.Since(start)
	beats.whole = results.whole
	if err := context.Cause(ctx); err != nil {
		return nil, nil, err
	}
	stop(context.Canceled)
	beating.Wait()
	return results, beats, nil
}

// check compares what the console counts with what the fleet was made to have.
func (a *Admin) check(ctx context.Context, f Fleet, generation int) error {
	var want int64
	for i := range f.Distinct {
		want += int64(f.Expected(i, generation))
	}
	var d api.Dashboard
	if err := a.Call(ctx, http.MethodGet, "/dashboard", nil, nil, &d); err != nil {
		return err
	}
	if got := d.System.Total() + d.Application.Total(); got != want || d.Images != int64(f.Distinct) {
		return fmt.Errorf("generation %d: the console counts %d findings in %d images, the fleet has %d in %d", generation, got, d.Images, want, f.Distinct)
	}
	return nil
}

// question is one list with a sort key and filters.
type question struct {
	path  string
	query url.Values
}

func (q question) String() string {
	text, _ := url.QueryUnescape(q.query.Encode())
	return strings.TrimSuffix(q.path+"?"+text, "?")
}

// questions are each list by each of its sort keys, and what people look for.
func questions() []question {
	var list []question
	for _, l := range []struct {
		path  string
		sorts []string
	}{
		{"/images", api.ImageSorts}, {"/findings", api.FindingSorts}, {"/vulnerabilities", api.VulnerabilitySorts},
		{"/software", api.SoftwareSorts}, {"/hosts", api.HostSorts},
	} {
		for _, sort := range l.sorts {
			list = append(list, question{l.path, url.Values{"sort": {sort}}})
		}
	}
	name := npm.nameOf(7)
	for _, q := range []question{
		{"/dashboard", nil},
		{"/images", url.Values{"q": {"service-1"}}},
		{"/images", url.Values{"risk": {"critical"}, "fixable": {"true"}}},
		{"/images", url.Values{"vulnerability": {npm.flaws(0, First)[0].id}}},
		{"/images", url.Values{"software": {name}}},
		{"/images", url.Values{"hostName": {"host-0001"}}},
		{"/findings", url.Values{"severity": {"critical"}, "fixable": {"true"}}},
		{"/findings", url.Values{"kev": {"true"}}},
		{"/findings", url.Values{"package": {name}}},
		{"/vulnerabilities", url.Values{"q": {"CVE-2020"}}},
		{"/vulnerabilities", url.Values{"kev": {"true"}}},
		{"/vulnerabilities", url.Values{"label": {"env=load"}}},
		{"/software", url.Values{"q": {"ssl"}}},
		{"/software", url.Values{"name": {name}, "below": {"1.7.0"}}},
		{"/software/places", url.Values{"name": {name}, "below": {"1.7.0"}}},
		{"/hosts", url.Values{"q": {"host-00"}}},
	} {
		list = append(list, q)
	}
	return list
}

// ask asks a question several times: its first page, and the one that follows.
// Only the time of answers counts, not that of patience.
func (a *Admin) ask(ctx context.Context, q question, times int) (*Series, error) {
	s := new(Series)
	query := make(url.Values)
	for k, v := range q.query {
		query[k] = v
	}
	for i := range times {
		var page struct {
			Next string `json:"next"`
		}
		err := a.busy.patiently(ctx, func() error {
			start := time.Now()
			_, err := a.client.Call(ctx, http.MethodGet, api.PublicPath+q.path, query, nil, &page)
			if err == nil {
				s.add(time.Since(start))
				s.whole += time.Since(start)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		query.Del("cursor")
		if page.Next != "" && i%2 == 0 {
			query.Set("cursor", page.Next)
		}
	}
	return s, nil
}
