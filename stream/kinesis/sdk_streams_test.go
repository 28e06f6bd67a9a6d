package kinesis_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func testSDKStreams(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx, name := t.Context(), aws.String("streams")
	_, err := c.DescribeStream(ctx, &sdk.DescribeStreamInput{StreamName: name})
	wantError[*types.ResourceNotFoundException](t, err, "Stream streams under account 000000000000 not found.")
	_, err = c.CreateStream(ctx, &sdk.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(3), Tags: map[string]string{"team": "one"}})
	ok(t, 0, err)
	equal(t, "status at once", s.summary(t, c, name).StreamStatus, types.StreamStatusCreating)
	_, err = c.CreateStream(ctx, &sdk.CreateStreamInput{StreamName: name, ShardCount: aws.Int32(1)})
	wantError[*types.ResourceInUseException](t, err, "Stream streams under account 000000000000 already exists.")
	s.settle(t, c, *name)

	out, err := c.DescribeStream(ctx, &sdk.DescribeStreamInput{StreamName: name})
	d := ok(t, out, err).StreamDescription
	equal(t, "ARN", *d.StreamARN, "arn:aws:kinesis:us-east-1:000000000000:stream/streams")
	equal(t, "retention", *d.RetentionPeriodHours, 24)
	equal(t, "mode", d.StreamModeDetails.StreamMode, types.StreamModeProvisioned)
	equal(t, "encryption", d.EncryptionType, types.EncryptionTypeNone)
	equal(t, "more shards", *d.HasMoreShards, false)
	equal(t, "shards", len(d.Shards), 3)
	equal(t, "second range", *d.Shards[1].HashKeyRange.StartingHashKey, "113427455640312821154458202477256070485")
	equal(t, "last range", *d.Shards[2].HashKeyRange.EndingHashKey, "340282366920938463463374607431768211455")
	if d.Shards[0].SequenceNumberRange.EndingSequenceNumber != nil || d.Shards[0].ParentShardId != nil || len(*d.Shards[0].SequenceNumberRange.StartingSequenceNumber) != 56 {
		t.Errorf("got the shard %+v %+v", d.Shards[0], d.Shards[0].SequenceNumberRange)
	}
	if age := time.Since(*d.StreamCreationTimestamp); age < 0 || age > time.Minute {
		t.Errorf("the stream is %v old", age)
	}

	var ids []string
	pages := sdk.NewDescribeStreamPaginator(c, &sdk.DescribeStreamInput{StreamName: name, Limit: aws.Int32(2)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		for _, shard := range ok(t, out, err).StreamDescription.Shards {
			ids = append(ids, *shard.ShardId)
		}
	}
	equal(t, "shards by pages", strings.Join(ids, " "), "shardId-000000000000 shardId-000000000001 shardId-000000000002")

	sum := s.summary(t, c, name)
	equal(t, "open shards", *sum.OpenShardCount, 3)
	byARN, err := c.DescribeStreamSummary(ctx, &sdk.DescribeStreamSummaryInput{StreamARN: sum.StreamARN})
	equal(t, "name by ARN", *ok(t, byARN, err).StreamDescriptionSummary.StreamName, *name)
	// Given an id the SDK goes to a host of Amazon's whatever BaseEndpoint says; a resolver
	// of one's own decides.
	byID, err := c.DescribeStreamSummary(ctx, &sdk.DescribeStreamSummaryInput{StreamId: sum.StreamId}, func(o *sdk.Options) { o.EndpointResolverV2 = s })
	equal(t, "name by id", *ok(t, byID, err).StreamDescriptionSummary.StreamName, *name)

	_, err = c.DeleteStream(ctx, &sdk.DeleteStreamInput{StreamName: name})
	ok(t, 0, err)
	equal(t, "status of a deleted stream", s.summary(t, c, name).StreamStatus, types.StreamStatusDeleting)
	waiter := sdk.NewStreamNotExistsWaiter(c, func(o *sdk.StreamNotExistsWaiterOptions) {
		o.MinDelay, o.MaxDelay = 20*time.Millisecond, 50*time.Millisecond
	})
	if err := waiter.Wait(ctx, &sdk.DescribeStreamInput{StreamName: name}, 10*time.Second); err != nil {
		t.Error(err)
	}
	_, err = c.DeleteStream(ctx, &sdk.DeleteStreamInput{StreamName: name})
	wantError[*types.ResourceNotFoundException](t, err, "Stream streams under account 000000000000 not found.")
}

func testSDKLists(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx := t.Context()
	var made []string
	for i := range 4 {
		made = append(made, *s.make(t, c, fmt.Sprint("list-", i), 1))
	}
	var names []string
	pages := sdk.NewListStreamsPaginator(c, &sdk.ListStreamsInput{Limit: aws.Int32(3)})
	for pages.HasMorePages() {
		out, err := pages.NextPage(ctx)
		ok(t, out, err)
		names = append(names, out.StreamNames...)
		equal(t, "summaries", len(out.StreamSummaries), len(out.StreamNames))
		for i, sum := range out.StreamSummaries {
			equal(t, "summary", *sum.StreamName+string(sum.StreamStatus), out.StreamNames[i]+"ACTIVE")
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(made, name) })
	if !slices.Equal(names, made) {
		t.Errorf("by token: got %v, want %v", names, made)
	}
	out, err := c.ListStreams(ctx, &sdk.ListStreamsInput{ExclusiveStartStreamName: aws.String("list-1"), Limit: aws.Int32(1)})
	ok(t, out, err)
	equal(t, "after list-1", strings.Join(out.StreamNames, " "), "list-2")
	equal(t, "more", *out.HasMoreStreams, true)
	_, err = c.ListStreams(ctx, &sdk.ListStreamsInput{NextToken: aws.String("no token of this server")})
	if err == nil {
		t.Error("a token that is none is taken")
	}
	for _, name := range made {
		_, err := c.DeleteStream(ctx, &sdk.DeleteStreamInput{StreamName: &name})
		ok(t, 0, err)
	}
}

func testSDKSettings(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx, name := t.Context(), s.make(t, c, "settings", 1)
	_, err := c.IncreaseStreamRetentionPeriod(ctx, &sdk.IncreaseStreamRetentionPeriodInput{StreamName: name, RetentionPeriodHours: aws.Int32(48)})
	ok(t, 0, err)
	s.settle(t, c, *name)
	equal(t, "retention", *s.summary(t, c, name).RetentionPeriodHours, 48)
	_, err = c.IncreaseStreamRetentionPeriod(ctx, &sdk.IncreaseStreamRetentionPeriodInput{StreamName: name, RetentionPeriodHours: aws.Int32(30)})
	wantError[*types.InvalidArgumentException](t, err, "can not be shorter than existing retention period (48 hours)")
	_, err = c.DecreaseStreamRetentionPeriod(ctx, &sdk.DecreaseStreamRetentionPeriodInput{StreamName: name, RetentionPeriodHours: aws.Int32(24)})
	ok(t, 0, err)
	s.settle(t, c, *name)
	equal(t, "retention", *s.summary(t, c, name).RetentionPeriodHours, 24)

	on, err := c.EnableEnhancedMonitoring(ctx, &sdk.EnableEnhancedMonitoringInput{StreamName: name, ShardLevelMetrics: []types.MetricsName{"IncomingBytes", "OutgoingBytes"}})
	ok(t, on, err)
	equal(t, "metrics", len(on.DesiredShardLevelMetrics), 2)
	s.settle(t, c, *name)
	off, err := c.DisableEnhancedMonitoring(ctx, &sdk.DisableEnhancedMonitoringInput{StreamName: name, ShardLevelMetrics: []types.MetricsName{"IncomingBytes"}})
	ok(t, off, err)
	equal(t, "metrics before", len(off.CurrentShardLevelMetrics), 2)
	equal(t, "metrics after", fmt.Sprint(off.DesiredShardLevelMetrics), "[OutgoingBytes]")
	s.settle(t, c, *name)
	equal(t, "metrics in the summary", fmt.Sprint(s.summary(t, c, name).EnhancedMonitoring[0].ShardLevelMetrics), "[OutgoingBytes]")

	sum := s.summary(t, c, name)
	_, err = c.UpdateMaxRecordSize(ctx, &sdk.UpdateMaxRecordSizeInput{StreamARN: sum.StreamARN, MaxRecordSizeInKiB: aws.Int32(3 << 10)})
	ok(t, 0, err)
	s.settle(t, c, *name)
	equal(t, "record size", *s.summary(t, c, name).MaxRecordSizeInKiB, 3<<10)
	large, err := c.PutRecord(ctx, &sdk.PutRecordInput{StreamName: name, PartitionKey: aws.String("a"), Data: make([]byte, 2<<20)})
	ok(t, large, err)
	out := s.read(t, c, name, 0, types.ShardIteratorTypeTrimHorizon)
	if len(out.Records) != 1 || len(out.Records[0].Data) != 2<<20 {
		t.Errorf("got %d records", len(out.Records))
	}
}

func testSDKOnDemand(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx, name := t.Context(), s.make(t, c, "on-demand", 2)
	arn := s.summary(t, c, name).StreamARN
	_, err := c.PutRecord(ctx, &sdk.PutRecordInput{StreamName: name, Data: []byte("x")})
	if err == nil {
		t.Error("a record without a key is taken by a stream that wants one")
	}
	_, err = c.UpdateStreamMode(ctx, &sdk.UpdateStreamModeInput{StreamARN: arn, StreamModeDetails: &types.StreamModeDetails{StreamMode: types.StreamModeOnDemand}})
	ok(t, 0, err)
	s.settle(t, c, *name)
	equal(t, "mode", s.summary(t, c, name).StreamModeDetails.StreamMode, types.StreamModeOnDemand)
	_, err = c.UpdateShardCount(ctx, &sdk.UpdateShardCountInput{StreamName: name, TargetShardCount: aws.Int32(4), ScalingType: types.ScalingTypeUniformScaling})
	wantError[*types.ValidationException](t, err, "")

	_, err = c.UpdateStreamRecordDistributionStrategy(ctx, &sdk.UpdateStreamRecordDistributionStrategyInput{StreamARN: arn, RecordDistributionStrategy: types.RecordDistributionStrategyAuto})
	ok(t, 0, err)
	s.settle(t, c, *name)
	equal(t, "strategy", s.summary(t, c, name).RecordDistributionStrategy, types.RecordDistributionStrategyAuto)
	one, err := c.PutRecord(ctx, &sdk.PutRecordInput{StreamName: name, Data: []byte("without a key")})
	ok(t, one, err)
	many, err := c.PutRecords(ctx, &sdk.PutRecordsInput{StreamName: name, Records: []types.PutRecordsRequestEntry{{Data: []byte("1")}, {Data: []byte("2")}}})
	equal(t, "failed", *ok(t, many, err).FailedRecordCount, 0)

	_, err = c.UpdateStreamWarmThroughput(ctx, &sdk.UpdateStreamWarmThroughputInput{StreamName: name, WarmThroughputMiBps: aws.Int32(10)})
	wantError[*types.InvalidArgumentException](t, err, "")
	_, err = c.UpdateAccountSettings(ctx, &sdk.UpdateAccountSettingsInput{MinimumThroughputBillingCommitment: &types.MinimumThroughputBillingCommitmentInput{Status: types.MinimumThroughputBillingCommitmentInputStatusEnabled}})
	ok(t, 0, err)
	warm, err := c.UpdateStreamWarmThroughput(ctx, &sdk.UpdateStreamWarmThroughputInput{StreamName: name, WarmThroughputMiBps: aws.Int32(10)})
	equal(t, "warm throughput", *ok(t, warm, err).WarmThroughput.TargetMiBps, 10)
	s.settle(t, c, *name)
	equal(t, "warm throughput in the summary", *s.summary(t, c, name).WarmThroughput.CurrentMiBps, 10)
}

func testSDKEncryption(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx, name := t.Context(), s.make(t, c, "encryption", 1)
	key := aws.String("alias/aws/kinesis")
	put := func(data string) *sdk.PutRecordOutput {
		out, err := c.PutRecord(ctx, &sdk.PutRecordInput{StreamName: name, PartitionKey: aws.String("a"), Data: []byte(data)})
		return ok(t, out, err)
	}
	put("clear")
	_, err := c.StartStreamEncryption(ctx, &sdk.StartStreamEncryptionInput{StreamName: name, EncryptionType: types.EncryptionTypeKms, KeyId: aws.String("not a key")})
	wantError[*types.KMSNotFoundException](t, err, "Invalid keyId not a key")
	_, err = c.StartStreamEncryption(ctx, &sdk.StartStreamEncryptionInput{StreamName: name, EncryptionType: types.EncryptionTypeKms, KeyId: key})
	ok(t, 0, err)
	equal(t, "status", s.summary(t, c, name).StreamStatus, types.StreamStatusUpdating)
	s.settle(t, c, *name)
	sum := s.summary(t, c, name)
	equal(t, "encryption", sum.EncryptionType, types.EncryptionTypeKms)
	equal(t, "key", *sum.KeyId, *key)
	equal(t, "encryption of a record", put("secret").EncryptionType, types.EncryptionTypeKms)
	_, err = c.StopStreamEncryption(ctx, &sdk.StopStreamEncryptionInput{StreamName: name, EncryptionType: types.EncryptionTypeKms, KeyId: key})
	ok(t, 0, err)
	s.settle(t, c, *name)
	equal(t, "encryption", s.summary(t, c, name).EncryptionType, types.EncryptionTypeNone)
	put("clear again")
	var got []string
	for _, r := range s.read(t, c, name, 0, types.ShardIteratorTypeTrimHorizon).Records {
		got = append(got, string(r.Data))
	}
	equal(t, "records", strings.Join(got, ","), "clear,secret,clear again")
}

func testSDKTags(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx, name := t.Context(), s.make(t, c, "tags", 1)
	arn := s.summary(t, c, name).StreamARN
	_, err := c.AddTagsToStream(ctx, &sdk.AddTagsToStreamInput{StreamName: name, Tags: map[string]string{"a": "1", "b": "", "c": "3"}})
	ok(t, 0, err)
	page, err := c.ListTagsForStream(ctx, &sdk.ListTagsForStreamInput{StreamName: name, Limit: aws.Int32(2)})
	ok(t, page, err)
	equal(t, "first tags", *page.Tags[0].Key+*page.Tags[0].Value+*page.Tags[1].Key+*page.Tags[1].Value, "a1b")
	equal(t, "more tags", *page.HasMoreTags, true)
	page, err = c.ListTagsForStream(ctx, &sdk.ListTagsForStreamInput{StreamName: name, ExclusiveStartTagKey: aws.String("b")})
	ok(t, page, err)
	equal(t, "last tag", *page.Tags[0].Key, "c")
	equal(t, "more tags", *page.HasMoreTags, false)
	_, err = c.RemoveTagsFromStream(ctx, &sdk.RemoveTagsFromStreamInput{StreamName: name, TagKeys: []string{"a", "none"}})
	ok(t, 0, err)

	_, err = c.TagResource(ctx, &sdk.TagResourceInput{ResourceARN: arn, Tags: map[string]string{"d": "4"}})
	ok(t, 0, err)
	_, err = c.UntagResource(ctx, &sdk.UntagResourceInput{ResourceARN: arn, TagKeys: []string{"b"}})
	ok(t, 0, err)
	all, err := c.ListTagsForResource(ctx, &sdk.ListTagsForResourceInput{ResourceARN: arn})
	ok(t, all, err)
	var got []string
	for _, tag := range all.Tags {
		got = append(got, *tag.Key+"="+*tag.Value)
	}
	slices.Sort(got)
	equal(t, "tags", strings.Join(got, " "), "c=3 d=4")
}

func testSDKPolicies(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx, name := t.Context(), s.make(t, c, "policies", 1)
	arn := s.summary(t, c, name).StreamARN
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"111122223333"},"Action":"kinesis:PutRecord","Resource":"` + *arn + `"}]}`
	_, err := c.PutResourcePolicy(ctx, &sdk.PutResourcePolicyInput{ResourceARN: arn, Policy: &policy})
	ok(t, 0, err)
	got, err := c.GetResourcePolicy(ctx, &sdk.GetResourcePolicyInput{ResourceARN: arn})
	equal(t, "policy", *ok(t, got, err).Policy, policy)
	_, err = c.DeleteResourcePolicy(ctx, &sdk.DeleteResourcePolicyInput{ResourceARN: arn})
	ok(t, 0, err)
	_, err = c.DeleteResourcePolicy(ctx, &sdk.DeleteResourcePolicyInput{ResourceARN: arn})
	wantError[*types.ResourceNotFoundException](t, err, "")
	_, err = c.PutResourcePolicy(ctx, &sdk.PutResourcePolicyInput{ResourceARN: arn, Policy: aws.String("no policy")})
	wantError[*types.InvalidArgumentException](t, err, "")
}

func testSDKAccount(t *testing.T, s *sdkServer, c *sdk.Client) {
	ctx := t.Context()
	before, err := c.DescribeLimits(ctx, &sdk.DescribeLimitsInput{})
	ok(t, before, err)
	s.make(t, c, "account", 3)
	after, err := c.DescribeLimits(ctx, &sdk.DescribeLimitsInput{})
	equal(t, "open shards", *ok(t, after, err).OpenShardCount-*before.OpenShardCount, 3)
	equal(t, "shard limit", *after.ShardLimit, 500)
	settings, err := c.DescribeAccountSettings(ctx, &sdk.DescribeAccountSettingsInput{})
	status := ok(t, settings, err).MinimumThroughputBillingCommitment
	equal(t, "commitment", status.Status, types.MinimumThroughputBillingCommitmentOutputStatusEnabled)
	if age := time.Since(*status.StartedAt); age < 0 || age > time.Minute {
		t.Errorf("the commitment is %v old", age)
	}
	_, err = c.CreateStream(ctx, &sdk.CreateStreamInput{StreamName: aws.String("too-many"), ShardCount: aws.Int32(500)})
	wantError[*types.LimitExceededException](t, err, "")
}

// testSDKChannels looks that channels are refused as an account without them is.
func testSDKChannels(t *testing.T, _ *sdkServer, c *sdk.Client) {
	_, err := c.ListChannels(t.Context(), &sdk.ListChannelsInput{})
	wantError[*types.AccessDeniedException](t, err, "")
	_, err = c.DescribeChannel(t.Context(), &sdk.DescribeChannelInput{ChannelARN: aws.String("arn:aws:kinesis:us-east-1:000000000000:channel/c")})
	wantError[*types.AccessDeniedException](t, err, "")
}
