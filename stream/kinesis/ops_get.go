package kinesis

import (
	"bytes"
	"context"
	"errors"

	"freshet/stream"
)

// What one GetRecords returns at most.
const (
	maxGetRecords = 10_000
	maxGetBytes   = 10 << 20
)

func (s *Service) getRecords(ctx context.Context, in *GetRecordsInput) (*GetRecordsOutput, error) {
	it, err := s.openIterator(*in.ShardIterator)
	if err != nil {
		return nil, err
	}
	st, shard, err := s.place(it, in)
	if err != nil {
		return nil, err
	}
	if isDryRun(in.DryRun) {
		return nil, wouldSucceed()
	}
	now := s.options.Now()
	if st.limits() && !s.rates.read(shard, now) {
		return nil, s.exceeded(st, shard)
	}
	limit := maxGetRecords
	if in.Limit != nil {
		limit = *in.Limit
	}
	r := shard.Reader(max(it.offset, shard.Horizon()))
	defer r.Close()
	out := &GetRecordsOutput{Records: []Record{}}
	size := 0
	for len(out.Records) < limit && size < maxGetBytes && r.Offset() < shard.Durable() {
		records, err := r.Next(ctx, min(1<<20, maxGetBytes-size))
		if errors.Is(err, stream.ErrTrimmed) {
			r.Close()
			r = shard.Reader(shard.Horizon())
			continue
		}
		if err != nil {
			return nil, err
		}
		for i := range records {
			n := len(records[i].Data) + len(records[i].PartitionKey)
			if len(out.Records) == limit || size > 0 && size+n > maxGetBytes {
				records = records[:i]
				size = maxGetBytes
				break
			}
			out.Records = append(out.Records, st.record(shard, &records[i]))
			size += n
		}
		if len(records) > 0 {
			it.offset = records[len(records)-1].Offset + 1
		}
	}
	it.offset = max(it.offset, shard.Horizon())
	if st.limits() {
		s.rates.took(shard, size, now)
	}
	behind := s.behind(ctx, shard, it.offset)
	out.MillisBehindLatest = &behind
	if _, end, closed := shard.Closed(); closed && it.offset >= end {
		out.ChildShards = children(st, shard)
		return out, nil
	}
	out.NextShardIterator = s.sealIterator(st, shard, it.offset)
	return out, nil
}

// place finds the stream and the shard of an iterator.
func (s *Service) place(it iterator, in *GetRecordsInput) (*streamState, *stream.Shard, *Error) {
	var st *streamState
	for _, x := range s.index.Load().byName {
		if x.stream.Number() == it.stream {
			st = x
		}
	}
	if st == nil {
		return nil, nil, resourceNotFound("The stream of the ShardIterator under account %s not found.", s.options.Account)
	}
	if _, err := s.find(in.StreamARN, &st.name, in.StreamId); err != nil {
		return nil, nil, err
	}
	shard, ok := st.stream.Shard(it.shard)
	if !ok {
		return nil, nil, resourceNotFound("Shard %s in stream %s under account %s does not exist", it.shard, st.name, s.options.Account)
	}
	return st, shard, nil
}

// record is a record as clients get it.
func (st *streamState) record(shard *stream.Shard, r *stream.Record) Record {
	return Record{
		SequenceNumber:              shard.SequenceNumber(r.Offset, r.Arrived).String(),
		ApproximateArrivalTimestamp: Timestamp(r.Arrived),
		Data:                        bytes.Clone(r.Data), PartitionKey: string(r.PartitionKey), EncryptionType: st.encryptionType(),
	}
}

// behind is how long ago the record at an offset arrived, in milliseconds; 0 at the tip.
func (s *Service) behind(ctx context.Context, shard *stream.Shard, at stream.Offset) int64 {
	if at >= shard.Durable() {
		return 0
	}
	r := shard.Reader(max(at, shard.Horizon()))
	defer r.Close()
	records, err := r.Next(ctx, 1)
	if err != nil {
		return 0 // the next call reports it
	}
	return max(0, s.options.Now().UnixMilli()-records[0].Arrived)
}

// children are the shards that go on where a closed one ends.
func children(st *streamState, shard *stream.Shard) []ChildShard {
	var out []ChildShard
	for _, id := range shard.Children() {
		child, ok := st.stream.Shard(id)
		if !ok {
			continue
		}
		first, last := child.Range()
		c := ChildShard{ShardId: id.String(), HashKeyRange: HashKeyRange{StartingHashKey: first.String(), EndingHashKey: last.String()}}
		for _, p := range child.Parents() {
			c.ParentShards = append(c.ParentShards, p.String())
		}
		out = append(out, c)
	}
	return out
}
