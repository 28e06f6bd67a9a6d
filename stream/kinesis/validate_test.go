package kinesis_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"freshet/stream/kv"
	"freshet/stream/vfs"
)

// failedNull and failedAt are what the service says of one member.
func failedNull(at string) string {
	return "Value null at '" + at + "' failed to satisfy constraint: Member must not be null"
}

func failedAt(value, at, constraint string) string {
	return "Value '" + value + "' at '" + at + "' failed to satisfy constraint: Member must " + constraint
}

const (
	wordPattern = "satisfy regular expression pattern: [a-zA-Z0-9_.-]+"
	arnPattern  = `satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:stream/\S+`
	atLeastOne  = "have length greater than or equal to 1"
)

// TestValidation wants every failure of an input in one message, in the words and in the
// order of the service.
func TestValidation(t *testing.T) {
	emptyName := []string{failedAt("", "streamName", wordPattern), failedAt("", "streamName", atLeastOne)}
	name129 := strings.Repeat("a", 129)
	emptyShard := func(at string) []string {
		return []string{failedAt("", at, wordPattern), failedAt("", at, atLeastOne)}
	}
	join := func(lists ...[]string) (all []string) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	one := func(s ...string) []string { return s }
	tags := func(n int, key, value string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"%s%d":"%s"`, key, i, value)
		}
		return `{` + b.String()[1:] + `}`
	}
	for _, c := range []struct {
		op, body string
		want     []string
	}{
		{"PutRecord", `{}`, one(failedNull("partitionKey"), failedNull("data"))},
		{"PutRecord", `{"StreamName":"","PartitionKey":"","ExplicitHashKey":"","Data":"","SequenceNumberForOrdering":""}`, join(one(
			failedAt("", "sequenceNumberForOrdering", `satisfy regular expression pattern: 0|([1-9]\d{0,128})`),
			failedAt("", "partitionKey", atLeastOne),
			failedAt("", "explicitHashKey", `satisfy regular expression pattern: 0|([1-9]\d{0,38})`)), emptyName)},
		{"PutRecord", `{"StreamName":"a","PartitionKey":"` + strings.Repeat("é", 257) + `","Data":""}`,
			one(failedAt(strings.Repeat("é", 257), "partitionKey", "have length less than or equal to 256"))},
		{"PutRecord", `{"StreamName":"a","PartitionKey":"k","ExplicitHashKey":"01","Data":""}`,
			one(failedAt("01", "explicitHashKey", `satisfy regular expression pattern: 0|([1-9]\d{0,38})`))},
		{"PutRecord", `{"StreamName":"a","PartitionKey":"k","Data":"` + strings.Repeat("AAAA", 3495254) + `"}`,
			one(failedAt("java.nio.HeapByteBuffer[pos=0 lim=10485762 cap=10485762]", "data", "have length less than or equal to 10485760"))},
		{"PutRecords", `{"StreamName":""}`, join(one(failedNull("records")), emptyName)},
		{"PutRecords", `{"StreamName":"a","Records":[]}`, one(failedAt("[]", "records", atLeastOne))},
		{"PutRecords", `{"Records":[{"PartitionKey":"","ExplicitHashKey":"","Data":""},{"Data":"YQ=="}],"StreamName":""}`, join(one(
			failedAt("", "records.1.member.partitionKey", atLeastOne),
			failedAt("", "records.1.member.explicitHashKey", `satisfy regular expression pattern: 0|([1-9]\d{0,38})`),
			failedNull("records.2.member.partitionKey")), emptyName)},
		{"PutRecords", `{"Records":[{"PartitionKey":"a","Data":"YQ=="},{}],"StreamName":"a"}`,
			one(failedNull("records.2.member.partitionKey"), failedNull("records.2.member.data"))},
		{"GetShardIterator", `{"ShardId":"","ShardIteratorType":"x","StartingSequenceNumber":"x","StreamName":""}`, join(emptyShard("shardId"), one(
			failedAt("x", "shardIteratorType", "satisfy enum value set: [AFTER_SEQUENCE_NUMBER, LATEST, AT_TIMESTAMP, AT_SEQUENCE_NUMBER, TRIM_HORIZON]"),
			failedAt("x", "startingSequenceNumber", `satisfy regular expression pattern: 0|([1-9]\d{0,128})`)), emptyName)},
		{"GetRecords", `{"Limit":0,"ShardIterator":""}`, one(failedAt("0", "limit", "have value greater than or equal to 1"), failedAt("", "shardIterator", atLeastOne))},
		{"GetRecords", `{"Limit":10001}`, one(failedAt("10001", "limit", "have value less than or equal to 10000"), failedNull("shardIterator"))},
		{"CreateStream", `{"ShardCount":-3}`, one(failedAt("-3", "shardCount", "have value greater than or equal to 1"), failedNull("streamName"))},
		{"CreateStream", `{"ShardCount":1,"StreamName":"` + name129 + `"}`, one(failedAt(name129, "streamName", "have length less than or equal to 128"))},
		{"CreateStream", `{"StreamName":"a b","StreamModeDetails":{"StreamMode":"X"},"MaxRecordSizeInKiB":1,"WarmThroughputMiBps":-99999999999,"RecordDistributionStrategy":"Y","Tags":{}}`, one(
			failedAt("a b", "streamName", wordPattern),
			failedAt("X", "streamModeDetails.streamMode", "satisfy enum value set: [PROVISIONED, ON_DEMAND]"),
			failedAt("{}", "tags", atLeastOne),
			failedAt("-2147483648", "warmThroughputMiBps", "have value greater than or equal to 0"),
			failedAt("1", "maxRecordSizeInKiB", "have value greater than or equal to 1024"),
			failedAt("Y", "recordDistributionStrategy", "satisfy enum value set: [AUTO, USER_PARTITION_KEY]"))},
		{"DescribeStream", `{"Limit":0,"ExclusiveStartShardId":"","StreamName":""}`, join(
			one(failedAt("0", "limit", "have value greater than or equal to 1")), emptyShard("exclusiveStartShardId"), emptyName)},
		{"DescribeStreamSummary", `{"StreamARN":"arn","StreamId":"x"}`, one(failedAt("arn", "streamARN", arnPattern),
			failedAt("x", "streamId", "satisfy regular expression pattern: [a-z0-9]{20}-[a-z0-9]{3}"))},
		{"ListStreams", `{"Limit":0,"ExclusiveStartStreamName":"","NextToken":""}`, join(one(failedAt("0", "limit", "have value greater than or equal to 1")),
			emptyShard("exclusiveStartStreamName"), one(failedAt("", "nextToken", atLeastOne)))},
		{"ListShards", `{"ExclusiveStartShardId":"","MaxResults":100000,"NextToken":"","StreamName":"","ShardFilter":{"ShardId":""}}`, join(emptyShard("exclusiveStartShardId"),
			one(failedAt("100000", "maxResults", "have value less than or equal to 10000"), failedAt("", "nextToken", atLeastOne)), emptyName,
			one(failedNull("shardFilter.type")), emptyShard("shardFilter.shardId"))},
		{"ListShards", `{"StreamName":"a","ShardFilter":{"Type":"ALL"}}`, one(failedAt("ALL", "shardFilter.type",
			"satisfy enum value set: [AFTER_SHARD_ID, AT_TRIM_HORIZON, FROM_TRIM_HORIZON, AT_LATEST, AT_TIMESTAMP, FROM_TIMESTAMP]"))},
		{"SplitShard", `{"NewStartingHashKey":"","StreamName":"","ShardToSplit":""}`, join(
			one(failedAt("", "newStartingHashKey", `satisfy regular expression pattern: 0|([1-9]\d{0,38})`)), emptyName, emptyShard("shardToSplit"))},
		{"MergeShards", `{}`, one(failedNull("shardToMerge"), failedNull("adjacentShardToMerge"))},
		{"UpdateShardCount", `{"StreamName":"a","TargetShardCount":0,"ScalingType":"x"}`, one(failedAt("0", "targetShardCount", "have value greater than or equal to 1"),
			failedAt("x", "scalingType", "satisfy enum value set: [UNIFORM_SCALING]"))},
		{"AddTagsToStream", `{"StreamName":"","Tags":{}}`, join(one(failedAt("{}", "tags", atLeastOne)), emptyName)},
		{"AddTagsToStream", `{"StreamName":"a","Tags":{"":"","b":"c"}}`, one("Value '{=, b=c}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]")},
		{"AddTagsToStream", `{"StreamName":"a","Tags":{"a":"` + strings.Repeat("b", 257) + `"}}`,
			one("Value '{a=" + strings.Repeat("b", 257) + "}' at 'tags' failed to satisfy constraint: Map value must satisfy constraint: [Member must have length less than or equal to 256, Member must have length greater than or equal to 0]")},
		{"RemoveTagsFromStream", `{"StreamName":"a","TagKeys":["",""]}`, one("Value '[, ]' at 'tagKeys' failed to satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal to 128, Member must have length greater than or equal to 1]")},
		{"RemoveTagsFromStream", `{"StreamName":"a","TagKeys":["a"` + strings.Repeat(`,"a"`, 50) + `]}`, one(failedAt("[a"+strings.Repeat(", a", 50)+"]", "tagKeys", "have length less than or equal to 50"))},
		{"ListTagsForStream", `{"StreamName":"a","Limit":51,"ExclusiveStartTagKey":""}`, one(failedAt("51", "limit", "have value less than or equal to 50"), failedAt("", "exclusiveStartTagKey", atLeastOne))},
		{"TagResource", `{"ResourceARN":"x"}`, one(failedNull("tags"), failedAt("x", "resourceARN", `satisfy regular expression pattern: arn:aws.*:kinesis:.*:\d{12}:.*stream/\S+`))},
		{"UntagResource", `{}`, one(failedNull("tagKeys"), failedNull("resourceARN"))},
		{"ListTagsForResource", `{}`, one(failedNull("resourceARN"))},
		{"PutResourcePolicy", `{}`, one(failedNull("resourceARN"), failedNull("policy"))},
		{"GetResourcePolicy", `{}`, one(failedNull("resourceARN"))},
		{"DeleteResourcePolicy", `{}`, one(failedNull("resourceARN"))},
		{"IncreaseStreamRetentionPeriod", `{}`, one(failedNull("retentionPeriodHours"))},
		{"DecreaseStreamRetentionPeriod", `{"StreamName":""}`, join(one(failedNull("retentionPeriodHours")), emptyName)},
		{"RegisterStreamConsumer", `{"ConsumerName":""}`, join(one(failedNull("streamARN")), emptyShard("consumerName"))},
		{"DescribeStreamConsumer", `{"ConsumerARN":"x"}`, one(failedAt("x", "consumerARN", `satisfy regular expression pattern: ^(arn):aws.*:kinesis:.*:\d{12}:.*stream\/[a-zA-Z0-9_.-]+\/consumer\/[a-zA-Z0-9_.-]+:[0-9]+`))},
		{"DeregisterStreamConsumer", `{"ConsumerName":"a b"}`, one(failedAt("a b", "consumerName", wordPattern))},
		{"ListStreamConsumers", `{"MaxResults":0}`, one(failedNull("streamARN"), failedAt("0", "maxResults", "have value greater than or equal to 1"))},
		{"SubscribeToShard", `{}`, one(failedNull("consumerARN"), failedNull("shardId"), failedNull("startingPosition"))},
		{"SubscribeToShard", `{"ConsumerARN":"arn:aws:kinesis:us-east-1:000000000000:stream/a/consumer/b:1","ShardId":"a","StartingPosition":{"SequenceNumber":"x"}}`, one(
			failedNull("startingPosition.type"), failedAt("x", "startingPosition.sequenceNumber", `satisfy regular expression pattern: 0|([1-9]\d{0,128})`))},
		{"StartStreamEncryption", `{"EncryptionType":"AES","KeyId":""}`, one(failedAt("AES", "encryptionType", "satisfy enum value set: [NONE, KMS]"), failedAt("", "keyId", atLeastOne))},
		{"StopStreamEncryption", `{}`, one(failedNull("encryptionType"), failedNull("keyId"))},
		{"EnableEnhancedMonitoring", `{"ShardLevelMetrics":["x"]}`, one("Value '[x]' at 'shardLevelMetrics' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [IncomingBytes, IncomingRecords, OutgoingBytes, OutgoingRecords, WriteProvisionedThroughputExceeded, ReadProvisionedThroughputExceeded, IteratorAgeMilliseconds, ALL]]")},
		{"DisableEnhancedMonitoring", `{"ShardLevelMetrics":[]}`, one(failedAt("[]", "shardLevelMetrics", atLeastOne))},
		{"UpdateStreamMode", `{"StreamARN":"","StreamModeDetails":{}}`, one(failedAt("", "streamARN", arnPattern), failedAt("", "streamARN", atLeastOne), failedNull("streamModeDetails.streamMode"))},
		{"UpdateStreamWarmThroughput", `{}`, one(failedNull("warmThroughputMiBps"))},
		{"UpdateMaxRecordSize", `{"MaxRecordSizeInKiB":10241}`, one(failedAt("10241", "maxRecordSizeInKiB", "have value less than or equal to 10240"))},
		{"UpdateStreamRecordDistributionStrategy", `{}`, one(failedNull("recordDistributionStrategy"), failedNull("streamARN"))},
		{"UpdateAccountSettings", `{}`, one(failedNull("minimumThroughputBillingCommitment"))},
		{"UpdateAccountSettings", `{"MinimumThroughputBillingCommitment":{"Status":"ON"}}`, one(failedAt("ON", "minimumThroughputBillingCommitment.status", "satisfy enum value set: [ENABLED, DISABLED]"))},
		{"AddTagsToStream", `{"StreamName":"a","Tags":` + tags(201, "k", "v") + `}`, nil},
	} {
		t.Run(c.op+" "+c.body[:min(len(c.body), 60)], func(t *testing.T) { wantFailures(t, c.op, c.body, c.want) })
	}
}

// wantFailures sends a body in JSON and in CBOR; want nil leaves the message open.
func wantFailures(t *testing.T, op, body string, list []string) {
	r := newRig(t, vfs.NewMem(), kv.NewMem())
	message := fmt.Sprintf("%d validation errors detected: %s", len(list), strings.Join(list, "; "))
	if len(list) == 1 {
		message = "1 validation error detected: " + list[0]
	}
	w := r.send(sent{target: op, contentType: jsonType, body: body})
	var got map[string]string
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatalf("%q: %v", w.Body, err)
	}
	if w.Code != 400 || got["__type"] != "ValidationException" || list != nil && got["message"] != message {
		t.Errorf("got  %d %s\n %s\nwant %s", w.Code, got["__type"], got["message"], message)
	}
	w = r.send(sent{target: op, contentType: cborType, body: toCBOR(t, body)})
	var again map[string]string
	if err := cbor.Unmarshal(w.Body.Bytes(), &again); err != nil {
		t.Fatalf("%q: %v", w.Body, err)
	}
	if again["__type"] != got["__type"] || again["message"] != got["message"] {
		t.Errorf("CBOR: got %v, want %v", again, got)
	}
}

// toCBOR writes a JSON body in CBOR, with blobs as bytes.
func toCBOR(t testing.TB, body string) string {
	t.Helper()
	var in any
	d := json.NewDecoder(strings.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&in); err != nil {
		t.Fatal(err)
	}
	out, err := cbor.Marshal(numbers(in))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return n
		}
		f, _ := v.Float64()
		return f
	case map[string]any:
		for name := range v {
			v[name] = numbers(v[name])
		}
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	}
	return v
}

// TestAtMostTenFailuresAreListed, whatever their number.
func TestAtMostTenFailuresAreListed(t *testing.T) {
	r := newRig(t, vfs.NewMem(), kv.NewMem())
	_, out := r.call("PutRecords", object{"StreamName": "", "Records": make([]object, 300)})
	got := fmt.Sprint(out["message"])
	if !strings.HasPrefix(got, "10 validation errors detected: ") || strings.Count(got, "; ") != 9 {
		t.Errorf("got %s", got)
	}
}
