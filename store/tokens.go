package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// Sessions is the session store that package scs asks for (scs.CtxStore); tokens
// are kept as hashes. A session that was ended stays as a mark until its time is
// over: a request that was on its way cannot bring it back.
type Sessions struct{ Store *Store }

// ended is the account_id of a session that was ended.
const ended = -1

func sessionKey(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}

// Find is FindCtx without a context.
func (s Sessions) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit is CommitCtx without a context.
func (s Sessions) Commit(token string, data []byte, expires time.Time) error {
	return s.CommitCtx(context.Background(), token, data, expires)
}

// Delete is DeleteCtx without a context.
func (s Sessions) Delete(token string) error { return s.DeleteCtx(context.Background(), token) }

// FindCtx returns the data of a session that is not over.
func (s Sessions) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	err = s.Store.read(ctx, "find a session", func(t *tx) error {
		err := t.row("SELECT data FROM session WHERE token = ? AND expires > ? AND account_id <> ?",
			sessionKey(token), t.now, ended).Scan(&data)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		found = err == nil
		return err
	})
	return data, found, err
}

// CommitCtx keeps the data of a session, unless it was ended.
func (s Sessions) CommitCtx(ctx context.Context, token string, data []byte, expires time.Time) error {
	if data == nil {
		data = []byte{}
	}
	return s.Store.write(ctx, "keep a session", func(t *tx) error {
		_, err := t.exec("INSERT INTO session (token, data, expires) VALUES (?, ?, ?) ON CONFLICT (token) DO UPDATE SET "+
			"data = excluded.data, expires = excluded.expires WHERE session.account_id <> ?", sessionKey(token), data, ms(expires), ended)
		return err
	})
}

// DeleteCtx ends a session.
func (s Sessions) DeleteCtx(ctx context.Context, token string) error {
	return s.Store.write(ctx, "end a session", func(t *tx) error { return t.endSessions("token = ?", sessionKey(token)) })
}

// Bind says whose session it is, after it was committed, so that EndSessions
// finds it. CodeNotFound when the session is over.
func (s Sessions) Bind(ctx context.Context, token string, account int64) error {
	return s.Store.write(ctx, "bind a session", func(t *tx) error {
		result, err := t.exec("UPDATE session SET account_id = ? WHERE token = ? AND account_id <> ?", account, sessionKey(token), ended)
		return changed(result, err, "session", "with this token")
	})
}

func (t *tx) endSessions(condition string, args ...any) error {
	_, err := t.exec("UPDATE session SET account_id = ?, data = ? WHERE "+condition, append([]any{ended, []byte{}}, args...)...)
	return err
}

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
func (s *Store) TokenAccess(ctx context.Context, hash string) (TokenAccess, error) {
	var a TokenAccess
	var noted int64
	err := s.read(ctx, "find an API token", func(t *tx) error {
		var most plimsoll.Role
		var mine, theirs string
		err := t.row("SELECT api_token.id, api_token.name, api_token.role, api_token.labels, last_used, account.name, account.role, account.labels "+
			"FROM api_token JOIN account ON account.id = account_id "+
			"WHERE hash = ? AND revoked = 0 AND (expires = 0 OR expires > ?) AND disabled = 0", hash, t.now).
			Scan(&a.ID, &a.Name, &a.Role, &mine, &noted, &a.Account, &most, &theirs)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound("API token", "in force with this value")
		}
		if err != nil {
			return err
		}
		if !most.Allows(a.Role) {
			a.Role = most
		}
		var token, account api.User
		if err := errors.Join(json.Unmarshal([]byte(mine), &token.Labels), json.Unmarshal([]byte(theirs), &account.Labels)); err != nil {
			return err
		}
		a.Scope = intersect(token.Scope(), account.Scope())
		return nil
	})
	const minute = 60_000
	if now := s.now().UnixMilli(); err == nil && now-noted >= minute {
		noteErr := s.write(ctx, "note the use of an API token", func(t *tx) error {
			_, err := t.exec("UPDATE api_token SET last_used = ? WHERE id = ? AND last_used < ?", now, a.ID, now)
			return err
		})
		if noteErr != nil { // a full disk must not keep readers out
			s.log.WarnContext(ctx, "the use of an API token was not noted", "error", noteErr)
		}
	}
	return a, err
}

// intersect returns what both scopes allow; labels that only one names are not
// in it.
func intersect(a, b plimsoll.Scope) plimsoll.Scope {
	switch {
	case a.All:
		return b
	case b.All:
		return a
	}
	var both plimsoll.Scope
	for _, l := range a.Labels {
		if slices.Contains(b.Labels, l) {
			both.Labels = append(both.Labels, l)
		}
	}
	return both
}

// Tokens lists API tokens: of one account, or all (0).
func (s *Store) Tokens(ctx context.Context, account int64) ([]api.APIToken, error) {
	var w where
	if account != 0 {
		w.and("account_id = ?", account)
	}
	list := []api.APIToken{}
	err := s.read(ctx, "list API tokens", func(t *tx) error {
		rows, err := t.query("SELECT api_token.id, api_token.name, prefix, account.name, api_token.role, api_token.labels, api_token.created, "+
			"expires, last_used, revoked FROM api_token JOIN account ON account.id = account_id"+w.String()+" ORDER BY api_token.id DESC", w.args...)
		return each(rows, err, func(scan func(...any) error) error {
			var a api.APIToken
			var labels string
			var created, expires, used, revoked int64
			if err := scan(&a.ID, &a.Name, &a.Prefix, &a.User, &a.Role, &labels, &created, &expires, &used, &revoked); err != nil {
				return err
			}
			a.Created, a.Expires, a.LastUsed, a.Revoked = moment(created), momentOrNil(expires), momentOrNil(used), revoked > 0
			list = append(list, a)
			return json.Unmarshal([]byte(labels), &list[len(list)-1].Labels)
		})
	})
	return list, err
}

// AddToken adds an API token.
func (s *Store) AddToken(ctx context.Context, account int64, hash string, a api.APIToken) (id int64, err error) {
	var expires int64
	if a.Expires != nil {
		expires = ms(*a.Expires)
	}
	err = s.write(ctx, "add an API token", func(t *tx) (err error) {
		id, err = t.id("INSERT INTO api_token (name, prefix, hash, account_id, role, labels, created, expires) "+
			"SELECT ?, ?, ?, id, ?, ?, ?, ? FROM account WHERE id = ? RETURNING id",
			plain(a.Name), a.Prefix, hash, a.Role, jsonList(a.Labels), t.now, expires, account)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound("user", account)
		}
		return err
	})
	return id, err
}

// RevokeToken ends a token; of one account, or any (0).
func (s *Store) RevokeToken(ctx context.Context, account, id int64) error {
	var w where
	w.and("id = ?", id)
	if account != 0 {
		w.and("account_id = ?", account)
	}
	return s.write(ctx, "revoke an API token", func(t *tx) error { return t.revoke("api_token", "API token", w, id) })
}

// revoke notes in a table since when a row is revoked.
func (t *tx) revoke(table, what string, w where, id int64) error {
	result, err := t.exec("UPDATE "+table+" SET revoked = CASE revoked WHEN 0 THEN ? ELSE revoked END"+w.String(),
		append([]any{t.now}, w.args...)...)
	return changed(result, err, what, id)
}

// EnrolmentTokens lists them, newest first.
func (s *Store) EnrolmentTokens(ctx context.Context) ([]api.EnrolmentToken, error) {
	list := []api.EnrolmentToken{}
	err := s.read(ctx, "list enrolment tokens", func(t *tx) error {
		rows, err := t.query("SELECT id, uses, total, labels, created, created_by, expires, revoked FROM enrolment_token ORDER BY id DESC")
		return each(rows, err, func(scan func(...any) error) error {
			var e api.EnrolmentToken
			var labels string
			var created, expires, revoked int64
			if err := scan(&e.ID, &e.Uses, &e.Total, &labels, &created, &e.CreatedBy, &expires, &revoked); err != nil {
				return err
			}
			e.Created, e.Expires, e.Revoked = moment(created), moment(expires), revoked > 0
			list = append(list, e)
			return json.Unmarshal([]byte(labels), &list[len(list)-1].Labels)
		})
	})
	return list, err
}

// AddEnrolmentToken adds one.
func (s *Store) AddEnrolmentToken(ctx context.Context, hash string, e api.EnrolmentToken) (id int64, err error) {
	labels := e.Labels
	if labels == nil {
		labels = plimsoll.Labels{}
	}
	err = s.write(ctx, "add an enrolment token", func(t *tx) (err error) {
		id, err = t.id("INSERT INTO enrolment_token (hash, uses, total, labels, created, created_by, expires) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
			hash, e.Uses, e.Uses, jsonText(labels), t.now, plain(e.CreatedBy), ms(e.Expires))
		return err
	})
	return id, err
}

// RevokeEnrolmentToken ends one.
func (s *Store) RevokeEnrolmentToken(ctx context.Context, id int64) error {
	var w where
	w.and("id = ?", id)
	return s.write(ctx, "revoke an enrolment token", func(t *tx) error {
		return t.revoke("enrolment_token", "enrolment token", w, id)
	})
}
