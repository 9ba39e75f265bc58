package loadgen

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"plimsoll"
	"plimsoll/api"
)

// Admin is an administrator of a console, as a program.
type Admin struct {
	client *api.Client
	busy   refusals
}

// How the administrator signs in.
const adminName, adminPassword = "loadgen", "a password of enough length"

// NewAdmin makes the first administrator of a console, with the one-time token of
// its first start.
func NewAdmin(ctx context.Context, base, setup string) (*Admin, error) {
	a := stranger(base)
	return a, a.signIn(ctx, "/setup", api.Setup{Token: setup, Name: adminName, Password: adminPassword})
}

// stranger is somebody whom the console does not know yet.
func stranger(base string) *Admin {
	// The console is trusted because this process started it.
	transport := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	return &Admin{client: &api.Client{Base: base, HTTP: &http.Client{Transport: transport}, Header: http.Header{}}}
}

// signIn becomes the administrator by what is sent to path, and goes on with a token.
func (a *Admin) signIn(ctx context.Context, path string, in any) (err error) {
	if a.client.HTTP.Jar, err = cookiejar.New(nil); err != nil {
		return err
	}
	if err := a.Call(ctx, http.MethodPost, path, nil, in, nil); err != nil {
		return err
	}
	var secret api.NewSecret
	if err := a.Call(ctx, http.MethodPost, "/tokens", nil, api.APITokenRequest{Name: adminName, Role: plimsoll.RoleAdmin}, &secret); err != nil {
		return err
	}
	a.client.HTTP.Jar = nil
	a.client.Header.Set("Authorization", "Bearer "+secret.Secret)
	return nil
}

// at is the same administrator at another console of the fleet.
func (a *Admin) at(base string) *Admin {
	client := *a.client
	client.Base = base
	return &Admin{client: &client}
}

// Call asks the public API, patiently.
func (a *Admin) Call(ctx context.Context, method, path string, query url.Values, in, out any) error {
	return a.busy.patiently(ctx, func() error {
		_, err := a.client.Call(ctx, method, api.PublicPath+path, query, in, out)
		return err
	})
}

// refusals counts the answers by which a console asked for patience.
type refusals struct{ atomic.Int64 }

// patiently calls f until the console has time for it.
func (r *refusals) patiently(ctx context.Context, f func() error) error {
	for {
		err := f()
		var e *api.Error
		if !errors.As(err, &e) || e.Status != http.StatusServiceUnavailable && e.Status != http.StatusTooManyRequests {
			return err
		}
		r.Add(1)
		if err := sleep(ctx, max(e.RetryAfter, pause)); err != nil {
			return err
		}
	}
}

// pause is between two looks at what a console is doing.
const pause = 500 * time.Millisecond

// sleep waits for d; an error says why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}

// awake waits until the console answers.
func (a *Admin) awake(ctx context.Context) error {
	for {
		if _, err := a.client.Fetch(ctx, "/healthz", nil, 1<<10); err == nil {
			return nil
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

// joinToken makes a token for so many hosts.
func (a *Admin) joinToken(ctx context.Context, hosts int) (string, error) {
	var secret api.NewSecret
	err := a.Call(ctx, http.MethodPost, "/enrolment-tokens", nil, api.EnrolmentTokenRequest{Uses: hosts, Labels: plimsoll.Labels{"env": "load"}}, &secret)
	return secret.Secret, err
}

// synced waits until every host of the fleet has told, since a time, all its
// images.
func (a *Admin) synced(ctx context.Context, f Fleet, since time.Time) error {
	query := url.Values{"limit": {strconv.Itoa(api.MaxLimit)}, "sort": {"name"}}
	for told := 0; ; {
		var page api.Page[api.Host]
		if err := a.Call(ctx, http.MethodGet, "/hosts", query, nil, &page); err != nil {
			return err
		}
		if slices.ContainsFunc(page.Items, func(h api.Host) bool {
			return h.LastSync == nil || !h.LastSync.After(since) || h.Images != int64(f.PerHost)
		}) {
			if err := sleep(ctx, pause); err != nil {
				return err
			}
			continue // with the same page
		}
		told += len(page.Items)
		if page.Next == "" {
			if told != f.Hosts {
				return fmt.Errorf("the console lists %d hosts, %d have joined", told, f.Hosts)
			}
			return nil
		}
		query.Set("cursor", page.Next)
	}
}

// check compares what the console counts with what the fleet was made to have: its
// images, and so many findings in them by a generation of the advisories.
func (a *Admin) check(ctx context.Context, f Fleet, generation, want int) error {
	var d api.Dashboard
	if err := a.Call(ctx, http.MethodGet, "/dashboard", nil, nil, &d); err != nil {
		return err
	}
	if got := d.System.Total() + d.Application.Total(); got != int64(want) || d.Images != int64(f.Distinct) {
		return fmt.Errorf("generation %d: the console counts %d findings in %d images, the fleet has %d in %d", generation, got, d.Images, want, f.Distinct)
	}
	return nil
}

// Of a question that is answered so slowly that asking takes longer than
// enough, fewest answers will do.
const (
	enough = 20 * time.Second
	fewest = 5
)

// ask asks a question several times: its first page, and the one that follows.
// Only the time of answers counts, not that of patience.
func (a *Admin) ask(ctx context.Context, q question, times int) (s series, err error) {
	query := make(url.Values)
	for k, v := range q.query {
		query[k] = v
	}
	begin := time.Now()
	for i := range times {
		if i >= fewest && time.Since(begin) > enough {
			break
		}
		var page struct {
			Next string `json:"next"`
		}
		err := a.busy.patiently(ctx, func() error {
			start := time.Now()
			_, err := a.client.Call(ctx, http.MethodGet, api.PublicPath+q.path, query, nil, &page)
			if err == nil {
				s = append(s, time.Since(start))
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", q, err)
		}
		query.Del("cursor")
		if page.Next != "" && i%2 == 0 {
			query.Set("cursor", page.Next)
		}
	}
	return s, nil
}

// metrics are those that the console tells.
func (a *Admin) metrics(ctx context.Context) (string, error) {
	const most = 16 << 20
	b, err := a.client.Fetch(ctx, "/metrics", nil, most)
	return string(b), err
}
