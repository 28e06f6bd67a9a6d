package kinesis

import "context"

// Operations that are not written yet.

func (s *Service) createStream(context.Context, *CreateStreamInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) deleteStream(context.Context, *DeleteStreamInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) describeStream(context.Context, *DescribeStreamInput) (*DescribeStreamOutput, error) {
	return nil, internalFailure()
}

func (s *Service) describeStreamSummary(context.Context, *DescribeStreamSummaryInput) (*DescribeStreamSummaryOutput, error) {
	return nil, internalFailure()
}

func (s *Service) listStreams(context.Context, *ListStreamsInput) (*ListStreamsOutput, error) {
	return nil, internalFailure()
}

func (s *Service) increaseStreamRetentionPeriod(context.Context, *IncreaseStreamRetentionPeriodInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) decreaseStreamRetentionPeriod(context.Context, *DecreaseStreamRetentionPeriodInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) updateStreamMode(context.Context, *UpdateStreamModeInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) updateStreamWarmThroughput(context.Context, *UpdateStreamWarmThroughputInput) (*UpdateStreamWarmThroughputOutput, error) {
	return nil, internalFailure()
}

func (s *Service) updateMaxRecordSize(context.Context, *UpdateMaxRecordSizeInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) updateStreamRecordDistributionStrategy(context.Context, *UpdateStreamRecordDistributionStrategyInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) enableEnhancedMonitoring(context.Context, *EnableEnhancedMonitoringInput) (*EnhancedMonitoringOutput, error) {
	return nil, internalFailure()
}

func (s *Service) disableEnhancedMonitoring(context.Context, *DisableEnhancedMonitoringInput) (*EnhancedMonitoringOutput, error) {
	return nil, internalFailure()
}

func (s *Service) startStreamEncryption(context.Context, *StartStreamEncryptionInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) stopStreamEncryption(context.Context, *StopStreamEncryptionInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) listShards(context.Context, *ListShardsInput) (*ListShardsOutput, error) {
	return nil, internalFailure()
}

func (s *Service) splitShard(context.Context, *SplitShardInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) mergeShards(context.Context, *MergeShardsInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) updateShardCount(context.Context, *UpdateShardCountInput) (*UpdateShardCountOutput, error) {
	return nil, internalFailure()
}

func (s *Service) putRecord(context.Context, *PutRecordInput) (*PutRecordOutput, error) {
	return nil, internalFailure()
}

func (s *Service) putRecords(context.Context, *PutRecordsInput) (*PutRecordsOutput, error) {
	return nil, internalFailure()
}

func (s *Service) getShardIterator(context.Context, *GetShardIteratorInput) (*GetShardIteratorOutput, error) {
	return nil, internalFailure()
}

func (s *Service) getRecords(context.Context, *GetRecordsInput) (*GetRecordsOutput, error) {
	return nil, internalFailure()
}

func (s *Service) registerStreamConsumer(context.Context, *RegisterStreamConsumerInput) (*RegisterStreamConsumerOutput, error) {
	return nil, internalFailure()
}

func (s *Service) deregisterStreamConsumer(context.Context, *DeregisterStreamConsumerInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) describeStreamConsumer(context.Context, *DescribeStreamConsumerInput) (*DescribeStreamConsumerOutput, error) {
	return nil, internalFailure()
}

func (s *Service) listStreamConsumers(context.Context, *ListStreamConsumersInput) (*ListStreamConsumersOutput, error) {
	return nil, internalFailure()
}

func (s *Service) addTagsToStream(context.Context, *AddTagsToStreamInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) removeTagsFromStream(context.Context, *RemoveTagsFromStreamInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) listTagsForStream(context.Context, *ListTagsForStreamInput) (*ListTagsForStreamOutput, error) {
	return nil, internalFailure()
}

func (s *Service) tagResource(context.Context, *TagResourceInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) untagResource(context.Context, *UntagResourceInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) listTagsForResource(context.Context, *ListTagsForResourceInput) (*ListTagsForResourceOutput, error) {
	return nil, internalFailure()
}

func (s *Service) putResourcePolicy(context.Context, *PutResourcePolicyInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) getResourcePolicy(context.Context, *GetResourcePolicyInput) (*GetResourcePolicyOutput, error) {
	return nil, internalFailure()
}

func (s *Service) deleteResourcePolicy(context.Context, *DeleteResourcePolicyInput) (*void, error) {
	return nil, internalFailure()
}

func (s *Service) describeLimits(context.Context, *DescribeLimitsInput) (*DescribeLimitsOutput, error) {
	return nil, internalFailure()
}

func (s *Service) describeAccountSettings(context.Context, *DescribeAccountSettingsInput) (*DescribeAccountSettingsOutput, error) {
	return nil, internalFailure()
}

func (s *Service) updateAccountSettings(context.Context, *UpdateAccountSettingsInput) (*UpdateAccountSettingsOutput, error) {
	return nil, internalFailure()
}

func (s *Service) subscribeToShard(context.Context, *SubscribeToShardInput, *eventWriter) error {
	return internalFailure()
}

// Run ends transitions that are due until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
