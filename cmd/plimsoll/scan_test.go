package main

import (
	"testing"

	"plimsoll"
)

// Software that was listed and that nobody was asked about is no clean image.
func TestUnjudgedSystemIsIncomplete(t *testing.T) {
	line := func(class plimsoll.Class, ecosystem string) plimsoll.Coverage {
		return plimsoll.Coverage{Class: class, Ecosystem: ecosystem, Packages: 3}
	}
	for _, tt := range []struct {
		name     string
		coverage []plimsoll.Coverage
		want     int
	}{
		{"no system, judged applications", []plimsoll.Coverage{line(plimsoll.ClassApplication, "npm")}, exitOK},
		{"no system, applications of a type without a source", []plimsoll.Coverage{line(plimsoll.ClassApplication, "")}, exitOK},
		{"a judged system with third-party packages", []plimsoll.Coverage{line(plimsoll.ClassSystem, "Debian:12"), line(plimsoll.ClassSystem, "")}, exitOK},
		{"a system without a source", []plimsoll.Coverage{line(plimsoll.ClassSystem, ""), line(plimsoll.ClassApplication, "npm")}, exitIncomplete},
	} {
		if got := exitOf(unjudged([]plimsoll.Result{{Coverage: tt.coverage}})); got != tt.want {
			t.Errorf("%s: exit code %d, want %d", tt.name, got, tt.want)
		}
	}
}
