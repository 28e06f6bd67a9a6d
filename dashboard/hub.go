package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"freshet/aggregate"
)

// maxFeeds is how many distinct queries are evaluated at the same time.
const maxFeeds = 2000

// linger is how long a feed outlives its last viewer, so that a reloaded page finds it.
const linger = 20 * time.Second

// maxHeld is how long updates wait for those of the other feeds of their tick, so that what
// a viewer is sent at one tick leaves at once.
const maxHeld = 10 * time.Millisecond

// retryAfter is how long a feed rests after an evaluation that failed.
const retryAfter = time.Second

// HubOptions configure a Hub.
type HubOptions struct {
	Engine *aggregate.Engine
	Tick   time.Duration // between evaluations; 0 means 50 ms
	Rank   time.Duration // between evaluations of a query with top, all of which is ranked anew; 0 means 1 s
	Logger *slog.Logger  // nil discards
}

// A Hub evaluates each distinct query that somebody watches once a tick, and encodes
// what changed of it once for all viewers.
type Hub struct {
	options HubOptions
	done    chan struct{} // closed when Run returns
	started chan *feed    // feeds that want their first evaluation
	viewers atomic.Int64
	skips   atomic.Uint64

	mu    sync.Mutex
	feeds map[string]*feed
}

// NewHub returns a hub. It starts nothing.
func NewHub(o HubOptions) *Hub {
	if o.Tick == 0 {
		o.Tick = 50 * time.Millisecond
	}
	if o.Rank == 0 {
		o.Rank = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Hub{options: o, done: make(chan struct{}), started: make(chan *feed, maxFeeds), feeds: map[string]*feed{}}
}

// Run evaluates until ctx ends.
func (h *Hub) Run(ctx context.Context) error {
	defer close(h.done)
	var first sync.WaitGroup
	defer first.Wait()
	room := make(chan struct{}, 4)
	tick := time.NewTicker(h.options.Tick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-h.started:
			first.Go(func() {
				room <- struct{}{}
				h.begin(ctx, f)
				<-room
			})
		case <-tick.C:
			h.tick(ctx)
		}
	}
}

// begin evaluates a feed for the first time.
func (h *Hub) begin(ctx context.Context, f *feed) {
	for ctx.Err() == nil {
		err := f.first(ctx, h.options.Engine)
		if err == nil || ctx.Err() != nil {
			return
		}
		f.fail(err)
		h.options.Logger.Warn("a query failed", "query", f.key, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(retryAfter):
		}
		f.mu.Lock()
		alone := len(f.subs) == 0
		f.mu.Unlock()
		if alone && h.forget(f) {
			return
		}
	}
}

// tick brings all feeds to one view.
func (h *Hub) tick(ctx context.Context) {
	feeds := h.live()
	if len(feeds) == 0 {
		return
	}
	v, err := h.options.Engine.Latest(ctx)
	if err != nil {
		return // ctx has ended
	}
	defer v.Close()
	wake := func() {
		for _, f := range feeds {
			f.wake()
		}
	}
	var late atomic.Bool
	hurry := time.AfterFunc(maxHeld, func() {
		late.Store(true)
		wake()
	})
	defer hurry.Stop()
	var g errgroup.Group
	g.SetLimit(2)
	for _, f := range feeds {
		g.Go(func() error {
			h.advance(ctx, f, v)
			if late.Load() {
				f.wake()
			}
			return nil
		})
	}
	_ = g.Wait()
	wake()
}

func (h *Hub) advance(ctx context.Context, f *feed, v *aggregate.View) {
	now := time.UnixMilli(v.Now())
	if now.Sub(f.failed) < retryAfter {
		return
	}
	err := f.advance(ctx, v)
	switch {
	case err == nil:
		f.settle(h.options.Engine)
		f.failed = time.Time{}
	case ctx.Err() == nil:
		f.failed = now
		f.fail(err)
		h.options.Logger.Warn("a query failed", "query", f.key, "error", err)
	}
}

// live returns the feeds that are ready, and drops those that nobody has watched for a while.
func (h *Hub) live() []*feed {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*feed
	for key, f := range h.feeds {
		f.mu.Lock()
		switch {
		case len(f.subs) == 0 && f.ready && time.Since(f.left) > linger:
			delete(h.feeds, key)
		case f.ready:
			out = append(out, f)
		}
		f.mu.Unlock()
	}
	return out
}

// forget drops a feed that nobody watches.
func (h *Hub) forget(f *feed) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.subs) > 0 {
		return false
	}
	delete(h.feeds, f.key)
	return true
}

// join adds a subscription to the feed of its query, which is made if there is none.
func (h *Hub) join(s *subscription, q aggregate.Query) error {
	if q.Range == "" {
		return &aggregate.QueryError{Reason: "range is required in a live query"}
	}
	reach, err := h.options.Engine.Reach(q.AtLeast)
	if err != nil {
		return err
	}
	q.AtLeast = nil // viewers that want to see different records share a feed all the same
	plan, err := h.options.Engine.Plan(q)
	if err != nil {
		return err
	}
	key, err := json.Marshal(q)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feeds[string(key)]
	if f == nil {
		if len(h.feeds) >= maxFeeds {
			return fmt.Errorf("%d distinct queries are watched; the limit is %d", len(h.feeds), maxFeeds)
		}
		f = &feed{key: string(key), plan: plan, rankEvery: h.options.Rank, subs: map[*subscription]struct{}{}}
		h.feeds[f.key] = f
		h.started <- f // has room for every feed
	}
	s.feed = f
	f.mu.Lock()
	defer f.mu.Unlock()
	s.reach, s.patience = reach, time.Now().Add(aggregate.MaxLag)
	f.subs[s] = struct{}{}
	if reach != nil {
		f.waiting++
	}
	if f.err != "" {
		s.viewer.fail(s.id, f.err)
	}
	return nil
}

// leave ends a subscription.
func (h *Hub) leave(s *subscription) {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.subs, s)
	if len(f.subs) == 0 {
		f.left = time.Now()
	}
}

// HubStats are the hub's present state and its counts since the start.
type HubStats struct {
	Viewers int64
	Feeds   int    // distinct queries
	Skips   uint64 // times that a viewer fell behind and was owed a snapshot
}

// Stats returns the present state.
func (h *Hub) Stats() HubStats {
	h.mu.Lock()
	defer h.mu.Unlock()
	return HubStats{Viewers: h.viewers.Load(), Feeds: len(h.feeds), Skips: h.skips.Load()}
}
