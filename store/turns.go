package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"plimsoll"
)

// turns orders those who write to SQLite, which takes one writer at a time: in the
// order in which they came, small writes and large ones by turns. Small ones that
// wait at the same time share a transaction, each within a savepoint: beginning,
// ending and syncing are most of what they cost. So a heartbeat waits for one large
// write at most, however many results of scans wait.
type turns struct {
	mu    sync.Mutex
	busy  bool
	small []*waiter
	large []*waiter
	last  bool // the last turn was that of a large one
}

// waiter is somebody who waits for a turn.
type waiter struct {
	ctx   context.Context
	f     func(*tx) error
	err   error
	fault error // what f panicked with, and where
	// turn tells it whose writes it has to carry out, its own among them; nobody's
	// when another one has done so.
	turn chan []*waiter
}

// maxShared bounds the small writes of one transaction: they take a tenth of a second.
const maxShared = 500

var errFault = plimsoll.Errorf(plimsoll.CodeInternal, "write", "a fault of ours")

// inTurn runs f in a transaction when it is its turn.
func (s *Store) inTurn(ctx context.Context, large bool, f func(*tx) error) error {
	w := &waiter{ctx: ctx, f: f, err: errFault, turn: make(chan []*waiter, 1)}
	s.turns.wait(w, large)
	var group []*waiter
	select {
	case group = <-w.turn:
	case <-ctx.Done():
		if s.turns.leave(w) {
			return ctx.Err()
		}
		group = <-w.turn
	}
	if len(group) > 0 {
		defer func() {
			s.turns.next()
			for _, other := range group {
				if other != w {
					other.turn <- nil
				}
			}
		}()
		s.carryOut(group)
	}
	if w.fault != nil {
		panic(w.fault)
	}
	return w.err
}

func (q *turns) wait(w *waiter, large bool) {
	q.mu.Lock()
	if large {
		q.large = append(q.large, w)
	} else {
		q.small = append(q.small, w)
	}
	free := !q.busy
	q.busy = true
	q.mu.Unlock()
	if free {
		q.next()
	}
}

// leave takes w out, unless its turn has come.
func (q *turns) leave(w *waiter) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, list := range []*[]*waiter{&q.small, &q.large} {
		if i := slices.Index(*list, w); i >= 0 {
			*list = slices.Delete(*list, i, i+1)
			return true
		}
	}
	return false
}

// next gives the turn to those who are first; nobody else has it.
func (q *turns) next() {
	q.mu.Lock()
	defer q.mu.Unlock()
	list, most := &q.large, 1
	if len(q.small) > 0 && (q.last || len(q.large) == 0) {
		list, most = &q.small, maxShared
	}
	group := slices.Clone((*list)[:min(most, len(*list))])
	*list = slices.Delete(*list, 0, len(group))
	q.busy, q.last = len(group) > 0, list == &q.large
	if q.busy {
		group[0].turn <- group
	}
}

// carryOut runs the writes of a group in one transaction and leaves each its error; each
// in its own, when that one fails: a full disk, for one, ends it.
func (s *Store) carryOut(group []*waiter) {
	if len(group) > 1 {
		ctx := context.Background() // nobody who goes away takes the others' writes along
		sqlTx, err := s.writer.BeginTx(ctx, nil)
		if err != nil {
			for _, w := range group {
				w.err = err
			}
			return
		}
		defer sqlTx.Rollback()
		if errs, err := s.share(sqlTx, group); err == nil {
			for i, w := range group {
				w.err = errs[i]
			}
			return
		}
		sqlTx.Rollback()
	}
	for _, w := range group {
		w.err = s.alone(w.ctx, 0, w.run)
	}
}

// share runs the writes of a group in a transaction and returns the error of each.
func (s *Store) share(sqlTx *sql.Tx, group []*waiter) (errs []error, err error) {
	errs = make([]error, len(group))
	for i, w := range group {
		if errs[i] = w.ctx.Err(); errs[i] != nil {
			continue
		}
		t := &tx{Tx: sqlTx, s: s, ctx: context.WithoutCancel(w.ctx), now: s.now().UnixMilli()}
		if errs[i], err = t.within(w.run); err != nil {
			return nil, err
		}
	}
	return errs, sqlTx.Commit()
}

// run is f, of which a panic is kept for whoever asked for it.
func (w *waiter) run(t *tx) (err error) {
	defer func() {
		if fault := recover(); fault != nil {
			w.fault, err = fmt.Errorf("%v\n%s", fault, debug.Stack()), errFault
		}
	}()
	w.fault = nil
	return w.f(t)
}

// within runs f so that it happens whole or not at all, whatever becomes of the others
// in the transaction. err says that the transaction is over.
func (t *tx) within(f func(*tx) error) (own, err error) {
	if _, err := t.exec("SAVEPOINT one"); err != nil {
		return nil, err
	}
	if own = f(t); own != nil {
		if _, err := t.exec("ROLLBACK TO one"); err != nil {
			return nil, errors.Join(own, err)
		}
	}
	_, err = t.exec("RELEASE one")
	return own, err
}
