// Package loadgen makes fleets that do not exist, to measure a console that
// does: hosts with images on shared base layers, realistic lists of packages,
// and advisories that find about four hundred flaws in each image. A fleet is a
// pure function of its size and seed; what its advisories must find is known
// without asking the matcher.
//
// It owns the invention: advisories, and an image store in memory for each host.
// Everything between a store and the console is the real thing, agents included.
// It refuses to look into the console's store: it learns what anybody with a
// token learns.
//
// Trust: test code only. It starts no engine and talks to nothing but the
// console it is given.
package loadgen

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"time"

	"plimsoll"
	"plimsoll/agent"
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

// layer is one change set by what it is for and which of its kind it is: the
// same in every image that has it.
type layer struct {
	kind string // base, runtime, own, empty
	n    int
}

// layers returns the layers of an image, bottom first: the base image, for some a
// runtime that many share, its own dependencies.
func (f Fleet) layers(image int) [3]layer {
	r := f.random("image", image)
	layers := [3]layer{{"base", r.IntN(max(4, f.Distinct*basesPerHundred/100))}, {"empty", 0}, {"own", image}}
	if r.IntN(5) < 2 {
		layers[1] = layer{"runtime", r.IntN(runtimes)}
	}
	return layers
}

// contents returns what a layer installs.
func (f Fleet) contents(l layer) []choice {
	switch r := f.random("own kind", l.n); l.kind {
	case "base":
		return f.draw(l, &debian, 100+l.n%5*25, 25)
	case "runtime":
		return f.draw(l, &pypi, 30, 0)
	case "own":
		return f.draw(l, []*ecosystem{&npm, &npm, &pypi}[r.IntN(3)], 80+r.IntN(320), 10)
	}
	return nil
}

// draw takes about count packages of an ecosystem: the first common names,
// which everybody has, and others, popular ones more often.
func (f Fleet) draw(l layer, eco *ecosystem, count, common int) []choice {
	r := f.random(l.kind, l.n)
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

// ImageID is the identity of image i.
func (f Fleet) ImageID(i int) plimsoll.Digest { return f.digest("config", i) }

func (f Fleet) diffID(l layer) plimsoll.Digest { return f.digest(l.kind, l.n) }

func (f Fleet) digest(what string, i int) plimsoll.Digest {
	return plimsoll.DigestOf(fmt.Appendf(nil, "%s %d %d", what, f.Seed, i))
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

// Image returns image i as the engine of host h has it.
func (f Fleet) Image(h, i int) plimsoll.Image {
	layers := f.layers(i)
	var diffs []plimsoll.Digest
	var history []plimsoll.History
	var size int64
	for _, l := range layers {
		diffs = append(diffs, f.diffID(l))
		history = append(history, plimsoll.History{CreatedBy: l.step()})
		if l.kind == "base" {
			history = append(history, plimsoll.History{CreatedBy: "CMD [\"bash\"]", EmptyLayer: true})
		}
	}
	img := plimsoll.Image{
		ID: f.ImageID(i), Engine: plimsoll.Docker, Store: root, Names: []string{fmt.Sprintf("team-%d/%s:1.%d", i%40, service(i), i%10)},
		Platform: plimsoll.Platform{OS: "linux", Architecture: "amd64"}, Created: Epoch().Add(-time.Duration(i) * time.Minute),
		Config:  plimsoll.Config{User: "app", WorkingDir: "/app", Entrypoint: []string{"/app/run"}, Labels: map[string]string{"service": service(i)}},
		History: history, Layers: plimsoll.NewLayers(diffs, history),
	}
	for k, l := range layers {
		img.Layers[k].Size = l.size()
		size += l.size()
	}
	img.Size = size + int64(i) // no two have the same
	r := f.random(fmt.Sprintf("host %d", h), i)
	for k := range r.IntN(3) {
		c := plimsoll.Container{ID: plimsoll.DigestOf(fmt.Appendf(nil, "container %d %d %d %d", f.Seed, h, i, k)).Hex(), Name: fmt.Sprintf("%s-%d", service(i), k), State: "running"}
		if r.IntN(4) == 0 {
			c.State = "exited"
		}
		img.Containers = append(img.Containers, c)
	}
	return img
}

// root is where the engine of each host keeps its images.
const root = "/var/lib/docker"

func service(i int) string { return fmt.Sprintf("service-%d", i/10) }

// step is the build step that made a layer.
func (l layer) step() string {
	switch l.kind {
	case "base":
		return "ADD rootfs.tar.xz /"
	case "runtime":
		return fmt.Sprint("RUN install runtime ", l.n)
	case "own":
		return "COPY . /app"
	}
	return "WORKDIR /app"
}

// size is what an engine would say of a layer, in bytes.
func (l layer) size() int64 {
	return map[string]int64{"base": 75 << 20, "runtime": 60 << 20, "own": 40 << 20, "empty": 1 << 10}[l.kind]
}

// Facts is what host h says of itself.
func (f Fleet) Facts(h int, version, analyzers string) agent.HostFacts {
	return agent.HostFacts{MachineID: fmt.Sprintf("machine-%d", h), HostFacts: api.HostFacts{
		Name: fmt.Sprintf("host-%04d", h), OS: "Debian GNU/Linux 12 (bookworm)", Kernel: "6.1.0-28-amd64", Arch: "amd64",
		Addresses: []string{fmt.Sprintf("10.%d.%d.%d", h>>16&255, h>>8&255, h&255)}, AgentVersion: version, Analyzers: analyzers,
	}}
}
