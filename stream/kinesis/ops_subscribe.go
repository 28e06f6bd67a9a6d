package kinesis

import (
	"context"
	"errors"
	"time"

	"freshet/stream"
)

const (
	// subscriptionLife is how long one subscription lasts.
	subscriptionLife = 5 * time.Minute
	// heartbeat is how often an idle one gets an event without records.
	heartbeat = 5 * time.Second
	// maxEventBytes bounds the records of one event, but for a single larger one.
	maxEventBytes = 1 << 20
)

// subscribeToShard pushes the records of a shard. A reader that is slow slows only itself.
func (s *Service) subscribeToShard(ctx context.Context, in *SubscribeToShardInput, events *eventWriter) error {
	st, c, err := s.consumerByARN(*in.ConsumerARN)
	if err != nil {
		return err
	}
	if status := c.status; status != active {
		return resourceInUse("Consumer %s is not ACTIVE, instead in state %s", *in.ConsumerARN, status)
	}
	shard, err := s.shard(st, *in.ShardId)
	if err != nil {
		return err
	}
	p := in.StartingPosition
	at, failed := s.seek(st, shard, *p.Type, p.SequenceNumber, p.Timestamp)
	if failed != nil {
		return failed
	}
	if isDryRun(in.DryRun) {
		return wouldSucceed()
	}
	ctx, cancel := context.WithTimeout(ctx, subscriptionLife)
	defer cancel()
	go func() {
		select {
		case <-s.ended:
			cancel()
		case <-ctx.Done():
		}
	}()
	if err := events.open(); err != nil {
		return nil // the client is gone
	}
	return s.push(ctx, st, shard, max(at, shard.Horizon()), *in.ConsumerARN, events)
}

// push sends events until ctx ends, the client is gone, or a closed shard is read.
func (s *Service) push(ctx context.Context, st *streamState, shard *stream.Shard, at stream.Offset, consumer string, events *eventWriter) error {
	r := shard.Reader(at)
	defer r.Close()
	last := before(ctx, shard, at)
	for {
		wait, cancel := context.WithTimeout(ctx, heartbeat)
		records, err := r.Next(wait, maxEventBytes)
		cancel()
		ev := &SubscribeToShardEvent{Records: []Record{}, ContinuationSequenceNumber: last}
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, stream.ErrEnd):
			ev.ContinuationSequenceNumber = ""
			ev.ChildShards = children(st, shard)
			_ = events.event(ev) // the last, whoever reads it
			return nil
		case errors.Is(err, stream.ErrTrimmed):
			r.Close()
			r = shard.Reader(shard.Horizon())
			continue
		case errors.Is(err, context.DeadlineExceeded): // idle
			if _, _, gone := s.consumerByARN(consumer); gone != nil {
				return gone
			}
		case err != nil:
			return err
		}
		for i := range records {
			ev.Records = append(ev.Records, st.record(shard, &records[i]))
		}
		if n := len(ev.Records); n > 0 {
			last = ev.Records[n-1].SequenceNumber
			ev.ContinuationSequenceNumber = last
			ev.MillisBehindLatest = s.behind(ctx, shard, r.Offset())
		}
		if events.event(ev) != nil {
			return nil // the client is gone
		}
	}
}

// before is the sequence number after which a subscription that begins at an offset goes on.
func before(ctx context.Context, shard *stream.Shard, at stream.Offset) string {
	if at == 0 {
		return shard.FirstSequence().String()
	}
	arrived := shard.Created().UnixMilli() // when the record is gone; a place does not depend on it
	if at > shard.Horizon() && at <= shard.Durable() {
		r := shard.Reader(at - 1)
		defer r.Close()
		if records, err := r.Next(ctx, 1); err == nil {
			arrived = records[0].Arrived
		}
	}
	return shard.SequenceNumber(at-1, arrived).String()
}
