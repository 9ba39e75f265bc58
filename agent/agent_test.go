package agent

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plimsoll"
	"plimsoll/api"
)

func TestJoinKeepsAnIdentity(t *testing.T) {
	to, c := newConsole(t), config(t, newFixture(t))
	id, err := Join(t.Context(), c, to.srv.URL+"/", to.ca.token()+"\n")
	if err != nil || id != 7 {
		t.Fatal(id, err)
	}
	for name, want := range map[string]os.FileMode{"": 0o700, keyFile: 0o600, certFile: 0o600, caFile: 0o600} {
		info, err := os.Stat(filepath.Join(c.StateDir, identityLink, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: mode %v, %v", name, info.Mode(), err)
		}
	}
	// Joining again replaces it and leaves nothing of the old one.
	join(t, c, to)
	left, _ := filepath.Glob(filepath.Join(c.StateDir, "*"))
	if len(left) != 2 { // the link and what it names
		t.Errorf("in the state directory: %v", left)
	}
}

// SYS-02: whoever answers instead of the console learns nothing, not even the token.
func TestSYS02JoinRefusesAnotherCA(t *testing.T) {
	real, other, c := newConsole(t), newConsole(t), config(t, newFixture(t))
	_, err := Join(t.Context(), c, other.srv.URL, real.ca.token())
	if err == nil || !strings.Contains(err.Error(), "another key") {
		t.Errorf("got %v", err)
	}
	if other.enrols != 0 || len(other.clients) != 0 {
		t.Error("the wrong console was spoken to")
	}
	if _, err := os.Lstat(filepath.Join(c.StateDir, identityLink)); err == nil {
		t.Error("an identity was kept")
	}
}

func TestJoinRefuses(t *testing.T) {
	to, c := newConsole(t), config(t, newFixture(t))
	pin := to.ca.token()[strings.LastIndexByte(to.ca.token(), '.'):]
	for _, test := range []struct{ url, token string }{
		{to.srv.URL, ""},
		{to.srv.URL, "plim1.7.secret"},
		{to.srv.URL, "plim2.7.secret" + pin},
		{to.srv.URL, "plim1.7.secret.abcd"},
		{to.srv.URL, "plim1.7.wrong" + pin}, // the console refuses this one
		{"http://127.0.0.1:1", to.ca.token()},
		{to.srv.URL + "/path", to.ca.token()},
	} {
		if _, err := Join(t.Context(), c, test.url, test.token); err == nil {
			t.Errorf("%s with %q joined", test.url, test.token)
		}
	}
}

func TestRunWithoutIdentity(t *testing.T) {
	err := Run(t.Context(), config(t, newFixture(t)))
	if err == nil || !strings.Contains(plimsoll.HintOf(err), "agent join") {
		t.Errorf("got %v", err)
	}
}

// SYS-02: a revoked agent ends, says why, and loses nothing.
func TestSYS02RevokedAgentEndsAndKeepsItsSpool(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	c := config(t, f)
	revoked := false // as soon as there is something to deliver
	to.fault = func(w http.ResponseWriter, r *http.Request) bool {
		to.mu.Lock()
		defer to.mu.Unlock()
		if revoked = revoked || strings.Contains(r.URL.Path, "/results/"); revoked {
			refuse(w, http.StatusForbidden, "host_revoked")
		}
		return revoked
	}
	to.give(api.Work{Scan: &api.Lease{ID: "one", Image: f.id(t, "sample/debian:12"), Timeout: 60}})
	join(t, c, to)
	err := Run(t.Context(), c)
	if !errors.Is(err, ErrRevoked) || plimsoll.HintOf(err) == "" {
		t.Errorf("got %v", err)
	}
	if s, err := openSpool(filepath.Join(c.StateDir, "spool")); err != nil || s.count() != 1 {
		t.Errorf("the spool holds %d, %v", s.count(), err)
	}
}

// A proxy that refuses is not the console, and a request that alone is refused,
// for it was sent with the certificate before, is no revocation.
func TestRefusalThatIsNoRevocation(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	left := 3
	to.fault = func(w http.ResponseWriter, r *http.Request) bool {
		to.mu.Lock()
		defer to.mu.Unlock()
		if left == 0 || !strings.HasSuffix(r.URL.Path, "/sync") {
			return false
		}
		left--
		if left == 1 {
			w.WriteHeader(http.StatusForbidden)
		} else {
			refuse(w, http.StatusUnauthorized, "unknown_certificate")
		}
		return true
	}
	start(t, config(t, f), to)
	to.until("all images", func() bool { return len(to.images) == 3 })
}

// SYS-02: the identity is rotated, and survives a restart.
func TestSYS02CertificateIsRenewedWithANewKey(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	c := config(t, f)
	to.renew = time.Now() // due at once
	join(t, c, to)
	before, err := os.ReadFile(filepath.Join(c.StateDir, identityLink, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	stop := rerun(t, c)
	to.until("two certificates are shown", func() bool { return to.renewals == 1 && len(to.clients) == 2 })
	if err := stop(); err != nil {
		t.Error(err)
	}
	after, err := os.ReadFile(filepath.Join(c.StateDir, identityLink, keyFile))
	if err != nil || string(before) == string(after) {
		t.Errorf("the key is the old one, %v", err)
	}
	beats := len(to.beats)
	stop = rerun(t, c) // and what was kept is good
	to.until("it speaks again", func() bool { return len(to.beats) > beats })
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// SYS-01: the console knows what the host holds, and learns of changes from events.
func TestSYS01SyncTellsWhatIsHereAndWhatChanged(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	f.hidden["sample/api:2.3"] = true
	stop := start(t, config(t, f), to)
	to.until("two images", func() bool { return len(to.images) == 2 })
	first := to.syncs[0]
	if !first.Full || len(first.Known) != 2 || len(first.Pulled) != 0 || len(first.Stores) != 1 || first.Host.Analyzers == "" {
		t.Errorf("the first sync is %+v", first)
	}
	told := len(to.syncs)
	f.change(func() { f.hidden["sample/api:2.3"] = false })
	to.until("a third image", func() bool { return len(to.images) == 3 })
	if m := to.syncs[told]; m.Full || len(m.Images) != 1 || len(m.Pulled) != 1 || m.Seq <= first.Seq {
		t.Errorf("the sync of a pull is %+v", m)
	}
	told = len(to.syncs)
	f.change(func() { f.hidden["sample/shop:1.0"] = true })
	to.until("one went", func() bool { return len(to.images) == 2 })
	if m := to.syncs[told]; m.Full || len(m.Images) != 0 || len(m.Gone) != 1 {
		t.Errorf("the sync of a removal is %+v", m)
	}
	// An event without a change is not told: the next thing that the console
	// hears is an answer to its own request.
	told = len(to.syncs)
	f.change(func() {})
	to.give(api.Work{Sync: []int64{42}})
	to.until("an answer", func() bool { return len(to.syncs) > told })
	if m := to.syncs[told]; !m.Full || !cmp.Equal(m.Requests, []int64{42}) || len(m.Images) != 0 || len(m.Known) != 2 {
		t.Errorf("the answer is %+v", m)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// A console that lost what it knew, or knows what is no more, has the truth
// after one full list.
func TestFullSyncHeals(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	c := config(t, f)
	stop := start(t, c, to)
	to.until("all images are acknowledged", func() bool {
		var kept syncState
		kept.load(filepath.Join(c.StateDir, "sync.json"))
		return len(kept.Acked) == 3
	})
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	lost := f.id(t, "sample/debian:12")
	to.mu.Lock()
	delete(to.images, lost)
	to.images["sha256:ghost"] = api.HostImage{ID: "sha256:ghost"}
	told := len(to.syncs)
	to.mu.Unlock()
	rerun(t, c)
	to.until("the truth", func() bool { return len(to.images) == 3 && to.images[lost].Hash != "" })
	if m := to.syncs[told]; len(m.Images) != 0 {
		t.Errorf("what the console had acknowledged was sent again: %d images", len(m.Images))
	}
	if m := to.syncs[told+1]; m.Full || len(m.Images) != 1 || m.Images[0].ID != lost {
		t.Errorf("the console wanted one image and got %+v", m)
	}
}

// A sync that fails is sent again until it is acknowledged.
func TestSyncIsRepeated(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	left := 3
	to.fault = func(w http.ResponseWriter, r *http.Request) bool {
		to.mu.Lock()
		defer to.mu.Unlock()
		if !strings.HasSuffix(r.URL.Path, "/sync") || left == 0 {
			return false
		}
		left--
		w.WriteHeader(http.StatusServiceUnavailable)
		return true
	}
	start(t, config(t, f), to)
	to.until("all images", func() bool { return len(to.images) == 3 })
}

// What is beyond the limits is left out and told; it never stops the rest.
func TestListsBeyondTheLimits(t *testing.T) {
	id := plimsoll.Digest("sha256:" + strings.Repeat("a", 64))
	img := plimsoll.Image{ID: id, Engine: plimsoll.Docker, Store: "s"}
	for i := range api.MaxNames + 5 {
		img.Names = append(img.Names, fmt.Sprintf("name:%d", i))
	}
	img.Names = append(img.Names, strings.Repeat("x", maxName+1))
	img.Config.Cmd = []string{strings.Repeat("é", maxText)}
	deep := plimsoll.Image{ID: plimsoll.Digest("sha256:" + strings.Repeat("b", 64)), Layers: make([]plimsoll.Layer, api.MaxImageLayers+1)}
	nameless := plimsoll.Image{Problem: &plimsoll.Problem{Code: plimsoll.ProblemCorruptStore, Detail: "damaged"}}
	r := recordsOf(Listing{Images: []Held{{img, false}, {deep, false}, {nameless, true}}})
	if got := len(r.images[id].Places[0].Names); got != api.MaxNames {
		t.Errorf("%d names", got)
	}
	if got := r.images[id].Config.Cmd[0]; len(got) > maxText || strings.ContainsRune(got, '\uFFFD') {
		t.Errorf("a command of %d bytes", len(got))
	}
	if len(r.images) != 1 || len(r.problems) != 3 {
		t.Errorf("%d images, problems %+v", len(r.images), r.problems)
	}
	counts := map[plimsoll.ProblemCode]int{}
	for _, p := range r.problems {
		counts[p.Code] += max(p.Count, 1)
	}
	if want := map[plimsoll.ProblemCode]int{plimsoll.ProblemLimit: 7, plimsoll.ProblemCorruptStore: 1}; !cmp.Equal(counts, want) {
		t.Errorf("problems %v", counts)
	}
}

// One image in two stores is one record; what a user's store says of it does not
// replace what the system's does.
func TestOneRecordForAnImageInTwoStores(t *testing.T) {
	id := plimsoll.Digest("sha256:" + strings.Repeat("a", 64))
	user := Held{plimsoll.Image{ID: id, Engine: plimsoll.Podman, Store: "/home/u", Names: []string{"b:1"}, Size: 1, Containers: []plimsoll.Container{{ID: "2", State: "running"}}}, true}
	system := Held{plimsoll.Image{ID: id, Engine: plimsoll.Podman, Store: "/var", Names: []string{"a:1"}, Size: 2, Containers: []plimsoll.Container{{ID: "1", State: "exited"}}}, false}
	one := recordsOf(Listing{Images: []Held{user, system}}).images[id]
	other := recordsOf(Listing{Images: []Held{system, user}}).images[id]
	if one.Hash != other.Hash || one.Size != 2 || len(one.Places) != 2 || one.Places[0].Private || !one.Places[1].Private {
		t.Errorf("got %+v", one)
	}
	if len(one.Containers) != 2 || one.Containers[0].Running || !one.Containers[1].Running {
		t.Errorf("containers %+v", one.Containers)
	}
}

func TestNothingRunsOnAfterRun(t *testing.T) {
	f, to := newFixture(t), newConsole(t)
	c := config(t, f)
	join(t, c, to)
	before := runtime.NumGoroutine()
	for range 3 {
		beats := len(to.beats)
		stop := rerun(t, c)
		to.until("a heartbeat", func() bool { return len(to.beats) > beats })
		if err := stop(); err != nil {
			t.Fatal(err)
		}
	}
	to.srv.CloseClientConnections()
	to.until("goroutines end", func() bool { return runtime.NumGoroutine() <= before+2 })
}
