package store

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// joinHost adds a host with labels ("env=prod") as an enrolment does.
func joinHost(t testing.TB, s *Store, name string, labels ...string) int64 {
	t.Helper()
	given := plimsoll.Labels{}
	for _, l := range labels {
		key, value, _ := strings.Cut(l, "=")
		given[key] = value
	}
	text, _ := json.Marshal(given)
	var token int64
	err := s.write(t.Context(), "add a token", func(t *tx) (err error) {
		token, err = t.id(`INSERT INTO enrolment_token (hash, uses, total, labels, created, created_by, expires)
			VALUES (?, 1, 1, ?, ?, 'test', ?) RETURNING id`, "hash of "+name, string(text), t.now, t.now+1000)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	id, err := s.EnrolHost(t.Context(), NewHost{TokenID: token, TokenHash: "hash of " + name, Facts: api.HostFacts{Name: name, Analyzers: "set 1"}},
		func(id int64) (string, error) { return "certificate of " + name, nil })
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func digestOf(what string, n int) plimsoll.Digest {
	return plimsoll.DigestOf([]byte(fmt.Sprint(what, n)))
}

// hostImage is image n under names, as an agent reports it from Docker.
func hostImage(n int, names ...string) api.HostImage {
	i := api.HostImage{ID: digestOf("image", n), Platform: plimsoll.Platform{OS: "linux", Architecture: "amd64"}, Size: int64(1000 + n),
		Created: testStart.Add(-time.Duration(n) * time.Hour),
		Layers:  []api.HostLayer{{DiffID: digestOf("base", n%3), Size: 700, Base: true}, {DiffID: digestOf("layer", n), Size: 300, CreatedBy: "RUN make"}},
		Config:  api.ImageConfig{Entrypoint: []string{"/bin/app"}},
		Places:  []api.HostPlace{{Engine: plimsoll.Docker, Store: "/var/lib/docker", Names: names}}}
	return hashed(i)
}

func hashed(i api.HostImage) api.HostImage {
	i.Hash = ""
	data, _ := json.Marshal(i)
	i.Hash = plimsoll.DigestOf(data).Hex()[:16]
	return i
}

func withContainers(i api.HostImage, states map[string]bool) api.HostImage {
	for _, id := range slices.Sorted(maps.Keys(states)) {
		i.Containers = append(i.Containers, api.HostContainer{ID: id, Name: "name of " + id, State: "some", Running: states[id]})
	}
	return hashed(i)
}

// fullSync lists exactly these images.
func fullSync(seq int64, images ...api.HostImage) api.Sync {
	y := api.Sync{Full: true, Seq: seq, Images: images, Host: api.HostFacts{Name: "host", Analyzers: "set 1"}}
	for _, i := range images {
		y.Known = append(y.Known, api.ImageHash{ID: i.ID, Hash: i.Hash})
	}
	return y
}

func mustSync(t testing.TB, s *Store, host int64, y api.Sync) SyncEffect {
	t.Helper()
	effect, err := s.ApplySync(t.Context(), host, y)
	if err != nil {
		t.Fatal(err)
	}
	return effect
}

// dump returns every row of the tables that a sync writes, as text.
func dump(t testing.TB, s *Store) map[string][]string {
	t.Helper()
	out := make(map[string][]string)
	err := s.read(t.Context(), "dump", func(t *tx) error {
		for _, table := range []string{"host", "image", "layer", "image_layer", "repository", "presence", "host_image", "container"} {
			rows, err := t.query("SELECT * FROM " + table)
			if err != nil {
				return err
			}
			columns, _ := rows.Columns()
			err = each(rows, nil, func(scan func(...any) error) error {
				values, dest := make([]any, len(columns)), make([]any, len(columns))
				for i := range values {
					dest[i] = &values[i]
				}
				if err := scan(dest...); err != nil {
					return err
				}
				out[table] = append(out[table], fmt.Sprint(values...))
				return nil
			})
			if err != nil {
				return err
			}
			slices.Sort(out[table])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// imageNumber returns the image with the number as everybody or a scope sees it.
func imageNumber(t testing.TB, s *Store, scope plimsoll.Scope, n int) api.Image {
	t.Helper()
	page, err := s.Images(t.Context(), scope, api.ImageFilter{Query: string(digestOf("image", n)), Gone: "any"}, api.List{})
	if err != nil {
		t.Fatal(err)
	}
	if len(page.Items) != 1 {
		t.Fatalf("found %d images for number %d", len(page.Items), n)
	}
	return page.Items[0]
}

// SYS-03: ingest is idempotent.
func TestSYS03SyncTwiceChangesNothing(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "a")
		first := fullSync(1, withContainers(hostImage(1, "app:1", "app:2"), map[string]bool{"c1": true, "c2": false}), hostImage(2))
		if e := mustSync(t, s, host, first); len(e.New) != 2 || len(e.Pulled) != 0 || len(e.Answer.Want) != 0 {
			t.Errorf("first sync: %+v", e)
		}
		before := dump(t, s)
		if e := mustSync(t, s, host, first); len(e.New) != 0 {
			t.Errorf("second sync: %+v", e)
		}
		if after := dump(t, s); !reflect.DeepEqual(before, after) {
			t.Errorf("changed:\n%v\n%v", before, after)
		}
		img := imageNumber(t, s, plimsoll.Everything, 1)
		if img.Hosts != 1 || img.Containers != 2 || img.Running != 1 || !slices.Equal(img.Names, []string{"app:1", "app:2"}) {
			t.Errorf("image: %+v", img)
		}
	})
}

func TestSyncOfThePastIsDropped(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "a")
		mustSync(t, s, host, fullSync(5, hostImage(1, "app:1")))
		before := dump(t, s)
		mustSync(t, s, host, api.Sync{Seq: 4, Gone: []plimsoll.Digest{digestOf("image", 1)}, Host: api.HostFacts{Name: "host"}})
		if after := dump(t, s); !reflect.DeepEqual(before, after) {
			t.Error("an older sync changed something")
		}
		// A full list always counts: the agent's state may have been lost.
		mustSync(t, s, host, fullSync(1, hostImage(2, "app:1")))
		if img := imageNumber(t, s, plimsoll.Everything, 1); img.Gone == nil || img.Hosts != 0 {
			t.Errorf("image 1 is still there: %+v", img)
		}
	})
}

// SYS-01: no event is lost for good: the daily full list heals.
func TestSYS01FullSyncHealsLostEvents(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "a")
		mustSync(t, s, host, fullSync(1, hostImage(1, "app:1"), hostImage(2, "db:1")))
		changed := hostImage(2, "db:2")
		y := fullSync(2, changed, hostImage(3, "web:1"))
		y.Images = nil // hashes alone
		e := mustSync(t, s, host, y)
		want := []plimsoll.Digest{changed.ID, digestOf("image", 3)}
		slices.Sort(want)
		if !slices.Equal(e.Answer.Want, want) {
			t.Errorf("want %v, got %v", want, e.Answer.Want)
		}
		if img := imageNumber(t, s, plimsoll.Everything, 1); img.Gone == nil {
			t.Error("image 1 was not in the full list and is still there")
		}
		if img := imageNumber(t, s, plimsoll.Everything, 2); !slices.Equal(img.Names, []string{"db:1"}) {
			t.Errorf("image 2 was touched before its record came: %v", img.Names)
		}
		mustSync(t, s, host, api.Sync{Seq: 3, Images: []api.HostImage{changed, hostImage(3, "web:1")}, Host: api.HostFacts{Name: "host"},
			Pulled: []plimsoll.Digest{digestOf("image", 3)}})
		if img := imageNumber(t, s, plimsoll.Everything, 2); !slices.Equal(img.Names, []string{"db:2"}) {
			t.Errorf("image 2: %v", img.Names)
		}
	})
}

func TestTagMoves(t *testing.T) {
	tests := []struct {
		name string
		sync api.Sync
	}{
		{"both records come", api.Sync{Seq: 2, Images: []api.HostImage{hostImage(1), hostImage(2, "app:1")}}},
		{"the old image's record is lost", api.Sync{Seq: 2, Images: []api.HostImage{hostImage(2, "app:1")}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			contract(t, func(t *testing.T, s *Store) {
				host := joinHost(t, s, "a")
				mustSync(t, s, host, fullSync(1, hostImage(1, "app:1")))
				pass(s, time.Hour)
				e := mustSync(t, s, host, test.sync)
				if len(e.New) != 1 {
					t.Errorf("new: %v", e.New)
				}
				old, young := imageNumber(t, s, plimsoll.Everything, 1), imageNumber(t, s, plimsoll.Everything, 2)
				if len(old.Names) != 0 || old.Gone != nil || old.Hosts != 1 || !slices.Equal(young.Names, []string{"app:1"}) {
					t.Errorf("old %+v, young %+v", old, young)
				}
				page, err := s.Presences(t.Context(), plimsoll.Everything, old.ID, api.List{})
				if err != nil || len(page.Items) != 2 || page.Items[0].Name != "" || page.Items[0].Gone != nil || page.Items[1].Name != "app:1" || page.Items[1].Gone == nil {
					t.Errorf("presences of the old image: %+v, %v", page.Items, err)
				}
				// The next full list asks for what was not said.
				y := fullSync(3, hostImage(1), hostImage(2, "app:1"))
				y.Images = nil
				lost := len(test.sync.Images) == 1
				if e := mustSync(t, s, host, y); (len(e.Answer.Want) == 1) != lost {
					t.Errorf("wanted: %v", e.Answer.Want)
				}
				checkCounts(t, s)
			})
		})
	}
}

// One name may stand for an image of each platform.
func TestNameOfTwoPlatforms(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "a")
		arm := hostImage(2, "app:1")
		arm.Platform.Architecture = "arm64"
		mustSync(t, s, host, fullSync(1, hostImage(1, "app:1")))
		mustSync(t, s, host, api.Sync{Seq: 2, Images: []api.HostImage{hashed(arm)}})
		for n := range 2 {
			if img := imageNumber(t, s, plimsoll.Everything, n+1); !slices.Equal(img.Names, []string{"app:1"}) {
				t.Errorf("image %d: %v", n+1, img.Names)
			}
		}
	})
}

func TestImageGoneAndBack(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		a, b := joinHost(t, s, "a"), joinHost(t, s, "b")
		mustSync(t, s, a, fullSync(1, hostImage(1, "app:1")))
		mustSync(t, s, b, fullSync(1, hostImage(1, "app:1")))
		pass(s, time.Hour)
		mustSync(t, s, a, fullSync(2))
		if img := imageNumber(t, s, plimsoll.Everything, 1); img.Gone != nil || img.Hosts != 1 {
			t.Errorf("one host still holds it: %+v", img)
		}
		pass(s, time.Hour)
		mustSync(t, s, b, api.Sync{Seq: 2, Gone: []plimsoll.Digest{digestOf("image", 1)}})
		img := imageNumber(t, s, plimsoll.Everything, 1)
		if img.Gone == nil || !img.Gone.Equal(testStart.Add(2*time.Hour)) || !img.LastSeen.Equal(testStart) {
			t.Errorf("gone image: %+v", img)
		}
		pass(s, time.Hour)
		e := mustSync(t, s, a, api.Sync{Seq: 3, Images: []api.HostImage{hostImage(1, "app:1")}, Pulled: []plimsoll.Digest{digestOf("image", 1)}})
		if len(e.New) != 0 || !slices.Equal(e.Pulled, []int64{img.ID}) {
			t.Errorf("back: %+v", e)
		}
		img = imageNumber(t, s, plimsoll.Everything, 1)
		if img.Gone != nil || img.Hosts != 1 || !img.FirstSeen.Equal(testStart) {
			t.Errorf("image that is back: %+v", img)
		}
		checkCounts(t, s)
	})
}

// SYS-03: a hostile agent cannot overwrite what another host told.
func TestSYS03OtherLayersUnderOneImageID(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		honest, liar := joinHost(t, s, "honest"), joinHost(t, s, "liar")
		mustSync(t, s, honest, fullSync(1, hostImage(1, "app:1")))
		lie := hostImage(1, "app:1")
		lie.Layers[1].DiffID = digestOf("nothing to see", 1)
		mustSync(t, s, liar, fullSync(1, hashed(lie), hostImage(2, "db:1")))
		if img := imageNumber(t, s, plimsoll.Everything, 1); img.Hosts != 1 {
			t.Errorf("the liar counts as a holder: %+v", img)
		}
		if img := imageNumber(t, s, plimsoll.Everything, 2); img.Hosts != 1 {
			t.Error("the rest of the sync was not used")
		}
		host, err := s.Host(t.Context(), plimsoll.Everything, liar)
		if err != nil || len(host.Problems) != 1 || host.Problems[0].Path != string(digestOf("image", 1)) {
			t.Fatalf("the host's problems: %+v, %v", host.Problems, err)
		}
		// The note stays until the host tells the image's true layers, or has it no more.
		mustSync(t, s, liar, api.Sync{Seq: 2, Images: []api.HostImage{hostImage(3, "web:1")}})
		if host, _ := s.Host(t.Context(), plimsoll.Everything, liar); len(host.Problems) != 1 {
			t.Error("the note went by itself")
		}
		mustSync(t, s, liar, api.Sync{Seq: 3, Images: []api.HostImage{hostImage(1, "app:1")}})
		if host, _ := s.Host(t.Context(), plimsoll.Everything, liar); len(host.Problems) != 0 {
			t.Errorf("the note stayed: %+v", host.Problems)
		}
	})
}

func TestUnreadableUntilOneHostCanRead(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		a, b := joinHost(t, s, "a"), joinHost(t, s, "b")
		blocked := hostImage(1, "app:1")
		blocked.Places[0].Problem = &api.Problem{Code: plimsoll.ProblemUnsupportedDriver, Detail: "zfs is not read"}
		blocked = hashed(blocked)
		state := func(want plimsoll.ScanState, code plimsoll.ProblemCode) {
			t.Helper()
			if img := imageNumber(t, s, plimsoll.Everything, 1); img.State != want || img.Code != string(code) {
				t.Errorf("state %s (%s), want %s (%s)", img.State, img.Code, want, code)
			}
		}
		mustSync(t, s, a, fullSync(1, blocked))
		state(plimsoll.ImageUnreadable, plimsoll.ProblemUnsupportedDriver)
		mustSync(t, s, b, fullSync(1, hostImage(1, "app:1")))
		state(plimsoll.ImageNever, "")
		mustSync(t, s, b, fullSync(2))
		state(plimsoll.ImageUnreadable, plimsoll.ProblemUnsupportedDriver)
		mustSync(t, s, a, fullSync(2, hostImage(1, "app:1")))
		state(plimsoll.ImageNever, "")
	})
}

// SYS-03: ingest is bounded and checked; the error names the field.
func TestSYS03HostileSync(t *testing.T) {
	long := strings.Repeat("x", 1025)
	tests := []struct {
		field string
		spoil func(*api.Sync)
	}{
		{"host.name", func(y *api.Sync) { y.Host.Name = long }},
		{"host.kernel", func(y *api.Sync) { y.Host.Kernel = "a\x00b" }},
		{"host.addresses", func(y *api.Sync) { y.Host.Addresses = make([]string, 65) }},
		{"known.id", func(y *api.Sync) { y.Known[0].ID = "sha256:xyz" }},
		{"known.hash", func(y *api.Sync) { y.Known[0].Hash = "" }},
		{"gone", func(y *api.Sync) { y.Gone = []plimsoll.Digest{"'; DROP TABLE image"} }},
		{"pulled", func(y *api.Sync) { y.Pulled = []plimsoll.Digest{""} }},
		{"known", func(y *api.Sync) { y.Known = make([]api.ImageHash, api.MaxSyncImages+1) }},
		{"images.id", func(y *api.Sync) { y.Images[0].ID = "" }},
		{"images.id", func(y *api.Sync) { y.Images = append(y.Images, y.Images[0]) }},
		{"images.hash", func(y *api.Sync) { y.Images[0].Hash = long }},
		{"images.size", func(y *api.Sync) { y.Images[0].Size = -1 }},
		{"images.layers", func(y *api.Sync) { y.Images[0].Layers = make([]api.HostLayer, api.MaxImageLayers+1) }},
		{"layers.diffID", func(y *api.Sync) { y.Images[0].Layers[0].DiffID = "" }},
		{"layers.size", func(y *api.Sync) { y.Images[0].Layers[0].Size = -5 }},
		{"images.places", func(y *api.Sync) { y.Images[0].Places = nil }},
		{"places.engine", func(y *api.Sync) { y.Images[0].Places[0].Engine = "<script>" }},
		{"places.store", func(y *api.Sync) { y.Images[0].Places[0].Store = long }},
		{"places.names", func(y *api.Sync) { y.Images[0].Places[0].Names = []string{"ok", "bad\xff"} }},
		{"places.names", func(y *api.Sync) { y.Images[0].Places[0].Names = make([]string, api.MaxNames+1) }},
		{"containers.id", func(y *api.Sync) { y.Images[0].Containers = []api.HostContainer{{ID: "a"}, {ID: "a"}} }},
		{"containers.pod", func(y *api.Sync) { y.Images[0].Containers = []api.HostContainer{{ID: "a", Pod: long}} }},
		{"stores.name", func(y *api.Sync) { y.Stores = []api.Store{{Name: long}} }},
		{"problems.code", func(y *api.Sync) { y.Problems = []api.Problem{{}} }},
	}
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "a")
		before := dump(t, s)
		for _, test := range tests {
			y := fullSync(1, hostImage(1, "app:1"))
			test.spoil(&y)
			_, err := s.ApplySync(t.Context(), host, y)
			if plimsoll.CodeOf(err) != plimsoll.CodeInvalid || !strings.Contains(fmt.Sprint(err), test.field+":") {
				t.Errorf("%s: %v", test.field, err)
			}
		}
		if !reflect.DeepEqual(before, dump(t, s)) {
			t.Error("a refused sync left something")
		}
		if _, err := s.ApplySync(t.Context(), host+100, fullSync(1)); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("sync of a host that does not exist: %v", err)
		}
	})
}

// What an image says of itself is its author's: it must not keep a host from
// being heard, and stays what it is.
func TestHostileAuthor(t *testing.T) {
	evil := "<script>alert(1)</script>'; DROP TABLE image; --\x00\u202e" + strings.Repeat("é", 40_000)
	contract(t, func(t *testing.T, s *Store) {
		host := joinHost(t, s, "a")
		i := hostImage(1, `weird"name\':%_`)
		i.Layers[1].CreatedBy, i.History = evil, []api.BuildStep{{CreatedBy: evil, Comment: evil}}
		i.Config = api.ImageConfig{User: evil, WorkingDir: evil, Cmd: []string{evil}, Labels: map[string]string{evil: evil}}
		i.Platform.Variant = evil
		mustSync(t, s, host, fullSync(1, hashed(i)))
		page, err := s.Images(t.Context(), plimsoll.Everything, api.ImageFilter{Query: `NAME\':%_`}, api.List{})
		if err != nil || len(page.Items) != 1 {
			t.Fatalf("found %d, %v", len(page.Items), err)
		}
		detail, err := s.Image(t.Context(), plimsoll.Everything, page.Items[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if step := detail.History[0].CreatedBy; !strings.HasPrefix(step, "<script>alert(1)</script>'; DROP TABLE image; --") || len(step) > maxStep+10 {
			t.Errorf("the step was changed: %.80q", step)
		}
		for _, q := range []string{`name\\`, "%", "n_me", "weird*", "\x00"} {
			page, err := s.Images(t.Context(), plimsoll.Everything, api.ImageFilter{Query: q}, api.List{})
			if found := len(page.Items); q == "\x00" && plimsoll.CodeOf(err) != plimsoll.CodeInvalid || q != "\x00" && err != nil ||
				found != map[string]int{"%": 1}[q] {
				t.Errorf("search for %q found %d, %v", q, found, err)
			}
		}
	})
}

// The counts that lists sort by are those that a computation from scratch gives,
// whatever the hosts say in whatever order.
func TestCountsAfterRandomSyncs(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		for seed := range uint64(3) {
			r := rand.New(rand.NewPCG(seed, 7))
			var hosts []int64
			for n := range 4 {
				hosts = append(hosts, joinHost(t, s, fmt.Sprintf("host %d-%d", seed, n)))
			}
			state := make(map[int64]map[int]api.HostImage)
			for step := range 60 {
				host := hosts[r.IntN(len(hosts))]
				if state[host] == nil {
					state[host] = make(map[int]api.HostImage)
				}
				y := api.Sync{Seq: int64(step + 1), Host: api.HostFacts{Name: "host"}}
				for range 1 + r.IntN(3) {
					n := r.IntN(8)
					if _, ok := state[host][n]; ok && r.IntN(3) == 0 {
						delete(state[host], n)
						y.Gone = append(y.Gone, digestOf("image", n))
						y.Images = slices.DeleteFunc(y.Images, func(i api.HostImage) bool { return i.ID == digestOf("image", n) })
						continue
					}
					var names []string
					for _, name := range []string{"app:1", "app:2", "db:1", "db@sha256:1", "web:1"} {
						if r.IntN(3) == 0 {
							names = append(names, name)
						}
					}
					i := hostImage(n, names...)
					if r.IntN(4) == 0 {
						i.Places = append(i.Places, api.HostPlace{Engine: plimsoll.Containerd, Store: "k8s.io", Names: names, Private: r.IntN(2) == 0,
							Problem: &api.Problem{Code: plimsoll.ProblemPermission}})
					}
					containers := make(map[string]bool)
					for c := range 5 {
						if r.IntN(4) == 0 && !slices.ContainsFunc(y.Images, func(i api.HostImage) bool {
							return slices.ContainsFunc(i.Containers, func(h api.HostContainer) bool { return h.ID == fmt.Sprint("c", c) })
						}) {
							containers[fmt.Sprint("c", c)] = r.IntN(2) == 0
						}
					}
					i = withContainers(i, containers)
					y.Images = append(slices.DeleteFunc(y.Images, func(o api.HostImage) bool { return o.ID == i.ID }), i)
					y.Gone = slices.DeleteFunc(y.Gone, func(d plimsoll.Digest) bool { return d == i.ID })
					state[host][n] = i
				}
				if r.IntN(5) == 0 {
					y.Full = true
					for _, i := range state[host] {
						y.Known = append(y.Known, api.ImageHash{ID: i.ID, Hash: i.Hash})
					}
					y.Gone = nil
				}
				pass(s, time.Minute)
				mustSync(t, s, host, y)
				if checkCounts(t, s); t.Failed() {
					t.Fatalf("after step %d of seed %d", step, seed)
				}
			}
			if err := s.RemoveHost(t.Context(), hosts[0]); err != nil {
				t.Fatal(err)
			}
			checkCounts(t, s)
		}
	})
}

// checkCounts compares the kept counts with a computation from scratch.
func checkCounts(t testing.TB, s *Store) {
	t.Helper()
	checks := map[string]string{
		"image.hosts":        "SELECT count(*) FROM image i WHERE hosts <> (SELECT count(*) FROM host_image h WHERE h.image_id = i.id)",
		"image.containers":   "SELECT count(*) FROM image i WHERE containers <> (SELECT count(*) FROM container c WHERE c.image_id = i.id AND c.gone = 0)",
		"image.running":      "SELECT count(*) FROM image i WHERE running <> (SELECT count(*) FROM container c WHERE c.image_id = i.id AND c.gone = 0 AND c.running = 1)",
		"image.repositories": "SELECT count(*) FROM image i WHERE repositories <> (SELECT count(DISTINCT repository_id) FROM presence p WHERE p.image_id = i.id AND p.gone = 0)",
		"image.name":         "SELECT count(*) FROM image i WHERE name <> coalesce((SELECT min(name) FROM presence p WHERE p.image_id = i.id AND p.gone = 0 AND name <> ''), '')",
		"image.gone":         "SELECT count(*) FROM image i WHERE (gone = 0) <> EXISTS (SELECT 1 FROM host_image h WHERE h.image_id = i.id)",
		"image.state": `SELECT count(*) FROM image i WHERE gone = 0 AND (state = 'unreadable') <>
			NOT EXISTS (SELECT 1 FROM host_image h WHERE h.image_id = i.id AND h.readable = 1)`,
		"host.images":     "SELECT count(*) FROM host o WHERE images <> (SELECT count(*) FROM host_image h WHERE h.host_id = o.id)",
		"host.containers": "SELECT count(*) FROM host o WHERE containers <> (SELECT count(*) FROM container c WHERE c.host_id = o.id AND c.gone = 0)",
		"host.running":    "SELECT count(*) FROM host o WHERE running <> (SELECT count(*) FROM container c WHERE c.host_id = o.id AND c.gone = 0 AND c.running = 1)",
		"host_image without presence": `SELECT count(*) FROM host_image h WHERE NOT EXISTS
			(SELECT 1 FROM presence p WHERE p.host_id = h.host_id AND p.image_id = h.image_id AND p.gone = 0)`,
		"presence whose name is not found": "SELECT count(*) FROM presence p WHERE NOT EXISTS (SELECT 1 FROM image_reference n WHERE n.image_id = p.image_id AND n.name_lower = p.name_lower)",
		"presence without host_image": `SELECT count(*) FROM presence p WHERE p.gone = 0 AND NOT EXISTS
			(SELECT 1 FROM host_image h WHERE p.host_id = h.host_id AND p.image_id = h.image_id)`,
	}
	err := s.read(context.Background(), "check", func(tx *tx) error {
		for _, what := range slices.Sorted(maps.Keys(checks)) {
			var wrong int
			if err := tx.row(checks[what]).Scan(&wrong); err != nil {
				return fmt.Errorf("%s: %w", what, err)
			}
			if wrong > 0 {
				t.Errorf("%s: %d rows are wrong", what, wrong)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
