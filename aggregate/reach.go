package aggregate

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"freshet/stream"
)

// A Reach is what an answer has to count: by shard, all records below an offset. The nil
// Reach asks for nothing.
type Reach map[stream.ShardID]stream.Offset

// Reach reads the sequence numbers that a query names by shard: the covers of an answer,
// or of the reply to a post.
func (e *Engine) Reach(atLeast map[string]string) (Reach, error) {
	if len(atLeast) == 0 {
		return nil, nil
	}
	out := make(Reach, len(atLeast))
	for _, name := range slices.Sorted(maps.Keys(atLeast)) {
		id, err := stream.ParseShardID(name)
		if err != nil {
			return nil, refuse("at_least: %v", err)
		}
		if e.shard(id) == nil {
			return nil, refuse("at_least: there is no shard %s", name)
		}
		n, err := stream.ParseSequenceNumber(atLeast[name])
		switch {
		case err != nil:
			return nil, refuse("at_least.%s: %v", name, err)
		case n.Shard != id:
			return nil, refuse("at_least.%s: sequence number %s is of %s", name, atLeast[name], n.Shard)
		}
		out[id] = n.Offset + 1
	}
	return out, nil
}

// Reaches reports whether the view counts all that r asks for.
func (v *View) Reaches(r Reach) bool {
	for id, at := range r {
		if !slices.ContainsFunc(v.shards, func(s *shardView) bool { return s.shard.log.ID() == id && s.next >= at }) {
			return false
		}
	}
	return true
}

// Covers returns by shard the sequence number of the last record that the view counts.
func (v *View) Covers() map[string]string { return v.covers(v.taken()) }

// A LagError says that a shard was not folded as far as a query wanted within MaxLag.
type LagError struct {
	Shard   stream.ShardID
	Wanted  stream.Offset // records below it
	Reached stream.Offset
	Last    string // sequence number of the last record folded, empty for none
}

func (e *LagError) Error() string {
	return fmt.Sprintf("after %v shard %s is at record %d, sequence number %q; the query wants all up to record %d", MaxLag, e.Shard, e.Reached, e.Last, e.Wanted)
}

// Lag returns a LagError for the first shard that is not folded as far as r asks, or nil.
func (e *Engine) Lag(r Reach) error {
	for _, id := range slices.Sorted(maps.Keys(r)) {
		s := e.shard(id)
		if at := stream.Offset(s.folded.Load()); at < r[id] {
			lag := &LagError{Shard: id, Wanted: r[id], Reached: at}
			if v := s.view.Load(); v.next > 0 && v.arrived > 0 {
				lag.Last = s.log.SequenceNumber(v.next-1, v.arrived).String()
			}
			return lag
		}
	}
	return nil
}

// durable returns what has to be folded for an answer to count all that is durable now.
// Shards that have halted show what they have.
func (e *Engine) durable() Reach {
	r := Reach{}
	for _, s := range e.all() {
		if !s.halted.Load() {
			r[s.log.ID()] = s.log.Durable()
		}
	}
	return r
}

// await waits until all that r asks for is folded, MaxLag at most.
func (e *Engine) await(ctx context.Context, r Reach) error {
	const pause = 2 * time.Millisecond
	for wait := time.Duration(0); ; wait += pause {
		lag := e.Lag(r)
		if lag == nil || wait >= MaxLag {
			return lag
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
