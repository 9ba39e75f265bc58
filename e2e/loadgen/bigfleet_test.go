package loadgen

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/match"
	"plimsoll/server"
	"plimsoll/store"
	"plimsoll/vulndb"
)

// Big is the fleet whose pages are measured: 5,700 of its images are read, with
// two million findings.
var Big = Size{Hosts: 100, PerHost: 150, Distinct: 6000, Seed: 1}

// history is how long Big has been there, in days. Each day brings as many images.
const history = 90

// bigFleet makes dir the directory of a console that has had Big for as long as
// history. No agent runs and no request is made: what agents would tell is given
// to the store, on a clock that goes through the days.
func bigFleet(ctx context.Context, dir string) error {
	fresh := dir + ".new" // what is cut off is no fleet
	if err := errors.Join(os.RemoveAll(fresh), os.MkdirAll(fresh, 0o700)); err != nil {
		return err
	}
	g := &growing{Fleet: Fleet{Big}, dir: fresh, now: time.Now().AddDate(0, 0, -history), told: make(map[int64]bool), number: make(map[plimsoll.Digest]int)}
	st, err := store.Open(ctx, store.Options{DSN: filepath.Join(fresh, "fleet.sqlite"), Now: func() time.Time { return g.now }})
	if err != nil {
		return err
	}
	g.store = st
	err = errors.Join(g.grow(ctx), st.Close())
	if g.judge.DB != nil {
		g.judge.Close()
	}
	if err != nil {
		return err
	}
	return os.Rename(fresh, dir)
}

// growing is a fleet that grows by the day.
type growing struct {
	Fleet
	dir   string
	store *store.Store
	now   time.Time
	judge judge
	hosts []grownHost
	told  map[int64]bool // images that a scan was asked for

	number map[plimsoll.Digest]int // of images
}

// grownHost is a host with the images that its list does not hold yet.
type grownHost struct {
	id    int64
	seq   int64
	facts api.HostFacts
	later map[int][]api.HostImage // by the day on which they come
}

// judge judges by one generation, as a console does.
type judge struct{ *vulndb.DB }

func (j judge) Judge(ctx context.Context, system plimsoll.OS, packages []plimsoll.Package) ([]plimsoll.Verdict, error) {
	return match.Judge(ctx, j.DB, system, packages, match.Options{Now: j.Generation().Built})
}

func (j judge) Why(_ context.Context, _ plimsoll.OS, p plimsoll.Package, was []plimsoll.Reason) string {
	return match.Why(j.DB, p, was)
}

func (g *growing) grow(ctx context.Context) error {
	if err := g.begin(ctx); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	const update, decisions = history - 10, history / 2 // days
	for day := range history {
		g.now = g.now.AddDate(0, 0, 1)
		steps := []func(context.Context) error{g.scan, g.store.RecordRiskDay}
		switch day {
		case update:
			steps = append(steps, func(ctx context.Context) error { return g.advise(ctx, Second) })
		case decisions:
			steps = append(steps, g.decide)
		}
		for _, step := range steps {
			if err := step(ctx); err != nil {
				return fmt.Errorf("day %d: %w", day, err)
			}
		}
		// The images of the last day are never read: no scan follows.
		if err := g.sync(ctx, day); err != nil {
			return fmt.Errorf("day %d: %w", day, err)
		}
	}
	return nil
}

// begin makes the administrator, the advisories and the hosts.
func (g *growing) begin(ctx context.Context) error {
	if _, err := server.NewAccount(ctx, g.store, "loadgen", adminName, adminPassword, plimsoll.RoleAdmin, nil); err != nil {
		return err
	}
	settings, err := g.store.Settings(ctx)
	if err != nil {
		return err
	}
	settings.DatabaseHours = 0 // real advisories know nothing of what is invented
	if err := g.store.SetSettings(ctx, settings); err != nil {
		return err
	}
	if err := g.advise(ctx, First); err != nil {
		return err
	}
	const hash = "no secret has it"
	token, err := g.store.AddEnrolmentToken(ctx, hash, api.EnrolmentToken{Uses: g.Hosts, CreatedBy: adminName, Expires: g.now.Add(time.Hour)})
	if err != nil {
		return err
	}
	for i := range g.Distinct {
		g.number[g.ImageID(i)] = i
	}
	for h := range g.Hosts {
		host := grownHost{facts: g.Host(h), later: make(map[int][]api.HostImage)}
		host.id, err = g.store.EnrolHost(ctx, store.NewHost{TokenID: token, TokenHash: hash, MachineID: fmt.Sprint("machine-", h), Facts: host.facts},
			func(id int64) (string, error) { return fmt.Sprint("no certificate ", id), nil })
		if err != nil {
			return err
		}
		labels := plimsoll.Labels{"env": []string{"prod", "prod", "test", "dev"}[h%4], "rack": fmt.Sprint(h / 20)}
		if err := g.store.SetHostLabels(ctx, host.id, labels); err != nil {
			return err
		}
		for _, i := range g.Images(h) {
			host.later[i%history] = append(host.later[i%history], g.record(h, i))
		}
		g.hosts = append(g.hosts, host)
	}
	return nil
}

// advise makes a generation of the advisories the one that everything is judged by.
func (g *growing) advise(ctx context.Context, generation int) error {
	content, err := built[generation]()
	if err != nil {
		return err
	}
	path := filepath.Join(g.dir, "db")
	dir, err := vulndb.Acquire(path)
	if err != nil {
		return err
	}
	defer dir.Release()
	if _, err := dir.Import(ctx, bytes.NewReader(content), vulndb.Terms{Unsigned: true}); err != nil {
		return err
	}
	db, err := vulndb.OpenCurrent(path)
	if err != nil {
		return err
	}
	if g.judge.DB != nil {
		g.judge.Close()
	}
	g.judge = judge{db}
	if _, err := g.store.Activate(ctx, db.Generation()); err != nil {
		return err
	}
	return g.store.Evaluate(ctx, g.judge, nil)
}

// What becomes of images: one in so many.
const (
	unreadable = 41 // on every host
	failing    = 37
	partial    = 29
	vanishing  = 53
)

// record is image i on host h.
func (g *growing) record(h, i int) api.HostImage {
	rec := g.Record(h, i)
	if i%unreadable == 0 {
		rec.Places[0].Problem = &api.Problem{Code: plimsoll.ProblemUnsupportedDriver, Detail: "storage driver btrfs"}
	}
	for k := range rec.Containers {
		if h%2 == 0 {
			rec.Containers[k].Pod = fmt.Sprintf("team-%d/%s", i%40, rec.Containers[k].Name)
		}
	}
	return rec
}

// sync has every host tell what came that day and, in the end, what went.
func (g *growing) sync(ctx context.Context, day int) error {
	for n := range g.hosts {
		h := &g.hosts[n]
		h.seq++
		y := api.Sync{Full: day == 0, At: g.now, Host: h.facts, Seq: h.seq, Images: h.later[day]}
		if day == history-1 {
			for _, i := range g.Images(n) {
				if i%vanishing == 0 && i%history != day {
					y.Gone = append(y.Gone, g.ImageID(i))
				}
			}
		}
		for _, image := range y.Images {
			y.Known = append(y.Known, api.ImageHash{ID: image.ID, Hash: image.Hash})
		}
		y.Stores = []api.Store{{Name: "docker " + root, Images: g.PerHost}}
		if n%10 == 0 {
			y.Problems = []api.Problem{{Code: plimsoll.ProblemPermission, Path: "/run/containerd/containerd.sock", Detail: "permission denied"}}
		}
		if _, err := g.store.ApplySync(ctx, h.id, y); err != nil {
			return fmt.Errorf("host %d: %w", n, err)
		}
	}
	return nil
}

// scan asks for the images that were never read and has the hosts read them.
func (g *growing) scan(ctx context.Context) error {
	ids, err := g.store.SelectImages(ctx, plimsoll.Everything, api.Selection{Filter: &api.ImageFilter{States: []string{"never"}}})
	ids = slices.DeleteFunc(ids, func(id int64) bool { return g.told[id] })
	if err != nil || len(ids) == 0 {
		return err
	}
	for _, id := range ids {
		g.told[id] = true
	}
	if _, err := g.store.StartScan(ctx, store.NewScan{Title: "What is new", CreatedBy: adminName, Scope: plimsoll.Everything, Images: ids}); err != nil {
		return err
	}
	if err := g.store.Audit(ctx, api.AuditEntry{User: adminName, Via: "token", Action: "start-scan", Detail: fmt.Sprint(len(ids), " images"), OK: true}); err != nil {
		return err
	}
	for { // an image may wait for layers that another host is reading
		var read atomic.Int64
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(8) // what comes at one time is stored together
		for n := range g.hosts {
			group.Go(func() error { return g.work(ctx, n, &read) })
		}
		if err := group.Wait(); err != nil || read.Load() == 0 {
			return err
		}
	}
}

// work has a host read what it is asked for.
func (g *growing) work(ctx context.Context, n int, read *atomic.Int64) error {
	h := &g.hosts[n]
	if err := g.store.Heartbeat(ctx, h.id, api.Heartbeat{Now: g.now, MachineID: fmt.Sprint("machine-", n), Boot: "boot"}); err != nil {
		return err
	}
	for {
		work, err := g.store.WorkFor(ctx, h.id)
		if err != nil || work.Scan == nil {
			return err
		}
		read.Add(1)
		if _, err := g.store.ApplyResult(ctx, h.id, g.result(g.number[work.Scan.Image], work.Scan), g.judge); err != nil {
			return err
		}
	}
}

// result is what a host tells of image i.
func (g *growing) result(i int, lease *api.Lease) api.ScanResult {
	r := api.ScanResult{Report: lease.ID, Lease: lease.ID, Image: lease.Image, Status: plimsoll.ScanComplete, Started: g.now, Ended: g.now.Add(time.Second), Analyzed: 3}
	if i%failing == 0 {
		r.Status, r.Problem = plimsoll.ScanFailed, &api.Problem{Code: plimsoll.ProblemLayerMissing, Detail: "layer 2 is not on this disk"}
		return r
	}
	r.Inventory = g.Inventory(i)
	if i%partial == 0 {
		r.Status = plimsoll.ScanPartial
		r.Inventory.Problems = append(r.Inventory.Problems, plimsoll.Problem{Code: plimsoll.ProblemUnreadableDir, Path: "app/private", Detail: "permission denied"})
	}
	return r
}

// decide handles some of what is open, in every way that rules can.
func (g *growing) decide(ctx context.Context) error {
	page, err := g.store.Vulnerabilities(ctx, plimsoll.Everything, api.VulnerabilityFilter{}, api.List{Sort: "findings", Limit: 60})
	if err != nil {
		return err
	}
	later := g.now.AddDate(1, 0, 0)
	var rules []api.Decision
	for n, v := range page.Items {
		d := api.Decision{Kind: []plimsoll.DecisionKind{plimsoll.DecisionIgnore, plimsoll.DecisionFixed, plimsoll.DecisionWhitelist}[n%3], Vulnerability: v.Name, Remark: "looked at by the team"}
		switch n % 4 {
		case 1:
			d.Repositories = []string{fmt.Sprintf("team-%d/*", n)}
		case 2:
			d.Labels = []string{"env=dev"}
		case 3:
			d.Expires = &later
		}
		rules = append(rules, d)
	}
	rules = append(rules,
		api.Decision{Kind: plimsoll.DecisionWhitelist, Package: npm.nameOf(3), Path: "app/node_modules/*", Remark: "is only built with"},
		api.Decision{Kind: plimsoll.DecisionIgnore, Vulnerability: "CVE-1999-0001", Remark: "matches nothing"})
	_, err = g.store.Decide(ctx, plimsoll.Everything, adminName, api.DecisionRequest{Rules: rules})
	return err
}
