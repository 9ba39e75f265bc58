package server

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// maxKeys bounds what limits remember.
const maxKeys = 20_000

// limits keep one rate for each key.
type limits struct {
	every time.Duration
	burst int

	mu   sync.Mutex
	keys map[string]*rate.Limiter
	// rest is shared by the keys that came when there was no more room: many
	// addresses cannot push the known ones out.
	rest *rate.Limiter
}

func newLimits(every time.Duration, burst int) *limits {
	return &limits{every: every, burst: burst, keys: make(map[string]*rate.Limiter), rest: rate.NewLimiter(rate.Every(every/100), 100*burst)}
}

func (l *limits) allow(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiter, ok := l.keys[key]
	if !ok {
		if len(l.keys) >= maxKeys {
			for k, limiter := range l.keys {
				if limiter.Tokens() >= float64(l.burst) {
					delete(l.keys, k)
				}
			}
		}
		if len(l.keys) >= maxKeys {
			return l.rest.Allow()
		}
		limiter = rate.NewLimiter(rate.Every(l.every), l.burst)
		l.keys[key] = limiter
	}
	return limiter.Allow()
}
