package store

import (
	"context"

	"plimsoll"
	"plimsoll/api"
)

// Decide makes the decisions that a request means, in one transaction, and
// returns them. Whoever asks must see every host that a decision reaches:
// outside of everything, rules get the scope's labels (see plimsoll.Decision.Labels).
func (s *Store) Decide(ctx context.Context, scope plimsoll.Scope, who string, r api.DecisionRequest) ([]api.Decision, error) {
	panic("todo S2")
}

// Preview says what Decide would change, and changes nothing.
func (s *Store) Preview(ctx context.Context, scope plimsoll.Scope, who string, r api.DecisionRequest) (api.Preview, error) {
	panic("todo S2")
}

// DecisionFilter narrows the list of decisions.
type DecisionFilter struct {
	Query string // part of vulnerability, package, repository, remark or author
	Kind  string
	State string // active, expired, revoked
	Idle  bool   // active ones that match nothing
}

// Decisions lists decisions, newest first.
func (s *Store) Decisions(ctx context.Context, scope plimsoll.Scope, f DecisionFilter, l api.List) (api.Page[api.Decision], error) {
	panic("todo S2")
}

// Decision returns one.
func (s *Store) Decision(ctx context.Context, scope plimsoll.Scope, id int64) (api.Decision, error) {
	panic("todo S2")
}

// ChangeDecision replaces the conditions, the remark and the end of a decision.
func (s *Store) ChangeDecision(ctx context.Context, scope plimsoll.Scope, who string, id int64, d api.Decision) (api.Decision, error) {
	panic("todo S2")
}

// RevokeDecision ends a decision: what it alone handled is open again.
func (s *Store) RevokeDecision(ctx context.Context, scope plimsoll.Scope, who string, id int64, remark string) error {
	panic("todo S2")
}

// DecisionEvents lists the history: of one decision, or all (0), newest first.
func (s *Store) DecisionEvents(ctx context.Context, scope plimsoll.Scope, decision int64, l api.List) (api.Page[api.DecisionEvent], error) {
	panic("todo S2")
}

// FindingHistory lists the events of every decision that fits or fitted a
// finding's identity, newest first.
func (s *Store) FindingHistory(ctx context.Context, scope plimsoll.Scope, finding string) ([]api.DecisionEvent, error) {
	panic("todo S2")
}

// ExpireDecisions ends the effect of decisions whose time is over and returns how many.
func (s *Store) ExpireDecisions(ctx context.Context) (int, error) { panic("todo S2") }

// applyDecisions computes anew which decisions fit the findings of these images.
// Whoever changes an image's instances, matches, repositories or hosts calls it,
// then recount.
func (t *tx) applyDecisions(imageIDs []int64) error { panic("todo S2") }

// recount computes anew the counts of images, of the risks that they have part
// in, and of the decisions that reach them. gained and lost vulnerabilities of the
// images are found by comparing with what the risk view holds.
func (t *tx) recount(imageIDs []int64) error { panic("todo S2") }
