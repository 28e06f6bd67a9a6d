package kinesis

// The shapes of the model. Members keep the model's names. In an input a nil member is
// absent; its tag says "required", and names the shape in shapeRules that constrains it; members stand in the
// order in which the service lists what is wrong with them. In an output a member is
// always written (an empty list as []), unless its tag says "omit": then its zero value
// is absent.

type CreateStreamInput struct {
	ShardCount                 *int               `k:"PositiveIntegerObject"`
	StreamName                 *string            `k:"required,StreamName"`
	StreamModeDetails          *StreamModeDetails `k:""`
	Tags                       map[string]string  `k:"TagMap"`
	WarmThroughputMiBps        *int               `k:"NaturalIntegerObject"`
	MaxRecordSizeInKiB         *int               `k:"MaxRecordSizeInKiB"`
	RecordDistributionStrategy *string            `k:"RecordDistributionStrategy"`
}

type StreamModeDetails struct {
	StreamMode *string `k:"required,StreamMode,omit"`
}

type DeleteStreamInput struct {
	EnforceConsumerDeletion *bool
	StreamName              *string `k:"StreamName"`
	StreamARN               *string `k:"StreamARN"`
	StreamId                *string `k:"StreamId"`
}

type DescribeStreamInput struct {
	Limit                 *int    `k:"DescribeStreamInputLimit"`
	ExclusiveStartShardId *string `k:"ShardId"`
	StreamName            *string `k:"StreamName"`
	StreamARN             *string `k:"StreamARN"`
	StreamId              *string `k:"StreamId"`
}

type DescribeStreamOutput struct {
	StreamDescription StreamDescription
}

type StreamDescription struct {
	StreamName              string
	StreamARN               string
	StreamStatus            string
	StreamModeDetails       *StreamModeDetails `k:"omit"`
	Shards                  []ShardDescription
	HasMoreShards           bool
	RetentionPeriodHours    int
	StreamCreationTimestamp Timestamp
	EnhancedMonitoring      []EnhancedMetrics
	EncryptionType          string `k:"omit"`
	KeyId                   string `k:"omit"`
}

type EnhancedMetrics struct {
	ShardLevelMetrics []string
}

type DescribeStreamSummaryInput struct {
	StreamName *string `k:"StreamName"`
	StreamARN  *string `k:"StreamARN"`
	StreamId   *string `k:"StreamId"`
}

type DescribeStreamSummaryOutput struct {
	StreamDescriptionSummary StreamDescriptionSummary
}

type StreamDescriptionSummary struct {
	StreamName                 string
	StreamARN                  string
	StreamId                   string `k:"omit"`
	StreamStatus               string
	StreamModeDetails          *StreamModeDetails `k:"omit"`
	RetentionPeriodHours       int
	StreamCreationTimestamp    Timestamp
	EnhancedMonitoring         []EnhancedMetrics
	EncryptionType             string `k:"omit"`
	KeyId                      string `k:"omit"`
	OpenShardCount             int
	ConsumerCount              *int                  `k:"omit"`
	ChannelCount               *int                  `k:"omit"`
	WarmThroughput             *WarmThroughputObject `k:"omit"`
	MaxRecordSizeInKiB         *int                  `k:"omit"`
	RecordDistributionStrategy string                `k:"omit"`
}

type WarmThroughputObject struct {
	TargetMiBps  *int `k:"omit"`
	CurrentMiBps *int `k:"omit"`
}

type ListStreamsInput struct {
	Limit                    *int    `k:"ListStreamsInputLimit"`
	ExclusiveStartStreamName *string `k:"StreamName"`
	NextToken                *string `k:"NextToken"`
}

type ListStreamsOutput struct {
	StreamNames     []string
	HasMoreStreams  bool
	NextToken       string          `k:"omit"`
	StreamSummaries []StreamSummary `k:"omit"`
}

type StreamSummary struct {
	StreamName              string
	StreamARN               string
	StreamStatus            string
	StreamModeDetails       *StreamModeDetails `k:"omit"`
	StreamCreationTimestamp Timestamp          `k:"omit"`
}

type IncreaseStreamRetentionPeriodInput struct {
	RetentionPeriodHours *int    `k:"required,RetentionPeriodHours"`
	StreamName           *string `k:"StreamName"`
	StreamARN            *string `k:"StreamARN"`
	StreamId             *string `k:"StreamId"`
}

type DecreaseStreamRetentionPeriodInput struct {
	RetentionPeriodHours *int    `k:"required,RetentionPeriodHours"`
	StreamName           *string `k:"StreamName"`
	StreamARN            *string `k:"StreamARN"`
	StreamId             *string `k:"StreamId"`
}

type UpdateStreamModeInput struct {
	StreamARN           *string            `k:"required,StreamARN"`
	StreamId            *string            `k:"StreamId"`
	StreamModeDetails   *StreamModeDetails `k:"required"`
	WarmThroughputMiBps *int               `k:"NaturalIntegerObject"`
}

type UpdateStreamWarmThroughputInput struct {
	WarmThroughputMiBps *int    `k:"required,NaturalIntegerObject"`
	StreamName          *string `k:"StreamName"`
	StreamARN           *string `k:"StreamARN"`
	StreamId            *string `k:"StreamId"`
}

type UpdateStreamWarmThroughputOutput struct {
	StreamARN      string                `k:"omit"`
	StreamName     string                `k:"omit"`
	WarmThroughput *WarmThroughputObject `k:"omit"`
}

type UpdateMaxRecordSizeInput struct {
	MaxRecordSizeInKiB *int    `k:"required,MaxRecordSizeInKiB"`
	StreamARN          *string `k:"StreamARN"`
	StreamId           *string `k:"StreamId"`
}

type UpdateStreamRecordDistributionStrategyInput struct {
	RecordDistributionStrategy *string `k:"required,RecordDistributionStrategy"`
	StreamARN                  *string `k:"required,StreamARN"`
	StreamId                   *string `k:"StreamId"`
}

type EnableEnhancedMonitoringInput struct {
	ShardLevelMetrics []string `k:"required,MetricsNameList"`
	StreamName        *string  `k:"StreamName"`
	StreamARN         *string  `k:"StreamARN"`
	StreamId          *string  `k:"StreamId"`
}

type DisableEnhancedMonitoringInput struct {
	ShardLevelMetrics []string `k:"required,MetricsNameList"`
	StreamName        *string  `k:"StreamName"`
	StreamARN         *string  `k:"StreamARN"`
	StreamId          *string  `k:"StreamId"`
}

// EnhancedMonitoringOutput answers both of EnableEnhancedMonitoring and DisableEnhancedMonitoring.
type EnhancedMonitoringOutput struct {
	StreamName               string   `k:"omit"`
	CurrentShardLevelMetrics []string // empty, not absent
	DesiredShardLevelMetrics []string
	StreamARN                string `k:"omit"`
}

type StartStreamEncryptionInput struct {
	EncryptionType *string `k:"required,EncryptionType"`
	KeyId          *string `k:"required,KeyId"`
	StreamName     *string `k:"StreamName"`
	StreamARN      *string `k:"StreamARN"`
	StreamId       *string `k:"StreamId"`
}

type StopStreamEncryptionInput struct {
	EncryptionType *string `k:"required,EncryptionType"`
	KeyId          *string `k:"required,KeyId"`
	StreamName     *string `k:"StreamName"`
	StreamARN      *string `k:"StreamARN"`
	StreamId       *string `k:"StreamId"`
}
