// Package vulndb reads and writes one immutable generation of advisories.
package vulndb

import (
	"context"
	"errors"

	"plimsoll"
)

var errTodo = errors.New("not there yet")

// DB is an open generation. It is safe for concurrent use.
type DB struct{}

// Open opens the generation at path. The error has CodeNotFound when there is
// none and CodeCorrupt when it is damaged.
func Open(path string) (*DB, error) { return nil, errTodo }

// OpenCurrent opens the active generation of the directory dir.
func OpenCurrent(dir string) (*DB, error) { return nil, errTodo }

// Close releases the file.
func (db *DB) Close() error { return nil }

// Generation describes the open generation.
func (db *DB) Generation() plimsoll.Generation { return plimsoll.Generation{} }

// Affected returns all records about a package in a fixed order, nil when there
// is none. The name must be in the form of NormalizeName. The result is shared
// and must not be changed.
func (db *DB) Affected(ecosystem, name string) ([]plimsoll.Affected, error) { return nil, errTodo }

// Ecosystems returns the ecosystems that have records, sorted.
func (db *DB) Ecosystems() []string { return nil }

// Vulnerability returns the merged view of a flaw by its canonical or any other
// ID. The error has CodeNotFound when no record is about it.
func (db *DB) Vulnerability(id string) (plimsoll.Vulnerability, error) {
	return plimsoll.Vulnerability{}, errTodo
}

// Advisory returns one published record, withdrawn ones too. The error has
// CodeNotFound when there is none.
func (db *DB) Advisory(id string) (plimsoll.Advisory, error) { return plimsoll.Advisory{}, errTodo }

// Verify reads everything and checks it.
func (db *DB) Verify(ctx context.Context) error { return errTodo }
