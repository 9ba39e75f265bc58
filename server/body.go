package server

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/klauspost/compress/zstd"

	"plimsoll"
	"plimsoll/jsonlimit"
)

// maxDepth bounds the nesting of JSON from agents; what they send has ten levels.
const maxDepth = 32

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
	var other *json.UnmarshalTypeError
	switch {
	case errors.As(err, &other): // which speaks of our types
		return plimsoll.Errorf(plimsoll.CodeInvalid, "read the body", "%q has the wrong type: %s", other.Field, other.Value)
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

// decode reads one JSON value of at most limit bytes into v, in which no list is longer
// than list, if that is not zero; large as for unpacked.
func decode(r *http.Request, limit int64, list int, large func() error, v any) error {
	body, err := unpacked(r, limit, large)
	if err != nil {
		return err
	}
	defer body.Close()
	// Beyond a million objects, none of which is small, or one value in eight bytes, there
	// is nothing to say that an agent says.
	d := json.NewDecoder(jsonlimit.NewReader(body, jsonlimit.Limits{Depth: maxDepth, List: list, Objects: 1_000_000, Values: int(min(limit/8, 8_000_000))}))
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
