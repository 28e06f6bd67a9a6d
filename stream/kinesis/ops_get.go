package kinesis

import (
	"context"

	"freshet/stream"
)

const (
	// maxGetRecords and maxGetBytes bound the records of a GetRecords and their data.
	maxGetRecords = 10000
	maxGetBytes   = 10 << 20
)

// A recordSink takes the records that a read finds, one by one. They are valid until it
// returns.
type recordSink interface {
	record(sh *stream.Shard, r *stream.Record)
}

// getResult is what a read found besides records.
type getResult struct {
	st     *streamState
	shard  *stream.Shard
	next   stream.Offset
	behind int64 // milliseconds
	ended  bool  // the shard is closed and read to its end
}

// get reads from an iterator on. It never waits for records.
func (s *Service) get(ctx context.Context, in *GetRecordsInput, sink func(st *streamState) recordSink) (getResult, error) {
	now := s.options.Now()
	st, sh, at, failed := s.openIterator(*in.ShardIterator, now)
	if failed == nil && (in.StreamARN != nil || in.StreamId != nil) {
		var other *streamState
		if other, failed = s.find(in.StreamARN, nil, in.StreamId); failed == nil && other != st {
			failed = invalidArgument("The ShardIterator is one of stream %s and was used in a call to stream %s.", st.name, other.name)
		}
	}
	if failed == nil && isDryRun(in.DryRun) {
		failed = dryRunPassed()
	}
	if failed != nil {
		return getResult{}, failed
	}
	var limits *throttle
	if st.limits() {
		if limits = s.throttles.of(sh, now); !limits.get(now) {
			return getResult{}, s.rateExceeded(st, sh)
		}
	}
	select {
	case s.reading <- struct{}{}:
		defer func() { <-s.reading }()
	case <-ctx.Done():
		return getResult{}, context.Cause(ctx)
	}
	limit := maxGetRecords
	if in.Limit != nil {
		limit = *in.Limit
	}
	c := s.readers.take(sh, at)
	size, last, err := c.read(ctx, limit, maxGetBytes, sink(st))
	if err != nil {
		c.close()
		return getResult{}, err
	}
	if limits != nil {
		limits.pay(now, size)
	}
	result := getResult{st: st, shard: sh, next: c.offset(), behind: c.behind(last, s.options.Now()), ended: c.atEnd()}
	s.readers.give(c)
	return result, nil
}

// read takes the records that are durable, up to a number of them and of bytes of keys
// and data; the first is taken whatever its size is. It returns the bytes, and when the
// last record arrived.
func (c *cursor) read(ctx context.Context, limit, most int, sink recordSink) (size int, last int64, err error) {
	for n := 0; n < limit; {
		if err := c.fill(ctx, false); err != nil {
			return 0, 0, err
		}
		if len(c.ready) == 0 {
			break
		}
		for len(c.ready) > 0 && n < limit {
			r := &c.ready[0]
			bytes := len(r.PartitionKey) + len(r.Data)
			if n > 0 && size+bytes > most {
				return size, last, nil
			}
			sink.record(c.shard, r)
			size, last = size+bytes, r.Arrived
			c.ready = c.ready[1:]
			n++
		}
	}
	return size, last, nil
}

// recordList collects records for the general encoders.
type recordList struct {
	numbers    numbers
	records    []Record
	encryption string
}

// record copies a record: what it refers to is gone when the next are read.
func (l *recordList) record(sh *stream.Shard, r *stream.Record) {
	l.refer(sh, r)
	kept := &l.records[len(l.records)-1]
	kept.Data = append([]byte{}, kept.Data...)
}

// refer adds a record without a copy of its data.
func (l *recordList) refer(sh *stream.Shard, r *stream.Record) {
	l.records = append(l.records, Record{
		SequenceNumber:              string(l.numbers.of(sh.SequenceNumber(r.Offset, r.Arrived))),
		ApproximateArrivalTimestamp: Timestamp(r.Arrived), Data: r.Data, PartitionKey: string(r.PartitionKey),
		EncryptionType: l.encryption,
	})
}

func (s *Service) getRecords(ctx context.Context, in *GetRecordsInput) (*GetRecordsOutput, error) {
	list := &recordList{records: []Record{}}
	r, err := s.get(ctx, in, func(st *streamState) recordSink {
		list.encryption = shownEncryption(st)
		return list
	})
	if err != nil {
		return nil, err
	}
	out := &GetRecordsOutput{Records: list.records, MillisBehindLatest: &r.behind}
	if r.ended {
		out.ChildShards = childShards(r.st, r.shard)
	} else {
		out.NextShardIterator = string(s.appendIterator(nil, r.st, r.shard, r.next, s.options.Now()))
	}
	return out, nil
}

// shownEncryption is the encryption type of records: the service leaves NONE out.
func shownEncryption(st *streamState) string {
	if st.stream.Encrypted() {
		return encryptionKMS
	}
	return ""
}

// childShards describes the children of a closed shard that are kept.
func childShards(st *streamState, sh *stream.Shard) []ChildShard {
	var all []ChildShard
	for _, id := range sh.Children() {
		child, ok := st.stream.Shard(id)
		if !ok {
			continue
		}
		first, last := child.Range()
		c := ChildShard{ShardId: id.String(), HashKeyRange: HashKeyRange{StartingHashKey: first.String(), EndingHashKey: last.String()}}
		for _, parent := range child.Parents() {
			c.ParentShards = append(c.ParentShards, parent.String())
		}
		all = append(all, c)
	}
	return all
}
