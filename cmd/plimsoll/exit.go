package main

import (
	"context"
	"errors"
	"fmt"

	"plimsoll"
	"plimsoll/agent"
	"plimsoll/report"
)

// The exit codes. They are part of the interface: scripts rely on them.
const (
	exitOK         = 0
	exitError      = 1 // internal or scan error
	exitUsage      = 2 // wrong command line or configuration
	exitGate       = 3 // --fail-on met; --exit-code changes this one
	exitIncomplete = 4 // something could not be read or judged, or the advisories are too old
	exitNotFound   = 5 // an image, file or vulnerability that was named does not exist
	exitRevoked    = 6 // agent: the console does not accept this host any more
)

// exitHelp is shown in the help of commands that scan.
const exitHelp = `Exit codes:
  0  done; nothing met --fail-on
  1  a scan failed, or an internal error
  2  wrong command line or configuration
  3  a finding met --fail-on (--exit-code changes this number)
  4  incomplete: something could not be read, there are no advisories (in all, or
     for the system or the whole software of an image), or they are older than
     --max-db-age
  5  an image or file that was named does not exist here`

// outcome ends the process with a code after results were written; the text
// tells a person what the code means.
type outcome struct {
	code int
	text string
}

func (o *outcome) Error() string { return o.text }

// exitOf returns the code of an outcome, exitOK for any other error and for nil.
func exitOf(err error) int {
	if o := (*outcome)(nil); errors.As(err, &o) {
		return o.code
	}
	return exitOK
}

// usageError is a mistake on the command line or in the configuration.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error {
	return usageError{fmt.Errorf(format, args...)}
}

// exit prints err for a person and returns the exit code.
func (a *app) exit(err error) int {
	if err == nil {
		return exitOK
	}
	stderr := redactor{a.stderr}
	var o *outcome
	if errors.As(err, &o) {
		if o.text != "" && !a.quiet {
			fmt.Fprintf(stderr, "plimsoll: %s (exit code %d)\n", report.Text(o.text), o.code)
		}
		return o.code
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for _, one := range all {
		fmt.Fprintf(stderr, "plimsoll: %s\n", report.Text(one.Error()))
	}
	if hint := plimsoll.HintOf(err); hint != "" {
		fmt.Fprintf(stderr, "  %s\n", report.Text(hint))
	}
	var usage usageError
	switch {
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "  See: plimsoll --help")
		return exitUsage
	case errors.Is(err, agent.ErrRevoked):
		return exitRevoked
	case errors.Is(err, context.Canceled):
		return exitError
	case plimsoll.CodeOf(err) == plimsoll.CodeNotFound:
		return exitNotFound
	case plimsoll.CodeOf(err) == plimsoll.CodeInvalid:
		return exitUsage
	}
	return exitError
}
