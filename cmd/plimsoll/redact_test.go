package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPasswordsAreReplaced(t *testing.T) {
	for text, want := range map[string]string{
		"postgres://plimsoll:hunter2@db/fleet":           "postgres://plimsoll:***@db/fleet",
		`dial "postgresql://u:p%40ss:word@[::1]:5432/f"`: `dial "postgresql://u:***@[::1]:5432/f"`,
		"https://:token@mirror.example/osv and more":     "https://:***@mirror.example/osv and more",
		"a@b://c:d@e@f": "a@b://c:***@f",
		"postgres://db/fleet?user=u&password=hunter2&sslmode=disable": "postgres://db/fleet?user=u&password=***&sslmode=disable",
		`host=db password='it\'s secret' user=u`:                      "host=db password=*** user=u",
		"sslpassword=hunter2":                                         "sslpassword=***",
		// Nothing of these is a password.
		"postgres://db:5432/fleet":          "postgres://db:5432/fleet",
		"https://host.example:8443/a@b":     "https://host.example:8443/a@b",
		"debian:12@sha256:00 and user@host": "debian:12@sha256:00 and user@host",
		"pkg:npm/%40angular/core@1.0.0":     "pkg:npm/%40angular/core@1.0.0",
		"the password was changed":          "the password was changed",
	} {
		if got := withoutPasswords(text); got != want {
			t.Errorf("%s\nbecame  %s\nwant    %s", text, got, want)
		}
	}
}

// TestPasswordsOfSettingsAreNotPrinted: neither an error about the database, nor the
// log, nor `config show` tells the password in its URL.
func TestPasswordsOfSettingsAreNotPrinted(t *testing.T) {
	const canary = "canary-of-the-database"
	file := filepath.Join(t.TempDir(), "plimsoll.yaml")
	text := "database: postgres://plimsoll:" + canary + "@127.0.0.1:1/fleet?connect_timeout=1\n" +
		"advisories: ['osv-files=https://me:" + canary + "@127.0.0.1:1/osv']\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"settings":           {"config", "show", "--origin"},
		"database away":      {"console", "--listen", "127.0.0.1:0", "-v"},
		"token":              {"token", "create"},
		"invalid database":   {"console", "--database", "postgres://u:" + canary + "@h:port/f"},
		"unknown database":   {"console", "--database", "mysql://u:" + canary + "@h/f"},
		"source away":        {"db", "update", "-v"},
		"invalid source":     {"db", "update", "--advisories", "osv-files=https://me:" + canary + "@h:port/"},
		"source of no kind":  {"db", "update", "--advisories", "none=https://me:" + canary + "@h/"},
		"unknown argument":   {"db", "update", "https://me:" + canary + "@h/"},
		"image that is none": {"scan", "https://me:" + canary + "@h/"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			args := append(args, "--config", file, "--data-dir", t.TempDir(), "--cache-dir", t.TempDir())
			code := run(context.Background(), args, strings.NewReader(""), &stdout, &stderr)
			for _, out := range []string{stdout.String(), stderr.String()} {
				if strings.Contains(out, canary) {
					t.Errorf("a password was printed:\n%s", out)
				}
			}
			if name != "settings" && code == exitOK {
				t.Errorf("%q succeeded: %s", args, stdout.String())
			}
			if name == "settings" && strings.Count(stdout.String(), "***@") < 2 {
				t.Errorf("the settings without passwords are missing:\n%s", stdout.String())
			}
		})
	}
}
