package server

import (
	"context"
	"slices"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/store"
)

// The administrator of a console's host can do without the API what needs nobody
// to be signed in: the way back in for a fleet whose only password is lost.

// NewEnrolmentToken makes a token that lets hosts join the fleet in st. agentURL
// is where agents reach a console.
func NewEnrolmentToken(ctx context.Context, st *store.Store, who, agentURL string, r api.EnrolmentTokenRequest) (api.NewSecret, error) {
	const op = "make an enrolment token"
	if r.Uses < 0 || r.Uses > maxUses || r.TTL != 0 && (r.TTL < minTTL || r.TTL > maxTTL) {
		return api.NewSecret{}, plimsoll.Errorf(plimsoll.CodeInvalid, op, "it may have 1 to %d uses and last one minute to 30 days", maxUses)
	}
	s := &Server{Config: Config{Store: st, Now: time.Now, AgentURL: agentURL}}
	var err error
	if s.ca, err = openAuthority(ctx, s); err != nil {
		return api.NewSecret{}, err
	}
	made, err := s.NewEnrolmentToken(ctx, who, r)
	return made, s.noteOffline(ctx, who, "add-enrolment-token", "", err)
}

// Bounds of an enrolment token, as the API has them.
const (
	maxUses = 10_000
	minTTL  = 60 // seconds
	maxTTL  = 30 * 24 * 3600
)

// RevokeEnrolmentToken ends one.
func RevokeEnrolmentToken(ctx context.Context, st *store.Store, who string, id int64) error {
	s := &Server{Config: Config{Store: st, Now: time.Now}}
	return s.noteOffline(ctx, who, "revoke-enrolment-token", "", st.RevokeEnrolmentToken(ctx, id))
}

// NewAccount adds a user, who sees the hosts with one of the labels, all without.
func NewAccount(ctx context.Context, st *store.Store, who, name, password string, role plimsoll.Role, labels []string) error {
	const op = "add a user"
	switch {
	case !slices.Contains([]plimsoll.Role{plimsoll.RoleViewer, plimsoll.RoleOperator, plimsoll.RoleAdmin}, role):
		return plimsoll.Errorf(plimsoll.CodeInvalid, op, "there is no role %q; there are viewer, operator and admin", role)
	case !validUserName(name):
		return plimsoll.Errorf(plimsoll.CodeInvalid, op, "a name has 1 to 100 letters, digits and . _ @ -")
	}
	if err := checkLabels(labels); err != nil {
		return err
	}
	hash, err := HashPassword(password)
	if err != nil {
		return err
	}
	s := &Server{Config: Config{Store: st, Now: time.Now}}
	_, err = st.AddAccount(ctx, store.Account{User: api.User{Name: name, Role: role, Labels: labels}, Password: hash})
	return s.noteOffline(ctx, who, "add-user", "name="+name, err)
}

func validUserName(name string) bool {
	for _, c := range []byte(name) {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && c != '.' && c != '_' && c != '@' && c != '-' {
			return false
		}
	}
	return name != "" && len(name) <= 100
}

// SetPassword gives a user another password and ends the user's sessions.
func SetPassword(ctx context.Context, st *store.Store, who, name, password string) error {
	a, err := st.AccountByName(ctx, name)
	if err != nil {
		return err
	}
	if a.Password, err = HashPassword(password); err != nil {
		return err
	}
	s := &Server{Config: Config{Store: st, Now: time.Now}}
	return s.noteOffline(ctx, who, "change-user", "name="+name, st.ChangeAccount(ctx, a))
}

// noteOffline adds what was done to the audit log and returns err.
func (s *Server) noteOffline(ctx context.Context, who, action, object string, err error) error {
	if noted := s.Store.Audit(ctx, api.AuditEntry{At: s.Now(), User: who, Via: "system", Action: action, Object: object, OK: err == nil}); err == nil {
		err = noted
	}
	return err
}
