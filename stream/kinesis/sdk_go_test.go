package kinesis_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"freshet/stream/kinesis"
	"freshet/stream/kv"
	"freshet/stream/vfs"
)

// serveSDK serves a rig on loopback and returns a client of the AWS SDK that signs with
// a secret.
func serveSDK(t *testing.T, secret string) *sdk.Client {
	t.Helper()
	r := newRig(t, vfs.NewMem(), kv.NewMem(), func(o *kinesis.Options) {
		o.AuthOff, o.Keys, o.Settle = false, []kinesis.AccessKey{{ID: "AKID", Secret: "right"}}, 20*time.Millisecond
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := kinesis.Server(r.handler)
	done := make(chan struct{})
	go func() { defer close(done); server.Serve(listener) }()
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		server.Close()
		<-done
	})
	return sdk.New(sdk.Options{
		Region: "us-east-1", BaseEndpoint: aws.String("http://" + listener.Addr().String()),
		Credentials: credentials.NewStaticCredentialsProvider("AKID", secret, ""),
		HTTPClient:  &http.Client{Transport: transport}, RetryMaxAttempts: 1,
	})
}

// TestSDK walks the life of a stream with the AWS SDK for Go: it is made, written,
// split while it is read to the end of the closed shard, subscribed to and deleted.
func TestSDK(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	c := serveSDK(t, "right")
	name := aws.String("orders")
	_, err := c.CreateStream(ctx, &sdk.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(1)})
	must(t, err)
	must(t, sdk.NewStreamExistsWaiter(c, func(o *sdk.StreamExistsWaiterOptions) { o.MinDelay = 20 * time.Millisecond }).
		Wait(ctx, &sdk.DescribeStreamInput{StreamName: name}, 10*time.Second))

	put, err := c.PutRecord(ctx, &sdk.PutRecordInput{StreamName: name, PartitionKey: aws.String("a"), Data: []byte("first")})
	must(t, err)
	_, err = c.PutRecords(ctx, &sdk.PutRecordsInput{StreamName: name, Records: []types.PutRecordsRequestEntry{
		{PartitionKey: aws.String("a"), Data: []byte("second")}, {PartitionKey: aws.String("b"), Data: []byte{0, 255}},
	}})
	must(t, err)
	_, err = c.SplitShard(ctx, &sdk.SplitShardInput{StreamName: name, ShardToSplit: put.ShardId, NewStartingHashKey: aws.String("170141183460469231731687303715884105728")})
	must(t, err)
	var shards *sdk.ListShardsOutput
	for shards == nil || len(shards.Shards) < 3 {
		time.Sleep(10 * time.Millisecond)
		shards, err = c.ListShards(ctx, &sdk.ListShardsInput{StreamName: name})
		must(t, err)
	}
	if shards.Shards[0].SequenceNumberRange.EndingSequenceNumber == nil || *shards.Shards[1].ParentShardId != *put.ShardId {
		t.Errorf("after the split: got %+v", shards.Shards)
	}

	it, err := c.GetShardIterator(ctx, &sdk.GetShardIteratorInput{StreamName: name, ShardId: put.ShardId,
		ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: put.SequenceNumber})
	must(t, err)
	if n := len(*it.ShardIterator); n < 152 {
		t.Errorf("an iterator of %d characters", n)
	}
	got, err := c.GetRecords(ctx, &sdk.GetRecordsInput{ShardIterator: it.ShardIterator})
	must(t, err)
	if len(got.Records) != 3 || string(got.Records[1].Data) != "second" || *got.Records[0].SequenceNumber != *put.SequenceNumber ||
		got.NextShardIterator != nil || len(got.ChildShards) != 2 || time.Since(*got.Records[0].ApproximateArrivalTimestamp) > time.Minute {
		t.Errorf("the closed shard: got %+v", got)
	}
	subscribe(ctx, t, c, name, shards.Shards[0].ShardId)

	var missing *types.ResourceNotFoundException
	if _, err := c.DescribeStreamSummary(ctx, &sdk.DescribeStreamSummaryInput{StreamName: aws.String("none")}); !errors.As(err, &missing) {
		t.Errorf("a stream that is not there: got %v", err)
	}
	_, err = c.DeleteStream(ctx, &sdk.DeleteStreamInput{StreamName: name, EnforceConsumerDeletion: aws.Bool(true)})
	must(t, err)
	must(t, sdk.NewStreamNotExistsWaiter(c, func(o *sdk.StreamNotExistsWaiterOptions) { o.MinDelay = 20 * time.Millisecond }).
		Wait(ctx, &sdk.DescribeStreamInput{StreamName: name}, 10*time.Second))
}

// subscribe reads a closed shard through a consumer.
func subscribe(ctx context.Context, t *testing.T, c *sdk.Client, name, shard *string) {
	t.Helper()
	about, err := c.DescribeStreamSummary(ctx, &sdk.DescribeStreamSummaryInput{StreamName: name})
	must(t, err)
	consumer, err := c.RegisterStreamConsumer(ctx, &sdk.RegisterStreamConsumerInput{StreamARN: about.StreamDescriptionSummary.StreamARN, ConsumerName: aws.String("reader")})
	must(t, err)
	for {
		d, err := c.DescribeStreamConsumer(ctx, &sdk.DescribeStreamConsumerInput{ConsumerARN: consumer.Consumer.ConsumerARN})
		must(t, err)
		if d.ConsumerDescription.ConsumerStatus == types.ConsumerStatusActive {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	out, err := c.SubscribeToShard(ctx, &sdk.SubscribeToShardInput{ConsumerARN: consumer.Consumer.ConsumerARN, ShardId: shard,
		StartingPosition: &types.StartingPosition{Type: types.ShardIteratorTypeTrimHorizon}})
	must(t, err)
	defer out.GetStream().Close()
	var data []string
	var last types.SubscribeToShardEvent
	for e := range out.GetStream().Events() {
		last = e.(*types.SubscribeToShardEventStreamMemberSubscribeToShardEvent).Value
		for _, r := range last.Records {
			data = append(data, string(r.Data))
		}
	}
	must(t, out.GetStream().Err())
	if !slices.Equal(data, []string{"first", "second", "\x00\xff"}) || len(last.ChildShards) != 2 {
		t.Errorf("pushed: got %q, then children %+v", data, last.ChildShards)
	}
}

// TestSignature has the SDK's own signer sign with the right secret and with another.
func TestSignature(t *testing.T) {
	ctx := context.Background()
	if _, err := serveSDK(t, "right").ListStreams(ctx, &sdk.ListStreamsInput{}); err != nil {
		t.Errorf("signed with the secret: got %v", err)
	}
	_, err := serveSDK(t, "wrong").ListStreams(ctx, &sdk.ListStreamsInput{})
	var coded interface{ ErrorCode() string }
	if !errors.As(err, &coded) || coded.ErrorCode() != "InvalidSignatureException" {
		t.Errorf("signed with another secret: got %v", err)
	}
}

// TestOrderOfAKeyOverReshards writes one key while its shard is split and merged, and
// reads parents before children.
func TestOrderOfAKeyOverReshards(t *testing.T) {
	r := newRig(t, vfs.NewMem(), kv.NewMem())
	r.create("s", 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 300 {
			r.ok("PutRecord", object{"StreamName": "s", "PartitionKey": "k", "Data": []byte(fmt.Sprint(i))})
		}
	}()
	s, _ := r.log.Stream("s")
	ctx := context.Background()
	for range 5 {
		open := s.OpenShards()
		_, last := open[0].Range()
		children, err := s.Split(ctx, open[0].ID(), last)
		must(t, err)
		_, err = s.Merge(ctx, children[0].ID(), children[1].ID())
		must(t, err)
	}
	<-done
	var got []string
	for _, shard := range s.Shards() {
		reader := shard.Reader(0)
		for reader.Offset() < shard.Durable() {
			records, err := reader.Next(ctx, 0)
			must(t, err)
			for _, rec := range records {
				got = append(got, string(rec.Data))
			}
		}
		reader.Close()
	}
	for i, data := range got {
		if data != fmt.Sprint(i) {
			t.Fatalf("record %d is %s", i, data)
		}
	}
	if len(got) != 300 {
		t.Errorf("got %d records, want 300", len(got))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
