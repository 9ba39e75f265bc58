package report

import (
	"bytes"
	"io"
	"log/slog"
)

// NewLog returns the handler of a log on w, in lines of JSON or else of text.
// What a message or a value says is shown and does nothing: a log is read on
// terminals, and slog leaves some of what they obey as it is.
func NewLog(w io.Writer, level slog.Leveler, json bool) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if json {
		return slog.NewJSONHandler(lines{w, escapeJSON}, options)
	}
	return slog.NewTextHandler(lines{w, func(line []byte) []byte { return []byte(Text(string(line))) }}, options)
}

// lines writes each line, which comes whole, as escape gives it back.
type lines struct {
	w      io.Writer
	escape func([]byte) []byte
}

func (l lines) Write(line []byte) (int, error) {
	if _, err := l.w.Write(append(l.escape(bytes.TrimSuffix(line, []byte("\n"))), '\n')); err != nil {
		return 0, err
	}
	return len(line), nil
}
