package containerd

import (
	"context"
	"errors"
	"io"
	"path/filepath"

	eventsapi "github.com/containerd/containerd/api/services/events/v1"
	"google.golang.org/grpc"

	"plimsoll"
	"plimsoll/engine"
)

// maxEvent bounds one event, in bytes.
const maxEvent = 1 << 20

// wanted are the topics that a list of images and containers depends on.
var wanted = []string{
	`topic~="/images/"`, `topic~="/containers/"`, `topic~="/namespaces/"`,
	`topic=="/tasks/start"`, `topic=="/tasks/exit"`, `topic=="/tasks/paused"`, `topic=="/tasks/resumed"`,
}

// Watch calls changed when images or containers of the store may have changed,
// until ctx ends. The daemon's events tell; where none answers, its metadata
// database is looked at. Events come from all namespaces, so that of the stores
// of one daemon only one listens. A lost stream of events counts as a change.
func (s *Store) Watch(ctx context.Context, changed func()) error {
	if !s.watch.TryLock() { // another store of the daemon listens
		<-ctx.Done()
		return ctx.Err()
	}
	defer s.watch.Unlock()
	return engine.Follow(ctx, func(ctx context.Context) bool {
		if s.conn != nil {
			s.listen(ctx, changed) // why it ended changes nothing
		}
		return s.conn != nil
	}, s.signature, changed)
}

// listen follows the daemon's events. What one says does not matter: the list of
// images is the truth.
func (v *server) listen(ctx context.Context, changed func()) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := eventsapi.NewEventsClient(v.conn).Subscribe(ctx,
		&eventsapi.SubscribeRequest{Filters: wanted}, grpc.MaxCallRecvMsgSize(maxEvent))
	if err != nil {
		return err
	}
	changed() // what happened before the daemon listened to us
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			return plimsoll.Errorf(plimsoll.CodeUnavailable, "follow containerd's events", "the daemon ended the stream")
		} else if err != nil {
			return err
		}
		changed()
	}
}

// signature changes with the metadata database, which holds images, containers
// and namespaces.
func (v *server) signature() string {
	return engine.Signature(filepath.Join(v.root, metaDB))
}
