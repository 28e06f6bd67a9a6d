package stream

import (
	"errors"
	"fmt"
	"io/fs"

	"freshet/stream/segment"
)

// PositionKind is one of the ways in which Kinesis names a place in a shard.
type PositionKind int

const (
	TrimHorizon         PositionKind = iota // the first record that is kept
	Latest                                  // after the last record that is durable
	AtSequenceNumber                        // the record of Position.Sequence
	AfterSequenceNumber                     // the one after it
	AtTimestamp                             // the first that arrived at or after Position.Time
)

// Position is a place in a shard.
type Position struct {
	Kind     PositionKind
	Sequence SequenceNumber
	Time     int64 // epoch milliseconds
}

// Seek finds the offset of a position. For a sequence number below the horizon it
// returns the offset with ErrTrimmed: the caller decides whether to go on at Horizon. A
// sequence number of another shard, or above all that exist (ErrNotYet), is refused.
func (s *Shard) Seek(p Position) (Offset, error) {
	switch p.Kind {
	case TrimHorizon:
		return s.Horizon(), nil
	case Latest:
		return s.Durable(), nil
	case AtTimestamp:
		return s.seekTime(p.Time)
	case AtSequenceNumber, AfterSequenceNumber:
		return s.seekSequence(p)
	}
	return 0, fmt.Errorf("position kind %d: there is no such kind", p.Kind)
}

func (s *Shard) seekSequence(p Position) (Offset, error) {
	n := p.Sequence
	if n.Shard != s.id || n.Created != uint64(s.created) {
		return 0, fmt.Errorf("sequence number %s belongs to %s made at %d, not to %s made at %d", n, n.Shard, n.Created, s.id, s.created)
	}
	switch {
	case n == s.FirstSequence():
		return s.Horizon(), nil
	case n.Offset == endOffset && s.closing.Load() != nil:
		return s.Durable(), nil
	}
	if d := s.Durable(); n.Offset >= d {
		return 0, fmt.Errorf("sequence number %s has offset %d, the next one is %d: %w", n, n.Offset, d, ErrNotYet)
	}
	o := n.Offset
	if p.Kind == AfterSequenceNumber {
		o++
	}
	if h := s.Horizon(); o < h {
		return o, fmt.Errorf("offset %d, the first kept is %d: %w", o, h, ErrTrimmed)
	}
	return o, nil
}

// seekTime finds the file by the times that it covers, then the frame in it.
func (s *Shard) seekTime(ms int64) (Offset, error) {
	for {
		end := s.Durable()
		f, ok := s.view.findTime(ms)
		if !ok {
			return end, nil
		}
		if f.bad != nil && f.lastArrived < ms {
			return 0, f.bad
		}
		if ms <= f.firstArrived {
			return f.base, nil
		}
		handle, err := s.log.options.FS.Open(f.name)
		if errors.Is(err, fs.ErrNotExist) && f.base < s.Horizon() {
			continue // trimmed in between
		}
		if err != nil {
			return 0, fmt.Errorf("open segment: %w", err)
		}
		defer handle.Close()
		m := mark(&f, f.index.BeforeTime(ms))
		var c segment.Cursor
		c.Reset(handle, f.salt, m, m.First)
		c.After(ms)
		if err := s.decrypt(&c, &f, handle); err != nil {
			return 0, fmt.Errorf("seek in %s: %w", f.name, err)
		}
		var rec segment.Record
		for !c.Next(&rec) {
			more, err := c.Fill(f.limit, 64<<10)
			if err != nil {
				return 0, fmt.Errorf("seek in %s: %w", f.name, err)
			}
			if !more {
				return f.end, nil
			}
		}
		return Offset(rec.Offset), nil
	}
}
