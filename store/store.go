// Package store keeps the state of the fleet: hosts and what they hold, the
// software of images, what the advisories say about each distinct package, what
// people decided, tasks, and who may do what.
//
// It owns the schema and every line of SQL, in SQLite (embedded, one console)
// and PostgreSQL (a fleet, several consoles) behind one suite of tests. It
// answers lists in the types of package api. It refuses to judge packages, to
// read images or advisories and to decide who may ask: callers pass the scope
// within which a question is answered, and every query honours it.
//
// Trust: texts come from agents, images and feeds. They are bound parameters
// always and columns or sort keys never.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"plimsoll"
)

// Options say where the store is.
type Options struct {
	// DSN is the path of a SQLite file, or a PostgreSQL URL ("postgres://…").
	DSN string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Log is told what has no caller to return to; nil means slog.Default().
	Log *slog.Logger
}

// Store is the state of the fleet. Its methods may be called concurrently.
//
// Errors carry codes: CodeNotFound also for what the scope does not see,
// CodeInvalid for a bad filter, cursor or sort key, CodeLimit for a full disk,
// CodeUnavailable when the database does not answer or is damaged.
type Store struct {
	dialect *dialect
	path    string  // of the SQLite file
	writer  *sql.DB // SQLite: one connection
	reader  *sql.DB // PostgreSQL: the same as writer
	now     func() time.Time
	log     *slog.Logger
	bell    *bell
	latest  atomic.Int64 // what the clock showed at the last sweep, unix milliseconds

	turns    turns                         // of those who write to SQLite
	locks    map[int64]*semaphore.Weighted // of PostgreSQL: whoever waits there holds a connection, so one of us does
	ingest   ingest
	software softwareCache
	claims   sync.Map // of VEX statements, by ID: *vex.Claim

	asked func(query string, args []any) // is told each question to the database; for tests
}

// Open opens the store and brings its schema up to date; of a SQLite file there is
// a copy of before beside it. The error has CodeInvalid when the database was
// written by a newer version of Plimsoll, CodeCorrupt when it is damaged.
func Open(ctx context.Context, o Options) (*Store, error) {
	s := &Store{now: o.Now, log: o.Log}
	if s.now == nil {
		s.now = time.Now
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	var err error
	if isPostgres(o.DSN) {
		err = s.openPostgres(ctx, o.DSN)
	} else {
		err = s.openSQLite(ctx, o.DSN)
	}
	if err == nil {
		err = s.migrate(ctx)
	}
	if err != nil {
		s.Close()
		return nil, s.damaged("open the database", err)
	}
	s.bell = s.newBell(ctx, o.DSN)
	return s, nil
}

// Close releases the store.
func (s *Store) Close() error {
	if s.bell != nil {
		s.bell.close()
	}
	var errs []error
	if s.reader != nil && s.reader != s.writer {
		errs = append(errs, s.reader.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	return errors.Join(errs...)
}

// Shared says whether several consoles can use the store at once.
func (s *Store) Shared() bool { return s.dialect == postgres }

// Ping says whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	return storeError("ask the database", s.reader.PingContext(ctx))
}

// tx is a transaction. Queries are written with "?" for parameters in either
// dialect. All times within it are now.
type tx struct {
	*sql.Tx
	s    *Store
	ctx  context.Context
	now  int64              // unix milliseconds
	sets map[string][]int64 // what is held (see bind); nil where that may change
}

func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	query, args = t.bind(query, args)
	return t.Tx.ExecContext(t.ctx, t.s.dialect.rebind(query), args...)
}

// query is not run while rows of another are read: PostgreSQL would not allow it.
func (t *tx) query(query string, args ...any) (*sql.Rows, error) {
	query, args = t.bind(query, args)
	if t.s.asked != nil {
		t.s.asked(query, args)
	}
	return t.Tx.QueryContext(t.ctx, t.s.dialect.rebind(query), args...)
}

func (t *tx) row(query string, args ...any) *sql.Row {
	query, args = t.bind(query, args)
	if t.s.asked != nil {
		t.s.asked(query, args)
	}
	return t.Tx.QueryRowContext(t.ctx, t.s.dialect.rebind(query), args...)
}

// id runs an INSERT … RETURNING id.
func (t *tx) id(query string, args ...any) (id int64, err error) {
	err = t.row(query, args...).Scan(&id)
	return id, err
}

// write runs f in a transaction, again when the database asks for that or when it shared
// one that failed: what f changes outside it must be right when it runs anew, also after
// it returned nil. op names it in errors.
func (s *Store) write(ctx context.Context, op string, f func(*tx) error) error {
	return s.transact(ctx, op, 0, f)
}

// Locks of transactions that must not interleave. SQLite has one writer anyway.
const (
	lockFindings = 0x706c6d01 // matches, instances, decisions and the counts that follow from them
	lockWork     = 0x706c6d02 // leases and the tasks that wait for them
	lockConsole  = 0x706c6d03 // see OneConsole
)

// writeFindings is write for what changes findings, one at a time in the fleet.
func (s *Store) writeFindings(ctx context.Context, op string, f func(*tx) error) error {
	return s.transact(ctx, op, lockFindings, f)
}

// writeDecisions is writeFindings for what people decide: whoever looks at findings
// is told.
func (s *Store) writeDecisions(ctx context.Context, op string, f func(*tx) error) error {
	err := s.writeFindings(ctx, op, f)
	if err == nil {
		s.Ring(ctx, TopicDecisions)
	}
	return err
}

// writeWork is write for what hands out or ends work, one at a time in the fleet.
func (s *Store) writeWork(ctx context.Context, op string, f func(*tx) error) error {
	return s.transact(ctx, op, lockWork, f)
}

func (s *Store) transact(ctx context.Context, op string, lock int64, f func(*tx) error) error {
	const attempts = 5
	for attempt := 1; ; attempt++ {
		err := s.try(ctx, lock, f)
		if err == nil {
			return nil
		}
		if attempt == attempts || !s.dialect.again(err) || ctx.Err() != nil {
			return storeError(op, err)
		}
		select {
		case <-ctx.Done():
			return storeError(op, ctx.Err())
		case <-time.After(time.Duration(attempt*attempt) * 10 * time.Millisecond):
		}
	}
}

func (s *Store) try(ctx context.Context, lock int64, f func(*tx) error) error {
	if s.dialect == postgres {
		return s.alone(ctx, lock, f)
	}
	return s.inTurn(ctx, lock == lockFindings, f)
}

// alone runs f in a transaction of its own.
func (s *Store) alone(ctx context.Context, lock int64, f func(*tx) error) error {
	if local := s.locks[lock]; local != nil {
		if err := local.Acquire(ctx, 1); err != nil {
			return err
		}
		defer local.Release(1)
	}
	sqlTx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer sqlTx.Rollback()
	t := &tx{Tx: sqlTx, s: s, ctx: ctx, now: s.now().UnixMilli()}
	if lock != 0 {
		if err := t.lock(lock); err != nil {
			return err
		}
	}
	if err := f(t); err != nil {
		return err
	}
	return sqlTx.Commit()
}

// lock holds one of the locks until the transaction ends.
func (t *tx) lock(key int64) error {
	if t.s.dialect != postgres {
		return nil
	}
	_, err := t.exec("SELECT pg_advisory_xact_lock(?)", key)
	return err
}

// OneConsole runs f while no other console that shares the store is in one.
func (s *Store) OneConsole(ctx context.Context, f func() error) error {
	const op = "wait for other consoles"
	if s.dialect != postgres {
		return f()
	}
	conn, err := s.writer.Conn(ctx)
	if err != nil {
		return storeError(op, err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", lockConsole); err != nil {
		return storeError(op, err)
	}
	defer conn.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1)", lockConsole)
	return f()
}

// read runs f in a transaction that sees one state of the database and changes
// nothing.
func (s *Store) read(ctx context.Context, op string, f func(*tx) error) error {
	options := &sql.TxOptions{ReadOnly: true}
	if s.dialect == postgres {
		options.Isolation = sql.LevelRepeatableRead
	}
	sqlTx, err := s.reader.BeginTx(ctx, options)
	if err != nil {
		return storeError(op, err)
	}
	defer sqlTx.Rollback()
	return storeError(op, f(&tx{Tx: sqlTx, s: s, ctx: ctx, now: s.now().UnixMilli(), sets: make(map[string][]int64)}))
}

// each calls f for every row.
func each(rows *sql.Rows, err error, f func(scan func(...any) error) error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// ids reads a column of IDs.
func (t *tx) ids(query string, args ...any) (list []int64, err error) {
	rows, err := t.query(query, args...)
	err = each(rows, err, func(scan func(...any) error) error {
		var id int64
		if err := scan(&id); err != nil {
			return err
		}
		list = append(list, id)
		return nil
	})
	return list, err
}

// storeError gives an error of the database its code. Errors of ours keep theirs.
func storeError(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *plimsoll.Error
	if errors.As(err, &known) {
		return err
	}
	code := plimsoll.CodeInternal
	hint := ""
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return plimsoll.Errorf(plimsoll.CodeNotFound, op, "there is no such row")
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		code = plimsoll.CodeUnavailable
	case isCorrupt(err): // for whoever asks it is no fault of theirs, and agents keep what they have
		code, hint = plimsoll.CodeUnavailable, restoreHint
	case isFull(err):
		code, hint = plimsoll.CodeLimit, "free space on the disk of the database; nothing that was acknowledged is lost"
	case isUnavailable(err):
		code = plimsoll.CodeUnavailable
	}
	return &plimsoll.Error{Code: code, Op: op, Hint: hint, Err: err}
}

// notFound is the error for something that is not there or not in scope.
func notFound(what string, id any) error {
	return plimsoll.Errorf(plimsoll.CodeNotFound, "find "+what, "there is no %s %v", what, id)
}

// ms and moment turn times into stored ones and back; 0 is the zero time.
func ms(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// momentOrNil is moment for optional fields.
func momentOrNil(ms int64) *time.Time {
	if ms == 0 {
		return nil
	}
	t := moment(ms)
	return &t
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// marks returns "?, ?, …" for n parameters.
func marks(n int) string {
	if n == 0 {
		return "NULL"
	}
	b := make([]byte, 0, 3*n)
	for i := range n {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = append(b, '?')
	}
	return string(b)
}

// args turns a list into parameters.
func args[T any](list []T) []any {
	out := make([]any, len(list))
	for i, v := range list {
		out[i] = v
	}
	return out
}

// maxParameters bounds the parameters of one statement: SQLite takes 32,766.
const maxParameters = 30_000

// maxRows bounds the rows of one statement: more brings little, and full ones are alike.
const maxRows = 50

// insertMany inserts rows of equal width with as few statements as possible;
// suffix follows the values ("ON CONFLICT …").
func (t *tx) insertMany(into string, width int, rows [][]any, suffix string) error {
	per := max(1, min(maxRows, maxParameters/width))
	one := "(" + marks(width) + ")"
	for part := range slices.Chunk(rows, per) {
		values := make([]any, 0, len(part)*width)
		for _, row := range part {
			if len(row) != width {
				return fmt.Errorf("insert into %s: a row has %d values, want %d", into, len(row), width)
			}
			values = append(values, row...)
		}
		if _, err := t.exec("INSERT INTO "+into+" VALUES "+valueRows(one, len(part))+" "+suffix, values...); err != nil {
			return err
		}
	}
	return nil
}

// updateMany sets columns of the rows with the given IDs with as few statements as
// possible. Each row holds an ID and a value for each column: text, or an integer.
func (t *tx) updateMany(table string, columns []string, rows [][]any) error {
	sets := make([]string, len(columns))
	for i, c := range columns {
		sets[i] = c + " = more." + c
	}
	for part := range slices.Chunk(rows, maxRows) {
		one := make([]string, len(part[0]))
		var values []any
		for i, v := range part[0] {
			one[i] = "CAST(? AS BIGINT)"
			if _, text := v.(string); text {
				one[i] = "CAST(? AS TEXT)"
			}
		}
		for _, row := range part {
			values = append(values, row...)
		}
		if _, err := t.exec("WITH more (id, "+strings.Join(columns, ", ")+") AS (VALUES "+valueRows("("+strings.Join(one, ", ")+")", len(part))+
			") UPDATE "+table+" SET "+strings.Join(sets, ", ")+" FROM more WHERE "+table+".id = more.id", values...); err != nil {
			return err
		}
	}
	return nil
}
