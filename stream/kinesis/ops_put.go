package kinesis

import (
	"context"
	"errors"
	"fmt"

	"freshet/stream"
)

// maxPutBytes bounds the records of a PutRecords, data and partition keys.
const maxPutBytes = 10 << 20

func (s *Service) putRecord(ctx context.Context, in *PutRecordInput) (*PutRecordOutput, error) {
	b := &batch{single: true}
	b.aim(in.StreamName, in.StreamARN, in.StreamId)
	if failed := b.add(in.PartitionKey, in.ExplicitHashKey, in.Data); failed != nil {
		return nil, failed
	}
	if err := s.putBatch(ctx, b, in.SequenceNumberForOrdering, isDryRun(in.DryRun)); err != nil {
		return nil, err
	}
	return &PutRecordOutput{
		ShardId: b.groups[b.puts[0].group].shard.ID().String(), SequenceNumber: b.sequence(&b.puts[0]).String(),
		EncryptionType: b.encryption,
	}, nil
}

func (s *Service) putRecords(ctx context.Context, in *PutRecordsInput) (*PutRecordsOutput, error) {
	b := &batch{puts: make([]put, 0, len(in.Records))}
	b.aim(in.StreamName, in.StreamARN, in.StreamId)
	for i := range in.Records {
		r := &in.Records[i]
		if failed := b.add(r.PartitionKey, r.ExplicitHashKey, r.Data); failed != nil {
			return nil, failed
		}
	}
	if err := s.putBatch(ctx, b, nil, isDryRun(in.DryRun)); err != nil {
		return nil, err
	}
	out := &PutRecordsOutput{Records: make([]PutRecordsResultEntry, len(b.puts)), EncryptionType: b.encryption}
	for i := range b.puts {
		p, r := &b.puts[i], &out.Records[i]
		if failed := b.failure(p); failed != nil {
			r.ErrorCode, r.ErrorMessage = failed.Code, failed.Message
			out.FailedRecordCount++
			continue
		}
		g := &b.groups[p.group]
		r.ShardId, r.SequenceNumber = g.shard.ID().String(), string(g.numbers.of(b.sequence(p)))
	}
	return out, nil
}

// aim sets the names of the stream.
func (b *batch) aim(name, arn, id *string) {
	for i, from := range [...]*string{name, arn, id} {
		if from != nil {
			*[...]*string{&b.target.name, &b.target.arn, &b.target.id}[i] = *from
		}
	}
}

// add adds a record.
func (b *batch) add(key, hash *string, data []byte) *Error {
	p := put{data: data, group: unrouted}
	if key != nil {
		p.key, p.keyed = *key, true
	}
	if hash != nil {
		h, err := stream.ParseHashKey(*hash)
		if err != nil {
			return invalidArgument("Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was %s", *hash)
		}
		p.hash, p.explicit = h, true
	}
	b.puts = append(b.puts, p)
	return nil
}

// putBatch puts the records of a batch and returns when the outcome of each is known. The
// error is that of the request as a whole, or of the one record of a PutRecord.
func (s *Service) putBatch(ctx context.Context, b *batch, after *string, dry bool) error {
	st, failed := s.find(given(&b.target.arn), given(&b.target.name), given(&b.target.id))
	if failed == nil {
		failed = b.check(st)
	}
	if failed == nil && after != nil {
		failed = s.checkOrdering(st, *after)
	}
	if failed == nil && dry {
		failed = dryRunPassed()
	}
	if failed != nil {
		return failed
	}
	if st.stream.Encrypted() {
		b.encryption = encryptionKMS
	}
	for more := true; more; {
		s.route(st, b)
		var err error
		if more, err = s.submit(ctx, st, b); err != nil {
			return err
		}
	}
	return s.settle(ctx, st, b)
}

// given is nil for what is absent.
func given(text *string) *string {
	if *text == "" {
		return nil
	}
	return text
}

// check looks at what depends on the stream's settings.
func (b *batch) check(st *streamState) *Error {
	if !st.auto() {
		if failed := b.checkKeys(); failed != nil {
			return failed
		}
	}
	most, total := st.maxRecordBytes(), 0
	for i := range b.puts {
		p := &b.puts[i]
		total += p.size()
		if p.size() > most {
			return b.tooLarge(st, i, most)
		}
	}
	if !b.single && total > maxPutBytes {
		return invalidArgument("Records size exceeds %d MB limit", maxPutBytes>>20)
	}
	return nil
}

// label names a member of a record as messages do.
func (b *batch) label(i int, member string) string {
	if b.single {
		return member
	}
	return fmt.Sprintf("records.%d.member.%s", i+1, member)
}

func (b *batch) checkKeys() *Error {
	var missing []string
	for i := range b.puts {
		if !b.puts[i].keyed {
			missing = append(missing, failure("null", b.label(i, "partitionKey"), "not be null"))
		}
	}
	return refuse(missing)
}

func (b *batch) tooLarge(st *streamState, i, most int) *Error {
	p := &b.puts[i]
	if n := len(p.data); n > most {
		return refuse([]string{failure(fmt.Sprintf("'java.nio.HeapByteBuffer[pos=0 lim=%d cap=%d]'", n, n), b.label(i, "data"), "have length less than or equal to %d", most)})
	}
	return invalidArgument("The data (%d bytes) and the partition key (%d bytes) at '%s' are together larger than the maximum record size of stream %s, which is %d bytes.", len(p.data), len(p.key), b.label(i, "data"), st.name, most)
}

// checkOrdering looks that a sequence number may have been given out. The numbers of a
// shard rise in any case.
func (s *Service) checkOrdering(st *streamState, after string) *Error {
	n, err := stream.ParseSequenceNumber(after)
	ok := err == nil && n.Second <= uint64(s.options.Now().Unix()) && n.Created >= uint64(st.stream.Created().Unix())
	if ok {
		if sh, kept := st.stream.Shard(n.Shard); kept {
			ok = n.Created == uint64(sh.Created().Unix()) && (n.Offset < sh.Durable() || n == sh.FirstSequence() || n == sh.LastSequence())
		}
	}
	if ok {
		return nil
	}
	return invalidArgument("ExclusiveMinimumSequenceNumber %s used in PutRecord on stream %s under account %s is invalid.", after, st.name, s.options.Account)
}

// internalRecordFailure is what PutRecords says of a record that failed in the server.
func internalRecordFailure() *Error {
	return &Error{Code: "InternalFailure", Message: "Internal service failure."}
}

// submit hands the groups that have not been to their shards. It returns true when
// reshards have closed some of the shards and are over: the records have to be routed
// again. The error is that of the one record of a PutRecord.
func (s *Service) submit(ctx context.Context, st *streamState, b *batch) (bool, error) {
	var moved []*stream.Shard
	for i := range b.groups {
		g := &b.groups[i]
		if g.entries == nil {
			continue
		}
		var err error
		g.commit, err = g.shard.Submit(g.entries)
		g.entries = nil
		switch {
		case err == nil:
		case errors.Is(err, stream.ErrMoved):
			g.moved = true
			moved = append(moved, g.shard)
		case errors.Is(err, stream.ErrOverloaded):
			g.failed = s.rateExceeded(st, g.shard)
		default:
			if err := s.failGroup(st, b, g, err); err != nil {
				return false, err
			}
		}
	}
	if moved == nil {
		return false, nil
	}
	for _, sh := range moved {
		if err := sh.Settled(ctx); err != nil {
			return false, fmt.Errorf("wait for a reshard of %s: %w", sh, err)
		}
	}
	for i := range b.puts {
		if p := &b.puts[i]; b.groups[p.group].moved && p.at != refused {
			p.group = unrouted
		}
	}
	return true, nil
}

// settle waits until what was submitted is durable or has failed.
func (s *Service) settle(ctx context.Context, st *streamState, b *batch) error {
	for i := range b.groups {
		g := &b.groups[i]
		if g.commit == nil {
			continue
		}
		first, err := g.commit.Wait(ctx)
		if ctx.Err() != nil && err != nil {
			return err // the client has gone; the records may still be written
		}
		if err != nil {
			if err := s.failGroup(st, b, g, err); err != nil {
				return err
			}
			continue
		}
		g.first, g.arrived = first, g.commit.Arrived()
	}
	if b.single {
		if failed := b.failure(&b.puts[0]); failed != nil {
			return failed
		}
	}
	return nil
}

// failGroup is how a failure of the log is told: of a PutRecord it is the answer, of a
// PutRecords it is that of each record.
func (s *Service) failGroup(st *streamState, b *batch, g *group, err error) error {
	if st.view.Load().gone {
		return s.noStream(st.name)
	}
	if b.single {
		return fmt.Errorf("put a record: %w", err)
	}
	s.options.Logger.Error("records were not acknowledged", "shard", g.shard, "records", g.count, "error", err)
	g.failed = internalRecordFailure()
	return nil
}
