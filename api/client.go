package api

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"plimsoll"
)

// Limits of what the client reads, in bytes.
const (
	maxAnswer  = 64 << 20
	maxProblem = 64 << 10
)

// Client speaks to a console. Its methods may be called concurrently.
type Client struct {
	// Base is the console's address, without a path below it: "https://console:8443".
	Base string
	HTTP *http.Client
	// Header is added to each request: an API token, a user agent.
	Header http.Header
}

// Error is a console's refusal, from the problem document of RFC 9457 that came
// with it, if one did.
type Error struct {
	Status     int
	Code       string // the console's word for the reason; may be empty
	Title      string
	Detail     string
	RetryAfter time.Duration // 0 when the console names none
}

func (e *Error) Error() string {
	text := e.Detail
	if text == "" {
		text = e.Title
	}
	if text == "" {
		text = http.StatusText(e.Status)
	}
	return fmt.Sprintf("the console answered %d: %s", e.Status, text)
}

// Unwrap gives the error a plimsoll code, so that plimsoll.CodeOf knows it.
func (e *Error) Unwrap() error {
	code := plimsoll.CodeUnavailable
	switch e.Status {
	case http.StatusNotFound, http.StatusGone:
		code = plimsoll.CodeNotFound
	case http.StatusRequestEntityTooLarge, http.StatusTooManyRequests:
		code = plimsoll.CodeLimit
	case http.StatusUnauthorized, http.StatusForbidden:
		code = plimsoll.CodeUnreadable
	case http.StatusBadRequest, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusUnsupportedMediaType:
		code = plimsoll.CodeInvalid
	}
	return &plimsoll.Error{Code: code, Op: "ask the console"}
}

// Temporary says whether the same request may succeed later.
func (e *Error) Temporary() bool {
	switch e.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusUnauthorized, http.StatusForbidden,
		http.StatusUpgradeRequired: // until one of the two is upgraded
		return true
	}
	return e.Status >= http.StatusInternalServerError
}

// Call sends in as JSON, unless it is nil, and decodes the answer into out,
// unless that is nil. It reports whether the answer had a body: none comes with
// status 204. Any status but 2xx is an *Error.
func (c *Client) Call(ctx context.Context, method, path string, query url.Values, in, out any) (bool, error) {
	if in == nil {
		return c.Send(ctx, method, path, query, nil, nil, out)
	}
	body, err := json.Marshal(in)
	if err != nil {
		return false, plimsoll.Errorf(plimsoll.CodeInternal, "encode request", "%w", err)
	}
	return c.Send(ctx, method, path, query, http.Header{"Content-Type": {"application/json"}}, body, out)
}

// Send is Call with a body that is encoded already; header describes it.
func (c *Client) Send(ctx context.Context, method, path string, query url.Values, header http.Header, body []byte, out any) (bool, error) {
	answer, err := c.do(ctx, method, path, query, header, body, maxAnswer)
	if err != nil || out == nil || len(answer) == 0 {
		return false, err
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return false, plimsoll.Errorf(plimsoll.CodeUnavailable, "read the console's answer", "%w", err)
	}
	return true, nil
}

// Fetch returns a body of at most limit bytes as it came.
func (c *Client) Fetch(ctx context.Context, path string, query url.Values, limit int64) ([]byte, error) {
	return c.do(ctx, http.MethodGet, path, query, nil, nil, limit)
}

func (c *Client) do(ctx context.Context, method, path string, query url.Values, header http.Header, body []byte, limit int64) ([]byte, error) {
	address := strings.TrimRight(c.Base, "/") + path
	if len(query) > 0 {
		address += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, address, bytes.NewReader(body))
	if err != nil {
		return nil, plimsoll.Errorf(plimsoll.CodeInvalid, "ask the console", "%w", err)
	}
	for _, h := range []http.Header{c.Header, header} {
		for key, values := range h {
			req.Header[key] = values
		}
	}
	req.Header.Set(HeaderVersion, strconv.Itoa(Version))
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return nil, plimsoll.Errorf(plimsoll.CodeUnavailable, "ask the console", "%w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, refusal(resp)
	}
	answer, err := readAll(resp.Body, limit)
	if err != nil {
		return nil, plimsoll.Errorf(plimsoll.CodeUnavailable, "read the console's answer", "%w", err)
	}
	return answer, nil
}

func refusal(resp *http.Response) error {
	e := &Error{Status: resp.StatusCode}
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.RetryAfter = time.Duration(min(seconds, 24*60*60)) * time.Second
	}
	var problem struct{ Title, Detail, Code string }
	if body, err := readAll(resp.Body, maxProblem); err == nil && json.Unmarshal(body, &problem) == nil {
		e.Title, e.Detail, e.Code = problem.Title, problem.Detail, problem.Code
	}
	return e
}

// readAll reads at most limit bytes.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, plimsoll.Errorf(plimsoll.CodeLimit, "read answer", "it is larger than %d bytes", limit)
	}
	return b, nil
}
