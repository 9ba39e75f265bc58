// Package jsonlimit refuses JSON that would unfold into far more memory than it has
// bytes: three of them, "{},", can become a struct of hundreds.
//
// It owns the count of what a document holds, made before or while a decoder reads it.
// It refuses to parse: what is no JSON is for the decoder to say.
package jsonlimit

import (
	"errors"
	"fmt"
	"io"
)

// Limits are the most that a document may hold; zero is no limit.
type Limits struct {
	Depth   int // of objects and lists in each other
	List    int // elements of any one list
	Objects int // in all
	Values  int // elements and members in all, objects and lists as well
}

// ErrLimit is in each error of a document that holds more than it may.
var ErrLimit = errors.New("it holds more than is read")

// Check counts what a document holds. The error is an ErrLimit.
func Check(data []byte, l Limits) error {
	c := counter{Limits: l}
	return c.count(data)
}

// NewReader returns a reader of r that fails with an ErrLimit where the document that
// comes from it holds more than it may.
func NewReader(r io.Reader, l Limits) io.Reader {
	return &reader{r: r, counter: counter{Limits: l}}
}

type reader struct {
	r io.Reader
	counter
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	if over := r.count(p[:n]); over != nil {
		return 0, over
	}
	return n, err
}

// counter looks at the characters that give JSON its structure, outside strings.
type counter struct {
	Limits
	quoted, escaped bool
	open            []int // commas of the lists that are open; -1 for an object
	objects, values int
}

func (c *counter) count(data []byte) error {
	for _, b := range data {
		switch {
		case c.escaped:
			c.escaped = false
		case c.quoted && b == '\\':
			c.escaped = true
		case b == '"':
			c.quoted = !c.quoted
		case c.quoted:
		case b == '{' || b == '[':
			if c.Depth > 0 && len(c.open) == c.Depth {
				return fmt.Errorf("%w: it is nested too deeply, more than %d levels", ErrLimit, c.Depth)
			}
			c.values++
			if b == '[' {
				c.open = append(c.open, 0)
			} else {
				c.open = append(c.open, -1)
				c.objects++
			}
			if err := c.over(); err != nil {
				return err
			}
		case b == '}' || b == ']':
			if len(c.open) > 0 {
				c.open = c.open[:len(c.open)-1]
			}
		case b == ',':
			c.values++
			if n := len(c.open); n > 0 && c.open[n-1] >= 0 {
				if c.open[n-1]++; c.List > 0 && c.open[n-1] >= c.List {
					return fmt.Errorf("%w: a list has more than %d elements", ErrLimit, c.List)
				}
			}
			if err := c.over(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (c *counter) over() error {
	switch {
	case c.Objects > 0 && c.objects > c.Objects:
		return fmt.Errorf("%w: more than %d objects", ErrLimit, c.Objects)
	case c.Values > 0 && c.values > c.Values:
		return fmt.Errorf("%w: more than %d values", ErrLimit, c.Values)
	}
	return nil
}
