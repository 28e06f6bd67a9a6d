// Package hot keeps in memory the loaded windows that panels look at: blocks of one
// metric, one resolution and one span of time.
//
// Only package aggregate calls it. A block holds all that the warehouse holds of its
// key as of one generation; [Cache.Get] returns it for a later generation as long as no
// load in between touched the key. The cache may drop anything at any time and nothing
// is lost by it, so it promises nothing after a crash. Its goroutines are those of
// ristretto, from New until Close.
package hot

import (
	"fmt"
	"sync"

	"github.com/dgraph-io/ristretto/v2"

	"freshet/aggregate/window"
)

// maxTouched is how many loads are remembered. A block that is older is read anew.
const maxTouched = 64

// A Key names a block.
type Key struct {
	Metric     int   // number of the metric in the dictionary
	Resolution int64 // length of the windows in milliseconds
	Start      int64 // epoch ms, a multiple of Span(Resolution)
}

// Span returns the span of time of a block in milliseconds: 60 windows of less than an
// hour, 24 longer ones.
func Span(resolution int64) int64 {
	if resolution < 3_600_000 {
		return 60 * resolution
	}
	return 24 * resolution
}

// A Block is the loaded part of one key. It never changes.
type Block struct {
	Key        Key
	Generation uint64 // holds all loads up to this one
	Views      []*window.View
	Bytes      int64
}

// A Cache may be used by anyone at any time.
type Cache struct {
	blocks *ristretto.Cache[uint64, *Block]
	limit  int64

	mu      sync.Mutex
	touched []touch // the last loads, by rising generation without gaps
}

type touch struct {
	generation uint64
	keys       map[Key]struct{}
}

// New returns a cache of about that many bytes.
func New(bytes int64) (*Cache, error) {
	blocks, err := ristretto.NewCache(&ristretto.Config[uint64, *Block]{
		NumCounters: max(bytes/(64<<10)*10, 1000), MaxCost: bytes, BufferItems: 64, Metrics: true, IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, fmt.Errorf("hot cache: %w", err)
	}
	return &Cache{blocks: blocks, limit: bytes}, nil
}

// Close ends the cache's goroutines.
func (c *Cache) Close() { c.blocks.Close() }

// hash mixes a key into the 64 bits that ristretto files it under.
func (k Key) hash() uint64 {
	h := uint64(k.Metric)*0x9e3779b97f4a7c15 ^ uint64(k.Resolution)
	h = (h ^ h>>29) * 0xbf58476d1ce4e5b9
	h ^= uint64(k.Start)
	h = (h ^ h>>32) * 0x94d049bb133111eb
	return h ^ h>>29
}

// Get returns the block as of a generation, or nil.
func (c *Cache) Get(k Key, generation uint64) *Block {
	b, ok := c.blocks.Get(k.hash())
	if !ok || b.Key != k || !c.valid(b, generation) {
		return nil
	}
	return b
}

// valid reports whether b holds exactly the loads up to generation that touch its key.
func (c *Cache) valid(b *Block, generation uint64) bool {
	if b.Generation >= generation {
		return b.Generation == generation
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.touched) == 0 || c.touched[0].generation > b.Generation+1 || c.touched[len(c.touched)-1].generation < generation {
		return false
	}
	for _, t := range c.touched {
		if t.generation <= b.Generation || t.generation > generation {
			continue
		}
		if _, hit := t.keys[b.Key]; hit {
			return false
		}
	}
	return true
}

// Put offers a block to the cache, which may refuse it.
func (c *Cache) Put(b *Block) {
	if b.Bytes <= c.limit/4 {
		c.blocks.Set(b.Key.hash(), b, max(b.Bytes, 256))
	}
}

// Loaded records which keys a load touched. It is called before any query can ask for
// that generation.
func (c *Cache) Loaded(generation uint64, keys map[Key]struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.touched) == maxTouched {
		c.touched = append(c.touched[:0:0], c.touched[1:]...)
	}
	c.touched = append(c.touched, touch{generation, keys})
}

// Stats are counts since the start.
type Stats struct {
	Hits, Misses   uint64
	Added, Evicted uint64 // bytes
	Rejected       uint64 // blocks that were not admitted
}

// Ratio returns which part of the look-ups were hits, 0 when there were none.
func (s Stats) Ratio() float64 {
	if s.Hits+s.Misses == 0 {
		return 0
	}
	return float64(s.Hits) / float64(s.Hits+s.Misses)
}

// Stats returns the cache's counts.
func (c *Cache) Stats() Stats {
	m := c.blocks.Metrics
	return Stats{Hits: m.Hits(), Misses: m.Misses(), Added: m.CostAdded(), Evicted: m.CostEvicted(), Rejected: m.SetsRejected()}
}
