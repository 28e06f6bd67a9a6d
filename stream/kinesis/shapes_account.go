package kinesis

type AddTagsToStreamInput struct {
	Tags       map[string]string `k:"required,TagMap"`
	StreamName *string           `k:"StreamName"`
	StreamARN  *string           `k:"StreamARN"`
	StreamId   *string           `k:"StreamId"`
}

type RemoveTagsFromStreamInput struct {
	TagKeys    []string `k:"required,TagKeyList"`
	StreamName *string  `k:"StreamName"`
	StreamARN  *string  `k:"StreamARN"`
	StreamId   *string  `k:"StreamId"`
}

type ListTagsForStreamInput struct {
	Limit                *int    `k:"ListTagsForStreamInputLimit"`
	ExclusiveStartTagKey *string `k:"TagKey"`
	StreamName           *string `k:"StreamName"`
	StreamARN            *string `k:"StreamARN"`
	StreamId             *string `k:"StreamId"`
}

type ListTagsForStreamOutput struct {
	Tags        []Tag
	HasMoreTags bool
}

type Tag struct {
	Key   string
	Value string // written when it is empty, too
}

type TagResourceInput struct {
	Tags        map[string]string `k:"required,TagMap"`
	ResourceARN *string           `k:"required,ResourceARN"`
	StreamId    *string           `k:"StreamId"`
}

type UntagResourceInput struct {
	TagKeys     []string `k:"required,TagKeyList"`
	ResourceARN *string  `k:"required,ResourceARN"`
	StreamId    *string  `k:"StreamId"`
}

type ListTagsForResourceInput struct {
	ResourceARN *string `k:"required,ResourceARN"`
	StreamId    *string `k:"StreamId"`
}

type ListTagsForResourceOutput struct {
	Tags []Tag
}

type PutResourcePolicyInput struct {
	ResourceARN *string `k:"required,ResourceARN"`
	Policy      *string `k:"required"`
	StreamId    *string `k:"StreamId"`
}

type GetResourcePolicyInput struct {
	ResourceARN *string `k:"required,ResourceARN"`
	StreamId    *string `k:"StreamId"`
}

type GetResourcePolicyOutput struct {
	Policy string
}

type DeleteResourcePolicyInput struct {
	ResourceARN *string `k:"required,ResourceARN"`
	StreamId    *string `k:"StreamId"`
}

type DescribeLimitsInput struct{}

type DescribeLimitsOutput struct {
	ShardLimit               int
	OpenShardCount           int
	OnDemandStreamCount      int
	OnDemandStreamCountLimit int
	ChannelCount             *int `k:"omit"`
	ChannelCountLimit        *int `k:"omit"`
}

type DescribeAccountSettingsInput struct{}

type DescribeAccountSettingsOutput struct {
	MinimumThroughputBillingCommitment *BillingCommitment `k:"omit"`
}

type UpdateAccountSettingsInput struct {
	MinimumThroughputBillingCommitment *BillingCommitmentInput `k:"required"`
}

type UpdateAccountSettingsOutput struct {
	MinimumThroughputBillingCommitment *BillingCommitment `k:"omit"`
}

// BillingCommitmentInput is the model's MinimumThroughputBillingCommitmentInput.
type BillingCommitmentInput struct {
	Status *string `k:"required,MinimumThroughputBillingCommitmentInputStatus"`
}

// BillingCommitment is the model's MinimumThroughputBillingCommitmentOutput.
type BillingCommitment struct {
	Status               string
	StartedAt            Timestamp `k:"omit"`
	EndedAt              Timestamp `k:"omit"`
	EarliestAllowedEndAt Timestamp `k:"omit"`
}

// A ChannelInput is the input of every operation on channels: none of it is looked at.
type ChannelInput struct{}
