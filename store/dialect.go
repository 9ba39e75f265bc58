package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"golang.org/x/sync/semaphore"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"plimsoll"
)

// dialect is what the two databases do differently.
type dialect struct {
	name   goose.Dialect
	schema *strings.Replacer // of the words in braces
	dollar bool              // parameters are $1, $2, …
	ids    string            // a query for the IDs in a parameter, a list in JSON
	cache  sync.Map          // rebound queries
}

var (
	sqliteDialect = &dialect{
		name: goose.DialectSQLite3,
		schema: strings.NewReplacer(
			"{id}", "INTEGER PRIMARY KEY AUTOINCREMENT", "{text}", "TEXT", "{blob}", "BLOB", "{rowless}", " WITHOUT ROWID"),
		ids: "SELECT value FROM json_each(?)",
	}
	postgres = &dialect{
		name: goose.DialectPostgres,
		schema: strings.NewReplacer( // the byte order that SQLite has too
			"{id}", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", "{text}", `TEXT COLLATE "C"`, "{blob}", "BYTEA", "{rowless}", ""),
		dollar: true,
		ids:    "SELECT CAST(value AS BIGINT) FROM json_array_elements_text(CAST(? AS json)) AS ids (value)",
	}
)

// rebind turns "?" into the dialect's parameters. Our queries hold no "?" in
// literals: those are parameters too.
func (d *dialect) rebind(query string) string {
	if !d.dollar {
		return query
	}
	const longest = 2000 // longer ones are lists of values of every length
	if q, ok := d.cache.Load(query); ok {
		return q.(string)
	}
	b := make([]byte, 0, len(query)+32)
	n := 0
	for i := range len(query) {
		if query[i] != '?' {
			b = append(b, query[i])
			continue
		}
		n++
		b = strconv.AppendInt(append(b, '$'), int64(n), 10)
	}
	if len(query) <= longest {
		d.cache.Store(query, string(b))
	}
	return string(b)
}

// again says whether a transaction that ended with err should be tried again.
func (d *dialect) again(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		switch pg.Code {
		case "40001", "40P01", "55P03": // serialization, deadlock, lock
			return true
		}
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_BUSY
}

// brokenReference says whether err is about a row that another one refers to.
func (d *dialect) brokenReference(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "23503"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code() == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY
}

func isFull(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "53100"
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_FULL
}

func isCorrupt(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code == "XX001" || pg.Code == "XX002" // data or index corrupted
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && (lite.Code()&0xff == sqlite3.SQLITE_CORRUPT || lite.Code()&0xff == sqlite3.SQLITE_NOTADB)
}

func isUnavailable(err error) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return strings.HasPrefix(pg.Code, "57") || strings.HasPrefix(pg.Code, "08") || strings.HasPrefix(pg.Code, "53")
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		return true
	}
	var lite *sqlite.Error
	return errors.As(err, &lite) && lite.Code()&0xff == sqlite3.SQLITE_BUSY
}

func isPostgres(dsn string) bool {
	return strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://")
}

// Sizes of connection pools.
const (
	sqliteReaders = 8
	postgresConns = 16
)

func (s *Store) openSQLite(ctx context.Context, path string) error {
	const op = "open the database"
	s.dialect, s.path = sqliteDialect, path
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return &plimsoll.Error{Code: plimsoll.CodeUnreadable, Op: op, Err: err}
	}
	if err := claimFile(ctx, path); err != nil {
		if plimsoll.CodeOf(err) == plimsoll.CodeCorrupt {
			return err
		}
		return &plimsoll.Error{Code: plimsoll.CodeUnreadable, Op: op, Err: err}
	}
	dsn := func(more ...string) string {
		return fileURL(path, append([]string{"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(FULL)",
			"foreign_keys(1)", "wal_autocheckpoint(16384)", "trusted_schema(0)", "cell_size_check(1)", "cache_size(-65536)", "temp_store(2)"}, more...)...)
	}
	var err error
	if s.writer, err = openKeeping(dsn() + "&_txlock=immediate"); err != nil {
		return storeError(op, err)
	}
	s.writer.SetMaxOpenConns(1)
	if s.reader, err = openKeeping(dsn("query_only(1)", "mmap_size(1073741824)")); err != nil {
		return storeError(op, err)
	}
	s.reader.SetMaxOpenConns(sqliteReaders)
	s.reader.SetMaxIdleConns(sqliteReaders)
	if err := s.writer.PingContext(ctx); err != nil {
		return storeError(op, fmt.Errorf("%s: %w", path, err))
	}
	return nil
}

func (s *Store) openPostgres(ctx context.Context, dsn string) error {
	const op = "open the database"
	s.dialect = postgres
	s.locks = map[int64]*semaphore.Weighted{lockFindings: semaphore.NewWeighted(1), lockWork: semaphore.NewWeighted(1)}
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		return plimsoll.Errorf(plimsoll.CodeInvalid, op, "the database's address cannot be used")
	}
	db.SetMaxOpenConns(postgresConns)
	db.SetMaxIdleConns(postgresConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	s.writer, s.reader = db, db
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return &plimsoll.Error{Code: plimsoll.CodeUnavailable, Op: op, Err: errors.New("PostgreSQL does not answer: " + redact(err)),
			Hint: "check the address, the user and the password in --database"}
	}
	return nil
}

// redact drops what an error of the driver says about the connection string,
// which holds a password.
func redact(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Message
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		if inner := errors.Unwrap(connect); inner != nil {
			return strings.Join(strings.FieldsFunc(inner.Error(), func(r rune) bool { return r == '\n' }), "; ") // a line for each address tried
		}
	}
	return "connection failed"
}

//go:embed schema/*.sql
var schemaFiles embed.FS

// migrations are the files of schema/, in the order of their numbers, and what fills
// their tables where SQL cannot.
var migrations = []struct {
	version int64
	file    string
	fill    func(*tx) error
}{
	{1, "schema/0001_fleet.sql", nil},
	{2, "schema/0002_lookups.sql", nil},
	{3, "schema/0003_vex.sql", nil},
	{4, "schema/0004_contents.sql", (*tx).fillContents},
}

// migrate brings the schema up to date. Consoles that start together wait for
// each other.
func (s *Store) migrate(ctx context.Context) error {
	newest := migrations[len(migrations)-1].version
	return s.migrateTo(ctx, newest)
}

func (s *Store) migrateTo(ctx context.Context, schema int64) error {
	const op = "bring the database up to date"
	var steps []*goose.Migration
	for _, m := range migrations {
		text, err := schemaFiles.ReadFile(m.file)
		if err != nil {
			return storeError(op, err)
		}
		steps = append(steps, goose.NewGoMigration(m.version, &goose.GoFunc{RunTx: func(ctx context.Context, sqlTx *sql.Tx) error {
			if _, err := sqlTx.ExecContext(ctx, s.dialect.schema.Replace(string(text))); err != nil || m.fill == nil {
				return err
			}
			return m.fill(&tx{Tx: sqlTx, s: s, ctx: ctx, now: s.now().UnixMilli()})
		}}, nil))
	}
	options := []goose.ProviderOption{goose.WithGoMigrations(steps...), goose.WithDisableGlobalRegistry(true)}
	if s.dialect == postgres {
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return storeError(op, err)
		}
		options = append(options, goose.WithSessionLocker(locker))
	}
	provider, err := goose.NewProvider(s.dialect.name, s.writer, nil, options...)
	if err != nil {
		return storeError(op, err)
	}
	current, err := provider.GetDBVersion(ctx)
	if err != nil {
		current = 0 // nothing is there yet; anything else is told by what follows
	}
	if current > schema {
		return &plimsoll.Error{Code: plimsoll.CodeInvalid, Op: op,
			Err:  fmt.Errorf("it was written by a newer version of Plimsoll (schema %d, this one knows %d)", current, schema),
			Hint: s.wayBack(schema)}
	}
	if s.dialect == sqliteDialect && 0 < current && current < schema {
		if err := s.keepCopy(ctx, current); err != nil {
			return storeError("copy the database before its schema changes", err)
		}
	}
	if _, err := provider.UpTo(ctx, schema); err != nil {
		return storeError(op, err)
	}
	return nil
}
