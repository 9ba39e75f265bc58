package server

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/klauspost/compress/zstd"

	"plimsoll"
)

// maxDepth bounds the nesting of JSON from agents; what they send has ten levels.
const maxDepth = 32

var errTooDeep = errors.New("it is nested too deeply")

// tooLong is the error for a body that unpacks to more than limit bytes.
func tooLong() error {
	return newProblem(http.StatusRequestEntityTooLarge, codeTooLarge, "the body holds more than this route takes")
}

// largeBody is from how many bytes on, unpacked, a body needs a permit of its own: in
// memory it becomes a multiple of what it was on the way.
const largeBody = 4 << 20

// unpacked returns the body of a request as it was before it was compressed, of
// at most limit bytes: more is an error as soon as it is reached. large, if any, is
// asked once, when the body has turned out to have more than largeBody.
func unpacked(r *http.Request, limit int64, large func() error) (io.ReadCloser, error) {
	const maxWindow = 8 << 20 // bytes: what a sender can make us hold
	var body io.ReadCloser
	switch encoding := r.Header.Get("Content-Encoding"); encoding {
	case "", "identity":
		body = r.Body
	case "gzip":
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			return nil, badBody(err)
		}
		body = z
	case "zstd":
		z, err := zstd.NewReader(r.Body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(uint64(limit)+maxWindow))
		if err != nil {
			return nil, badBody(err)
		}
		body = z.IOReadCloser()
	default:
		return nil, newProblem(http.StatusUnsupportedMediaType, plimsoll.CodeInvalid, "Content-Encoding must be zstd, gzip or identity")
	}
	return struct {
		io.Reader
		io.Closer
	}{&bounded{r: body, left: limit, large: large}, body}, nil
}

// badBody gives an error of reading a body its code.
func badBody(err error) error {
	var tooLarge *http.MaxBytesError
	var p *Refusal
	switch {
	case errors.As(err, &tooLarge), errors.As(err, &p):
		return err
	case errors.Is(err, zstd.ErrDecoderSizeExceeded), errors.Is(err, zstd.ErrWindowSizeExceeded):
		return tooLong()
	}
	return plimsoll.Errorf(plimsoll.CodeInvalid, "read the body", "%w", err)
}

// bounded is an error, not an end, after so many bytes.
type bounded struct {
	r          io.Reader
	left, read int64
	large      func() error
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, tooLong()
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return 0, tooLong()
	}
	if b.read += int64(n); b.read > largeBody && b.large != nil {
		if refused := b.large(); refused != nil {
			return 0, refused
		}
		b.large = nil
	}
	return n, err
}

// decode reads one JSON value of at most limit bytes into v; large as for unpacked.
func decode(r *http.Request, limit int64, large func() error, v any) error {
	body, err := unpacked(r, limit, large)
	if err != nil {
		return err
	}
	defer body.Close()
	d := json.NewDecoder(&shallow{r: body})
	if err := d.Decode(v); err != nil {
		return badBody(err)
	}
	if _, err := d.Token(); err != io.EOF {
		if err == nil {
			err = errors.New("something follows the value")
		}
		return badBody(err)
	}
	return nil
}

// shallow refuses JSON that is nested too deeply, before a decoder follows it.
type shallow struct {
	r       io.Reader
	depth   int
	quoted  bool
	escaped bool
}

func (s *shallow) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	for _, c := range p[:n] {
		switch {
		case s.escaped:
			s.escaped = false
		case s.quoted && c == '\\':
			s.escaped = true
		case c == '"':
			s.quoted = !s.quoted
		case s.quoted:
		case c == '{' || c == '[':
			if s.depth++; s.depth > maxDepth {
				return 0, errTooDeep
			}
		case c == '}' || c == ']':
			s.depth--
		}
	}
	return n, err
}
