package kinesis_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"freshet/stream"
	"freshet/stream/kv"
	"freshet/stream/vfs"
)

const firstShard = "shardId-000000000000"

func (r *rig) put(name string, data ...string) []any {
	r.t.Helper()
	var records []object
	for _, d := range data {
		records = append(records, record("k", d))
	}
	return r.ok("PutRecords", object{"StreamName": name, "Records": records})["Records"].([]any)
}

func TestIteratorTypes(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		began := time.Now()
		first := r.put("a", "a", "b")
		time.Sleep(1500 * time.Millisecond)
		r.put("a", "c")
		n := first[0].(object)["SequenceNumber"]
		st, _ := r.log.Stream("a")
		for _, c := range []struct {
			kind string
			more []any
			want string
		}{
			{"TRIM_HORIZON", nil, "a b c"}, {"LATEST", nil, ""},
			{"AT_SEQUENCE_NUMBER", []any{"StartingSequenceNumber", n}, "a b c"},
			{"AFTER_SEQUENCE_NUMBER", []any{"StartingSequenceNumber", n}, "b c"},
			{"AFTER_SEQUENCE_NUMBER", []any{"StartingSequenceNumber", st.Shards()[0].FirstSequence().String()}, "a b c"},
			{"AT_TIMESTAMP", []any{"Timestamp", began.Add(time.Second).Unix()}, "c"},
			{"AT_TIMESTAMP", []any{"Timestamp", 1}, "a b c"},
			{"AT_TIMESTAMP", []any{"Timestamp", float64(time.Now().UnixMilli()) / 1000}, "c"},
		} {
			got, out := r.get(r.iterator("a", firstShard, c.kind, c.more...), 10)
			want(t, fmt.Sprint(c.kind, c.more), got, c.want)
			want(t, c.kind+": behind", out["MillisBehindLatest"], 0)
		}
	})
}

func TestIteratorRefusals(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 2)
		time.Sleep(2 * time.Second)
		r.create("b", 2)
		put := r.ok("PutRecord", object{"StreamName": "a", "PartitionKey": "k", "Data": "YQ=="}) // in the second shard
		n := put["SequenceNumber"].(string)
		parsed, _ := stream.ParseSequenceNumber(n)
		next := parsed
		next.Offset++
		bad := func(message, kind string, more ...any) {
			t.Helper()
			in := object{"StreamName": "a", "ShardId": put["ShardId"], "ShardIteratorType": kind}
			for i := 0; i < len(more); i += 2 {
				in[more[i].(string)] = more[i+1]
			}
			r.refused("GetShardIterator", in, "InvalidArgumentException", message)
		}
		const either = "Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or (2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified "
		bad(either+"AT_SEQUENCE_NUMBER and no StartingSequenceNumber.", "AT_SEQUENCE_NUMBER")
		bad(either+"LATEST and also a StartingSequenceNumber.", "LATEST", "StartingSequenceNumber", n)
		bad("Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.", "AT_TIMESTAMP")
		now := time.Now()
		bad(fmt.Sprintf("The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. timestampInMillis: %d, currentTimestampInMillis: %d", now.Add(time.Hour).Unix()*1000, now.UnixMilli()),
			"AT_TIMESTAMP", "Timestamp", now.Add(time.Hour).Unix())
		bad("Invalid StartingSequenceNumber. It encodes shardId-000000000001, while it was used in a call to a shard with shardId-000000000000", "AT_SEQUENCE_NUMBER", "StartingSequenceNumber", n, "ShardId", firstShard)
		const used = "StartingSequenceNumber %s used in GetShardIterator on shard shardId-000000000001 in stream %s under account 000000000000 is invalid%s"
		bad(fmt.Sprintf(used, "1", "a", "."), "AT_SEQUENCE_NUMBER", "StartingSequenceNumber", "1")
		bad(fmt.Sprintf(used, next, "a", "."), "AT_SEQUENCE_NUMBER", "StartingSequenceNumber", next.String())
		bad(fmt.Sprintf(used, n, "b", " because it did not come from this stream."), "AT_SEQUENCE_NUMBER", "StartingSequenceNumber", n, "StreamName", "b")
		in := object{"StreamName": "a", "ShardId": "shardId-000000000009", "ShardIteratorType": "LATEST"}
		r.refused("GetShardIterator", in, "ResourceNotFoundException", "Shard shardId-000000000009 in stream a under account 000000000000 does not exist")
		in["ShardId"] = "nope"
		r.refused("GetShardIterator", in, "ResourceNotFoundException", "Could not find shard nope in stream a under account 000000000000.")
		in["ShardId"], in["DryRun"] = firstShard, true
		r.refused("GetShardIterator", in, "DryRunOperationException", "Request would…")
	})
}

func TestIteratorsEnd(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		r.put("a", "a")
		it := r.iterator("a", firstShard, "TRIM_HORIZON")
		made := time.Now().UTC()
		time.Sleep(5 * time.Minute)
		want(t, "after 5 minutes", first(r.get(it, 1)), "a")
		time.Sleep(time.Second)
		const form = "Mon Jan 02 15:04:05 UTC 2006"
		r.refused("GetRecords", object{"ShardIterator": it}, "ExpiredIteratorException",
			"Iterator expired. The iterator was created at time "+made.Format(form)+" while right now it is "+time.Now().UTC().Format(form)+" which is further in the future than the tolerated delay of 300000 milliseconds.")

		it = r.iterator("a", firstShard, "TRIM_HORIZON")
		for _, bad := range []string{"x", "A" + it[1:], it[:len(it)-8] + "AAAAAAA=", strings.Repeat("A", 204)} {
			if bad != it {
				r.refused("GetRecords", object{"ShardIterator": bad}, "InvalidArgumentException", "Invalid ShardIterator.")
			}
		}
		r.create("b", 1)
		r.refused("GetRecords", object{"ShardIterator": it, "StreamARN": arnOf("b")}, "InvalidArgumentException", "The ShardIterator is one of stream a and was used in a call to stream b.")
		r.refused("GetRecords", object{"ShardIterator": it, "DryRun": true}, "DryRunOperationException", "Request would…")
		r.refused("GetRecords", object{"ShardIterator": it, "Limit": 10001}, "ValidationException", "1 validation error detected: Value '10001' at 'limit' failed to satisfy constraint: Member must have value less than or equal to 10000")

		r.ok("DeleteStream", object{"StreamName": "a"})
		time.Sleep(time.Second)
		r.refused("GetRecords", object{"ShardIterator": it}, "ResourceNotFoundException", "Stream a under account 000000000000 not found.")
		r.create("a", 1) // another of that name
		r.refused("GetRecords", object{"ShardIterator": it}, "ResourceNotFoundException", "Stream a under account 000000000000 not found.")
	})
}

func first[A, B any](a A, _ B) A { return a }

func TestIteratorsOutliveARestart(t *testing.T) {
	disk, store := vfs.NewMem(), kv.NewMem()
	r := newRig(t, disk, store)
	r.create("a", 1)
	r.put("a", "a", "b")
	it := r.iterator("a", firstShard, "TRIM_HORIZON")
	_, out := r.get(it, 1)
	r.stop()
	r = newRig(t, disk, store)
	want(t, "after a restart", first(r.get(out["NextShardIterator"], 10)), "b")
}

func TestGetRecords(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		it := any(r.iterator("a", firstShard, "LATEST"))
		var out object
		for i := range 20 { // a consumer that polls
			r.put("a", fmt.Sprint("a", i), fmt.Sprint("b", i), fmt.Sprint("c", i))
			time.Sleep(time.Second)
			got, one := r.get(it, 2)
			want(t, "two records", got, fmt.Sprintf("a%d b%d", i, i))
			want(t, "behind", one["MillisBehindLatest"], 1000)
			got, out = r.get(one["NextShardIterator"], 10)
			want(t, "the third", got, fmt.Sprint("c", i))
			want(t, "behind at the tip", out["MillisBehindLatest"], 0)
			want(t, "the same iterator again", first(r.get(it, 10)), fmt.Sprintf("a%d b%d c%d", i, i, i))
			it = out["NextShardIterator"]
		}
		x := out["Records"].([]any)[0].(object)
		want(t, "key", x["PartitionKey"], "k")
		arrived, _ := x["ApproximateArrivalTimestamp"].(json.Number).Float64()
		want(t, "arrival", arrived, float64(time.Now().UnixMilli()-1000)/1000)
		got, out := r.get(it, 10)
		want(t, "at the tip", words(got, out["MillisBehindLatest"], out["ChildShards"]), words("", 0, nil))
	})
}

// TestGetRecordsBothWays compares the answer of the fast way with that of the general one.
func TestGetRecordsBothWays(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		for _, key := range []string{"plain", "é", "\n\"\\\x7f", strings.Repeat("ß", 256)} {
			for _, data := range []string{"", "a", "ab", "abc", "\x00\xff"} {
				r.ok("PutRecord", object{"StreamName": "a", "PartitionKey": key, "Data": base64Of([]byte(data))})
				time.Sleep(123 * time.Millisecond)
			}
		}
		read := func() {
			t.Helper()
			it := r.iterator("a", firstShard, "TRIM_HORIZON")
			for _, limit := range []string{"", `,"Limit":7`} {
				body := []byte(`{"ShardIterator":"` + it + `"` + limit + `}`)
				status, fast := r.post("GetRecords", body)
				wantStatus, general := r.post("GetRecords", odd(body))
				cut := func(s string) string {
					head, tail, ok := strings.Cut(s, `"NextShardIterator":"`)
					if ok {
						_, tail, _ = strings.Cut(tail, `"`)
					}
					return head + tail
				}
				if status != 200 || wantStatus != 200 || cut(fast) != cut(general) {
					t.Errorf("\n got %d %s\nwant %d %s", status, fast, wantStatus, general)
				}
			}
		}
		read()
		r.ok("SplitShard", object{"StreamName": "a", "ShardToSplit": firstShard, "NewStartingHashKey": "170141183460469231731687303715884105728"})
		r.settle("a")
		read()
	})
}

func TestGetRecordsOfAClosedShard(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		r.put("a", "a", "b")
		latest := r.iterator("a", firstShard, "LATEST")
		r.ok("SplitShard", object{"StreamName": "a", "ShardToSplit": firstShard, "NewStartingHashKey": "170141183460469231731687303715884105728"})
		r.settle("a")
		children := "[map[HashKeyRange:map[EndingHashKey:170141183460469231731687303715884105727 StartingHashKey:0] ParentShards:[shardId-000000000000] ShardId:shardId-000000000001]" +
			" map[HashKeyRange:map[EndingHashKey:340282366920938463463374607431768211455 StartingHashKey:170141183460469231731687303715884105728] ParentShards:[shardId-000000000000] ShardId:shardId-000000000002]]"
		st, _ := r.log.Stream("a")
		end := st.Shards()[0].LastSequence().String()
		for _, it := range []any{latest, r.iterator("a", firstShard, "LATEST"), r.iterator("a", firstShard, "AFTER_SEQUENCE_NUMBER", "StartingSequenceNumber", end)} {
			got, out := r.get(it, 10)
			want(t, "at the end", words(got, out["NextShardIterator"], out["ChildShards"], out["MillisBehindLatest"]), words("", nil, children, 0))
		}
		got, out := r.get(r.iterator("a", firstShard, "TRIM_HORIZON"), 1)
		want(t, "before the end", words(got, out["ChildShards"]), words("a", nil))
		got, out = r.get(out["NextShardIterator"], 1)
		want(t, "with the last record", words(got, out["NextShardIterator"], out["ChildShards"]), words("b", nil, children))
	})
}

func TestGetRecordsBounds(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		for range 12 {
			r.put("a", strings.Repeat("A", 1<<20-1))
		}
		it := any(r.iterator("a", firstShard, "TRIM_HORIZON"))
		for _, n := range []int{10, 2, 0} {
			out := r.ok("GetRecords", object{"ShardIterator": it})
			want(t, "records of 1 MiB", len(out["Records"].([]any)), n)
			it = out["NextShardIterator"]
		}
		many := make([]string, 500)
		for range 21 {
			r.put("a", many...)
		}
		for _, n := range []int{10000, 500, 0} {
			out := r.ok("GetRecords", object{"ShardIterator": it})
			want(t, "small records", len(out["Records"].([]any)), n)
			it = out["NextShardIterator"]
		}
	})
}

func TestGetRecordsPastRetention(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		old := r.put("a", "a")[0].(object)["SequenceNumber"]
		time.Sleep(23 * time.Hour)
		large := strings.Repeat("A", 1<<20-1) // more than a file takes
		r.put("a", large)
		r.put("a", "b")
		time.Sleep(58 * time.Minute)
		it := r.iterator("a", firstShard, "TRIM_HORIZON")
		want(t, "in time", first(r.get(it, 1)), "a")
		time.Sleep(4 * time.Minute)
		st, _ := r.log.Stream("a")
		if st.Shards()[0].Horizon() == 0 {
			t.Fatal("nothing was dropped")
		}
		want(t, "an iterator from before", first(r.get(it, 2)) == large+" b", true)
		for _, kind := range []string{"TRIM_HORIZON", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER"} {
			var more []any
			if kind != "TRIM_HORIZON" {
				more = []any{"StartingSequenceNumber", old}
			}
			want(t, kind, first(r.get(r.iterator("a", firstShard, kind, more...), 10)) == large+" b", true)
		}
	})
}

// FuzzGet holds the two ways to read a GetRecords to each other.
func FuzzGet(f *testing.F) {
	r := newRig(f, vfs.NewMem(), kv.NewMem())
	r.create("a", 1)
	it := r.iterator("a", firstShard, "LATEST")
	for _, body := range []string{
		`{"ShardIterator":"I"}`, ` { "Limit" : 1 , "ShardIterator" : "I" } `, `{"ShardIterator":"I","Limit":0}`, `{"ShardIterator":"I","Limit":10001}`,
		`{"ShardIterator":"I","Limit":1.5}`, `{"ShardIterator":"I","Limit":1e3}`, `{"ShardIterator":"I","Limit":01}`, `{"ShardIterator":"I","Limit":-1}`,
		`{"ShardIterator":"I","Limit":"1"}`, `{"ShardIterator":"I","Limit":null}`, `{"ShardIterator":"I","Limit":7}x`, `{"ShardIterator":"I","Limit":7,}`,
		`{"ShardIterator":null}`, `{"ShardIterator":""}`, `{"ShardIterator":"\u0041"}`, `{"ShardIterator":"` + strings.Repeat("é", 400) + `"}`, `{}`, `{"Limit":1}`,
		`{"ShardIterator":"I","ShardIterator":"J"}`, `{"ShardIterator":"I","StreamARN":"x"}`, `{"ShardIterator":"I","DryRun":true}`, `{"ShardIterator":"I","Limit":1 2}`,
	} {
		f.Add(strings.ReplaceAll(body, `"I"`, `"`+it+`"`))
	}
	next := regexp.MustCompile(`"NextShardIterator":"[^"]*"`)
	f.Fuzz(func(t *testing.T, body string) {
		status, answer := r.post("GetRecords", []byte(body))
		wantStatus, wantAnswer := r.post("GetRecords", odd([]byte(body)))
		if answer, want := next.ReplaceAllString(answer, "N"), next.ReplaceAllString(wantAnswer, "N"); status != wantStatus || answer != want {
			t.Fatalf("%q:\n got %d %s\nwant %d %s", body, status, answer, wantStatus, want)
		}
	})
}
