package kinesis

import (
	"context"
	"errors"
	"time"

	"freshet/stream"
)

const (
	// maxStreams bounds the streams of the account.
	maxStreams = 1000
	// maxOnDemandStreams bounds those in on-demand mode, as the service does.
	maxOnDemandStreams = 50
	// maxCreating bounds the streams that are CREATING where the limits of the service hold.
	maxCreating = 5

	defaultOnDemandShards = 4
	defaultRetention      = 24 * time.Hour
	maxWarmMiBps          = 10240
	maxDescribedShards    = 100
)

// createStream makes the stream in three steps: an intent that holds what is set for it,
// the stream in the log, its record. A crash after the second is finished by load.
func (s *Service) createStream(ctx context.Context, in *CreateStreamInput) (*void, error) {
	r, shards, err := s.newStream(in)
	if err != nil {
		return nil, err
	}
	s.making.Lock()
	defer s.making.Unlock()
	name := *in.StreamName
	if _, ok := s.log.Stream(name); ok {
		return nil, resourceInUse("Stream %s under account %s already exists.", name, s.options.Account)
	}
	now := s.options.Now()
	if err := s.roomForStream(&r, shards, now); err != nil {
		return nil, err
	}
	r.begin(creating, now, s.options.Settle)
	intent := intentKeys + name
	if err := s.drop(ctx, intent); err != nil { // what a failure has left
		return nil, err
	}
	if _, err := s.put(ctx, intent, 0, &r); err != nil {
		return nil, err
	}
	str, err := s.log.Create(name, shards)
	if errors.Is(err, stream.ErrBadName) {
		err = invalid("1 validation error detected: Value '%s' at 'streamName' failed to satisfy constraint: Member must hold more than dots", name)
		return nil, errors.Join(err, s.drop(ctx, intent))
	}
	if err != nil {
		return nil, err // the stream may be there when the log is opened again, and so may the intent
	}
	st := s.state(str)
	st.show(r, 0)
	defer s.enlist(st)
	if err := s.equip(ctx, st, r); err != nil {
		st.stale = true
		return nil, err
	}
	return nil, s.drop(ctx, intent)
}

// newStream makes the record that a stream is to have.
func (s *Service) newStream(in *CreateStreamInput) (streamRecord, int, error) {
	r := streamRecord{Name: *in.StreamName, OnDemand: isOnDemand(in.StreamModeDetails), Tags: in.Tags}
	shards := defaultOnDemandShards
	switch {
	case r.OnDemand && in.ShardCount != nil:
		return r, 0, invalidArgument("ShardCount is not expected when StreamMode=ON_DEMAND")
	case !r.OnDemand && in.ShardCount == nil:
		return r, 0, invalid("1 validation error detected: Value null at 'shardCount' failed to satisfy constraint: Member must not be null")
	case !r.OnDemand:
		shards = *in.ShardCount
	}
	if in.WarmThroughputMiBps != nil {
		if err := s.warm(&r, *in.WarmThroughputMiBps); err != nil {
			return r, 0, err
		}
	}
	if in.RecordDistributionStrategy != nil {
		if err := s.distribute(&r, *in.RecordDistributionStrategy); err != nil {
			return r, 0, err
		}
	}
	if in.MaxRecordSizeInKiB != nil {
		r.MaxRecordKiB = *in.MaxRecordSizeInKiB
	}
	return r, shards, checkTags(nil, in.Tags)
}

func isOnDemand(d *StreamModeDetails) bool {
	return d != nil && d.StreamMode != nil && *d.StreamMode == onDemand
}

// roomForStream refuses a stream that is one too many. The caller holds making.
func (s *Service) roomForStream(r *streamRecord, shards int, now time.Time) error {
	var onDemands, inCreation int
	all := s.index.Load().byName
	for _, st := range all {
		if st.view.Load().OnDemand {
			onDemands++
		}
		if st.status(now) == creating {
			inCreation++
		}
	}
	switch {
	case len(all) >= maxStreams:
		return limitExceeded("This request would exceed the stream limit for the account %s in %s. Current stream count for the account: %d. Limit: %d.", s.options.Account, s.options.Region, len(all), maxStreams)
	case s.options.ShardLimits && inCreation >= maxCreating:
		return limitExceeded("This request would exceed the limit of %d streams in CREATING state for the account %s in %s.", maxCreating, s.options.Account, s.options.Region)
	case r.OnDemand && onDemands >= maxOnDemandStreams:
		return limitExceeded("This request would exceed the on-demand stream limit for the account %s in %s. Current on-demand stream count for the account: %d. Limit: %d.", s.options.Account, s.options.Region, onDemands, maxOnDemandStreams)
	case r.OnDemand:
		return nil
	case shards > stream.MaxShards:
		return s.shardLimit(shards, stream.MaxShards)
	}
	return s.roomForShards(shards)
}

// roomForShards refuses shards that the account may not have. The caller holds making.
func (s *Service) roomForShards(more int) error {
	if s.provisionedShards()+more > s.options.ShardLimit {
		return s.shardLimit(more, s.options.ShardLimit)
	}
	return nil
}

func (s *Service) shardLimit(more, limit int) *Error {
	return limitExceeded("This request would exceed the shard limit for the account %s in %s. Current shard count for the account: %d. Limit: %d. Number of additional shards that would have resulted from this request: %d. Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits.",
		s.options.Account, s.options.Region, s.provisionedShards(), limit, more)
}

// provisionedShards are the open shards of provisioned streams, with those that accepted
// reshards are to add.
func (s *Service) provisionedShards() int {
	var shards int
	for _, st := range s.index.Load().byName {
		v := st.view.Load()
		if v.OnDemand {
			continue
		}
		open := len(st.stream.OpenShards())
		if v.Job != nil && v.Job.Split != nil {
			open++
		}
		if v.Job != nil {
			open = max(open, v.Job.Target)
		}
		shards += open
	}
	return shards
}

// equip gives a new stream what was set for it.
func (s *Service) equip(ctx context.Context, st *streamState, r streamRecord) error {
	if st.stream.Retention() != defaultRetention {
		if err := st.stream.SetRetention(defaultRetention); err != nil {
			return err
		}
	}
	revision, err := s.put(ctx, st.key(), 0, &r)
	if err != nil {
		return err
	}
	st.show(r, revision)
	return nil
}

// deleteStream marks the stream; Run deletes it once it has been DELETING for a while.
func (s *Service) deleteStream(ctx context.Context, in *DeleteStreamInput) (*void, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	for _, name := range s.options.Reserved {
		if name == st.name {
			return nil, accessDenied("Stream %s under account %s belongs to the server and cannot be deleted.", st.name, s.options.Account)
		}
	}
	err := s.change(ctx, st, func(r *streamRecord, now time.Time) error {
		if r.Phase == deleting {
			return s.notActive(st, deleting)
		}
		if enforced := in.EnforceConsumerDeletion; len(r.Consumers) > 0 && (enforced == nil || !*enforced) {
			return resourceInUse("Stream %s under account %s has %d registered consumers. Deregister them or set EnforceConsumerDeletion.", st.name, s.options.Account, len(r.Consumers))
		}
		r.begin(deleting, now, s.options.Settle)
		r.Job = nil
		return nil
	})
	s.poke()
	return nil, err
}

func (s *Service) describeStream(_ context.Context, in *DescribeStreamInput) (*DescribeStreamOutput, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	status := st.status(s.options.Now())
	shards := []*stream.Shard{}
	if status == active || status == updating {
		var err *Error
		if shards, err = shardsAfter(st.stream.Shards(), in.ExclusiveStartShardId); err != nil {
			return nil, err
		}
	}
	limit := maxDescribedShards
	if in.Limit != nil {
		limit = min(limit, *in.Limit)
	}
	more := len(shards) > limit
	shards = shards[:min(limit, len(shards))]
	v := st.view.Load()
	return &DescribeStreamOutput{StreamDescription{
		StreamName: st.name, StreamARN: st.arn, StreamStatus: status, StreamModeDetails: modeDetails(v),
		Shards: describeShards(shards), HasMoreShards: more,
		RetentionPeriodHours: retentionHours(st.stream), StreamCreationTimestamp: timestamp(st.stream.Created()),
		EnhancedMonitoring: monitoring(v), EncryptionType: st.encryptionType(), KeyId: st.keyID(),
	}}, nil
}

func (s *Service) describeStreamSummary(_ context.Context, in *DescribeStreamSummaryInput) (*DescribeStreamSummaryOutput, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	now := s.options.Now()
	v := st.view.Load()
	status := v.status(now)
	open, consumers, size := 0, len(v.kept(now)), v.maxRecordKiB()
	if status == active || status == updating {
		open = len(st.stream.OpenShards())
	}
	d := StreamDescriptionSummary{
		StreamName: st.name, StreamARN: st.arn, StreamId: st.id, StreamStatus: status, StreamModeDetails: modeDetails(v),
		RetentionPeriodHours: retentionHours(st.stream), StreamCreationTimestamp: timestamp(st.stream.Created()),
		EnhancedMonitoring: monitoring(v), EncryptionType: st.encryptionType(), KeyId: st.keyID(),
		OpenShardCount: open, ConsumerCount: &consumers, MaxRecordSizeInKiB: &size, WarmThroughput: warmThroughput(v, status),
	}
	if v.OnDemand {
		d.RecordDistributionStrategy = keyDistribution
		if v.Auto {
			d.RecordDistributionStrategy = autoDistribution
		}
	}
	return &DescribeStreamSummaryOutput{d}, nil
}

func modeDetails(v *streamView) *StreamModeDetails {
	mode := v.mode()
	return &StreamModeDetails{&mode}
}

func monitoring(v *streamView) []EnhancedMetrics {
	return []EnhancedMetrics{{ShardLevelMetrics: append([]string{}, v.Metrics...)}}
}

// retentionHours is at most what the service has: a log that keeps all says so.
func retentionHours(str *stream.Stream) int {
	d := str.Retention()
	if hours := int((d + time.Hour - 1) / time.Hour); d > 0 && hours < maxRetentionHours {
		return hours
	}
	return maxRetentionHours
}
