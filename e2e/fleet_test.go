//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/e2e/lab"
	"plimsoll/vulndb"
	"plimsoll/vulndb/feed"
)

// record writes one OSV record: events as OSV has them ("introduced", "0",
// "fixed", "1.2.0").
func record(id, ecosystem, name string, severity string, events ...string) []byte {
	var list []map[string]string
	for i := 0; i+1 < len(events); i += 2 {
		list = append(list, map[string]string{events[i]: events[i+1]})
	}
	b, err := json.Marshal(map[string]any{
		"schema_version": "1.7.0", "id": id, "modified": "2026-01-02T00:00:00Z", "published": "2026-01-01T00:00:00Z",
		"summary": "a flaw in " + name,
		"affected": []any{map[string]any{
			"package": map[string]string{"ecosystem": ecosystem, "name": name},
			"ranges":  []any{map[string]any{"type": "SEMVER", "events": list}},
		}},
		"database_specific": map[string]string{"severity": severity},
	})
	if err != nil {
		panic(err) // strings always marshal
	}
	return b
}

// advisories compiles records into a generation of a date and returns its file.
func advisories(t testing.TB, day int, records ...[]byte) string {
	t.Helper()
	files := fstest.MapFS{}
	for _, r := range records {
		var head struct{ ID string }
		if err := json.Unmarshal(r, &head); err != nil {
			t.Fatal(err)
		}
		text := strings.Replace(string(r), "2026-01-02T", fmt.Sprintf("2026-01-%02dT", day), 1)
		files["npm/"+head.ID+".json"] = &fstest.MapFile{Data: []byte(text)}
	}
	path := filepath.Join(t.TempDir(), "advisories.plim")
	w := vulndb.NewWriter(path)
	sources, problems, err := feed.Compile(t.Context(), w, files)
	if err != nil || len(problems) > 0 {
		t.Fatalf("compile advisories: %v %+v", err, problems)
	}
	if _, err := w.Finish(t.Context(), sources, false); err != nil {
		t.Fatal(err)
	}
	return path
}

func digestOf(t testing.TB, generation string) string {
	t.Helper()
	db, err := vulndb.Open(generation)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	return string(db.Generation().ID)
}

// installed are the files of npm packages below a directory: "left-pad@1.0.0".
func installed(dir string, packages ...string) map[string]string {
	files := map[string]string{}
	for _, p := range packages {
		name, version, _ := strings.Cut(p, "@")
		files[dir+"/node_modules/"+name+"/package.json"] = fmt.Sprintf("{\"name\": %q, \"version\": %q}\n", name, version)
	}
	return files
}

// namespace is a network of a test's own: a host with its own network stack, one
// cable away from this one.
type namespace struct{ name, cable, here, there string }

func newNamespace(t testing.TB, number int) namespace {
	t.Helper()
	lab.Need(t, "root", "ip", "tc")
	n := namespace{
		name:  fmt.Sprintf("plimsoll%d-%d", syscall.Getpid(), number),
		cable: fmt.Sprintf("pl%d-%d", syscall.Getpid()%100000, number),
		here:  fmt.Sprintf("10.231.%d.1", number), there: fmt.Sprintf("10.231.%d.2", number),
	}
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %v: %v %s", args, err, out)
		}
	}
	ip("netns", "add", n.name)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", n.name).Run() })
	ip("link", "add", n.cable, "type", "veth", "peer", "name", "eth0", "netns", n.name)
	t.Cleanup(func() { exec.Command("ip", "link", "del", n.cable).Run() })
	ip("addr", "add", n.here+"/24", "dev", n.cable)
	ip("link", "set", n.cable, "up")
	ip("-n", n.name, "addr", "add", n.there+"/24", "dev", "eth0")
	ip("-n", n.name, "link", "set", "eth0", "up")
	ip("-n", n.name, "link", "set", "lo", "up")
	ip("-n", n.name, "route", "add", "default", "via", n.here)
	return n
}

func (n namespace) enter() []string { return []string{"ip", "netns", "exec", n.name} }

// cut unplugs the cable, or plugs it in again.
func (n namespace) cut(t testing.TB, cut bool) {
	t.Helper()
	state := "up"
	if cut {
		state = "down"
	}
	if out, err := exec.Command("ip", "link", "set", n.cable, state).CombinedOutput(); err != nil {
		t.Fatalf("ip link set: %v %s", err, out)
	}
}

// slow lets the cable carry so much in a second from now on, in each direction:
// "64kbit".
func (n namespace) slow(t testing.TB, rate string) {
	t.Helper()
	for _, device := range [][]string{{"dev", n.cable}, {"-n", n.name, "dev", "eth0"}} {
		args := append(slices.Clone(device[:len(device)-2]), "qdisc", "replace", "dev", device[len(device)-1], "root", "tbf", "rate", rate, "burst", "4kb", "latency", "1s")
		if out, err := exec.Command("tc", args...).CombinedOutput(); err != nil {
			t.Fatalf("tc %v: %v %s", args, err, out)
		}
	}
}

// findingsOf are an image's findings as the console has them.
func (c *console) findingsOf(img int64) []string {
	c.t.Helper()
	var keys []string
	for _, f := range all[api.Finding](c, fmt.Sprintf("/findings?state=open&state=ignored&state=fixed&state=whitelisted&image=%d", img)) {
		keys = append(keys, strings.Join([]string{f.Vulnerability, f.Severity, string(f.Status), string(f.Type), f.Package, f.Version, f.Path, f.FixedVersion}, " "))
	}
	slices.Sort(keys)
	return keys
}

func (r result) findings() []string {
	var keys []string
	for _, f := range r.Findings {
		keys = append(keys, strings.Join([]string{f.Vulnerability, f.Severity, f.Status, f.Package.Type, f.Package.Name, f.Package.Version, f.Package.Path, f.FixedVersion}, " "))
	}
	slices.Sort(keys)
	return keys
}

// One command starts console and agent; within a minute the host's images are
// listed, and scanning all of them finds what plimsoll scan finds (SYS-01).
func TestSYS01FleetUp(t *testing.T) {
	l := lab.New(t)
	d, k := l.Docker(t), l.Containerd(t)
	d.Load(t, lab.Layered(), lab.Node())
	k.Load(t, "k8s.io", lab.Debian("11"), lab.Layered())
	place := []string{"--engine", "docker,containerd", "--docker-root", d.Root, "--containerd-address", k.Address}
	c := prepareConsole(t, "", place...)
	c.args[0] = "up"
	u := &user{t: t, bin: binary(t), cache: filepath.Join(t.TempDir(), "cache"), data: c.dir, place: place}
	if a := u.run("db", "update", "--osv", serve(t, osvExports(t)), "--kev", "", "--epss", "", "--ecosystems", strings.Join(judged, ",")); a.code != 0 {
		t.Fatalf("db update: exit code %d: %s", a.code, a.stderr)
	}
	c.start()
	c.ready()
	c.setUp()
	c.eventually("the images are listed", time.Minute, func() bool {
		var page api.Page[api.Image]
		c.must("GET", "/images", nil, &page)
		return len(page.Items) == 3
	})
	task := c.scan(api.ScanRequest{Selection: api.Selection{All: true}})
	if task.State != plimsoll.TaskSucceeded || task.Succeeded != 3 {
		t.Fatalf("task ended %+v", task)
	}
	findings := 0
	for _, img := range all[api.Image](c, "/images") {
		if len(img.Names) == 0 {
			t.Fatalf("%+v has no name", img)
		}
		r := only(t, u.report([]string{"scan", "-o", "json", "--show-suppressed", string(img.Digest)}, 0, 4))
		if diff := cmp.Diff(r.findings(), c.findingsOf(img.ID)); diff != "" {
			t.Errorf("%s: findings (-scan +console):\n%.3000s", img.Names[0], diff)
		}
		t.Logf("%s: %d findings", img.Names[0], len(r.Findings))
		findings += len(r.Findings)
		open := len(all[api.Finding](c, fmt.Sprintf("/findings?state=open&image=%d", img.ID)))
		var detail api.ImageDetail
		c.must("GET", fmt.Sprintf("/images/%d", img.ID), nil, &detail)
		if got := detail.Systems.Total() + detail.Applications.Total(); int(got) != open {
			t.Errorf("%s: %d open findings are counted, %d are listed", img.Names[0], got, open)
		}
	}
	if findings == 0 {
		t.Error("there were no findings to compare")
	}
}

// Two hosts, each with a network, a Docker and a containerd of its own: changes
// show within 5 seconds, what both hold is read once (SYS-01, SYS-05, IMG-24).
func TestSYS01SYS05IMG24FleetTwoHosts(t *testing.T) {
	base := installed("base", "left-pad@1.0.0")
	first := lab.Handmade("registry.test/team/first:1", base, installed("first", "first@1.0.0"))
	second := lab.Handmade("registry.test/team/second:1", base, installed("second", "second@1.0.0"))
	both := lab.Handmade("registry.test/team/both:1", base, installed("both", "both@1.0.0"))

	one, two := newNamespace(t, 1), newNamespace(t, 2)
	c := newConsole(t, one.here+":"+freePort(t))
	l := lab.New(t)
	docker, ctr := l.Docker(t), l.Containerd(t)
	docker2, ctr2 := l.Docker(t), l.Containerd(t)
	docker.Load(t, first, both)
	docker2.Load(t, second)
	ctr2.Load(t, "k8s.io", both)
	a := c.join(one.enter(), "--engine", "docker,containerd", "--docker-root", docker.Root, "--containerd-address", ctr.Address)
	b := c.join(two.enter(), "--engine", "docker,containerd", "--docker-root", docker2.Root, "--containerd-address", ctr2.Address)
	// The agents look at their own engines alone: this machine's others are found
	// by their processes, and belong to another host.
	a.start()
	b.start()
	c.eventually("both hosts list their images", 30*time.Second, func() bool {
		return len(all[api.Image](c, "/images?repository=registry.test/team/first")) == 1 &&
			len(all[api.Image](c, "/images?repository=registry.test/team/second")) == 1 &&
			len(all[api.Image](c, "/images?repository=registry.test/team/both")) == 1
	})

	task := c.scan(api.ScanRequest{Selection: api.Selection{All: true}})
	if task.State != plimsoll.TaskSucceeded {
		t.Fatalf("task ended %+v %+v", task, all[api.TaskItem](c, fmt.Sprintf("/tasks/%d/items", task.ID)))
	}
	analyzed := 0
	for _, img := range all[api.Image](c, "/images") {
		var detail api.ImageDetail
		c.must("GET", fmt.Sprintf("/images/%d", img.ID), nil, &detail)
		if len(detail.Scans) != 1 {
			t.Errorf("%v was read %d times in the fleet", img.Names, len(detail.Scans))
		}
		for _, s := range detail.Scans {
			analyzed += s.Analyzed
		}
	}
	if want := 4; analyzed != want { // the base and the three layers on it
		t.Errorf("the fleet analysed %d layers, want %d", analyzed, want)
	}

	within5 := func(what string, ok func() bool) { t.Helper(); c.eventually(what, 5*time.Second, ok) }
	docker.CLI(t, "tag", first.Name, "registry.test/team/renamed:2")
	within5("the new tag is seen", func() bool { img, ok := c.image("registry.test/team/renamed:2"); return ok && len(img.Names) == 2 })
	docker2.CLI(t, "rmi", second.Name)
	within5("the removed image is gone", func() bool { _, ok := c.image(second.Name); return !ok })
	third := lab.Handmade("registry.test/team/third:1", installed("third", "third@1.0.0"))
	ctr.Load(t, "default", third)
	within5("the new image is seen", func() bool { _, ok := c.image(third.Name); return ok })
	ctr.CLI(t, "default", "images", "rm", third.Name)
	within5("its removal is seen", func() bool { _, ok := c.image(third.Name); return !ok })
	if img, ok := c.image(both.Name); !ok || img.Hosts != 2 {
		t.Errorf("the shared image is on %d hosts, want 2", img.Hosts)
	}
}

// npmImages loads n images of a few npm packages on a common base into Docker.
func npmImages(t testing.TB, d *lab.Docker, n int) {
	t.Helper()
	base := installed("base", "left-pad@1.0.0", "ws@8.0.0")
	for i := range n {
		d.Load(t, lab.Handmade(fmt.Sprintf("registry.test/app/%d:1", i), base, installed(fmt.Sprintf("app%d", i), fmt.Sprintf("app-%d@1.0.0", i), "qs@6.0.0")))
	}
}

// fleetOfOne is a console that knows flaws, and a host with n images of
// npmImages that it lists.
func fleetOfOne(t testing.TB, l *lab.Lab, n int) (*console, *agent, *lab.Docker) {
	t.Helper()
	d := l.Docker(t)
	npmImages(t, d, n)
	c := newConsole(t, "")
	a := c.join(nil, dockerAt(d)...)
	a.start()
	c.use(advisories(t, 2, flaws()...))
	c.eventually("the images are listed", 30*time.Second, func() bool { return len(all[api.Image](c, "/images")) == n })
	return c, a, d
}

// flaws are records about what npmImages install.
func flaws() [][]byte {
	return [][]byte{
		record("GHSA-0000-0000-0001", "npm", "ws", "HIGH", "introduced", "0", "fixed", "8.17.1"),
		record("GHSA-0000-0000-0002", "npm", "qs", "MODERATE", "introduced", "0"),
	}
}

// outage is how long TestSYS01FleetPartition keeps agent and console apart:
// PLIMSOLL_OUTAGE, or a few seconds.
func outage(t testing.TB) time.Duration {
	t.Helper()
	text := os.Getenv("PLIMSOLL_OUTAGE")
	if text == "" {
		return 5 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// The console is away while everything is scanned: the agent keeps what it read
// and delivers it. The agent is away: the task waits, and ends when it is back
// (SYS-01).
func TestSYS01FleetPartition(t *testing.T) {
	const images = 20
	network := newNamespace(t, 3)
	c := newConsole(t, network.here+":"+freePort(t))
	l := lab.New(t)
	d := l.Docker(t)
	npmImages(t, d, images)
	a := c.join(network.enter(), dockerAt(d)...)
	a.start()
	c.eventually("the images are listed", 30*time.Second, func() bool { return len(all[api.Image](c, "/images")) == images })

	var task api.Task
	c.must("POST", "/scans", api.ScanRequest{Selection: api.Selection{All: true}}, &task)
	c.eventually("the first image is read", 30*time.Second, func() bool { return strings.Contains(a.said(), "image read") })
	network.cut(t, true)
	d.CLI(t, "tag", "registry.test/app/0:1", "registry.test/app/offline:1")
	away := outage(t)
	time.Sleep(away)
	network.cut(t, false)
	restored := time.Now()
	c.eventually("what changed in between arrives", away+time.Minute, func() bool { _, ok := c.image("registry.test/app/offline:1"); return ok })
	t.Logf("%s apart, heard of the new tag after %s", away, time.Since(restored).Round(time.Second))
	if task = c.ended(task.ID, away+5*time.Minute); task.State != plimsoll.TaskSucceeded || task.Succeeded != images {
		t.Errorf("the task ended %+v", task)
	}
	t.Logf("the task ended %s after", time.Since(restored).Round(time.Second))
	_, stored := c.keepsWhatItAcknowledged(a)
	if stored < images {
		t.Errorf("%d reports are stored, want one of each of %d images", stored, images)
	}

	a.signal(syscall.SIGKILL)
	c.must("POST", "/scans", api.ScanRequest{Selection: api.Selection{All: true}, Force: true}, &task)
	time.Sleep(2 * time.Second)
	if c.must("GET", fmt.Sprintf("/tasks/%d", task.ID), nil, &task); task.State.Final() {
		t.Errorf("the task of an absent agent ended: %+v", task)
	}
	a.start()
	if task = c.ended(task.ID, time.Minute); task.State != plimsoll.TaskSucceeded {
		t.Errorf("it ended %+v", task)
	}

	// A thin link costs time and nothing else, from the first handshake on.
	a.signal(syscall.SIGTERM)
	network.slow(t, "64kbit")
	a.start()
	c.must("POST", "/scans", api.ScanRequest{Selection: api.Selection{All: true}, Force: true}, &task)
	thin := time.Now()
	if task = c.ended(task.ID, 5*time.Minute); task.State != plimsoll.TaskSucceeded || task.Succeeded != images {
		t.Errorf("over a thin link it ended %+v", task)
	}
	t.Logf("%d images over 64 kbit/s in %s", images, time.Since(thin).Round(time.Second))
	c.keepsWhatItAcknowledged(a)
}

// A newer generation of advisories: findings appear and vanish on all images
// without any agent, each with its reason (ADV-15).
func TestADV15FleetGenerations(t *testing.T) {
	c, a, _ := fleetOfOne(t, lab.New(t), 3)
	if task := c.scan(api.ScanRequest{Selection: api.Selection{All: true}}); task.State != plimsoll.TaskSucceeded {
		t.Fatalf("scan ended %+v", task)
	}
	a.signal(syscall.SIGTERM) // nobody is there to ask

	g := c.use(advisories(t, 3,
		record("GHSA-0000-0000-0001", "npm", "ws", "HIGH", "introduced", "0", "fixed", "7.0.0"), // now fixed before 8.0.0
		record("GHSA-0000-0000-0002", "npm", "qs", "MODERATE", "introduced", "0", "fixed", "6.1.0"),
		record("GHSA-0000-0000-0003", "npm", "left-pad", "CRITICAL", "introduced", "0"),
	))
	if g.NewFindings != 3 || g.GoneFindings != 3 {
		t.Errorf("%d new and %d gone findings, want 3 and 3", g.NewFindings, g.GoneFindings)
	}
	for _, img := range all[api.Image](c, "/images") {
		var ids []string
		for _, f := range all[api.Finding](c, fmt.Sprintf("/findings?image=%d", img.ID)) {
			ids = append(ids, f.Vulnerability)
		}
		slices.Sort(ids)
		if want := []string{"GHSA-0000-0000-0002", "GHSA-0000-0000-0003"}; !slices.Equal(ids, want) {
			t.Errorf("%v has %q, want %q", img.Names, ids, want)
		}
		if img.Applications.Critical != 1 || img.Applications.Medium != 1 || img.Applications.High != 0 || img.Fixable != 1 {
			t.Errorf("%v is counted %+v, %d fixable", img.Names, img.Applications, img.Fixable)
		}
	}
	why := map[string]string{}
	for _, change := range all[api.Change](c, fmt.Sprintf("/generations/%d/changes", g.ID)) {
		why[change.Kind+" "+change.Vulnerability] = change.Reason
	}
	for key, word := range map[string]string{
		"new GHSA-0000-0000-0003":     "GHSA-0000-0000-0003",
		"gone GHSA-0000-0000-0001":    "< 7.0.0",
		"changed GHSA-0000-0000-0002": "6.1.0",
	} {
		if !strings.Contains(why[key], word) {
			t.Errorf("%s: the reason is %q, want it to name %q", key, why[key], word)
		}
	}
}

// Two consoles on one PostgreSQL share the work; one is killed, nothing is lost.
func TestFleetTwoConsoles(t *testing.T) {
	l := lab.New(t)
	database := l.Postgres(t)
	d := l.Docker(t)
	const images = 20
	npmImages(t, d, images)
	c := newConsole(t, "", "--database", database)
	other := prepareConsole(t, "", "--database", database)
	other.token = c.token
	other.start()
	other.ready()
	a := c.join(nil, dockerAt(d)...)
	b := other.join(nil, dockerAt(d)...) // the same images on a second host, through the other console
	a.start()
	b.start()
	c.use(advisories(t, 2, flaws()...))
	other.eventually("the other console knows the images", 30*time.Second, func() bool {
		list := all[api.Image](other, "/images")
		return len(list) == images && list[0].Hosts == 2
	})
	var task api.Task
	other.must("POST", "/scans", api.ScanRequest{Selection: api.Selection{All: true}}, &task)
	time.Sleep(300 * time.Millisecond)
	c.signal(syscall.SIGKILL)
	if task = other.ended(task.ID, 5*time.Minute); task.State != plimsoll.TaskSucceeded || task.Succeeded != images {
		t.Errorf("the task ended %+v", task)
	}
	for _, img := range all[api.Image](other, "/images") {
		if got := other.findingsOf(img.ID); len(got) != 2 {
			t.Errorf("%v has findings %q, want two", img.Names, got)
		}
	}
	// The other console alone re-evaluates, also when the first one was the one
	// that got the advisories before.
	other.use(advisories(t, 3, record("GHSA-0000-0000-0001", "npm", "ws", "HIGH", "introduced", "0", "fixed", "7.0.0"), flaws()[1]))
	for _, img := range all[api.Image](other, "/images") {
		if img.Applications.Total() != 1 {
			t.Errorf("%v has %d findings, want one", img.Names, img.Applications.Total())
		}
	}
}

// Decisions hang on names: they hold for a rebuilt image with another digest and
// tag, not for another name of the same digest, and what a preview says is what
// happens (SYS-07).
func TestSYS07FleetDecisions(t *testing.T) {
	l := lab.New(t)
	d := l.Docker(t)
	shop := lab.Handmade("registry.test/shop:1", installed("app", "ws@8.0.0"))
	d.Load(t, shop)
	d.CLI(t, "tag", shop.Name, "registry.test/other:1")
	c := newConsole(t, "")
	a := c.join(nil, dockerAt(d)...)
	a.start()
	c.use(advisories(t, 2, flaws()...))
	c.eventually("the image is listed", 30*time.Second, func() bool { img, ok := c.image(shop.Name); return ok && len(img.Names) == 2 })
	c.scan(api.ScanRequest{Selection: api.Selection{All: true}})

	open := func(repository string) int {
		return len(all[api.Finding](c, "/findings?state=open&repository="+repository))
	}
	if open("registry.test/shop") != 1 || open("registry.test/other") != 1 {
		t.Fatalf("%d and %d open findings at first, want one each", open("registry.test/shop"), open("registry.test/other"))
	}
	rule := api.DecisionRequest{Rules: []api.Decision{{
		Kind: plimsoll.DecisionWhitelist, Vulnerability: "GHSA-0000-0000-0001", Package: "ws",
		Repositories: []string{"registry.test/shop"}, Remark: "behind a proxy",
	}}}
	var preview api.Preview
	c.must("POST", "/decisions/preview", rule, &preview)
	var answer api.Page[api.Decision]
	c.must("POST", "/decisions", rule, &answer)
	made := answer.Items
	if len(made) != 1 || made[0].Hits != 1 || preview.Rules != 1 {
		t.Fatalf("made %+v, the preview said %+v", made, preview)
	}
	if open("registry.test/shop") != 0 || open("registry.test/other") != 1 {
		t.Errorf("%d and %d open findings, want none for the shop and one for the other name of the same digest", open("registry.test/shop"), open("registry.test/other"))
	}

	d.CLI(t, "rmi", shop.Name)
	rebuilt := lab.Handmade("registry.test/shop:2", installed("app", "ws@8.0.0"), installed("new", "new@1.0.0"))
	d.Load(t, rebuilt)
	c.eventually("the rebuilt image is listed", 30*time.Second, func() bool { _, ok := c.image(rebuilt.Name); return ok })
	c.scan(api.ScanRequest{Selection: api.Selection{All: true}})
	if n := open("registry.test/shop"); n != 0 {
		t.Errorf("the rebuilt image has %d open findings, want none", n)
	}
	c.must("DELETE", fmt.Sprintf("/decisions/%d", made[0].ID), nil, nil)
	if n := open("registry.test/shop"); n != 1 {
		t.Errorf("after revoking, %d open findings, want one", n)
	}

	// One holds for a moment, one until a fix exists.
	soon := time.Now().Add(3 * time.Second)
	timed := api.DecisionRequest{Rules: []api.Decision{{Kind: plimsoll.DecisionIgnore, Vulnerability: "GHSA-0000-0000-0001", Remark: "this week", Expires: &soon}}}
	c.must("POST", "/decisions/preview", timed, &preview)
	before := open("registry.test/shop") + open("registry.test/other")
	c.must("POST", "/decisions", timed, nil)
	if handled := before - open("registry.test/shop") - open("registry.test/other"); handled != 2 || preview.Findings != 2 {
		t.Errorf("%d findings were handled, the preview said %d, want 2", handled, preview.Findings)
	}
	c.eventually("the decision expires", time.Minute, func() bool { return open("registry.test/shop") == 1 && open("registry.test/other") == 1 })
	c.must("POST", "/decisions", api.DecisionRequest{Rules: []api.Decision{{
		Kind: plimsoll.DecisionWhitelist, Vulnerability: "GHSA-0000-0000-0002", Package: "qs", Remark: "no fix yet", UntilFix: true,
	}}}, &answer)
	unfixed := lab.Handmade("registry.test/unfixed:1", installed("app", "qs@6.0.0"))
	d.Load(t, unfixed)
	c.eventually("the image is listed", 30*time.Second, func() bool { _, ok := c.image(unfixed.Name); return ok })
	c.scan(api.ScanRequest{Selection: api.Selection{All: true}})
	if n := open("registry.test/unfixed"); n != 0 {
		t.Errorf("%d findings are open while there is no fix, want none", n)
	}
	c.use(advisories(t, 3, flaws()[0], record("GHSA-0000-0000-0002", "npm", "qs", "MODERATE", "introduced", "0", "fixed", "6.1.0")))
	if n := open("registry.test/unfixed"); n != 1 {
		t.Errorf("%d findings are open now that there is a fix, want one", n)
	}

	if status, _ := c.call("POST", "/decisions", api.DecisionRequest{Rules: []api.Decision{{Kind: plimsoll.DecisionIgnore, Remark: "all"}}}, nil); status != http.StatusUnprocessableEntity && status != http.StatusBadRequest {
		t.Errorf("a rule about everything was answered with %d", status)
	}
}

// A backup that is made while everything runs is a console again elsewhere, on
// the other database too: with the same findings, decisions and users, and known
// to its agents.
func TestFleetBackup(t *testing.T) {
	l := lab.New(t)
	c, _, d := fleetOfOne(t, l, 3)
	c.scan(api.ScanRequest{Selection: api.Selection{All: true}})
	c.must("POST", "/decisions", api.DecisionRequest{Rules: []api.Decision{{Kind: plimsoll.DecisionIgnore, Vulnerability: "GHSA-0000-0000-0001", Remark: "known"}}}, nil)

	secret := []string{"PLIMSOLL_PASSPHRASE=a passphrase of some length"}
	command := func(env []string, args ...string) (string, error) {
		cmd := exec.Command(binary(t), args...)
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	backup := filepath.Join(t.TempDir(), "fleet.backup")
	if out, err := command(secret, "backup", backup, "--data-dir", c.dir); err != nil {
		t.Fatalf("backup: %v %s", err, out)
	}
	want := map[string][]string{}
	for _, img := range all[api.Image](c, "/images") {
		want[img.Names[0]] = c.findingsOf(img.ID)
	}
	// What the agent has told since is not in the backup, and it tells it once.
	const since = "registry.test/app/since:1"
	d.CLI(t, "tag", "registry.test/app/0:1", since)
	c.eventually("the new tag is seen", 10*time.Second, func() bool { _, ok := c.image(since); return ok })
	c.signal(syscall.SIGTERM)

	address := strings.TrimPrefix(c.url, "https://")
	for name, database := range map[string]string{"SQLite": "", "PostgreSQL": l.Postgres(t)} {
		t.Run(name, func(t *testing.T) {
			var args []string
			if database != "" {
				args = []string{"--database", database}
			}
			again := prepareConsole(t, address, args...)
			restore := append([]string{"restore", backup, "--data-dir", again.dir}, args...)
			if out, err := command([]string{"PLIMSOLL_PASSPHRASE=another one entirely"}, restore...); err == nil {
				t.Errorf("a wrong passphrase was accepted: %s", out)
			}
			if out, err := command(secret, restore...); err != nil {
				t.Fatalf("restore: %v %s", err, out)
			}
			if out, err := command(secret, restore...); err == nil {
				t.Errorf("a second restore went over the first: %s", out)
			}
			again.token = c.token
			again.start()
			again.ready()
			again.use(advisories(t, 2, flaws()...))
			again.eventually("the agent tells everything again", 2*time.Minute, func() bool { _, ok := again.image(since); return ok })
			got := map[string][]string{}
			for _, img := range all[api.Image](again, "/images") {
				got[img.Names[0]] = again.findingsOf(img.ID)
				if img.Applications.Total() != 1 {
					t.Errorf("%v has %d open findings, want one beside the ignored one", img.Names, img.Applications.Total())
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("findings (-before +restored):\n%s", diff)
			}
			if task := again.scan(api.ScanRequest{Selection: api.Selection{All: true}, Force: true}); task.State != plimsoll.TaskSucceeded {
				t.Errorf("the agent that joined before scans for the restored console: %+v", task)
			}
			again.signal(syscall.SIGTERM)
		})
	}
}
