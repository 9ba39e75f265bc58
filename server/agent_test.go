package server

import (
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/e2e/loadgen"
)

// smallFleet is one of two hosts.
var smallFleet = loadgen.Fleet{Size: loadgen.Size{Hosts: 2, PerHost: 3, Distinct: 5, Seed: 1}}

// hosts lists the console's hosts.
func (c *testConsole) hosts() []api.Host {
	c.t.Helper()
	var page api.Page[api.Host]
	c.must(c.admin, "GET", "/hosts?limit=500", nil, &page)
	return page.Items
}

func (c *testConsole) host(id int64) (h api.Host) {
	c.t.Helper()
	c.must(c.admin, "GET", fmt.Sprintf("/hosts/%d", id), nil, &h)
	return h
}

func (c *testConsole) task(id int64) (task api.Task) {
	c.t.Helper()
	c.must(c.admin, "GET", fmt.Sprintf("/tasks/%d", id), nil, &task)
	return task
}

// lease starts a scan of all images and returns the lease that the host gets.
func (a *testAgent) lease() *api.Lease {
	a.c.t.Helper()
	a.c.must(a.c.admin, "POST", "/scans", api.ScanRequest{Selection: api.Selection{All: true}, Force: true}, nil)
	var w api.Work
	a.tell("GET", "/work", nil, &w)
	if w.Scan == nil {
		a.c.t.Fatal("the host got no lease")
	}
	return w.Scan
}

// result is a good one of an image that the host was asked to read.
func (a *testAgent) result(report string, lease *api.Lease) api.ScanResult {
	a.c.t.Helper()
	for i := range a.Distinct {
		if a.ImageID(i) == lease.Image {
			return api.ScanResult{Report: report, Lease: lease.ID, Image: lease.Image, Attempt: lease.Attempt, Status: plimsoll.ScanComplete,
				Started: time.Now(), Ended: time.Now(), Inventory: a.Inventory(i)}
		}
	}
	a.c.t.Fatalf("no image of the fleet is %s", lease.Image)
	return api.ScanResult{}
}

// A token for twenty hosts lets twenty in, however many come at once (SYS-02).
func TestSYS02ManyHostsJoinAtOnce(t *testing.T) {
	c := newTestConsole(t).setUp()
	token := c.joinToken(api.EnrolmentTokenRequest{Uses: 20}).Secret
	var mu sync.Mutex
	answers := make(map[string]int)
	var all sync.WaitGroup
	for n := range 100 {
		all.Go(func() {
			_, csr := newCSR(t)
			a := c.enrol(api.Enrol{Token: token, CSR: csr, Host: api.HostFacts{Name: fmt.Sprint("host ", n)}})
			mu.Lock()
			defer mu.Unlock()
			answers[fmt.Sprint(a.StatusCode, " ", a.problem().Detail)]++
		})
	}
	all.Wait()
	want := map[string]int{"200 ": 20, "403 the token is unknown, over, revoked or used up": 80}
	if !maps.Equal(answers, want) {
		t.Errorf("answers %v, want %v", answers, want)
	}
	if hosts := c.hosts(); len(hosts) != 20 {
		t.Errorf("%d hosts joined", len(hosts))
	}
}

func TestTokensThatLetNobodyIn(t *testing.T) {
	var clock clock
	c, other := newTestConsole(t, clock.config).setUp(), newTestConsole(t).setUp()
	over := c.joinToken(api.EnrolmentTokenRequest{TTL: 60}).Secret
	clock.pass(61 * time.Second)
	revoked := c.joinToken(api.EnrolmentTokenRequest{Uses: 5})
	c.must(c.admin, "DELETE", fmt.Sprintf("/enrolment-tokens/%d", revoked.ID), nil, nil)
	good := c.joinToken(api.EnrolmentTokenRequest{})
	parts, another := strings.Split(good.Secret, "."), strings.Split(other.joinToken(api.EnrolmentTokenRequest{}).Secret, ".")
	for name, test := range map[string]struct {
		token  string
		status int
		detail string
	}{
		"expired":         {over, 403, "over"},
		"revoked":         {revoked.Secret, 403, "revoked"},
		"of another":      {other.joinToken(api.EnrolmentTokenRequest{}).Secret, 400, "another console"},
		"another secret":  {strings.Join([]string{parts[0], parts[1], another[2], parts[3]}, "."), 403, "unknown"},
		"another number":  {strings.Join([]string{parts[0], "999", parts[2], parts[3]}, "."), 403, "unknown"},
		"negative number": {strings.Join([]string{parts[0], "-1", parts[2], parts[3]}, "."), 400, "number"},
		"API token":       {c.admin, 400, "plim1"},
		"empty":           {"", 400, "plim1"},
	} {
		_, csr := newCSR(t)
		a := c.enrol(api.Enrol{Token: test.token, CSR: csr, Host: api.HostFacts{Name: "h"}})
		if a.StatusCode != test.status || !strings.Contains(a.problem().Detail, test.detail) {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	if hosts := c.hosts(); len(hosts) != 0 {
		t.Errorf("joined: %+v", hosts)
	}
}

// A certificate is made for a key that the host has shown to hold and that is of
// the one kind in use; nothing else of a request counts. A refused one uses no
// token up.
func TestCertificateRequests(t *testing.T) {
	c := newTestConsole(t).setUp()
	token := c.joinToken(api.EnrolmentTokenRequest{Uses: 1}).Secret
	_, unsigned := newCSR(t)
	unsigned[len(unsigned)-1] ^= 1
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request := func(key any) []byte {
		csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
		if err != nil {
			t.Fatal(err)
		}
		return csr
	}
	for name, csr := range map[string][]byte{
		"none": nil, "garbage": []byte("garbage"), "cut": unsigned[:40], "not signed with its key": unsigned, "RSA": request(weak), "P-384": request(wide),
	} {
		a := c.enrol(api.Enrol{Token: token, CSR: csr, Host: api.HostFacts{Name: "h"}})
		if a.StatusCode != http.StatusBadRequest || a.problem().Code != plimsoll.CodeInvalid {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	greedy, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{DNSNames: []string{"localhost"}}, key)
	if err != nil {
		t.Fatal(err)
	}
	var enrolled api.Enrolled
	if a := c.enrol(api.Enrol{Token: token, CSR: greedy, Host: api.HostFacts{Name: "h"}}); a.decode(&enrolled) != nil || a.StatusCode != http.StatusOK {
		t.Fatalf("after refused ones: %d %s", a.StatusCode, a.body)
	}
	cert, err := x509.ParseCertificate(enrolled.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	if len(cert.DNSNames) > 0 || cert.IsCA || !slices.Equal(cert.ExtKeyUsage, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}) {
		t.Errorf("the certificate lets its holder be more than a host: %v %t %v", cert.DNSNames, cert.IsCA, cert.ExtKeyUsage)
	}
}

// A host renews its identity with a new key; the old certificate is good until
// the new one is used, so that a lost answer locks nobody out (SYS-02).
func TestSYS02Renewal(t *testing.T) {
	var clock clock
	c := newTestConsole(t, clock.config).setUp()
	a := c.join(smallFleet, 0, nil)
	before := a.client
	clock.pass(agentLife * 2 / 3)
	a.renew()
	if old := c.do(before, "GET", api.AgentPath+"/work", nil, protocol...); old.StatusCode != http.StatusOK && old.StatusCode != http.StatusNoContent {
		t.Errorf("with the old certificate, before the new one is used: %d %s", old.StatusCode, old.body)
	}
	a.sync(1)
	if old := c.do(before, "GET", api.AgentPath+"/work", nil, protocol...); old.StatusCode != http.StatusForbidden || old.problem().Code != codeRevoked {
		t.Errorf("with the old certificate, after the new one was used: %d %s", old.StatusCode, old.body)
	}
	clock.pass(agentLife / 2) // the first certificate is over
	a.sync(2)
	if hosts := c.hosts(); len(hosts) != 1 || hosts[0].ID != a.id {
		t.Errorf("hosts %+v", hosts)
	}
	if bad := a.send("POST", "/renew", api.Renew{CSR: []byte("garbage")}); bad.StatusCode != http.StatusBadRequest {
		t.Errorf("garbage: %d %s", bad.StatusCode, bad.body)
	}
	clock.pass(agentLife)
	if over := a.send("GET", "/work", nil); over.StatusCode != http.StatusUnauthorized {
		t.Errorf("a certificate that is over, on a connection from before: %d %s", over.StatusCode, over.body)
	}
	if response, err := c.client(a.cert).Get(c.url + api.AgentPath + "/work"); err == nil {
		t.Errorf("a certificate that is over was accepted: %d", response.StatusCode)
	}
}

// A host that joined, and a fleet that began, while the console's clock was a year ahead
// go on when it is set right.
func TestCertificatesOutliveAClockSetBack(t *testing.T) {
	var clock clock
	clock.pass(365 * 24 * time.Hour)
	c := newTestConsole(t, clock.config).setUp()
	a := c.join(smallFleet, 0, nil)
	a.sync(1)
	clock.pass(-365 * 24 * time.Hour)
	a.client = c.client(a.cert) // a connection of its own: the old one keeps what it checked
	a.sync(2)
	a.renew()
	a.sync(3)
}

// A host that was revoked, or removed, is refused on every route, with the same
// certificate that was good before; one that waits for work is told at once.
func TestRevokedHost(t *testing.T) {
	c := newTestConsole(t).setUp()
	revoked, removed := c.join(smallFleet, 0, nil), c.join(smallFleet, 1, nil)
	revoked.sync(1)
	removed.sync(1)
	waiting := make(chan answered)
	go func() { waiting <- revoked.send("GET", "/work?wait=55", nil) }()
	c.must(c.admin, "POST", fmt.Sprintf("/hosts/%d/revoke", revoked.id), nil, nil)
	c.must(c.admin, "DELETE", fmt.Sprintf("/hosts/%d", removed.id), nil, nil)
	if a := <-waiting; a.StatusCode != http.StatusForbidden {
		t.Errorf("waiting for work: %d %s", a.StatusCode, a.body)
	}
	routes := 0
	for pattern, rule := range c.rules {
		if rule.need != agents {
			continue
		}
		routes++
		method, path := target(pattern)
		for _, a := range []*testAgent{revoked, removed} {
			answer := a.send(method, strings.TrimPrefix(path, api.AgentPath), struct{}{})
			if answer.StatusCode != http.StatusForbidden || answer.problem().Code != codeRevoked {
				t.Errorf("%s: %d %s", pattern, answer.StatusCode, answer.body)
			}
		}
	}
	if routes < 9 {
		t.Errorf("only %d routes of agents", routes)
	}
}

// A hostile agent can speak of its own host only (SYS-03).
func TestSYS03HostileAgent(t *testing.T) {
	c, prod, dev := newFleet(t)
	lease := prod.lease()
	before := c.host(prod.id)

	// Another host's lease gives no say about its image.
	stolen := dev.result("stolen", lease)
	stolen.Inventory.Packages = nil
	if a := dev.send("PUT", "/results/stolen", stolen); a.StatusCode != http.StatusNotFound || !strings.Contains(a.problem().Detail, "not asked") {
		t.Errorf("a result with another host's lease: %d %s", a.StatusCode, a.body)
	}
	var answer api.ProgressAnswer
	if dev.tell("POST", "/leases/"+lease.ID+"/progress", api.Progress{Done: 1, Total: 2}, &answer); !answer.Stop {
		t.Error("another host's lease was renewed")
	}
	dev.tell("DELETE", "/leases/"+lease.ID, nil, nil)
	answer = api.ProgressAnswer{}
	if prod.tell("POST", "/leases/"+lease.ID+"/progress", api.Progress{Done: 1, Total: 2}, &answer); answer.Stop {
		t.Error("another host gave the lease back")
	}

	// Facts need a lease on an image with the layer.
	image := prod.image(lease.Image)
	query := "/facts?key=theirs&analyzers=a&diff=" + string(image.Layers[len(image.Layers)-1].DiffID)
	if a := dev.send("PUT", query, []byte("poison")); a.StatusCode != http.StatusNotFound {
		t.Errorf("facts of a layer without a lease: %d %s", a.StatusCode, a.body)
	}
	prod.tell("PUT", query, []byte("facts"), nil)
	if a := dev.send("GET", "/facts?key=theirs", nil); a.StatusCode != http.StatusNotFound {
		t.Errorf("another host's facts: %d %q", a.StatusCode, a.body)
	}
	if a := prod.send("GET", "/facts?key=theirs", nil); string(a.body) != "facts" {
		t.Errorf("its own facts: %d %q", a.StatusCode, a.body)
	}
	prod.tell("PUT", query, []byte("other facts"), nil)
	if a := prod.send("GET", "/facts?key=theirs", nil); string(a.body) != "facts" {
		t.Errorf("facts were replaced: %q", a.body)
	}

	// A host's ID comes from its certificate, whatever a body says.
	dev.tell("POST", "/heartbeat", map[string]any{"now": time.Now(), "machineID": "m", "dropped": 7, "hostID": prod.id, "id": prod.id}, nil)
	if mine, theirs := c.host(dev.id), c.host(prod.id); mine.SpoolDropped != 7 || theirs.SpoolDropped != 0 {
		t.Errorf("a heartbeat for another host: %+v %+v", mine, theirs)
	}

	// A sync that answers another's request, drops its images, claims its
	// containers and gives its image other layers.
	var task api.Task
	c.must(c.admin, "POST", "/syncs", api.SyncRequest{Hosts: []int64{prod.id}}, &task)
	forged := image
	forged.Hash, forged.Layers = "another", forged.Layers[:1]
	lie := dev.Sync(dev.number, 2, time.Now())
	own := slices.Clone(lie.Images)
	lie.Full, lie.Images, lie.Known = false, []api.HostImage{forged}, nil
	lie.Requests = []int64{task.ID}
	for _, p := range prod.Images(prod.number) {
		if !slices.ContainsFunc(own, func(i api.HostImage) bool { return i.ID == prod.ImageID(p) }) {
			lie.Gone = append(lie.Gone, prod.ImageID(p))
		}
	}
	dev.tell("POST", "/sync", lie, nil)
	if state := c.task(task.ID).State; state.Final() {
		t.Errorf("another host's request was answered: %s", state)
	}
	after := c.host(prod.id)
	if after.Images != before.Images || after.Containers != before.Containers || len(after.Problems) != len(before.Problems) {
		t.Errorf("the other host was\n%+v\nand is\n%+v", before, after)
	}
	if !slices.ContainsFunc(c.host(dev.id).Problems, func(p api.Problem) bool { return strings.Contains(p.Detail, "other layers") }) {
		t.Errorf("nobody is told of the forged image: %+v", c.host(dev.id).Problems)
	}

	// The host that was asked is heard as if nothing had happened.
	prod.tell("PUT", "/results/honest", prod.result("honest", lease), nil)
	var detail api.ImageDetail
	var page api.Page[api.Image]
	c.must(c.admin, "GET", "/images?limit=500", nil, &page)
	for _, img := range page.Items {
		if img.Digest == lease.Image {
			c.must(c.admin, "GET", fmt.Sprintf("/images/%d", img.ID), nil, &detail)
		}
	}
	if detail.State != plimsoll.ImageSucceeded || detail.Packages != int64(len(prod.result("", lease).Inventory.Packages)) || detail.Layers != len(image.Layers) {
		t.Errorf("the image is %s with %d packages and %d layers", detail.State, detail.Packages, detail.Layers)
	}
}

// image is the host's record of an image.
func (a *testAgent) image(id plimsoll.Digest) api.HostImage {
	a.c.t.Helper()
	for _, img := range a.Sync(a.number, 1, time.Now()).Images {
		if img.ID == id {
			return img
		}
	}
	a.c.t.Fatalf("the host does not hold %s", id)
	return api.HostImage{}
}

// What was delivered twice counts once (SYS-03).
func TestSYS03Replays(t *testing.T) {
	c, prod, _ := newFleet(t)
	before := c.host(prod.id)
	sync := prod.Sync(prod.number, 5, time.Now())
	for range 2 {
		prod.tell("POST", "/sync", sync, nil)
	}
	older := prod.Sync(prod.number, 4, time.Now())
	older.Full, older.Known, older.Images, older.Gone = false, nil, nil, []plimsoll.Digest{sync.Images[0].ID}
	prod.tell("POST", "/sync", older, nil) // overtaken on the way
	if after := c.host(prod.id); after.Images != before.Images || after.Containers != before.Containers {
		t.Errorf("syncs: the host was %+v and is %+v", before, after)
	}
	lease := prod.lease()
	result := prod.result("twice", lease)
	for i, known := range []bool{false, true, true} {
		var answer api.ResultAnswer
		if prod.tell("PUT", "/results/twice", result, &answer); answer.Known != known {
			t.Errorf("delivery %d: known %t", i, answer.Known)
		}
	}
	prod.tell("DELETE", "/leases/"+lease.ID, nil, nil) // over, and given back all the same
	var page api.Page[api.Image]
	c.must(c.admin, "GET", "/images?limit=500", nil, &page)
	for _, img := range page.Items {
		if img.Digest != lease.Image {
			continue
		}
		var detail api.ImageDetail
		c.must(c.admin, "GET", fmt.Sprintf("/images/%d", img.ID), nil, &detail)
		if len(detail.Scans) != 2 { // the fleet's first and this one
			t.Errorf("%d scans are kept", len(detail.Scans))
		}
	}
}

// endless is JSON that never ends.
func endless(n int) []byte {
	return append([]byte(`{"host":{"name":"`), bytes.Repeat([]byte("a"), n)...)
}

func packZstd(t *testing.T, data []byte, options ...zstd.EOption) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b, options...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func packGzip(t *testing.T, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// No body can make the console hold more than the protocol allows (SYS-03).
func TestSYS03BodiesOfAgents(t *testing.T) {
	c := newTestConsole(t).setUp()
	a := c.join(smallFleet, 0, nil)
	a.sync(1)
	lease := a.lease()
	good := a.Sync(0, 2, time.Now())
	many := func(n int) []plimsoll.Digest { return slices.Repeat([]plimsoll.Digest{a.ImageID(0)}, n) }
	known := func(n int) api.Sync {
		s := good
		s.Known = slices.Repeat([]api.ImageHash{{ID: a.ImageID(0), Hash: "h"}}, n)
		return s
	}
	image := func(change func(*api.HostImage)) api.Sync {
		s := good
		s.Images = slices.Clone(s.Images[:1])
		change(&s.Images[0])
		return s
	}
	packages := func(n int) api.ScanResult {
		r := a.result("r", lease)
		inv := *r.Inventory
		inv.Packages = slices.Repeat(inv.Packages[:1], n)
		r.Inventory = &inv
		return r
	}
	for _, test := range []struct {
		name         string
		method, path string
		body         any
		encoding     string
		status       int
		says         string
	}{
		{"too long as sent", "POST", "/heartbeat", endless(enrolBody), "", 413, "larger"},
		{"too long as sent", "POST", "/leases/x/progress", endless(enrolBody), "", 413, "larger"},
		{"bomb of zstd", "POST", "/sync", packZstd(t, endless(api.MaxSync)), "zstd", 413, "more than"},
		{"bomb of gzip", "POST", "/sync", packGzip(t, endless(api.MaxSync)), "gzip", 413, "more than"},
		{"bomb for a small route", "POST", "/heartbeat", packZstd(t, endless(enrolBody)), "zstd", 413, "more than"},
		{"bomb of facts", "PUT", "/facts?key=k&diff=" + string(a.ImageID(0)), packZstd(t, make([]byte, api.MaxFacts+1)), "zstd", 413, "more than"},
		{"window that costs memory", "POST", "/heartbeat", packZstd(t, endless(60<<20), zstd.WithWindowSize(64<<20)), "zstd", 413, "more than"},
		{"no zstd", "POST", "/sync", []byte("{}"), "zstd", 400, "read the body"},
		{"cut zstd", "POST", "/sync", packZstd(t, []byte(`{"full":true}`))[:9], "zstd", 400, "read the body"},
		{"no gzip", "POST", "/sync", []byte("{}"), "gzip", 400, "read the body"},
		{"unknown encoding", "POST", "/sync", []byte("{}"), "br", 415, "zstd, gzip or identity"},
		{"deep", "POST", "/sync", bytes.Repeat([]byte("["), 1_000_000), "", 400, "deeply"},
		{"deep in a field nobody reads", "POST", "/heartbeat", []byte(`{"x":` + strings.Repeat(`{"a":`, 100) + "1"), "", 400, "deeply"},
		{"nothing", "POST", "/sync", []byte{}, "", 400, "read the body"},
		{"two values", "POST", "/heartbeat", []byte(`{"machineID":"m"}{}`), "", 400, "follows"},
		{"other type", "POST", "/heartbeat", []byte(`{"machineID":7}`), "", 400, "machineID"},
		{"zero byte", "POST", "/heartbeat", []byte(`{"machineID":"\u0000"}`), "", 400, "machineID"},
		{"too many known", "POST", "/sync", known(api.MaxSyncImages + 1), "", 400, "known"},
		{"too many gone", "POST", "/sync", api.Sync{Host: good.Host, Gone: many(2*api.MaxSyncImages + 1)}, "", 400, "gone"},
		{"too many layers", "POST", "/sync", image(func(i *api.HostImage) { i.Layers = slices.Repeat(i.Layers[:1], api.MaxImageLayers+1) }), "", 400, "layers"},
		{"too many names", "POST", "/sync", image(func(i *api.HostImage) {
			i.Places = slices.Clone(i.Places)
			i.Places[0].Names = slices.Repeat([]string{"a:b"}, api.MaxNames+1)
		}), "", 400, "names"},
		{"no digest", "POST", "/sync", image(func(i *api.HostImage) { i.ID = "../../etc" }), "", 400, "digest"},
		{"too many packages", "PUT", "/results/r", packages(api.MaxPackages + 1), "", 400, "packages"},
		{"another report", "PUT", "/results/other", a.result("r", lease), "", 400, "another report"},
		{"another image", "PUT", "/results/r", func() api.ScanResult {
			r := a.result("r", lease)
			r.Image = plimsoll.DigestOf([]byte("another"))
			return r
		}(), "", 400, "another image"},
	} {
		header := slices.Clone(protocol)
		if test.encoding != "" {
			header = append(header, "Content-Encoding", test.encoding)
		}
		answer := c.do(a.client, test.method, api.AgentPath+test.path, test.body, header...)
		if answer.StatusCode != test.status || !strings.Contains(answer.problem().Detail, test.says) || answer.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s to %s: %d %.300s", test.name, test.path, answer.StatusCode, answer.body)
		}
	}

	// What an image's author writes keeps no host from being heard; what a later
	// agent of the same protocol adds is passed over.
	odd := image(func(i *api.HostImage) {
		i.Hash = "odd"
		i.Config.Labels = map[string]string{"a\x00b": strings.Repeat("x", 100_000), "brackets": strings.Repeat("[", 100) + `\"`}
		i.History = slices.Repeat([]api.BuildStep{{CreatedBy: "\x00\xff" + strings.Repeat("y", 5_000)}}, 1200)
	})
	odd.Full, odd.Known = false, nil
	a.tell("POST", "/sync", odd, nil)
	a.tell("POST", "/heartbeat", map[string]any{"machineID": "m", "later": map[string]any{"more": []int{1}}}, nil)
	if h := c.host(a.id); h.Images != int64(len(good.Images)) {
		t.Errorf("after all that the host holds %d images", h.Images)
	}
	a.tell("PUT", "/results/r", a.result("r", lease), nil)
}

// Console and agent speak one version, and who has to be upgraded is said.
func TestProtocolVersion(t *testing.T) {
	c := newTestConsole(t).setUp()
	a := c.join(smallFleet, 0, nil)
	for version, says := range map[string]string{
		"": "missing", "one": "no number", fmt.Sprint(api.Version - 1): "upgrade the agent", fmt.Sprint(api.Version + 1): "upgrade the console",
	} {
		for _, path := range []string{"/enrol", "/heartbeat"} {
			answer := c.do(a.client, "POST", api.AgentPath+path, struct{}{}, api.HeaderVersion, version)
			if answer.StatusCode != http.StatusUpgradeRequired || answer.problem().Code != codeProtocol || !strings.Contains(answer.problem().Detail, says) {
				t.Errorf("version %q of %s: %d %s", version, path, answer.StatusCode, answer.body)
			}
		}
	}
}
