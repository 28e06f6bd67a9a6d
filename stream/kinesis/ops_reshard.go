package kinesis

import (
	"context"
	"time"

	"freshet/stream"
)

const (
	// maxScalings bounds the calls of UpdateShardCount a stream and day where the limits
	// of the service hold.
	maxScalings = 10
	// maxScaledShards leaves room for the short-lived shards of a plan.
	maxScaledShards = stream.MaxShards - 2
)

// A splitJob and a mergeJob are what SplitShard and MergeShards were asked for.
type splitJob struct {
	Shard stream.ShardID `json:"shard"`
	At    string         `json:"at"` // the first hash key of the second child
}

type mergeJob struct {
	Shard    stream.ShardID `json:"shard"`
	Adjacent stream.ShardID `json:"adjacent"`
}

func (s *Service) splitShard(ctx context.Context, in *SplitShardInput) (*void, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	return nil, s.accept(ctx, st, func(r *streamRecord, now time.Time) (*job, error) {
		sh, failed := s.openShard(st, *in.ShardToSplit)
		if failed != nil {
			return nil, failed
		}
		first, last := sh.Range()
		at, err := stream.ParseHashKey(*in.NewStartingHashKey)
		if err != nil || at.Compare(first.Next()) <= 0 || at.Compare(last) >= 0 || first == last {
			return nil, invalidArgument("NewStartingHashKey %s used in SplitShard() on shard %s in stream %s under account %s is not both greater than one plus the shard's StartingHashKey %s and less than the shard's EndingHashKey %s.",
				*in.NewStartingHashKey, *in.ShardToSplit, st.name, s.options.Account, first, last)
		}
		if len(st.stream.OpenShards()) >= stream.MaxShards {
			return nil, s.shardLimit(1, stream.MaxShards)
		}
		return &job{Split: &splitJob{sh.ID(), at.String()}}, s.roomForShards(1)
	})
}

func (s *Service) mergeShards(ctx context.Context, in *MergeShardsInput) (*void, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	return nil, s.accept(ctx, st, func(*streamRecord, time.Time) (*job, error) {
		a, failed := s.openShard(st, *in.ShardToMerge)
		if failed != nil {
			return nil, failed
		}
		b, failed := s.openShard(st, *in.AdjacentShardToMerge)
		if failed != nil {
			return nil, failed
		}
		if !adjacent(a, b) && !adjacent(b, a) {
			return nil, invalidArgument("Shards %s and %s in stream %s under account %s are not an adjacent pair of shards eligible for merging",
				*in.ShardToMerge, *in.AdjacentShardToMerge, st.name, s.options.Account)
		}
		return &job{Merge: &mergeJob{a.ID(), b.ID()}}, nil
	})
}

func (s *Service) updateShardCount(ctx context.Context, in *UpdateShardCountInput) (*UpdateShardCountOutput, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	target, open := *in.TargetShardCount, 0
	err := s.accept(ctx, st, func(r *streamRecord, now time.Time) (*job, error) {
		open = len(st.stream.OpenShards())
		switch {
		case target > 2*open:
			return nil, invalidArgument("UpdateShardCount cannot scale up over double your current open shard count. Current open shard count: %d Target shard count: %d", open, target)
		case 2*target < open:
			return nil, invalidArgument("UpdateShardCount cannot scale down below half your current open shard count. Current open shard count: %d Target shard count: %d", open, target)
		case target > maxScaledShards:
			return nil, s.shardLimit(target-open, maxScaledShards)
		case s.options.ShardLimits && len(r.Scaled) >= maxScalings:
			return nil, limitExceeded("The shard count of stream %s under account %s was updated %d times in the last 24 hours, the most that is allowed.", st.name, s.options.Account, len(r.Scaled))
		}
		if len(r.Scaled) < maxScalings {
			r.Scaled = append(r.Scaled, now.UnixMilli())
		}
		return &job{Target: target}, s.roomForShards(target - open)
	})
	if err != nil {
		return nil, err
	}
	return &UpdateShardCountOutput{StreamName: st.name, StreamARN: st.arn, CurrentShardCount: &open, TargetShardCount: &target}, nil
}

// accept keeps a reshard that passes its checks for Run to do. The stream is UPDATING
// until it is done.
func (s *Service) accept(ctx context.Context, st *streamState, check func(r *streamRecord, now time.Time) (*job, error)) error {
	s.making.Lock()
	defer s.making.Unlock()
	err := s.changeActive(ctx, st, func(r *streamRecord, now time.Time) error {
		if r.OnDemand {
			return invalid("Request is invalid. Stream %s under account %s is in On-Demand mode.", st.name, s.options.Account)
		}
		j, err := check(r, now)
		r.Job = j
		return err
	})
	if err == nil {
		s.poke()
	}
	return err
}

// openShard finds a shard that can be split or merged.
func (s *Service) openShard(st *streamState, id string) (*stream.Shard, *Error) {
	n, err := stream.ParseShardID(id)
	sh, ok := st.stream.Shard(n)
	if err != nil || !ok {
		return nil, resourceNotFound("Could not find shard %s in stream %s under account %s.", id, st.name, s.options.Account)
	}
	if _, _, closed := sh.Closed(); closed {
		return nil, invalidArgument("Shard %s in stream %s under account %s has already been merged or split, and thus is not eligible for merging or splitting.", id, st.name, s.options.Account)
	}
	return sh, nil
}

// adjacent says whether b's hash keys follow a's.
func adjacent(a, b *stream.Shard) bool {
	_, last := a.Range()
	first, _ := b.Range()
	return a != b && first != (stream.HashKey{}) && last.Next() == first
}
