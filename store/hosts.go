package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// An agent whose last contact is longer ago is late, then offline. Heartbeats
// come every minute.
const (
	LateAfter    = 150 * time.Second
	OfflineAfter = 5 * time.Minute
)

// AgentHost is what the console needs to know of a host whose agent asks.
type AgentHost struct {
	ID        int64
	Name      string
	Revoked   bool
	Analyzers string
}

// NewHost is a host that joins.
type NewHost struct {
	TokenID   int64
	TokenHash string
	Facts     api.HostFacts
	MachineID string
}

// EnrolHost uses up one use of an enrolment token and adds a host with the
// token's labels, both or neither. issue makes the certificate for the host's ID
// and returns its fingerprint. A token that is unknown, expired, revoked or used
// up is CodeNotFound.
func (s *Store) EnrolHost(ctx context.Context, h NewHost, issue func(hostID int64) (fingerprint string, err error)) (int64, error) {
	const op = "enrol the host"
	c := &syncCheck{}
	c.host(&h.Facts)
	c.word("host.name", h.Facts.Name, maxWord)
	c.text("machineID", h.MachineID, maxWord)
	if c.err != nil {
		return 0, c.err
	}
	addresses, err := json.Marshal(orNone(h.Facts.Addresses))
	if err != nil {
		return 0, storeError(op, err)
	}
	var id int64
	err = s.write(ctx, op, func(t *tx) error {
		var text string
		err := t.row(`UPDATE enrolment_token SET uses = uses - 1
			WHERE id = ? AND hash = ? AND revoked = 0 AND expires > ? AND uses > 0 RETURNING labels`, h.TokenID, h.TokenHash, t.now).Scan(&text)
		if errors.Is(err, sql.ErrNoRows) {
			return &plimsoll.Error{Code: plimsoll.CodeNotFound, Op: op, Err: errors.New("the token is unknown, expired, revoked or used up"),
				Hint: "make a new one on the console"}
		}
		if err != nil {
			return err
		}
		var labels plimsoll.Labels
		if err := json.Unmarshal([]byte(text), &labels); err != nil {
			return err
		}
		id, err = t.id(`INSERT INTO host (name, machine, os, kernel, arch, addresses, agent_version, analyzers, enrolled)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id`, h.Facts.Name, h.MachineID, h.Facts.OS, h.Facts.Kernel, h.Facts.Arch,
			string(addresses), h.Facts.AgentVersion, h.Facts.Analyzers, t.now)
		if err != nil {
			return err
		}
		if err := t.labelHost(id, labels); err != nil {
			return err
		}
		fingerprint, err := issue(id)
		if err != nil {
			return err
		}
		_, err = t.exec("UPDATE host SET certificate = ? WHERE id = ?", fingerprint, id)
		return err
	})
	return id, err
}

// HostByCertificate returns the host that a certificate's fingerprint belongs
// to: the current certificate, whose use ends the one before, or that one.
func (s *Store) HostByCertificate(ctx context.Context, fingerprint string) (AgentHost, error) {
	const op = "find the host of a certificate"
	var h AgentHost
	if fingerprint == "" {
		return h, notFound("host", "with this certificate")
	}
	var renewed bool
	err := s.read(ctx, op, func(t *tx) error {
		var revoked int64
		var current, before string
		err := t.row(`SELECT id, name, revoked, analyzers, certificate, certificate_before FROM host
			WHERE certificate = ? OR certificate_before = ?`, fingerprint, fingerprint).
			Scan(&h.ID, &h.Name, &revoked, &h.Analyzers, &current, &before)
		h.Revoked, renewed = revoked != 0, current == fingerprint && before != ""
		return err
	})
	if plimsoll.CodeOf(err) == plimsoll.CodeNotFound {
		return AgentHost{}, notFound("host", "with this certificate")
	}
	if err == nil && renewed {
		err = s.write(ctx, op, func(t *tx) error {
			_, err := t.exec("UPDATE host SET certificate_before = '' WHERE id = ? AND certificate = ?", h.ID, fingerprint)
			return err
		})
	}
	return h, err
}

// RenewCertificate replaces a host's certificate; the one before stays valid
// until the new one is used.
func (s *Store) RenewCertificate(ctx context.Context, hostID int64, fingerprint string) error {
	return s.write(ctx, "renew the certificate of a host", func(t *tx) error {
		result, err := t.exec("UPDATE host SET certificate_before = certificate, certificate = ? WHERE id = ? AND revoked = 0 AND certificate <> ?",
			fingerprint, hostID, fingerprint)
		return changed(result, err, "host", hostID)
	})
}

// changed turns "no row was changed" into CodeNotFound.
func changed(result sql.Result, err error, what string, id any) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	if err == nil && n == 0 {
		err = notFound(what, id)
	}
	return err
}

// Heartbeat notes that a host's agent is alive. Two machines that take turns
// with one identity mark the host as cloned.
func (s *Store) Heartbeat(ctx context.Context, hostID int64, h api.Heartbeat) error {
	c := &syncCheck{}
	c.text("machineID", h.MachineID, maxWord)
	c.text("boot", h.Boot, 64)
	if strings.ContainsAny(h.Boot, " ") {
		c.fail("boot", "with a space")
	}
	if c.err != nil {
		return c.err
	}
	started := false // the agent, since the last heartbeat
	err := s.write(ctx, "note a heartbeat", func(t *tx) error {
		var known string
		err := t.row("SELECT boot FROM host WHERE id = ? AND revoked = 0", hostID).Scan(&known)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound("host", hostID)
		}
		if err != nil {
			return err
		}
		boots, returned := takeTurn(known, h.Boot)
		started = boots != known && !returned && known != ""
		var skew int64 // seconds
		if !h.Now.IsZero() {
			const tolerated = 60
			if skew = h.Now.Unix() - t.now/1000; -tolerated <= skew && skew <= tolerated {
				skew = 0
			}
		}
		_, err = t.exec(`UPDATE host SET last_seen = ?, clock_skew = ?, boot = ?, machine = ?, spool_dropped = ?,
			cloned = CASE WHEN ? = 1 THEN 1 ELSE cloned END WHERE id = ?`,
			t.now, skew, boots, h.MachineID, max(h.Dropped, 0), bit(returned), hostID)
		return err
	})
	if err == nil && started {
		err = s.loseLeases(ctx, hostID)
	}
	return err
}

// takeTurn notes the start of an agent's process that speaks now. An agent that
// was started again never speaks from an earlier start: where one does, two
// machines take turns.
func takeTurn(known, boot string) (boots string, returned bool) {
	const kept = 8 // starts, the newest first
	list := strings.Fields(known)
	i := slices.Index(list, boot)
	if boot == "" || i == 0 {
		return known, false
	}
	if i > 0 {
		list = slices.Delete(list, i, i+1)
	}
	list = slices.Insert(list, 0, boot)
	return strings.Join(list[:min(len(list), kept)], " "), i > 0
}

// stateCondition returns an agent's state as a condition on table h, nothing for
// a word that is no state.
func stateCondition(state plimsoll.AgentState, now int64) (condition string, args []any) {
	late, offline := now-LateAfter.Milliseconds(), now-OfflineAfter.Milliseconds()
	switch state {
	case plimsoll.AgentRevoked:
		return "h.revoked > 0", nil
	case plimsoll.AgentNever:
		return "h.revoked = 0 AND h.last_seen = 0", nil
	case plimsoll.AgentOnline:
		return "h.revoked = 0 AND h.last_seen >= ?", []any{late}
	case plimsoll.AgentLate:
		return "h.revoked = 0 AND h.last_seen < ? AND h.last_seen >= ?", []any{late, offline}
	case plimsoll.AgentOffline:
		return "h.revoked = 0 AND h.last_seen > 0 AND h.last_seen < ?", []any{offline}
	}
	return "", nil
}

func agentState(revoked, lastSeen, now int64) plimsoll.AgentState {
	switch {
	case revoked > 0:
		return plimsoll.AgentRevoked
	case lastSeen == 0:
		return plimsoll.AgentNever
	case lastSeen >= now-LateAfter.Milliseconds():
		return plimsoll.AgentOnline
	case lastSeen >= now-OfflineAfter.Milliseconds():
		return plimsoll.AgentLate
	}
	return plimsoll.AgentOffline
}

var hostKeys = []sortKey{
	{name: "name", column: "h.name", kind: keyText},
	{name: "lastSeen", column: "h.last_seen", desc: true},
	{name: "images", column: "h.images", desc: true},
}

// hostProblems finds hosts h with something that the agent cannot read. A revoked
// one tells nothing any more.
const hostProblems = "h.revoked = 0 AND h.problem_count > 0"

// Hosts lists hosts.
func (s *Store) Hosts(ctx context.Context, scope plimsoll.Scope, f api.HostFilter, l api.List) (page api.Page[api.Host], err error) {
	k, err := newKeyset(l, "hosts", "h.id", hostKeys)
	if err != nil {
		return page, err
	}
	var w where
	w.seesHost(scope, "h.id")
	if f.Query != "" {
		w.and(like("lower(h.name)")+" OR "+like("h.addresses"), likePattern(f.Query), likePattern(f.Query))
	}
	if f.Label != "" {
		w.and("h.id IN (SELECT host_id FROM host_label WHERE label = ?)", f.Label)
	}
	if f.Vuln != "" {
		text, args := exposed(f.Vuln)
		// "+": whether an image of the host is among them, not each of them on each host.
		w.and("EXISTS (SELECT 1 FROM host_image o WHERE o.host_id = h.id AND +o.image_id IN ("+text+"))", args...)
	}
	if f.Problems {
		w.and(hostProblems)
	}
	if f.IDs != nil {
		in(&w, "h.id", f.IDs)
	}
	if f.State != "" {
		condition, args := stateCondition(plimsoll.AgentState(f.State), s.now().UnixMilli())
		if condition == "" {
			return page, plimsoll.Errorf(plimsoll.CodeInvalid, "list hosts", "there is no such state")
		}
		w.and(condition, args...)
	}
	err = s.read(ctx, "list hosts", func(t *tx) error {
		page, err = t.hosts(k, w)
		return err
	})
	return page, err
}

// Host returns one host.
func (s *Store) Host(ctx context.Context, scope plimsoll.Scope, id int64) (host api.Host, err error) {
	k, err := newKeyset(api.List{}, "hosts", "h.id", hostKeys)
	if err != nil {
		return host, err
	}
	var w where
	w.seesHost(scope, "h.id")
	w.and("h.id = ?", id)
	err = s.read(ctx, "find the host", func(t *tx) error {
		page, err := t.hosts(k, w)
		if err == nil && len(page.Items) == 0 {
			err = notFound("host", id)
		}
		if err == nil {
			host = page.Items[0]
		}
		return err
	})
	return host, err
}

func (t *tx) hosts(k *keyset, w where) (api.Page[api.Host], error) {
	page, err := fetch(t, k, `h.id, h.name, h.agent_version, h.os, h.kernel, h.arch, h.addresses, h.stores, h.problems, h.enrolled,
		h.last_seen, h.last_sync, h.clock_skew, h.cloned, h.spool_dropped, h.revoked, h.images, h.containers, h.running`, "host h", w,
		func(scan func(...any) error) (h api.Host, err error) {
			var addresses, stores, problems string
			var enrolled, lastSeen, lastSync, cloned, revoked int64
			if err := scan(&h.ID, &h.Name, &h.AgentVersion, &h.OS, &h.Kernel, &h.Arch, &addresses, &stores, &problems, &enrolled,
				&lastSeen, &lastSync, &h.ClockSkew, &cloned, &h.SpoolDropped, &revoked, &h.Images, &h.Containers, &h.Running); err != nil {
				return h, err
			}
			h.State = agentState(revoked, lastSeen, t.now)
			h.Enrolled, h.LastSeen, h.LastSync, h.Cloned = moment(enrolled), momentOrNil(lastSeen), momentOrNil(lastSync), cloned != 0
			h.Labels = plimsoll.Labels{}
			return h, errors.Join(json.Unmarshal([]byte(addresses), &h.Addresses), json.Unmarshal([]byte(stores), &h.Stores),
				json.Unmarshal([]byte(problems), &h.Problems))
		})
	if err == nil {
		page.Total, err = t.count("host h", w)
	}
	if err != nil || len(page.Items) == 0 {
		return page, err
	}
	at := make(map[int64]plimsoll.Labels)
	ids := make([]int64, len(page.Items))
	for i, h := range page.Items {
		at[h.ID], ids[i] = h.Labels, h.ID
	}
	rows, err := t.query("SELECT host_id, label FROM host_label WHERE host_id IN ("+marks(len(ids))+")", args(ids)...)
	err = each(rows, err, func(scan func(...any) error) error {
		var id int64
		var label string
		if err := scan(&id, &label); err != nil {
			return err
		}
		key, value, _ := strings.Cut(label, "=")
		at[id][key] = value
		return nil
	})
	return page, err
}

// SetHostLabels replaces a host's labels; "id" stays.
func (s *Store) SetHostLabels(ctx context.Context, id int64, labels plimsoll.Labels) error {
	const most = 64
	if len(labels) > most {
		return plimsoll.Errorf(plimsoll.CodeInvalid, "label the host", "%d labels, at most %d", len(labels), most)
	}
	for key, value := range labels {
		if key != "id" && (!plimsoll.ValidLabel(key, value) || !storable(value)) {
			return plimsoll.Errorf(plimsoll.CodeInvalid, "label the host", "%.80q cannot be a label", key+"="+value)
		}
	}
	return s.writeFindings(ctx, "label the host", func(t *tx) error {
		if err := t.lookHost(id); err != nil {
			return err
		}
		if _, err := t.exec("DELETE FROM host_label WHERE host_id = ?", id); err != nil {
			return err
		}
		if err := t.labelHost(id, labels); err != nil {
			return err
		}
		some, err := t.labelsDecide()
		if err != nil || !some {
			return err
		}
		held, err := t.imagesOn(id)
		if err != nil {
			return err
		}
		return t.renew(held)
	})
}

func (t *tx) lookHost(id int64) error {
	n, err := t.count("host", where{conditions: []string{"id = ?"}, args: []any{id}})
	if err == nil && n == 0 {
		err = notFound("host", id)
	}
	return err
}

// labelHost gives a host its labels, and the one that only it has.
func (t *tx) labelHost(id int64, labels plimsoll.Labels) error {
	all := plimsoll.Labels{}
	for key, value := range labels {
		all[key] = value
	}
	all["id"] = strconv.FormatInt(id, 10)
	var rows [][]any
	for _, label := range all.SortedLabels() {
		rows = append(rows, []any{id, label})
	}
	return t.insertMany("host_label (host_id, label)", 2, rows, "")
}

// imagesOn returns the images that a host holds, in ascending order.
func (t *tx) imagesOn(host int64) ([]int64, error) {
	return t.ids("SELECT image_id FROM host_image WHERE host_id = ? ORDER BY image_id", host)
}

// RevokeHost takes away a host's identity. What it alone told about images is
// told no more: its layers' facts are dropped, and the images that it read count
// as outdated, so that the next scan reads them again on another host. Their
// findings stay until then: nothing closes a finding but a complete scan.
func (s *Store) RevokeHost(ctx context.Context, id int64) error {
	err := s.writeFindings(ctx, "revoke the host", func(t *tx) error {
		result, err := t.exec("UPDATE host SET revoked = CASE WHEN revoked = 0 THEN ? ELSE revoked END WHERE id = ?", t.now, id)
		if err := changed(result, err, "host", id); err != nil {
			return err
		}
		return t.doubt(id)
	})
	if err == nil {
		s.Ring(ctx, TopicWork)
		s.Ring(ctx, TopicFleet)
	}
	return err
}

// doubt takes back what a host told the fleet.
func (t *tx) doubt(host int64) error {
	if _, err := t.exec("DELETE FROM layer_facts WHERE host_id = ?", host); err != nil {
		return err
	}
	_, err := t.exec("UPDATE image SET analyzers = '' WHERE scan_host = ? AND inventory <> 0", host)
	return err
}

// RemoveHost revokes a host and forgets it; its images are gone from it.
func (s *Store) RemoveHost(ctx context.Context, id int64) error {
	err := s.writeFindings(ctx, "remove the host", func(t *tx) error {
		y := &syncing{tx: t, host: id, sync: &api.Sync{Full: true}}
		err := t.row("SELECT last_sync FROM host WHERE id = ?", id).Scan(&y.lastSync)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound("host", id)
		}
		if err != nil {
			return err
		}
		if err := t.doubt(id); err != nil {
			return err
		}
		if err := y.change("[]"); err != nil { // a full list of nothing
			return err
		}
		for _, table := range []string{"presence", "container", "host_label", "host_held"} {
			if _, err := t.exec("DELETE FROM "+table+" WHERE host_id = ?", id); err != nil {
				return err
			}
		}
		_, err = t.exec("DELETE FROM host WHERE id = ?", id)
		return err
	})
	if err == nil {
		s.Ring(ctx, TopicWork)
		s.Ring(ctx, TopicFleet)
	}
	return err
}
