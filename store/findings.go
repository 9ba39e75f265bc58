package store

import (
	"context"

	"plimsoll"
	"plimsoll/api"
)

// Findings lists findings of live images; of a gone one when the filter names it.
func (s *Store) Findings(ctx context.Context, scope plimsoll.Scope, f api.FindingFilter, l api.List) (api.Page[api.Finding], error) {
	panic("todo S2")
}

// EachFinding calls f for every finding that Findings would list, page by page.
func (s *Store) EachFinding(ctx context.Context, scope plimsoll.Scope, filter api.FindingFilter, f func(*api.Finding) error) error {
	panic("todo S2")
}

// Finding returns one finding with its reasons and decisions.
func (s *Store) Finding(ctx context.Context, scope plimsoll.Scope, id string) (api.Finding, error) {
	panic("todo S2")
}

// Vulnerabilities lists the risk view. Counts are those in scope.
func (s *Store) Vulnerabilities(ctx context.Context, scope plimsoll.Scope, f api.VulnerabilityFilter, l api.List) (api.Page[api.Vulnerability], error) {
	panic("todo S2")
}

// Vulnerability returns what is known about a vulnerability in one class, by any
// ID of its alias group.
func (s *Store) Vulnerability(ctx context.Context, scope plimsoll.Scope, id string, class plimsoll.Class) (api.VulnerabilityDetail, error) {
	panic("todo S2")
}
