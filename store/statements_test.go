package store

import (
	"fmt"
	"testing"
)

// Statements that connections keep are as good as new ones: while one is in use the
// same query gets another, after an error, after others pushed it out and after the
// schema changed.
func TestKeptStatements(t *testing.T) {
	s := testStore(t)
	execTest(t, s, "CREATE TABLE word (word TEXT NOT NULL UNIQUE)")
	count := func(query string, want int) {
		t.Helper()
		err := s.write(t.Context(), "count", func(x *tx) error {
			var n int
			if err := x.row(query).Scan(&n); err != nil {
				return err
			}
			if n != want {
				t.Errorf("%s: %d, want %d", query, n, want)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	for _, word := range []string{"a", "b"} {
		execTest(t, s, "INSERT INTO word VALUES (?)", word)
	}
	err := s.write(t.Context(), "insert twice", func(x *tx) error { return keep("a")(x) })
	if err == nil {
		t.Error("a word was there twice")
	}
	execTest(t, s, "INSERT INTO word (word) VALUES (?)", "c")

	const query = "SELECT word FROM word ORDER BY word"
	err = s.read(t.Context(), "read words", func(x *tx) error {
		var pairs []string
		outer, err := x.query(query)
		err = each(outer, err, func(scan func(...any) error) error {
			var one string
			if err := scan(&one); err != nil {
				return err
			}
			inner, err := x.query(query)
			return each(inner, err, func(scan func(...any) error) error {
				var other string
				err := scan(&other)
				pairs = append(pairs, one+other)
				return err
			})
		})
		if got := fmt.Sprint(pairs); got != "[aa ab ac ba bb bc ca cb cc]" {
			t.Errorf("pairs %s", got)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}

	for n := range maxKept / 30 {
		count(fmt.Sprintf("SELECT count(*) + %d FROM word", n), 3+n)
	}
	count("SELECT count(*) FROM word", 3)
	execTest(t, s, "ALTER TABLE word ADD COLUMN more TEXT NOT NULL DEFAULT 'x'")
	execTest(t, s, "INSERT INTO word (word) VALUES (?)", "d")
	count("SELECT count(*) FROM word", 4)
	execTest(t, s, "DROP TABLE word")
}
