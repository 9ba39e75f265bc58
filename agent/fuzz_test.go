package agent

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"plimsoll"
	"plimsoll/api"
)

// FuzzToken reads what somebody gives for a join token.
func FuzzToken(f *testing.F) {
	pin := strings.Repeat("0f", 32)
	f.Add("plim1.7.secret." + pin)
	f.Add(" plim1.7.secret." + pin + "\n")
	f.Add("plim1...")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := parseToken(text)
		if err != nil {
			if plimsoll.CodeOf(err) != plimsoll.CodeInvalid {
				t.Error(err)
			}
			return
		}
		again, err := parseToken(token.text)
		if err != nil || again != token || !strings.HasSuffix(strings.ToLower(token.text), hex.EncodeToString(token.pin[:])) {
			t.Errorf("%q was read as %+v, then as %+v (%v)", text, token, again, err)
		}
	})
}

// FuzzStateDir starts an agent's records on a directory whose files may be
// damaged: nothing of it is believed that was not written whole.
func FuzzStateDir(f *testing.F) {
	f.Add("1-r-i-0123456789abcdef.json.zst", []byte(`{"seq":3,"acked":{"sha256:00":"x"},"host":"h"}`))
	f.Add(tempPrefix+"x", []byte(`[[[[`))
	f.Add("a-b-c-d.json.zst", []byte("null"))
	f.Fuzz(func(t *testing.T, name string, content []byte) {
		dir := t.TempDir()
		if !filepath.IsLocal(name) || strings.ContainsAny(name, "/\x00") || len(name) > 255 {
			return
		}
		for _, path := range []string{"sync.json", filepath.Join(spoolDir, name)} {
			os.MkdirAll(filepath.Join(dir, spoolDir), 0o700)
			if err := os.WriteFile(filepath.Join(dir, path), content, 0o600); err != nil {
				t.Skip(err)
			}
		}
		var state syncState
		state.load(filepath.Join(dir, "sync.json"))
		if json.Unmarshal(content, new(syncState)) != nil && (state.Seq != 0 || state.Acked != nil || state.Host != "") {
			t.Errorf("a damaged record is believed: %+v", &state)
		}
		s, err := openSpool(filepath.Join(dir, spoolDir))
		if err != nil {
			t.Fatal(err)
		}
		held := s.count()
		if _, _, damaged, ok := s.next(); ok && damaged > 0 || damaged > held {
			t.Errorf("%d damaged of %d", damaged, held)
		}
	})
}

// FuzzSettings takes what a console may answer that is not ours: settings stay
// within reason.
func FuzzSettings(f *testing.F) {
	f.Add([]byte(`{"settings":{"syncHours":24,"concurrency":2,"scanTimeout":900,"memoryMB":512,"cpuPercent":100}}`))
	f.Add([]byte(`{"settings":{"syncHours":-9223372036854775808,"concurrency":9223372036854775807,"memoryMB":-1,"cpuPercent":1}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var answer api.HeartbeatAnswer
		if json.Unmarshal(body, &answer) != nil {
			return
		}
		a := &Agent{Config: Config{Shared: true}, changes: make(chan struct{}, 1)} // shared: this process keeps its limits
		a.settings.Store(&api.AgentSettings{SyncHours: 24, Concurrency: 1, ScanTimeout: 900, MemoryMB: 512, CPUPercent: 100})
		a.applySettings(answer.Settings)
		if s := a.settings.Load(); s.SyncHours < 1 || s.SyncHours > 168 || s.ScanTimeout < 10 || s.ScanTimeout > 86400 || s.MemoryMB < 64 || s.CPUPercent < 5 || s.CPUPercent > 1600 {
			t.Errorf("%s became %+v", body, s)
		}
	})
}
