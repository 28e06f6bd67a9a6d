package kinesis

import "time"

// A Timestamp is a moment in epoch milliseconds. JSON carries it as seconds with a
// fraction, CBOR as milliseconds under tag 1.
type Timestamp int64

// Time is the moment as a time.
func (t Timestamp) Time() time.Time { return time.UnixMilli(int64(t)) }

// timestamp is a moment, cut to the millisecond.
func timestamp(t time.Time) Timestamp { return Timestamp(t.UnixMilli()) }

type PutRecordInput struct {
	SequenceNumberForOrdering *string `k:"SequenceNumber"`
	PartitionKey              *string `k:"expected,PartitionKey"` // required unless the stream distributes its records itself
	ExplicitHashKey           *string `k:"HashKey"`
	Data                      []byte  `k:"required,Data"`
	StreamName                *string `k:"StreamName"`
	StreamARN                 *string `k:"StreamARN"`
	StreamId                  *string `k:"StreamId"`
	DryRun                    *bool
}

type PutRecordOutput struct {
	ShardId        string
	SequenceNumber string
	EncryptionType string `k:"omit"`
}

type PutRecordsInput struct {
	Records    []PutRecordsRequestEntry `k:"required,PutRecordsRequestEntryList"`
	StreamName *string                  `k:"StreamName"`
	StreamARN  *string                  `k:"StreamARN"`
	StreamId   *string                  `k:"StreamId"`
	DryRun     *bool
}

type PutRecordsRequestEntry struct {
	PartitionKey    *string `k:"expected,PartitionKey"` // required unless the stream distributes its records itself
	ExplicitHashKey *string `k:"HashKey"`
	Data            []byte  `k:"required,Data"`
}

type PutRecordsOutput struct {
	FailedRecordCount int
	Records           []PutRecordsResultEntry
	EncryptionType    string `k:"omit"`
}

// A PutRecordsResultEntry has either a sequence number and a shard or an error.
type PutRecordsResultEntry struct {
	SequenceNumber string `k:"omit"`
	ShardId        string `k:"omit"`
	ErrorCode      string `k:"omit"`
	ErrorMessage   string `k:"omit"`
}

type GetShardIteratorInput struct {
	ShardId                *string `k:"required,ShardId"`
	ShardIteratorType      *string `k:"required,ShardIteratorType"`
	StartingSequenceNumber *string `k:"SequenceNumber"`
	StreamName             *string `k:"StreamName"`
	Timestamp              *Timestamp
	StreamARN              *string `k:"StreamARN"`
	StreamId               *string `k:"StreamId"`
	DryRun                 *bool
}

type GetShardIteratorOutput struct {
	ShardIterator string
}

type GetRecordsInput struct {
	Limit         *int    `k:"GetRecordsInputLimit"`
	ShardIterator *string `k:"required,ShardIterator"`
	StreamARN     *string `k:"StreamARN"`
	StreamId      *string `k:"StreamId"`
	DryRun        *bool
}

type GetRecordsOutput struct {
	Records            []Record
	NextShardIterator  string       `k:"omit"` // absent at the end of a closed shard
	MillisBehindLatest *int64       `k:"omit"`
	ChildShards        []ChildShard `k:"omit"` // at the end of a closed shard
}

// A Record as GetRecords and SubscribeToShard deliver it.
type Record struct {
	SequenceNumber              string
	ApproximateArrivalTimestamp Timestamp `k:"omit"`
	Data                        []byte
	PartitionKey                string
	EncryptionType              string `k:"omit"`
}

type SubscribeToShardInput struct {
	ConsumerARN      *string           `k:"required,ConsumerARN"`
	ShardId          *string           `k:"required,ShardId"`
	StartingPosition *StartingPosition `k:"required"`
	StreamId         *string           `k:"StreamId"`
	DryRun           *bool
}

type StartingPosition struct {
	Type           *string `k:"required,ShardIteratorType"`
	SequenceNumber *string `k:"SequenceNumber"`
	Timestamp      *Timestamp
}

// SubscribeToShardEvent is one message of a subscription.
type SubscribeToShardEvent struct {
	Records                    []Record
	ContinuationSequenceNumber string `k:"omit"` // absent in the last event of a closed shard
	MillisBehindLatest         int64
	ChildShards                []ChildShard `k:"omit"` // in the last event of a closed shard
}
