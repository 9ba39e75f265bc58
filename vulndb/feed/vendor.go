package feed

import (
	"bytes"
	"context"
	"io"

	"plimsoll/vulndb"
)

// readCSAF reads documents of the Common Security Advisory Framework.
func readCSAF(ctx context.Context, in *intake) error {
	return in.documents(ctx, maxCSAF, func(name string, b []byte) error {
		records, err := parseCSAF(b, in.bound())
		if err != nil {
			return in.add(name, vulndb.Record{}, err)
		}
		for _, r := range records {
			if err := in.add(name, r, nil); err != nil {
				return err
			}
		}
		return nil
	})
}

// readOSV reads the operator's own records, of any ecosystem.
func readOSV(ctx context.Context, in *intake) error {
	return in.documents(ctx, maxRecord, func(name string, b []byte) error {
		r, err := parseOSV(b, nil)
		return in.add(name, r, err)
	})
}

// readTracker reads Debian's security tracker.
func readTracker(ctx context.Context, in *intake) error {
	return in.each(ctx, func(name string, r io.Reader) error {
		return parseTracker(r, func(record vulndb.Record) error { return in.add(record.Advisory.ID, record, ctx.Err()) })
	})
}

// readSecDB reads the security databases of one apk distribution.
func readSecDB(ctx context.Context, in *intake) error {
	var db secDB
	err := in.documents(ctx, maxSecDB, func(name string, b []byte) error {
		return db.read(bytes.NewReader(b), in.bound(), func(pkg string, err error) { in.seen++; in.problem(in.source.Name, pkg, err) })
	})
	if err != nil {
		return err
	}
	return db.records(func(record vulndb.Record) error { return in.add(record.Advisory.ID, record, ctx.Err()) })
}
