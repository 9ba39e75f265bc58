package docker

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"plimsoll"
	"plimsoll/engine"
)

// pause is the least time between two hints of one stream.
const pause = 200 * time.Millisecond

// Watch calls changed when images or containers of the store may have changed,
// until ctx ends. The daemon's events tell; where none answers, the store's
// records are looked at. A lost stream of events counts as a change.
func (s *Store) Watch(ctx context.Context, changed func()) error {
	return engine.Follow(ctx, func(ctx context.Context) bool {
		socket := s.socket(ctx)
		if socket != "" {
			s.listen(ctx, socket, changed) // why it ended changes nothing
		}
		return socket != ""
	}, s.signature, changed)
}

// socket returns the socket of the daemon whose data root this is; empty when
// none answers.
func (s *Store) socket(ctx context.Context) string {
	places := sockets(s.host)
	for _, d := range s.host.Daemons("dockerd") {
		if path, ok := strings.CutPrefix(d.Flag("--host", "-H"), "unix://"); ok {
			places = append(places, d.Host.Path(path))
		}
	}
	for _, socket := range places {
		root := askRoot(ctx, socket)
		if root == "" {
			continue
		}
		if path, err := s.host.Resolve(root); err == nil && within(s.dir.Path(), path) {
			return socket
		}
	}
	return ""
}

// within says whether path is root or, for a daemon with user name spaces, a
// directory in it.
func within(path, root string) bool {
	return path == root || filepath.Dir(path) == root
}

// listen follows the daemon's events. What an event says does not matter, so it
// is not decoded: the list of images is the truth, and who listens at a socket
// is not always trusted.
func (s *Store) listen(ctx context.Context, socket string, changed func()) error {
	transport := transportTo(socket) // without a timeout: the daemon answers with the first event
	filters := url.QueryEscape(`{"type":["image","container"],"event":["pull","load","import","tag","untag","delete","prune","create","commit","start","die","destroy","rename","pause","unpause"]}`)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/events?filters="+filters, nil)
	if err != nil {
		return err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return plimsoll.Errorf(plimsoll.CodeUnavailable, "follow Docker's events", "the daemon answered %s", resp.Status)
	}
	changed() // what happened before the daemon listened to us
	buffer := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(buffer)
		if n > 0 {
			changed()
		}
		if errors.Is(err, io.EOF) {
			return plimsoll.Errorf(plimsoll.CodeUnavailable, "follow Docker's events", "the daemon ended the stream")
		}
		if err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// signature changes with the names, images and containers of the store.
func (s *Store) signature() string {
	at := func(name string) string { return filepath.Join(s.dir.Path(), name) }
	return engine.Signature(
		at(s.record("repositories.json")),
		at(s.record("imagedb/content/sha256")),
	) + engine.SignatureBelow(at("containers"))
}
