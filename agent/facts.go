package agent

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"

	"plimsoll"
	"plimsoll/api"
	"plimsoll/inventory"
)

// sharedCache is the cache of one scan: the host's disk in front of the facts
// that the fleet keeps. The console is asked only for layers that it said it
// has, and is sent the facts of those that it has not. It costs time when
// something fails, never a result.
type sharedCache struct {
	agent *Agent
	ctx   context.Context // of the scan
	local inventory.Cache

	shared    map[string]plimsoll.Digest // layers by the key of their facts, when they may be shared
	have      map[plimsoll.Digest]bool
	analyzers string
	scanner   *inventory.Scanner
	mu        sync.Mutex
}

// share lets facts of layers be asked of the console, which has those named, and
// sent to it.
func (c *sharedCache) share(scanner *inventory.Scanner, have []plimsoll.Digest) {
	c.shared, c.have = make(map[string]plimsoll.Digest), make(map[plimsoll.Digest]bool)
	c.scanner, c.analyzers = scanner, scanner.AnalyzerSet()
	for _, diff := range have[:min(len(have), api.MaxImageLayers)] {
		c.have[diff] = true
		c.shared[scanner.SharedKey(diff)] = diff
	}
}

// Get returns what this host keeps, else what the console does.
func (c *sharedCache) Get(key string) ([]byte, bool) {
	if c.local != nil {
		if value, ok := c.local.Get(key); ok {
			return value, true
		}
	}
	if c.shared == nil || !c.has(key) {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(c.ctx, bodyTimeout)
	defer cancel()
	value, err := c.agent.client.Fetch(ctx, api.AgentPath+"/facts", url.Values{"key": {key}}, api.MaxFacts)
	if err != nil || len(value) == 0 {
		c.agent.Log.Debug("facts of the fleet not used", "error", err)
		return nil, false
	}
	return value, true
}

func (c *sharedCache) has(key string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.have[c.shared[key]]
}

// Put keeps facts on this host and, when the console lacks them, sends them.
func (c *sharedCache) Put(key string, value []byte) error {
	var err error
	if c.local != nil {
		err = c.local.Put(key, value)
	}
	if diff, ok := c.diffOf(key); ok && len(value) <= api.MaxFacts {
		c.send(key, diff, value)
	}
	return err
}

// diffOf returns the layer whose shared facts key names, if it is such a key.
func (c *sharedCache) diffOf(key string) (plimsoll.Digest, bool) {
	if c.shared == nil {
		return "", false
	}
	const kind, digits = "layer/", 64
	if len(key) < len(kind)+digits || key[:len(kind)] != kind {
		return "", false
	}
	diff, err := plimsoll.ParseDigest("sha256:" + key[len(kind):len(kind)+digits])
	if err != nil || c.scanner.SharedKey(diff) != key {
		return "", false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.have[diff] {
		return "", false
	}
	return diff, true
}

// factsTries bounds how often facts are sent to a console that is busy.
const factsTries = 3

// send sends facts, patiently: while the fleet lacks those of a layer, only one
// host at a time is given an image with it.
func (c *sharedCache) send(key string, diff plimsoll.Digest, value []byte) {
	query := url.Values{"key": {key}, "diff": {string(diff)}, "analyzers": {c.analyzers}}
	for try := 1; ; try++ {
		err := c.sendOnce(query, value)
		if err == nil {
			return
		}
		var e *api.Error
		refused := errors.As(err, &e) && !e.Temporary()
		if refused || try == factsTries || wait(c.ctx, c.agent.backoff(try, err)) != nil {
			c.agent.Log.Warn("facts not shared", "layer", diff, "error", err)
			return
		}
	}
}

func (c *sharedCache) sendOnce(query url.Values, value []byte) error {
	ctx, cancel := context.WithTimeout(c.ctx, bodyTimeout)
	defer cancel()
	header := http.Header{"Content-Type": {"application/octet-stream"}}
	_, err := c.agent.client.Send(ctx, http.MethodPut, api.AgentPath+"/facts", query, header, value, nil)
	return err
}
