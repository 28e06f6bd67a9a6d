package kinesis_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"freshet/stream"
	"freshet/stream/kinesis"
	"freshet/stream/kv"
	"freshet/stream/vfs"
)

func TestPutRecord(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 2)
		put := func(more object) object {
			in := object{"StreamName": "a", "PartitionKey": "k", "Data": "YQ=="}
			for k, v := range more {
				in[k] = v
			}
			return in
		}
		first := r.ok("PutRecord", put(nil))
		want(t, "shard", first["ShardId"], "shardId-000000000001")
		want(t, "encryption", first["EncryptionType"], nil)
		second := r.ok("PutRecord", put(object{"SequenceNumberForOrdering": first["SequenceNumber"]}))
		if a, b := fmt.Sprint(first["SequenceNumber"]), fmt.Sprint(second["SequenceNumber"]); len(a) != 56 || a >= b {
			t.Errorf("sequence numbers: got %s, then %s", a, b)
		}
		want(t, "by hash key", r.ok("PutRecord", put(object{"ExplicitHashKey": "0"}))["ShardId"], "shardId-000000000000")

		bad := "ExclusiveMinimumSequenceNumber %s used in PutRecord on stream a under account 000000000000 is invalid."
		n, _ := stream.ParseSequenceNumber(fmt.Sprint(second["SequenceNumber"]))
		n.Offset += 10
		for _, text := range []string{"1", n.String()} {
			r.refused("PutRecord", put(object{"SequenceNumberForOrdering": text}), "InvalidArgumentException", fmt.Sprintf(bad, text))
		}
		r.refused("PutRecord", put(object{"ExplicitHashKey": "340282366920938463463374607431768211456"}), "InvalidArgumentException",
			"Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. Specified value was 340282366920938463463374607431768211456")
		r.refused("PutRecord", put(object{"StreamName": "b"}), "ResourceNotFoundException", "Stream b under account 000000000000 not found.")
		r.refused("PutRecord", put(object{"PartitionKey": nil}), "ValidationException", "1 validation error detected: Value null at 'partitionKey' failed to satisfy constraint: Member must not be null")
		r.refused("PutRecord", put(object{"DryRun": true}), "DryRunOperationException", "Request would have succeeded, but DryRun flag is set.")

		large := strings.Repeat("A", 1<<20)
		r.ok("PutRecord", put(object{"Data": base64Of([]byte(large[1:]))}))
		r.refused("PutRecord", put(object{"Data": base64Of([]byte(large))}), "InvalidArgumentException", "The data (1048576 bytes) and the partition key (1 bytes) at 'data' are together…")
		r.refused("PutRecord", put(object{"Data": base64Of([]byte(large + "A"))}), "ValidationException",
			"1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=1048577 cap=1048577]' at 'data' failed to satisfy constraint: Member must have length less than or equal to 1048576")
		r.ok("UpdateMaxRecordSize", object{"StreamARN": arnOf("a"), "MaxRecordSizeInKiB": 10240})
		r.settle("a")
		r.ok("PutRecord", put(object{"Data": base64Of([]byte(strings.Repeat(large, 8)))}))
	})
}

func TestPutRecords(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 4)
		var records []object
		for i := range 500 {
			records = append(records, record(fmt.Sprint("key ", i%50), fmt.Sprint(i)))
		}
		out := r.ok("PutRecords", object{"StreamARN": arnOf("a"), "Records": records})
		want(t, "failed", out["FailedRecordCount"], 0)
		last := map[any]string{}
		for i, x := range out["Records"].([]any) {
			x := x.(object)
			n, err := stream.ParseSequenceNumber(fmt.Sprint(x["SequenceNumber"]))
			st, _ := r.log.Stream("a")
			sh := st.ShardFor(stream.HashPartitionKey(fmt.Sprint("key ", i%50)))
			if err != nil || x["ShardId"] != sh.ID().String() || n.Shard != sh.ID() {
				t.Fatalf("record %d: got %v, want it in %s", i, x, sh)
			}
			if got := recordsOf(t, sh, n.Offset, n.Offset+1)[0]; string(got.Data) != fmt.Sprint(i) || sh.SequenceNumber(n.Offset, got.Arrived) != n {
				t.Fatalf("record %d at %s: got %q", i, n, got.Data)
			}
			if s := n.String(); s <= last[x["ShardId"]] {
				t.Fatalf("record %d: %s comes after %s", i, s, last[x["ShardId"]])
			} else {
				last[x["ShardId"]] = s
			}
		}
		want(t, "shards with records", len(last), 4)

		r.refused("PutRecords", object{"StreamName": "a", "Records": []object{{"Data": ""}, record("k", ""), {"Data": ""}}}, "ValidationException",
			"2 validation errors detected: Value null at 'records.1.member.partitionKey' failed to satisfy constraint: Member must not be null; Value null at 'records.3.member.partitionKey' failed to satisfy constraint: Member must not be null")
		mega := record("k", strings.Repeat("A", 1<<20-1))
		r.refused("PutRecords", object{"StreamName": "a", "Records": []object{mega, mega, mega, mega, mega, mega, mega, mega, mega, mega, record("k", "")}},
			"InvalidArgumentException", "Records size exceeds 10 MB limit")
		r.refused("PutRecords", object{"StreamName": "a", "Records": []object{record("k", ""), record("k", strings.Repeat("A", 1<<20+1))}}, "ValidationException",
			"1 validation error detected: Value 'java.nio.HeapByteBuffer[pos=0 lim=1048577 cap=1048577]' at 'records.2.member.data' failed to satisfy constraint: Member must have length less than or equal to 1048576")
		r.refused("PutRecords", object{"StreamName": "a", "DryRun": true, "Records": []object{record("k", "")}}, "DryRunOperationException", "Request would…")
		r.refused("PutRecords", object{"StreamName": "a", "StreamARN": arnOf("b"), "Records": []object{record("k", "")}}, "ResourceNotFoundException", "Stream b under account 000000000000 not found.")
	})
}

func TestPutEncrypted(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		r.ok("StartStreamEncryption", object{"StreamName": "a", "EncryptionType": "KMS", "KeyId": "alias/k"})
		r.settle("a")
		in := object{"StreamName": "a", "PartitionKey": "k", "Data": "YQ=="}
		want(t, "PutRecord", r.ok("PutRecord", in)["EncryptionType"], "KMS")
		want(t, "PutRecords", r.ok("PutRecords", object{"StreamName": "a", "Records": []object{record("k", "b")}})["EncryptionType"], "KMS")
		data, out := r.get(r.iterator("a", "shardId-000000000000", "TRIM_HORIZON"), 10)
		want(t, "data", data, "a b")
		want(t, "GetRecords", out["Records"].([]any)[1].(object)["EncryptionType"], "KMS")
	})
}

func TestAutoDistribution(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.ok("CreateStream", object{"StreamName": "a", "StreamModeDetails": object{"StreamMode": "ON_DEMAND"}})
		r.settle("a")
		r.ok("UpdateStreamRecordDistributionStrategy", object{"StreamARN": arnOf("a"), "RecordDistributionStrategy": "AUTO"})
		r.settle("a")
		got := map[any]int{}
		for range 10 {
			records := make([]object, 40)
			for i := range records {
				records[i] = object{"Data": "YQ=="}
				if i%2 == 0 { // they are ignored
					records[i]["PartitionKey"], records[i]["ExplicitHashKey"] = "k", "0"
				}
			}
			for _, x := range r.ok("PutRecords", object{"StreamName": "a", "Records": records})["Records"].([]any) {
				got[x.(object)["ShardId"]]++
			}
		}
		for range 40 {
			got[r.ok("PutRecord", object{"StreamName": "a", "Data": "YQ=="})["ShardId"]]++
		}
		st, _ := r.log.Stream("a")
		for _, sh := range st.OpenShards() {
			want(t, sh.String(), got[sh.ID().String()], 440/len(st.OpenShards()))
			for _, x := range recordsOf(t, sh, 0, sh.Durable()) {
				if !x.Explicit || !sh.Holds(x.HashKey) {
					t.Fatalf("a record of %s has hash key %s", sh, x.HashKey)
				}
			}
		}
	})
}

// TestPutDuringReshards has writers that each send numbers under keys of their own while
// shards are split and merged: of each key the numbers are read in order, parent before child.
func TestPutDuringReshards(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 2)
		st, _ := r.log.Stream("a")
		ctx, stop := context.WithCancel(context.Background())
		var writers sync.WaitGroup
		sent := make([]int, 8)
		for w := range sent {
			writers.Go(func() {
				for ctx.Err() == nil {
					var records []object
					for i := range 20 {
						records = append(records, record(fmt.Sprintf("w%d-%d", w, i%3), fmt.Sprint(sent[w]+i)))
					}
					if out := r.ok("PutRecords", object{"StreamName": "a", "Records": records}); fmt.Sprint(out["FailedRecordCount"]) != "0" {
						t.Errorf("got %v", out)
					}
					sent[w] += 20
					time.Sleep(time.Millisecond)
				}
			})
		}
		random := rand.New(rand.NewPCG(1, 1))
		for range 30 {
			open := st.OpenShards()
			if i := random.IntN(len(open)); len(open) < 4 || random.IntN(2) == 0 && len(open) < 10 {
				first, last := open[i].Range()
				if first.Compare(last) != 0 {
					_, _ = st.Split(ctx, open[i].ID(), stream.HashKey{Hi: first.Hi + (last.Hi-first.Hi)/2, Lo: last.Lo})
				}
			} else if i+1 < len(open) {
				_, _ = st.Merge(ctx, open[i].ID(), open[i+1].ID())
			}
			time.Sleep(2 * time.Millisecond)
		}
		stop()
		writers.Wait()
		next := map[string]int{}
		for _, sh := range st.Shards() { // a child has a higher id than its parents
			for _, x := range recordsOf(t, sh, 0, sh.Durable()) {
				var n int
				if _, err := fmt.Sscan(string(x.Data), &n); err != nil || n < next[string(x.PartitionKey)] {
					t.Fatalf("%s: %s comes after %d", x.PartitionKey, x.Data, next[string(x.PartitionKey)])
				}
				next[string(x.PartitionKey)] = n + 1
			}
		}
		total := 0
		for _, sh := range st.Shards() {
			total += int(sh.Durable())
		}
		for _, n := range sent {
			total -= n
		}
		want(t, "records that are not there", -total, 0)
		if len(st.Shards()) < 10 {
			t.Errorf("got %d shards, want more reshards", len(st.Shards()))
		}
	})
}

// A brittleFS fails every sync of files whose name contains a word, or holds it up.
type brittleFS struct {
	vfs.FS
	mu   sync.Mutex
	bad  string
	hold chan struct{} // not nil: syncs wait until it is closed
}

type brittleFile struct {
	vfs.File
	fs   *brittleFS
	name string
}

func (b *brittleFS) Create(name string) (vfs.File, error) {
	f, err := b.FS.Create(name)
	return brittleFile{f, b, name}, err
}

func (b *brittleFS) set(bad string, hold chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.bad, b.hold = bad, hold
}

func (f brittleFile) Sync() error {
	f.fs.mu.Lock()
	bad, hold := f.fs.bad != "" && strings.Contains(f.name, f.fs.bad), f.fs.hold
	f.fs.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if bad {
		return &fs.PathError{Op: "sync", Path: f.name, Err: errors.New("no")}
	}
	return f.File.Sync()
}

// brittleRig is a rig with stream a of two shards, and a key for each.
func brittleRig(t *testing.T) (*rig, *brittleFS, [2]string) {
	t.Helper()
	disk := &brittleFS{FS: vfs.NewMem()}
	log, err := stream.Open(stream.Options{Dir: "streams", FS: disk, PendingBytes: 1000})
	if err != nil {
		t.Fatal(err)
	}
	service, err := kinesis.New(kinesis.Options{Log: log, Store: kv.NewMem(), AuthOff: true, Settle: -1})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, log: log, service: service, handler: service.Handler()}
	ctx, end := context.WithCancel(context.Background())
	r.done.Go(func() { log.Run(ctx) })
	r.done.Go(func() { service.Run(ctx) })
	t.Cleanup(func() {
		end()
		r.done.Wait()
		log.Close()
	})
	r.create("a", 2)
	st, _ := log.Stream("a")
	var keys [2]string
	for i := range 100 {
		k := fmt.Sprint(i)
		keys[st.ShardFor(stream.HashPartitionKey(k)).ID()] = k
	}
	return r, disk, keys
}

func TestPutPartialFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, disk, keys := brittleRig(t)
		disk.set("/shardId-000000000001/", nil)
		in := object{"StreamName": "a", "Records": []object{record(keys[0], "a"), record(keys[1], "b"), record(keys[0], "c")}}
		for range 2 { // the second finds the shard failed
			out := r.ok("PutRecords", in)
			want(t, "failed", out["FailedRecordCount"], 1)
			records := out["Records"].([]any)
			want(t, "the bad one", records[1], "map[ErrorCode:InternalFailure ErrorMessage:Internal service failure.]")
			want(t, "the last", records[2].(object)["ShardId"], firstShard)
		}
		body, _ := json.Marshal(object{"StreamName": "a", "PartitionKey": keys[1], "Data": ""})
		if status, answer := r.post("PutRecord", body); status != http.StatusInternalServerError || !strings.Contains(answer, "InternalFailure") {
			t.Errorf("PutRecord: got %d %s", status, answer)
		}
	})
}

func TestPutOverload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, disk, keys := brittleRig(t)
		hold := make(chan struct{})
		disk.set("", hold)
		put := func(key string) object {
			return object{"StreamName": "a", "Records": []object{record(key, strings.Repeat("A", 600)), record(key, "")}}
		}
		var early sync.WaitGroup
		for range 2 { // one is on its way to the disk, one waits
			early.Go(func() { want(t, "failed", r.ok("PutRecords", put(keys[0]))["FailedRecordCount"], 0) })
			synctest.Wait()
		}
		// The answer has to wait for the other shard's disk.
		in := put(keys[0])
		in["Records"] = append(in["Records"].([]object), record(keys[1], "b"))
		early.Go(func() {
			out := r.ok("PutRecords", in)
			want(t, "failed", out["FailedRecordCount"], 2)
			want(t, "over capacity", out["Records"].([]any)[1], "map[ErrorCode:ProvisionedThroughputExceededException ErrorMessage:"+exceeded+"]")
			want(t, "the other shard", out["Records"].([]any)[2].(object)["ShardId"], "shardId-000000000001")
		})
		synctest.Wait()
		r.refused("PutRecord", object{"StreamName": "a", "PartitionKey": keys[0], "Data": base64Of(make([]byte, 900))}, "ProvisionedThroughputExceededException", exceeded)
		close(hold)
		early.Wait()
		r.ok("PutRecords", in)
	})
}
