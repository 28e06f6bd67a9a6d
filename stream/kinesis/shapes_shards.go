package kinesis

// ShardDescription is the model's Shard.
type ShardDescription struct {
	ShardId               string
	ParentShardId         string `k:"omit"`
	AdjacentParentShardId string `k:"omit"`
	HashKeyRange          HashKeyRange
	SequenceNumberRange   SequenceNumberRange
}

type HashKeyRange struct {
	StartingHashKey string
	EndingHashKey   string
}

type SequenceNumberRange struct {
	StartingSequenceNumber string
	EndingSequenceNumber   string `k:"omit"`
}

// ChildShard names a shard that goes on where a closed one ends.
type ChildShard struct {
	ShardId      string
	ParentShards []string
	HashKeyRange HashKeyRange
}

type ListShardsInput struct {
	ExclusiveStartShardId   *string `k:"ShardId"`
	MaxResults              *int    `k:"ListShardsInputLimit"`
	NextToken               *string `k:"NextToken"`
	StreamCreationTimestamp *Timestamp
	StreamName              *string      `k:"StreamName"`
	ShardFilter             *ShardFilter `k:""`
	StreamARN               *string      `k:"StreamARN"`
	StreamId                *string      `k:"StreamId"`
}

type ShardFilter struct {
	Type      *string `k:"required,ShardFilterType"`
	ShardId   *string `k:"ShardId"`
	Timestamp *Timestamp
}

type ListShardsOutput struct {
	Shards    []ShardDescription
	NextToken string `k:"omit"`
}

type SplitShardInput struct {
	NewStartingHashKey *string `k:"required,HashKey"`
	StreamName         *string `k:"StreamName"`
	ShardToSplit       *string `k:"required,ShardId"`
	StreamARN          *string `k:"StreamARN"`
	StreamId           *string `k:"StreamId"`
}

type MergeShardsInput struct {
	ShardToMerge         *string `k:"required,ShardId"`
	AdjacentShardToMerge *string `k:"required,ShardId"`
	StreamName           *string `k:"StreamName"`
	StreamARN            *string `k:"StreamARN"`
	StreamId             *string `k:"StreamId"`
}

type UpdateShardCountInput struct {
	StreamName       *string `k:"StreamName"`
	TargetShardCount *int    `k:"required,PositiveIntegerObject"`
	ScalingType      *string `k:"required,ScalingType"`
	StreamARN        *string `k:"StreamARN"`
	StreamId         *string `k:"StreamId"`
}

type UpdateShardCountOutput struct {
	StreamName        string `k:"omit"`
	CurrentShardCount *int   `k:"omit"`
	TargetShardCount  *int   `k:"omit"`
	StreamARN         string `k:"omit"`
}
