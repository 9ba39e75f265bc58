package store

import (
	"context"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// Account is a user with the password's hash.
type Account struct {
	api.User
	Password string // argon2id, PHC format
}

// Accounts lists users by name.
func (s *Store) Accounts(ctx context.Context) ([]api.User, error) { panic("todo S3") }

// AccountByName returns an account, disabled or not.
func (s *Store) AccountByName(ctx context.Context, name string) (Account, error) { panic("todo S3") }

// AccountByID returns an account, disabled or not.
func (s *Store) AccountByID(ctx context.Context, id int64) (Account, error) { panic("todo S3") }

// AddAccount adds a user; CodeInvalid when the name is taken.
func (s *Store) AddAccount(ctx context.Context, a Account) (int64, error) { panic("todo S3") }

// AddFirstAccount adds the first administrator: it fails with CodeInvalid when
// there is any account, or when setupHash is not the one that SetSetup kept or
// is over. It uses the setup up.
func (s *Store) AddFirstAccount(ctx context.Context, setupHash string, a Account) (int64, error) {
	panic("todo S3")
}

// SetSetup keeps the hash of the one-time token for the first administrator.
func (s *Store) SetSetup(ctx context.Context, hash string, expires time.Time) error { panic("todo S3") }

// NeedsSetup says whether there is no account yet.
func (s *Store) NeedsSetup(ctx context.Context) (bool, error) { panic("todo S3") }

// ChangeAccount replaces role, labels, disabled and, unless empty, the
// password. Sessions of a disabled account, or after a new password, end; API
// tokens of a disabled account stop. The last enabled administrator without
// labels stays one: CodeInvalid.
func (s *Store) ChangeAccount(ctx context.Context, a Account) error { panic("todo S3") }

// RemoveAccount removes a user with sessions and tokens; never the last administrator.
func (s *Store) RemoveAccount(ctx context.Context, id int64) error { panic("todo S3") }

// NoteLogin notes that an account has signed in.
func (s *Store) NoteLogin(ctx context.Context, id int64) error { panic("todo S3") }

// Sessions is the session store that package scs asks for (scs.CtxStore); tokens
// are kept as hashes.
type Sessions struct{ Store *Store }

// EndSessions ends all sessions of an account.
func (s *Store) EndSessions(ctx context.Context, account int64) error { panic("todo S3") }

// TokenAccess is what an API token allows.
type TokenAccess struct {
	ID      int64
	Name    string
	Account string
	Role    plimsoll.Role // never more than its account's now
	Scope   plimsoll.Scope
}

// TokenAccess returns what the token with this hash allows now: CodeNotFound
// when it is unknown, expired, revoked or its account disabled. The scope is the
// part of the token's that its account sees. It notes the use, at most once a minute.
func (s *Store) TokenAccess(ctx context.Context, hash string) (TokenAccess, error) { panic("todo S3") }

// Tokens lists API tokens: of one account, or all (0).
func (s *Store) Tokens(ctx context.Context, account int64) ([]api.APIToken, error) {
	panic("todo S3")
}

// AddToken adds an API token.
func (s *Store) AddToken(ctx context.Context, account int64, hash string, t api.APIToken) (int64, error) {
	panic("todo S3")
}

// RevokeToken ends a token; of one account, or any (0).
func (s *Store) RevokeToken(ctx context.Context, account, id int64) error { panic("todo S3") }

// EnrolmentTokens lists them, newest first.
func (s *Store) EnrolmentTokens(ctx context.Context) ([]api.EnrolmentToken, error) {
	panic("todo S3")
}

// AddEnrolmentToken adds one.
func (s *Store) AddEnrolmentToken(ctx context.Context, hash string, t api.EnrolmentToken) (int64, error) {
	panic("todo S3")
}

// RevokeEnrolmentToken ends one.
func (s *Store) RevokeEnrolmentToken(ctx context.Context, id int64) error { panic("todo S3") }

// Audit adds an entry.
func (s *Store) Audit(ctx context.Context, e api.AuditEntry) error { panic("todo S3") }

// AuditFilter narrows the audit log.
type AuditFilter struct {
	User, Action string
	Since, Until time.Time
}

// AuditLog lists entries, newest first.
func (s *Store) AuditLog(ctx context.Context, f AuditFilter, l api.List) (api.Page[api.AuditEntry], error) {
	panic("todo S3")
}

// Settings returns the fleet's settings.
func (s *Store) Settings(ctx context.Context) (api.Settings, error) { panic("todo S3") }

// SetSettings replaces them.
func (s *Store) SetSettings(ctx context.Context, v api.Settings) error { panic("todo S3") }

// Secret returns a secret of the fleet (the CA's key, the session key), made by
// create on first use; consoles that ask together get the same one.
func (s *Store) Secret(ctx context.Context, name string, create func() ([]byte, error)) ([]byte, error) {
	panic("todo S3")
}
