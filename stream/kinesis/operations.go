package kinesis

import (
	"context"
	"reflect"
)

// An operation is one of the API: how its input is read, what runs, how its output is written.
type operation struct {
	name   string
	input  *shape
	output *shape // nil: the answer's body is empty
	run    func(s *Service, ctx context.Context, in any) (any, error)
	// subscribe runs in place of run where the answer is a stream of events.
	subscribe func(s *Service, ctx context.Context, in any, events *eventWriter) error

	// The hooks below may be nil: they do for JSON what the shapes do for every format,
	// without an allocation a record.

	// decodeJSON reads a body. ok is false when it is not sure of it: then the general
	// decoder reads it again, and finds the error if there is one.
	decodeJSON func(body []byte) (in any, ok bool)
	// valid says that an input satisfies every constraint; false means that the general
	// validation has to look.
	valid func(in any) bool
	// appendJSON writes an output.
	appendJSON func(dst []byte, out any) []byte
}

// void is the output of an operation that answers with an empty body.
type void struct{}

// op makes an operation of a method.
func op[In, Out any](name string, method func(*Service, context.Context, *In) (*Out, error)) *operation {
	o := &operation{name: name, input: shapeOf(reflect.TypeFor[In]())}
	if reflect.TypeFor[Out]() != reflect.TypeFor[void]() {
		o.output = shapeOf(reflect.TypeFor[Out]())
	}
	o.run = func(s *Service, ctx context.Context, in any) (any, error) { return method(s, ctx, in.(*In)) }
	return o
}

func subscription(name string, method func(*Service, context.Context, *SubscribeToShardInput, *eventWriter) error) *operation {
	return &operation{
		name: name, input: shapeOf(reflect.TypeFor[SubscribeToShardInput]()),
		subscribe: func(s *Service, ctx context.Context, in any, events *eventWriter) error {
			return method(s, ctx, in.(*SubscribeToShardInput), events)
		},
	}
}

// operations is the table of the API by name.
func operations() map[string]*operation {
	table := map[string]*operation{}
	free, rules := &batches{}, newPutRules()
	for _, o := range []*operation{
		// Streams.
		op("CreateStream", (*Service).createStream),
		op("DeleteStream", (*Service).deleteStream),
		op("DescribeStream", (*Service).describeStream),
		op("DescribeStreamSummary", (*Service).describeStreamSummary),
		op("ListStreams", (*Service).listStreams),
		op("IncreaseStreamRetentionPeriod", (*Service).increaseStreamRetentionPeriod),
		op("DecreaseStreamRetentionPeriod", (*Service).decreaseStreamRetentionPeriod),
		op("UpdateStreamMode", (*Service).updateStreamMode),
		op("UpdateStreamWarmThroughput", (*Service).updateStreamWarmThroughput),
		op("UpdateMaxRecordSize", (*Service).updateMaxRecordSize),
		op("UpdateStreamRecordDistributionStrategy", (*Service).updateStreamRecordDistributionStrategy),
		op("EnableEnhancedMonitoring", (*Service).enableEnhancedMonitoring),
		op("DisableEnhancedMonitoring", (*Service).disableEnhancedMonitoring),
		op("StartStreamEncryption", (*Service).startStreamEncryption),
		op("StopStreamEncryption", (*Service).stopStreamEncryption),
		// Shards.
		op("ListShards", (*Service).listShards),
		op("SplitShard", (*Service).splitShard),
		op("MergeShards", (*Service).mergeShards),
		op("UpdateShardCount", (*Service).updateShardCount),
		// Records.
		fastPut(op("PutRecord", (*Service).putRecord), free, rules, true),
		fastPut(op("PutRecords", (*Service).putRecords), free, rules, false),
		op("GetShardIterator", (*Service).getShardIterator),
		fastGet(op("GetRecords", (*Service).getRecords)),
		subscription("SubscribeToShard", (*Service).subscribeToShard),
		// Consumers.
		op("RegisterStreamConsumer", (*Service).registerStreamConsumer),
		op("DeregisterStreamConsumer", (*Service).deregisterStreamConsumer),
		op("DescribeStreamConsumer", (*Service).describeStreamConsumer),
		op("ListStreamConsumers", (*Service).listStreamConsumers),
		// Tags, policies, the account.
		op("AddTagsToStream", (*Service).addTagsToStream),
		op("RemoveTagsFromStream", (*Service).removeTagsFromStream),
		op("ListTagsForStream", (*Service).listTagsForStream),
		op("TagResource", (*Service).tagResource),
		op("UntagResource", (*Service).untagResource),
		op("ListTagsForResource", (*Service).listTagsForResource),
		op("PutResourcePolicy", (*Service).putResourcePolicy),
		op("GetResourcePolicy", (*Service).getResourcePolicy),
		op("DeleteResourcePolicy", (*Service).deleteResourcePolicy),
		op("DescribeLimits", (*Service).describeLimits),
		op("DescribeAccountSettings", (*Service).describeAccountSettings),
		op("UpdateAccountSettings", (*Service).updateAccountSettings),
		// Channels.
		op("CreateChannel", (*Service).channel),
		op("DeleteChannel", (*Service).channel),
		op("DescribeChannel", (*Service).channel),
		op("ListChannels", (*Service).channel),
		op("UpdateChannel", (*Service).channel),
	} {
		table[o.name] = o
	}
	return table
}

// channel answers what an account gets that has no channels.
func (s *Service) channel(context.Context, *ChannelInput) (*void, error) {
	return nil, accessDenied("Channel operations are not available for account %s in region %s.", s.options.Account, s.options.Region)
}
