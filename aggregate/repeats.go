package aggregate

import (
	"context"
	"fmt"
	"time"
	"unsafe"

	"freshet/ingest/point"
	"freshet/stream"
)

// repeats notes what of a generation's records in a shard is not counted, in the order of the
// log. It is only added to, so that a copy stays as it is.
type repeats struct {
	notes  []note
	strips [][]hashRange
}

// A note is about one record, or one user record of it.
type note struct {
	offset stream.Offset
	sub    int32 // as in origin
	strip  int32 // index in strips; dropAll when nothing of it is counted
}

const dropAll = -1

func (r *repeats) bytes() int64 { return int64(len(r.notes)) * int64(unsafe.Sizeof(note{})) }

// once takes out of the points of a record what is not counted, notes it, and returns how
// many points that are.
func (r *repeats) once(keys *ledger, p *point.Batch, at origin) uint64 {
	f := keys.judge(p.Mark, at)
	switch {
	case f.dropped:
		r.notes = append(r.notes, note{at.offset, at.sub, dropAll})
	case len(f.strip) > 0:
		r.notes = append(r.notes, note{at.offset, at.sub, int32(len(r.strips))})
		r.strips = append(r.strips, f.strip)
	}
	return uint64(f.apply(p))
}

// again takes out what once took out when the record was folded. The records come in the
// order of the log.
func (r *repeats) again(p *point.Batch, at origin) {
	if len(r.notes) == 0 || r.notes[0].offset != at.offset || r.notes[0].sub != at.sub {
		return
	}
	f := fate{dropped: r.notes[0].strip == dropAll}
	if !f.dropped {
		f.strip = r.strips[r.notes[0].strip]
	}
	f.apply(p)
	r.notes = r.notes[1:]
}

// apply takes out of p what is not counted, and returns how many points that are.
func (f *fate) apply(p *point.Batch) int {
	if !f.dropped && len(f.strip) == 0 {
		return 0
	}
	return p.Strip(func(series uint64) bool {
		for _, r := range f.strip {
			if r.holds(series) {
				return true
			}
		}
		return f.dropped
	})
}

// keysOf returns the keys with which a shard starts.
func (e *Engine) keysOf(id stream.ShardID) []Keys {
	all := e.options.Restored.Keys
	from := 0
	for from < len(all) && all[from].Shard < id {
		from++
	}
	to := from
	for to < len(all) && all[to].Shard == id {
		to++
	}
	return all[from:to]
}

// resume has a shard go on within a unit, if that is where it was loaded to.
func (s *shard) resume() error {
	if s.next <= s.log.Horizon() || s.next > s.log.Durable() || s.keys.own.len() == 0 {
		return nil
	}
	r := s.log.Reader(s.next - 1)
	defer r.Close()
	records, err := r.Next(context.Background(), 1)
	if err != nil {
		return fmt.Errorf("shard %s: %w", s.log.ID(), err)
	}
	var p point.Batch
	if p.DecodeRecord(records[0].Data, records[0].Arrived) == nil {
		s.keys.resume(p.Mark, s.next-1)
	}
	return nil
}

// inherit waits until the parents of a shard are folded, or cannot be, and returns what they
// leave. A parent that is not there was closed before records were kept.
func (s *shard) inherit(ctx context.Context) []inheritance {
	var out []inheritance
	for _, id := range s.log.Parents() {
		p := s.engine.shard(id)
		if p == nil {
			continue
		}
		select {
		case <-p.drained:
		case <-ctx.Done():
			return nil
		}
		out = append(out, p.heritage...)
		children := int32(2) // of a split
		if first, last := p.log.Range(); s.log.Holds(first) && s.log.Holds(last) {
			children = 1
		}
		if p.heirs.Add(1) == children {
			p.heritage = nil
		}
	}
	return out
}

// finish tells the folder that no records follow.
func (s *shard) finish(ctx context.Context) {
	select {
	case b := <-s.free:
		b.n, b.end = 0, true
		b.heirs, s.inherited = s.inherited, nil
		select {
		case s.batches <- b:
		case <-ctx.Done():
		}
	case <-ctx.Done():
	}
}

// drain leaves the children their keys, as the last thing that the folder does.
func (s *shard) drain(b *batch) {
	s.keys.inherit(b.heirs, s.arrived)
	s.heritage = s.keys.leave()
	close(s.drained)
}

// clockSlack is for how long beyond their age keys are stored: records that are not folded
// yet arrived before now, by a clock that may have been set since.
const clockSlack = time.Hour

// Keys yields the keys that the generation brought.
func (f *frozen) Keys(ctx context.Context, yield func(*Keys) error) error {
	e := f.engine
	expired := max(0, e.now().Add(-e.options.KeyAge-clockSlack).Unix())
	for _, v := range f.views {
		if err := ctx.Err(); err != nil {
			return err
		}
		out := Keys{Shard: v.shard.log.ID(), Expired: uint32(expired)}
		if err := v.generation(f.number).keys.each(out, yield); err != nil {
			return err
		}
	}
	return nil
}

// shard returns the shard of an id, or nil.
func (e *Engine) shard(id stream.ShardID) *shard {
	for _, s := range e.all() {
		if s.log.ID() == id {
			return s
		}
	}
	return nil
}
