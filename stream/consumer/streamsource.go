package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"freshet/stream"
)

// NewSource is a stream of this process as a Source. Its readers block until there are
// records, so that a worker gets them as soon as they are durable.
func NewSource(s *stream.Stream) Source { return &streamSource{s} }

type streamSource struct{ stream *stream.Stream }

var _ Tipper = (*streamSource)(nil)

func (s *streamSource) List(context.Context) (Listing, error) {
	l := Listing{Stream: fmt.Sprintf("%s#%d", s.stream.Name(), s.stream.Number()), Changed: s.stream.Changed()}
	for _, sh := range s.stream.Shards() {
		first, last := sh.Range()
		_, _, closed := sh.Closed()
		l.Shards = append(l.Shards, Shard{ID: sh.ID(), First: first, Last: last, Parents: sh.Parents(), Closed: closed})
	}
	return l, nil
}

func (s *streamSource) Open(_ context.Context, id stream.ShardID, at Position) (ShardReader, error) {
	sh, ok := s.stream.Shard(id)
	if !ok {
		return nil, fmt.Errorf("open %s: %w", id, stream.ErrNoShard)
	}
	var p stream.Position
	switch at.Kind {
	case TrimHorizon:
		p.Kind = stream.TrimHorizon
	case Latest:
		p.Kind = stream.Latest
	case AtTimestamp:
		p.Kind, p.Time = stream.AtTimestamp, at.Time
	case AfterRecord:
		p.Kind, p.Sequence = stream.AfterSequenceNumber, at.Sequence
		if at.Within {
			p.Kind = stream.AtSequenceNumber
		}
	default:
		return nil, fmt.Errorf("open %s at %s: nothing to read there", id, at)
	}
	from, err := sh.Seek(p)
	if err != nil {
		return nil, fmt.Errorf("open %s at %s: %w", id, at, err)
	}
	return &streamReader{shard: sh, reader: sh.Reader(from)}, nil
}

// Tip reads the last record, for its time of arrival.
func (s *streamSource) Tip(ctx context.Context, id stream.ShardID) (Position, error) {
	sh, ok := s.stream.Shard(id)
	if !ok {
		return Position{}, fmt.Errorf("tip of %s: %w", id, stream.ErrNoShard)
	}
	end := sh.Durable()
	if end == 0 {
		return Position{Kind: TrimHorizon}, nil
	}
	arrived := sh.Created().UnixMilli() // of a record that is past its retention
	if end > sh.Horizon() {
		r := sh.Reader(end - 1)
		defer r.Close()
		records, err := r.Next(ctx, 1)
		if err != nil && !errors.Is(err, stream.ErrTrimmed) {
			return Position{}, fmt.Errorf("tip of %s: %w", id, err)
		}
		if err == nil {
			arrived = records[0].Arrived
		}
	}
	return Position{Kind: AfterRecord, Sequence: sh.SequenceNumber(end-1, arrived)}, nil
}

type streamReader struct {
	shard   *stream.Shard
	reader  *stream.Reader
	read    []stream.Record // what Next has not returned of the last read
	records []Record
}

func (r *streamReader) Next(ctx context.Context, limit, maxBytes int) ([]Record, int64, error) {
	if len(r.read) == 0 {
		var err error
		if r.read, err = r.reader.Next(ctx, maxBytes); err != nil {
			r.read = nil
			return nil, 0, err
		}
	}
	n := min(limit, len(r.read))
	r.records = r.records[:0]
	for i := range r.read[:n] {
		rec := &r.read[i]
		r.records = append(r.records, Record{
			Sequence: r.shard.SequenceNumber(rec.Offset, rec.Arrived), Arrived: rec.Arrived,
			PartitionKey: rec.PartitionKey, HashKey: rec.HashKey, Explicit: rec.Explicit, Data: rec.Data, Last: rec.Last,
		})
	}
	r.read = r.read[n:]
	last := &r.records[n-1]
	if last.Sequence.Offset+1 >= r.shard.Durable() {
		return r.records, 0, nil
	}
	return r.records, max(1, time.Now().UnixMilli()-last.Arrived), nil
}

func (r *streamReader) Close() error { return r.reader.Close() }
