package pipeline

import (
	"context"
	"errors"
	"fmt"

	"freshet/stream"
)

// forward appends the records of a route and waits until they are durable. After an error
// the route holds those that were not appended.
func (r *runner) forward(ctx context.Context, to *route) error {
	target, ok := r.set.stream(to.stream, r.program.Definition)
	if !ok {
		return fmt.Errorf("there is no stream %s", to.stream)
	}
	var commits []*stream.Commit
	for len(to.entries) > 0 {
		shard, batch, rest := nextBatch(target, to.entries)
		commit, err := shard.Submit(batch)
		if errors.Is(err, stream.ErrMoved) {
			if err = shard.Settled(ctx); err == nil {
				continue
			}
		}
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", shard, err), wait(ctx, commits))
		}
		commits, to.entries = append(commits, commit), rest
	}
	return wait(ctx, commits)
}

// maxSubmit bounds the bytes of one submission.
const maxSubmit = 4 << 20

// nextBatch takes the records that go to the shard of the first one out of entries.
// Records of a shard keep their order.
func nextBatch(s *stream.Stream, entries []stream.Entry) (*stream.Shard, []stream.Entry, []stream.Entry) {
	shard := s.ShardFor(stream.HashPartitionKey(entries[0].PartitionKey))
	var batch, rest []stream.Entry
	bytes := 0
	for i := range entries {
		e := entries[i]
		if bytes < maxSubmit && shard.Holds(stream.HashPartitionKey(e.PartitionKey)) {
			batch = append(batch, e)
			bytes += len(e.PartitionKey) + len(e.Data)
		} else {
			rest = append(rest, e)
		}
	}
	return shard, batch, rest
}

func wait(ctx context.Context, commits []*stream.Commit) error {
	for _, c := range commits {
		if _, err := c.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}
