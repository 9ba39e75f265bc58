package engine

import (
	"context"
	"fmt"
	"os"
	"time"
)

// PollInterval is how often a store without a stream of events is looked at.
const PollInterval = 2 * time.Second

// maxSigned bounds the entries of one directory that Signature looks at.
const maxSigned = 4096

// askInterval is how long a store is polled before its daemon is asked again.
const askInterval = 30 * time.Second

// Poll calls changed whenever the result of signature differs from the last one,
// until ctx ends. It is for stores that no daemon speaks for.
func Poll(ctx context.Context, signature func() string, changed func()) error {
	poll(ctx, signature(), signature, changed)
	return ctx.Err()
}

// poll is Poll with the signature that was seen last, and returns the one that it saw
// last itself.
func poll(ctx context.Context, last string, signature func() string, changed func()) string {
	tick := time.NewTicker(PollInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return last
		case <-tick.C:
		}
		if now := signature(); now != last {
			last = now
			changed()
		}
	}
}

// Follow calls changed when images or containers of a store may have changed, until
// ctx ends. Listen follows the events of the store's daemon as long as there are any,
// and says whether it found one; while there is none, the store is polled. A lost
// stream of events counts as a change.
func Follow(ctx context.Context, listen func(ctx context.Context) bool, signature func() string, changed func()) error {
	last := signature()
	for {
		found := listen(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if found {
			last = signature()
			changed()
		}
		part, cancel := context.WithTimeout(ctx, askInterval)
		last = poll(part, last, signature, changed) // what changes while the daemon is asked counts, too
		cancel()
	}
}

// Signature tells the states of records apart by their size and time of change,
// without reading them. Engines replace their records, so a change shows.
func Signature(paths ...string) string {
	var b []byte
	for _, path := range paths {
		if info, err := os.Lstat(path); err == nil {
			b = fmt.Appendf(b, "%d %d\n", info.Size(), info.ModTime().UnixNano())
		} else {
			b = append(b, "-\n"...)
		}
	}
	return string(b)
}

// SignatureBelow is Signature of a directory and of everything directly in it.
func SignatureBelow(dir string) string {
	all := Signature(dir)
	f, err := os.Open(dir)
	if err != nil {
		return all
	}
	defer f.Close()
	entries, _ := f.ReadDir(maxSigned) // in the directory's own order, which is stable while it does not change
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			all += fmt.Sprintf("%d\n", info.ModTime().UnixNano())
		}
	}
	return all
}
