package store

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"plimsoll"
)

// applicationID marks a SQLite file as ours: "plms", by PRAGMA application_id.
const applicationID = 0x706c6d73

// suffixes of what SQLite keeps beside its file.
var besides = []string{"-wal", "-shm"}

const restoreHint = "stop the console, move the file and what begins with its name away, and restore a backup: plimsoll restore FILE"

// claimFile makes the file of a new fleet, or sees that the one which is there is one:
// an empty or foreign file is no new fleet.
func claimFile(ctx context.Context, path string) error {
	damaged := func(format string, args ...any) error {
		return &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: "open the database", Err: fmt.Errorf("%s "+format, append([]any{path}, args...)...), Hint: restoreHint}
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		if log, err := os.Stat(path + besides[0]); err == nil && log.Size() > 0 {
			return damaged("is gone, but not its log %s", filepath.Base(path)+besides[0])
		}
		return makeFile(ctx, path)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	// https://www.sqlite.org/fileformat2.html#the_database_header
	var header [100]byte
	switch _, err := io.ReadFull(f, header[:]); {
	case errors.Is(err, io.EOF):
		return damaged("is empty")
	case errors.Is(err, io.ErrUnexpectedEOF), err == nil && !bytes.HasPrefix(header[:], []byte("SQLite format 3\x00")):
		return damaged("is no SQLite database")
	case err != nil:
		return err
	}
	if id := binary.BigEndian.Uint32(header[68:]); id != 0 && id != applicationID { // 0: of the first weeks
		return damaged("is the database of another program")
	}
	return nil
}

// makeFile makes an empty database whole or not at all. When two processes do, both
// use the one that was first.
func makeFile(ctx context.Context, path string) error {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	db, err := sql.Open("sqlite", fileURL(f.Name(), "journal_mode(OFF)"))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID))
	if err := errors.Join(err, db.Close(), f.Sync()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// fileURL is the DSN of a SQLite file. Pragmas belong to a connection: only in the
// DSN do they reach all of them.
func fileURL(path string, pragmas ...string) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + url.Values{"_pragma": pragmas}.Encode()
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// copySuffix, with the number of the schema, ends the name of the copy that is made
// of a SQLite file before its schema changes.
const copySuffix = ".schema-"

// keepCopy copies a SQLite database before its schema changes: the way back to the
// version that wrote it. Copies of older schemas make room.
func (s *Store) keepCopy(ctx context.Context, schema int64) error {
	path := s.path + copySuffix + strconv.FormatInt(schema, 10)
	part := path + ".part"
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// The file that VACUUM fills is there, with our mode.
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(part)
	defer f.Close()
	if _, err := s.writer.ExecContext(ctx, "VACUUM INTO ?", part); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), os.Rename(part, path), syncDir(filepath.Dir(path))); err != nil {
		return err
	}
	for _, old := range s.copies() {
		if old != schema {
			os.Remove(s.path + copySuffix + strconv.FormatInt(old, 10))
		}
	}
	s.log.Info("the database was copied before its schema changes", "copy", path)
	return nil
}

// copies are the schemas of which there are copies, ascending.
func (s *Store) copies() (schemas []int64) {
	names, _ := filepath.Glob(globEscape.Replace(s.path) + copySuffix + "*")
	for _, name := range names {
		if schema, err := strconv.ParseInt(strings.TrimPrefix(name, s.path+copySuffix), 10, 64); err == nil {
			schemas = append(schemas, schema)
		}
	}
	slices.Sort(schemas)
	return schemas
}

var globEscape = strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`)

// wayBack says what to do with a database of a newer schema than ours.
func (s *Store) wayBack(newest int64) string {
	for _, schema := range slices.Backward(s.copies()) {
		if schema <= newest {
			return fmt.Sprintf("use that version; or go back to what it was before the upgrade: stop the console, move %[1]s, %[1]s-wal and %[1]s-shm away, and rename %[1]s%[2]s%[3]d to %[1]s", s.path, copySuffix, schema)
		}
	}
	return "use that version, or restore a backup made before the upgrade"
}

// Check reads the whole database; the error has CodeCorrupt when it is damaged.
// PostgreSQL is left to its own tools.
func (s *Store) Check(ctx context.Context) error {
	const op = "check the database"
	if s.dialect == postgres {
		return nil
	}
	var faults []string
	err := s.read(ctx, op, func(t *tx) error {
		rows, err := t.query("PRAGMA integrity_check(5)")
		return each(rows, err, func(scan func(...any) error) error {
			var fault string
			err := scan(&fault)
			if fault != "ok" {
				faults = append(faults, fault)
			}
			return err
		})
	})
	if err == nil && len(faults) > 0 {
		return &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: op, Err: fmt.Errorf("%s is damaged: %s", s.path, strings.Join(faults, "; ")), Hint: restoreHint}
	}
	return s.damaged(op, err)
}

// damaged gives an error that tells of a damaged file CodeCorrupt and its name; any
// other one stays.
func (s *Store) damaged(op string, err error) error {
	if !isCorrupt(err) {
		return err
	}
	return &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: op, Err: fmt.Errorf("%s: %w", s.path, err), Hint: restoreHint}
}
