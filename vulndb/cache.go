package vulndb

import (
	"container/list"
	"sync"
)

// cache keeps the most recently used values up to a total weight. It is safe
// for concurrent use.
type cache[K comparable, V any] struct {
	most int // total weight kept

	mu     sync.Mutex
	weight int
	order  *list.List // of cacheItem, the most recent first
	items  map[K]*list.Element
}

type cacheItem[K comparable, V any] struct {
	key    K
	value  V
	weight int
}

func newCache[K comparable, V any](most int) *cache[K, V] {
	return &cache[K, V]{most: most, order: list.New(), items: make(map[K]*list.Element)}
}

func (c *cache[K, V]) get(key K) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[key]
	if !ok {
		return value, false
	}
	c.order.MoveToFront(e)
	return e.Value.(*cacheItem[K, V]).value, true
}

// put keeps value, unless it alone outweighs half of the cache.
func (c *cache[K, V]) put(key K, value V, weight int) {
	if weight > c.most/2 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.items[key]; ok {
		return
	}
	c.items[key] = c.order.PushFront(&cacheItem[K, V]{key, value, weight})
	for c.weight += weight; c.weight > c.most; {
		oldest := c.order.Back()
		item := c.order.Remove(oldest).(*cacheItem[K, V])
		delete(c.items, item.key)
		c.weight -= item.weight
	}
}
