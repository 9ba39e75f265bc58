package store

import (
	"context"
	"io"

	"plimsoll"
	"plimsoll/api"
)

// Activate makes a generation the one that findings are judged by, and returns
// its number. All software then waits to be judged; Evaluate does it. Activating
// the active one again changes nothing.
func (s *Store) Activate(ctx context.Context, g plimsoll.Generation) (int64, error) {
	panic("todo S2")
}

// Evaluate judges all software that was not judged by the judge's generation,
// which must be the active one, and renews the counts that follow. It may be
// stopped at any point and called again; progress is told at most once a second.
func (s *Store) Evaluate(ctx context.Context, judge plimsoll.Judge, progress func(done, total int64)) error {
	panic("todo S2")
}

// CurrentGeneration returns the active generation; CodeNotFound when there is none.
func (s *Store) CurrentGeneration(ctx context.Context) (api.Generation, error) { panic("todo S2") }

// PendingSoftware counts software that waits to be judged.
func (s *Store) PendingSoftware(ctx context.Context) (int64, error) { panic("todo S2") }

// Generations lists what was active, newest first.
func (s *Store) Generations(ctx context.Context, l api.List) (api.Page[api.Generation], error) {
	panic("todo S2")
}

// Changes lists what a generation changed, within the scope.
func (s *Store) Changes(ctx context.Context, scope plimsoll.Scope, generation int64, kind string, l api.List) (api.Page[api.Change], error) {
	panic("todo S2")
}

// PutGeneration keeps the file of a generation for the other consoles, at most
// the two newest; GetGeneration writes it to w, CodeNotFound when it is not kept.
func (s *Store) PutGeneration(ctx context.Context, digest plimsoll.Digest, r io.Reader) error {
	panic("todo S2")
}

// GetGeneration: see PutGeneration.
func (s *Store) GetGeneration(ctx context.Context, digest plimsoll.Digest, w io.Writer) error {
	panic("todo S2")
}
