package server

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"golang.org/x/sync/semaphore"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/store"
)

// Times and limits of the agent protocol.
const (
	maxWait     = 55 * time.Second     // for work: proxies hang up after 60
	lookAgain   = 20 * time.Second     // while waiting: a ring may be lost
	everybody   = 2 * time.Second      // in which all hosts look, at most, when the bell is for all
	lookTime    = 2 * time.Millisecond // for each of them
	agentTime   = 5 * time.Minute      // for large bodies
	enrolBody   = 64 << 10
	ingestQueue = 10 * time.Second // until a large body is turned away
	ingestRetry = 4                // seconds
)

func (s *Server) agentRoutes() {
	at := func(method, path string) string { return method + " " + api.AgentPath + path }
	s.raw(at("POST", "/enrol"), rule{need: anybody, operation: "enrol", body: enrolBody}, s.enrol)
	s.raw(at("POST", "/renew"), rule{need: agents, body: enrolBody}, s.renew)
	s.raw(at("POST", "/heartbeat"), rule{need: agents, body: enrolBody}, s.heartbeat)
	s.raw(at("POST", "/sync"), rule{need: agents, body: api.MaxSync, time: agentTime}, s.sync)
	s.raw(at("GET", "/work"), rule{need: agents, time: maxWait + 30*time.Second}, s.work)
	s.raw(at("POST", "/leases/{id}/progress"), rule{need: agents, body: enrolBody}, s.progress)
	s.raw(at("DELETE", "/leases/{id}"), rule{need: agents}, s.returnLease)
	s.raw(at("GET", "/facts"), rule{need: agents, time: agentTime}, s.facts)
	s.raw(at("PUT", "/facts"), rule{need: agents, body: api.MaxFacts, time: agentTime}, s.keepFacts)
	s.raw(at("PUT", "/results/{report}"), rule{need: agents, body: api.MaxResult, time: agentTime}, s.result)
}

// admitAgent knows a host by its certificate, which the handshake has verified.
func (s *Server) admitAgent(r *http.Request, q *request) error {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return newProblem(http.StatusUnauthorized, codeUnauthenticated, "show the certificate that the host was given when it joined")
	}
	cert := r.TLS.PeerCertificates[0]
	if s.Now().After(cert.NotAfter) { // on a connection that is older
		return newProblem(http.StatusUnauthorized, codeUnauthenticated, "the host's certificate is over; it has to join again")
	}
	host, err := s.Store.HostByCertificate(r.Context(), fingerprint(cert.Raw))
	switch {
	case plimsoll.CodeOf(err) == plimsoll.CodeNotFound || err == nil && host.Revoked:
		return newProblem(http.StatusForbidden, codeRevoked, "this host was revoked; it has to join again")
	case err != nil:
		return err
	}
	q.caller = caller{name: fmt.Sprintf("host %d", host.ID), via: "agent", host: host}
	if !s.limits.credential.allow(q.caller.name) {
		return tooMany(1)
	}
	return s.sameProtocol(r)
}

func (s *Server) sameProtocol(r *http.Request) error {
	text := r.Header.Get(api.HeaderVersion)
	theirs, err := strconv.Atoi(text)
	switch {
	case err != nil:
		return newProblem(http.StatusUpgradeRequired, codeProtocol, "the header "+api.HeaderVersion+" is missing or no number")
	case theirs < api.Version:
		return newProblem(http.StatusUpgradeRequired, codeProtocol, fmt.Sprintf("the agent speaks protocol %d, the console %d: upgrade the agent", theirs, api.Version))
	case theirs > api.Version:
		return newProblem(http.StatusUpgradeRequired, codeProtocol, fmt.Sprintf("the agent speaks protocol %d, the console %d: upgrade the console", theirs, api.Version))
	}
	return nil
}

func hostOf(ctx context.Context) store.AgentHost { return requestOf(ctx).caller.host }

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v) // who hung up is not told
}

// enrol makes a host of whoever holds a token that is good.
func (s *Server) enrol(w http.ResponseWriter, r *http.Request) {
	answer, err := s.join(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	reply(w, answer)
}

func (s *Server) join(r *http.Request) (answer api.Enrolled, err error) {
	const op = "let the host join"
	ctx, q := r.Context(), requestOf(r.Context())
	q.caller.via, q.caller.name = "token", "enrolment"
	if !s.limits.join.allow(q.address) {
		return answer, tooMany(1)
	}
	if err := s.sameProtocol(r); err != nil {
		return answer, err
	}
	var in api.Enrol
	if err := decode(r, enrolBody, 0, nil, &in); err != nil {
		return answer, err
	}
	id, secret, err := s.ca.parseJoinToken(in.Token)
	if err != nil {
		return answer, plimsoll.Errorf(plimsoll.CodeInvalid, op, "the token cannot be used: %w", err)
	}
	q.detail = fmt.Sprintf("token=%d", id)
	answer.HostID, err = s.Store.EnrolHost(ctx, store.NewHost{TokenID: id, TokenHash: hashSecret(secret), Facts: in.Host, MachineID: in.MachineID},
		func(hostID int64) (string, error) {
			der, renew, err := s.ca.issue(in.CSR, hostID)
			answer.Certificate, answer.Renew = der, renew
			return fingerprint(der), err
		})
	if plimsoll.CodeOf(err) == plimsoll.CodeNotFound {
		return answer, newProblem(http.StatusForbidden, codeForbidden, "the token is unknown, over, revoked or used up")
	}
	if err != nil {
		return answer, err
	}
	q.detail += fmt.Sprintf(" host=%d name=%s", answer.HostID, in.Host.Name)
	answer.CA = s.ca.cert.Raw
	return answer, nil
}

func (s *Server) renew(w http.ResponseWriter, r *http.Request) {
	var in api.Renew
	host := hostOf(r.Context())
	err := decode(r, enrolBody, 0, nil, &in)
	var answer api.Enrolled
	if err == nil {
		answer.Certificate, answer.Renew, err = s.ca.issue(in.CSR, host.ID)
	}
	if err == nil {
		err = s.Store.RenewCertificate(r.Context(), host.ID, fingerprint(answer.Certificate))
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	answer.HostID, answer.CA = host.ID, s.ca.cert.Raw
	reply(w, answer)
}

func (s *Server) heartbeat(w http.ResponseWriter, r *http.Request) {
	var in api.Heartbeat
	err := decode(r, enrolBody, 0, nil, &in)
	if err == nil {
		err = s.Store.Heartbeat(r.Context(), hostOf(r.Context()).ID, in)
	}
	var settings api.Settings
	if err == nil {
		settings, err = s.Store.Settings(r.Context())
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	reply(w, api.HeartbeatAnswer{Settings: api.AgentSettings{
		SyncHours: settings.SyncHours, Concurrency: settings.HostConcurrency, ScanTimeout: settings.ScanTimeout,
		MemoryMB: settings.AgentMemoryMB, CPUPercent: settings.AgentCPUPercent,
	}})
}

// admission is the permit to send a body that is more than a few words.
type admission struct {
	s     *Server
	ctx   context.Context
	host  int64
	room  *semaphore.Weighted
	large bool
}

// admitBody lets a body in when there is room for it. The caller releases it.
func (s *Server) admitBody(ctx context.Context, host int64, room *semaphore.Weighted) (*admission, error) {
	if err := admit(ctx, room); err != nil {
		return nil, err
	}
	return &admission{s: s, ctx: ctx, host: host, room: room}, nil
}

func admit(ctx context.Context, room *semaphore.Weighted) error {
	ctx, cancel := context.WithTimeout(ctx, ingestQueue)
	defer cancel()
	if room.Acquire(ctx, 1) == nil {
		return nil
	}
	return busy()
}

func busy() error {
	p := newProblem(http.StatusServiceUnavailable, plimsoll.CodeUnavailable, "the console is busy")
	p.retry = ingestRetry + rand.IntN(ingestRetry)
	return p
}

// grow is asked when the body turns out to be large. A host has one such at a time:
// one that sends slowly keeps nobody else out.
func (a *admission) grow() error {
	if _, other := a.s.largeOf.LoadOrStore(a.host, true); other {
		return busy()
	}
	if err := admit(a.ctx, a.s.largeRoom); err != nil {
		a.s.largeOf.Delete(a.host)
		return err
	}
	a.large = true
	return nil
}

func (a *admission) release() {
	if a.large {
		a.s.largeRoom.Release(1)
		a.s.largeOf.Delete(a.host)
	}
	a.room.Release(1)
}

func (s *Server) sync(w http.ResponseWriter, r *http.Request) {
	ctx, host := r.Context(), hostOf(r.Context())
	admission, err := s.admitBody(ctx, host.ID, s.ingests)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer admission.release()
	var in api.Sync
	var effect store.SyncEffect
	if err = decode(r, api.MaxSync, 4*api.MaxSyncImages, admission.grow, &in); err == nil {
		effect, err = s.Store.ApplySync(ctx, host.ID, in)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.afterSync(ctx, host.ID, effect); err != nil {
		s.Log.ErrorContext(ctx, "scans of new images not started", "host", host.ID, "error", err)
	}
	reply(w, effect.Answer)
}

// work waits until there is something to do for the host.
func (s *Server) work(w http.ResponseWriter, r *http.Request) {
	seconds, _ := strconv.Atoi(r.URL.Query().Get("wait"))
	ctx, cancel := context.WithTimeout(r.Context(), min(max(time.Duration(seconds)*time.Second, 0), maxWait))
	defer cancel()
	host := hostOf(r.Context())
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	for {
		rung, own := s.Store.Wait(store.TopicWork), s.Store.Wait(store.HostWork(host.ID))
		todo, err := s.Store.WorkFor(context.WithoutCancel(ctx), host.ID)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		if todo.Scan != nil || len(todo.Sync) > 0 {
			reply(w, todo)
			return
		}
		again := time.NewTimer(lookAgain + rand.N(lookAgain/2))
		select {
		case <-ctx.Done():
		case <-s.stopping.Done():
		case <-rung:
			// All hosts hear the bell at once: they look one after the other.
			spread := min(everybody, time.Duration(s.waiting.Load())*lookTime)
			select {
			case <-time.After(rand.N(spread)):
			case <-s.stopping.Done():
			case <-ctx.Done():
			}
		case <-own:
		case <-again.C:
		}
		again.Stop()
		if ctx.Err() != nil || s.stopping.Err() != nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if err := s.admitAgent(r, requestOf(r.Context())); err != nil { // revoked meanwhile
			s.fail(w, r, err)
			return
		}
	}
}

func (s *Server) progress(w http.ResponseWriter, r *http.Request) {
	var in api.Progress
	err := decode(r, enrolBody, 0, nil, &in)
	var answer api.ProgressAnswer
	if err == nil {
		answer, err = s.Store.RenewLease(r.Context(), hostOf(r.Context()).ID, r.PathValue("id"), in)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	reply(w, answer)
}

func (s *Server) returnLease(w http.ResponseWriter, r *http.Request) {
	if err := s.Store.ReturnLease(r.Context(), hostOf(r.Context()).ID, r.PathValue("id")); err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) facts(w http.ResponseWriter, r *http.Request) {
	data, err := s.Store.Facts(r.Context(), hostOf(r.Context()).ID, r.URL.Query().Get("key"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Write(data)
}

func (s *Server) keepFacts(w http.ResponseWriter, r *http.Request) {
	ctx, q := r.Context(), r.URL.Query()
	key, analyzers := q.Get("key"), q.Get("analyzers")
	diff, err := plimsoll.ParseDigest(q.Get("diff"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	admission, err := s.admitBody(ctx, hostOf(ctx).ID, s.factsRoom)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer admission.release()
	body, err := unpacked(r, api.MaxFacts, admission.grow)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err != nil {
		err = badBody(err)
	} else {
		err = s.Store.KeepFacts(ctx, hostOf(ctx).ID, key, diff, analyzers, data)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// result is acknowledged after it is stored.
func (s *Server) result(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	admission, err := s.admitBody(ctx, hostOf(ctx).ID, s.ingests)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	defer admission.release()
	var in api.ScanResult
	if err = decode(r, api.MaxResult, api.MaxPackages+api.MaxPackages/10, admission.grow, &in); err == nil && in.Report != r.PathValue("report") {
		err = plimsoll.Errorf(plimsoll.CodeInvalid, "store the result", "it is another report than its address says")
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	j, done := s.judge.acquire()
	defer done()
	var judge plimsoll.Judge
	if j != nil {
		judge = j
	}
	// Once it is read it is worth storing, whoever hangs up.
	known, err := s.Store.ApplyResult(context.WithoutCancel(ctx), hostOf(ctx).ID, in, judge)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	reply(w, api.ResultAnswer{Known: known})
}
