package server

import (
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// browser is somebody with a session.
type browser struct {
	c      *testConsole
	client *http.Client
}

// browser returns one that has not signed in.
func (c *testConsole) browser() *browser {
	client := c.client()
	client.Jar, _ = cookiejar.New(nil)
	return &browser{c, client}
}

func (b *browser) call(method, path string, in, out any) answered {
	b.c.t.Helper()
	a := b.c.do(b.client, method, api.PublicPath+path, in, "Sec-Fetch-Site", "same-origin")
	if out != nil && a.StatusCode == http.StatusOK {
		if err := a.decode(out); err != nil {
			b.c.t.Fatal(err)
		}
	}
	return a
}

func (c *testConsole) signIn(name, password string) *browser {
	c.t.Helper()
	b := c.browser()
	if a := b.call("POST", "/login", api.Login{Name: name, Password: password}, nil); a.StatusCode != http.StatusOK {
		c.t.Fatalf("sign in as %s: %d %s", name, a.StatusCode, a.body)
	}
	return b
}

// signedIn says whether the session is in force.
func (b *browser) signedIn() bool { return b.call("GET", "/me", nil, nil).StatusCode == http.StatusOK }

func (c *testConsole) account(name string) int64 {
	c.t.Helper()
	a, err := c.Store.AccountByName(c.t.Context(), name)
	if err != nil {
		c.t.Fatal(err)
	}
	return a.ID
}

// from is a client with an address of its own.
func (c *testConsole) from(address string) *http.Client {
	client := c.client()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	client.Transport.(*http.Transport).DialContext = dialer.DialContext
	return client
}

func setupToken(link string) string {
	_, token, _ := strings.Cut(link, "#token=")
	return token
}

// The first start prints a link that makes one administrator, once, within a
// day; a console that is started again prints another.
func TestSetupLink(t *testing.T) {
	var clock clock
	c := newTestConsole(t, clock.config)
	first := c.SetupURL()
	if !strings.HasPrefix(first, c.url+"/setup#token=") || len(setupToken(first)) < 40 {
		t.Fatalf("the link is %q", first)
	}
	ask := func(token, name, password string) answered {
		return c.browser().call("POST", "/setup", api.Setup{Token: token, Name: name, Password: password}, nil)
	}
	if a := ask("invented", "root", testPassword); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.problem().Hint, "start the console again") {
		t.Errorf("an invented link: %d %s", a.StatusCode, a.body)
	}
	if a := ask(setupToken(first), "root", "short"); a.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("a short password: %d %s", a.StatusCode, a.body)
	}
	clock.pass(setupTime + time.Second)
	if a := ask(setupToken(first), "root", testPassword); a.StatusCode != http.StatusBadRequest {
		t.Errorf("after a day: %d %s", a.StatusCode, a.body)
	}

	again, err := New(t.Context(), c.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if again.SetupURL() == first {
		t.Error("the link is the same after another start")
	}
	var mu sync.Mutex
	var made int
	var all sync.WaitGroup
	for n := range 5 {
		all.Go(func() {
			a := ask(setupToken(again.SetupURL()), fmt.Sprint("root", n), testPassword)
			mu.Lock()
			defer mu.Unlock()
			if a.StatusCode == http.StatusOK {
				made++
			}
		})
	}
	all.Wait()
	if accounts, err := c.Store.Accounts(t.Context()); made != 1 || err != nil || len(accounts) != 1 || accounts[0].Role != plimsoll.RoleAdmin {
		t.Errorf("five at once made %d administrators: %+v, %v", made, accounts, err)
	}
	third, err := New(t.Context(), c.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	if third.SetupURL() != "" {
		t.Error("a console with an administrator offers a link")
	}
}

// The link signs its user in.
func TestSetupSignsIn(t *testing.T) {
	c := newTestConsole(t)
	b := c.browser()
	var me api.Me
	a := b.call("POST", "/setup", api.Setup{Token: setupToken(c.SetupURL()), Name: "root", Password: testPassword}, &me)
	if me.Name != "root" || me.Role != plimsoll.RoleAdmin || me.Via != "session" || me.Version != "test" || !b.signedIn() {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestSignInAndOut(t *testing.T) {
	c := newTestConsole(t).setUp()
	c.user("anna", plimsoll.RoleOperator, "env=prod")
	c.user("gone", plimsoll.RoleViewer)
	disabled := true
	c.must(c.admin, "PATCH", fmt.Sprintf("/users/%d", c.account("gone")), api.UserRequest{Disabled: &disabled}, nil)

	// Whether there is such a user is not told.
	var refusals []string
	for _, login := range []api.Login{{Name: "anna", Password: "wrong"}, {Name: "nobody", Password: testPassword}, {Name: "gone", Password: testPassword}, {Name: "anna"}} {
		b := c.browser()
		a := b.call("POST", "/login", login, nil)
		if a.StatusCode != http.StatusUnauthorized || len(a.Cookies()) > 0 || b.signedIn() {
			t.Errorf("%+v: %d %s", login, a.StatusCode, a.body)
		}
		refusals = append(refusals, string(a.body))
	}
	if slices.Sort(refusals); len(slices.Compact(refusals)) != 1 {
		t.Errorf("refusals differ: %q", refusals)
	}

	b := c.browser()
	fixed := &http.Cookie{Name: sessionCookie, Value: "chosen-by-somebody-else-chosen-by-somebody", Path: "/", Secure: true}
	b.client.Jar.SetCookies(mustURL(t, c.url), []*http.Cookie{fixed})
	a := b.call("POST", "/login", api.Login{Name: "anna", Password: testPassword}, nil)
	if len(a.Cookies()) != 1 {
		t.Fatalf("%d %s with cookies %v", a.StatusCode, a.body, a.Cookies())
	}
	cookie := a.Cookies()[0]
	if !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Domain != "" ||
		!strings.HasPrefix(cookie.Name, "__Host-") || time.Until(cookie.Expires) > sessionTime+time.Minute {
		t.Errorf("the cookie is %s", cookie)
	}
	if len(cookie.Value) < 40 || cookie.Value == fixed.Value {
		t.Errorf("the session's name is %q", cookie.Value)
	}
	var me api.Me
	if b.call("GET", "/me", nil, &me); me.Name != "anna" || me.Role != plimsoll.RoleOperator || !slices.Equal(me.Labels, []string{"env=prod"}) || me.Via != "session" || me.Version != "test" {
		t.Errorf("signed in as %+v", me)
	}
	if a := b.call("POST", "/logout", struct{}{}, nil); a.StatusCode != http.StatusNoContent || a.Cookies()[0].MaxAge >= 0 {
		t.Errorf("sign out: %d %v", a.StatusCode, a.Cookies())
	}
	stolen := c.do(c.client(), "GET", api.PublicPath+"/me", nil, "Cookie", cookie.Name+"="+cookie.Value)
	if b.signedIn() || stolen.StatusCode != http.StatusUnauthorized {
		t.Errorf("after signing out the session is in force: %d", stolen.StatusCode)
	}
}

// Guessing is slow: for one address whichever account it tries, and for one
// account from wherever.
func TestGuessingIsSlow(t *testing.T) {
	c := newTestConsole(t).setUp()
	c.user("anna", plimsoll.RoleViewer)
	guess := func(client *http.Client, name string) answered {
		return c.do(client, "POST", api.PublicPath+"/login", api.Login{Name: name, Password: "wrong"})
	}
	one := c.from("127.0.0.99")
	refused := 0
	for n := range 20 {
		a := guess(one, fmt.Sprint("user", n))
		if a.StatusCode == http.StatusTooManyRequests && a.Header.Get("Retry-After") != "" && a.problem().Code == codeTooMany {
			refused++
		}
	}
	if refused < 5 {
		t.Errorf("one address guessed 20 times, %d were refused", refused)
	}
	refused = 0
	for n := range 15 {
		if guess(c.from(fmt.Sprint("127.0.1.", n+1)), "anna").StatusCode == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused < 3 {
		t.Errorf("15 addresses guessed one account's password, %d were refused", refused)
	}
	if a := guess(c.from("127.0.2.1"), "root"); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("another account from another address: %d", a.StatusCode)
	}
	var log api.Page[api.AuditEntry]
	c.must(c.admin, "GET", "/audit?action=login&limit=500", nil, &log)
	if len(log.Items) < 15 || len(log.Items) > 27 {
		t.Errorf("%d guesses are in the audit log", len(log.Items))
	}
}

// A session ends with what it was given for.
func TestSessionsEnd(t *testing.T) {
	c := newTestConsole(t).setUp()
	c.user("other", plimsoll.RoleViewer)
	other := c.signIn("other", testPassword)
	disabled, operator, labels := true, plimsoll.RoleOperator, []string{"env=prod"}
	for name, change := range map[string]func(id int64){
		"password": func(id int64) {
			c.must(c.admin, "PATCH", fmt.Sprintf("/users/%d", id), api.UserRequest{Password: "another password"}, nil)
		},
		"role": func(id int64) {
			c.must(c.admin, "PATCH", fmt.Sprintf("/users/%d", id), api.UserRequest{Role: &operator}, nil)
		},
		"labels": func(id int64) {
			c.must(c.admin, "PATCH", fmt.Sprintf("/users/%d", id), api.UserRequest{Labels: &labels}, nil)
		},
		"disabled": func(id int64) {
			c.must(c.admin, "PATCH", fmt.Sprintf("/users/%d", id), api.UserRequest{Disabled: &disabled}, nil)
		},
		"removed": func(id int64) { c.must(c.admin, "DELETE", fmt.Sprintf("/users/%d", id), nil, nil) },
		"offline": func(int64) {
			if err := SetPassword(t.Context(), c.Store, "test", "user-offline", "another password"); err != nil {
				t.Fatal(err)
			}
		},
	} {
		name := "user-" + name
		c.user(name, plimsoll.RoleViewer)
		b := c.signIn(name, testPassword)
		if !b.signedIn() {
			t.Fatalf("%s is not signed in", name)
		}
		change(c.account(name))
		if b.signedIn() {
			t.Errorf("%s: the session is in force after the change", name)
		}
	}
	if !other.signedIn() {
		t.Error("another user's session ended too")
	}
}

// Somebody who is signed in and knows the password can change it; the session
// stays, the others end, and the log tells who did it.
func TestOwnPassword(t *testing.T) {
	c := newTestConsole(t).setUp()
	c.user("anna", plimsoll.RoleViewer, "env=prod")
	here, elsewhere, root := c.signIn("anna", testPassword), c.signIn("anna", testPassword), c.signIn("root", testPassword)
	const next = "another password"
	for name, test := range map[string]struct {
		change api.PasswordChange
		status int
	}{
		"wrong":   {api.PasswordChange{Old: "guessed", New: next}, http.StatusBadRequest},
		"missing": {api.PasswordChange{New: next}, http.StatusBadRequest},
		"short":   {api.PasswordChange{Old: testPassword, New: "short"}, http.StatusUnprocessableEntity},
	} {
		if a := here.call("POST", "/me/password", test.change, nil); a.StatusCode != test.status || !elsewhere.signedIn() {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	good := api.PasswordChange{Old: testPassword, New: next}
	if a := c.call(c.token("anna", plimsoll.RoleViewer), "POST", "/me/password", good, nil); a.StatusCode != http.StatusForbidden {
		t.Errorf("a token changes the password: %d %s", a.StatusCode, a.body)
	}
	if a := here.call("POST", "/me/password", good, nil); a.StatusCode != http.StatusNoContent {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if !here.signedIn() || elsewhere.signedIn() || !root.signedIn() {
		t.Errorf("signed in: here %t, elsewhere %t, another user %t", here.signedIn(), elsewhere.signedIn(), root.signedIn())
	}
	if a := c.browser().call("POST", "/login", api.Login{Name: "anna", Password: testPassword}, nil); a.StatusCode != http.StatusUnauthorized {
		t.Errorf("the old password: %d", a.StatusCode)
	}
	c.signIn("anna", next)
	var log api.Page[api.AuditEntry]
	c.must(c.admin, "GET", "/audit?action=change-password", nil, &log)
	if len(log.Items) != 5 || !log.Items[0].OK || log.Items[0].User != "anna" || log.Items[1].OK {
		t.Errorf("audit log: %+v", log.Items)
	}
	refused := false
	for range 15 { // guessing is as slow as at the door
		refused = refused || here.call("POST", "/me/password", api.PasswordChange{Old: "guessed", New: next}, nil).StatusCode == http.StatusTooManyRequests
	}
	if !refused {
		t.Error("15 guesses at once")
	}
}

// A session is over after its time.
func TestSessionTime(t *testing.T) {
	var clock clock
	c := newTestConsole(t, clock.config).setUp()
	b := c.signIn("root", testPassword)
	cookies := b.client.Jar.Cookies(mustURL(t, c.url))
	clock.pass(sessionTime + time.Minute)
	a := c.do(c.client(), "GET", api.PublicPath+"/me", nil, "Cookie", cookies[0].String())
	if a.StatusCode != http.StatusUnauthorized {
		t.Errorf("after %s: %d", sessionTime, a.StatusCode)
	}
}

// API tokens allow what they were made for, while their maker may do it, and are
// shown once.
func TestAPITokens(t *testing.T) {
	var clock clock
	c := newTestConsole(t, clock.config).setUp()
	c.user("anna", plimsoll.RoleOperator, "env=prod", "env=dev")
	anna := c.signIn("anna", testPassword)
	soon, past := clock.now().Add(time.Hour), clock.now().Add(-time.Hour)
	for name, test := range map[string]struct {
		request api.APITokenRequest
		status  int
	}{
		"more rights":  {api.APITokenRequest{Name: "n", Role: plimsoll.RoleAdmin}, 403},
		"wider":        {api.APITokenRequest{Name: "n", Role: plimsoll.RoleViewer, Labels: []string{"env=test"}}, 403},
		"over already": {api.APITokenRequest{Name: "n", Role: plimsoll.RoleViewer, Expires: &past}, 400},
		"no label":     {api.APITokenRequest{Name: "n", Role: plimsoll.RoleViewer, Labels: []string{"prod"}}, 400},
		"no role":      {api.APITokenRequest{Name: "n", Role: "root"}, 422},
		"no name":      {api.APITokenRequest{Role: plimsoll.RoleViewer}, 422},
	} {
		if a := anna.call("POST", "/tokens", test.request, nil); a.StatusCode != test.status {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	var narrow, brief, whole api.NewSecret
	anna.call("POST", "/tokens", api.APITokenRequest{Name: "narrow", Role: plimsoll.RoleViewer, Labels: []string{"env=prod"}}, &narrow)
	anna.call("POST", "/tokens", api.APITokenRequest{Name: "brief", Role: plimsoll.RoleOperator, Expires: &soon}, &brief)
	anna.call("POST", "/tokens", api.APITokenRequest{Name: "whole", Role: plimsoll.RoleOperator}, &whole)
	me := func(token string) (me api.Me, status int) {
		a := c.call(token, "GET", "/me", nil, &me)
		return me, a.StatusCode
	}
	if got, _ := me(narrow.Secret); got.Name != "anna" || got.Role != plimsoll.RoleViewer || !slices.Equal(got.Labels, []string{"env=prod"}) || got.Via != "token" || got.Token != "narrow" {
		t.Errorf("the narrow token is %+v", got)
	}
	if got, _ := me(whole.Secret); len(got.Labels) != 2 {
		t.Errorf("a token without labels sees more than its maker: %+v", got)
	}
	if a := c.call(narrow.Secret, "POST", "/syncs", api.SyncRequest{All: true}, nil); a.StatusCode != http.StatusForbidden {
		t.Errorf("a viewer's token of an operator asks for a sync: %d", a.StatusCode)
	}
	if a := c.call(brief.Secret, "POST", "/tokens", api.APITokenRequest{Name: "heir", Role: plimsoll.RoleViewer}, nil); a.StatusCode != http.StatusForbidden {
		t.Errorf("a token makes one that outlives it: %d %s", a.StatusCode, a.body)
	}

	// Shown once.
	for _, who := range []answered{anna.call("GET", "/tokens", nil, nil), c.call(c.admin, "GET", "/tokens", nil, nil)} {
		for _, secret := range []string{narrow.Secret, brief.Secret, whole.Secret} {
			if strings.Contains(string(who.body), secret) || strings.Contains(string(who.body), hashSecret(secret)) {
				t.Errorf("the list shows a secret: %s", who.body)
			}
		}
		if !strings.Contains(string(who.body), `"lastUsed"`) || !strings.Contains(string(who.body), narrow.Secret[:10]) {
			t.Errorf("the list does not let tokens be recognised: %s", who.body)
		}
	}
	c.user("eve", plimsoll.RoleOperator)
	eve := c.signIn("eve", testPassword)
	if a := eve.call("GET", "/tokens", nil, nil); strings.Contains(string(a.body), "narrow") {
		t.Errorf("another user's tokens: %s", a.body)
	}
	if a := eve.call("DELETE", fmt.Sprintf("/tokens/%d", narrow.ID), nil, nil); a.StatusCode != http.StatusNotFound {
		t.Errorf("another user ends a token: %d", a.StatusCode)
	}

	// Each ends in its way.
	clock.pass(61 * time.Minute)
	if _, status := me(brief.Secret); status != http.StatusUnauthorized {
		t.Errorf("after its time: %d", status)
	}
	anna.call("DELETE", fmt.Sprintf("/tokens/%d", narrow.ID), nil, nil)
	if _, status := me(narrow.Secret); status != http.StatusUnauthorized {
		t.Errorf("after it was revoked: %d", status)
	}
	viewer, disabled := plimsoll.RoleViewer, true
	c.must(c.admin, "PATCH", fmt.Sprintf("/users/%d", c.account("anna")), api.UserRequest{Role: &viewer}, nil)
	if got, _ := me(whole.Secret); got.Role != plimsoll.RoleViewer {
		t.Errorf("its maker is a viewer now, the token is %+v", got)
	}
	c.must(c.admin, "PATCH", fmt.Sprintf("/users/%d", c.account("anna")), api.UserRequest{Disabled: &disabled}, nil)
	if _, status := me(whole.Secret); status != http.StatusUnauthorized {
		t.Errorf("its maker is disabled: %d", status)
	}
}

// The audit log has an entry for every change and holds no secret.
func TestAuditOfAccess(t *testing.T) {
	c := newTestConsole(t)
	b := c.browser()
	b.call("POST", "/setup", api.Setup{Token: setupToken(c.SetupURL()), Name: "root", Password: testPassword}, nil)
	var secrets = []string{testPassword, setupToken(c.SetupURL())}
	id := func(a answered) int64 {
		var made struct{ ID int64 }
		if a.decode(&made) != nil || made.ID == 0 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		return made.ID
	}
	secret := func(a answered) int64 {
		var made api.NewSecret
		if a.decode(&made) != nil || made.Secret == "" {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
		secrets = append(secrets, made.Secret)
		return made.ID
	}
	role, enabled := plimsoll.RoleViewer, false
	user := id(b.call("POST", "/users", api.UserRequest{Name: "anna", Role: &role, Password: testPassword}, nil))
	b.call("PATCH", fmt.Sprintf("/users/%d", user), api.UserRequest{Disabled: &enabled}, nil)
	token := secret(b.call("POST", "/tokens", api.APITokenRequest{Name: "n", Role: plimsoll.RoleAdmin}, nil))
	c.admin = secrets[len(secrets)-1]
	join := secret(b.call("POST", "/enrolment-tokens", api.EnrolmentTokenRequest{}, nil))
	host := c.join(smallFleet, 0, nil)
	b.call("DELETE", fmt.Sprintf("/enrolment-tokens/%d", join), nil, nil)
	b.call("PATCH", fmt.Sprintf("/hosts/%d", host.id), map[string]any{"labels": map[string]string{"env": "prod"}}, nil)
	b.call("POST", fmt.Sprintf("/hosts/%d/revoke", host.id), nil, nil)
	b.call("DELETE", fmt.Sprintf("/hosts/%d", host.id), nil, nil)
	b.call("PUT", "/settings", api.DefaultSettings(), nil)
	b.call("DELETE", fmt.Sprintf("/users/%d", user), nil, nil)
	b.call("DELETE", fmt.Sprintf("/tokens/%d", token), nil, nil)
	b.call("POST", "/logout", struct{}{}, nil)
	c.browser().call("POST", "/login", api.Login{Name: "root", Password: "wrong"}, nil)
	again := c.signIn("root", testPassword)
	var log api.Page[api.AuditEntry]
	a := again.call("GET", "/audit?limit=500", nil, &log)
	for _, s := range secrets {
		if strings.Contains(string(a.body), s) || strings.Contains(string(a.body), hashSecret(s)) {
			t.Errorf("the audit log holds a secret: %s", a.body)
		}
	}
	var got []string
	for _, e := range log.Items {
		got = append(got, strings.TrimSpace(fmt.Sprintf("%s %s via %s %s %t %s", e.User, e.Action, e.Via, e.Object, e.OK, e.Detail)))
		if e.Address != "127.0.0.1" && e.Via != "system" || time.Since(e.At) > time.Minute {
			t.Errorf("%+v", e)
		}
	}
	slices.Reverse(got)
	name := smallFleet.Host(0).Name
	want := []string{
		"root setup via setup  true",
		"root add-user via session  true name=anna role=viewer",
		fmt.Sprintf("root change-user via session id=%d true name=anna role=viewer disabled=false password=false", user),
		"root add-token via session  true name=n role=admin",
		"root add-enrolment-token via session  true",
		"root add-enrolment-token via token  true",
		fmt.Sprintf("enrolment enrol via token  true token=%d host=%d name=%s", join+1, host.id, name),
		fmt.Sprintf("root revoke-enrolment-token via session id=%d true", join),
		fmt.Sprintf("root label-host via session id=%d true env=prod", host.id),
		fmt.Sprintf("root revoke-host via session id=%d true", host.id),
		fmt.Sprintf("root remove-host via session id=%d true", host.id),
		"root set-settings via session  true",
		fmt.Sprintf("root remove-user via session id=%d true", user),
		fmt.Sprintf("root revoke-token via session id=%d true", token),
		"root logout via session  true",
		"root login via session  false",
		"root login via session  true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log is\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
