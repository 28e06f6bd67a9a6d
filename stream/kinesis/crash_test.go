package kinesis_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"freshet/stream/kinesis"
	"freshet/stream/kv"
	"freshet/stream/vfs"
)

// All that is set for a stream is there after a restart.
func TestSettingsOutliveARestart(t *testing.T) {
	store, err := kv.Open(filepath.Join(t.TempDir(), "kinesis.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	fs := vfs.NewMem()
	quick := func(o *kinesis.Options) { o.Settle = -1 }
	r := newRig(t, fs, store, quick)
	r.ok("UpdateAccountSettings", object{"MinimumThroughputBillingCommitment": object{"Status": "ENABLED"}})
	r.ok("CreateStream", object{"StreamName": "a", "StreamModeDetails": object{"StreamMode": "ON_DEMAND"}, "Tags": object{"k": "v"}, "WarmThroughputMiBps": 7, "RecordDistributionStrategy": "AUTO", "MaxRecordSizeInKiB": 2048})
	r.ok("EnableEnhancedMonitoring", object{"StreamName": "a", "ShardLevelMetrics": []string{"ALL"}})
	r.ok("IncreaseStreamRetentionPeriod", object{"StreamName": "a", "RetentionPeriodHours": 100})
	r.ok("StartStreamEncryption", object{"StreamName": "a", "EncryptionType": "KMS", "KeyId": "alias/k"})
	consumer := field(r.ok("RegisterStreamConsumer", object{"StreamARN": arnOf("a"), "ConsumerName": "c"}), "Consumer.ConsumerARN")
	r.ok("PutResourcePolicy", object{"ResourceARN": arnOf("a"), "Policy": `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`})
	token := func(r *rig) any {
		return r.ok("ListShards", object{"StreamName": "a", "MaxResults": 1})["NextToken"]
	}(r)
	look := func(r *rig) string {
		return fmt.Sprint(
			r.ok("DescribeStream", object{"StreamName": "a"}), r.ok("DescribeStreamSummary", object{"StreamName": "a"}),
			r.ok("ListTagsForStream", object{"StreamName": "a"}), r.ok("DescribeStreamConsumer", object{"ConsumerARN": consumer}),
			r.ok("GetResourcePolicy", object{"ResourceARN": arnOf("a")}), r.ok("DescribeAccountSettings", object{}),
		)
	}
	before := look(r)
	r.stop()
	r = newRig(t, fs, store, quick)
	want(t, "after the restart", look(r), before)
	want(t, "a token of before", ids(r.ok("ListShards", object{"NextToken": token})["Shards"]), "[01 02 03]")
}

// The server is lost at every write to the store, once before and once after it is done.
// What was answered is there afterwards, what was begun ends, and what was not answered is
// there wholly or not at all.
func TestCrashAtEveryWriteOfTheStore(t *testing.T) {
	for _, done := range []bool{false, true} {
		for n := 1; ; n++ {
			over := false
			t.Run(fmt.Sprintf("done=%v/write=%d", done, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { over = crashAt(t, n, done) })
			})
			if over || t.Failed() {
				break
			}
		}
	}
}

// crashAt runs a script on a store that is lost at the n-th write. It says whether the
// script has no n-th write.
func crashAt(t *testing.T, n int, done bool) bool {
	fs, mem := vfs.NewMem(), kv.NewMem()
	if _, err := kinesisSecret(mem, fs); err != nil {
		t.Fatal(err)
	}
	brittle := &brittleStore{Store: mem, left: n, done: done}
	r := newRig(t, fs, brittle)
	answered := map[string]bool{}
	for _, step := range []struct {
		op string
		in object
	}{
		{"CreateStream", object{"StreamName": "a", "ShardCount": 3, "Tags": object{"k": "v"}, "MaxRecordSizeInKiB": 2048}},
		{"AddTagsToStream", object{"StreamName": "a", "Tags": object{"l": "w"}}},
		{"UpdateShardCount", scale(5)},
		{"CreateStream", object{"StreamName": "b", "ShardCount": 1}},
		{"DeleteStream", object{"StreamName": "b"}},
	} {
		status, _ := r.call(step.op, step.in)
		answered[step.op+fmt.Sprint(step.in["StreamName"])] = status == http.StatusOK
		if status != http.StatusOK && status != http.StatusInternalServerError {
			t.Fatalf("%s: got %d", step.op, status)
		}
		if status != http.StatusOK {
			break
		}
		time.Sleep(501 * time.Millisecond)
	}
	time.Sleep(time.Duration(n%3) * 100 * time.Millisecond)
	brittle.mu.Lock()
	over := brittle.left > 0
	brittle.mu.Unlock()
	fs = r.kill()

	r = newRig(t, fs, mem)
	time.Sleep(2 * time.Second)
	checkAfterCrash(t, r, answered)
	if rest, err := mem.List(t.Context(), "kinesis/create/"); err != nil || len(rest) > 0 {
		t.Errorf("intents are left: %v %v", rest, err)
	}
	return over
}

func checkAfterCrash(t *testing.T, r *rig, answered map[string]bool) {
	t.Helper()
	switch status := r.status("a"); {
	case status == "ResourceNotFoundException" && !answered["CreateStreama"]:
		r.create("a", 3)
		return
	case status != "ACTIVE":
		t.Fatalf("stream a is %s", status)
	}
	tags := fmt.Sprint(r.ok("ListTagsForStream", object{"StreamName": "a"})["Tags"])
	both := "[map[Key:k Value:v] map[Key:l Value:w]]"
	if tags != both && (answered["AddTagsToStreama"] || tags != "[map[Key:k Value:v]]") {
		t.Errorf("tags: got %s", tags)
	}
	want(t, "record size", field(r.ok("DescribeStreamSummary", object{"StreamName": "a"}), "StreamDescriptionSummary.MaxRecordSizeInKiB"), 2048)
	s, _ := r.log.Stream("a")
	if open := len(s.OpenShards()); open == 5 {
		checkEven(t, s, 5)
	} else if open != 3 || answered["UpdateShardCounta"] {
		t.Errorf("%d open shards", open)
	}
	status := r.status("b")
	if answered["DeleteStreamb"] && status != "ResourceNotFoundException" {
		t.Errorf("stream b, which was deleted, is %s", status)
	}
	if answered["CreateStreamb"] && status != "ACTIVE" && status != "ResourceNotFoundException" {
		t.Errorf("stream b is %s", status)
	}
}

// kinesisSecret has a service make its secret, so that no crash has to.
func kinesisSecret(store kv.Store, fs *vfs.Mem) (*kinesis.Service, error) {
	log, err := openLog(fs)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	return kinesis.New(kinesis.Options{Log: log, Store: store, AuthOff: true})
}

// A plan of splits and merges that a failing disk and a crash cut short goes on, from
// wherever it was.
func TestCrashDuringUpdateShardCount(t *testing.T) {
	for n, over := 0, false; !over && !t.Failed(); n += 3 {
		t.Run(fmt.Sprint("writes=", n), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { over = crashWhileScaling(t, n) })
		})
	}
}

// crashWhileScaling has the disk fail after n writes. It says whether there are not as many.
func crashWhileScaling(t *testing.T, n int) bool {
	store, fs := kv.NewMem(), vfs.NewMem()
	r := newRig(t, fs, store)
	r.create("a", 5)
	left := n
	fs.Inject(func(vfs.Op) *vfs.Fault {
		if left--; left < 0 {
			return &vfs.Fault{Err: errLost}
		}
		return nil
	})
	r.ok("UpdateShardCount", scale(8))
	time.Sleep(time.Second)
	over := r.status("a") == "ACTIVE"
	fs.Inject(nil)
	fs = r.kill()
	r = newRig(t, fs, store)
	r.settle("a")
	s, _ := r.log.Stream("a")
	checkEven(t, s, 8)
	return over
}
