package aggregate

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"freshet/aggregate/hot"
	"freshet/stream"
)

// ErrNothingPending says that there is nothing to freeze: all that was folded is loaded.
var ErrNothingPending = errors.New("aggregate: nothing is pending")

// idleAfter is how long a shard may be silent before answers no longer wait for it.
const idleAfter = 30 * time.Second

// An Engine folds a stream into windows and answers queries over them and over what
// the warehouse holds. Its methods may be called by anyone at any time.
type Engine struct {
	options    Options
	dictionary *Dictionary
	cache      *hot.Cache
	full       chan struct{} // with room for one
	stopped    chan struct{} // closed when Run returns
	quarantine quarantine

	freezing sync.Mutex // one freeze at a time, or a shard that is added; held while the shards answer

	// Written under freezing, read by anyone: by rising id. Only ever appended to, so that
	// a shard has one index for good.
	shards atomic.Pointer[[]*shard]

	mu      sync.Mutex
	open    Generation     // the one that takes points
	loaded  Generation     // the last that the warehouse holds
	frozen  *frozen        // frozen and not loaded, or nil
	seen    stream.ShardID // the newest shard that follow has looked at
	news    chan struct{}  // closed when follow has looked
	pins    map[Generation]int
	extents map[string]Extent // of loaded and frozen points, by metric
	ends    []end             // of the last generations frozen, by rising number

	// Written under mu, read by anyone.
	freeable atomic.Uint64 // generations up to here may be freed

	// Written by the folders, read by anyone.
	bounded atomic.Bool // the windows in memory have reached Options.MaxBytes
}

// New returns an engine that goes on where the warehouse ends. It starts nothing.
func New(o Options) (*Engine, error) {
	o = o.withDefaults()
	cache, err := hot.New(o.CacheBytes)
	if err != nil {
		return nil, err
	}
	e := &Engine{
		options:    o,
		dictionary: NewDictionary(o.MaxSeries, o.Restored.Series),
		cache:      cache,
		full:       make(chan struct{}, 1),
		stopped:    make(chan struct{}),
		open:       o.Restored.Generation + 1,
		loaded:     o.Restored.Generation,
		news:       make(chan struct{}),
		pins:       map[Generation]int{},
		extents:    map[string]Extent{},
	}
	var last int64 // time of the last point that is loaded
	for name, x := range o.Restored.Extents {
		e.extents[name] = x
		last = max(last, x.Last)
	}
	e.freeable.Store(uint64(e.loaded))
	var shards []*shard
	all := o.Stream.Shards()
	e.seen = newest(all)
	for _, log := range all {
		maxTime, ok := o.Restored.MaxTimes[log.ID()]
		if !ok {
			maxTime = last // the shard counts as idle until it gets points
		}
		s, err := e.shardFrom(log, o.Restored.Positions[log.ID()], maxTime)
		if err != nil {
			e.cache.Close()
			return nil, err
		}
		s.publish()
		shards = append(shards, s)
	}
	e.shards.Store(&shards)
	e.options.Restored.Keys = nil // the shards have them
	return e, nil
}

// Run folds until ctx ends. A shard whose log is damaged stops folding and is
// reported; the others go on.
func (e *Engine) Run(ctx context.Context) error {
	defer close(e.stopped)
	defer e.cache.Close()
	var g errgroup.Group
	started := 0
	start := func() {
		for _, s := range e.all()[started:] {
			g.Go(func() error { return s.fold(ctx) })
			g.Go(func() error { s.run(ctx); return nil })
			started++
		}
	}
	start() // before follow, which waits for a freeze, which waits for the shards
	for {
		changed := e.options.Stream.Changed()
		if err := e.follow(); err != nil {
			e.options.Logger.Error("new shards are not folded", "error", err)
		}
		start()
		select {
		case <-changed:
		case <-ctx.Done():
			return g.Wait()
		}
	}
}

func (e *Engine) now() time.Time { return e.options.Now() }

// Window returns the length of the base window.
func (e *Engine) Window() time.Duration { return e.options.Window }

// Full receives a value when the windows in memory pass Options.GenerationBytes.
func (e *Engine) Full() <-chan struct{} { return e.full }

// checkSize asks for a load when a generation has its size. If loads cannot go through
// and memory has reached its bound, it stops the folders and the posts; nothing is lost
// by it, the log holds what was acknowledged.
func (e *Engine) checkSize() {
	n := e.pendingBytes()
	if n > e.options.GenerationBytes {
		select {
		case e.full <- struct{}{}:
		default:
		}
	}
	was := e.bounded.Load()
	now := n > e.options.MaxBytes || was && n > e.options.MaxBytes-e.options.MaxBytes/8
	if now != was && e.bounded.CompareAndSwap(was, now) {
		e.options.Stream.Throttle(now)
		if now {
			e.options.Logger.Warn("memory is full of windows that are not loaded: posts are refused until a load goes through", "bytes", n, "limit", e.options.MaxBytes)
		} else {
			e.options.Logger.Info("posts are taken again", "bytes", n)
		}
	}
}

func (e *Engine) pendingBytes() int64 {
	var n int64
	for _, s := range e.all() {
		n += s.bytes.Load()
	}
	return n
}

// Freeze ends the open generation in all shards, with every record that was durable
// when it was called (or as many as memory had room for), and returns it. When an earlier one
// is frozen and not loaded yet it returns that one again, and ErrNothingPending when
// there are no records to load.
func (e *Engine) Freeze(ctx context.Context) (Frozen, error) {
	if err := e.caughtUp(ctx); err != nil {
		return nil, err
	}
	e.freezing.Lock()
	defer e.freezing.Unlock()
	e.mu.Lock()
	f, next, loaded := e.frozen, e.open+1, e.loaded
	e.mu.Unlock()
	if f != nil {
		return f, nil
	}
	// What was acknowledged before is part of it.
	v, err := e.view(ctx, (*stream.Shard).Durable)
	if err != nil {
		return nil, err
	}
	v.Close()
	if !e.pending(loaded) {
		return nil, ErrNothingPending
	}
	f = &frozen{engine: e, number: next - 1}
	for _, s := range e.all() {
		v, err := s.end(ctx, next)
		if err != nil {
			return nil, err
		}
		f.views = append(f.views, v)
	}
	f.lastSeries = e.dictionary.last()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.open, e.frozen = next, f
	if len(e.ends) == maxEnds {
		e.ends = append(e.ends[:0:0], e.ends[1:]...)
	}
	last := end{number: f.number}
	for _, v := range f.views {
		g := v.generation(f.number)
		last.shards = append(last.shards, place{g.to, g.arrived})
	}
	e.ends = append(e.ends, last)
	f.before = make(map[string]Extent)
	for name, x := range f.extents() {
		f.before[name] = e.extents[name]
		e.extents[name] = e.extents[name].union(x)
	}
	return f, nil
}

// An end is where a generation ends in every shard.
type end struct {
	number Generation
	shards []place
}

// A place is a position in a shard.
type place struct {
	next    stream.Offset // of the first record behind it
	arrived int64         // of record next-1, epoch ms
}

// maxEnds is how many ends are remembered. A warehouse snapshot opened by a query is of
// a generation frozen while the query ran, or of the one loaded before.
const maxEnds = 64

// endOf returns where a generation ends in a shard, and false for generations that were
// frozen before the start.
func (e *Engine) endOf(g Generation, shard int) (place, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, x := range e.ends {
		if x.number == g && shard < len(x.shards) {
			return x.shards[shard], true
		}
	}
	return place{}, false
}

// pending reports whether a generation above the one loaded holds any record: the open
// one, or the one that a freeze cut short ended in some shards.
func (e *Engine) pending(loaded Generation) bool {
	for _, s := range e.all() {
		for _, g := range s.view.Load().gens {
			if g.number > loaded && g.to > g.from {
				return true
			}
		}
	}
	return false
}

// end freezes the shard's open generation unless that was done before, as when an
// earlier Freeze was cut short.
func (s *shard) end(ctx context.Context, next Generation) (*shardView, error) {
	f := freeze{number: next, reply: make(chan *shardView, 1)}
	select {
	case s.freezes <- f:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.engine.stopped:
		return s.freeze(next), nil // nobody else owns the shard any more
	}
	return <-f.reply, nil
}

// Loaded says that the warehouse holds the frozen generation. Its memory is freed when
// no older snapshot is open.
func (e *Engine) Loaded(g Generation) {
	e.mu.Lock()
	f := e.frozen
	e.mu.Unlock()
	if f == nil || f.number != g {
		return
	}
	touched := f.touched()
	fresh := f.blocks(touched)
	e.mu.Lock()
	// The cache learns what changed before any query can see the new generation.
	e.cache.Loaded(uint64(g), touched)
	for _, b := range fresh {
		e.cache.Put(b)
	}
	e.frozen, e.loaded = nil, g
	e.freeLocked()
	e.mu.Unlock()
	for _, v := range f.views {
		v.shard.log.Hold("warehouse", f.rangeOf(v).To)
	}
}

// A Pin keeps the generations in memory that a warehouse snapshot opened after it may
// lack.
type Pin struct {
	engine *Engine
	loaded Generation
	once   sync.Once
}

// Pin must be called before the snapshot is opened.
func (e *Engine) Pin() *Pin {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.pins[e.loaded]++
	return &Pin{engine: e, loaded: e.loaded}
}

// Close lets go. It may be called twice.
func (p *Pin) Close() {
	p.once.Do(func() {
		e := p.engine
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.pins[p.loaded]--; e.pins[p.loaded] == 0 {
			delete(e.pins, p.loaded)
		}
		e.freeLocked()
	})
}

// freeLocked lets the shards free what no snapshot can lack.
func (e *Engine) freeLocked() {
	free := e.loaded
	for g := range e.pins {
		free = min(free, g)
	}
	e.freeable.Store(uint64(free))
}

// freed returns the last generation that may be freed.
func (e *Engine) freed() Generation { return Generation(e.freeable.Load()) }

// SeriesAfter returns the series with an id above id, by rising id.
func (e *Engine) SeriesAfter(id SeriesID) []Series { return e.dictionary.After(id) }

func (x Extent) union(y Extent) Extent {
	if x == (Extent{}) {
		return y
	}
	return Extent{min(x.First, y.First), max(x.Last, y.Last)}
}
