package loadgen

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"

	"plimsoll"
	"plimsoll/api"
)

// Host is one invented host that has joined a console. It speaks the agents'
// protocol and has everything at hand that it is asked to read. Its methods are
// not safe for concurrent use.
type Host struct {
	ID     int64
	fleet  Fleet
	number int
	client *api.Client
	images map[plimsoll.Digest]int
	seq    int64
}

// Refusals counts the answers by which a console asked for patience.
type Refusals struct{ atomic.Int64 }

// patiently calls f until the console has time for it.
func (r *Refusals) patiently(ctx context.Context, f func() error) error {
	for {
		err := f()
		var e *api.Error
		if !errors.As(err, &e) || e.Status != http.StatusServiceUnavailable && e.Status != http.StatusTooManyRequests {
			return err
		}
		r.Add(1)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(max(e.RetryAfter, 100*time.Millisecond)):
		}
	}
}

// newClient returns a client for a console on this machine, which is trusted
// because this process started it.
func newClient(base string, cert *tls.Certificate) *api.Client {
	config := &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	return &api.Client{Base: base, HTTP: &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}}, Header: http.Header{}}
}

// Join makes host number of a fleet one of the console's.
func Join(ctx context.Context, f Fleet, number int, base, token string) (*Host, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	csr, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "plimsoll agent"}}, key)
	if err != nil {
		return nil, err
	}
	stranger := newClient(base, nil)
	defer stranger.HTTP.CloseIdleConnections()
	var e api.Enrolled
	if _, err := stranger.Call(ctx, http.MethodPost, api.AgentPath+"/enrol", nil, api.Enrol{Token: token, CSR: csr, Host: f.Facts(number), MachineID: machine(number)}, &e); err != nil {
		return nil, err
	}
	h := &Host{ID: e.HostID, fleet: f, number: number, images: make(map[plimsoll.Digest]int)}
	h.client = newClient(base, &tls.Certificate{Certificate: [][]byte{e.Certificate}, PrivateKey: key})
	for _, i := range f.Images(number) {
		h.images[f.ImageID(i)] = i
	}
	return h, nil
}

func machine(number int) string { return fmt.Sprintf("machine-%d", number) }

// Close ends the host's connections.
func (h *Host) Close() { h.client.HTTP.CloseIdleConnections() }

// Beat sends a heartbeat.
func (h *Host) Beat(ctx context.Context) error {
	var answer api.HeartbeatAnswer
	_, err := h.client.Call(ctx, http.MethodPost, api.AgentPath+"/heartbeat", nil, api.Heartbeat{Now: time.Now(), MachineID: machine(h.number), Boot: "boot"}, &answer)
	return err
}

// Sync sends the full list of images with their records.
func (h *Host) Sync(ctx context.Context) error {
	h.seq = max(h.seq+1, time.Now().UnixMilli())
	s := h.fleet.Sync(h.number, h.seq, time.Now())
	body, err := pack(s)
	if err != nil {
		return err
	}
	var answer api.SyncAnswer
	if _, err := h.client.Send(ctx, http.MethodPost, api.AgentPath+"/sync", nil, packed(), body, &answer); err != nil {
		return err
	}
	if len(answer.Want) > 0 {
		return fmt.Errorf("the console wants %d records that it was sent", len(answer.Want))
	}
	return nil
}

// Work asks for work, waiting up to so many seconds, and reports the image that
// it is given; worked is false when there was none.
func (h *Host) Work(ctx context.Context, wait int, r *Refusals) (worked bool, err error) {
	var work api.Work
	if err := r.patiently(ctx, func() error {
		_, err := h.client.Call(ctx, http.MethodGet, api.AgentPath+"/work", url.Values{"wait": {strconv.Itoa(wait)}}, nil, &work)
		return err
	}); err != nil || work.Scan == nil {
		return false, err
	}
	i, ok := h.images[work.Scan.Image]
	if !ok {
		return false, fmt.Errorf("host %d is asked for %s, which it does not hold", h.number, work.Scan.Image)
	}
	now := time.Now()
	result := api.ScanResult{
		Report: rand.Text(), Lease: work.Scan.ID, Image: work.Scan.Image, Attempt: work.Scan.Attempt, Status: plimsoll.ScanComplete,
		Started: now, Ended: now, Analyzed: 1, Reused: 2, Inventory: h.fleet.Inventory(i),
	}
	body, err := pack(result)
	if err != nil {
		return false, err
	}
	header := packed()
	header.Set(api.HeaderReport, result.Report)
	return true, r.patiently(ctx, func() error {
		_, err := h.client.Send(ctx, http.MethodPut, api.AgentPath+"/results/"+result.Report, nil, header, body, nil)
		return err
	})
}

func pack(v any) ([]byte, error) {
	plain, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	w, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	return w.EncodeAll(plain, nil), nil
}

func packed() http.Header {
	return http.Header{"Content-Type": {"application/json"}, "Content-Encoding": {"zstd"}}
}
