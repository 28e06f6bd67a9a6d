package kinesis_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// read reads once from where an iterator of a type begins.
func (s *sdkServer) read(t testing.TB, c *sdk.Client, name *string, shard int, from types.ShardIteratorType) *sdk.GetRecordsOutput {
	t.Helper()
	it, err := c.GetShardIterator(t.Context(), &sdk.GetShardIteratorInput{StreamName: name, ShardId: sdkShard(shard), ShardIteratorType: from})
	out, err := c.GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: ok(t, it, err).ShardIterator})
	return ok(t, out, err)
}

// putN puts so many records and returns their sequence numbers.
func (s *sdkServer) putN(t testing.TB, c *sdk.Client, name *string, n int) (numbers []*string) {
	t.Helper()
	var records []types.PutRecordsRequestEntry
	for i := range n {
		records = append(records, types.PutRecordsRequestEntry{PartitionKey: aws.String(fmt.Sprint("key-", i)), Data: fmt.Append(nil, i)})
	}
	out, err := c.PutRecords(t.Context(), &sdk.PutRecordsInput{StreamName: name, Records: records})
	equal(t, "failed records", *ok(t, out, err).FailedRecordCount, 0)
	for _, r := range out.Records {
		numbers = append(numbers, r.SequenceNumber)
	}
	return numbers
}

func testSDKRecords(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx, name := t.Context(), s.make(t, c, "records", 2)
	var last *string
	for i := range 3 {
		out, err := c.PutRecord(ctx, &sdk.PutRecordInput{
			StreamName: name, PartitionKey: aws.String("größe"), ExplicitHashKey: aws.String("340282366920938463463374607431768211455"),
			Data: fmt.Append(nil, "record ", i), SequenceNumberForOrdering: last,
		})
		ok(t, out, err)
		equal(t, "shard", *out.ShardId, *sdkShard(1))
		if last != nil && *out.SequenceNumber <= *last {
			t.Errorf("sequence number %s does not come after %s", *out.SequenceNumber, *last)
		}
		last = out.SequenceNumber
	}
	out := s.read(t, c, name, 1, types.ShardIteratorTypeTrimHorizon)
	equal(t, "records", len(out.Records), 3)
	equal(t, "lag", *out.MillisBehindLatest, 0)
	r := out.Records[2]
	equal(t, "key", *r.PartitionKey, "größe")
	equal(t, "data", string(r.Data), "record 2")
	equal(t, "sequence number", *r.SequenceNumber, *last)
	if age := time.Since(*r.ApproximateArrivalTimestamp); age < -time.Second || age > time.Minute {
		t.Errorf("the record is %v old", age)
	}
	if out.NextShardIterator == nil || out.ChildShards != nil {
		t.Errorf("got %+v", out)
	}
	again, err := c.GetRecords(ctx, &sdk.GetRecordsInput{ShardIterator: out.NextShardIterator})
	equal(t, "records after the last", len(ok(t, again, err).Records), 0)

	// Requests as large as they may be.
	data := bytes.Repeat([]byte{0, 1, 2, 255}, 2500)
	records := make([]types.PutRecordsRequestEntry, 500)
	for i := range records {
		records[i] = types.PutRecordsRequestEntry{PartitionKey: aws.String("a"), ExplicitHashKey: aws.String("0"), Data: data}
	}
	many, err := c.PutRecords(ctx, &sdk.PutRecordsInput{StreamName: name, Records: records})
	equal(t, "failed records", *ok(t, many, err).FailedRecordCount, 0)
	equal(t, "answers", len(many.Records), 500)
	n, it := 0, ok(t, s.iterator(t, c, name, 0), nil)
	for n < 500 {
		page, err := c.GetRecords(ctx, &sdk.GetRecordsInput{ShardIterator: it, Limit: aws.Int32(200)})
		if ok(t, page, err); len(page.Records) == 0 || len(page.Records) > 200 || !bytes.Equal(page.Records[0].Data, data) {
			t.Fatalf("got %d records after %d", len(page.Records), n)
		}
		n += len(page.Records)
		it = page.NextShardIterator
	}
}

// iterator returns one at the start of a shard.
func (s *sdkServer) iterator(t testing.TB, c *sdk.Client, name *string, shard int) *string {
	t.Helper()
	it, err := c.GetShardIterator(t.Context(), &sdk.GetShardIteratorInput{StreamName: name, ShardId: sdkShard(shard), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
	return ok(t, it, err).ShardIterator
}

func testSDKIterators(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx, name := t.Context(), s.make(t, c, "iterators", 1)
	numbers := s.putN(t, c, name, 5)
	time.Sleep(20 * time.Millisecond)
	middle := time.Now()
	time.Sleep(20 * time.Millisecond)
	s.putN(t, c, name, 2)
	for _, from := range []struct {
		in   sdk.GetShardIteratorInput
		want string
	}{
		{sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeTrimHorizon}, "0 1 2 3 4 0 1"},
		{sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeLatest}, ""},
		{sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: numbers[3]}, "3 4 0 1"},
		{sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAfterSequenceNumber, StartingSequenceNumber: numbers[3]}, "4 0 1"},
		{sdk.GetShardIteratorInput{ShardIteratorType: types.ShardIteratorTypeAtTimestamp, Timestamp: &middle}, "0 1"},
	} {
		in := from.in
		in.StreamName, in.ShardId = name, sdkShard(0)
		it, err := c.GetShardIterator(ctx, &in)
		out, err := c.GetRecords(ctx, &sdk.GetRecordsInput{ShardIterator: ok(t, it, err).ShardIterator})
		var got []string
		for _, r := range ok(t, out, err).Records {
			got = append(got, string(r.Data))
		}
		equal(t, string(in.ShardIteratorType), strings.Join(got, " "), from.want)
	}
	latest, err := c.GetShardIterator(ctx, &sdk.GetShardIteratorInput{StreamName: name, ShardId: sdkShard(0), ShardIteratorType: types.ShardIteratorTypeLatest})
	ok(t, latest, err)
	s.putN(t, c, name, 1)
	out, err := c.GetRecords(ctx, &sdk.GetRecordsInput{ShardIterator: latest.ShardIterator})
	equal(t, "records after LATEST", len(ok(t, out, err).Records), 1)
	behind, err := c.GetRecords(ctx, &sdk.GetRecordsInput{ShardIterator: s.iterator(t, c, name, 0), Limit: aws.Int32(1)})
	if ok(t, behind, err); *behind.MillisBehindLatest <= 0 {
		t.Errorf("got a lag of %d ms with records left to read", *behind.MillisBehindLatest)
	}
}

func testSDKRefusals(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx, name := t.Context(), s.make(t, c, "refusals", 1)
	_, err := c.PutRecord(ctx, &sdk.PutRecordInput{StreamName: aws.String("nobody"), PartitionKey: aws.String("a"), Data: []byte("x")})
	wantError[*types.ResourceNotFoundException](t, err, "Stream nobody under account 000000000000 not found.")
	_, err = c.PutRecord(ctx, &sdk.PutRecordInput{StreamName: aws.String("bad name!"), PartitionKey: aws.String(strings.Repeat("k", 257)), Data: []byte("x")})
	wantError[*types.ValidationException](t, err, "2 validation errors detected")
	_, err = c.PutRecord(ctx, &sdk.PutRecordInput{StreamName: name, PartitionKey: aws.String("a"), Data: make([]byte, 1<<20+1)})
	if err == nil {
		t.Error("a record above the limit is taken")
	}
	_, err = c.PutRecord(ctx, &sdk.PutRecordInput{StreamName: name, PartitionKey: aws.String("a"), ExplicitHashKey: aws.String("340282366920938463463374607431768211456"), Data: []byte("x")})
	wantError[*types.InvalidArgumentException](t, err, "")
	_, err = c.PutRecords(ctx, &sdk.PutRecordsInput{StreamName: name, Records: make([]types.PutRecordsRequestEntry, 501)})
	if err == nil {
		t.Error("501 records are taken")
	}
	_, err = c.GetRecords(ctx, &sdk.GetRecordsInput{ShardIterator: aws.String("no iterator")})
	wantError[*types.InvalidArgumentException](t, err, "Invalid ShardIterator.")
	_, err = c.GetShardIterator(ctx, &sdk.GetShardIteratorInput{StreamName: name, ShardId: sdkShard(7), ShardIteratorType: types.ShardIteratorTypeLatest})
	wantError[*types.ResourceNotFoundException](t, err, "Shard shardId-000000000007 in stream refusals under account 000000000000 does not exist")
	_, err = c.GetShardIterator(ctx, &sdk.GetShardIteratorInput{StreamName: name, ShardId: sdkShard(0), ShardIteratorType: types.ShardIteratorTypeAtSequenceNumber, StartingSequenceNumber: aws.String("12")})
	wantError[*types.InvalidArgumentException](t, err, "")
	_, err = c.GetShardIterator(ctx, &sdk.GetShardIteratorInput{StreamName: name, ShardId: sdkShard(0), ShardIteratorType: "SIDEWAYS"})
	wantError[*types.ValidationException](t, err, "SIDEWAYS")
	_, err = c.DescribeStream(ctx, &sdk.DescribeStreamInput{})
	if err == nil {
		t.Error("no stream is named, and one described")
	}
}

func testSDKDryRun(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx, name := t.Context(), s.make(t, c, "dry-run", 1)
	_, err := c.PutRecord(ctx, &sdk.PutRecordInput{StreamName: name, PartitionKey: aws.String("a"), Data: []byte("x"), DryRun: aws.Bool(true)})
	wantError[*types.DryRunOperationException](t, err, "")
	_, err = c.PutRecords(ctx, &sdk.PutRecordsInput{StreamName: name, Records: []types.PutRecordsRequestEntry{{PartitionKey: aws.String("a"), Data: []byte("x")}}, DryRun: aws.Bool(true)})
	wantError[*types.DryRunOperationException](t, err, "")
	_, err = c.GetShardIterator(ctx, &sdk.GetShardIteratorInput{StreamName: name, ShardId: sdkShard(0), ShardIteratorType: types.ShardIteratorTypeLatest, DryRun: aws.Bool(true)})
	wantError[*types.DryRunOperationException](t, err, "")
	_, err = c.GetRecords(ctx, &sdk.GetRecordsInput{ShardIterator: s.iterator(t, c, name, 0), DryRun: aws.Bool(true)})
	wantError[*types.DryRunOperationException](t, err, "")
	_, err = c.PutRecord(ctx, &sdk.PutRecordInput{StreamName: aws.String("nobody"), PartitionKey: aws.String("a"), Data: []byte("x"), DryRun: aws.Bool(true)})
	wantError[*types.ResourceNotFoundException](t, err, "")
	equal(t, "records", len(s.read(t, c, name, 0, types.ShardIteratorTypeTrimHorizon).Records), 0)
}
