package stream

import (
	"slices"
	"sort"
	"sync/atomic"
	"time"
)

// Stream is a named set of shards of which the open ones share out all hash keys. Its
// methods may be called by several goroutines at once.
type Stream struct {
	log     *Log
	name    string
	number  uint64
	created int64 // epoch milliseconds

	// Written under Log.creating, read by anyone.
	shape     atomic.Pointer[shape]
	retention atomic.Int64 // milliseconds; 0 means the log's
	encrypted atomic.Bool

	throttled atomic.Bool // written and read by anyone
}

// Throttle refuses all submissions with ErrOverloaded from now on, or takes them again:
// for a reader that cannot follow any more. It is not stored.
func (s *Stream) Throttle(on bool) { s.throttled.Store(on) }

// shape is the shards of a stream between two changes. It never changes.
type shape struct {
	all     []*Shard      // by rising id
	open    []*Shard      // by rising hash range
	changed chan struct{} // closed when another takes its place
}

// reshape puts a set of shards, by rising id, in the place of the one before.
func (s *Stream) reshape(all []*Shard) {
	next := &shape{all: all, changed: make(chan struct{})}
	for _, sh := range all {
		if sh.closing.Load() == nil {
			next.open = append(next.open, sh)
		}
	}
	sort.Slice(next.open, func(i, j int) bool { return next.open[i].first.Compare(next.open[j].first) < 0 })
	if old := s.shape.Swap(next); old != nil {
		close(old.changed)
	}
}

func (s *Stream) Name() string { return s.name }

// Number tells streams apart that had the same name one after the other.
func (s *Stream) Number() uint64 { return s.number }

// Created is when the stream was made.
func (s *Stream) Created() time.Time { return time.UnixMilli(s.created) }

// Shards returns the shards that are kept, those closed by a reshard among them, by
// rising id. Ids have gaps once closed shards are past their retention. The caller does
// not change the slice.
func (s *Stream) Shards() []*Shard { return s.shape.Load().all }

// OpenShards returns the shards that take records, by rising hash keys. The caller does
// not change the slice.
func (s *Stream) OpenShards() []*Shard { return s.shape.Load().open }

// Changed is closed when the set of shards changes next. Take it before Shards.
func (s *Stream) Changed() <-chan struct{} { return s.shape.Load().changed }

// Shard finds a shard that is kept by its id.
func (s *Stream) Shard(id ShardID) (*Shard, bool) {
	all := s.Shards()
	i, ok := slices.BinarySearchFunc(all, id, func(sh *Shard, id ShardID) int { return int(int64(sh.id) - int64(id)) })
	if !ok {
		return nil, false
	}
	return all[i], true
}

// ShardFor returns the shard that takes a hash key. It does not allocate.
func (s *Stream) ShardFor(h HashKey) *Shard {
	open := s.OpenShards()
	lo, hi := 0, len(open)-1
	for lo < hi {
		mid := (lo + hi) / 2
		if open[mid].last.Compare(h) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return open[lo]
}

// Retention is how long records are kept; negative means for ever.
func (s *Stream) Retention() time.Duration {
	if ms := s.retention.Load(); ms != 0 {
		return time.Duration(ms) * time.Millisecond
	}
	return s.log.options.Retention
}

// SetRetention changes how long records are kept, durably; 0 means as long as the log
// says. After an error the change may be there when the log is opened again.
func (s *Stream) SetRetention(d time.Duration) error {
	ms := d.Milliseconds()
	return s.change(func(t *streamTopology) { t.Retention = ms }, func() { s.retention.Store(ms) })
}
