package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// channel is the PostgreSQL channel over which consoles tell each other that
// something changed.
const channel = "plimsoll"

// bell wakes those who wait for a topic, in this process and, on PostgreSQL, in
// the other consoles. Rings are hints: waiters look again after a while anyway.
type bell struct {
	mu      sync.Mutex
	waiters map[string]chan struct{}
	stop    context.CancelFunc
	done    chan struct{}
}

func (s *Store) newBell(ctx context.Context, dsn string) *bell {
	b := &bell{waiters: make(map[string]chan struct{}), done: make(chan struct{})}
	if s.dialect != postgres {
		close(b.done)
		b.stop = func() {}
		return b
	}
	listen, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.stop = stop
	go func() {
		defer close(b.done)
		for listen.Err() == nil {
			if err := b.listen(listen, dsn); err != nil && listen.Err() == nil {
				s.log.Warn("not told of other consoles' changes; trying again", "error", redact(err))
				select {
				case <-listen.Done():
				case <-time.After(2 * time.Second):
				}
			}
		}
	}()
	return b
}

func (b *bell) listen(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		b.ring(n.Payload)
	}
}

func (b *bell) close() {
	b.stop()
	<-b.done
}

func (b *bell) ring(topic string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c, ok := b.waiters[topic]; ok {
		close(c)
		delete(b.waiters, topic)
	}
}

// Topics that are rung.
const (
	TopicWork       = "work"       // there may be work for any agent; see also HostWork
	TopicFleet      = "fleet"      // an image or container of a host came, went or changed, or a host did
	TopicTasks      = "tasks"      // a task or one of its items changed
	TopicDecisions  = "decisions"  // somebody decided, or a decision has ended
	TopicGeneration = "generation" // another generation of advisories is active, or an evaluation ended
	TopicJobs       = "jobs"       // a background job is wanted
)

// HostWork is the topic of one host: there may be work for its agent. A bell for
// all would have a thousand agents look whenever one has done something.
func HostWork(hostID int64) string { return fmt.Sprintf("%s %d", TopicWork, hostID) }

// Ring tells everybody who waits for topic, in every console.
func (s *Store) Ring(ctx context.Context, topic string) {
	if s.dialect == postgres {
		// Our own listener hears it too.
		if _, err := s.writer.ExecContext(ctx, "SELECT pg_notify($1, $2)", channel, topic); err == nil {
			return
		}
	}
	s.bell.ring(topic)
}

// Wait returns a channel that is closed at the next ring of topic. Take it
// before looking at the state that is waited for.
func (s *Store) Wait(topic string) <-chan struct{} {
	s.bell.mu.Lock()
	defer s.bell.mu.Unlock()
	c, ok := s.bell.waiters[topic]
	if !ok {
		c = make(chan struct{})
		s.bell.waiters[topic] = c
	}
	return c
}
