package store

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"plimsoll"
	"plimsoll/api"
)

// Bounds of what an agent may say of its host, in bytes unless they count. What
// names things is refused beyond them; what only describes, and comes from an
// image's author, is cut: an author must not keep a host from being heard.
const (
	maxName      = 1024 // of an image, a store or a pod
	maxWord      = 255  // IDs, hashes, states, names of hosts and containers
	maxCode      = 60
	maxDetail    = 2000
	maxStep      = 32 << 10 // a build step, a command
	maxSteps     = 1000     // of a history, of a command, of labels
	maxManifests = 100
	maxPlaces    = 1000 // stores of one image on a host
	maxStores    = 1000 // of a host
	maxProblems  = 1000 // of a host
	maxRequests  = 10_000
)

// syncCheck notes the first thing that is wrong with a sync.
type syncCheck struct{ err error }

func (c *syncCheck) fail(field, format string, args ...any) {
	if c.err == nil {
		c.err = plimsoll.Errorf(plimsoll.CodeInvalid, "check the list of images", "%s: %s", field, fmt.Sprintf(format, args...))
	}
}

func (c *syncCheck) text(field, text string, most int) {
	switch {
	case len(text) > most:
		c.fail(field, "%d bytes, at most %d", len(text), most)
	case !storable(text):
		c.fail(field, "not UTF-8, or with a zero byte")
	}
}

func (c *syncCheck) word(field, text string, most int) {
	if text == "" {
		c.fail(field, "missing")
	}
	c.text(field, text, most)
}

func (c *syncCheck) count(field string, n, most int) {
	if n > most {
		c.fail(field, "%d, at most %d", n, most)
	}
}

func (c *syncCheck) digest(field string, d plimsoll.Digest) {
	if _, err := plimsoll.ParseDigest(string(d)); err != nil {
		c.fail(field, "not a digest")
	}
}

// checkSync refuses what the bounds do not allow and cuts what only describes.
func checkSync(s *api.Sync) error {
	c := &syncCheck{}
	c.host(&s.Host)
	c.count("known", len(s.Known), api.MaxSyncImages)
	c.count("images", len(s.Images), api.MaxSyncImages)
	c.count("gone", len(s.Gone), 2*api.MaxSyncImages)
	c.count("pulled", len(s.Pulled), 2*api.MaxSyncImages)
	c.count("stores", len(s.Stores), maxStores)
	c.count("problems", len(s.Problems), maxProblems)
	c.count("requests", len(s.Requests), maxRequests)
	if c.err != nil { // before anything is done for each of too many
		return c.err
	}
	for _, k := range s.Known {
		c.digest("known.id", k.ID)
		c.word("known.hash", k.Hash, maxWord)
	}
	for _, d := range s.Gone {
		c.digest("gone", d)
	}
	for _, d := range s.Pulled {
		c.digest("pulled", d)
	}
	for _, st := range s.Stores {
		c.text("stores.name", st.Name, maxName)
	}
	for i := range s.Problems {
		s.Problems[i] = c.problem("problems", s.Problems[i])
	}
	images, containers := make(map[plimsoll.Digest]bool), make(map[string]bool)
	for i := range s.Images {
		image := &s.Images[i]
		c.image(image)
		if images[image.ID] {
			c.fail("images.id", "%s is there twice", image.ID)
		}
		images[image.ID] = true
		for _, con := range image.Containers {
			if containers[con.ID] {
				c.fail("containers.id", "%q is there twice", con.ID)
			}
			containers[con.ID] = true
		}
		c.count("containers", len(containers), api.MaxContainers)
		if c.err != nil {
			return c.err
		}
	}
	return c.err
}

func (c *syncCheck) host(h *api.HostFacts) {
	c.text("host.name", h.Name, maxWord)
	c.text("host.os", h.OS, maxWord)
	c.text("host.kernel", h.Kernel, maxWord)
	c.text("host.arch", h.Arch, maxWord)
	c.text("host.agentVersion", h.AgentVersion, maxWord)
	c.text("host.analyzers", h.Analyzers, maxAnalyzers)
	c.count("host.addresses", len(h.Addresses), 64)
	for _, a := range h.Addresses {
		c.text("host.addresses", a, maxWord)
	}
}

func (c *syncCheck) image(i *api.HostImage) {
	c.digest("images.id", i.ID)
	c.word("images.hash", i.Hash, maxWord)
	c.count("images.manifests", len(i.Manifests), maxManifests)
	c.count("images.layers", len(i.Layers), api.MaxImageLayers)
	c.count("images.places", len(i.Places), maxPlaces)
	c.count("images.containers", len(i.Containers), api.MaxContainers)
	if c.err != nil {
		return
	}
	if i.Size < 0 {
		c.fail("images.size", "below zero")
	}
	for _, d := range i.Manifests {
		c.digest("images.manifests", d)
	}
	sum := int64(0)
	for n := range i.Layers {
		l := &i.Layers[n]
		c.digest("layers.diffID", l.DiffID)
		if l.Size < 0 || l.Size > math.MaxInt64-sum {
			c.fail("layers.size", "out of bounds")
		}
		sum += max(l.Size, 0)
		l.CreatedBy = cut(l.CreatedBy, maxStep)
	}
	if len(i.Places) == 0 {
		c.fail("images.places", "missing")
	}
	names := 0
	for n := range i.Places {
		p := &i.Places[n]
		switch p.Engine {
		case plimsoll.Docker, plimsoll.Containerd, plimsoll.Podman, plimsoll.Archive:
		default:
			c.fail("places.engine", "there is no such engine")
		}
		c.text("places.store", p.Store, maxName)
		names += len(p.Names)
		c.count("places.names", names, api.MaxNames)
		for _, name := range p.Names {
			c.word("places.names", name, maxName)
		}
		if p.Problem != nil {
			problem := c.problem("places.problem", *p.Problem)
			p.Problem = &problem
		}
	}
	for n := range i.Containers {
		con := &i.Containers[n]
		c.word("containers.id", con.ID, maxWord)
		c.text("containers.name", con.Name, maxName)
		c.text("containers.state", con.State, maxWord)
		c.text("containers.pod", con.Pod, maxName)
	}
	cutImage(i)
}

func (c *syncCheck) problem(field string, p api.Problem) api.Problem {
	c.word(field+".code", string(p.Code), maxCode)
	c.text(field+".path", p.Path, maxDetail)
	p.Detail = cut(p.Detail, maxDetail)
	if p.Layer != "" {
		c.digest(field+".layer", p.Layer)
	}
	p.Analyzer = "" // the console's own notes carry one
	return p
}

// cutImage cuts what an image says of itself.
func cutImage(i *api.HostImage) {
	i.Platform = plimsoll.Platform{OS: cut(i.Platform.OS, maxCode), Architecture: cut(i.Platform.Architecture, maxCode),
		Variant: cut(i.Platform.Variant, maxCode)}
	i.Config.User, i.Config.WorkingDir = cut(i.Config.User, maxWord), cut(i.Config.WorkingDir, maxName)
	i.Config.Entrypoint, i.Config.Cmd = cutAll(i.Config.Entrypoint), cutAll(i.Config.Cmd)
	labels := make(map[string]string)
	keys := slices.Sorted(maps.Keys(i.Config.Labels))
	for _, key := range keys[:min(len(keys), maxSteps)] {
		labels[cut(key, maxWord)] = cut(i.Config.Labels[key], maxStep)
	}
	i.Config.Labels = labels
	i.History = slices.Clone(i.History[:min(len(i.History), maxSteps)])
	for n := range i.History {
		h := &i.History[n]
		h.CreatedBy, h.Comment = cut(h.CreatedBy, maxStep), cut(h.Comment, maxDetail)
	}
}

func cutAll(list []string) []string {
	list = slices.Clone(list[:min(len(list), maxSteps)])
	for i := range list {
		list[i] = cut(list[i], maxStep)
	}
	return list
}

// cut returns text as both databases can hold it, at most n bytes long.
func cut(text string, n int) string {
	if len(text) > n {
		text = text[:n-len("…")] + "…"
	}
	return plain(text)
}
