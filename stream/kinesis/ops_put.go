package kinesis

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"freshet/stream"
)

// maxRequestBytes bounds the records of one PutRecords, data and partition keys.
const maxRequestBytes = 10 << 20

func (s *Service) putRecord(ctx context.Context, in *PutRecordInput) (*PutRecordOutput, error) {
	st, err := s.find(in.StreamARN, in.StreamName, in.StreamId)
	if err != nil {
		return nil, err
	}
	if in.PartitionKey == nil && !st.auto() {
		return nil, refuse([]string{failure("null", "partitionKey", "not be null")})
	}
	p := &putting{service: s, st: st, results: make([]PutRecordsResultEntry, 1)}
	if err := p.add(0, in.PartitionKey, in.ExplicitHashKey, in.Data); err != nil {
		return nil, err
	}
	if in.SequenceNumberForOrdering != nil {
		if _, err := s.sequence(st, *in.SequenceNumberForOrdering); err != nil {
			return nil, err
		}
	}
	if isDryRun(in.DryRun) {
		return nil, wouldSucceed()
	}
	p.run(ctx)
	if p.failed != nil {
		return nil, p.failed
	}
	return &PutRecordOutput{ShardId: p.results[0].ShardId, SequenceNumber: p.results[0].SequenceNumber, EncryptionType: st.encryptionType()}, nil
}

func (s *Service) putRecords(ctx context.Context, in *PutRecordsInput) (*PutRecordsOutput, error) {
	st, err := s.find(in.StreamARN, in.StreamName, in.StreamId)
	if err != nil {
		return nil, err
	}
	p := &putting{service: s, st: st, results: make([]PutRecordsResultEntry, len(in.Records)), entries: make([]placed, 0, len(in.Records))}
	var missing []string
	size, auto := 0, st.auto()
	for i := range in.Records {
		if in.Records[i].PartitionKey == nil && !auto {
			missing = append(missing, failure("null", fmt.Sprintf("records.%d.member.partitionKey", i+1), "not be null"))
		}
	}
	if err := refuse(missing); err != nil {
		return nil, err
	}
	for i := range in.Records {
		r := &in.Records[i]
		if err := p.add(i, r.PartitionKey, r.ExplicitHashKey, r.Data); err != nil {
			return nil, err
		}
		size += len(r.Data) + len(p.entries[i].entry.PartitionKey)
	}
	if size > maxRequestBytes {
		return nil, invalidArgument("Records size exceeds %d MB limit", maxRequestBytes>>20)
	}
	if isDryRun(in.DryRun) {
		return nil, wouldSucceed()
	}
	p.run(ctx)
	out := &PutRecordsOutput{Records: p.results, EncryptionType: st.encryptionType()}
	for i := range p.results {
		if p.results[i].ErrorCode != "" {
			out.FailedRecordCount++
		}
	}
	return out, nil
}

func isDryRun(b *bool) bool { return b != nil && *b }

func wouldSucceed() *Error {
	return dryRun("Request would have succeeded, but DryRun flag is set.")
}

// A placed entry is a record of a request and where its hash key puts it.
type placed struct {
	index int // in the request
	hash  stream.HashKey
	entry stream.Entry
}

// putting is the records of one request on their way to the log.
type putting struct {
	service *Service
	st      *streamState
	entries []placed // not yet taken by a shard, in the order of the request
	results []PutRecordsResultEntry
	failed  error // of the last record that failed
}

// spread shares out the records of streams that place them themselves.
type spread struct{ next atomic.Uint64 }

// key is a hash key far from the one before: a step of the golden ratio.
func (s *spread) key() stream.HashKey { return stream.HashKey{Hi: s.next.Add(0x9e3779b97f4a7c15)} }

func (p *putting) add(index int, key, explicit *string, data []byte) error {
	x := placed{index: index, entry: stream.Entry{Data: data}}
	if key != nil {
		x.entry.PartitionKey = *key
	}
	if n, most := len(data)+len(x.entry.PartitionKey), p.st.maxRecordBytes(); n > most {
		return refuse([]string{failure(fmt.Sprintf("'java.nio.HeapByteBuffer[pos=0 lim=%d cap=%d]'", len(data), len(data)),
			p.at(index), "have length less than or equal to %d", most)})
	}
	switch {
	case p.st.auto():
		x.hash = p.service.spread.key()
		x.entry.HashKey, x.entry.Explicit = x.hash, true
	case explicit != nil:
		hash, err := stream.ParseHashKey(*explicit)
		if err != nil {
			return invalidArgument("Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was %s", *explicit)
		}
		x.hash = hash
		x.entry.HashKey, x.entry.Explicit = hash, true
	default:
		x.hash = stream.HashPartitionKey(x.entry.PartitionKey)
	}
	p.entries = append(p.entries, x)
	return nil
}

func (p *putting) at(index int) string {
	if len(p.results) == 1 && p.entries == nil {
		return "data"
	}
	return fmt.Sprintf("records.%d.member.data", index+1)
}

// A taken group is what one shard took.
type taken struct {
	shard   *stream.Shard
	indexes []int
	commit  *stream.Commit
}

// run has the shards take the records and waits until they are durable. Records that a
// reshard refuses go to the shards that have their hash keys then, behind those that were
// taken before.
func (p *putting) run(ctx context.Context) {
	var groups []taken
	for len(p.entries) > 0 {
		var moved []placed
		var wait *stream.Shard
		for _, part := range p.byShard() {
			g, err := p.submit(part)
			switch {
			case errors.Is(err, stream.ErrMoved):
				moved, wait = append(moved, part.entries...), part.shard
			case err == nil:
				groups = append(groups, g)
			default:
				p.refuse(part.entries, part.shard, err)
			}
		}
		p.entries = moved
		if wait != nil {
			if err := wait.Settled(ctx); err != nil {
				p.refuse(moved, wait, err)
				p.entries = nil
			}
		}
	}
	for _, g := range groups {
		first, err := g.commit.Wait(ctx)
		for i, index := range g.indexes {
			if err != nil {
				p.set(index, g.shard, err)
				continue
			}
			n := g.shard.SequenceNumber(first+stream.Offset(i), g.commit.Arrived())
			p.results[index] = PutRecordsResultEntry{SequenceNumber: n.String(), ShardId: g.shard.ID().String()}
		}
	}
}

type shardPart struct {
	shard   *stream.Shard
	entries []placed
}

// byShard groups the records, each group in the order of the request.
func (p *putting) byShard() []shardPart {
	var parts []shardPart
	at := map[*stream.Shard]int{}
	for _, x := range p.entries {
		shard := p.st.stream.ShardFor(x.hash)
		i, ok := at[shard]
		if !ok {
			i = len(parts)
			at[shard] = i
			parts = append(parts, shardPart{shard: shard})
		}
		parts[i].entries = append(parts[i].entries, x)
	}
	return parts
}

func (p *putting) submit(part shardPart) (taken, error) {
	g := taken{shard: part.shard, indexes: make([]int, len(part.entries))}
	entries := make([]stream.Entry, len(part.entries))
	bytes := 0
	for i, x := range part.entries {
		entries[i], g.indexes[i] = x.entry, x.index
		bytes += len(x.entry.Data) + len(x.entry.PartitionKey)
	}
	if p.st.limits() && !p.service.rates.write(part.shard, len(entries), bytes, p.service.options.Now()) {
		return g, stream.ErrOverloaded
	}
	var err error
	g.commit, err = part.shard.Submit(entries)
	return g, err
}

func (p *putting) refuse(entries []placed, shard *stream.Shard, err error) {
	for _, x := range entries {
		p.set(x.index, shard, err)
	}
}

// set says why one record was not taken.
func (p *putting) set(index int, shard *stream.Shard, err error) {
	e := internalFailure()
	if errors.Is(err, stream.ErrOverloaded) {
		e = p.service.exceeded(p.st, shard)
	} else {
		e.Message = "Internal service failure."
	}
	p.failed = e
	p.results[index] = PutRecordsResultEntry{ErrorCode: e.Code, ErrorMessage: e.Message}
}

func (s *Service) exceeded(st *streamState, shard *stream.Shard) *Error {
	return throughputExceeded("Rate exceeded for shard %s in stream %s under account %s.", shard.ID(), st.name, s.options.Account)
}
