package kinesis_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"freshet/stream"
	"freshet/stream/kinesis"
	"freshet/stream/kv"
	"freshet/stream/vfs"
)

func TestRetention(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		hours := func(h int) object { return object{"StreamName": "a", "RetentionPeriodHours": h} }
		const inc, dec = "IncreaseStreamRetentionPeriod", "DecreaseStreamRetentionPeriod"
		r.ok(inc, hours(48))
		want(t, "status", r.status("a"), "UPDATING")
		r.refused(inc, hours(72), "ResourceInUseException", "Stream a under account 000000000000 not ACTIVE, instead in state UPDATING")
		r.settle("a")
		want(t, "hours", field(r.ok("DescribeStream", object{"StreamName": "a"}), "StreamDescription.RetentionPeriodHours"), 48)
		for _, c := range []struct {
			op      string
			hours   int
			message string
		}{
			{inc, 3, "Minimum allowed retention period is 24 hours. Requested retention period (3 hours) is too short."},
			{inc, 8761, "Maximum allowed retention period is 8760 hours. Requested retention period (8761 hours) is too long."},
			{inc, 30, "Requested retention period (30 hours) for stream a can not be shorter than existing retention period (48 hours). Use DecreaseRetentionPeriod API."},
			{dec, 50, "Requested retention period (50 hours) for stream a can not be longer than existing retention period (48 hours). Use IncreaseRetentionPeriod API."},
			{dec, 3, "Minimum allowed retention period is 24 hours. Requested retention period (3 hours) is too short."},
		} {
			r.refused(c.op, hours(c.hours), "InvalidArgumentException", c.message)
		}
		want(t, "status after refusals", r.status("a"), "ACTIVE")
		r.ok(inc, hours(8760))
		r.settle("a")
		r.ok(dec, hours(24))
		want(t, "hours", field(r.ok("DescribeStreamSummary", object{"StreamName": "a"}), "StreamDescriptionSummary.RetentionPeriodHours"), 24)
	})
}

func TestModeWarmThroughputAndDistribution(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		summary := func() object {
			return r.ok("DescribeStreamSummary", object{"StreamName": "a"})["StreamDescriptionSummary"].(object)
		}
		r.ok("CreateStream", object{"StreamName": "a", "StreamModeDetails": object{"StreamMode": "ON_DEMAND"}, "RecordDistributionStrategy": "AUTO"})
		r.settle("a")
		s := summary()
		want(t, "an on-demand stream", words(s["OpenShardCount"], s["StreamModeDetails"], s["RecordDistributionStrategy"]), "4 map[StreamMode:ON_DEMAND] AUTO")
		r.refused("SplitShard", object{"StreamName": "a", "ShardToSplit": "shardId-000000000000", "NewStartingHashKey": "10"}, "ValidationException", "Request is invalid. Stream a under account 000000000000 is in On-Demand mode.")
		r.refused("UpdateShardCount", object{"StreamName": "a", "ScalingType": "UNIFORM_SCALING", "TargetShardCount": 5}, "ValidationException", "Request is invalid. Stream a under account 000000000000 is in On-Demand mode.")
		r.ok("UpdateStreamRecordDistributionStrategy", object{"StreamARN": arnOf("a"), "RecordDistributionStrategy": "USER_PARTITION_KEY"})
		s = summary()
		want(t, "distribution", words(s["StreamStatus"], s["RecordDistributionStrategy"]), "ACTIVE USER_PARTITION_KEY")

		warm := object{"StreamName": "a", "WarmThroughputMiBps": 20}
		r.refused("UpdateStreamWarmThroughput", warm, "InvalidArgumentException", "WarmThroughputMiBps needs MinimumThroughputBillingCommitment enabled…")
		r.ok("UpdateAccountSettings", object{"MinimumThroughputBillingCommitment": object{"Status": "ENABLED"}})
		out := r.ok("UpdateStreamWarmThroughput", warm)
		want(t, "warm throughput", words(out["StreamName"], out["StreamARN"], out["WarmThroughput"]), "a "+arnOf("a")+" map[TargetMiBps:20]")
		want(t, "while it updates", summary()["WarmThroughput"], "map[TargetMiBps:20]")
		r.settle("a")
		want(t, "then", summary()["WarmThroughput"], "map[CurrentMiBps:20 TargetMiBps:20]")

		r.ok("UpdateStreamMode", object{"StreamARN": arnOf("a"), "StreamModeDetails": object{"StreamMode": "PROVISIONED"}})
		r.settle("a")
		s = summary()
		want(t, "a provisioned stream", words(s["OpenShardCount"], s["StreamModeDetails"], s["RecordDistributionStrategy"], s["WarmThroughput"]), "4 map[StreamMode:PROVISIONED] <nil> <nil>")
		r.refused("UpdateStreamRecordDistributionStrategy", object{"StreamARN": arnOf("a"), "RecordDistributionStrategy": "AUTO"}, "InvalidArgumentException", "RecordDistributionStrategy is only supported for streams in on-demand mode…")
		r.refused("UpdateStreamWarmThroughput", warm, "InvalidArgumentException", "WarmThroughputMiBps is only supported for streams in on-demand mode…")
	})
}

func TestAccountSettings(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		status := func(out object) string {
			return fmt.Sprint(field(out, "MinimumThroughputBillingCommitment.Status"))
		}
		set := func(to string) string {
			return status(r.ok("UpdateAccountSettings", object{"MinimumThroughputBillingCommitment": object{"Status": to}}))
		}
		describe := func() object { return r.ok("DescribeAccountSettings", object{}) }
		want(t, "at first", describe(), "map[MinimumThroughputBillingCommitment:map[Status:DISABLED]]")
		want(t, "enabled", set("ENABLED"), "ENABLED")
		want(t, "disabled too early", set("DISABLED"), "ENABLED_UNTIL_EARLIEST_ALLOWED_END")
		want(t, "enabled again", set("ENABLED"), "ENABLED")
		want(t, "disabled too early", set("DISABLED"), "ENABLED_UNTIL_EARLIEST_ALLOWED_END")
		time.Sleep(24 * time.Hour)
		want(t, "a day later", status(describe()), "DISABLED")
		if field(describe(), "MinimumThroughputBillingCommitment.EndedAt") == nil {
			t.Error("EndedAt is missing")
		}
		want(t, "enabled", set("ENABLED"), "ENABLED")
		time.Sleep(25 * time.Hour)
		want(t, "disabled", set("DISABLED"), "DISABLED")
	})
}

func TestMaxRecordSize(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		r.ok("UpdateMaxRecordSize", object{"StreamARN": arnOf("a"), "MaxRecordSizeInKiB": 10240})
		r.settle("a")
		want(t, "size", field(r.ok("DescribeStreamSummary", object{"StreamName": "a"}), "StreamDescriptionSummary.MaxRecordSizeInKiB"), 10240)
	})
}

func TestEnhancedMonitoring(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		for _, step := range []struct {
			op               string
			metrics          []string
			current, desired string
		}{
			{"EnableEnhancedMonitoring", []string{"OutgoingBytes", "IncomingBytes"}, "[]", "[IncomingBytes OutgoingBytes]"},
			{"EnableEnhancedMonitoring", []string{"ALL"}, "[IncomingBytes OutgoingBytes]", "[ALL]"},
			{"DisableEnhancedMonitoring", []string{"IncomingBytes"}, "[ALL]", "[IncomingRecords OutgoingBytes OutgoingRecords WriteProvisionedThroughputExceeded ReadProvisionedThroughputExceeded IteratorAgeMilliseconds]"},
			{"DisableEnhancedMonitoring", []string{"ALL"}, "[IncomingRecords OutgoingBytes OutgoingRecords WriteProvisionedThroughputExceeded ReadProvisionedThroughputExceeded IteratorAgeMilliseconds]", "[]"},
		} {
			out := r.ok(step.op, object{"StreamName": "a", "ShardLevelMetrics": step.metrics})
			want(t, "current", out["CurrentShardLevelMetrics"], step.current)
			want(t, "desired", out["DesiredShardLevelMetrics"], step.desired)
			want(t, "stream", words(out["StreamName"], out["StreamARN"]), "a "+arnOf("a"))
			r.settle("a")
			want(t, "described", field(r.ok("DescribeStream", object{"StreamName": "a"}), "StreamDescription.EnhancedMonitoring"), "[map[ShardLevelMetrics:"+step.desired+"]]")
		}
	})
}

func TestTags(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		a := object{"StreamName": "a"}
		tag := func(tags object) object { return object{"StreamName": "a", "Tags": tags} }
		r.ok("AddTagsToStream", tag(object{"b": "1", "a": "", "ü ": "x@y"}))
		r.ok("AddTagsToStream", tag(object{"b": "2"}))
		want(t, "tags", r.ok("ListTagsForStream", a), "map[HasMoreTags:false Tags:[map[Key:a Value:] map[Key:b Value:2] map[Key:ü  Value:x@y]]]")
		want(t, "one", r.ok("ListTagsForStream", object{"StreamName": "a", "Limit": 1}), "map[HasMoreTags:true Tags:[map[Key:a Value:]]]")
		want(t, "after a", r.ok("ListTagsForStream", object{"StreamName": "a", "Limit": 1, "ExclusiveStartTagKey": "a"}), "map[HasMoreTags:true Tags:[map[Key:b Value:2]]]")
		r.ok("RemoveTagsFromStream", object{"StreamName": "a", "TagKeys": []string{"a", "ü ", "none"}})
		want(t, "rest", field(r.ok("ListTagsForStream", a), "Tags"), "[map[Key:b Value:2]]")

		r.refused("AddTagsToStream", tag(object{"a": "c;d"}), "InvalidArgumentException", "Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @.")
		r.refused("AddTagsToStream", tag(object{"aws:b": ""}), "InvalidArgumentException", "Tag key aws:b is reserved: …")
		r.refused("AddTagsToStream", tag(object{"freshet:shard-limits": "no"}), "InvalidArgumentException", `Tag freshet:shard-limits has value "no"; kinesis and none are allowed.`)
		many := object{}
		for i := range 50 {
			many[fmt.Sprint("k", i)] = ""
		}
		r.refused("AddTagsToStream", tag(many), "InvalidArgumentException", "A resource cannot have more than 50 tags associated with it; with this request it would have 51.")

		r.ok("TagResource", object{"ResourceARN": arnOf("a"), "Tags": object{"c": "3"}})
		r.ok("UntagResource", object{"ResourceARN": arnOf("a"), "TagKeys": []string{"b"}})
		want(t, "of the resource", r.ok("ListTagsForResource", object{"ResourceARN": arnOf("a")}), "map[Tags:[map[Key:c Value:3]]]")
		r.refused("TagResource", object{"ResourceARN": arnOf("none"), "Tags": object{"c": "3"}}, "ResourceNotFoundException", "Stream none under account 000000000000 not found.")
	})
}

func TestConsumers(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		named := func(name string) object { return object{"StreamARN": arnOf("a"), "ConsumerName": name} }
		made := time.Now().Unix()
		c := r.ok("RegisterStreamConsumer", object{"StreamARN": arnOf("a"), "ConsumerName": "c", "Tags": object{"k": "v"}})["Consumer"].(object)
		arn := fmt.Sprintf("%s/consumer/c:%d", arnOf("a"), made)
		want(t, "consumer", words(c["ConsumerName"], c["ConsumerARN"], c["ConsumerStatus"]), "c "+arn+" CREATING")
		byARN := object{"ConsumerARN": arn}
		r.refused("RegisterStreamConsumer", named("c"), "ResourceInUseException", "Consumer c under stream a and account 000000000000 already exists.")
		r.refused("DeregisterStreamConsumer", byARN, "ResourceInUseException", fmt.Sprintf("Consumer c with creation timestamp %d under stream a and account 000000000000 is not in ACTIVE status.", made))
		time.Sleep(500 * time.Millisecond)
		for _, in := range []object{byARN, named("c"), {"ConsumerARN": arn, "StreamARN": arnOf("a"), "ConsumerName": "c"}} {
			d := r.ok("DescribeStreamConsumer", in)["ConsumerDescription"].(object)
			want(t, fmt.Sprint(in), words(d["ConsumerARN"], d["ConsumerStatus"], d["StreamARN"]), arn+" ACTIVE "+arnOf("a"))
		}
		want(t, "tags", field(r.ok("ListTagsForResource", object{"ResourceARN": arn}), "Tags"), "[map[Key:k Value:v]]")
		r.ok("TagResource", object{"ResourceARN": arn, "Tags": object{"l": "w"}})
		r.ok("UntagResource", object{"ResourceARN": arn, "TagKeys": []string{"k"}})
		want(t, "tags", field(r.ok("ListTagsForResource", object{"ResourceARN": arn}), "Tags"), "[map[Key:l Value:w]]")

		r.refused("DescribeStreamConsumer", named("d"), "ResourceNotFoundException", "Consumer d under stream a and account 000000000000 not found.")
		r.refused("DescribeStreamConsumer", object{"ConsumerARN": arnOf("a") + "/consumer/c:1"}, "ResourceNotFoundException", "Consumer c under stream a and account 000000000000 not found.")
		r.refused("DescribeStreamConsumer", object{"ConsumerName": "c"}, "InvalidArgumentException", "Either ConsumerARN or both StreamARN and ConsumerName should be provided.")
		r.refused("DescribeStreamConsumer", object{"ConsumerARN": arn, "ConsumerName": "d"}, "InvalidArgumentException", "ConsumerARN …")
		r.refused("DeleteStream", object{"StreamName": "a"}, "ResourceInUseException", "Stream a under account 000000000000 has 1 registered consumers…")

		for i := range 19 {
			r.ok("RegisterStreamConsumer", named(fmt.Sprint("x", i)))
		}
		r.refused("RegisterStreamConsumer", named("y"), "LimitExceededException", "Stream a under account 000000000000 already has 20 consumers registered…")
		want(t, "count", field(r.ok("DescribeStreamSummary", object{"StreamName": "a"}), "StreamDescriptionSummary.ConsumerCount"), 20)
		var names []string
		list := object{"StreamARN": arnOf("a"), "MaxResults": 8}
		for {
			out := r.ok("ListStreamConsumers", list)
			for _, c := range out["Consumers"].([]any) {
				names = append(names, fmt.Sprint(c.(object)["ConsumerName"]))
			}
			if out["NextToken"] == nil {
				break
			}
			list["NextToken"] = out["NextToken"]
		}
		want(t, "names", strings.Join(names, " "), "c x0 x1 x10 x11 x12 x13 x14 x15 x16 x17 x18 x2 x3 x4 x5 x6 x7 x8 x9")

		r.ok("DeregisterStreamConsumer", byARN)
		want(t, "status", field(r.ok("DescribeStreamConsumer", byARN), "ConsumerDescription.ConsumerStatus"), "DELETING")
		time.Sleep(500 * time.Millisecond)
		r.refused("DescribeStreamConsumer", byARN, "ResourceNotFoundException", "Consumer c under stream a and account 000000000000 not found.")
		c = r.ok("RegisterStreamConsumer", named("c"))["Consumer"].(object)
		if c["ConsumerARN"] == arn {
			t.Errorf("a consumer registered again has the ARN of the first: %s", arn)
		}
		r.ok("DeleteStream", object{"StreamName": "a", "EnforceConsumerDeletion": true})
		time.Sleep(time.Second)
		want(t, "stream", r.status("a"), "ResourceNotFoundException")
	})
}

func TestPolicies(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		c := r.ok("RegisterStreamConsumer", object{"StreamARN": arnOf("a"), "ConsumerName": "c"})
		consumer := fmt.Sprint(field(c, "Consumer.ConsumerARN"))
		time.Sleep(time.Second)
		const policy = `{"Version":"2012-10-17","Statement":[{"Sid":"s","Effect":"Allow","Principal":{"AWS":"123456789012"},"Action":"kinesis:PutRecord","Resource":"*"}]}`
		for _, arn := range []string{arnOf("a"), consumer} {
			want(t, "none", field(r.ok("GetResourcePolicy", object{"ResourceARN": arn}), "Policy"), "{}")
			r.refused("DeleteResourcePolicy", object{"ResourceARN": arn}, "ResourceNotFoundException", "No resource policy found for resource ARN "+arn)
			r.ok("PutResourcePolicy", object{"ResourceARN": arn, "Policy": policy})
			want(t, "policy", field(r.ok("GetResourcePolicy", object{"ResourceARN": arn}), "Policy"), policy)
			r.ok("DeleteResourcePolicy", object{"ResourceARN": arn})
			want(t, "none", field(r.ok("GetResourcePolicy", object{"ResourceARN": arn}), "Policy"), "{}")
		}
		for bad, message := range map[string]string{
			"{":                          "The policy is not valid JSON: …",
			`{"Version":"x"}`:            "The policy has no Statement.",
			`{"Statement":{}}`:           "Statement 1 of the policy has no Effect.",
			strings.Repeat(" ", 2e4+500): "The policy has 20500 bytes; at most 20480 are allowed.",
		} {
			r.refused("PutResourcePolicy", object{"ResourceARN": arnOf("a"), "Policy": bad}, "InvalidArgumentException", message)
		}
	})
}

func TestEncryption(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		with := func(kind, key string) object {
			return object{"StreamName": "a", "EncryptionType": kind, "KeyId": key}
		}
		for _, bad := range []string{"foo", "alias/", "arn:aws:kms:us-east-1:1:key/12345678-1234-1234-1234-123456789012", "arn:aws:s3:::x"} {
			r.refused("StartStreamEncryption", with("KMS", bad), "KMSNotFoundException", "Invalid keyId "+bad)
		}
		r.refused("StartStreamEncryption", with("NONE", "alias/a"), "InvalidArgumentException", "EncryptionType NONE is not valid…")
		for _, key := range []string{
			"alias/aws/kinesis", "12345678-1234-1234-1234-123456789012",
			"arn:aws:kms:us-east-1:123456789012:key/12345678-1234-1234-1234-123456789012", "arn:aws:kms:us-east-1:123456789012:alias/MyAliasName",
		} {
			r.ok("StartStreamEncryption", with("KMS", key))
			want(t, "status", r.status("a"), "UPDATING")
			r.settle("a")
			for _, op := range []string{"DescribeStream", "DescribeStreamSummary"} {
				d := r.ok(op, object{"StreamName": "a"})
				d, _ = d[strings.Replace(op, "DescribeStream", "StreamDescription", 1)].(object)
				want(t, "encryption", words(d["EncryptionType"], d["KeyId"]), "KMS "+key)
			}
		}
		r.ok("StopStreamEncryption", with("KMS", "alias/aws/kinesis"))
		r.settle("a")
		d := r.ok("DescribeStream", object{"StreamName": "a"})["StreamDescription"].(object)
		want(t, "encryption", words(d["EncryptionType"], d["KeyId"]), "NONE <nil>")
	})
}

func TestEncryptionNeedsKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, err := stream.Open(stream.Options{Dir: "streams", FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		r := newRig(t, vfs.NewMem(), kv.NewMem(), func(o *kinesis.Options) { o.Log = log })
		if _, err := log.Create("a", 1); err != nil {
			t.Fatal(err)
		}
		r.refused("StartStreamEncryption", object{"StreamName": "a", "EncryptionType": "KMS", "KeyId": "alias/a"}, "KMSNotFoundException", "Stream a under account 000000000000 cannot be encrypted: the server has no keys.")
		want(t, "status", r.status("a"), "ACTIVE")
	})
}
