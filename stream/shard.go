package stream

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"freshet/stream/keyring"
	"freshet/stream/segment"
)

// Shard is one total order of records, for a range of hash keys. Its methods may be
// called by several goroutines at once.
type Shard struct {
	log         *Log
	stream      *Stream
	id          ShardID
	first, last HashKey
	created     int64 // epoch seconds
	parents     []ShardID
	dir         string

	// Owned by the sequencer once it runs, by Open before.
	tail        *segment.Writer // nil when the shard takes no records
	lastArrived int64
	lacking     keyring.ID // the key that was last found to be missing

	retire chan retirement // to the sequencer
	gone   chan struct{}   // closed when the sequencer has ended, or will never run
	left   sync.Once       // closes gone

	// Written under Log.creating, read by anyone.
	closing  atomic.Pointer[closing]   // nil while the shard is open
	children atomic.Pointer[[]ShardID] // nil while there are none
	moved    atomic.Pointer[chan struct{}]

	queue queue
	view  view
	sums  sums

	// Owned by the sweeper.
	sweepFailed bool
}

func (s *Shard) ID() ShardID { return s.id }

// Range is the hash keys of the shard, both ends included.
func (s *Shard) Range() (first, last HashKey) { return s.first, s.last }

// Created is when the shard was made, in whole seconds.
func (s *Shard) Created() time.Time { return time.Unix(s.created, 0) }

// Parents are the shards that this one was made of: none, the one that was split, or the
// two that were merged, of which the second is the adjacent parent. They may be gone.
func (s *Shard) Parents() []ShardID { return s.parents }

// Children are the shards that have its hash keys since a reshard closed it.
func (s *Shard) Children() []ShardID {
	if c := s.children.Load(); c != nil {
		return *c
	}
	return nil
}

// closing is how a reshard ended a shard.
type closing struct {
	at  int64 // epoch milliseconds
	end Offset
}

// Closed says when a reshard closed the shard, and the offset after its last record.
func (s *Shard) Closed() (at time.Time, end Offset, ok bool) {
	c := s.closing.Load()
	if c == nil {
		return time.Time{}, 0, false
	}
	return time.UnixMilli(c.at), c.end, true
}

// Holds says whether a hash key belongs to the shard.
func (s *Shard) Holds(h HashKey) bool { return s.first.Compare(h) <= 0 && h.Compare(s.last) <= 0 }

// Submit copies the entries behind those that wait for the disk and returns at once. The
// entries of one call follow each other in the shard, without others between them. They
// are durable when Wait of the Commit returns nil.
//
// The error is ErrOverloaded when too much waits or the stream is throttled, ErrTooLarge, ErrMoved when a reshard
// closes the shard, ErrShardClosed, a *FailedError or a *DamageError. Nothing is appended
// then.
func (s *Shard) Submit(entries []Entry) (*Commit, error) {
	first, g, err := s.submit(entries)
	if err != nil {
		return nil, err
	}
	return &Commit{first, g}, nil
}

// Append is Submit, then Wait.
func (s *Shard) Append(ctx context.Context, entries []Entry) (Offset, error) {
	first, g, err := s.submit(entries)
	if err != nil {
		return 0, err
	}
	c := Commit{first, g}
	return c.Wait(ctx)
}

func (s *Shard) submit(entries []Entry) (Offset, *group, error) {
	if s.stream.throttled.Load() {
		return 0, nil, fmt.Errorf("what reads the stream cannot follow: %w", ErrOverloaded)
	}
	return s.queue.submit(entries)
}

// Durable is the offset after the last record that is fsynced and can be read.
func (s *Shard) Durable() Offset { return Offset(s.view.durable.Load()) }

// Horizon is the offset of the first record that is kept.
func (s *Shard) Horizon() Offset { return Offset(s.view.horizon.Load()) }

// Hold keeps retention from dropping records at or above an offset, until Hold is called
// again with the same name. Holds are not stored: who needs one sets it after Open,
// before Run.
func (s *Shard) Hold(name string, from Offset) { s.view.hold(name, from) }

// FirstSequence is below the sequence number of every record of the shard.
func (s *Shard) FirstSequence() SequenceNumber {
	return SequenceNumber{Created: uint64(s.created), Shard: s.id, Second: uint64(s.created) - 1}
}

// LastSequence is above the sequence number of every record of a closed shard.
func (s *Shard) LastSequence() SequenceNumber {
	n := SequenceNumber{Created: uint64(s.created), Shard: s.id, Offset: endOffset}
	if c := s.closing.Load(); c != nil {
		n.Second = uint64(c.at / 1000)
	}
	return n
}

// SequenceNumber names the record at an offset, which arrived at a time (epoch ms).
func (s *Shard) SequenceNumber(o Offset, arrived int64) SequenceNumber {
	return SequenceNumber{Created: uint64(s.created), Shard: s.id, Offset: o, Second: uint64(arrived / 1000)}
}

// Err is nil while the shard accepts records, then why it does not: ErrMoved if a reshard
// closes it.
func (s *Shard) Err() error { return s.queue.failure() }

// String is the stream's name and the shard's id.
func (s *Shard) String() string { return fmt.Sprintf("%s/%s", s.stream.name, s.id) }

func (s *Shard) failed(err error) error {
	return &FailedError{Stream: s.stream.name, Shard: s.id, Err: err}
}

func (s *Shard) damage(file string, position int64, at Offset, reason string) *DamageError {
	return &DamageError{Stream: s.stream.name, Shard: s.id, File: file, Position: position, Offset: at, Reason: reason}
}
