package store

import (
	"context"
	"sync"

	"plimsoll"
)

// delivery is a result on its way into the store, and what became of it.
type delivery struct {
	hostID int64
	*reading
	image   int64
	state   plimsoll.TaskState
	changed bool // the image has another inventory
	known   bool // it was applied before
	freed   bool // other images waited for layers of its image
	err     error
	applied bool
}

// ingest lets results that wait at the same time share a transaction: counts,
// pages and the sync of the disk are most of what a result costs, and those of a
// group are paid once.
type ingest struct {
	turn    sync.Mutex // of the caller that applies a group, its own result or not
	mu      sync.Mutex // guards waiting
	waiting []*delivery
}

// maxGroup bounds the results of one transaction, so that others who write need
// not wait long.
const maxGroup = 32

// deliver applies a result, alone or with others that wait; see delivery.
func (s *Store) deliver(ctx context.Context, hostID int64, in *reading) (known, freed bool, err error) {
	const op = "store a result"
	d := &delivery{hostID: hostID, reading: in, err: plimsoll.Errorf(plimsoll.CodeInternal, op, "whoever was to apply it gave up")}
	q := &s.ingest
	q.mu.Lock()
	q.waiting = append(q.waiting, d)
	q.mu.Unlock()
	q.turn.Lock()
	defer q.turn.Unlock()
	for !d.applied {
		q.mu.Lock()
		group := q.waiting[:min(len(q.waiting), maxGroup)]
		q.waiting = q.waiting[len(group):]
		q.mu.Unlock()
		for _, d := range group {
			d.applied = true
		}
		// The others' results must not go with this caller.
		s.applyGroup(context.WithoutCancel(ctx), op, group)
	}
	return d.known, d.freed, d.err
}

// applyGroup applies results in one transaction, or each in its own when one of
// them cannot be applied.
func (s *Store) applyGroup(ctx context.Context, op string, group []*delivery) {
	err := s.writeFindings(ctx, op, func(t *tx) error {
		var changed []int64 // images that have another inventory now, and need new counts
		for _, d := range group {
			if err := t.apply(d); err != nil {
				return err
			}
			if d.changed {
				changed = append(changed, d.image)
			}
		}
		if err := t.renewFindings(changed, nil); err != nil {
			return err
		}
		// Last, because the whole fleet's work waits from here on.
		for _, d := range group {
			if err := t.finish(d); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && len(group) > 1 {
		for i := range group {
			s.applyGroup(ctx, op, group[i:i+1])
		}
		return
	}
	for _, d := range group {
		d.err = err
	}
}

// apply stores a result.
func (t *tx) apply(d *delivery) (err error) {
	d.changed = false
	if d.known, err = t.reported(d.hostID, d.result.Report); err != nil || d.known {
		return err
	}
	if d.image, err = t.asked(d.hostID, d.result); err != nil {
		return err
	}
	d.state, d.changed, err = t.storeResult(d.hostID, d.image, d.reading)
	return err
}

// finish ends the work on the image of a result that was applied.
func (t *tx) finish(d *delivery) (err error) {
	if d.known {
		return nil
	}
	if d.freed, err = t.blocksOthers(d.image); err != nil {
		return err
	}
	code, detail := reasonOf(d.result)
	return t.finishWork(d.image, d.hostID, d.state, code, detail)
}

// renewFindings computes anew what follows from the inventories of images.
func (t *tx) renewFindings(images []int64, known *countedCache) error {
	if len(images) == 0 {
		return nil
	}
	if err := t.applyDecisions(images); err != nil {
		return err
	}
	return t.recount(images, known)
}

// softwareCache remembers the software of the fleet, so that results with the
// packages that everybody has need not look them up. A row never changes what it
// says; one that was removed breaks a foreign key where it is used.
type softwareCache struct {
	mu    sync.Mutex
	byKey map[string]knownSoftware
}

// maxCachedSoftware bounds the cache: some 30 MiB.
const maxCachedSoftware = 100_000

// get returns what is remembered of the keys, and those that are not.
func (c *softwareCache) get(keys []string) (found map[string]knownSoftware, missing []string) {
	found = make(map[string]knownSoftware, len(keys))
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		if k, ok := c.byKey[key]; ok {
			found[key] = k
		} else {
			missing = append(missing, key)
		}
	}
	return found, missing
}

// add remembers software that was read in a transaction of its own.
func (c *softwareCache) add(found map[string]knownSoftware) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey == nil {
		c.byKey = make(map[string]knownSoftware)
	}
	for key, k := range found {
		c.byKey[key] = k
	}
	for key := range c.byKey { // any will do: what is popular comes back
		if len(c.byKey) <= maxCachedSoftware {
			break
		}
		delete(c.byKey, key)
	}
}

func (c *softwareCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.byKey)
}
