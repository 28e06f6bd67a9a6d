package aggregate

import (
	"context"
	"fmt"
	"sync"

	"freshet/aggregate/hot"
	"freshet/aggregate/window"
	"freshet/ingest/point"
	"freshet/stream"
)

// A View is the data at one moment: a prefix of every shard, and the warehouse as of
// one generation. All that is evaluated on one View agrees. It may be used by several
// goroutines; Close frees what it holds.
type View struct {
	engine *Engine
	pin    *Pin
	shards []*shardView
	now    int64 // epoch ms

	mu       sync.Mutex
	loaded   Generation // what is taken from the warehouse
	snapshot Snapshot   // opened when the cache lacks a block
}

// View returns a view that covers every record that was durable when it was called; when
// memory is full, those that it had room for.
// If ctx ends first it returns ctx's error.
func (e *Engine) View(ctx context.Context) (*View, error) {
	if err := e.caughtUp(ctx); err != nil {
		return nil, err
	}
	return e.view(ctx, (*stream.Shard).Durable)
}

// Latest returns a view of what is folded, without waiting for the rest.
func (e *Engine) Latest(ctx context.Context) (*View, error) {
	return e.view(ctx, func(*stream.Shard) stream.Offset { return 0 })
}

func (e *Engine) view(ctx context.Context, reach func(*stream.Shard) stream.Offset) (*View, error) {
	pin := e.Pin()
	v := &View{engine: e, pin: pin, loaded: pin.loaded, now: e.now().UnixMilli()}
	for _, s := range e.all() {
		at := reach(s.log)
		if s.halted.Load() { // it shows what it has
			at = 0
		}
		sv, err := s.look(ctx, at)
		if err != nil {
			pin.Close()
			return nil, fmt.Errorf("shard %s: %w", s.log.ID(), err)
		}
		v.shards = append(v.shards, sv)
	}
	return v, nil
}

// Close frees what the view holds.
func (v *View) Close() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.snapshot != nil {
		if err := v.snapshot.Close(); err != nil {
			v.engine.options.Logger.Warn("closing a warehouse snapshot", "error", err)
		}
		v.snapshot = nil
	}
	v.pin.Close()
}

// Now returns when the view was taken, in epoch milliseconds.
func (v *View) Now() int64 { return v.now }

// covers returns by shard the sequence number of the last record that is counted when
// the generations up to loaded come from the warehouse and the rest from the view.
// Shards without any are left out.
func (v *View) covers(loaded Generation) map[string]string {
	out := make(map[string]string, len(v.shards))
	for i, s := range v.shards {
		at := place{s.next, s.arrived}
		// A snapshot that was opened after the view may reach further than it does.
		if end, ok := v.engine.endOf(loaded, i); ok && end.next > at.next {
			at = end
		}
		if at.next > 0 && at.arrived > 0 {
			log := s.shard.log
			out[log.ID().String()] = log.SequenceNumber(at.next-1, at.arrived).String()
		}
	}
	return out
}

// Watermark returns the time, in epoch milliseconds, up to which windows are final: the
// head less the allowed lateness. Points that come for them later are counted all the
// same, and known as late. 0 means that there is no point.
func (v *View) Watermark() int64 {
	return max(0, v.Head()-v.engine.options.Lateness.Milliseconds())
}

// Head returns the time, in epoch milliseconds, up to which the view is taken to be
// complete but for late points: the least over the shards of the greatest time seen,
// without shards that have been idle for 30 s, and never in the future.
// After a restart it begins at the last loaded point; 0 means that there is none.
func (v *View) Head() int64 {
	var least, greatest int64
	for _, s := range v.shards {
		if s.maxTime == 0 {
			continue
		}
		greatest = max(greatest, s.maxTime)
		if _, end, closed := s.shard.log.Closed(); closed && s.next >= end {
			continue // it gets no more
		}
		if v.now-s.lastSeen.UnixMilli() > idleAfter.Milliseconds() {
			continue
		}
		if least == 0 || s.maxTime < least {
			least = s.maxTime
		}
	}
	if least == 0 {
		least = greatest
	}
	return min(least, v.now)
}

// pending calls add with the windows of a metric that the warehouse lacks, in the order
// of the log within a shard.
func (v *View) pending(m *metric, loaded Generation, add func(*window.View)) {
	for _, s := range v.shards {
		for i := range s.gens {
			if g := &s.gens[i]; g.number > loaded {
				if w := g.metric(m.id); w != nil {
					add(w)
				}
			}
		}
	}
}

// A blockSpan names the blocks that hold windows of a resolution with from ≤ time < to.
type blockSpan struct {
	resolution, from, to int64
}

// maxReads is how many blocks a query reads from the warehouse into the cache; where
// more are missing it lets the warehouse add up what it has.
const maxReads = 4

// blocks returns the loaded windows of a metric, and the generation they are of: all
// from the cache, or all as of the view's snapshot. Where many are missing it returns
// none of them and calls ask with the snapshot, unless ask is nil.
func (v *View) blocks(ctx context.Context, m *metric, s blockSpan, ask func(Snapshot) error) ([]*hot.Block, Generation, error) {
	e := v.engine
	v.mu.Lock()
	defer v.mu.Unlock()
	span := hot.Span(s.resolution)
	first, last := window.Floor(s.from, span), window.Floor(s.to-1, span)
	var out []*hot.Block
	var missed []int // indexes in out
	for {
		// Read anew after the snapshot was opened: its generation may reach beyond.
		e.mu.Lock()
		x, any := e.extents[m.name]
		e.mu.Unlock()
		if !any || e.options.History == nil {
			return nil, v.loaded, nil
		}
		out, missed = out[:0], missed[:0]
		end := min(last, window.Floor(x.Last, span))
		begin := max(first, window.Floor(max(x.First, e.since(s.resolution)), span))
		for start := begin; start <= end; start += span {
			b := e.cache.Get(hot.Key{Metric: m.id, Resolution: s.resolution, Start: start}, uint64(v.loaded))
			if b == nil {
				missed = append(missed, len(out))
			}
			out = append(out, b)
		}
		switch {
		case len(missed) == 0:
			return out, v.loaded, nil
		case v.snapshot == nil:
			if err := v.open(ctx); err != nil {
				return nil, 0, err
			}
		case len(missed) > maxReads && ask != nil:
			return nil, v.loaded, ask(v.snapshot)
		default:
			for _, i := range missed {
				b, err := v.readBlock(ctx, m, hot.Key{Metric: m.id, Resolution: s.resolution, Start: begin + int64(i)*span})
				if err != nil {
					return nil, 0, err
				}
				e.cache.Put(b)
				out[i] = b
			}
			return out, v.loaded, nil
		}
	}
}

// open opens the warehouse snapshot. From then on the view is of its generation, which
// may be later than the one pinned.
func (v *View) open(ctx context.Context) error {
	s, err := v.engine.options.History.Snapshot(ctx)
	if err != nil {
		return fmt.Errorf("warehouse: %w", err)
	}
	v.snapshot, v.loaded = s, s.Generation()
	return nil
}

// readBlock reads a block from the snapshot. Windows shorter than a minute are
// made from the raw points.
func (v *View) readBlock(ctx context.Context, m *metric, key hot.Key) (*hot.Block, error) {
	var c window.Chunks
	to := key.Start + hot.Span(key.Resolution)
	entries := m.series()
	place := func(id SeriesID) (uint32, bool) {
		e := v.engine.dictionary.byNumber(id)
		if e == nil || e.metric != m {
			return 0, false
		}
		return e.index, true
	}
	var err error
	if key.Resolution >= minute {
		err = v.snapshot.Rows(ctx, m.name, key.Resolution, key.Start, to, func(r *Row) error {
			i, ok := place(r.Series)
			if !ok {
				return fmt.Errorf("series %d of metric %s is not in the dictionary", r.Series, m.name)
			}
			s := *r.State // the sketch is copied by AddState, the members are kept
			c.AddState(i, r.Start, &s)
			return nil
		})
	} else {
		err = v.snapshot.Points(ctx, m.name, key.Start, to, func(p *Points) error {
			for j, id := range p.Series {
				i, ok := place(id)
				if !ok {
					return fmt.Errorf("series %d of metric %s is not in the dictionary", id, m.name)
				}
				set := len(p.Member) > 0 && entries[i].isSet()
				var h uint64
				if set {
					h = memberHash([]byte(p.Member[j]))
				}
				if p.Late != nil && p.Late[j] {
					c.Late(i, p.Time[j], p.Value[j], set, h)
				} else {
					c.Single(i, p.Time[j], p.Value[j], set, h)
				}
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("warehouse: metric %s: %w", m.name, err)
	}
	w := c.View()
	if key.Resolution > v.engine.options.Window.Milliseconds() && key.Resolution < minute {
		panes := &window.Chunks{}
		err := window.Rollup([]*window.View{&w}, key.Resolution, func(i uint32) point.Type { return entries[i].Type },
			func(i uint32, start int64, s *window.State) error {
				own := *s // AddState keeps the members, and Rollup uses the state again
				own.Distinct = window.Distinct{}
				own.Distinct.Merge(&s.Distinct)
				panes.AddState(i, start, &own)
				return nil
			})
		if err != nil {
			return nil, err
		}
		w, c = panes.View(), *panes
	}
	return &hot.Block{Key: key, Generation: uint64(v.loaded), Views: []*window.View{&w}, Bytes: c.Bytes()}, nil
}

// ChangedSince returns the least start of a window of the metric that may differ from
// what an earlier view of the same engine showed, and false if none does.
func (v *View) ChangedSince(before *View, name string) (int64, bool) {
	m := v.engine.dictionary.metric(name)
	if m == nil {
		return 0, false
	}
	var least int64
	changed := false
	for i, s := range v.shards {
		old := &shardView{} // of a shard that has been made since
		if i < len(before.shards) {
			old = before.shards[i]
		}
		for j := range s.gens {
			g := &s.gens[j]
			now, was := g.metric(m.id), (*window.View)(nil)
			for k := range old.gens {
				if old.gens[k].number == g.number {
					was = old.gens[k].metric(m.id)
				}
			}
			if now == nil || now == was {
				continue
			}
			if at, ok := window.Changed(was, now); ok && (!changed || at < least) {
				least, changed = at, true
			}
		}
	}
	return least, changed
}
