package stream

import (
	"errors"
	"sync/atomic"
	"time"
)

// sums are counted since Open. Several goroutines write them, anyone reads them.
type sums struct {
	groups, records, bytes, nanos atomic.Uint64
	torn, dropped                 atomic.Uint64
}

func (c *sums) add(g *group, took time.Duration) {
	c.groups.Add(1)
	c.records.Add(uint64(g.count))
	c.bytes.Add(uint64(len(g.buf)))
	c.nanos.Add(uint64(took))
}

// ShardStats is the state of a shard and what it did since Open.
type ShardStats struct {
	Stream           string
	Shard            ShardID
	Horizon, Durable Offset
	Files            int
	Bytes            int64 // on disk
	Pending          int   // bytes that wait for the disk

	Groups, Records, Written uint64        // written, in groups, records and bytes
	Writing                  time.Duration // spent in write and sync
	Torn                     uint64        // bytes that Open cut from a torn tail
	Dropped                  uint64        // files past their retention
	Damages                  uint64        // times that a reader met damage
	Closed                   bool          // by a reshard
	Err                      error         // why the shard accepts nothing, or nil; nil when it is closed
}

// Stats may be called at any time.
func (s *Shard) Stats() ShardStats {
	st := ShardStats{
		Stream: s.stream.name, Shard: s.id, Horizon: s.Horizon(), Durable: s.Durable(),
		Pending: s.queue.waiting(), Err: s.Err(),
		Groups: s.sums.groups.Load(), Records: s.sums.records.Load(), Written: s.sums.bytes.Load(),
		Writing: time.Duration(s.sums.nanos.Load()), Torn: s.sums.torn.Load(), Dropped: s.sums.dropped.Load(),
		Damages: s.view.damages.Load(), Closed: s.closing.Load() != nil,
	}
	if st.Closed || errors.Is(st.Err, ErrMoved) {
		st.Err = nil
	}
	s.view.mu.Lock()
	defer s.view.mu.Unlock()
	st.Files, st.Bytes = len(s.view.files), s.view.bytesLocked()
	return st
}

// Stats returns those of every shard of every stream.
func (l *Log) Stats() []ShardStats {
	var all []ShardStats
	for _, s := range l.Streams() {
		for _, sh := range s.Shards() {
			all = append(all, sh.Stats())
		}
	}
	return all
}
