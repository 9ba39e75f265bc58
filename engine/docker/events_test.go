package docker

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"

	"plimsoll/engine"
)

// A daemon's events are followed as long as it sends them; when the stream is
// lost, that is told as a change, and the store is polled meanwhile.
func TestWatchFollowsTheDaemonOfItsOwnRoot(t *testing.T) {
	root := t.TempDir()
	dir, err := engine.OpenDir(root)
	if err != nil {
		t.Fatal(err)
	}
	s := &Store{dir: dir, driver: "overlay2"}
	defer s.Close()

	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Skip(err)
	}
	send, told := make(chan bool), make(chan struct{}, 16)
	var answered atomic.Value
	answered.Store(root)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/info" {
			fmt.Fprintf(w, `{"DockerRootDir":%q}`, answered.Load())
			return
		}
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		for more := range send {
			if !more {
				return
			}
			fmt.Fprintln(w, `{"Type":"image","Action":"pull"}`)
			w.(http.Flusher).Flush()
		}
	})}
	go srv.Serve(l)
	defer srv.Close()
	t.Setenv("DOCKER_HOST", "unix://"+socket)

	if got := s.socket(t.Context()); got != socket {
		t.Fatalf("the daemon's socket is %q", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Watch(ctx, func() { told <- struct{}{} }) }()
	<-told // it listens
	send <- true
	<-told
	send <- false
	<-told // the stream is lost
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Errorf("ended with %v", err)
	}
	answered.Store("/somewhere/else")
	if got := s.socket(t.Context()); got == socket {
		t.Error("the daemon of another data root is followed")
	}
}
