package agent

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"plimsoll"
	"plimsoll/api"
)

// Limits of an image's texts, in bytes or entries. What is beyond them is cut or
// left out, and told.
const (
	maxName     = 1024
	maxWord     = 100
	maxText     = 4096
	maxWords    = 500 // of an entry point or a command
	maxLabels   = 500
	maxSteps    = 1000
	maxProblems = 1000
	maxStores   = 200
)

// records are what the console is told of a host's images.
type records struct {
	images   map[plimsoll.Digest]api.HostImage
	stores   []api.Store
	problems []api.Problem
}

// recordsOf turns a listing into one record for each image.
func recordsOf(l Listing) records {
	r := records{images: make(map[plimsoll.Digest]api.HostImage)}
	var left leftOut
	by := make(map[plimsoll.Digest][]Held)
	for _, h := range l.Images {
		_, err := plimsoll.ParseDigest(string(h.ID))
		switch {
		case err != nil:
			p := plimsoll.Problem{Code: plimsoll.ProblemCorruptStore, Detail: "An image has no ID."}
			if h.Problem != nil {
				p = *h.Problem
			}
			p.Path = cmp.Or(p.Path, h.Store)
			l.Problems = append(l.Problems, p)
		case len(h.Layers) > api.MaxImageLayers:
			left.note("images with more than %d layers", api.MaxImageLayers)
		case len(by) == api.MaxSyncImages && by[h.ID] == nil:
			left.note("images beyond %d", api.MaxSyncImages)
		default:
			by[h.ID] = append(by[h.ID], h)
		}
	}
	containers := 0
	for _, id := range slices.Sorted(maps.Keys(by)) {
		record := hostImage(by[id], &left)
		if room := api.MaxContainers - containers; len(record.Containers) > room {
			left.note("containers beyond %d", api.MaxContainers)
			record.Containers = record.Containers[:room]
		}
		containers += len(record.Containers)
		record.Hash = hashOf(record)
		r.images[id] = record
	}
	for _, s := range l.Stores {
		r.stores = append(r.stores, api.Store{Name: cut(s.Name, maxName), Images: s.Images})
	}
	r.stores = r.stores[:min(len(r.stores), maxStores)]
	for _, p := range append(l.Problems, left.problems()...) {
		r.problems = append(r.problems, wireProblem(p))
	}
	r.problems = r.problems[:min(len(r.problems), maxProblems)]
	return r
}

// leftOut counts what is not told, by its kind.
type leftOut struct{ kinds map[string]int }

func (l *leftOut) note(format string, args ...any) {
	if l.kinds == nil {
		l.kinds = make(map[string]int)
	}
	l.kinds[fmt.Sprintf(format, args...)]++
}

func (l *leftOut) problems() []plimsoll.Problem {
	var list []plimsoll.Problem
	for _, kind := range slices.Sorted(maps.Keys(l.kinds)) {
		list = append(list, plimsoll.Problem{Code: plimsoll.ProblemLimit, Count: l.kinds[kind],
			Detail: "The list of images leaves out " + kind + "."})
	}
	return list
}

// hostImage joins what the stores say of one image. Config, history and layers
// are those of a store that can be read, the system's before a user's.
func hostImage(held []Held, left *leftOut) api.HostImage {
	slices.SortStableFunc(held, func(a, b Held) int {
		return cmp.Or(compareBool(a.Problem != nil, b.Problem != nil), compareBool(a.Private, b.Private),
			strings.Compare(string(a.Engine), string(b.Engine)), strings.Compare(a.Store, b.Store))
	})
	best := held[0].Image
	record := api.HostImage{
		ID: best.ID, Created: best.Created, Size: max(0, best.Size),
		Platform: plimsoll.Platform{OS: cut(best.Platform.OS, maxWord), Architecture: cut(best.Platform.Architecture, maxWord), Variant: cut(best.Platform.Variant, maxWord)},
		Config: api.ImageConfig{
			User: cut(best.Config.User, maxName), WorkingDir: cut(best.Config.WorkingDir, maxText),
			Entrypoint: cutAll(best.Config.Entrypoint), Cmd: cutAll(best.Config.Cmd), Labels: labels(best.Config.Labels, left),
		},
		Layers: []api.HostLayer{},
	}
	for _, h := range best.History[:min(len(best.History), maxSteps)] {
		step := api.BuildStep{CreatedBy: cut(h.CreatedBy, maxText), Comment: cut(h.Comment, maxText), EmptyLayer: h.EmptyLayer}
		if !h.Created.IsZero() {
			step.Created = &h.Created
		}
		record.History = append(record.History, step)
	}
	for _, l := range best.Layers {
		if _, err := plimsoll.ParseDigest(string(l.DiffID)); err != nil {
			left.note("layers of images whose digests are not known")
			record.Layers = []api.HostLayer{}
			break
		}
		record.Layers = append(record.Layers, api.HostLayer{DiffID: l.DiffID, Size: l.Size, CreatedBy: cut(l.CreatedBy, maxText), Base: l.Base})
	}
	names, seen := 0, make(map[string]bool)
	for _, h := range held {
		for _, m := range h.Manifests {
			if _, err := plimsoll.ParseDigest(string(m)); err == nil {
				record.Manifests = append(record.Manifests, m)
			}
		}
		place := api.HostPlace{Engine: h.Engine, Store: cut(h.Store, maxName), Private: h.Private}
		if h.Problem != nil {
			p := wireProblem(*h.Problem)
			place.Problem = &p
		}
		for _, name := range h.Names {
			if len(name) > maxName || names == api.MaxNames {
				left.note("names longer than %d bytes or beyond %d of one image", maxName, api.MaxNames)
				continue
			}
			names++
			place.Names = append(place.Names, cut(name, maxName))
		}
		record.Places = append(record.Places, place)
		for _, c := range h.Containers {
			if seen[c.ID] || c.ID == "" {
				continue
			}
			seen[c.ID] = true
			record.Containers = append(record.Containers, api.HostContainer{
				ID: cut(c.ID, maxName), Name: cut(c.Name, maxName), State: cut(c.State, maxWord), Pod: cut(c.Pod, maxName),
				Running: c.State == "running",
			})
		}
	}
	slices.Sort(record.Manifests)
	record.Manifests = slices.Compact(record.Manifests)
	record.Manifests = record.Manifests[:min(len(record.Manifests), api.MaxNames)]
	slices.SortFunc(record.Containers, func(a, b api.HostContainer) int { return strings.Compare(a.ID, b.ID) })
	return record
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func cutAll(words []string) []string {
	var list []string
	for _, w := range words[:min(len(words), maxWords)] {
		list = append(list, cut(w, maxText))
	}
	return list
}

func labels(all map[string]string, left *leftOut) map[string]string {
	if len(all) == 0 {
		return nil
	}
	list := make(map[string]string, min(len(all), maxLabels))
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if len(list) == maxLabels || len(key) > maxName {
			left.note("labels of images beyond %d or with long keys", maxLabels)
			continue
		}
		list[cut(key, maxName)] = cut(all[key], maxText)
	}
	return list
}

func wireProblem(p plimsoll.Problem) api.Problem {
	return api.Problem{Code: p.Code, Path: cut(p.Path, maxText), Layer: p.Layer, Analyzer: cut(p.Analyzer, maxName), Detail: cut(p.Detail, maxText), Count: p.Count}
}

// hashOf returns the hash of a record: of its JSON, which is the same for the
// same record, with an empty Hash.
func hashOf(record api.HostImage) string {
	record.Hash = ""
	b, err := json.Marshal(record)
	if err != nil {
		return "" // a record has no values that JSON lacks
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
