package main

import (
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
	for _, bad := range []string{"", "nonesuch:1", "=debian:12", "app=", "app:*=nonesuch"} {
		if err := d.Set(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
