package hot_test

import (
	"testing"
	"time"

	"freshet/aggregate/hot"
)

func newCache(t *testing.T, bytes int64) *hot.Cache {
	t.Helper()
	c, err := hot.New(bytes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// keys returns a set of keys.
func keys(all ...hot.Key) map[hot.Key]struct{} {
	out := map[hot.Key]struct{}{}
	for _, k := range all {
		out[k] = struct{}{}
	}
	return out
}

// put puts a block and waits until the cache shows it, which it does in its own time.
func put(t *testing.T, c *hot.Cache, b *hot.Block) {
	t.Helper()
	c.Put(b)
	for deadline := time.Now().Add(5 * time.Second); c.Get(b.Key, b.Generation) != b; {
		if time.Now().After(deadline) {
			t.Fatalf("%+v did not come up", b.Key)
		}
		time.Sleep(time.Millisecond)
	}
}

var (
	here  = hot.Key{Metric: 1, Resolution: 1000, Start: 300_000}
	there = hot.Key{Metric: 1, Resolution: 1000, Start: 600_000}
)

func TestABlockIsValidUntilALoadTouchesItsKey(t *testing.T) {
	for _, c := range []struct {
		name    string
		block   uint64                 // its generation
		touched []map[hot.Key]struct{} // by the generations 1, 2, …
		want    map[uint64]bool        // by generation asked for
	}{
		{"no load at all", 0, nil, map[uint64]bool{0: true, 1: false}},
		{"other keys are touched", 0, []map[hot.Key]struct{}{keys(there), keys(), keys(there)}, map[uint64]bool{0: true, 1: true, 2: true, 3: true, 4: false}},
		{"touched at once", 0, []map[hot.Key]struct{}{keys(here)}, map[uint64]bool{0: true, 1: false}},
		{"touched later", 0, []map[hot.Key]struct{}{keys(there), keys(there, here), keys(there)}, map[uint64]bool{0: true, 1: true, 2: false, 3: false}},
		{"made after the touch", 2, []map[hot.Key]struct{}{keys(here), keys(here), keys(there)}, map[uint64]bool{0: false, 1: false, 2: true, 3: true}},
		{"same start, other resolution or metric", 0, []map[hot.Key]struct{}{
			keys(hot.Key{Metric: 1, Resolution: 60_000, Start: 300_000}, hot.Key{Metric: 2, Resolution: 1000, Start: 300_000}),
		}, map[uint64]bool{1: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cache := newCache(t, 1<<20)
			b := &hot.Block{Key: here, Generation: c.block, Bytes: 1000}
			put(t, cache, b)
			for i, k := range c.touched {
				cache.Loaded(uint64(i+1), k)
			}
			for generation, want := range c.want {
				if got := cache.Get(here, generation); (got == b) != want || !want && got != nil {
					t.Errorf("as of generation %d: got %v, want it there: %v", generation, got, want)
				}
			}
			if got := cache.Get(there, c.block); got != nil {
				t.Errorf("got %v for a key that was never put", got)
			}
		})
	}
}

// What happened more than 64 loads ago is not known, so a block from before is not valid.
func TestSixtyFourLoadsAreRemembered(t *testing.T) {
	cache := newCache(t, 1<<20)
	first := &hot.Block{Key: here, Generation: 10, Bytes: 1000}
	second := &hot.Block{Key: there, Generation: 11, Bytes: 1000}
	put(t, cache, first)
	put(t, cache, second)
	for g := uint64(11); g <= 10+64; g++ {
		cache.Loaded(g, keys())
	}
	if cache.Get(here, 10+64) != first {
		t.Error("after 64 loads: got nothing, want the block")
	}
	cache.Loaded(10+65, keys())
	if got := cache.Get(here, 10+65); got != nil {
		t.Errorf("after 65 loads: got %v, want nothing", got)
	}
	if cache.Get(here, 10) != first {
		t.Error("as of its own generation: got nothing, want the block")
	}
	if cache.Get(there, 10+65) != second {
		t.Error("a block that is one load younger: got nothing, want it")
	}
	fresh := &hot.Block{Key: here, Generation: 10 + 65, Bytes: 1000}
	put(t, cache, fresh)
	if got := cache.Get(here, 10); got != nil {
		t.Errorf("as of the older generation: got %v, want nothing", got)
	}
}

// One block takes no more than a quarter of the cache.
func TestTooLargeBlocksAreRefused(t *testing.T) {
	cache := newCache(t, 1<<20)
	large := &hot.Block{Key: here, Bytes: 1<<18 + 1}
	cache.Put(large)
	put(t, cache, &hot.Block{Key: there, Bytes: 1 << 18}) // those before it are settled then
	if got := cache.Get(here, 0); got != nil {
		t.Errorf("got %v, want a block over a quarter of the cache refused", got)
	}
}

// The cache stays within its bytes whatever is put.
func TestTheCacheIsBounded(t *testing.T) {
	cache := newCache(t, 1<<20)
	for i := range int64(200) {
		cache.Put(&hot.Block{Key: hot.Key{Metric: 1, Resolution: 1000, Start: 300_000 * i}, Bytes: 1 << 16})
		time.Sleep(100 * time.Microsecond)
	}
	held := 0
	for i := range int64(200) {
		if cache.Get(hot.Key{Metric: 1, Resolution: 1000, Start: 300_000 * i}, 0) != nil {
			held++
		}
	}
	if held == 0 || held > 16 {
		t.Errorf("%d blocks of 64 KiB are held in 1 MiB, want 1 to 16", held)
	}
	if s := cache.Stats(); s.Hits < uint64(held) || s.Misses == 0 || s.Added < s.Evicted {
		t.Errorf("got %+v", s)
	}
}

func TestSpans(t *testing.T) {
	for resolution, want := range map[int64]int64{
		1000: 60_000, 10_000: 600_000, 59_000: 3_540_000, 60_000: 3_600_000, 3_600_000: 86_400_000,
	} {
		if got := hot.Span(resolution); got != want || got%resolution != 0 {
			t.Errorf("%d ms: got %d, want %d", resolution, got, want)
		}
	}
}
