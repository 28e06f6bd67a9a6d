package kinesis_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// register registers a consumer and waits until it is ACTIVE.
func (s *sdkServer) register(t testing.TB, c *sdk.Client, arn *string, name string) *string {
	t.Helper()
	out, err := c.RegisterStreamConsumer(t.Context(), &sdk.RegisterStreamConsumerInput{StreamARN: arn, ConsumerName: &name, Tags: map[string]string{"made": "here"}})
	consumer := ok(t, out, err).Consumer.ConsumerARN
	for range 200 {
		d, err := c.DescribeStreamConsumer(t.Context(), &sdk.DescribeStreamConsumerInput{ConsumerARN: consumer})
		if ok(t, d, err).ConsumerDescription.ConsumerStatus == types.ConsumerStatusActive {
			return consumer
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("consumer %s does not become ACTIVE", name)
	return nil
}

func testSDKConsumers(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx, name := t.Context(), s.make(t, c, "consumers", 1)
	arn := s.summary(t, c, name).StreamARN
	first := s.register(t, c, arn, "first")
	if !strings.HasPrefix(*first, *arn+"/consumer/first:") {
		t.Errorf("got the ARN %s", *first)
	}
	_, err := c.RegisterStreamConsumer(ctx, &sdk.RegisterStreamConsumerInput{StreamARN: arn, ConsumerName: aws.String("first")})
	wantError[*types.ResourceInUseException](t, err, "")
	s.register(t, c, arn, "second")
	s.register(t, c, arn, "third")
	var names []string
	pages := sdk.NewListStreamConsumersPaginator(c, &sdk.ListStreamConsumersInput{StreamARN: arn, MaxResults: aws.Int32(2)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		for _, consumer := range ok(t, out, err).Consumers {
			names = append(names, *consumer.ConsumerName)
		}
	}
	equal(t, "consumers", len(names), 3)
	d, err := c.DescribeStreamConsumer(ctx, &sdk.DescribeStreamConsumerInput{StreamARN: arn, ConsumerName: aws.String("second")})
	equal(t, "stream of the consumer", *ok(t, d, err).ConsumerDescription.StreamARN, *arn)
	tags, err := c.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceARN: first})
	equal(t, "tags", *ok(t, tags, err).Tags[0].Value, "here")
	equal(t, "consumers in the summary", *s.summary(t, c, name).ConsumerCount, 3)

	_, err = c.DeleteStream(ctx, &sdk.DeleteStreamInput{StreamName: name})
	wantError[*types.ResourceInUseException](t, err, "")
	_, err = c.DeregisterStreamConsumer(ctx, &sdk.DeregisterStreamConsumerInput{ConsumerARN: first})
	ok(t, 0, err)
	_, err = c.DeregisterStreamConsumer(ctx, &sdk.DeregisterStreamConsumerInput{StreamARN: arn, ConsumerName: aws.String("second")})
	ok(t, 0, err)
	time.Sleep(2 * sdkSettle)
	_, err = c.DescribeStreamConsumer(ctx, &sdk.DescribeStreamConsumerInput{ConsumerARN: first})
	wantError[*types.ResourceNotFoundException](t, err, "")
	_, err = c.DeleteStream(ctx, &sdk.DeleteStreamInput{StreamName: name, EnforceConsumerDeletion: aws.Bool(true)})
	ok(t, 0, err)
}

// A sdkSubscription is the SDK's reader of events.
type sdkSubscription struct {
	t      testing.TB
	stream *sdk.SubscribeToShardEventStream
	last   *types.SubscribeToShardEvent
}

func (s *sdkServer) subscribe(t testing.TB, c *sdk.Client, consumer *string, shard int, from types.StartingPosition) *sdkSubscription {
	t.Helper()
	out, err := c.SubscribeToShard(t.Context(), &sdk.SubscribeToShardInput{ConsumerARN: consumer, ShardId: sdkShard(shard), StartingPosition: &from})
	return &sdkSubscription{t: t, stream: ok(t, out, err).GetStream()}
}

// next returns the data of so many records, event by event.
func (sub *sdkSubscription) next(n int) (data []string) {
	sub.t.Helper()
	timeout := time.After(10 * time.Second)
	for len(data) < n {
		select {
		case event, open := <-sub.stream.Events():
			if !open {
				sub.t.Fatalf("the subscription ended after %d records of %d: %v", len(data), n, sub.stream.Err())
			}
			e, is := event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent)
			if !is {
				sub.t.Fatalf("got a %T", event)
			}
			sub.last = &e.Value
			for _, r := range e.Value.Records {
				data = append(data, string(r.Data))
			}
		case <-timeout:
			sub.t.Fatalf("got %d records in 10 s, want %d", len(data), n)
		}
	}
	return data
}

func testSDKSubscribe(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx, name := t.Context(), s.make(t, c, "subscribe", 1)
	consumer := s.register(t, c, s.summary(t, c, name).StreamARN, "push")
	s.putN(t, c, name, 5)
	sub := s.subscribe(t, c, consumer, 0, types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon})
	equal(t, "records that were there", fmt.Sprint(sub.next(5)), "[0 1 2 3 4]")
	began := time.Now()
	s.putN(t, c, name, 3)
	equal(t, "records that came", fmt.Sprint(sub.next(3)), "[0 1 2]")
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("a record took %v to the subscriber", d)
	}
	from := sub.last.ContinuationSequenceNumber
	_, err := c.SubscribeToShard(ctx, &sdk.SubscribeToShardInput{ConsumerARN: consumer, ShardId: sdkShard(0), StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest}})
	wantError[*types.ResourceInUseException](t, err, "")
	if err := sub.stream.Close(); err != nil {
		t.Error(err)
	}

	// A subscriber goes on where it was, once the server has seen that it left.
	s.putN(t, c, name, 2)
	var again *sdkSubscription
	for try := range 100 {
		out, err := c.SubscribeToShard(ctx, &sdk.SubscribeToShardInput{ConsumerARN: consumer, ShardId: sdkShard(0), StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeAfterSequenceNumber, SequenceNumber: from}})
		if err == nil {
			again = &sdkSubscription{t: t, stream: out.GetStream()}
			break
		}
		if try == 99 {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	equal(t, "records after the continuation", fmt.Sprint(again.next(2)), "[0 1]")

	// A split ends it, and names the children.
	_, err = c.SplitShard(ctx, &sdk.SplitShardInput{StreamName: name, ShardToSplit: sdkShard(0), NewStartingHashKey: aws.String("1000")})
	ok(t, 0, err)
	timeout, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var last *types.SubscribeToShardEvent
	for open := true; open; {
		select {
		case event, more := <-again.stream.Events():
			if open = more; more {
				last = &event.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
			}
		case <-timeout.Done():
			t.Fatal("the subscription of a closed shard does not end")
		}
	}
	if err := again.stream.Err(); err != nil {
		t.Error(err)
	}
	if last == nil || len(last.ChildShards) != 2 || last.ContinuationSequenceNumber != nil {
		t.Errorf("got the last event %+v", last)
	}

	_, err = c.SubscribeToShard(ctx, &sdk.SubscribeToShardInput{ConsumerARN: aws.String(*consumer + "0"), ShardId: sdkShard(0), StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest}})
	wantError[*types.ResourceNotFoundException](t, err, "")
	_, err = c.SubscribeToShard(ctx, &sdk.SubscribeToShardInput{ConsumerARN: consumer, ShardId: sdkShard(9), StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeLatest}})
	wantError[*types.ResourceNotFoundException](t, err, "")
}
