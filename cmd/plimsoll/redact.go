package main

import (
	"io"
	"regexp"
)

// What holds a password in the settings and in the messages of libraries: a URL, and
// the keywords of a PostgreSQL connection string.
var (
	urlPassword     = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s/?#:@"']*:)[^\s/?#"']+@`)
	keywordPassword = regexp.MustCompile(`(\b(?:ssl)?password=)('(?:[^'\\]|\\.)*'|[^\s&"']+)`)
)

// withoutPasswords replaces each password in text by "***".
func withoutPasswords(text string) string {
	text = urlPassword.ReplaceAllString(text, "${1}***@")
	return keywordPassword.ReplaceAllString(text, "${1}***")
}

// redactor writes to w without passwords. Each Write is whole lines, as those of
// slog's handlers are.
type redactor struct{ w io.Writer }

func (r redactor) Write(p []byte) (int, error) {
	if _, err := io.WriteString(r.w, withoutPasswords(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
