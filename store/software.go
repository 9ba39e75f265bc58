package store

import (
	"context"

	"plimsoll"
	"plimsoll/api"
)

// Software lists distinct packages of live images.
func (s *Store) Software(ctx context.Context, scope plimsoll.Scope, f api.SoftwareFilter, l api.List) (api.Page[api.Software], error) {
	panic("todo S1")
}

// Installed lists the packages of one image, by name.
func (s *Store) Installed(ctx context.Context, scope plimsoll.Scope, imageID int64, f api.SoftwareFilter, l api.List) (api.Page[api.Installed], error) {
	panic("todo S1")
}

// Places answers which hosts and running containers have the software that f
// finds.
func (s *Store) Places(ctx context.Context, scope plimsoll.Scope, f api.SoftwareFilter, l api.List) (api.Page[api.Place], error) {
	panic("todo S1")
}

// Dashboard sums up what is in scope.
func (s *Store) Dashboard(ctx context.Context, scope plimsoll.Scope) (api.Dashboard, error) {
	panic("todo S1")
}

// RecordRiskDay keeps today's open findings for the risk over time.
func (s *Store) RecordRiskDay(ctx context.Context) error { panic("todo S1") }
