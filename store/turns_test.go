package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"plimsoll"
)

// turnsTest is a store with a table of words.
type turnsTest struct {
	*testing.T
	s       *Store
	release func()
	group   sync.WaitGroup
}

func newTurnsTest(t *testing.T) *turnsTest {
	s := testStore(t)
	execTest(t, s, "CREATE TABLE word (word TEXT NOT NULL UNIQUE, more BLOB)")
	return &turnsTest{T: t, s: s}
}

// hold has a large write go on until release.
func (y *turnsTest) hold() {
	begun, end := make(chan struct{}), make(chan struct{})
	y.group.Go(func() {
		y.s.writeFindings(context.Background(), "hold the turn", func(*tx) error {
			close(begun)
			<-end
			return nil
		})
	})
	<-begun
	y.release = func() { close(end) }
}

// waiting returns when so many wait.
func (y *turnsTest) waiting(small, large int) {
	y.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		q := &y.s.turns
		q.mu.Lock()
		there := len(q.small) == small && len(q.large) == large
		q.mu.Unlock()
		if there {
			return
		}
		if time.Now().After(deadline) {
			y.Fatal("they do not wait")
		}
	}
}

func (y *turnsTest) words() (list []string) {
	err := y.s.read(y.Context(), "read words", func(t *tx) error {
		rows, err := t.query("SELECT word FROM word ORDER BY word")
		return each(rows, err, func(scan func(...any) error) error {
			var word string
			err := scan(&word)
			list = append(list, word)
			return err
		})
	})
	if err != nil {
		y.Fatal(err)
	}
	return list
}

func keep(word string) func(*tx) error {
	return func(t *tx) error {
		_, err := t.exec("INSERT INTO word (word) VALUES (?)", word)
		return err
	}
}

// Small writes that wait share a transaction. One that fails, and one whose caller
// went away, take nobody along; what a write that failed had done is undone.
func TestSmallWritesShareATransaction(t *testing.T) {
	y := newTurnsTest(t)
	y.hold()
	wrong := errors.New("wrong")
	away, leave := context.WithCancel(t.Context())
	var mu sync.Mutex
	in := make(map[*sql.Tx]int)
	errs := make(map[string]error)
	for i := range 20 {
		word, ctx := fmt.Sprintf("word %02d", i), t.Context()
		if i == 7 {
			ctx = away
		}
		y.group.Go(func() {
			err := y.s.write(ctx, "keep a word", func(t *tx) error {
				mu.Lock()
				in[t.Tx]++
				mu.Unlock()
				if err := keep(word)(t); err != nil || i%5 != 0 {
					return err
				}
				return wrong
			})
			mu.Lock()
			defer mu.Unlock()
			errs[word] = err
		})
	}
	y.waiting(20, 0)
	leave()
	y.waiting(19, 0)
	y.release()
	y.group.Wait()
	if len(in) != 1 {
		t.Errorf("%d transactions, want one", len(in))
	}
	var kept []string
	for i := range 20 {
		word := fmt.Sprintf("word %02d", i)
		switch err := errs[word]; {
		case i%5 == 0 && !errors.Is(err, wrong), i == 7 && !errors.Is(err, context.Canceled), i%5 != 0 && i != 7 && err != nil:
			t.Errorf("%s: %v", word, err)
		case err == nil:
			kept = append(kept, word)
		}
	}
	if got := y.words(); !slices.Equal(got, kept) {
		t.Errorf("kept %q, told that %q were", got, kept)
	}
}

// When the disk is full, what there is room for is kept, and nobody is told that
// something was which was not.
func TestFullDiskInASharedTransaction(t *testing.T) {
	y := newTurnsTest(t)
	var pages int
	if err := y.s.writer.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := y.s.writer.ExecContext(t.Context(), fmt.Sprint("PRAGMA max_page_count = ", pages+300)); err != nil {
		t.Fatal(err)
	}
	y.hold()
	var mu sync.Mutex
	var kept []string
	for i := range 20 {
		word := fmt.Sprintf("word %02d", i)
		y.group.Go(func() {
			err := y.s.write(t.Context(), "keep a word", func(t *tx) error {
				size := 10
				if i%3 == 0 {
					size = 1_000_000 // there is room for one
				}
				_, err := t.exec("INSERT INTO word (word, more) VALUES (?, zeroblob(?))", word, size)
				return err
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				kept = append(kept, word)
			} else if plimsoll.CodeOf(err) != plimsoll.CodeLimit {
				t.Errorf("%s: %v", word, err)
			}
		})
	}
	y.waiting(20, 0)
	y.release()
	y.group.Wait()
	slices.Sort(kept)
	if got := y.words(); !slices.Equal(got, kept) || len(kept) < 13 || len(kept) == 20 {
		t.Errorf("kept %q, told that %q were", got, kept)
	}
}

// Small and large ones go by turns: neither waits for all of the others.
func TestTurnsAlternate(t *testing.T) {
	y := newTurnsTest(t)
	y.hold()
	var mu sync.Mutex
	var order []string
	note := func(what string) func(*tx) error {
		return func(*tx) error {
			mu.Lock()
			defer mu.Unlock()
			order = append(order, what)
			return nil
		}
	}
	for i := range 3 {
		y.group.Go(func() { y.s.writeFindings(t.Context(), "write much", note("large")) })
		y.waiting(0, i+1)
	}
	for i := range 2 {
		y.group.Go(func() { y.s.write(t.Context(), "write little", note("small")) })
		y.waiting(i+1, 3)
	}
	y.release()
	y.group.Wait()
	if want := []string{"small", "small", "large", "large", "large"}; !slices.Equal(order, want) {
		t.Errorf("order %q, want %q", order, want)
	}
}

// A write that panics is its caller's fault alone: the others happen, and nothing of its
// own does, also where each write is tried in its own transaction.
func TestPanicInASharedTransaction(t *testing.T) {
	for name, spoil := range map[string]func(*tx){"": func(*tx) {}, "which ends": func(t *tx) { t.Tx.Rollback() }} {
		t.Run(name, func(t *testing.T) {
			y := newTurnsTest(t)
			y.hold()
			errs := make([]error, 4)
			for i := range errs {
				y.group.Go(func() {
					defer func() {
						if fault, ok := recover().(error); ok {
							errs[i] = fault
						}
					}()
					errs[i] = y.s.write(t.Context(), "keep a word", func(t *tx) error {
						if err := keep(fmt.Sprint("word ", i))(t); err != nil || i != 1 {
							return err
						}
						spoil(t)
						panic("a fault of ours")
					})
				})
				y.waiting(i+1, 0)
			}
			y.release()
			y.group.Wait()
			for i, err := range errs {
				if (i == 1) != (err != nil) {
					t.Errorf("write %d: %v", i, err)
				}
			}
			if errs[1] != nil && !strings.Contains(errs[1].Error(), "a fault of ours") {
				t.Errorf("the panic was %v", errs[1])
			}
			if got := y.words(); !slices.Equal(got, []string{"word 0", "word 2", "word 3"}) {
				t.Errorf("kept %q", got)
			}
		})
	}
}

// When the commit of a shared transaction fails, each is tried in its own.
func TestCommitOfASharedTransactionFails(t *testing.T) {
	y := newTurnsTest(t)
	execTest(t, y.s, "CREATE TABLE letter (word TEXT REFERENCES word (word) DEFERRABLE INITIALLY DEFERRED)")
	y.hold()
	errs := make([]error, 3)
	for i := range errs {
		y.group.Go(func() {
			errs[i] = y.s.write(t.Context(), "keep a word", func(t *tx) error {
				if i == 1 {
					_, err := t.exec("INSERT INTO letter VALUES ('none')")
					return err
				}
				return keep(fmt.Sprint("word ", i))(t)
			})
		})
		y.waiting(i+1, 0)
	}
	y.release()
	y.group.Wait()
	if errs[0] != nil || errs[1] == nil || errs[2] != nil {
		t.Errorf("errors %v, want one of the second", errs)
	}
	if got := y.words(); !slices.Equal(got, []string{"word 0", "word 2"}) {
		t.Errorf("kept %q", got)
	}
}
