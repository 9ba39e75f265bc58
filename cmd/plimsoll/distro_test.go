package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll"
)

// OS-08: the system is named for all images, or for those whose names fit a pattern.
func TestOS08SystemByPatternOfNames(t *testing.T) {
	var d distros
	for _, s := range []string{"alpine:3.20", "registry.example/legacy/*=centos:7", "*/legacy/web:*=debian:11", "debian:12"} {
		if err := d.Set(s); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		names []string
		want  string
	}{
		{[]string{"registry.example/legacy/web:1"}, "centos:7"}, // the first that fits
		{[]string{"other.example/legacy/web:1"}, "debian:11"},
		{[]string{"app:1", "other.example/legacy/web:2"}, "debian:11"}, // any of its names
		{[]string{"app:1"}, "alpine:3.20"},
		{nil, "alpine:3.20"}, // without a name
	} {
		if got := d.of(plimsoll.Image{Names: tt.names}); got != tt.want {
			t.Errorf("%q is judged as %q, want %q", tt.names, got, tt.want)
		}
	}
	if got := (distros{{"legacy/*", "centos:7"}}).of(plimsoll.Image{Names: []string{"app:1"}}); got != "" {
		t.Errorf("an image that no pattern fits is judged as %q", got)
	}
	if got, want := d.String(), "[alpine:3.20,registry.example/legacy/*=centos:7,*/legacy/web:*=debian:11,debian:12]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for _, bad := range []string{"", "nonesuch:1", "=debian:12", "app=", "app:*=nonesuch", "debian", "debian:", "debian:*", "debian:12:13", "app:*=euleros:2.9"} {
		if err := d.Set(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// OS-08: the report shows the system that was used, and says who named it.
func TestOS08NamedSystemIsShown(t *testing.T) {
	s := newSession(t)
	s.demo()
	db := filepath.Join(os.Getenv("PLIMSOLL_CACHE_DIR"), "sample.plim")
	scan := func(args ...string) (string, string) {
		t.Helper()
		stdout, stderr, code := s.run(append([]string{"scan", "sample/shop:1.0", "--input", s.layout, "--db-path", db}, args...)...)
		if code != exitOK && code != exitIncomplete {
			t.Fatalf("exit code %d: %s", code, stderr)
		}
		return strings.Join(strings.Fields(stdout), " "), stderr
	}
	if stdout, stderr := scan("--distro", "sample/*=debian:11"); !strings.Contains(stdout, "System Debian 11, named by the user; the image says Debian GNU/Linux 12") || strings.Contains(stderr, "--distro") {
		t.Errorf("%s\n%s", stdout, stderr)
	}
	if stdout, _ := scan("--distro", "debian:11", "-o", "json"); !strings.Contains(stdout, `"judgedAs": "Debian 11"`) {
		t.Error(stdout)
	}
	stdout, stderr := scan("--distro", "shop/*=debian:11")
	if !strings.Contains(stderr, "no image here has a name that fits shop/*") || strings.Contains(stdout, "named by the user") {
		t.Errorf("a pattern that fits nothing: %s\n%s", stderr, stdout)
	}
	write(t, "plimsoll.yaml", "distro: ['shop/*=debian:11']\n") // of all images, not of the one that is scanned
	if _, stderr := scan(); strings.Contains(stderr, "fits") {
		t.Error(stderr)
	}
}
