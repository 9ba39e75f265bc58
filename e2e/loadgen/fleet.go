// Package loadgen makes fleets that do not exist, to measure a console that
// does: hosts with images on shared base layers, realistic lists of packages,
// and advisories that find about four hundred flaws in each image. A fleet is a
// pure function of its size and seed; what its advisories must find is known
// without asking the matcher.
//
// It owns the invention and the delivery through the HTTP API. It refuses to
// look into the console's store: it learns what anybody with a token learns.
//
// Trust: test code only. It starts no engine, reads no image and talks to
// nothing but the console it is given.
package loadgen

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// Size says how large a fleet is.
type Size struct {
	Hosts    int
	PerHost  int // images on each host
	Distinct int // images of the fleet
	Seed     uint64
}

// Small and Large are the sizes that tests and make loadgen use.
var (
	Small = Size{Hosts: 10, PerHost: 5, Distinct: 20, Seed: 1}
	Large = Size{Hosts: 1000, PerHost: 50, Distinct: 5000, Seed: 1}
)

// The ecosystems: how many names they have, how many versions of each, and what
// an image takes of them.
const (
	debNames, debVersions   = 4_000, 4
	npmNames, npmVersions   = 20_000, 6
	pypiNames, pypiVersions = 5_000, 6

	basesPerHundred = 2 // base images for a hundred images, at least four
	runtimes        = 12
)

// Fleet invents a fleet. Its methods give the same answers each time and may be
// called concurrently.
type Fleet struct{ Size }

// Epoch is the day on which everything in a fleet was built.
func Epoch() time.Time { return time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC) }

// random returns the source of chance for one thing.
func (f Fleet) random(what string, i int) *rand.Rand {
	return rand.New(rand.NewPCG(f.Seed, hash(what, i)))
}

func hash(what string, i int) uint64 {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%d", what, i)
	return h.Sum64()
}

// choice is one package by its place in an ecosystem and in its line of versions.
type choice struct {
	eco           *ecosystem
	name, version int
}

// contents returns the packages of one image by layer, bottom first: the base
// image, for some a runtime that many share, its own dependencies.
func (f Fleet) contents(image int) [3][]choice {
	r := f.random("image", image)
	base := r.IntN(max(4, f.Distinct*basesPerHundred/100))
	own := []*ecosystem{&npm, &npm, &pypi}[r.IntN(3)]
	var layers [3][]choice
	layers[0] = f.draw("base", base, &debian, 100+base%5*25, 25)
	if r.IntN(5) < 2 {
		layers[1] = f.draw("runtime", r.IntN(runtimes), &pypi, 30, 0)
	}
	layers[2] = f.draw("own", image, own, 80+r.IntN(320), 10)
	return layers
}

// draw takes about count packages of an ecosystem: the first common names,
// which everybody has, and others, popular ones more often.
func (f Fleet) draw(what string, i int, eco *ecosystem, count, common int) []choice {
	r := f.random(what, i)
	taken := make(map[int]bool)
	var list []choice
	for n := range count {
		name := n
		if n >= common {
			u := r.Float64()
			name = int(float64(eco.names) * u * u * u)
		}
		version := max(r.IntN(eco.versions), r.IntN(eco.versions)) // most are rather new
		if !taken[name] {
			taken[name] = true
			list = append(list, choice{eco, name, version})
		}
	}
	slices.SortFunc(list, func(a, b choice) int { return cmp.Compare(a.name, b.name) })
	return list
}

// Inventory returns what image i contains.
func (f Fleet) Inventory(i int) *plimsoll.Inventory {
	inv := &plimsoll.Inventory{
		ImageID: f.ImageID(i), Analyzers: Analyzers,
		Systems: []plimsoll.OS{{ID: "debian", VersionID: "12", Codename: "bookworm", Name: "Debian GNU/Linux 12 (bookworm)", Path: "usr/lib/os-release"}},
	}
	layers := f.layers(i)
	for l, choices := range f.contents(i) {
		for _, c := range choices {
			for _, p := range c.packages() {
				p.Layer = layers[l].DiffID
				inv.Packages = append(inv.Packages, p)
			}
		}
	}
	slices.SortFunc(inv.Packages, func(a, b plimsoll.Package) int {
		return cmp.Or(strings.Compare(string(a.Type), string(b.Type)), strings.Compare(a.Name, b.Name), strings.Compare(a.Version, b.Version), strings.Compare(a.Path, b.Path))
	})
	return inv
}

// Analyzers is the analyser set that the fleet's agents claim to have.
const Analyzers = "loadgen@1"

// ImageID is the identity of image i.
func (f Fleet) ImageID(i int) plimsoll.Digest { return f.digest("config", i) }

func (f Fleet) digest(what string, i int) plimsoll.Digest {
	return plimsoll.DigestOf(fmt.Appendf(nil, "%s %d %d", what, f.Seed, i))
}

// layers returns the layers of image i: those of its base and runtime are shared.
func (f Fleet) layers(i int) [3]api.HostLayer {
	r := f.random("image", i) // in the order of contents
	base := r.IntN(max(4, f.Distinct*basesPerHundred/100))
	r.IntN(3)
	runtime := api.HostLayer{DiffID: f.digest("empty", 0), Size: 1 << 10, CreatedBy: "WORKDIR /app"}
	if r.IntN(5) < 2 {
		k := r.IntN(runtimes)
		runtime = api.HostLayer{DiffID: f.digest("runtime", k), Size: 60 << 20, CreatedBy: "RUN install runtime " + fmt.Sprint(k), Base: true}
	}
	return [3]api.HostLayer{
		{DiffID: f.digest("base", base), Size: 75 << 20, CreatedBy: "ADD rootfs.tar.xz /", Base: true},
		runtime,
		{DiffID: f.digest("own", i), Size: 40 << 20, CreatedBy: "COPY . /app"},
	}
}

// Images returns which images host h has, in ascending order. Every image of the
// fleet is on at least one host, popular ones are on many.
func (f Fleet) Images(h int) []int {
	r := f.random("host", h)
	has := make(map[int]bool)
	for i := h; i < f.Distinct && len(has) < f.PerHost; i += f.Hosts {
		has[i] = true
	}
	for len(has) < min(f.PerHost, f.Distinct) {
		u := r.Float64()
		has[int(float64(f.Distinct)*u*u)] = true
	}
	var list []int
	for i := range has {
		list = append(list, i)
	}
	slices.Sort(list)
	return list
}

// Record returns image i as host h reports it.
func (f Fleet) Record(h, i int) api.HostImage {
	r := f.random(fmt.Sprintf("host %d", h), i)
	layers := f.layers(i)
	rec := api.HostImage{
		ID: f.ImageID(i), Platform: plimsoll.Platform{OS: "linux", Architecture: "amd64"}, Created: Epoch().Add(-time.Duration(i) * time.Minute),
		Size:   layers[0].Size + layers[1].Size + layers[2].Size + int64(i),
		Config: api.ImageConfig{User: "app", WorkingDir: "/app", Entrypoint: []string{"/app/run"}, Labels: map[string]string{"service": service(i)}},
		Layers: layers[:],
		Places: []api.HostPlace{{Engine: plimsoll.Docker, Store: "/var/lib/docker", Names: []string{fmt.Sprintf("team-%d/%s:1.%d", i%40, service(i), i%10)}}},
	}
	for k := range r.IntN(3) {
		c := api.HostContainer{ID: plimsoll.DigestOf(fmt.Appendf(nil, "container %d %d %d %d", f.Seed, h, i, k)).Hex(), Name: fmt.Sprintf("%s-%d", service(i), k), State: "running", Running: true}
		if r.IntN(4) == 0 {
			c.State, c.Running = "exited", false
		}
		rec.Containers = append(rec.Containers, c)
	}
	rec.Hash = recordHash(rec)
	return rec
}

func service(i int) string { return fmt.Sprintf("service-%d", i/10) }

// recordHash is the digest of a record without its hash.
func recordHash(rec api.HostImage) string {
	rec.Hash = ""
	text, err := json.Marshal(rec)
	if err != nil {
		panic(err) // the record holds nothing that JSON cannot say
	}
	return plimsoll.DigestOf(text).Hex()
}

// Facts is what host h says of itself.
func (f Fleet) Facts(h int) api.HostFacts {
	return api.HostFacts{
		Name: fmt.Sprintf("host-%04d", h), OS: "Debian GNU/Linux 12 (bookworm)", Kernel: "6.1.0-28-amd64", Arch: "amd64",
		Addresses: []string{fmt.Sprintf("10.%d.%d.%d", h>>16&255, h>>8&255, h&255)}, AgentVersion: "loadgen", Analyzers: Analyzers,
	}
}

// Sync returns the full list of host h.
func (f Fleet) Sync(h int, seq int64, now time.Time) api.Sync {
	s := api.Sync{Full: true, At: now, Host: f.Facts(h), Seq: seq}
	for _, i := range f.Images(h) {
		rec := f.Record(h, i)
		s.Known = append(s.Known, api.ImageHash{ID: rec.ID, Hash: rec.Hash})
		s.Images = append(s.Images, rec)
	}
	s.Stores = []api.Store{{Name: "docker /var/lib/docker", Images: len(s.Known)}}
	return s
}
