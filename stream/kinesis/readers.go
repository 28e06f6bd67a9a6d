package kinesis

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"freshet/stream"
)

const (
	// maxIdleReaders bounds the readers, each with an open file and a buffer of up to 1 MiB,
	// that are kept for consumers that go on where they were. The one that waits longest goes first.
	maxIdleReaders = 128
	// idleReaderLife bounds how long one keeps its file open.
	idleReaderLife = 30 * time.Second
)

// A cursor reads a shard from call to call. It has one user at a time.
type cursor struct {
	shard  *stream.Shard
	reader *stream.Reader
	ready  []stream.Record // read and not yet taken; they are valid until the next fill
	idle   time.Time       // since when it waits
}

func newCursor(sh *stream.Shard, at stream.Offset) *cursor {
	return &cursor{shard: sh, reader: sh.Reader(at)}
}

// offset is that of the record which comes next.
func (c *cursor) offset() stream.Offset {
	if len(c.ready) > 0 {
		return c.ready[0].Offset
	}
	return c.reader.Offset()
}

// fill reads records when none are ready. It blocks until there are some, unless fewer
// are durable: then it does so only if told to. Records past their retention are passed
// over.
func (c *cursor) fill(ctx context.Context, block bool) error {
	for len(c.ready) == 0 {
		if !block && c.reader.Offset() >= c.shard.Durable() {
			return nil
		}
		records, err := c.reader.Next(ctx, 0)
		if errors.Is(err, stream.ErrTrimmed) {
			c.reader.Close()
			c.reader = c.shard.Reader(c.shard.Horizon())
			continue
		}
		if err != nil {
			return err
		}
		c.ready = records
	}
	return nil
}

// atEnd says that a closed shard is read to its end.
func (c *cursor) atEnd() bool {
	_, end, closed := c.shard.Closed()
	return closed && c.offset() >= end
}

// behind is how far the reader of a record, which arrived last of those that were read,
// is from the tip, in milliseconds: 0 only when nothing is left to read.
func (c *cursor) behind(lastArrived int64, now time.Time) int64 {
	if c.offset() >= c.shard.Durable() {
		return 0
	}
	if lastArrived == 0 { // nothing was there a moment ago
		return 1
	}
	return max(now.UnixMilli()-lastArrived, 1)
}

func (c *cursor) close() { c.reader.Close() }

// readers are the cursors that no call uses, by the time since which they wait.
type readers struct {
	mu     sync.Mutex
	waits  []*cursor
	closed bool
}

// take returns a cursor that stands at an offset of a shard.
func (r *readers) take(sh *stream.Shard, at stream.Offset) *cursor {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := len(r.waits) - 1; i >= 0; i-- {
		if c := r.waits[i]; c.shard == sh && c.offset() == at {
			r.waits = slices.Delete(r.waits, i, i+1)
			return c
		}
	}
	return newCursor(sh, at)
}

// give puts a cursor back.
func (r *readers) give(c *cursor) {
	c.idle = time.Now()
	for _, old := range r.keep(c) {
		old.close()
	}
}

// keep puts a cursor with those that wait and returns those that are to be closed.
func (r *readers) keep(c *cursor) []*cursor {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return []*cursor{c}
	}
	n := max(0, len(r.waits)+1-maxIdleReaders)
	for n < len(r.waits) && c.idle.Sub(r.waits[n].idle) > idleReaderLife {
		n++
	}
	old := slices.Clone(r.waits[:n])
	r.waits = append(slices.Delete(r.waits, 0, n), c)
	return old
}

// close closes all that wait, and those that are given back later.
func (r *readers) close() {
	r.mu.Lock()
	waits := r.waits
	r.waits, r.closed = nil, true
	r.mu.Unlock()
	for _, c := range waits {
		c.close()
	}
}
