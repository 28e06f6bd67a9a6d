package stream

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"freshet/stream/segment"
	"freshet/stream/vfs"
)

// readChunk is how much a reader reads at once when there is that much.
const readChunk = 1 << 20

// Record is a record as it is read.
type Record struct {
	Offset       Offset
	Arrived      int64 // epoch milliseconds; never falls within a shard
	PartitionKey []byte
	HashKey      HashKey // as given, when Explicit
	Explicit     bool
	Data         []byte
	Last         bool // of those that became durable together
}

// Reader reads a shard in order. It has one user at a time. It holds a file open while
// it is between records, so Close it.
type Reader struct {
	shard *Shard
	wake  chan struct{}

	next    Offset
	file    file     // a copy; the zero file when handle is nil
	handle  vfs.File // nil between two files
	cursor  segment.Cursor
	records []Record
}

// Reader reads from an offset on; one above Durable is waited for.
func (s *Shard) Reader(from Offset) *Reader {
	return &Reader{shard: s, wake: make(chan struct{}, 1), next: from}
}

// Next returns at least one durable record and stops at the one with which keys and data
// reach maxBytes (0 means 1 MiB), or sooner. It blocks until there is one. The records
// are valid until the next call.
//
// The error is ErrTrimmed when the next record is past its retention, a *DamageError when
// it cannot be read, a *keyring.MissingError without its key, ErrShardClosed when the log is shut, or that of ctx. After an error
// the reader stands where it stood.
func (r *Reader) Next(ctx context.Context, maxBytes int) ([]Record, error) {
	if maxBytes <= 0 {
		maxBytes = readChunk
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, context.Cause(ctx)
		}
		if h := r.shard.Horizon(); r.next < h {
			r.drop()
			return nil, fmt.Errorf("record %d, the first kept is %d: %w", r.next, h, ErrTrimmed)
		}
		if r.next >= r.shard.Durable() {
			if err := r.wait(ctx); err != nil {
				return nil, err
			}
			continue
		}
		if err := r.open(); err != nil {
			if errors.Is(err, fs.ErrNotExist) && r.next < r.shard.Horizon() {
				continue // trimmed in between
			}
			return nil, err
		}
		records, err := r.read(maxBytes)
		if len(records) > 0 || err != nil {
			return records, err
		}
	}
}

// Offset is that of the record which Next returns next.
func (r *Reader) Offset() Offset { return r.next }

// Close releases the file that the reader holds open.
func (r *Reader) Close() error {
	r.drop()
	r.records, r.cursor = nil, segment.Cursor{}
	return nil
}

func (r *Reader) drop() {
	if r.handle != nil {
		r.handle.Close() // opened for reading: nothing can be lost
		r.handle, r.file = nil, file{}
	}
}

// wait blocks until the shard has more than the reader has read.
func (r *Reader) wait(ctx context.Context) error {
	listed, err := r.shard.view.enlist(r)
	if !listed {
		return err
	}
	select {
	case <-r.wake:
		return nil
	case <-ctx.Done():
		r.shard.view.leave(r)
		return context.Cause(ctx)
	}
}

// open brings the copy of the file up to date, or opens the one that holds the next record.
func (r *Reader) open() error {
	f, ok := r.shard.view.find(r.next)
	if !ok {
		return fmt.Errorf("record %d of %s: %w", r.next, r.shard.id, ErrTrimmed)
	}
	if r.handle != nil && f.name == r.file.name {
		r.file = f
		return nil
	}
	r.drop()
	if f.bad != nil && r.next >= f.bad.Offset {
		r.shard.view.damages.Add(1)
		return f.bad
	}
	handle, err := r.shard.log.options.FS.Open(f.name)
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	r.handle, r.file = handle, f
	r.cursor.Reset(handle, f.salt, mark(&f, f.index.Before(uint64(r.next))), uint64(r.next))
	if err := r.shard.decrypt(&r.cursor, &f, handle); err != nil {
		return r.damaged(err)
	}
	return nil
}

// mark completes the mark of a file without an index, which starts at its base.
func mark(f *file, m segment.Mark) segment.Mark {
	if m.Position == segment.HeaderSize {
		m.First = uint64(f.base)
	}
	return m
}

// read takes records out of the open file. It returns none at the end of the file.
func (r *Reader) read(maxBytes int) ([]Record, error) {
	r.records = r.records[:0]
	var rec segment.Record
	for {
		for size := 0; size < maxBytes && r.cursor.Next(&rec); {
			r.records = append(r.records, Record{
				Offset: Offset(rec.Offset), Arrived: rec.Arrived, PartitionKey: rec.Key,
				HashKey: HashKey{rec.Hash[0], rec.Hash[1]}, Explicit: rec.HasHash, Data: rec.Data, Last: rec.Last,
			})
			size += len(rec.Key) + len(rec.Data)
			r.next = Offset(rec.Offset) + 1
		}
		if len(r.records) > 0 {
			return r.records, nil
		}
		more, err := r.cursor.Fill(r.file.limit, min(maxBytes, readChunk))
		if err == nil && !more && r.next < r.file.end {
			err = &segment.CorruptError{Position: r.file.limit, Reason: "the frames end too early"}
		}
		if err != nil {
			return nil, r.damaged(err)
		}
		if !more {
			if r.file.sealed {
				r.drop()
			}
			return nil, nil
		}
	}
}

func (r *Reader) damaged(err error) error {
	name := r.file.name
	r.drop()
	var bad *segment.CorruptError
	if !errors.As(err, &bad) {
		return fmt.Errorf("read %s: %w", name, err)
	}
	r.shard.view.damages.Add(1)
	return r.shard.damage(name, bad.Position, r.next, bad.Reason)
}
