package agent

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"plimsoll"
)

// Membership is what a host that has joined a console knows of that, without
// its agent running.
type Membership struct {
	Console string // its address when the host joined
	HostID  int64
	Pin     string    // hash of the CA's public key, as join tokens carry it
	Until   time.Time // when the certificate ends unless it is renewed
	Spooled int       // reports that are not yet delivered
	id      *identity
}

// Joined reads an agent's state directory. The error has CodeUnreadable, and is
// fs.ErrNotExist when the host has joined no console.
func Joined(stateDir string) (*Membership, error) {
	id, err := loadIdentity(stateDir)
	if err != nil {
		return nil, err
	}
	sum := keyHash(id.ca)
	m := &Membership{
		Console: id.console.URL, HostID: id.console.HostID, Pin: hex.EncodeToString(sum[:]),
		Until: id.current.Load().Leaf.NotAfter, id: id,
	}
	entries, err := os.ReadDir(filepath.Join(stateDir, spoolDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // it is made when the agent starts
		return nil, plimsoll.Errorf(plimsoll.CodeUnreadable, "read the spool", "%w", err)
	}
	for _, e := range entries {
		if _, ok := parseSpooled(e.Name(), 0); ok {
			m.Spooled++
		}
	}
	return m, nil
}

// Reach asks the console, which must prove its key, whether it is there.
func (m *Membership) Reach(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, m.Console+"/healthz", nil)
	if err != nil {
		return err
	}
	client := m.id.client("")
	defer client.HTTP.CloseIdleConnections()
	response, err := client.HTTP.Do(r)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return plimsoll.Errorf(plimsoll.CodeUnavailable, "reach the console", "it answers %.100q", response.Status)
	}
	return nil
}
