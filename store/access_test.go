package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	"plimsoll"
	"plimsoll/api"
)

var _ scs.CtxStore = Sessions{}

func addAccount(t *testing.T, s *Store, name string, role plimsoll.Role, labels ...string) int64 {
	t.Helper()
	id, err := s.AddAccount(t.Context(), Account{User: api.User{Name: name, Role: role, Labels: labels}, Password: "hash"})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Two people open the link of the first start at the same time: one becomes the
// administrator, the other is told that somebody was faster.
func TestFirstAccountIsMadeOnce(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		first := func(hash, name string) error {
			_, err := s.AddFirstAccount(context.Background(), hash, Account{User: api.User{Name: name}, Password: "hash"})
			return err
		}
		if err := first("", "early"); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("without a setup: %v", err)
		}
		if err := s.SetSetup(t.Context(), "abc", testStart.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		if err := first("abd", "guess"); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("with a wrong token: %v", err)
		}
		errs := make([]error, 8)
		var group sync.WaitGroup
		for i := range errs {
			group.Go(func() { errs[i] = first("abc", fmt.Sprint("admin", i)) })
		}
		group.Wait()
		won := 0
		for _, err := range errs {
			if err == nil {
				won++
			} else if plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
				t.Error(err)
			}
		}
		list, err := s.Accounts(t.Context())
		if err != nil || won != 1 || len(list) != 1 || list[0].Role != plimsoll.RoleAdmin {
			t.Errorf("%d won; accounts %+v, %v", won, list, err)
		}
		if needs, err := s.NeedsSetup(t.Context()); err != nil || needs {
			t.Errorf("needs setup: %v, %v", needs, err)
		}
	})
}

func TestSetupLinkEnds(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		if err := s.SetSetup(t.Context(), "abc", testStart.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
		pass(s, time.Hour)
		if _, err := s.AddFirstAccount(t.Context(), "abc", Account{User: api.User{Name: "late"}}); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("after its time: %v", err)
		}
	})
}

func TestLastAdministratorStays(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		admin := addAccount(t, s, "root", plimsoll.RoleAdmin)
		addAccount(t, s, "narrow", plimsoll.RoleAdmin, "env=dev")
		change := func(edit func(*Account)) error {
			a, err := s.AccountByID(t.Context(), admin)
			if err != nil {
				t.Fatal(err)
			}
			edit(&a)
			return s.ChangeAccount(t.Context(), a)
		}
		for name, edit := range map[string]func(*Account){
			"role":     func(a *Account) { a.Role = plimsoll.RoleViewer },
			"disabled": func(a *Account) { a.Disabled = true },
			"labels":   func(a *Account) { a.Labels = []string{"env=dev"} },
		} {
			if err := change(edit); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
				t.Errorf("%s of the last administrator: %v", name, err)
			}
		}
		if err := s.RemoveAccount(t.Context(), admin); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("removed the last administrator: %v", err)
		}
		// Two administrators take each other's role at the same time: one stays.
		other := addAccount(t, s, "second", plimsoll.RoleAdmin)
		errs := make([]error, 2)
		var group sync.WaitGroup
		for i, id := range []int64{admin, other} {
			group.Go(func() {
				errs[i] = s.ChangeAccount(context.Background(), Account{User: api.User{ID: id, Role: plimsoll.RoleViewer}})
			})
		}
		group.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Errorf("%v, %v: want one to fail", errs[0], errs[1])
		}
		if _, err := s.AddAccount(t.Context(), Account{User: api.User{Name: "second"}}); plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
			t.Errorf("a name was given twice: %v", err)
		}
	})
}

func TestSessionsEndForGood(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		account := addAccount(t, s, "anna", plimsoll.RoleViewer)
		addAccount(t, s, "root", plimsoll.RoleAdmin)
		sessions := Sessions{s}
		end := testStart.Add(time.Hour)
		commit := func(token string) {
			t.Helper()
			if err := sessions.CommitCtx(t.Context(), token, []byte("data of "+token), end); err != nil {
				t.Fatal(err)
			}
		}
		found := func(token string) bool {
			t.Helper()
			data, found, err := sessions.FindCtx(t.Context(), token)
			if err != nil || found && string(data) != "data of "+token {
				t.Fatalf("%q, %v", data, err)
			}
			return found
		}
		for name, stop := range map[string]func() error{
			"ended": func() error { return s.EndSessions(t.Context(), account) },
			"new password": func() error {
				return s.ChangeAccount(t.Context(), Account{User: api.User{ID: account, Role: plimsoll.RoleViewer}, Password: "new"})
			},
			"disabled": func() error {
				return s.ChangeAccount(t.Context(), Account{User: api.User{ID: account, Role: plimsoll.RoleViewer, Disabled: true}})
			},
			"signed out": func() error { return sessions.DeleteCtx(t.Context(), "signed out") },
		} {
			commit(name)
			if err := sessions.Bind(t.Context(), name, account); err != nil {
				t.Fatal(err)
			}
			commit("other " + name)
			if !found(name) {
				t.Errorf("%s: not found", name)
			}
			if err := stop(); err != nil {
				t.Fatal(err)
			}
			commit(name) // of a request that was on its way
			if found(name) || !found("other "+name) {
				t.Errorf("%s: the session came back, or another ended", name)
			}
			if err := sessions.Bind(t.Context(), name, account); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
				t.Errorf("%s: %v", name, err)
			}
		}
		var n int64
		if err := s.read(t.Context(), "look", func(t *tx) error {
			return t.row("SELECT count(*) FROM session WHERE token LIKE '%signed%' OR token LIKE '%other%'").Scan(&n)
		}); err != nil || n != 0 {
			t.Errorf("%d tokens are readable in the database, %v", n, err)
		}
		commit("long")
		pass(s, time.Hour)
		if found("long") {
			t.Error("a session is found after its end")
		}
	})
}

// Changing one's own password needs the one that is in force, and keeps no session
// but the one it was changed in.
func TestChangePassword(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		account, other := addAccount(t, s, "anna", plimsoll.RoleViewer), addAccount(t, s, "root", plimsoll.RoleAdmin)
		sessions := Sessions{s}
		for token, id := range map[string]int64{"mine": account, "forgotten": account, "root's": other} {
			if err := errors.Join(sessions.CommitCtx(t.Context(), token, []byte("data"), testStart.Add(time.Hour)), sessions.Bind(t.Context(), token, id)); err != nil {
				t.Fatal(err)
			}
		}
		a, err := s.AccountByID(t.Context(), account)
		if err != nil {
			t.Fatal(err)
		}
		in := func(token string) bool {
			_, found, err := sessions.FindCtx(t.Context(), token)
			if err != nil {
				t.Fatal(err)
			}
			return found
		}
		if err := s.ChangePassword(t.Context(), account, "another", "new", "mine"); plimsoll.CodeOf(err) != plimsoll.CodeInvalid || !in("forgotten") {
			t.Errorf("an administrator was faster: %v, sessions in force %t", err, in("forgotten"))
		}
		if err := s.ChangePassword(t.Context(), account, a.Password, "new", "mine"); err != nil {
			t.Fatal(err)
		}
		if a, err := s.AccountByID(t.Context(), account); err != nil || a.Password != "new" {
			t.Errorf("%v, the password is %q", err, a.Password)
		}
		if !in("mine") || in("forgotten") || !in("root's") {
			t.Errorf("in force: mine %t, forgotten %t, another's %t", in("mine"), in("forgotten"), in("root's"))
		}
	})
}

// A token is worth what it was made for and what its account is now, whichever
// is less.
func TestTokenAccess(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		addAccount(t, s, "root", plimsoll.RoleAdmin)
		for i, c := range []struct {
			accountRole, tokenRole, role plimsoll.Role
			account, token               []string
			all                          bool
			labels                       []string
		}{
			{plimsoll.RoleAdmin, plimsoll.RoleViewer, plimsoll.RoleViewer, nil, nil, true, nil},
			{plimsoll.RoleViewer, plimsoll.RoleAdmin, plimsoll.RoleViewer, nil, []string{"env=dev"}, false, []string{"env=dev"}},
			{plimsoll.RoleOperator, plimsoll.RoleOperator, plimsoll.RoleOperator, []string{"env=dev"}, nil, false, []string{"env=dev"}},
			{plimsoll.RoleOperator, plimsoll.RoleAdmin, plimsoll.RoleOperator, []string{"a=1", "b=2"}, []string{"b=2", "c=3"}, false, []string{"b=2"}},
			{plimsoll.RoleViewer, plimsoll.RoleViewer, plimsoll.RoleViewer, []string{"a=1"}, []string{"b=2"}, false, nil}, // sees nothing
		} {
			account := addAccount(t, s, fmt.Sprint("user", i), c.accountRole, c.account...)
			hash := fmt.Sprint("hash", i)
			id, err := s.AddToken(t.Context(), account, hash, api.APIToken{Name: "ci", Prefix: "plt", Role: c.tokenRole, Labels: c.token, Expires: new(testStart.Add(time.Hour))})
			if err != nil {
				t.Fatal(err)
			}
			a, err := s.TokenAccess(t.Context(), hash)
			if err != nil || a.ID != id || a.Role != c.role || a.Scope.All != c.all || !slices.Equal(a.Scope.Labels, c.labels) {
				t.Errorf("case %d: %+v, %v", i, a, err)
			}
			list, err := s.Tokens(t.Context(), account)
			if err != nil || len(list) != 1 || list[0].LastUsed == nil || list[0].User != a.Account {
				t.Errorf("case %d: %+v, %v", i, list, err)
			}
			if err := s.RevokeToken(t.Context(), account+1, id); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
				t.Errorf("case %d: revoked by another: %v", i, err)
			}
			var end func() error
			switch i {
			case 0:
				end = func() error { return s.RevokeToken(t.Context(), 0, id) }
			case 1:
				end = func() error {
					return s.ChangeAccount(t.Context(), Account{User: api.User{ID: account, Role: plimsoll.RoleViewer, Disabled: true}})
				}
			case 2:
				end = func() error { return s.RemoveAccount(t.Context(), account) }
			case 3:
				end = func() error { pass(s, time.Hour); return nil }
			default:
				continue
			}
			if err := end(); err != nil {
				t.Fatal(err)
			}
			if _, err := s.TokenAccess(t.Context(), hash); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
				t.Errorf("case %d: a token that is over: %v", i, err)
			}
			if i == 3 {
				pass(s, -time.Hour)
			}
		}
	})
}

func TestSecretsAreMadeOnce(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		if _, err := s.Secret(t.Context(), "ca", func() ([]byte, error) { return nil, errors.New("no entropy") }); err == nil {
			t.Error("a secret without content")
		}
		got := make([]string, 8)
		var group sync.WaitGroup
		for i := range got {
			group.Go(func() {
				b, err := s.Secret(context.Background(), "ca", func() ([]byte, error) { return []byte{byte(i), 0, 255}, nil })
				if err != nil {
					t.Error(err)
				}
				got[i] = string(b)
			})
		}
		group.Wait()
		if slices.Sort(got); got[0] != got[7] || len(got[0]) != 3 {
			t.Errorf("consoles have different secrets: %q", got)
		}
	})
}

func TestAuditLog(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		for i := range 5 {
			e := api.AuditEntry{User: fmt.Sprint("user", i%2), Via: "session", Action: "startScan", Detail: "\xff\x00<script>", OK: i != 2}
			if err := s.Audit(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			pass(s, time.Minute)
		}
		page, err := s.AuditLog(t.Context(), AuditFilter{}, api.List{Limit: 3})
		if err != nil || len(page.Items) != 3 || page.Items[0].ID <= page.Items[1].ID || page.Items[2].OK || page.Items[0].Detail != "\uFFFD\uFFFD<script>" {
			t.Errorf("%+v, %v", page, err)
		}
		rest, err := s.AuditLog(t.Context(), AuditFilter{}, api.List{Limit: 3, Cursor: page.Next})
		if err != nil || len(rest.Items) != 2 || rest.Next != "" {
			t.Errorf("%+v, %v", rest, err)
		}
		page, err = s.AuditLog(t.Context(), AuditFilter{User: "user0", Action: "startScan", Since: testStart.Add(time.Minute), Until: testStart.Add(4 * time.Minute)}, api.List{})
		if err != nil || len(page.Items) != 1 || page.Items[0].OK {
			t.Errorf("%+v, %v", page, err)
		}
	})
}

func TestEnrolmentTokens(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		id, err := s.AddEnrolmentToken(t.Context(), "h", api.EnrolmentToken{Uses: 20, Labels: plimsoll.Labels{"env": "prod"}, CreatedBy: "root", Expires: testStart.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.RevokeEnrolmentToken(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		list, err := s.EnrolmentTokens(t.Context())
		if err != nil || len(list) != 1 || list[0].Uses != 20 || list[0].Total != 20 || list[0].Labels["env"] != "prod" || !list[0].Revoked {
			t.Errorf("%+v, %v", list, err)
		}
		if err := s.RevokeEnrolmentToken(t.Context(), id+1); plimsoll.CodeOf(err) != plimsoll.CodeNotFound {
			t.Errorf("revoked what is not there: %v", err)
		}
	})
}

func TestSettingsHaveDefaults(t *testing.T) {
	contract(t, func(t *testing.T, s *Store) {
		if v, err := s.Settings(t.Context()); err != nil || v != api.DefaultSettings() {
			t.Errorf("%+v, %v", v, err)
		}
		want := api.DefaultSettings()
		want.ScanTimeout = 60
		if err := s.SetSettings(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if v, err := s.Settings(t.Context()); err != nil || v != want {
			t.Errorf("%+v, %v", v, err)
		}
	})
}
