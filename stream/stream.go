package stream

import (
	"time"
)

// Stream is a named set of shards that share out all hash keys. Its methods may be
// called by several goroutines at once.
type Stream struct {
	name    string
	number  uint64
	created int64 // epoch milliseconds
	shards  []*Shard
}

func (s *Stream) Name() string { return s.name }

// Created is when the stream was made.
func (s *Stream) Created() time.Time { return time.UnixMilli(s.created) }

// Shards returns all shards by rising id. The caller does not change the slice.
func (s *Stream) Shards() []*Shard { return s.shards }

// ShardFor returns the shard that takes a hash key. It does not allocate.
func (s *Stream) ShardFor(h HashKey) *Shard {
	lo, hi := 0, len(s.shards)-1
	for lo < hi {
		mid := (lo + hi) / 2
		if s.shards[mid].last.Compare(h) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return s.shards[lo]
}
