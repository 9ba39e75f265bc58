package server

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"plimsoll"
)

// Codes of answers beyond those of package plimsoll.
const (
	codeUnauthenticated plimsoll.Code = "unauthenticated" // nobody is signed in
	codeForbidden       plimsoll.Code = "forbidden"       // the role does not allow it
	codeRevoked         plimsoll.Code = "revoked"         // the host's identity was taken away
	codeProtocol        plimsoll.Code = "protocol"        // agent and console speak different versions
	codeTooMany         plimsoll.Code = "too_many"        // requests
	codeTooLarge        plimsoll.Code = "too_large"       // body
)

// Problem is the body of an answer that is an error (RFC 9457).
type Problem struct {
	Title  string        `json:"title"`
	Status int           `json:"status"`
	Code   plimsoll.Code `json:"code" doc:"stable word for what went wrong"`
	Detail string        `json:"detail,omitempty"`
	Hint   string        `json:"hint,omitempty" doc:"what can be done"`
	Errors []string      `json:"errors,omitempty" doc:"what is wrong with the request, place by place"`

	retry int // seconds until trying again may help
}

func (p *Problem) Error() string             { return p.Detail }
func (p *Problem) GetStatus() int            { return p.Status }
func (p *Problem) ContentType(string) string { return "application/problem+json" }

func newProblem(status int, code plimsoll.Code, detail string) *Problem {
	return &Problem{Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
}

// statuses says which status an error's code has; every other one is 500.
func statusOf(code plimsoll.Code) int {
	switch code {
	case plimsoll.CodeInvalid, plimsoll.CodeCorrupt:
		return http.StatusBadRequest
	case plimsoll.CodeNotFound:
		return http.StatusNotFound
	case plimsoll.CodeUnreadable, plimsoll.CodeUnavailable:
		return http.StatusServiceUnavailable
	case plimsoll.CodeLimit:
		return http.StatusInsufficientStorage
	case codeUnauthenticated:
		return http.StatusUnauthorized
	case codeForbidden, codeRevoked:
		return http.StatusForbidden
	case codeProtocol:
		return http.StatusUpgradeRequired
	case codeTooMany:
		return http.StatusTooManyRequests
	case codeTooLarge:
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusInternalServerError
}

// problemOf turns an error into an answer. What only the operator should know
// goes to the log: an internal error tells its caller nothing but the request's ID.
func (s *Server) problemOf(ctx context.Context, err error) *Problem {
	var p *Problem
	if errors.As(err, &p) {
		return p
	}
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return newProblem(http.StatusRequestEntityTooLarge, codeTooLarge, "the body is larger than "+strconv.FormatInt(tooLarge.Limit, 10)+" bytes")
	}
	code := plimsoll.CodeOf(err)
	status := statusOf(code)
	p = newProblem(status, code, err.Error())
	p.Hint = plimsoll.HintOf(err)
	switch {
	case status == http.StatusInternalServerError:
		p.Detail = "something went wrong inside; the log has it as request " + requestOf(ctx).id
		s.Log.ErrorContext(ctx, "request failed", "request", requestOf(ctx).id, "error", err)
	case status >= 500:
		p.retry = 10
		s.Log.WarnContext(ctx, "request not served", "request", requestOf(ctx).id, "error", err)
	}
	return p
}

// fail writes an error outside of the API's own writer.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := s.problemOf(r.Context(), err)
	if p.retry > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(p.retry))
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.Header().Del("Content-Encoding")
	w.WriteHeader(p.Status)
	json.NewEncoder(w).Encode(p)
}

// problems turns the API library's errors into ours.
func problems(_ huma.Context, _ string, v any) (any, error) {
	model, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	code := plimsoll.CodeInvalid
	switch {
	case model.Status == http.StatusRequestEntityTooLarge:
		code = codeTooLarge
	case model.Status >= 500:
		code = plimsoll.CodeInternal
	}
	p := newProblem(model.Status, code, model.Detail)
	for _, e := range model.Errors {
		p.Errors = append(p.Errors, e.Location+": "+e.Message)
	}
	return p, nil
}
