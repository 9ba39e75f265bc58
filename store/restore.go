package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"plimsoll"
)

// Restore fills an empty store from a backup, after checking all of it. The
// error has CodeCorrupt for a damaged one, CodeInvalid when the store is not
// empty or the passphrase is wrong. What was being done is queued again.
func (s *Store) Restore(ctx context.Context, r io.ReadSeeker, passphrase string) error {
	const op = "restore a backup"
	info, err := CheckBackup(ctx, r, "")
	if err != nil {
		return err
	}
	secrets := map[string]string{}
	if info.Secrets != nil {
		if secrets, err = info.Secrets.open(passphrase); err != nil {
			return err
		}
	}
	tables, err := backedUp()
	if err != nil {
		return storeError(op, err)
	}
	err = s.transact(ctx, op, lockFindings, func(t *tx) error {
		if _, err := r.Seek(0, io.SeekStart); err != nil {
			return &plimsoll.Error{Code: plimsoll.CodeUnreadable, Op: op, Err: err}
		}
		if err := t.empty(tables); err != nil {
			return err
		}
		f := &filler{tx: t, tables: tables}
		if _, err := readBackup(ctx, r, f.header, f.row); err != nil {
			return err
		}
		if err := f.flush(); err != nil {
			return err
		}
		fills, err := laterFills(info.Schema)
		if err != nil {
			return err
		}
		for _, fill := range fills {
			if _, err := t.exec(fill); err != nil {
				return err
			}
		}
		for _, name := range slices.Sorted(maps.Keys(secrets)) {
			if err := t.set(name, secrets[name]); err != nil {
				return err
			}
		}
		return t.afterRestore(tables)
	})
	if err == nil {
		for _, topic := range []string{TopicWork, TopicFleet, TopicTasks, TopicDecisions, TopicGeneration, TopicJobs} {
			s.Ring(ctx, topic)
		}
	}
	return err
}

var fillStatement = regexp.MustCompile(`(?ms)^(?:INSERT|UPDATE|DELETE) .*?;$`)

// laterFills are what migrations after a schema did with the rows that were there:
// rows of an older backup need the same.
func laterFills(schema int64) (statements []string, err error) {
	for _, m := range migrations {
		if m.version <= schema {
			continue
		}
		text, err := schemaFiles.ReadFile(m.file)
		if err != nil {
			return nil, err
		}
		statements = append(statements, fillStatement.FindAllString(string(text), -1)...)
	}
	return statements, nil
}

// empty makes sure that there is nothing to lose. Settings are replaced; secrets
// stay unless the backup has its own.
func (t *tx) empty(tables []schemaTable) error {
	for _, table := range tables {
		if table.name == "setting" {
			continue
		}
		var there bool
		if err := t.row("SELECT EXISTS (SELECT 1 FROM " + table.name + ")").Scan(&there); err != nil {
			return err
		}
		if there {
			return &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: "restore a backup", Err: fmt.Errorf("the database is in use: it has rows of %s", table.name),
				Hint: "restore into a new database"}
		}
	}
	_, err := t.exec("DELETE FROM setting WHERE name NOT LIKE '" + secretPrefix + "%'")
	return err
}

// filler writes the rows of a backup.
type filler struct {
	*tx
	tables []schemaTable
	into   string
	kinds  []string // of the columns, as the database calls them
	rows   [][]any
}

// header begins a table. Names come from a file: only those of the schema count.
func (f *filler) header(h backupTable) error {
	if err := f.flush(); err != nil {
		return err
	}
	i := slices.IndexFunc(f.tables, func(t schemaTable) bool { return t.name == h.Table })
	if i < 0 {
		return corrupt("there is no table %q", h.Table)
	}
	rows, err := f.query("SELECT * FROM " + f.tables[i].name + " WHERE 1 = 0")
	if err != nil {
		return err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	f.kinds = f.kinds[:0]
	var columns []string
	for _, name := range h.Columns {
		at := slices.IndexFunc(types, func(c *sql.ColumnType) bool { return c.Name() == name })
		if at < 0 || slices.Contains(columns, name) {
			return corrupt("table %s has no such column as %q, or twice", h.Table, name)
		}
		columns = append(columns, types[at].Name())
		f.kinds = append(f.kinds, types[at].DatabaseTypeName())
	}
	f.into = f.tables[i].name + " (" + strings.Join(columns, ", ") + ")"
	if f.tables[i].identity && f.s.dialect == postgres {
		f.into += " OVERRIDING SYSTEM VALUE"
	}
	return rows.Err()
}

func (f *filler) row(line []byte) error {
	var raw []json.RawMessage
	if err := json.Unmarshal(line, &raw); err != nil || len(raw) != len(f.kinds) {
		return corrupt("a row does not fit its table")
	}
	values := make([]any, len(raw))
	for i, data := range raw {
		var err error
		switch f.kinds[i] {
		case "TEXT":
			values[i], err = decode[string](data)
		case "BLOB", "BYTEA":
			values[i], err = decode[[]byte](data)
		case "DOUBLE PRECISION", "FLOAT8":
			values[i], err = decode[float64](data)
		default:
			values[i], err = decode[int64](data)
		}
		if err != nil {
			return corrupt("a value does not fit its column: %w", err)
		}
	}
	const batch = 400
	if f.rows = append(f.rows, values); len(f.rows) >= batch {
		return f.flush()
	}
	return nil
}

func (f *filler) flush() error {
	if len(f.rows) == 0 {
		return nil
	}
	err := f.insertMany(f.into, len(f.kinds), f.rows, "")
	f.rows = f.rows[:0]
	return err
}

// afterRestore puts right what only held for the consoles that wrote the backup.
func (t *tx) afterRestore(tables []schemaTable) error {
	if err := t.fillContents(); err != nil {
		return err
	}
	steps := []string{
		"DELETE FROM work WHERE state = 'stopped'",
		"UPDATE work SET state = 'queued', lease = '', host_id = 0, until = 0, done = 0, total = 0",
		"UPDATE task_item SET state = 'queued' WHERE state = 'running'",
		"UPDATE task SET running = 0 WHERE running > 0",
		"UPDATE task SET export_id = 0 WHERE export_id > 0",
	}
	for _, step := range steps {
		if _, err := t.exec(step); err != nil {
			return err
		}
	}
	if _, err := t.exec("UPDATE task SET state = 'failed', ended = ?, detail = 'it was running when the backup was made' WHERE kind IN ('export', 'database') AND "+waits,
		t.now); err != nil {
		return err
	}
	if t.s.dialect != postgres {
		return nil
	}
	for _, table := range tables {
		if table.identity {
			if _, err := t.exec("SELECT setval(pg_get_serial_sequence('" + table.name + "', 'id'), GREATEST(COALESCE(max(id), 1), 1), max(id) IS NOT NULL) FROM " + table.name); err != nil {
				return err
			}
		}
	}
	return nil
}
