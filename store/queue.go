package store

import (
	"context"
	"database/sql"
	"net/url"
	"os"

	"plimsoll"
)

// OpenQueue opens the SQLite file in which a console with an embedded store
// queues its background work, apart from the state of the fleet: what is lost
// with it is asked for again by time.
func OpenQueue(ctx context.Context, path string) (*sql.DB, error) {
	const op = "open the queue of background work"
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, &plimsoll.Error{Code: plimsoll.CodeUnreadable, Op: op, Err: err}
	}
	f.Close()
	pragmas := url.Values{"_pragma": {"busy_timeout(10000)", "journal_mode(WAL)", "synchronous(NORMAL)", "trusted_schema(0)"}}
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+pragmas.Encode()+"&_txlock=immediate")
	if err != nil {
		return nil, storeError(op, err)
	}
	db.SetMaxOpenConns(1)
	if err := db.PingContext(ctx); err != nil {
		db.Close()
		return nil, &plimsoll.Error{Code: plimsoll.CodeCorrupt, Op: op, Err: err, Hint: "remove " + path + ": nothing in it is lasting"}
	}
	return db, nil
}
