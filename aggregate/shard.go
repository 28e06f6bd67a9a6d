package aggregate

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"freshet/ingest/point"
	"freshet/stream"
)

// readBytes is how much of the log is read, decoded and folded at a time.
const readBytes = 256 << 10

// A shard folds one shard of the log. Two goroutines work on it: the reader reads and
// decodes records, the folder owns the windows. Whoever wants to see the windows asks
// the folder for a shardView, which never changes.
type shard struct {
	engine *Engine
	log    *stream.Shard

	batches chan *batch // from reader to folder
	free    chan *batch // and back
	asks    chan ask
	freezes chan freeze

	// Owned by fold.
	gens     []*generation // by rising number; the last is open
	known    map[uint64]*entry
	next     stream.Offset // of the first record that is not folded
	arrived  int64         // of the last folded record, epoch ms
	clock    eventClock
	lastSeen time.Time // when the last points were folded
	dirty    bool
	waiting  []ask
	unknown  int64 // bytes of records folded since the last publish
	keys     *ledger

	// Written by fold, read by anyone.
	view       atomic.Pointer[shardView]
	folded     atomic.Uint64 // next
	points     atomic.Uint64
	bad        atomic.Uint64
	refused    atomic.Uint64
	repeats    atomic.Uint64 // points of posts that were sent again
	remembered atomic.Int64  // keys of posts
	bytes      atomic.Int64

	// Written by fold before it closes drained, then read by anyone until every child has
	// taken it.
	drained  chan struct{}
	heritage []inheritance
	heirs    atomic.Int32 // children that have taken it

	// Owned by read.
	inherited []inheritance // that fold does not have yet

	// Written by read, read by anyone.
	halted atomic.Bool // the log cannot be read on
}

// An ask wants a view that covers all offsets below at.
type ask struct {
	at    stream.Offset
	reply chan *shardView // with room for one
}

// A freeze ends the open generation. The folder answers with its number's view.
type freeze struct {
	number Generation // of the generation to begin
	reply  chan *shardView
}

func newShard(e *Engine, log *stream.Shard, at place, maxTime int64, open Generation) *shard {
	s := &shard{
		engine: e, log: log, next: at.next, arrived: at.arrived,
		batches: make(chan *batch, 2), free: make(chan *batch, 3),
		asks: make(chan ask), freezes: make(chan freeze),
		known: map[uint64]*entry{}, drained: make(chan struct{}),
		keys:  newLedger(log, &e.options, e.keysOf(log.ID())),
		clock: e.clockFrom(maxTime),
		gens:  []*generation{{number: open, from: at.next, to: at.next, arrived: at.arrived, begun: maxTime}},
	}
	for range cap(s.free) {
		s.free <- &batch{}
	}
	s.folded.Store(uint64(at.next))
	return s
}

// run reads until ctx ends, the log is damaged, or a closed shard is read to its end.
func (s *shard) run(ctx context.Context) {
	if err := s.read(ctx); err != nil {
		s.halted.Store(true)
		s.engine.options.Logger.Error("a shard is no longer folded", "shard", s.log.ID(), "error", err)
	}
	s.finish(ctx)
}

// read runs the reader until ctx ends.
func (s *shard) read(ctx context.Context) error {
	s.inherited = s.inherit(ctx)
	r := s.log.Reader(s.next)
	defer r.Close()
	for {
		var b *batch
		select {
		case b = <-s.free:
		case <-ctx.Done():
			return nil
		}
		records, err := r.Next(ctx, readBytes)
		if err != nil {
			if ctx.Err() != nil || errors.Is(err, stream.ErrEnd) {
				return nil
			}
			return fmt.Errorf("shard %s: %w", s.log.ID(), err)
		}
		b.decode(s.log, records, s.putAside)
		b.heirs, s.inherited = s.inherited, nil
		select {
		case s.batches <- b:
		case <-ctx.Done():
			return nil
		}
	}
}

// fold runs the folder until ctx ends.
func (s *shard) fold(ctx context.Context) error {
	// Keeps the size of the generation known, and frees loaded ones, when nobody looks.
	account := time.NewTicker(500 * time.Millisecond)
	defer account.Stop()
	for {
		batches := s.batches
		if s.engine.bounded.Load() {
			batches = nil // until a load has freed some memory
		}
		select {
		case b := <-batches:
			if b.end {
				s.drain(b)
				continue
			}
			s.add(b)
			if s.unknown += int64(len(b.data)); s.unknown > s.engine.options.MaxBytes/16 {
				s.account()
			}
			s.free <- b
			s.answer()
		case a := <-s.asks:
			s.waiting = append(s.waiting, a)
			s.answer()
		case f := <-s.freezes:
			f.reply <- s.freeze(f.number)
		case <-account.C:
			s.account()
			s.answer()
		case <-ctx.Done():
			if s.dirty {
				s.publish() // for those who look when nobody folds any more
			}
			return nil
		}
	}
}

// account makes the size of what is folded known, and frees what is loaded.
func (s *shard) account() {
	if len(s.gens) > 1 && s.gens[0].number <= s.engine.freed() {
		s.publish()
	}
	if s.dirty {
		s.measure()
	}
	s.engine.checkSize()
}

// add folds a batch.
func (s *shard) add(b *batch) {
	g := s.gens[len(s.gens)-1]
	var count int
	width := s.engine.options.Window.Milliseconds()
	s.keys.inherit(b.heirs, s.arrived)
	for n, p := range b.points[:b.n] {
		if p.Mark.Key != (point.Key{}) {
			s.repeats.Add(g.repeats.once(s.keys, p, b.from[n]))
		}
		for i := range p.Runs {
			run := &p.Runs[i]
			e := s.lookup(p, i)
			f := g.fold(e.metric.id, width)
			for j := run.First; j < run.First+run.N; j++ {
				at := p.Time[j]
				var hash uint64
				if run.Type == point.Set {
					hash = memberHash(p.Member(int(j)))
				}
				if at < s.clock.late {
					f.AddLate(e.index, run.Type, at, p.Value[j], hash)
				} else {
					f.Add(e.index, run.Type, at, p.Value[j], hash)
				}
			}
		}
		s.clock.see(p.Time)
		count += p.Len()
	}
	if count > 0 {
		s.lastSeen = s.engine.now()
	}
	s.points.Add(uint64(count))
	s.bad.Add(uint64(b.bad))
	s.refused.Add(uint64(b.refused))
	s.next, s.arrived = b.next, b.arrived
	g.to, g.arrived = b.next, b.arrived
	s.folded.Store(uint64(s.next))
	s.dirty = true
}

// lookup returns the entry of series i of the batch.
func (s *shard) lookup(p *point.Batch, i int) *entry {
	hash := p.Runs[i].Hash
	if e := s.known[hash]; e != nil && p.Is(i, &e.Series.Series) {
		return e
	}
	e := s.engine.dictionary.intern(p, i)
	if !e.overflow {
		s.known[hash] = e
	}
	return e
}

// answer replies to the asks whose offset has been folded. When memory is full it replies
// to all: the view says what it covers.
func (s *shard) answer() {
	if len(s.waiting) == 0 {
		return
	}
	rest := s.waiting[:0]
	bounded := s.engine.bounded.Load()
	for _, a := range s.waiting {
		if a.at > s.next && !bounded {
			rest = append(rest, a)
			continue
		}
		if s.dirty {
			s.publish()
		}
		a.reply <- s.view.Load()
	}
	s.waiting = rest
}

// freeze ends the open generation, begins the one numbered and returns the view.
func (s *shard) freeze(number Generation) *shardView {
	g := s.gens[len(s.gens)-1]
	if g.number == number {
		return s.view.Load() // an earlier freeze was cut short after this shard
	}
	for id, f := range g.folds {
		if f != nil {
			f.Seal()
			if !g.inTouch[id] {
				g.inTouch[id] = true
				g.touched = append(g.touched, id)
			}
		}
	}
	g.keys = s.keys.cutKeys()
	s.gens = append(s.gens, &generation{number: number, from: s.next, to: s.next, arrived: s.arrived, begun: s.clock.greatest})
	s.publish()
	return s.view.Load()
}

// look returns a view that covers every offset below at.
func (s *shard) look(ctx context.Context, at stream.Offset) (*shardView, error) {
	a := ask{at: at, reply: make(chan *shardView, 1)}
	select {
	case s.asks <- a:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.engine.stopped:
		return s.view.Load(), nil
	}
	select {
	case v := <-a.reply:
		return v, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-s.engine.stopped:
		return s.view.Load(), nil
	}
}
