package store

import (
	"context"
	"io"

	"plimsoll"
	"plimsoll/api"
)

// NewExport is an export to make.
type NewExport struct {
	Request   api.ExportRequest
	Scope     plimsoll.Scope
	CreatedBy string
	FileName  string
	MediaType string
}

// StartExport starts an export and its task.
func (s *Store) StartExport(ctx context.Context, n NewExport) (api.Export, error) { panic("todo S3") }

// TakeExport returns an export that waits, with what was asked and within which
// scope, and marks it as running; CodeNotFound when none waits. One that a
// console left unfinished is given out again.
func (s *Store) TakeExport(ctx context.Context) (api.Export, NewExport, error) { panic("todo S3") }

// ExportWriter stores the file of an export in parts; Close ends it well, Fail badly.
type ExportWriter struct{}

// WriteExport opens an export for writing.
func (s *Store) WriteExport(ctx context.Context, id int64) (*ExportWriter, error) { panic("todo S3") }

// Write adds to the file.
func (w *ExportWriter) Write(p []byte) (int, error) { panic("todo S3") }

// Close ends the export and its task well.
func (w *ExportWriter) Close(rows int64) error { panic("todo S3") }

// Fail ends the export and its task badly.
func (w *ExportWriter) Fail(detail string) error { panic("todo S3") }

// Export returns one that who has started; any for "" (administrators).
func (s *Store) Export(ctx context.Context, who string, id int64) (api.Export, error) {
	panic("todo S3")
}

// Exports lists them, newest first.
func (s *Store) Exports(ctx context.Context, who string, l api.List) (api.Page[api.Export], error) {
	panic("todo S3")
}

// ReadExport writes the file of an export to w.
func (s *Store) ReadExport(ctx context.Context, who string, id int64, w io.Writer) error {
	panic("todo S3")
}

// Retain removes what the settings say is too old: vanished images with their
// presences and inventories, history, ended tasks, exports after a day, layer
// facts of no live image, audit entries after the history's time. In small steps.
func (s *Store) Retain(ctx context.Context) (removed int64, err error) { panic("todo S3") }

// Backup writes a copy of the whole state to w, while consoles go on: the
// tables as records, with a manifest of counts and hashes; the same format from
// both databases. Secrets (the CA's key) are sealed with the passphrase.
func (s *Store) Backup(ctx context.Context, w io.Writer, passphrase string) error { panic("todo S3") }

// Restore fills an empty store from a backup, after checking all of it. The
// error has CodeCorrupt for a damaged one, CodeInvalid when the store is not
// empty or the passphrase is wrong.
func (s *Store) Restore(ctx context.Context, r io.Reader, passphrase string) error {
	panic("todo S3")
}

// Figures are what the metrics show.
func (s *Store) Figures(ctx context.Context) (map[string]float64, error) { panic("todo S3") }
