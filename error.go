package plimsoll

import (
	"errors"
	"fmt"
)

// Code classifies an error for callers and users. The values are stable:
// scripts and the API rely on them.
type Code string

// The codes. Everything that can fail maps to one of them.
const (
	CodeInvalid     Code = "invalid"     // the request or its input is malformed
	CodeNotFound    Code = "not_found"   // the image, advisory or file does not exist
	CodeUnreadable  Code = "unreadable"  // it exists, but may not or cannot be read here
	CodeCorrupt     Code = "corrupt"     // it was read and is damaged
	CodeLimit       Code = "limit"       // a documented limit was reached
	CodeUnavailable Code = "unavailable" // a service or disk did not answer; trying again may help
	CodeInternal    Code = "internal"    // a fault of Plimsoll
)

// Error is an error with a code, the operation that failed (verb and object)
// and, where one is known, what the user can do about it.
type Error struct {
	Code Code
	Op   string // "read dpkg status"
	Hint string // a sentence that says what to do; may be empty
	Err  error
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Op + ": " + string(e.Code)
	}
	return e.Op + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an Error; format and args become its cause and may wrap with %w.
func Errorf(code Code, op, format string, args ...any) *Error {
	return &Error{Code: code, Op: op, Err: fmt.Errorf(format, args...)}
}

// CodeOf returns the code of the outermost Error in err's chain, CodeInternal
// when there is none, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}

// HintOf returns the first hint in err's chain.
func HintOf(err error) string {
	for ; err != nil; err = errors.Unwrap(err) {
		if e, ok := err.(*Error); ok && e.Hint != "" {
			return e.Hint
		}
	}
	return ""
}
