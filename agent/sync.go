package agent

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/klauspost/compress/zstd"

	"plimsoll"
	"plimsoll/api"
)

// syncState is what the console was told, kept on disk: the hash of each image
// that it acknowledged.
type syncState struct {
	Seq   int64                      `json:"seq"`
	Acked map[plimsoll.Digest]string `json:"acked"`
	Host  string                     `json:"host"` // hash of the stores and problems

	path   string
	mu     sync.Mutex
	layers map[plimsoll.Digest]int // of each image in the last list
}

const maxSyncState = 16 << 20 // bytes on disk

func (s *syncState) load(path string) {
	if b, err := readFile(path, maxSyncState); err == nil && json.Unmarshal(b, s) != nil {
		s.Seq, s.Acked, s.Host = 0, nil, "" // damaged: tell everything anew
	}
	s.path = path
}

func (s *syncState) save() error {
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return replaceFile(s.path, b)
}

func (s *syncState) layersOf(id plimsoll.Digest) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.layers[id]
}

// syncRequest asks for a full list; requests are the console's.
type syncRequest struct{ requests []int64 }

// Bounds of one message. A list that is larger goes in several.
const (
	syncBytes  = api.MaxSync / 2
	syncRounds = 4 // how often the console may want more of one full list
)

// syncs tells the console what is here: at the start, now and then and on
// request as a full list, after events as far as it changed.
func (a *Agent) syncs(ctx context.Context) error {
	full := &syncRequest{}
	next := a.nextFull()
	for failures := 0; ; {
		err := a.syncOnce(ctx, full)
		if fatal := a.refused(ctx, err); fatal != nil {
			return fatal
		}
		switch {
		case err != nil:
			failures++
			if ctx.Err() == nil {
				a.Log.Warn("images not synced", "error", err)
			}
			if err := wait(ctx, a.backoff(failures, err)); err != nil {
				return err
			}
			continue
		case full != nil:
			next = a.nextFull()
		}
		failures, full = 0, nil

		timer := time.NewTimer(time.Until(next))
		select {
		case <-ctx.Done():
		case <-timer.C:
			full = &syncRequest{}
		case <-a.changes:
			// The interval may be shorter now.
			if sooner := a.nextFull(); sooner.Before(next) {
				next = sooner
			}
		case request := <-a.syncNow:
			full = &request
		case <-a.events:
			if wait(ctx, a.pace.settle) == nil {
				select { // what came meanwhile is in the list
				case <-a.events:
				default:
				}
			}
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// nextFull is when the next full list is due: hosts that started together do not
// stay together.
func (a *Agent) nextFull() time.Time {
	every := time.Duration(a.settings.Load().SyncHours) * a.pace.hour
	return time.Now().Add(every*9/10 + rand.N(every/5+1))
}

// syncOnce lists the images and tells the console what changed, or with full
// everything.
func (a *Agent) syncOnce(ctx context.Context, full *syncRequest) error {
	listing, err := a.Stores.List(ctx)
	if err != nil {
		return err
	}
	r := recordsOf(listing)
	s := &a.state
	s.mu.Lock()
	s.layers = make(map[plimsoll.Digest]int, len(r.images))
	for id, record := range r.images {
		s.layers[id] = len(record.Layers)
	}
	s.mu.Unlock()

	var changed, gone, pulled []plimsoll.Digest
	for _, id := range slices.Sorted(maps.Keys(r.images)) {
		if _, known := s.Acked[id]; !known && s.Acked != nil {
			pulled = append(pulled, id)
		}
		if s.Acked[id] != r.images[id].Hash {
			changed = append(changed, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.Acked)) {
		if _, here := r.images[id]; !here {
			gone = append(gone, id)
		}
	}
	host := hashOfHost(r)
	if full == nil && len(changed)+len(gone) == 0 && host == s.Host {
		return nil
	}
	if host != s.Host {
		a.tell(r)
	}
	facts := a.facts
	if full != nil {
		facts = a.Facts(a.Version, a.facts.Analyzers) // addresses come and go
	}
	m := api.Sync{At: a.Now(), Host: facts.HostFacts, Stores: r.stores, Problems: r.problems, Pulled: pulled}
	if full == nil {
		m.Gone = gone
	} else {
		m.Full, m.Requests = true, full.requests
		for _, id := range slices.Sorted(maps.Keys(r.images)) {
			m.Known = append(m.Known, api.ImageHash{ID: id, Hash: r.images[id].Hash})
		}
	}
	want, err := a.sendSync(ctx, m, r, changed)
	if err != nil {
		return err
	}
	for range syncRounds {
		want = slices.DeleteFunc(want, func(id plimsoll.Digest) bool { _, here := r.images[id]; return !here })
		if len(want) == 0 {
			break
		}
		again := m
		again.Full, again.Known, again.Gone, again.Requests, again.Pulled = false, nil, nil, nil, nil
		if want, err = a.sendSync(ctx, again, r, want); err != nil {
			return err
		}
	}
	acked := make(map[plimsoll.Digest]string, len(r.images))
	for id, record := range r.images {
		acked[id] = record.Hash
	}
	for _, id := range want {
		delete(acked, id) // it goes with the next list
	}
	s.Acked, s.Host = acked, host
	if err := s.save(); err != nil {
		a.Log.Warn("what the console knows is not kept", "error", err)
	}
	return nil
}

// tell logs what can and cannot be read on this host.
func (a *Agent) tell(r records) {
	for _, s := range r.stores {
		a.Log.Info("image store", "store", s.Name, "images", s.Images)
	}
	for _, p := range r.problems {
		a.Log.Warn("not everything can be read", "code", p.Code, "path", p.Path, "detail", p.Detail)
	}
}

func hashOfHost(r records) string {
	b, err := json.Marshal([]any{r.stores, r.problems})
	if err != nil {
		return ""
	}
	return string(plimsoll.DigestOf(b))
}

// sendSync sends m with the records of images, in as many messages as they
// need, and returns what the console wants beyond. The first message has all
// that m says; the console answers requests when it has that.
func (a *Agent) sendSync(ctx context.Context, m api.Sync, r records, images []plimsoll.Digest) (want []plimsoll.Digest, err error) {
	for first := true; first || len(images) > 0; first = false {
		size := len(m.Known) * (2*72 + 32) // about, in bytes
		m.Images = nil
		for len(images) > 0 {
			record := r.images[images[0]]
			b, err := json.Marshal(record)
			if err != nil {
				return nil, err
			}
			if size += len(b); size > syncBytes && len(m.Images) > 0 {
				break
			}
			m.Images = append(m.Images, record)
			images = images[1:]
		}
		more, err := a.postSync(ctx, m)
		if err != nil {
			return nil, err
		}
		if m.Full { // it names what it lacks of Known: what is still to come
			want, images = more, nil
		} else {
			want = append(want, more...)
		}
		m.Full, m.Known, m.Gone, m.Requests, m.Pulled = false, nil, nil, nil, nil
	}
	return want, nil
}

// postSync sends one message. Its number is on disk before, so that none is used
// twice.
func (a *Agent) postSync(ctx context.Context, m api.Sync) ([]plimsoll.Digest, error) {
	a.state.Seq = max(a.state.Seq+1, a.Now().UnixMilli()) // grows even if the file is lost
	m.Seq = a.state.Seq
	if err := a.state.save(); err != nil {
		a.Log.Warn("what the console knows is not kept", "error", err)
	}
	body, err := pack(m)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var answer api.SyncAnswer
	_, err = a.client.Send(ctx, http.MethodPost, api.AgentPath+"/sync", nil, packed(), body, &answer)
	return answer.Want, err
}

// pack encodes v as JSON and compresses it.
func pack(v any) ([]byte, error) {
	body, _, err := packSized(v)
	return body, err
}

// packSized also returns the bytes of the JSON.
func packSized(v any) (body []byte, size int, err error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, 0, plimsoll.Errorf(plimsoll.CodeInternal, "encode for the console", "%w", err)
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, 0, err
	}
	defer w.Close()
	return w.EncodeAll(plain, nil), len(plain), nil
}

func packed() http.Header {
	return http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"zstd"}}
}
