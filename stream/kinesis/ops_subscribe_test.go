package kinesis_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"freshet/stream/kinesis"

	"github.com/aws/aws-sdk-go-v2/aws/protocol/eventstream"
)

// A watch is a subscription and what it has got.
type watch struct {
	t      *testing.T
	mu     sync.Mutex
	body   bytes.Buffer
	status int
	head   http.Header
	stall  time.Duration // of every write
	cancel context.CancelFunc
	done   chan struct{}
}

func (w *watch) Header() http.Header { return w.head }

func (w *watch) WriteHeader(status int) { w.status = status }

func (w *watch) Write(b []byte) (int, error) {
	time.Sleep(w.stall)
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.body.Write(b)
}

func (w *watch) Flush() {}

// subscribe begins a subscription. The test's time has to pass before it gets something.
func (r *rig) subscribe(t *testing.T, consumer, shard any, position object, edits ...func(*watch)) *watch {
	t.Helper()
	body, err := json.Marshal(object{"ConsumerARN": consumer, "ShardId": shard, "StartingPosition": position})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{t: t, head: http.Header{}, cancel: cancel, done: make(chan struct{})}
	for _, edit := range edits {
		edit(w)
	}
	go func() {
		defer close(w.done)
		r.handler.ServeHTTP(w, request(ctx, "SubscribeToShard", string(body)))
	}()
	t.Cleanup(func() { cancel(); <-w.done })
	synctest.Wait()
	return w
}

// message is an event, printed: its records, and what is of interest besides.
type message struct {
	kind, data        string
	continuation      string
	behind            any
	children, message any
}

// next returns what has come since the last call.
func (w *watch) next() []message {
	w.t.Helper()
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []message
	d := eventstream.NewDecoder()
	for w.status == http.StatusOK {
		m, err := d.Decode(&w.body, nil)
		if err == io.EOF {
			break
		}
		if err != nil {
			w.t.Fatal(err)
		}
		kind := m.Headers.Get(":event-type")
		if kind == nil {
			kind = m.Headers.Get(":exception-type")
		}
		var out object
		decoder := json.NewDecoder(bytes.NewReader(m.Payload))
		decoder.UseNumber()
		if err := decoder.Decode(&out); err != nil {
			w.t.Fatal(err)
		}
		x := message{kind: kind.String(), behind: out["MillisBehindLatest"], children: out["ChildShards"], message: out["message"]}
		x.continuation, _ = out["ContinuationSequenceNumber"].(string)
		if records, ok := out["Records"].([]any); ok {
			var data []string
			for _, y := range records {
				b, err := base64.StdEncoding.DecodeString(y.(object)["Data"].(string))
				if err != nil {
					w.t.Fatal(err)
				}
				data = append(data, string(b))
			}
			x.data = strings.Join(data, " ")
		}
		all = append(all, x)
	}
	return all
}

// only returns the one event that has come.
func (w *watch) only() message {
	w.t.Helper()
	all := w.next()
	if len(all) != 1 {
		w.t.Fatalf("got %d events, want 1: %v", len(all), all)
	}
	return all[0]
}

func (w *watch) over() bool {
	synctest.Wait()
	select {
	case <-w.done:
		return true
	default:
		return false
	}
}

func (r *rig) consumer(stream, name string) string {
	r.t.Helper()
	out := r.ok("RegisterStreamConsumer", object{"StreamARN": arnOf(stream), "ConsumerName": name})
	time.Sleep(time.Second)
	return fmt.Sprint(field(out, "Consumer.ConsumerARN"))
}

var fromHorizon = object{"Type": "TRIM_HORIZON"}

func TestSubscribe(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		c := r.consumer("a", "c")
		old := r.put("a", "a", "b")
		n := fmt.Sprint(old[1].(object)["SequenceNumber"])
		w := r.subscribe(t, c, firstShard, fromHorizon)
		all := w.next()
		if len(all) != 2 || all[0].kind != "initial-response" || all[1].data != "a b" || all[1].continuation != n || fmt.Sprint(all[1].behind) != "0" {
			t.Fatalf("got %v, want the initial response and a b up to %s", all, n)
		}
		want(t, "content type", w.head.Get("Content-Type"), "application/vnd.amazon.eventstream")
		time.Sleep(time.Second)
		n = fmt.Sprint(r.put("a", "c")[0].(object)["SequenceNumber"])
		e := w.only()
		want(t, "a record that comes", words(e.data, e.continuation), words("c", n))
		time.Sleep(5500 * time.Millisecond)
		e = w.only()
		want(t, "a sign of life", words(e.kind, e.data, e.continuation, e.behind), words("SubscribeToShardEvent", "", n, 0))
		for range 58 {
			time.Sleep(5 * time.Second)
			want(t, "a sign of life", w.only().continuation, n)
		}
		time.Sleep(6 * time.Second)
		if w.next(); !w.over() {
			t.Error("after 5 minutes the subscription goes on")
		}
		w = r.subscribe(t, c, firstShard, object{"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": n})
		r.put("a", "d")
		all = w.next()
		want(t, "it goes on", words(len(all), all[1].data, all[1].continuation, all[2].data), words(3, "", n, "d"))
	})
}

func TestSubscribePositions(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		c := r.consumer("a", "c")
		first := fmt.Sprint(r.put("a", "a", "b")[0].(object)["SequenceNumber"])
		time.Sleep(2 * time.Second)
		at := time.Now().Unix()
		last := fmt.Sprint(r.put("a", "c")[0].(object)["SequenceNumber"])
		for _, x := range []struct {
			position           object
			data, continuation string
		}{
			{fromHorizon, "a b c", last}, {object{"Type": "LATEST"}, "", last},
			{object{"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": first}, "a b c", last},
			{object{"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": first}, "b c", last},
			{object{"Type": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": last}, "", last},
			{object{"Type": "AT_TIMESTAMP", "Timestamp": at}, "c", last},
		} {
			w := r.subscribe(t, c, firstShard, x.position)
			all := w.next()
			want(t, fmt.Sprint(x.position), words(len(all), all[1].data, all[1].continuation), words(2, x.data, x.continuation))
			w.cancel()
			<-w.done
		}
		r.create("empty", 1)
		w := r.subscribe(t, r.consumer("empty", "c"), firstShard, object{"Type": "LATEST"})
		st, _ := r.log.Stream("empty")
		want(t, "an empty shard", w.next()[1].continuation, st.Shards()[0].FirstSequence())

		in := object{"ConsumerARN": c, "ShardId": firstShard, "StartingPosition": object{"Type": "AT_SEQUENCE_NUMBER", "SequenceNumber": "1"}}
		r.refused("SubscribeToShard", in, "InvalidArgumentException", "StartingSequenceNumber 1 used in SubscribeToShard on shard shardId-000000000000 in stream a under account 000000000000 is invalid.")
		in["StartingPosition"], in["ShardId"] = fromHorizon, "shardId-000000000003"
		r.refused("SubscribeToShard", in, "ResourceNotFoundException", "Shard shardId-000000000003 in stream a under account 000000000000 does not exist")
		in["ShardId"], in["DryRun"] = firstShard, true
		r.refused("SubscribeToShard", in, "DryRunOperationException", "Request would…")
		in["ConsumerARN"] = arnOf("a") + "/consumer/d:1"
		r.refused("SubscribeToShard", in, "ResourceNotFoundException", "Consumer d under stream a and account 000000000000 not found.")
	})
}

func TestSubscribeToTheEndOfAShard(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		c := r.consumer("a", "c")
		r.put("a", "a")
		w := r.subscribe(t, c, firstShard, fromHorizon)
		w.next()
		r.ok("SplitShard", object{"StreamName": "a", "ShardToSplit": firstShard, "NewStartingHashKey": "7"})
		r.settle("a")
		e := w.only()
		if e.data != "" || e.continuation != "" || len(e.children.([]any)) != 2 || !w.over() {
			t.Errorf("got %v, want an event with two children that ends it", e)
		}
		time.Sleep(5 * time.Second)
		w = r.subscribe(t, c, firstShard, fromHorizon)
		all := w.next()
		if len(all) != 2 || all[1].data != "a" || all[1].continuation != "" || len(all[1].children.([]any)) != 2 || !w.over() {
			t.Errorf("from the start: got %v, want one event with the record and two children", all)
		}
	})
}

func TestSubscriptionIsTakenOver(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 2)
		c, d := r.consumer("a", "c"), r.consumer("a", "d")
		w := r.subscribe(t, c, firstShard, fromHorizon)
		w.next()
		time.Sleep(4900 * time.Millisecond)
		in := object{"ConsumerARN": c, "ShardId": firstShard, "StartingPosition": fromHorizon}
		r.refused("SubscribeToShard", in, "ResourceInUseException", "Another active subscription exists for this consumer: "+c)
		r.subscribe(t, c, "shardId-000000000001", fromHorizon)
		r.subscribe(t, d, firstShard, fromHorizon)
		time.Sleep(100 * time.Millisecond)
		w.next()
		next := r.subscribe(t, c, firstShard, fromHorizon)
		want(t, "the new one", len(next.next()), 2)
		e := w.only()
		want(t, "the old one", words(e.kind, e.message, w.over()), words("ResourceInUseException", "Another active subscription exists for this consumer: "+c, true))
		next.cancel() // one that has ended is in nobody's way
		<-next.done
		want(t, "after it has ended", len(r.subscribe(t, c, firstShard, fromHorizon).next()), 2)
	})
}

func TestSubscriptionsEnd(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		c, d := r.consumer("a", "c"), r.consumer("a", "d")
		w := r.subscribe(t, c, firstShard, fromHorizon)
		w.next()
		r.ok("DeregisterStreamConsumer", object{"ConsumerARN": c})
		time.Sleep(1500 * time.Millisecond)
		got := w.only()
		want(t, "deregistered", words(got.kind, got.message, w.over()), words("ResourceNotFoundException", "Consumer c under stream a and account 000000000000 not found.", true))
		w = r.subscribe(t, d, firstShard, fromHorizon)
		w.next()
		r.ok("DeleteStream", object{"StreamName": "a", "EnforceConsumerDeletion": true})
		time.Sleep(1500 * time.Millisecond)
		if got := w.only(); got.kind != "ResourceNotFoundException" || !w.over() {
			t.Errorf("deleted: got %v", got)
		}
		r.create("b", 1)
		w = r.subscribe(t, r.consumer("b", "c"), firstShard, fromHorizon)
		w.next()
		r.stop()
		want(t, "the service stops", words(len(w.next()), w.over()), words(0, true))
	})
}

func TestASlowSubscriberSlowsNobody(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		slow := r.subscribe(t, r.consumer("a", "slow"), firstShard, fromHorizon, func(w *watch) { w.stall = 10 * time.Second })
		quick := r.subscribe(t, r.consumer("a", "quick"), firstShard, fromHorizon)
		quick.next()
		began := time.Now()
		for i := range 20 {
			r.put("a", fmt.Sprint(i), strings.Repeat("A", 900_000))
			want(t, "quick", quick.only().data[:2], fmt.Sprint(i, " ")[:2])
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("20 puts took %v", took)
		}
		time.Sleep(4 * time.Minute)
		var data []string
		for _, e := range slow.next() {
			for _, x := range strings.Fields(e.data) {
				if len(x) < 3 {
					data = append(data, x)
				}
			}
		}
		want(t, "slow", len(data), 20)
	})
}

func TestSubscriptionsAreHeldToTheLimit(t *testing.T) {
	inRig(t, func(t *testing.T, r *rig) {
		r.create("a", 1)
		for range 12 {
			r.put("a", strings.Repeat("A", 1<<20-2))
			time.Sleep(1100 * time.Millisecond)
		}
		w := r.subscribe(t, r.consumer("a", "c"), firstShard, fromHorizon)
		time.Sleep(4900 * time.Millisecond)
		n := 0
		for _, e := range w.next() {
			n += len(strings.Fields(e.data))
		}
		if n < 10 || n > 12 {
			t.Errorf("got %d MiB in 5 s, want about 10", n)
		}
	}, func(o *kinesis.Options) { o.ShardLimits = true })
}
