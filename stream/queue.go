package stream

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"freshet/stream/segment"
)

// Entry is a record to append.
type Entry struct {
	PartitionKey string
	HashKey      HashKey // stored when Explicit; else the record's hash key is the MD5 of the partition key
	Explicit     bool
	Data         []byte
}

// A buffer above keepBuffer bytes is let go after keepGroups groups that needed less than
// a quarter of it.
const keepBuffer, keepGroups = 1 << 20, 64

// queue is the group that callers fill while the sequencer writes the one before.
type queue struct {
	limit int           // bytes that may wait
	wake  chan struct{} // holds one token when there is work

	mu    sync.Mutex
	group *group    // nil when nothing waits
	spare [2][]byte // buffers for the groups to come, the first in front
	small int       // groups in a row that left most of a large buffer unused
	next  Offset    // of the next record
	err   error     // why nothing more is accepted
}

// group is the records of one frame.
type group struct {
	buf   []byte // room for the frame's header, then records
	count int
	first Offset
	done  chan struct{} // closed when the fields below are set
	// Written by the sequencer.
	err     error
	arrived int64 // epoch milliseconds
}

func (g *group) finish(arrived int64, err error) {
	g.arrived, g.err = arrived, err
	close(g.done)
}

// Commit is the outcome of a submission.
type Commit struct {
	first Offset
	group *group
}

// Wait blocks until the records are durable and returns the offset of the first. If ctx
// ends first the outcome is unknown: the records may still be written. After a
// *FailedError it is unknown, too.
func (c *Commit) Wait(ctx context.Context) (Offset, error) {
	select {
	case <-c.group.done:
	case <-ctx.Done():
		select {
		case <-c.group.done:
		default:
			return c.first, fmt.Errorf("wait for the disk: %w", context.Cause(ctx))
		}
	}
	return c.first, c.group.err
}

// Arrived is the time of arrival that the records got, in epoch milliseconds. It may be
// called after Wait has returned nil.
func (c *Commit) Arrived() int64 { return c.group.arrived }

// submit copies the entries behind those that wait.
func (q *queue) submit(entries []Entry) (Offset, *group, error) {
	size, err := measure(entries)
	if err != nil {
		return 0, nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err != nil {
		return 0, nil, q.err
	}
	g := q.group
	if g == nil {
		if cap(q.spare[0]) < segment.FrameHeaderSize {
			q.spare[0] = make([]byte, 0, 4096)
		}
		g = &group{buf: q.spare[0][:segment.FrameHeaderSize], first: q.next, done: make(chan struct{})}
	} else if len(g.buf)+size > q.limit {
		return 0, nil, fmt.Errorf("%d bytes behind %d of at most %d: %w", size, len(g.buf), q.limit, ErrOverloaded)
	}
	g.buf = slices.Grow(g.buf, size+segment.Overhead)
	for i := range entries {
		e := &entries[i]
		var hash *[2]uint64
		if e.Explicit {
			hash = &[2]uint64{e.HashKey.Hi, e.HashKey.Lo}
		}
		g.buf = segment.AppendRecord(g.buf, e.PartitionKey, hash, e.Data)
	}
	first := q.next
	q.next += Offset(len(entries))
	g.count += len(entries)
	if q.group == nil {
		q.group = g
		q.spare[0], q.spare[1] = q.spare[1], nil
		q.poke()
	}
	return first, g, nil
}

// measure returns the bytes that the entries take in a frame.
func measure(entries []Entry) (int, error) {
	if len(entries) == 0 {
		return 0, fmt.Errorf("no entries to append")
	}
	size := 0
	for i := range entries {
		e := &entries[i]
		if len(e.PartitionKey) > MaxKeyBytes {
			return 0, fmt.Errorf("entry %d: partition key of %d bytes, more than %d: %w", i, len(e.PartitionKey), MaxKeyBytes, ErrTooLarge)
		}
		if len(e.Data) > MaxRecordBytes {
			return 0, fmt.Errorf("entry %d: data of %d bytes, more than %d: %w", i, len(e.Data), MaxRecordBytes, ErrTooLarge)
		}
		size += segment.RecordSize(len(e.PartitionKey), len(e.Data), e.Explicit)
	}
	if size > maxSubmitBytes {
		return 0, fmt.Errorf("%d entries of %d bytes in all, more than %d: %w", len(entries), size, maxSubmitBytes, ErrTooLarge)
	}
	return size, nil
}

// poke tells the sequencer to look.
func (q *queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns the group that waits, or nil.
func (q *queue) take() *group {
	q.mu.Lock()
	defer q.mu.Unlock()
	g := q.group
	q.group = nil
	return g
}

// give returns the buffer of a group that is written. One that a burst made large goes.
func (q *queue) give(buf []byte) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if cap(buf) > keepBuffer && len(buf) < cap(buf)/4 {
		if q.small++; q.small > keepGroups {
			return
		}
	} else {
		q.small = 0
	}
	q.spare[1] = q.spare[0]
	q.spare[0] = buf[:0]
}

// stop refuses all that comes later; the first reason stands.
func (q *queue) stop(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == nil {
		q.err = err
	}
}

// replace puts another reason in the place of one that turned out to be wrong.
func (q *queue) replace(old, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.err == old {
		q.err = err
	}
}

func (q *queue) failure() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.group == nil {
		return 0
	}
	return len(q.group.buf)
}
