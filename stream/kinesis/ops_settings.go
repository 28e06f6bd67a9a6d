package kinesis

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"freshet/stream"
)

const (
	minRetentionHours = 24
	maxRetentionHours = 8760

	maxModeChanges = 2 // a day, where the limits of the service hold
)

func (s *Service) increaseStreamRetentionPeriod(ctx context.Context, in *IncreaseStreamRetentionPeriodInput) (*void, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	return nil, s.changeRetention(ctx, st, *in.RetentionPeriodHours, func(hours, has int) error {
		if hours < has {
			return invalidArgument("Requested retention period (%d hours) for stream %s can not be shorter than existing retention period (%d hours). Use DecreaseRetentionPeriod API.", hours, st.name, has)
		}
		return nil
	})
}

func (s *Service) decreaseStreamRetentionPeriod(ctx context.Context, in *DecreaseStreamRetentionPeriodInput) (*void, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	return nil, s.changeRetention(ctx, st, *in.RetentionPeriodHours, func(hours, has int) error {
		if hours > has {
			return invalidArgument("Requested retention period (%d hours) for stream %s can not be longer than existing retention period (%d hours). Use IncreaseRetentionPeriod API.", hours, st.name, has)
		}
		return nil
	})
}

// changeRetention writes the period to the log, which is the one that keeps it.
func (s *Service) changeRetention(ctx context.Context, st *streamState, hours int, compare func(hours, has int) error) error {
	switch {
	case hours < minRetentionHours:
		return invalidArgument("Minimum allowed retention period is %d hours. Requested retention period (%d hours) is too short.", minRetentionHours, hours)
	case hours > maxRetentionHours:
		return invalidArgument("Maximum allowed retention period is %d hours. Requested retention period (%d hours) is too long.", maxRetentionHours, hours)
	}
	return s.changeActive(ctx, st, func(*streamRecord, time.Time) error {
		if err := compare(hours, retentionHours(st.stream)); err != nil {
			return err
		}
		return st.stream.SetRetention(time.Duration(hours) * time.Hour)
	})
}

func (s *Service) updateStreamMode(ctx context.Context, in *UpdateStreamModeInput) (*void, error) {
	st, failed := s.lookup(in.StreamARN, nil, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	s.making.Lock()
	defer s.making.Unlock()
	return nil, s.changeActive(ctx, st, func(r *streamRecord, now time.Time) error {
		to := isOnDemand(in.StreamModeDetails)
		if to != r.OnDemand {
			if err := s.roomForMode(st, r, to, now); err != nil {
				return err
			}
			r.OnDemand, r.Auto, r.WarmMiBps = to, false, nil
			r.Moded = append(r.Moded, now.UnixMilli())
		}
		if in.WarmThroughputMiBps != nil {
			return s.warm(r, *in.WarmThroughputMiBps)
		}
		return nil
	})
}

func (s *Service) roomForMode(st *streamState, r *streamRecord, to bool, now time.Time) error {
	if s.options.ShardLimits && len(r.Moded) >= maxModeChanges {
		return limitExceeded("The mode of stream %s under account %s was changed %d times in the last 24 hours, the most that is allowed.", st.name, s.options.Account, len(r.Moded))
	}
	if to {
		return s.roomForStream(&streamRecord{OnDemand: true}, 0, now)
	}
	return s.roomForShards(len(st.stream.OpenShards()))
}

// warm sets the warm throughput of a stream. It is kept and told: shards of this server
// take what the disk takes, so that none have to be added beforehand.
func (s *Service) warm(r *streamRecord, mibps int) error {
	switch {
	case !r.OnDemand:
		return invalidArgument("WarmThroughputMiBps is only supported for streams in on-demand mode; stream %s is in provisioned mode.", r.Name)
	case s.account.Load().status(s.options.Now()) == commitmentOff:
		return invalidArgument("WarmThroughputMiBps needs MinimumThroughputBillingCommitment enabled for account %s.", s.options.Account)
	case mibps > maxWarmMiBps:
		return limitExceeded("WarmThroughputMiBps is %d; at most %d is allowed.", mibps, maxWarmMiBps)
	}
	r.WarmMiBps = &mibps
	return nil
}

func warmThroughput(v *streamView, status string) *WarmThroughputObject {
	if v.WarmMiBps == nil {
		return nil
	}
	w := &WarmThroughputObject{TargetMiBps: v.WarmMiBps}
	if status == active {
		w.CurrentMiBps = v.WarmMiBps
	}
	return w
}

func (s *Service) updateStreamWarmThroughput(ctx context.Context, in *UpdateStreamWarmThroughputInput) (*UpdateStreamWarmThroughputOutput, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	w := &WarmThroughputObject{TargetMiBps: in.WarmThroughputMiBps}
	err := s.changeActive(ctx, st, func(r *streamRecord, _ time.Time) error {
		w.CurrentMiBps = r.WarmMiBps
		return s.warm(r, *in.WarmThroughputMiBps)
	})
	if err != nil {
		return nil, err
	}
	return &UpdateStreamWarmThroughputOutput{StreamARN: st.arn, StreamName: st.name, WarmThroughput: w}, nil
}

func (s *Service) updateMaxRecordSize(ctx context.Context, in *UpdateMaxRecordSizeInput) (*void, error) {
	st, failed := s.lookup(in.StreamARN, nil, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	return nil, s.changeActive(ctx, st, func(r *streamRecord, _ time.Time) error {
		r.MaxRecordKiB = *in.MaxRecordSizeInKiB
		return nil
	})
}

// updateStreamRecordDistributionStrategy takes effect at once: the stream stays ACTIVE.
func (s *Service) updateStreamRecordDistributionStrategy(ctx context.Context, in *UpdateStreamRecordDistributionStrategyInput) (*void, error) {
	st, failed := s.lookup(in.StreamARN, nil, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	return nil, s.changeSettled(ctx, st, func(r *streamRecord, _ time.Time) error {
		return s.distribute(r, *in.RecordDistributionStrategy)
	})
}

func (s *Service) distribute(r *streamRecord, strategy string) error {
	if !r.OnDemand {
		return invalidArgument("RecordDistributionStrategy is only supported for streams in on-demand mode; stream %s is in provisioned mode.", r.Name)
	}
	r.Auto = strategy == autoDistribution
	return nil
}

const allMetrics = "ALL"

// shardLevelMetrics are the metrics that ALL stands for.
func shardLevelMetrics() []string {
	return []string{
		"IncomingBytes", "IncomingRecords", "OutgoingBytes", "OutgoingRecords",
		"WriteProvisionedThroughputExceeded", "ReadProvisionedThroughputExceeded", "IteratorAgeMilliseconds",
	}
}

func withMetrics(has, more []string) []string {
	if slices.Contains(has, allMetrics) || slices.Contains(more, allMetrics) {
		return []string{allMetrics}
	}
	return slices.DeleteFunc(shardLevelMetrics(), func(m string) bool { return !slices.Contains(has, m) && !slices.Contains(more, m) })
}

func withoutMetrics(has, less []string) []string {
	if slices.Contains(less, allMetrics) {
		return []string{}
	}
	all := slices.Contains(has, allMetrics)
	return slices.DeleteFunc(shardLevelMetrics(), func(m string) bool { return !all && !slices.Contains(has, m) || slices.Contains(less, m) })
}

func (s *Service) enableEnhancedMonitoring(ctx context.Context, in *EnableEnhancedMonitoringInput) (*EnhancedMonitoringOutput, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	return s.changeMonitoring(ctx, st, in.ShardLevelMetrics, withMetrics)
}

func (s *Service) disableEnhancedMonitoring(ctx context.Context, in *DisableEnhancedMonitoringInput) (*EnhancedMonitoringOutput, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	return s.changeMonitoring(ctx, st, in.ShardLevelMetrics, withoutMetrics)
}

func (s *Service) changeMonitoring(ctx context.Context, st *streamState, given []string, edit func(has, given []string) []string) (*EnhancedMonitoringOutput, error) {
	out := &EnhancedMonitoringOutput{StreamName: st.name, StreamARN: st.arn}
	err := s.changeActive(ctx, st, func(r *streamRecord, _ time.Time) error {
		out.CurrentShardLevelMetrics = append([]string{}, r.Metrics...)
		r.Metrics = edit(r.Metrics, given)
		out.DesiredShardLevelMetrics = append([]string{}, r.Metrics...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// defaultKeyID is the key of the service itself, for streams that something other than
// StartStreamEncryption encrypted.
const defaultKeyID = "alias/aws/kinesis"

// keyID names the key of an encrypted stream, as StartStreamEncryption did. The log
// encrypts with keys of its own.
func (st *streamState) keyID() string {
	if !st.stream.Encrypted() {
		return ""
	}
	if id := st.view.Load().KeyID; id != "" {
		return id
	}
	return defaultKeyID
}

func (s *Service) startStreamEncryption(ctx context.Context, in *StartStreamEncryptionInput) (*void, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	if *in.EncryptionType != encryptionKMS {
		return nil, invalidArgument("EncryptionType %s is not valid for StartStreamEncryption; KMS is.", *in.EncryptionType)
	}
	if !isKeyID(*in.KeyId) {
		return nil, kmsNotFound("Invalid keyId %s", *in.KeyId)
	}
	return nil, s.changeActive(ctx, st, func(r *streamRecord, _ time.Time) error {
		r.KeyID = *in.KeyId
		return s.encrypt(st, true)
	})
}

// stopStreamEncryption writes new files of the stream in the clear. Those that are
// encrypted stay so.
func (s *Service) stopStreamEncryption(ctx context.Context, in *StopStreamEncryptionInput) (*void, error) {
	st, failed := s.lookup(in.StreamARN, in.StreamName, in.StreamId)
	if failed != nil {
		return nil, failed
	}
	if *in.EncryptionType != encryptionKMS {
		return nil, invalidArgument("EncryptionType %s is not valid for StopStreamEncryption; KMS is.", *in.EncryptionType)
	}
	if !isKeyID(*in.KeyId) {
		return nil, kmsNotFound("Invalid keyId %s", *in.KeyId)
	}
	return nil, s.changeActive(ctx, st, func(r *streamRecord, _ time.Time) error {
		r.KeyID = ""
		return s.encrypt(st, false)
	})
}

// encrypt tells the log, which is the one that knows whether a stream is encrypted.
func (s *Service) encrypt(st *streamState, on bool) error {
	err := st.stream.SetEncrypted(on)
	if errors.Is(err, stream.ErrNoKeys) {
		return kmsNotFound("Stream %s under account %s cannot be encrypted: the server has no keys.", st.name, s.options.Account)
	}
	return err
}

// isKeyID says whether an id has one of the forms of the service: a GUID, a multi-region
// key, an alias, or the ARN of a key or an alias.
func isKeyID(id string) bool {
	if !strings.HasPrefix(id, "arn:") {
		return isAlias(id) || isKeyName(id)
	}
	parts := strings.SplitN(id, ":", 6)
	if len(parts) != 6 || !strings.HasPrefix(parts[1], "aws") || parts[2] != "kms" || parts[3] == "" || len(parts[4]) != 12 || !isDigits(parts[4]) {
		return false
	}
	name, isKey := strings.CutPrefix(parts[5], "key/")
	return isKey && isKeyName(name) || isAlias(parts[5])
}

func isAlias(id string) bool {
	matched, err := regexp.MatchString(`^alias/[a-zA-Z0-9/_-]{1,250}$`, id)
	return err == nil && matched
}

func isKeyName(id string) bool {
	matched, err := regexp.MatchString(`^([0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|mrk-[0-9a-fA-F]{32})$`, id)
	return err == nil && matched
}
