package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"plimsoll"
	"plimsoll/agent"
	"plimsoll/inventory"
	"plimsoll/local"
	"plimsoll/sample"
)

// An image is read from the stores of the list that the console knows; they are
// closed when a newer list took their place and nobody reads from them.
func TestMachineKeepsStoresOpenWhileTheyAreRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "images")
	if err := sample.Write(dir); err != nil {
		t.Fatal(err)
	}
	m := &machine{places: local.Options{Inputs: []string{dir}}}
	l, err := m.List(t.Context())
	if err != nil || len(l.Images) != 3 || len(l.Stores) != 1 || l.Stores[0].Images != 3 || l.Images[0].Private {
		t.Fatalf("%+v, %v", l, err)
	}
	old := m.hold()
	if _, err := m.List(t.Context()); err != nil {
		t.Fatal(err)
	}
	if old.users != 1 || m.last == old {
		t.Errorf("the old list has %d users", old.users)
	}
	m.release(old)
	r, private := m.Read(t.Context(), l.Images[0].ID, time.Minute, func(private bool) *inventory.Scanner { return local.NewScanner(nil, nil) })
	if r.Status != plimsoll.ScanComplete || private {
		t.Errorf("%s, %+v", r.Status, r.Problem)
	}
	r, _ = m.Read(t.Context(), "sha256:none", time.Minute, nil)
	if r.Status != plimsoll.ScanFailed || r.Problem.Code != plimsoll.ProblemImageGone {
		t.Errorf("%s, %+v", r.Status, r.Problem)
	}
}

func TestAgentThatHasNotJoined(t *testing.T) {
	s := newSession(t)
	_, stderr, code := s.run("agent", "--state-dir", t.TempDir())
	if code != exitError || !strings.Contains(stderr, "agent join") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	for _, args := range [][]string{
		{"agent", "join"},
		{"agent", "join", "https://127.0.0.1:1"}, // no token
		{"agent", "join", "http://127.0.0.1:1", "--token-file", write(t, filepath.Join(t.TempDir(), "token"), "plim1.1.s."+strings.Repeat("0", 64))},
	} {
		if _, stderr, code := s.run(args...); code != exitUsage {
			t.Errorf("%v: exit code %d: %s", args, code, stderr)
		}
	}
	if code := (&app{stderr: s.t.Output()}).exit(agent.ErrRevoked); code != exitRevoked {
		t.Errorf("a revoked agent ends with %d", code)
	}
}
