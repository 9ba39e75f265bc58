package server

import (
	"context"
	"sync"

	"plimsoll"
	"plimsoll/match"
	"plimsoll/vulndb"
)

// judge answers by one generation of advisories, while somebody uses it.
type judge struct {
	db    *vulndb.DB
	users int // the holder counts as one
}

// Generation describes the advisories.
func (j *judge) Generation() plimsoll.Generation { return j.db.Generation() }

// Judge judges packages one by one.
func (j *judge) Judge(ctx context.Context, system plimsoll.OS, packages []plimsoll.Package) ([]plimsoll.Verdict, error) {
	return match.Judge(ctx, j.db, system, packages, j.options())
}

// Why says why a reason of before no longer holds.
func (j *judge) Why(_ context.Context, _ plimsoll.OS, p plimsoll.Package, was []plimsoll.Reason) string {
	return match.Why(j.db, p, was)
}

func (j *judge) options() match.Options { return match.Options{Now: j.db.Generation().Built} }

// judges hold the judge of now. A replaced one is closed when its last user is
// done.
type judges struct {
	mu  sync.Mutex
	now *judge
}

// acquire returns the judge of now, nil for none; release it after use.
func (h *judges) acquire() (j *judge, release func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now == nil {
		return nil, func() {}
	}
	j = h.now
	j.users++
	return j, sync.OnceFunc(func() { h.release(j) })
}

func (h *judges) release(j *judge) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if j.users--; j.users == 0 {
		j.db.Close()
	}
}

// swap makes db the generation that judges; nil for none.
func (h *judges) swap(db *vulndb.DB) {
	h.mu.Lock()
	before := h.now
	h.now = nil
	if db != nil {
		h.now = &judge{db: db, users: 1}
	}
	h.mu.Unlock()
	if before != nil {
		h.release(before)
	}
}

func (h *judges) close() { h.swap(nil) }

// digest is the generation that judges, "" for none.
func (h *judges) digest() plimsoll.Digest {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now == nil {
		return ""
	}
	return h.now.db.Generation().ID
}

func noAdvisories() error {
	return &plimsoll.Error{Code: plimsoll.CodeNotFound, Op: "judge", Err: errNoAdvisories,
		Hint: "fetch advisories with POST /api/v1/database/update, or import them"}
}
