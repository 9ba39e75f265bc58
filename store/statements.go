package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
)

// openKeeping opens a SQLite database whose connections keep their statements
// prepared: parsing is most of what a small query costs. PostgreSQL's driver does the
// same on its own.
func openKeeping(dsn string) (*sql.DB, error) {
	db, err := sql.Open("sqlite", dsn) // which connects to nothing yet
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(keeping{db.Driver(), dsn}), db.Close()
}

// keeping connects; it is a driver.Connector.
type keeping struct {
	driver driver.Driver
	dsn    string
}

func (k keeping) Driver() driver.Driver { return k.driver }

func (k keeping) Connect(context.Context) (driver.Conn, error) {
	c, err := k.driver.Open(k.dsn)
	if err != nil {
		return nil, err
	}
	return &keptConn{sqliteConn: c.(sqliteConn), kept: make(map[string]sqliteStmt)}, nil
}

// sqliteConn is what package sql asks of a connection of SQLite's driver, apart from
// the shortcuts past prepared statements.
type sqliteConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

type sqliteStmt interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
}

// keptConn is a connection with the statements that it prepared and that nobody uses
// at the moment. One goroutine at a time uses a connection.
type keptConn struct {
	sqliteConn
	kept map[string]sqliteStmt
	size int // of their text, in bytes
}

// Bounds of the text of what a connection keeps, in bytes; the statements take some fifty
// times as much. Longer queries are long lists of values.
const (
	maxKept      = 100_000
	maxKeptQuery = 5_000
)

func (c *keptConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	if s, ok := c.kept[query]; ok {
		c.drop(query)
		return &keptStmt{s, c, query}, nil
	}
	s, err := c.sqliteConn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &keptStmt{s.(sqliteStmt), c, query}, nil
}

// keptStmt is a statement in use.
type keptStmt struct {
	sqliteStmt
	conn  *keptConn
	query string
}

// Close gives the statement back to its connection.
func (s *keptStmt) Close() error {
	c := s.conn
	if _, twice := c.kept[s.query]; twice || len(s.query) > maxKeptQuery {
		return s.sqliteStmt.Close()
	}
	c.kept[s.query] = s.sqliteStmt
	c.size += len(s.query)
	for query, other := range c.kept { // any will do: what is popular comes back
		if c.size <= maxKept {
			break
		}
		c.drop(query)
		if err := other.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (c *keptConn) drop(query string) {
	delete(c.kept, query)
	c.size -= len(query)
}

func (c *keptConn) Close() error {
	for _, s := range c.kept {
		s.Close() // or the connection says what is wrong
	}
	clear(c.kept)
	return c.sqliteConn.Close()
}
