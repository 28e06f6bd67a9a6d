package stream

import (
	"context"
	"errors"
	"fmt"
)

// maxPutBytes bounds one submission of Put: what others wait behind.
const maxPutBytes = 4 << 20

// Put appends entries to the shards that have their hash keys, also while those are split
// or merged, and waits until they are durable. Entries of one hash key keep their order. It
// returns, for each shard, the sequence number of the last, and the entries that were not
// appended, of which there are some only after an error. It is ErrOverloaded, or another of
// Submit, or of the disk; then it is unknown whether those that were appended are durable.
func (s *Stream) Put(ctx context.Context, entries []Entry) (last map[ShardID]SequenceNumber, rest []Entry, err error) {
	type placed struct {
		shard  *Shard
		commit *Commit
		n      Offset
	}
	var all []placed
	for len(entries) > 0 && err == nil {
		shard := s.ShardFor(entries[0].hash())
		batch, others := shard.pick(entries)
		commit, failed := shard.Submit(batch)
		switch {
		case errors.Is(failed, ErrMoved):
			err = shard.Settled(ctx)
		case failed != nil:
			err = fmt.Errorf("%s: %w", shard, failed)
		default:
			all, entries = append(all, placed{shard, commit, Offset(len(batch))}), others
		}
	}
	last = map[ShardID]SequenceNumber{}
	for _, p := range all {
		first, failed := p.commit.Wait(ctx)
		if failed != nil {
			return nil, entries, errors.Join(err, failed)
		}
		last[p.shard.id] = p.shard.SequenceNumber(first+p.n-1, p.commit.Arrived())
	}
	return last, entries, err
}

// hash is the hash key that the record will have.
func (e *Entry) hash() HashKey {
	if e.Explicit {
		return e.HashKey
	}
	return HashPartitionKey(e.PartitionKey)
}

// pick takes the entries that belong to the shard, as many as fit into one submission.
func (s *Shard) pick(entries []Entry) (batch, others []Entry) {
	size := 0
	full := false
	for i := range entries {
		e := entries[i]
		if !s.Holds(e.hash()) {
			others = append(others, e)
			continue
		}
		full = full || size+len(e.Data) > maxPutBytes && size > 0
		if full { // nothing behind it may overtake it
			others = append(others, e)
			continue
		}
		batch = append(batch, e)
		size += len(e.PartitionKey) + len(e.Data)
	}
	return batch, others
}
