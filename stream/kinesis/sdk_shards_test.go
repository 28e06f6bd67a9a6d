package kinesis_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

// list lists all shards that a filter lets through, three a page.
func (s *sdkServer) list(t testing.TB, c *sdk.Client, name *string, filter *types.ShardFilter) (shards []types.Shard) {
	t.Helper()
	in := &sdk.ListShardsInput{StreamName: name, MaxResults: aws.Int32(3), ShardFilter: filter}
	for {
		out, err := c.ListShards(t.Context(), in)
		shards = append(shards, ok(t, out, err).Shards...)
		if out.NextToken == nil {
			return shards
		}
		if len(out.Shards) != 3 {
			t.Errorf("got a page of %d shards", len(out.Shards))
		}
		in = &sdk.ListShardsInput{NextToken: out.NextToken, MaxResults: aws.Int32(3)}
	}
}

func sdkIDs(shards []types.Shard) string {
	var out []string
	for _, shard := range shards {
		out = append(out, strings.TrimLeft(strings.TrimPrefix(*shard.ShardId, "shardId-"), "0")+".")
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func testSDKShards(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx, name := t.Context(), s.make(t, c, "shards", 1)
	s.putN(t, c, name, 20)
	half := aws.String("170141183460469231731687303715884105728")
	_, err := c.SplitShard(ctx, &sdk.SplitShardInput{StreamName: name, ShardToSplit: sdkShard(0), NewStartingHashKey: half})
	ok(t, 0, err)
	equal(t, "status", s.summary(t, c, name).StreamStatus, types.StreamStatusUpdating)
	_, err = c.SplitShard(ctx, &sdk.SplitShardInput{StreamName: name, ShardToSplit: sdkShard(0), NewStartingHashKey: half})
	wantError[*types.ResourceInUseException](t, err, "")
	s.putN(t, c, name, 20) // writes go on
	s.settle(t, c, *name)
	s.putN(t, c, name, 20)
	shards := s.list(t, c, name, nil)
	equal(t, "shards", sdkIDs(shards), ". 1. 2.")
	if shards[0].SequenceNumberRange.EndingSequenceNumber == nil || *shards[1].ParentShardId != *sdkShard(0) || shards[1].AdjacentParentShardId != nil || *shards[2].HashKeyRange.StartingHashKey != *half {
		t.Errorf("got %+v", shards)
	}
	_, err = c.SplitShard(ctx, &sdk.SplitShardInput{StreamName: name, ShardToSplit: sdkShard(0), NewStartingHashKey: half})
	wantError[*types.InvalidArgumentException](t, err, "")

	_, err = c.MergeShards(ctx, &sdk.MergeShardsInput{StreamName: name, ShardToMerge: sdkShard(1), AdjacentShardToMerge: sdkShard(2)})
	ok(t, 0, err)
	s.settle(t, c, *name)
	s.putN(t, c, name, 20)
	merged := s.list(t, c, name, nil)[3]
	if *merged.ParentShardId != *sdkShard(1) || *merged.AdjacentParentShardId != *sdkShard(2) {
		t.Errorf("got %+v", merged)
	}
	got := s.follow(t, c, name)
	if len(got) != 80 {
		t.Errorf("got %d records from parents to children, want 80", len(got))
	}
	last := make(map[string]string)
	for _, r := range got {
		if before := last[*r.PartitionKey]; before >= *r.SequenceNumber {
			t.Errorf("%s: %s comes after %s", *r.PartitionKey, *r.SequenceNumber, before)
		}
		last[*r.PartitionKey] = *r.SequenceNumber
	}
}

// follow reads a stream as consumers do: each shard to its end, then its children, once
// each, until the open shards have no more.
func (s *sdkServer) follow(t testing.TB, c *sdk.Client, name *string) (records []types.Record) {
	t.Helper()
	var next []string
	done := make(map[string]bool)
	for _, shard := range s.list(t, c, name, &types.ShardFilter{Type: types.ShardFilterTypeAtTrimHorizon}) {
		next = append(next, *shard.ShardId)
	}
	for len(next) > 0 {
		id := next[0]
		next = next[1:]
		it, err := c.GetShardIterator(t.Context(), &sdk.GetShardIteratorInput{StreamName: name, ShardId: &id, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		at := ok(t, it, err).ShardIterator
		for at != nil {
			out, err := c.GetRecords(t.Context(), &sdk.GetRecordsInput{ShardIterator: at, Limit: aws.Int32(7)})
			records = append(records, ok(t, out, err).Records...)
			at = out.NextShardIterator
			if at == nil {
				done[id] = true
				for _, child := range out.ChildShards {
					ready := !slices.Contains(next, *child.ShardId) && !done[*child.ShardId]
					for _, parent := range child.ParentShards {
						ready = ready && done[parent]
					}
					if ready {
						next = append(next, *child.ShardId)
					}
				}
			}
			if len(out.Records) == 0 && *out.MillisBehindLatest == 0 {
				break
			}
		}
	}
	return records
}

func testSDKShardFilters(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx, name := t.Context(), s.make(t, c, "filters", 2)
	time.Sleep(5 * time.Millisecond)
	before := time.Now()
	time.Sleep(1100 * time.Millisecond) // shards are made and closed at a second
	_, err := c.SplitShard(ctx, &sdk.SplitShardInput{StreamName: name, ShardToSplit: sdkShard(0), NewStartingHashKey: aws.String("1000")})
	ok(t, 0, err)
	s.settle(t, c, *name)
	for _, filter := range []struct {
		filter types.ShardFilter
		want   string
	}{
		{types.ShardFilter{Type: types.ShardFilterTypeAtTrimHorizon}, ". 1."},
		{types.ShardFilter{Type: types.ShardFilterTypeFromTrimHorizon}, ". 1. 2. 3."},
		{types.ShardFilter{Type: types.ShardFilterTypeAtLatest}, "1. 2. 3."},
		{types.ShardFilter{Type: types.ShardFilterTypeAtTimestamp, Timestamp: &before}, ". 1."},
		{types.ShardFilter{Type: types.ShardFilterTypeFromTimestamp, Timestamp: &before}, ". 1. 2. 3."},
		{types.ShardFilter{Type: types.ShardFilterTypeAfterShardId, ShardId: sdkShard(1)}, "2. 3."},
	} {
		equal(t, string(filter.filter.Type), sdkIDs(s.list(t, c, name, &filter.filter)), filter.want)
	}
	out, err := c.ListShards(ctx, &sdk.ListShardsInput{StreamName: name, ExclusiveStartShardId: sdkShard(2)})
	equal(t, "after shard 2", sdkIDs(ok(t, out, err).Shards), "3.")
	_, err = c.ListShards(ctx, &sdk.ListShardsInput{NextToken: aws.String("no token")})
	wantError[*types.InvalidArgumentException](t, err, "")
	_, err = c.ListShards(ctx, &sdk.ListShardsInput{StreamName: name, NextToken: aws.String("dG9rZW4=")})
	wantError[*types.InvalidArgumentException](t, err, "")
}

func testSDKUpdateShardCount(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx, name := t.Context(), s.make(t, c, "scaling", 2)
	put := 0
	for _, target := range []int32{4, 3, 6} {
		s.putN(t, c, name, 20)
		out, err := c.UpdateShardCount(ctx, &sdk.UpdateShardCountInput{StreamName: name, TargetShardCount: &target, ScalingType: types.ScalingTypeUniformScaling})
		ok(t, out, err)
		equal(t, "target", *out.TargetShardCount, target)
		s.putN(t, c, name, 20)
		put += 40
		s.settle(t, c, *name)
		equal(t, "open shards", *s.summary(t, c, name).OpenShardCount, target)
	}
	_, err := c.UpdateShardCount(ctx, &sdk.UpdateShardCountInput{StreamName: name, TargetShardCount: aws.Int32(100), ScalingType: types.ScalingTypeUniformScaling})
	var limit *types.LimitExceededException
	var argument *types.InvalidArgumentException
	if !errors.As(err, &limit) && !errors.As(err, &argument) {
		t.Errorf("more than twice as many shards: got %v", err)
	}
	equal(t, "records", fmt.Sprint(len(s.follow(t, c, name))), fmt.Sprint(put))
}
