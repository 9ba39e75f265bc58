package server

import (
	"bytes"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"plimsoll"
	"plimsoll/api"
)

// Every secret that people, programs and hosts send or are given is looked for in
// every answer, in the whole log, in a backup and in the database, where none may be,
// nor the hash by which it is known.
func TestSecretsNeverLeave(t *testing.T) {
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	s := newTwoSights(t, func(c *Config) {
		c.Log = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	secrets := map[string]string{"password": testPassword, "administrator's token": s.admin, "token of a part": s.anna}
	given := func(what string, a answered) string {
		t.Helper()
		var made api.NewSecret
		if err := a.decode(&made); err != nil || made.Secret == "" {
			t.Fatalf("%s: %d %s", what, a.StatusCode, a.body)
		}
		secrets[what] = made.Secret
		return made.Secret
	}

	// What is typed and sent at the wrong place, too.
	typed := func(what string) string {
		secrets[what] = "Canary, " + what
		return secrets[what]
	}
	for _, login := range []api.Login{
		{Name: "root", Password: typed("wrong password")},
		{Name: typed("password in the place of the name"), Password: typed("password of nobody")},
	} {
		if a := s.browser().call("POST", "/login", login, nil); a.StatusCode != http.StatusUnauthorized {
			t.Errorf("login: %d %s", a.StatusCode, a.body)
		}
	}
	root := s.signIn("root", testPassword)
	for _, cookie := range root.client.Jar.Cookies(mustURL(t, s.url)) {
		secrets["session"] = cookie.Value
	}
	if len(secrets["session"]) < 40 {
		t.Fatalf("the session's cookie is %q", secrets["session"])
	}
	root.call("POST", "/me/password", api.PasswordChange{Old: typed("wrong old password"), New: typed("password that was not taken")}, nil)
	if a := root.call("POST", "/me/password", api.PasswordChange{Old: testPassword, New: typed("new password")}, nil); a.StatusCode/100 != 2 {
		t.Fatalf("change of the password: %d %s", a.StatusCode, a.body)
	}
	given("token", root.call("POST", "/tokens", api.APITokenRequest{Name: "n", Role: plimsoll.RoleViewer}, nil))
	role := plimsoll.RoleViewer
	root.call("POST", "/users", api.UserRequest{Name: "eve", Role: &role, Password: typed("password of a new user")}, nil)
	root.call("POST", "/users", api.UserRequest{Name: "eve", Role: &role, Password: typed("password of a user there is")}, nil)
	join := given("join token", root.call("POST", "/enrolment-tokens", api.EnrolmentTokenRequest{}, nil))
	_, csr := newCSR(t)
	for range 2 { // and once more, when it is used up
		s.enrol(api.Enrol{Token: join, CSR: csr, Host: s.prod.Host(0), MachineID: "m"})
	}
	if parts := strings.Split(join, "."); len(parts) == 4 {
		secrets["secret of the join token"] = parts[2]
	}
	for _, header := range []string{"Bearer " + typed("invented token"), "Basic " + typed("basic credentials"), typed("no scheme")} {
		s.do(s.client(), "GET", api.PublicPath+"/images", nil, "Authorization", header)
	}
	s.do(s.client(), "GET", api.PublicPath+"/images?token=plt_canary-in-the-query", nil)
	secrets["token in the query"] = "plt_canary-in-the-query"
	s.browser().call("POST", "/setup", api.Setup{Token: typed("invented setup token"), Name: "eve", Password: typed("password of a late setup")}, nil)
	root.call("PUT", "/settings", map[string]any{"password": typed("setting that is none")}, nil)

	readings := s.readings()
	if len(readings) < 50 {
		t.Fatalf("only %d routes are read", len(readings))
	}
	places := make(map[string][]byte)
	for _, paths := range readings {
		for _, path := range paths {
			for who, token := range map[string]string{"all": s.admin, "a part": s.anna} {
				places["GET "+path+" by whoever sees "+who] = s.do(s.client(), "GET", path, nil, "Authorization", "Bearer "+token).body
			}
		}
	}
	var backup bytes.Buffer
	if err := s.Store.Backup(t.Context(), &backup, ""); err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	if places["the backup"], err = z.DecodeAll(backup.Bytes(), nil); err != nil {
		t.Fatal(err)
	}
	if places["the log"], err = os.ReadFile(log.Name()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(places["the log"], []byte("path=/api/v1/login")) {
		t.Fatal("the log tells nothing of requests")
	}
	if s.Database == "" {
		files, err := filepath.Glob(filepath.Join(s.DataDir, "fleet.sqlite*"))
		if err != nil || len(files) == 0 {
			t.Fatal(files, err)
		}
		for _, file := range files {
			if places["the database"+filepath.Ext(file)], err = os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	for place, text := range places {
		database := strings.HasPrefix(place, "the database")
		for what, secret := range secrets {
			if bytes.Contains(text, []byte(secret)) {
				t.Errorf("%s holds a %s: %q", place, what, secret)
			}
			if !database && place != "the backup" && bytes.Contains(text, []byte(hashSecret(secret))) {
				t.Errorf("%s holds the hash of a %s", place, what)
			}
		}
		for _, mark := range []string{"$argon2id", "PRIVATE KEY"} {
			// The database keeps both; a backup keeps the hashes of passwords.
			if database || place == "the backup" && mark == "$argon2id" {
				continue
			}
			if bytes.Contains(text, []byte(mark)) {
				t.Errorf("%s holds %s", place, mark)
			}
		}
	}
	t.Logf("looked in %d places for %d secrets", len(places), len(secrets))
}
