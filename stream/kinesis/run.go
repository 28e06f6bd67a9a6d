package kinesis

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"freshet/stream"
)

const (
	retryFirst = 100 * time.Millisecond
	retryMost  = 30 * time.Second
)

// poke tells Run that a stream has work.
func (s *Service) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run does what takes longer than an answer, until ctx ends: reshards that were accepted,
// and the deletion of streams that were DELETING for a while. It begins with those that
// the last run left undone. Statuses that are over when their time is over need no work.
// It returns nil, and runs once; the log must run. At its end the subscriptions end, too.
func (s *Service) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	defer workers.Wait()
	defer s.data.end()
	busy := map[*streamState]bool{}
	done := make(chan *streamState)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		next := time.Duration(-1)
		for _, st := range s.index.Load().byName {
			in, ok := s.due(st)
			switch {
			case !ok || busy[st]:
			case in <= 0:
				busy[st] = true
				workers.Go(func() {
					s.work(ctx, st)
					select {
					case done <- st:
					case <-ctx.Done():
					}
				})
			case next < 0 || in < next:
				next = in
			}
		}
		var later <-chan time.Time
		if next >= 0 {
			timer.Reset(next)
			later = timer.C
		}
		select {
		case <-ctx.Done():
			return nil
		case st := <-done:
			delete(busy, st)
		case <-s.wake:
		case <-later:
		}
	}
}

// due says in how long a stream has work, if it has any.
func (s *Service) due(st *streamState) (time.Duration, bool) {
	v := st.view.Load()
	switch {
	case v.gone:
	case v.Phase == deleting:
		return time.UnixMilli(v.Until).Sub(s.options.Now()), true
	case v.Job != nil:
		return 0, true
	}
	return 0, false
}

// work does what a stream has to do, and tries again until it is done or refused.
func (s *Service) work(ctx context.Context, st *streamState) {
	for wait := retryFirst; ctx.Err() == nil; wait = min(2*wait, retryMost) {
		if in, ok := s.due(st); !ok || in > 0 {
			return
		}
		var err error
		v := st.view.Load()
		if v.Phase == deleting {
			err = s.remove(ctx, st)
		} else {
			err = s.reshard(ctx, st, v.Job)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		s.options.Logger.Error("what a stream has to do failed; it is tried again", "stream", st.name, "status", v.Phase, "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// remove deletes a stream from the log and then what is known of it. A crash in between
// leaves a record that load drops.
func (s *Service) remove(ctx context.Context, st *streamState) error {
	s.making.Lock()
	defer s.making.Unlock()
	st.writing.Lock()
	defer st.writing.Unlock()
	if str, ok := s.log.Stream(st.name); ok && str == st.stream {
		if err := s.log.Delete(st.name); err != nil {
			return err
		}
	}
	gone := *st.view.Load()
	gone.gone = true
	st.view.Store(&gone)
	s.delist(st)
	return s.drop(ctx, st.key())
}

// reshard does a job and strikes it off. One that the log refuses for good is struck off,
// too: another reshard was first, or the crash that cut it short came after it was done.
func (s *Service) reshard(ctx context.Context, st *streamState, j *job) error {
	err := s.carryOut(ctx, st, j)
	for _, refused := range []error{stream.ErrNoStream, stream.ErrNoShard, stream.ErrNotOpen, stream.ErrNotAdjacent, stream.ErrBadSplit, stream.ErrTooManyShards} {
		if errors.Is(err, refused) {
			s.options.Logger.Warn("a reshard that was accepted is not done", "stream", st.name, "error", err)
			err = nil
		}
	}
	if err != nil {
		return err
	}
	return s.change(ctx, st, func(r *streamRecord, _ time.Time) error {
		r.Job = nil
		return nil
	})
}

func (s *Service) carryOut(ctx context.Context, st *streamState, j *job) error {
	switch {
	case j.Split != nil:
		at, err := stream.ParseHashKey(j.Split.At)
		if err != nil {
			return fmt.Errorf("%w: %w", stream.ErrBadSplit, err)
		}
		_, err = st.stream.Split(ctx, j.Split.Shard, at)
		return err
	case j.Merge != nil:
		_, err := st.stream.Merge(ctx, j.Merge.Shard, j.Merge.Adjacent)
		return err
	}
	return s.scale(ctx, st, j.Target)
}

// scale splits and merges until a stream has a number of shards of equal size, or is to
// be deleted.
func (s *Service) scale(ctx context.Context, st *streamState, target int) error {
	for ctx.Err() == nil && st.view.Load().Job != nil {
		shards := st.stream.OpenShards()
		open := make([]hashRange, len(shards))
		for i, sh := range shards {
			open[i].first, open[i].last = sh.Range()
		}
		var err error
		step := nextStep(open, target)
		switch step.kind {
		case stepNone:
			return nil
		case stepSplit:
			_, err = st.stream.Split(ctx, shards[step.shard].ID(), step.at)
		case stepMerge:
			_, err = st.stream.Merge(ctx, shards[step.shard].ID(), shards[step.shard+1].ID())
		}
		if err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}
