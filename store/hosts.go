package store

import (
	"context"

	"plimsoll"
	"plimsoll/api"
)

// AgentHost is what the console needs to know of a host whose agent asks.
type AgentHost struct {
	ID        int64
	Name      string
	Revoked   bool
	Analyzers string
}

// NewHost is a host that joins.
type NewHost struct {
	TokenID   int64
	TokenHash string
	Facts     api.HostFacts
	MachineID string
}

// EnrolHost uses up one use of an enrolment token and adds a host with the
// token's labels, both or neither. issue makes the certificate for the host's ID
// and returns its fingerprint. A token that is unknown, expired, revoked or used
// up is CodeNotFound.
func (s *Store) EnrolHost(ctx context.Context, h NewHost, issue func(hostID int64) (fingerprint string, err error)) (int64, error) {
	panic("todo S1")
}

// HostByCertificate returns the host that a certificate's fingerprint belongs
// to: the current certificate or the one before.
func (s *Store) HostByCertificate(ctx context.Context, fingerprint string) (AgentHost, error) {
	panic("todo S1")
}

// RenewCertificate replaces a host's certificate; the one before stays valid
// until the new one is used.
func (s *Store) RenewCertificate(ctx context.Context, hostID int64, fingerprint string) error {
	panic("todo S1")
}

// Heartbeat notes that a host's agent is alive. Two machines that take turns
// with one identity mark the host as cloned.
func (s *Store) Heartbeat(ctx context.Context, hostID int64, h api.Heartbeat) error { panic("todo S1") }

// Hosts lists hosts.
func (s *Store) Hosts(ctx context.Context, scope plimsoll.Scope, f api.HostFilter, l api.List) (api.Page[api.Host], error) {
	panic("todo S1")
}

// Host returns one host.
func (s *Store) Host(ctx context.Context, scope plimsoll.Scope, id int64) (api.Host, error) {
	panic("todo S1")
}

// SetHostLabels replaces a host's labels; "id" stays.
func (s *Store) SetHostLabels(ctx context.Context, id int64, labels plimsoll.Labels) error {
	panic("todo S1")
}

// RevokeHost takes away a host's identity. What it alone told about images is
// told no more: their scans are asked for again from other hosts that hold them
// (state never, layer facts dropped).
func (s *Store) RevokeHost(ctx context.Context, id int64) error { panic("todo S1") }

// RemoveHost revokes a host and forgets it; its images are gone from it.
func (s *Store) RemoveHost(ctx context.Context, id int64) error { panic("todo S1") }

// SyncEffect is what a sync changed, for schedules.
type SyncEffect struct {
	Answer api.SyncAnswer
	New    []int64 // images that the fleet sees for the first time
	Pulled []int64 // images that came to this host since its first sync
}

// ApplySync brings what the fleet knows of a host's images up to date: presence
// per name and store, containers, counts. It answers sync requests. Applying one
// twice changes nothing.
func (s *Store) ApplySync(ctx context.Context, hostID int64, sync api.Sync) (SyncEffect, error) {
	panic("todo S1")
}
