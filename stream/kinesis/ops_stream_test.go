package kinesis_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/stream/kinesis"
	"freshet/stream/kv"
	"freshet/stream/vfs"
)

// inRig runs a test on a fresh rig, in time that passes only when all wait.
func inRig(t *testing.T, f func(t *testing.T, r *rig), edits ...func(*kinesis.Options)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, vfs.NewMem(), kv.NewMem(), edits...)
		f(t, r)
	})
}

func TestStreamLifeCycle(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		a := object{"StreamName": "a"}
		if out := r.ok("CreateStream", object{"StreamName": "a", "ShardCount": 3, "Tags": object{"k": "v"}}); out != nil {
			t.Errorf("CreateStream: got %v, want an empty body", out)
		}
		made := time.Now()

		d := r.ok("DescribeStream", a)
		want(t, "status at first", field(d, "StreamDescription.StreamStatus"), "CREATING")
		want(t, "shards at first", field(d, "StreamDescription.Shards"), "[]")
		want(t, "open shards at first", field(r.ok("DescribeStreamSummary", a), "StreamDescriptionSummary.OpenShardCount"), 0)
		r.refused("CreateStream", object{"StreamName": "a", "ShardCount": 1}, "ResourceInUseException", "Stream a under account 000000000000 already exists.")
		r.refused("ListShards", a, "ResourceInUseException", "Stream a under account 000000000000 not ACTIVE, instead in state CREATING")
		r.refused("AddTagsToStream", object{"StreamName": "a", "Tags": object{"k": "v"}}, "ResourceInUseException", "Stream a under account 000000000000 not ACTIVE, instead in state CREATING")
		time.Sleep(499 * time.Millisecond)
		want(t, "status after 499 ms", r.status("a"), "CREATING")
		time.Sleep(time.Millisecond)
		want(t, "status after 500 ms", r.status("a"), "ACTIVE")

		d = r.ok("DescribeStream", a)["StreamDescription"].(object)
		for name, value := range (object{
			"StreamName": "a", "StreamARN": arnOf("a"), "StreamStatus": "ACTIVE", "HasMoreShards": false,
			"RetentionPeriodHours": 24, "EnhancedMonitoring": "[map[ShardLevelMetrics:[]]]", "EncryptionType": "NONE",
			"KeyId": nil, "StreamModeDetails": "map[StreamMode:PROVISIONED]",
		}) {
			want(t, name, d[name], value)
		}
		if at := fmt.Sprint(d["StreamCreationTimestamp"]); !strings.HasPrefix(at, fmt.Sprint(made.Unix())) {
			t.Errorf("StreamCreationTimestamp: got %s, want %d", at, made.Unix())
		}
		shards := d["Shards"].([]any)
		want(t, "shards", len(shards), 3)
		second := shards[1].(object)
		want(t, "second shard", second["ShardId"], "shardId-000000000001")
		want(t, "its keys", second["HashKeyRange"], "map[EndingHashKey:226854911280625642308916404954512140969 StartingHashKey:113427455640312821154458202477256070485]")
		if n := fmt.Sprint(field(second, "SequenceNumberRange.StartingSequenceNumber")); len(n) != 56 {
			t.Errorf("StartingSequenceNumber: got %s, want 56 digits", n)
		}
		for _, absent := range []string{"ParentShardId", "AdjacentParentShardId"} {
			if v, ok := second[absent]; ok {
				t.Errorf("%s: got %v, want none", absent, v)
			}
		}

		s := r.ok("DescribeStreamSummary", a)["StreamDescriptionSummary"].(object)
		for name, value := range (object{
			"OpenShardCount": 3, "ConsumerCount": 0, "MaxRecordSizeInKiB": 1024, "RecordDistributionStrategy": nil, "WarmThroughput": nil,
		}) {
			want(t, name, s[name], value)
		}

		r.ok("DeleteStream", a)
		want(t, "status", r.status("a"), "DELETING")
		r.refused("DeleteStream", a, "ResourceInUseException", "Stream a under account 000000000000 not ACTIVE, instead in state DELETING")
		r.refused("CreateStream", object{"StreamName": "a", "ShardCount": 1}, "ResourceInUseException", "Stream a under account 000000000000 already exists.")
		time.Sleep(501 * time.Millisecond)
		r.refused("DescribeStream", a, "ResourceNotFoundException", "Stream a under account 000000000000 not found.")
		r.create("a", 1)
		want(t, "tags of the new stream", field(r.ok("ListTagsForStream", a), "Tags"), "[]")
	})
}

func TestCreateStreamRefuses(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.refused("CreateStream", object{"StreamName": "a"}, "ValidationException", "1 validation error detected: Value null at 'shardCount' failed to satisfy constraint: Member must not be null")
		r.refused("CreateStream", object{"StreamName": "a", "ShardCount": 1, "StreamModeDetails": object{"StreamMode": "ON_DEMAND"}}, "InvalidArgumentException", "ShardCount is not expected when StreamMode=ON_DEMAND")
		r.create("a", 2)
		r.refused("CreateStream", object{"StreamName": "b", "ShardCount": 9}, "LimitExceededException", "This request would exceed the shard limit for the account 000000000000 in us-east-1. Current shard count for the account: 2. Limit: 10. Number of additional shards that would have resulted from this request: 9. Refer to the AWS Service Limits page (http://docs.aws.amazon.com/general/latest/gr/aws_service_limits.html) for current limits and how to request higher limits.")
		r.refused("CreateStream", object{"StreamName": "b", "ShardCount": 1, "Tags": object{"a;b": ""}}, "InvalidArgumentException", "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @.")
		r.refused("CreateStream", object{"StreamName": "b", "ShardCount": 1, "WarmThroughputMiBps": 5}, "InvalidArgumentException", "WarmThroughputMiBps is only supported…")
		r.refused("CreateStream", object{"StreamName": "b", "ShardCount": 1, "RecordDistributionStrategy": "AUTO"}, "InvalidArgumentException", "RecordDistributionStrategy is only supported…")
		r.refused("CreateStream", object{"StreamName": "..", "ShardCount": 1}, "ValidationException", "1 validation error detected: Value '..' at 'streamName' …")
		want(t, "limits", r.ok("DescribeLimits", object{}), "map[OnDemandStreamCount:0 OnDemandStreamCountLimit:50 OpenShardCount:2 ShardLimit:10]")
	}, func(o *kinesis.Options) { o.ShardLimit = 10 })
}

func TestFiveStreamsInCreation(t *testing.T) {
	create := func(r *rig, i int) object { return object{"StreamName": fmt.Sprint("s", i), "ShardCount": 1} }
	inRig(t, func(t *testing.T, r *rig) {
		for i := range 5 {
			r.ok("CreateStream", create(r, i))
		}
		r.refused("CreateStream", create(r, 5), "LimitExceededException", "This request would exceed the limit of 5 streams in CREATING state…")
		time.Sleep(500 * time.Millisecond)
		r.ok("CreateStream", create(r, 5))
	}, func(o *kinesis.Options) { o.ShardLimits = true })
	inRig(t, func(t *testing.T, r *rig) {
		for i := range 6 {
			r.ok("CreateStream", create(r, i))
		}
	})
}

func TestStreamsAreFoundByARNNameAndId(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		r.create("b", 1)
		id := field(r.ok("DescribeStreamSummary", object{"StreamName": "a"}), "StreamDescriptionSummary.StreamId")
		for _, in := range []object{
			{"StreamARN": arnOf("a")}, {"StreamId": id}, {"StreamARN": arnOf("a"), "StreamName": "a", "StreamId": id},
		} {
			want(t, fmt.Sprint(in), field(r.ok("DescribeStreamSummary", in), "StreamDescriptionSummary.StreamName"), "a")
		}
		for _, c := range []struct {
			in            object
			code, message string
		}{
			{object{}, "InvalidArgumentException", "Either StreamName or StreamARN should be provided."},
			{object{"StreamName": "a", "StreamARN": arnOf("b")}, "InvalidArgumentException", "StreamARN, StreamName and StreamId must name the same stream; they name b and a."},
			{object{"StreamName": "c"}, "ResourceNotFoundException", "Stream c under account 000000000000 not found."},
			{object{"StreamARN": arnOf("c")}, "ResourceNotFoundException", "Stream c under account 000000000000 not found."},
			{object{"StreamARN": "arn:aws:kinesis:us-east-1:123456789012:stream/a"}, "ResourceNotFoundException", "Stream a under account 123456789012 not found."},
			{object{"StreamARN": "arn:aws:kinesis:eu-west-1:000000000000:stream/a"}, "ResourceNotFoundException", "Stream a under account 000000000000 not found."},
			{object{"StreamId": "aaaaaaaaaaaaaaaaaaaa-bbb"}, "ResourceNotFoundException", "Stream with id aaaaaaaaaaaaaaaaaaaa-bbb under account 000000000000 not found."},
		} {
			r.refused("DescribeStreamSummary", c.in, c.code, c.message)
		}
	})
}

// A stream that something else made in the log is there, with the defaults.
func TestAStreamOfTheLogHasTheDefaults(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		if _, err := r.log.Create("metrics", 2); err != nil {
			t.Fatal(err)
		}
		want(t, "names", field(r.ok("ListStreams", object{}), "StreamNames"), "[metrics]")
		want(t, "status", r.status("metrics"), "ACTIVE")
		r.ok("AddTagsToStream", object{"StreamName": "metrics", "Tags": object{"k": "v"}})
		r.refused("DeleteStream", object{"StreamName": "metrics"}, "AccessDeniedException", "Stream metrics under account 000000000000 belongs to the server and cannot be deleted.")
		want(t, "tags", field(r.ok("ListTagsForStream", object{"StreamName": "metrics"}), "Tags"), "[map[Key:k Value:v]]")
	}, func(o *kinesis.Options) { o.Reserved = []string{"metrics"} })
}

func TestListStreams(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		for _, name := range []string{"c", "a", "b"} {
			r.create(name, 1)
		}
		out := r.ok("ListStreams", object{})
		want(t, "names", out["StreamNames"], "[a b c]")
		want(t, "more", out["HasMoreStreams"], false)
		if _, ok := out["NextToken"]; ok {
			t.Error("NextToken is there at the end of the list")
		}
		first := out["StreamSummaries"].([]any)[0].(object)
		want(t, "summary", words(first["StreamName"], first["StreamARN"], first["StreamStatus"], first["StreamModeDetails"]), "a "+arnOf("a")+" ACTIVE map[StreamMode:PROVISIONED]")

		out = r.ok("ListStreams", object{"Limit": 2})
		want(t, "two names", words(out["StreamNames"], out["HasMoreStreams"]), "[a b] true")
		next := r.ok("ListStreams", object{"NextToken": out["NextToken"]})
		want(t, "the rest", words(next["StreamNames"], next["HasMoreStreams"]), "[c] false")
		want(t, "after a", field(r.ok("ListStreams", object{"ExclusiveStartStreamName": "a"}), "StreamNames"), "[b c]")
		want(t, "after one that is not there", field(r.ok("ListStreams", object{"ExclusiveStartStreamName": "aa"}), "StreamNames"), "[b c]")
		r.refused("ListStreams", object{"NextToken": "aaaa"}, "InvalidArgumentException", "NextToken is not valid.")
		time.Sleep(301 * time.Second)
		r.refused("ListStreams", object{"NextToken": out["NextToken"]}, "ExpiredNextTokenException", "NextToken has expired: …")
	})
}
