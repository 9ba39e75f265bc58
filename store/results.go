package store

import (
	"context"

	"plimsoll"
	"plimsoll/api"
)

// ApplyResult stores what an agent read of an image and judges the packages that
// the fleet did not know. It ends the work on the image and the task items that
// wait for it. A failed result closes no finding and replaces no inventory; a
// partial one replaces only a partial one. known: the report was applied before.
//
// The error has CodeInvalid for a result that does not fit the image (layers,
// limits), CodeNotFound when the host does not hold the image or its lease was
// never given to it: a host speaks only for what it was asked.
func (s *Store) ApplyResult(ctx context.Context, hostID int64, r api.ScanResult, judge plimsoll.Judge) (known bool, err error) {
	panic("todo S2")
}

// KeepFacts keeps the facts of a layer that the host has leased work on. key is
// the agent's, diff and analyzers say what for.
func (s *Store) KeepFacts(ctx context.Context, hostID int64, key string, diff plimsoll.Digest, analyzers string, data []byte) error {
	panic("todo S2")
}

// Facts returns kept facts; CodeNotFound when there are none, or when the host
// has no lease on an image with the layer.
func (s *Store) Facts(ctx context.Context, hostID int64, key string) ([]byte, error) {
	panic("todo S2")
}
