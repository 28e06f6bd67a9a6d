package kinesis_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"freshet/stream/kinesis"
)

const exceeded = "Rate exceeded for shard shardId-000000000000 in stream a under account 000000000000."

func limited(o *kinesis.Options) { o.ShardLimits = true }

func TestPutLimits(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		failed := func(data ...string) string {
			t.Helper()
			records := make([]object, len(data))
			for i := range data {
				records[i] = record("k", data[i])
			}
			out := r.ok("PutRecords", object{"StreamName": "a", "Records": records})
			for _, x := range out["Records"].([]any) {
				if x := x.(object); x["ErrorCode"] != nil && words(x["ErrorCode"], x["ErrorMessage"]) != words("ProvisionedThroughputExceededException", exceeded) {
					t.Fatalf("got %v", x)
				}
			}
			return fmt.Sprint(out["FailedRecordCount"])
		}
		many := make([]string, 500)
		want(t, "a thousand records", failed(many...)+" "+failed(many...), "0 0")
		want(t, "one more", failed("a"), 1)
		r.refused("PutRecord", object{"StreamName": "a", "PartitionKey": "k", "Data": ""}, "ProvisionedThroughputExceededException", exceeded)
		time.Sleep(100 * time.Millisecond)
		want(t, "a tenth of a second later", failed(many...), 400)
		time.Sleep(time.Second)
		half := strings.Repeat("A", 1<<19-1)
		want(t, "a MiB and more", failed(half, half, half), 1)
		time.Sleep(500 * time.Millisecond)
		want(t, "half a second later", failed(half, half), 1)

		r.ok("AddTagsToStream", object{"StreamName": "a", "Tags": object{"freshet:shard-limits": "none"}})
		want(t, "without limits", failed(many...)+failed(many...)+failed(many...), "000")
	}, limited)
}

func TestLargeRecordsGoIntoDebt(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		r.ok("UpdateMaxRecordSize", object{"StreamARN": arnOf("a"), "MaxRecordSizeInKiB": 10240})
		r.settle("a")
		large := object{"StreamName": "a", "PartitionKey": "k", "Data": base64Of(make([]byte, 4<<20))}
		r.ok("PutRecord", large)
		time.Sleep(3 * time.Second)
		r.refused("PutRecord", large, "ProvisionedThroughputExceededException", exceeded)
		time.Sleep(1100 * time.Millisecond)
		r.ok("PutRecord", large)
	}, limited)
}

func TestGetLimits(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		it := object{"ShardIterator": r.iterator("a", firstShard, "TRIM_HORIZON")}
		for range 5 {
			r.ok("GetRecords", it)
		}
		r.refused("GetRecords", it, "ProvisionedThroughputExceededException", exceeded)
		time.Sleep(200 * time.Millisecond)
		r.ok("GetRecords", it)
		r.refused("GetRecords", it, "ProvisionedThroughputExceededException", exceeded)
		for range 10 {
			time.Sleep(2 * time.Second)
			r.put("a", strings.Repeat("A", 1<<20-2))
		}
		want(t, "10 MiB", len(r.ok("GetRecords", it)["Records"].([]any)), 10)
		time.Sleep(3900 * time.Millisecond)
		r.refused("GetRecords", it, "ProvisionedThroughputExceededException", exceeded)
		time.Sleep(200 * time.Millisecond)
		r.ok("GetRecords", it)
	}, limited)
}
