package server

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/store"
)

// userName is what a user can be called.
var userName = regexp.MustCompile(`^[A-Za-z0-9._@-]{1,100}$`)

func (s *Server) accessRoutes() {
	route(s, anybody, op("POST", "/setup", "setup", "Access", "Make the first administrator, with the link of the first start"), s.firstSetup)
	route(s, anybody, op("POST", "/login", "login", "Access", "Sign in"), s.login)
	command(s, viewer, op("POST", "/logout", "logout", "Access", "Sign out"), s.logout)
	route(s, viewer, op("GET", "/me", "get-me", "Access", "Who is asking"), s.me)
	command(s, viewer, op("POST", "/me/password", "change-password", "Access", "Change your own password; your other sessions end"), s.changePassword)

	route(s, admin, op("GET", "/users", "list-users", "Access", "List users"), s.listUsers)
	route(s, admin, op("POST", "/users", "add-user", "Access", "Add a user"), s.addUser)
	route(s, admin, op("PATCH", "/users/{id}", "change-user", "Access", "Change a user"), s.changeUser)
	command(s, admin, op("DELETE", "/users/{id}", "remove-user", "Access", "Remove a user, with sessions and tokens"), s.removeUser)

	route(s, viewer, op("GET", "/tokens", "list-tokens", "Access", "List API tokens: your own, or all for administrators"), s.listTokens)
	route(s, viewer, op("POST", "/tokens", "add-token", "Access", "Make an API token"), s.addToken)
	command(s, viewer, op("DELETE", "/tokens/{id}", "revoke-token", "Access", "End an API token"), s.revokeToken)

	route(s, admin, op("GET", "/enrolment-tokens", "list-enrolment-tokens", "Hosts", "List tokens that let hosts join"), s.listEnrolmentTokens)
	route(s, admin, op("POST", "/enrolment-tokens", "add-enrolment-token", "Hosts", "Make a token that lets hosts join"), s.addEnrolmentToken)
	command(s, admin, op("DELETE", "/enrolment-tokens/{id}", "revoke-enrolment-token", "Hosts", "End a token that lets hosts join"), s.revokeEnrolmentToken)

	route(s, admin, op("GET", "/audit", "list-audit", "Access", "List who changed what"), s.listAudit)
	route(s, viewer, op("GET", "/settings", "get-settings", "Settings", "The fleet's settings"), func(ctx context.Context, _ *caller, _ *struct{}) (api.Settings, error) {
		return s.Store.Settings(ctx)
	})
	route(s, admin, op("PUT", "/settings", "set-settings", "Settings", "Replace the fleet's settings"), s.setSettings)
}

// items is a list that needs no pages.
type items[T any] struct {
	Items []T `json:"items"`
}

func itemsOf[T any](list []T, err error) (items[T], error) {
	if list == nil {
		list = []T{}
	}
	return items[T]{list}, err
}

// created is the answer about something new.
type created struct {
	ID int64 `json:"id"`
}

// ByID names what a route is about. It is exported for the API library, which
// sets no fields of embedded types that are not.
type ByID struct {
	ID int64 `path:"id" minimum:"1" doc:"its ID"`
}

func (s *Server) listUsers(ctx context.Context, c *caller, _ *struct{}) (items[api.User], error) {
	if err := unbounded(c); err != nil {
		return items[api.User]{}, err
	}
	return itemsOf(s.Store.Accounts(ctx))
}

// unbounded says whether the caller may hand out rights over the whole fleet.
func unbounded(c *caller) error {
	if !c.scope.All {
		return newProblem(403, codeForbidden, "this is about the whole fleet, of which you see a part")
	}
	return nil
}

func checkLabels(labels []string) error {
	for _, l := range labels {
		if err := checkLabel(l); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) addUser(ctx context.Context, c *caller, in *struct{ Body api.UserRequest }) (created, error) {
	if err := unbounded(c); err != nil {
		return created{}, err
	}
	b := in.Body
	if b.Name == "" || b.Role == nil {
		return created{}, plimsoll.Errorf(plimsoll.CodeInvalid, "add a user", "give a name and a role")
	}
	a := store.Account{User: api.User{Name: b.Name, Role: *b.Role}}
	if b.Labels != nil {
		a.Labels = *b.Labels
	}
	if b.Disabled != nil {
		a.Disabled = *b.Disabled
	}
	if err := checkLabels(a.Labels); err != nil {
		return created{}, err
	}
	var err error
	if a.Password, err = s.hash(ctx, b.Password); err != nil {
		return created{}, err
	}
	requestOf(ctx).detail = fmt.Sprintf("name=%s role=%s", a.Name, a.Role)
	id, err := s.Store.AddAccount(ctx, a)
	return created{id}, err
}

type changeUserInput struct {
	ByID
	Body api.UserRequest
}

func (s *Server) changeUser(ctx context.Context, c *caller, in *changeUserInput) (api.User, error) {
	if err := unbounded(c); err != nil {
		return api.User{}, err
	}
	a, err := s.Store.AccountByID(ctx, in.ID)
	if err != nil {
		return api.User{}, err
	}
	b, before := in.Body, a.User
	if b.Name != "" && b.Name != a.Name {
		return api.User{}, plimsoll.Errorf(plimsoll.CodeInvalid, "change a user", "names stay: what somebody did hangs on them")
	}
	if b.Role != nil {
		a.Role = *b.Role
	}
	if b.Labels != nil {
		a.Labels = *b.Labels
	}
	if b.Disabled != nil {
		a.Disabled = *b.Disabled
	}
	if err := checkLabels(a.Labels); err != nil {
		return api.User{}, err
	}
	a.Password = "" // stays
	if b.Password != "" {
		if a.Password, err = s.hash(ctx, b.Password); err != nil {
			return api.User{}, err
		}
	}
	requestOf(ctx).detail = fmt.Sprintf("name=%s role=%s disabled=%t password=%t", a.Name, a.Role, a.Disabled, b.Password != "")
	if err := s.Store.ChangeAccount(ctx, a); err != nil {
		return api.User{}, err
	}
	// What a page shows was fetched with other rights: it has to be left. A new
	// password and the end of an account end sessions in the store.
	if a.Role != before.Role || !slices.Equal(a.Labels, before.Labels) {
		err = s.Store.EndSessions(ctx, a.ID)
	}
	return a.User, err
}

func (s *Server) removeUser(ctx context.Context, c *caller, in *ByID) error {
	if err := unbounded(c); err != nil {
		return err
	}
	return s.Store.RemoveAccount(ctx, in.ID)
}

// ownAccount returns the account whose tokens the caller manages, 0 for any.
func (s *Server) ownAccount(ctx context.Context, c *caller) (int64, error) {
	if c.who() == "" {
		return 0, nil
	}
	if c.account != 0 {
		return c.account, nil
	}
	a, err := s.Store.AccountByName(ctx, c.name)
	return a.ID, err
}

func (s *Server) listTokens(ctx context.Context, c *caller, _ *struct{}) (items[api.APIToken], error) {
	account, err := s.ownAccount(ctx, c)
	if err != nil {
		return items[api.APIToken]{}, err
	}
	return itemsOf(s.Store.Tokens(ctx, account))
}

func (s *Server) addToken(ctx context.Context, c *caller, in *struct{ Body api.APITokenRequest }) (api.NewSecret, error) {
	const op = "make an API token"
	b := in.Body
	if c.via == "token" { // which would outlive its end
		return api.NewSecret{}, newProblem(403, codeForbidden, "a token makes no tokens: sign in")
	}
	if !c.role.Allows(b.Role) {
		return api.NewSecret{}, newProblem(403, codeForbidden, "a token cannot do more than its maker")
	}
	if err := checkLabels(b.Labels); err != nil {
		return api.NewSecret{}, err
	}
	if len(b.Labels) == 0 && !c.scope.All {
		b.Labels = c.scope.Labels
	}
	for _, l := range b.Labels {
		if !c.scope.All && !slices.Contains(c.scope.Labels, l) {
			return api.NewSecret{}, newProblem(403, codeForbidden, "a token cannot see more than its maker")
		}
	}
	if b.Expires != nil && !b.Expires.After(s.Now()) {
		return api.NewSecret{}, plimsoll.Errorf(plimsoll.CodeInvalid, op, "its end lies in the past")
	}
	secret, _ := newSecret()
	secret = tokenPrefix + secret
	requestOf(ctx).detail = fmt.Sprintf("name=%s role=%s", b.Name, b.Role)
	id, err := s.Store.AddToken(ctx, c.account, hashSecret(secret), api.APIToken{
		Name: b.Name, Prefix: secret[:len(tokenPrefix)+6], Role: b.Role, Labels: b.Labels, Expires: b.Expires,
	})
	return api.NewSecret{ID: id, Secret: secret}, err
}

func (s *Server) revokeToken(ctx context.Context, c *caller, in *ByID) error {
	account, err := s.ownAccount(ctx, c)
	if err != nil {
		return err
	}
	return s.Store.RevokeToken(ctx, account, in.ID)
}

func (s *Server) listEnrolmentTokens(ctx context.Context, c *caller, _ *struct{}) (items[api.EnrolmentToken], error) {
	if err := unbounded(c); err != nil {
		return items[api.EnrolmentToken]{}, err
	}
	return itemsOf(s.Store.EnrolmentTokens(ctx))
}

// NewEnrolmentToken makes a token that lets hosts join.
func (s *Server) NewEnrolmentToken(ctx context.Context, who string, r api.EnrolmentTokenRequest) (api.NewSecret, error) {
	return newEnrolmentToken(ctx, s.Store, s.ca, r, who, s.AgentURL, s.Now())
}

func (s *Server) addEnrolmentToken(ctx context.Context, c *caller, in *struct{ Body api.EnrolmentTokenRequest }) (api.NewSecret, error) {
	if err := unbounded(c); err != nil {
		return api.NewSecret{}, err
	}
	return s.NewEnrolmentToken(ctx, c.name, in.Body)
}

func (s *Server) revokeEnrolmentToken(ctx context.Context, c *caller, in *ByID) error {
	if err := unbounded(c); err != nil {
		return err
	}
	return s.Store.RevokeEnrolmentToken(ctx, in.ID)
}

type auditInput struct {
	User   string    `query:"user" maxLength:"100" doc:"who did it"`
	Action string    `query:"action" maxLength:"100" doc:"the operation"`
	Since  time.Time `query:"since" doc:"at or after"`
	Until  time.Time `query:"until" doc:"before"`
	Paging
}

func (s *Server) listAudit(ctx context.Context, c *caller, in *auditInput) (api.Page[api.AuditEntry], error) {
	if err := unbounded(c); err != nil {
		return api.Page[api.AuditEntry]{}, err
	}
	return s.Store.AuditLog(ctx, store.AuditFilter{User: in.User, Action: in.Action, Since: in.Since, Until: in.Until}, in.list(""))
}

func (s *Server) setSettings(ctx context.Context, c *caller, in *struct{ Body api.Settings }) (api.Settings, error) {
	if err := unbounded(c); err != nil {
		return api.Settings{}, err
	}
	if err := s.Store.SetSettings(ctx, in.Body); err != nil {
		return api.Settings{}, err
	}
	return s.Store.Settings(ctx)
}
