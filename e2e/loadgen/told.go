package loadgen

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/inventory"
	"plimsoll/local"
)

// What a host of a fleet tells, for tests of a console's parts that need no agent.

// Inventory returns what a scan finds in image i.
func (f Fleet) Inventory(i int) *plimsoll.Inventory {
	r, _ := stores{engine{f, i % f.Hosts}}.Read(context.Background(), f.ImageID(i), time.Minute, func(bool) *inventory.Scanner { return local.NewScanner(nil, nil) })
	if r.Status != plimsoll.ScanComplete {
		panic(fmt.Sprintf("image %d: %s %+v %+v", i, r.Status, r.Problem, r.Problems)) // its layers are ours
	}
	return &r.Inventory
}

// Record returns image i as host h reports it.
func (f Fleet) Record(h, i int) api.HostImage {
	img := f.Image(h, i)
	rec := api.HostImage{
		ID: img.ID, Platform: img.Platform, Created: img.Created, Size: img.Size,
		Config: api.ImageConfig{User: img.Config.User, WorkingDir: img.Config.WorkingDir, Entrypoint: img.Config.Entrypoint, Labels: img.Config.Labels},
		Places: []api.HostPlace{{Engine: img.Engine, Store: img.Store, Names: img.Names}},
	}
	for k, l := range f.layers(i) {
		rec.Layers = append(rec.Layers, api.HostLayer{DiffID: f.diffID(l), Size: img.Layers[k].Size, CreatedBy: l.step(), Base: l.kind != "own"})
	}
	for _, c := range img.Containers {
		rec.Containers = append(rec.Containers, api.HostContainer{ID: c.ID, Name: c.Name, State: c.State, Running: c.State == "running"})
	}
	text, err := json.Marshal(rec)
	if err != nil {
		panic(err) // the record holds nothing that JSON cannot say
	}
	rec.Hash = plimsoll.DigestOf(text).Hex()
	return rec
}

// Host returns what host h says of itself.
func (f Fleet) Host(h int) api.HostFacts {
	return f.Facts(h, "loadgen", local.NewScanner(nil, nil).AnalyzerSet()).HostFacts
}

// Sync returns the full list of host h.
func (f Fleet) Sync(h int, seq int64, now time.Time) api.Sync {
	s := api.Sync{Full: true, At: now, Host: f.Host(h), Seq: seq}
	for _, i := range f.Images(h) {
		rec := f.Record(h, i)
		s.Known = append(s.Known, api.ImageHash{ID: rec.ID, Hash: rec.Hash})
		s.Images = append(s.Images, rec)
	}
	s.Stores = []api.Store{{Name: "docker " + root, Images: len(s.Known)}}
	return s
}
