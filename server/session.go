package server

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/store"
)

// Names and times of what lets people and programs in.
const (
	sessionCookie  = "__Host-plimsoll"
	sessionTime    = 12 * time.Hour
	sessionAccount = "account"
	tokenPrefix    = "plt_"
	setupTime      = 24 * time.Hour
)

func (s *Server) newSessions() {
	s.sessions = scs.New()
	s.sessions.Store = store.Sessions{Store: s.Store}
	s.sessions.Lifetime = sessionTime
	s.sessions.Cookie = scs.SessionCookie{Name: sessionCookie, Path: "/", HttpOnly: true, Secure: true, Persist: true, SameSite: http.SameSiteStrictMode}
}

// newSecret returns 32 random bytes as text, and the hash that is stored.
func newSecret() (secret, hash string) {
	b := make([]byte, 32)
	rand.Read(b)
	secret = base64.RawURLEncoding.EncodeToString(b)
	return secret, hashSecret(secret)
}

// hashSecret is how random secrets are stored: they need no slow hash.
func hashSecret(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}

// authenticate says who asks, by an API token or a session.
func (s *Server) authenticate(r *http.Request) (caller, error) {
	none := newProblem(http.StatusUnauthorized, codeUnauthenticated, "sign in, or send an API token")
	if header := r.Header.Get("Authorization"); header != "" {
		scheme, token, _ := strings.Cut(header, " ")
		if !strings.EqualFold(scheme, "Bearer") || !strings.HasPrefix(token, tokenPrefix) {
			return caller{}, none
		}
		a, err := s.Store.TokenAccess(r.Context(), hashSecret(token))
		if plimsoll.CodeOf(err) == plimsoll.CodeNotFound {
			return caller{}, none
		}
		if err != nil {
			return caller{}, err
		}
		return caller{name: a.Account, role: a.Role, scope: a.Scope, via: "token", token: cmp.Or(a.Name, "unnamed")}, nil
	}
	id, err := s.sessionAccount(r)
	if err != nil {
		return caller{}, err
	}
	if id == 0 {
		return caller{}, none
	}
	a, err := s.Store.AccountByID(r.Context(), id)
	if plimsoll.CodeOf(err) == plimsoll.CodeNotFound || err == nil && a.Disabled {
		return caller{}, none
	}
	if err != nil {
		return caller{}, err
	}
	return caller{name: a.Name, account: a.ID, role: a.Role, scope: a.Scope(), via: "session"}, nil
}

// sessionAccount returns the account of the request's session, 0 for none.
func (s *Server) sessionAccount(r *http.Request) (int64, error) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil || cookie.Value == "" {
		return 0, nil
	}
	ctx, err := s.sessions.Load(r.Context(), cookie.Value)
	if err != nil {
		return 0, err
	}
	return s.sessions.GetInt64(ctx, sessionAccount), nil
}

// signIn starts a session, under a token that nobody can have known before.
func (s *Server) signIn(ctx context.Context, account int64) error {
	q := requestOf(ctx)
	ctx, err := s.sessions.Load(ctx, "")
	if err != nil {
		return err
	}
	s.sessions.Put(ctx, sessionAccount, account)
	token, expires, err := s.sessions.Commit(ctx)
	if err != nil {
		return err
	}
	if err := (store.Sessions{Store: s.Store}).Bind(ctx, token, account); err != nil {
		return err
	}
	s.sessions.WriteSessionCookie(ctx, q.writer, token, expires)
	return s.Store.NoteLogin(ctx, account)
}

type loginInput struct{ Body api.Login }

// login lets somebody in. Neither its answer nor its time tells whether there is
// such a user.
func (s *Server) login(ctx context.Context, c *caller, in *loginInput) (api.Me, error) {
	q := requestOf(ctx)
	name := in.Body.Name
	c.name, c.via = "unknown", "session" // for the audit log: what was typed may be a password
	if !s.limits.address.allow(q.address) {
		return api.Me{}, tooMany(10)
	}
	a, err := s.Store.AccountByName(ctx, name)
	if err != nil && plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
		return api.Me{}, err
	}
	if err == nil {
		c.name = a.Name
	}
	if !s.limits.account.allow(name) {
		return api.Me{}, tooMany(10)
	}
	if !s.fits(ctx, a.Password, in.Body.Password) || err != nil || a.Disabled {
		return api.Me{}, newProblem(http.StatusUnauthorized, codeUnauthenticated, "name or password is wrong")
	}
	if err := s.signIn(ctx, a.ID); err != nil {
		return api.Me{}, err
	}
	c.role, c.scope = a.Role, a.Scope()
	return s.me(ctx, c, nil)
}

func (s *Server) logout(ctx context.Context, _ *caller, _ *struct{}) error {
	q := requestOf(ctx)
	if cookie, err := q.raw.Cookie(sessionCookie); err == nil {
		if err := (store.Sessions{Store: s.Store}).DeleteCtx(ctx, cookie.Value); err != nil {
			return err
		}
	}
	s.sessions.WriteSessionCookie(ctx, q.writer, "", time.Time{})
	return nil
}

func (s *Server) me(_ context.Context, c *caller, _ *struct{}) (api.Me, error) {
	return api.Me{Name: c.name, Role: c.role, Labels: c.scope.Labels, Via: c.via, Token: c.token, Version: s.Version}, nil
}

// changePassword asks for the old one: a session that was left open, or stolen,
// must not become an account.
func (s *Server) changePassword(ctx context.Context, c *caller, in *struct{ Body api.PasswordChange }) error {
	q := requestOf(ctx)
	if c.via != "session" {
		return newProblem(http.StatusForbidden, codeForbidden, "a token changes no password: sign in")
	}
	if !s.limits.address.allow(q.address) || !s.limits.account.allow(c.name) {
		return tooMany(10)
	}
	a, err := s.Store.AccountByID(ctx, c.account)
	if err != nil {
		return err
	}
	if !s.fits(ctx, a.Password, in.Body.Old) {
		return plimsoll.Errorf(plimsoll.CodeInvalid, "change your password", "the old one is wrong")
	}
	hash, err := s.hash(ctx, in.Body.New)
	if err != nil {
		return err
	}
	cookie, err := q.raw.Cookie(sessionCookie)
	if err != nil {
		return err
	}
	return s.Store.ChangePassword(ctx, a.ID, a.Password, hash, cookie.Value)
}

// offerSetup makes the link for the first administrator while there is none. A
// new one at each start: the old one was shown once.
func (s *Server) offerSetup(ctx context.Context) error {
	needs, err := s.Store.NeedsSetup(ctx)
	if err != nil || !needs {
		return err
	}
	secret, hash := newSecret()
	if err := s.Store.SetSetup(ctx, hash, s.Now().Add(setupTime)); err != nil {
		return err
	}
	s.setup = s.PublicURL + "/setup#token=" + secret // the fragment is in no log
	return nil
}

type setupInput struct{ Body api.Setup }

func (s *Server) firstSetup(ctx context.Context, c *caller, in *setupInput) (api.Me, error) {
	c.name, c.via = in.Body.Name, "setup"
	if !s.limits.address.allow(requestOf(ctx).address) {
		return api.Me{}, tooMany(10)
	}
	password, err := s.hash(ctx, in.Body.Password)
	if err != nil {
		return api.Me{}, err
	}
	a := store.Account{User: api.User{Name: in.Body.Name, Role: plimsoll.RoleAdmin}, Password: password}
	id, err := s.Store.AddFirstAccount(ctx, hashSecret(in.Body.Token), a)
	if err != nil {
		return api.Me{}, err
	}
	if err := s.signIn(ctx, id); err != nil {
		return api.Me{}, err
	}
	return api.Me{Name: a.Name, Role: a.Role, Via: "session", Version: s.Version}, nil
}
