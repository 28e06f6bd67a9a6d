package aggregate

import (
	"context"
	"errors"
	"fmt"

	"freshet/stream"
)

// shardFrom returns a shard that folds from an offset on, with the greatest time of the
// points before it.
func (e *Engine) shardFrom(log *stream.Shard, from stream.Offset, maxTime int64) (*shard, error) {
	if lost := log.Horizon(); lost > from {
		e.options.Logger.Error("records are gone from the log that were not loaded", "shard", log.ID(), "from", from, "to", lost)
		from = lost
	}
	log.Hold("warehouse", from)
	arrived, err := arrivalBefore(log, from)
	if err != nil {
		return nil, err
	}
	s := newShard(e, log, place{from, arrived}, maxTime, e.open)
	return s, s.resume()
}

// all returns the shards, those that are closed and folded among them.
func (e *Engine) all() []*shard { return *e.shards.Load() }

// arrivalBefore returns when the last record before an offset arrived, epoch ms: a part
// of its sequence number. It is 0 if there is none or retention has dropped it.
func arrivalBefore(log *stream.Shard, from stream.Offset) (int64, error) {
	if from <= log.Horizon() || from > log.Durable() {
		return 0, nil
	}
	r := log.Reader(from - 1)
	defer r.Close()
	records, err := r.Next(context.Background(), 1)
	if err != nil {
		return 0, fmt.Errorf("shard %s: %w", log.ID(), err)
	}
	return records[0].Arrived, nil
}

// follow adds the shards that reshards have made since the last look.
func (e *Engine) follow() error {
	e.freezing.Lock()
	defer e.freezing.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	shards := e.all()
	var errs []error
	all := e.options.Stream.Shards()
	for _, log := range all {
		if n := len(shards); n > 0 && log.ID() <= shards[n-1].log.ID() {
			continue
		}
		s, err := e.shardFrom(log, 0, 0)
		if err != nil {
			errs = append(errs, err)
			break // a later one must not take its place
		}
		s.publish()
		shards = append(shards[:len(shards):len(shards)], s)
	}
	e.shards.Store(&shards)
	e.seen = max(e.seen, newest(all)) // a shard that failed is not waited for
	close(e.news)
	e.news = make(chan struct{})
	return errors.Join(errs...)
}

// newest returns the greatest id among shards, which rise.
func newest(all []*stream.Shard) stream.ShardID {
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1].ID()
}

// caughtUp returns when the shards are followed that the stream has now.
func (e *Engine) caughtUp(ctx context.Context) error {
	want := newest(e.options.Stream.Shards())
	for {
		e.mu.Lock()
		seen, news := e.seen, e.news
		e.mu.Unlock()
		if seen >= want {
			return nil
		}
		select {
		case <-news:
		case <-e.stopped:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
