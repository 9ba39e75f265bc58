package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"plimsoll"
)

// testdata/schema-N.sqlite.zst is a database that a program of schema N wrote (one
// host with three images, scanned twice, a decision), without the CA's key;
// schema-N.backup is the backup that this program made of it.
func olderSchemas() []int64 {
	var list []int64
	for _, m := range migrations[:len(migrations)-1] {
		list = append(list, m.version)
	}
	return list
}

func olderBackup(t testing.TB, schema int64) []byte {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("testdata/schema-%d.backup", schema))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// olderFile unpacks the database of a schema.
func olderFile(t testing.TB, schema int64) (path string) {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("testdata/schema-%d.sqlite.zst", schema))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "fleet.sqlite")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// backedUpRows are the rows of a backup by table, each as its values by column.
func backedUpRows(t testing.TB, backup []byte) map[string][]map[string]string {
	t.Helper()
	rows := map[string][]map[string]string{}
	var table backupTable
	_, err := readBackup(context.Background(), bytes.NewReader(backup), func(h backupTable) error {
		table = h
		return nil
	}, func(line []byte) error {
		var values []json.RawMessage
		if err := json.Unmarshal(line, &values); err != nil {
			return err
		}
		row := map[string]string{}
		for i, name := range table.Columns {
			row[name] = string(values[i])
		}
		rows[table.Table] = append(rows[table.Table], row)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// keepsRows fails the test unless a store has every row of an older backup, and what
// was made of them since is right.
func keepsRows(t *testing.T, s *Store, older []byte, except ...string) {
	t.Helper()
	var now bytes.Buffer
	if err := s.Backup(context.Background(), &now, ""); err != nil {
		t.Fatal(err)
	}
	have := backedUpRows(t, now.Bytes())
	tables, compared := 0, 0
	for table, rows := range backedUpRows(t, older) {
		if slices.Contains(except, table) {
			continue
		}
		tables++
		for _, row := range rows {
			if !slices.ContainsFunc(have[table], func(other map[string]string) bool {
				for column, value := range row {
					if other[column] != value {
						return false
					}
				}
				return true
			}) {
				t.Errorf("%s has lost %v", table, row)
			}
			compared++
		}
	}
	if tables < 20 || compared < 60 {
		t.Errorf("only %d rows of %d tables were compared", compared, tables)
	}
	checkFindings(t, s)
	// What later schemas keep beside.
	err := s.read(context.Background(), "compare", func(t *tx) error {
		var missing int
		if err := t.row(`SELECT count(*) FROM instance i WHERE NOT EXISTS (SELECT 1 FROM software_path p WHERE p.software_id = i.software_id AND p.path = i.path)`).Scan(&missing); err != nil {
			return err
		}
		if missing > 0 {
			return fmt.Errorf("%d paths of software are not to be found", missing)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A database of each older schema is brought up to date with all that is in it, and
// so is a backup of one.
func TestUpgradeKeepsTheData(t *testing.T) {
	for _, schema := range olderSchemas() {
		backup := olderBackup(t, schema)
		t.Run(fmt.Sprintf("file of schema %d", schema), func(t *testing.T) {
			keepsRows(t, openTest(t, olderFile(t, schema)), backup)
		})
		t.Run(fmt.Sprintf("schema %d", schema), func(t *testing.T) {
			contract(t, func(t *testing.T, s *Store) {
				older := unmigrated(t, s, schema)
				if err := older.fill(context.Background(), backup); err != nil {
					t.Fatal(err)
				}
				if err := older.migrate(context.Background()); err != nil {
					t.Fatal(err)
				}
				keepsRows(t, older, backup)
			})
		})
		t.Run(fmt.Sprintf("backup of schema %d", schema), func(t *testing.T) {
			contract(t, func(t *testing.T, s *Store) {
				if err := s.Restore(context.Background(), bytes.NewReader(backup), ""); err != nil {
					t.Fatal(err)
				}
				keepsRows(t, s, backup, "task", "task_item", "work") // what was being done is queued again
			})
		})
	}
}

// unmigrated is a store of an older schema in the database of s, which was empty.
func unmigrated(t *testing.T, s *Store, schema int64) *Store {
	t.Helper()
	older := &Store{dialect: s.dialect, now: s.now, log: s.log}
	if s.dialect == postgres {
		older.writer, older.reader = s.writer, s.writer
		if _, err := s.writer.Exec("DROP SCHEMA public CASCADE; CREATE SCHEMA public"); err != nil {
			t.Fatal(err)
		}
	} else {
		if err := older.openSQLite(context.Background(), filepath.Join(t.TempDir(), "fleet.sqlite")); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { older.Close() })
	}
	if err := older.migrateTo(context.Background(), schema); err != nil {
		t.Fatal(err)
	}
	return older
}

// fill writes the rows of a backup as they are.
func (s *Store) fill(ctx context.Context, backup []byte) error {
	tables, err := backedUp()
	if err != nil {
		return err
	}
	return s.write(ctx, "fill", func(t *tx) error {
		f := &filler{tx: t, tables: tables}
		if _, err := readBackup(ctx, bytes.NewReader(backup), f.header, f.row); err != nil {
			return err
		}
		return f.flush()
	})
}

// The schema files that made a database of an older program make the same today:
// one that was released is never changed.
func TestSchemaFilesStay(t *testing.T) {
	for _, schema := range olderSchemas() {
		old := &Store{now: testStore(t).now, log: testStore(t).log}
		if err := old.openSQLite(context.Background(), olderFile(t, schema)); err != nil {
			t.Fatal(err)
		}
		defer old.Close()
		if was, is := schemaOf(t, old), schemaOf(t, unmigrated(t, testStore(t), schema)); !maps.Equal(was, is) {
			for name := range was {
				if was[name] != is[name] {
					t.Errorf("schema %d: %s was\n%s\nand is\n%s", schema, name, was[name], is[name])
				}
			}
			t.Errorf("schema %d is not what it was", schema)
		}
	}
}

func schemaOf(t *testing.T, s *Store) map[string]string {
	t.Helper()
	objects := map[string]string{}
	rows, err := s.reader.Query("SELECT name, coalesce(sql, '') FROM sqlite_schema")
	if err := each(rows, err, func(scan func(...any) error) error {
		var name, text string
		err := scan(&name, &text)
		objects[name] = text
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return objects
}

// Migrations add: a program can be sure that what it wrote is still there.
func TestMigrationsAdd(t *testing.T) {
	comment := regexp.MustCompile(`(?m)--.*$`)
	adds := regexp.MustCompile(`(?s)^(CREATE (UNIQUE )?(TABLE|INDEX)|ALTER TABLE \w+ ADD COLUMN|INSERT INTO|UPDATE) `)
	for _, m := range migrations {
		text, err := schemaFiles.ReadFile(m.file)
		if err != nil {
			t.Fatal(err)
		}
		for statement := range strings.SplitSeq(comment.ReplaceAllString(string(text), ""), ";") {
			if statement = strings.TrimSpace(statement); statement != "" && !adds.MatchString(statement) {
				t.Errorf("%s does more than add: %s", m.file, statement)
			}
		}
	}
}

// Before the schema changes there is a copy; a program that is older than the schema
// says how to go back to it, and the copy is what was there.
func TestStepBackKeepsTheData(t *testing.T) {
	ctx := context.Background()
	for _, schema := range olderSchemas() {
		path := olderFile(t, schema)
		before := backedUpRows(t, olderBackup(t, schema))
		openTest(t, path).Close()

		older := &Store{now: testStore(t).now, log: testStore(t).log}
		if err := older.openSQLite(ctx, path); err != nil {
			t.Fatal(err)
		}
		err := older.migrateTo(ctx, schema)
		older.Close()
		copied := fmt.Sprint(path, copySuffix, schema)
		if plimsoll.CodeOf(err) != plimsoll.CodeInvalid || !strings.Contains(err.Error(), "newer version") || !strings.Contains(plimsoll.HintOf(err), copied) {
			t.Errorf("the older program says %v, %q; want that the database is newer, and of %s", err, plimsoll.HintOf(err), copied)
		}
		if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the copy: %v %v", info, err)
		}

		for _, name := range append([]string{""}, besides...) { // as the hint says
			if err := os.Remove(path + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Fatal(err)
			}
		}
		if err := os.Rename(copied, path); err != nil {
			t.Fatal(err)
		}
		back := &Store{now: testStore(t).now, log: testStore(t).log}
		if err := back.openSQLite(ctx, path); err != nil {
			t.Fatal(err)
		}
		defer back.Close()
		if err := errors.Join(back.migrateTo(ctx, schema), back.Check(ctx)); err != nil {
			t.Fatal(err)
		}
		for table, rows := range before {
			var n int
			if err := back.reader.QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil || n < len(rows) {
				t.Errorf("%s has %d rows after the step back, had %d: %v", table, n, len(rows), err)
			}
		}
	}
}

// A database that is damaged is refused and left as it is, with the way to another;
// nothing that is damaged becomes a new, empty fleet.
func TestDamagedDatabaseIsRefused(t *testing.T) {
	ctx := context.Background()
	whole := func(t *testing.T) string {
		path := olderFile(t, migrations[len(migrations)-2].version)
		openTest(t, path).Close()
		return path
	}
	edit := func(change func(b []byte) []byte) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			b, err := os.ReadFile(path)
			if err == nil {
				err = os.WriteFile(path, change(b), 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, damage := range map[string]func(t *testing.T, path string){
		"empty":             edit(func([]byte) []byte { return nil }),
		"a part of a page":  edit(func(b []byte) []byte { return b[:50] }),
		"half":              edit(func(b []byte) []byte { return b[:len(b)/2/4096*4096] }),
		"one page":          edit(func(b []byte) []byte { return b[:4096] }),
		"a last byte less":  edit(func(b []byte) []byte { return b[:len(b)-4096] }),
		"zeros":             edit(func(b []byte) []byte { return make([]byte, len(b)) }),
		"another file":      edit(func([]byte) []byte { return []byte(strings.Repeat("no database. ", 1000)) }),
		"another program's": edit(func(b []byte) []byte { copy(b[68:], "GPKG"); return b }),
		"gone, with a log": func(t *testing.T, path string) {
			if err := errors.Join(os.Remove(path), os.WriteFile(path+"-wal", make([]byte, 5000), 0o600)); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := whole(t)
			damage(t, path)
			before, errBefore := os.ReadFile(path)
			s, err := Open(ctx, Options{DSN: path})
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			if plimsoll.CodeOf(err) != plimsoll.CodeCorrupt || !strings.Contains(err.Error(), path) || !strings.Contains(plimsoll.HintOf(err), "restore") {
				t.Errorf("%v (%s), hint %q", err, plimsoll.CodeOf(err), plimsoll.HintOf(err))
			}
			if after, errAfter := os.ReadFile(path); !bytes.Equal(before, after) || (errBefore == nil) != (errAfter == nil) {
				t.Error("the file was changed")
			}
		})
	}

	// Damage in the midst shows when it is read: by questions, and by backups always.
	t.Run("pages of a table", func(t *testing.T) {
		path := whole(t)
		var root int64
		s := openTest(t, path)
		if err := s.reader.QueryRow("SELECT rootpage FROM sqlite_schema WHERE name = 'image'").Scan(&root); err != nil {
			t.Fatal(err)
		}
		s.Close()
		edit(func(b []byte) []byte {
			for i := range 64 {
				b[(root-1)*4096+int64(i)] ^= 0x55
			}
			return b
		})(t, path)
		s, err := Open(ctx, Options{DSN: path})
		if err == nil {
			defer s.Close()
			// Agents must not take it for a fault of what they deliver.
			asked := s.read(ctx, "ask", func(t *tx) error {
				_, err := t.ids("SELECT id FROM image NOT INDEXED ORDER BY size")
				return err
			})
			if plimsoll.CodeOf(asked) != plimsoll.CodeUnavailable || !strings.Contains(plimsoll.HintOf(asked), "restore") {
				t.Errorf("a question ends with %v (%s)", asked, plimsoll.CodeOf(asked))
			}
			err = s.Backup(ctx, io.Discard, "")
		}
		if plimsoll.CodeOf(err) != plimsoll.CodeCorrupt || !strings.Contains(plimsoll.HintOf(err), "restore") {
			t.Errorf("a backup ends with %v, hint %q", err, plimsoll.HintOf(err))
		}
	})
	t.Run("an index that lies", func(t *testing.T) {
		path := whole(t)
		s := openTest(t, path)
		for _, step := range []string{
			"PRAGMA writable_schema = 1", "DELETE FROM sqlite_schema WHERE name = 'scan_image'", "PRAGMA writable_schema = 0",
		} {
			if _, err := s.writer.Exec(step); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Check(ctx); plimsoll.CodeOf(err) != plimsoll.CodeCorrupt {
			t.Errorf("pages that belong to nothing: %v", err)
		}
	})
}

// Two that make a database at once make one.
func TestTwoMakeOneDatabase(t *testing.T) {
	for range 20 {
		path := filepath.Join(t.TempDir(), "fleet.sqlite")
		made := make(chan error)
		for range 4 {
			go func() { made <- claimFile(context.Background(), path) }()
		}
		for range 4 {
			if err := <-made; err != nil {
				t.Error(err)
			}
		}
		if names, _ := os.ReadDir(filepath.Dir(path)); len(names) != 1 {
			t.Errorf("left are %v", names)
		}
		openTest(t, path)
	}
}
