package pipeline_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/ingest"
	"freshet/ingest/pipeline"
	"freshet/stream"
	"freshet/stream/kpl"
	"freshet/stream/kv"
	"freshet/stream/vfs"
)

// A life is a log with pipelines, from a start to a crash.
type life struct {
	log    *stream.Log
	clicks *stream.Stream
	points *stream.Stream
	pipes  *pipeline.Pipelines
	store  *mortal
	stop   func()
}

// mortal is a store that is dead after a kill: nothing that comes later reaches it.
type mortal struct {
	kv.Store
	dead atomic.Bool
}

func (m *mortal) Get(ctx context.Context, key string) (kv.Entry, error) {
	if m.dead.Load() {
		return kv.Entry{}, kv.ErrNotFound
	}
	return m.Store.Get(ctx, key)
}

func (m *mortal) Swap(ctx context.Context, key string, old kv.Revision, value []byte) (kv.Revision, error) {
	if m.dead.Load() {
		return 0, kv.ErrConflict
	}
	return m.Store.Swap(ctx, key, old, value)
}

// start opens what a crash has left.
func start(t *testing.T, fs vfs.FS, store kv.Store, definitions ...string) *life {
	t.Helper()
	l := &life{store: &mortal{Store: store}}
	var err error
	if l.log, err = stream.Open(stream.Options{Dir: "log", FS: fs, SegmentBytes: 64 << 10}); err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]**stream.Stream{"clicks": &l.clicks, "metrics": &l.points} {
		var ok bool
		if *s, ok = l.log.Stream(name); !ok {
			if *s, err = l.log.Create(name, 2); err != nil {
				t.Fatal(err)
			}
		}
	}
	in, err := ingest.New(ingest.Options{Stream: l.points})
	if err != nil {
		t.Fatal(err)
	}
	o := pipeline.Options{Log: l.log, Ingest: in, Store: l.store, SaveEvery: 20 * time.Millisecond}
	for i, text := range definitions {
		found, err := pipeline.Read([]byte(text), fmt.Sprint("p", i))
		if err != nil {
			t.Fatal(err)
		}
		o.Files = append(o.Files, found...)
	}
	if l.pipes, err = pipeline.Open(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- l.log.Run(ctx) }()
	go func() { ended <- l.pipes.Run(ctx) }()
	l.stop = func() {
		cancel()
		<-ended
		<-ended
		l.log.Close()
	}
	return l
}

const clickPipeline = `
name = "clicks"
stream = "clicks"
decode = "ndjson"
filter = "not (skip ?? false)"
[[output]]
metric = "clicks.weight"
type = "counter"
value = "weight"
ts = "at"
labels.shop = "shop"
[[output]]
filter = "weight > 5"
metric = "clicks.heavy"
type = "counter"
ts = "at"
labels.shop = "shop"
`

// click is a line of a record, or what is none.
func click(rng *rand.Rand, at int64) string {
	switch rng.IntN(12) {
	case 0:
		return `{"shop":"a","weight":`
	case 1:
		return fmt.Sprintf(`{"shop":"skipped","weight":3,"at":%d,"skip":true}`, at)
	case 2:
		return `{"shop":"broken","weight":"heavy"}`
	}
	return fmt.Sprintf(`{"shop":"s%d","weight":%d,"at":%d}`, rng.IntN(40), rng.IntN(10), at+rng.Int64N(1000))
}

// feed appends records, resharding both streams on the way, until the life ends.
func (l *life) feed(ctx context.Context, rng *rand.Rand, at int64, n int) {
	var packed kpl.Aggregator
	for range n {
		key := fmt.Sprint("k", rng.IntN(50))
		var entries []stream.Entry
		for range 1 + rng.IntN(20) {
			entries = append(entries, stream.Entry{PartitionKey: key, Data: []byte(click(rng, at) + "\n" + click(rng, at))})
		}
		if rng.IntN(3) == 0 {
			packed.Reset()
			for range 1 + rng.IntN(30) {
				packed.Add(kpl.Record{PartitionKey: key, Data: []byte(click(rng, at))})
			}
			entries = append(entries, stream.Entry{PartitionKey: key, Data: packed.AppendTo(nil)})
		}
		shard := l.clicks.ShardFor(stream.HashPartitionKey(key))
		if _, err := shard.Submit(entries); err != nil {
			_ = shard.Settled(ctx)
		}
		for _, s := range []*stream.Stream{l.clicks, l.points} {
			if rng.IntN(25) == 0 {
				reshard(ctx, s, rng)
			}
		}
		if rng.IntN(4) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
}

// reshard splits a shard, or merges two, if that can be.
func reshard(ctx context.Context, s *stream.Stream, rng *rand.Rand) {
	open := s.OpenShards()
	i := rng.IntN(len(open))
	if len(open) > 3 && i > 0 {
		_, _ = s.Merge(ctx, open[i-1].ID(), open[i].ID())
		return
	}
	first, last := open[i].Range()
	_, _ = s.Split(ctx, open[i].ID(), stream.HashKey{Hi: first.Hi/2 + last.Hi/2})
}

// expect reads all records of the stream clicks, and adds up by shop what the definition
// makes of them.
func (l *life) expect(t *testing.T) (weight, heavy map[string]float64) {
	t.Helper()
	weight, heavy = map[string]float64{}, map[string]float64{}
	count := func(data []byte) {
		for line := range strings.Lines(string(data)) {
			var shop string
			var w, at int64
			if n, _ := fmt.Sscanf(strings.NewReplacer(`"`, ` `, `,`, ` `, `:`, ` `).Replace(line), "{ shop %s weight %d at %d}", &shop, &w, &at); n == 3 && shop != "skipped" {
				weight[shop] += float64(w)
				if w > 5 {
					heavy[shop]++
				}
			}
		}
	}
	for _, shard := range l.clicks.Shards() {
		r := shard.Reader(0)
		for r.Offset() < shard.Durable() {
			records, err := r.Next(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range records {
				if !kpl.IsAggregated(rec.Data) {
					count(rec.Data)
					continue
				}
				users, err := kpl.Decode(nil, rec.Data)
				if err != nil {
					t.Fatal(err)
				}
				for _, u := range users {
					count(u.Data)
				}
			}
		}
		r.Close()
	}
	return weight, heavy
}

// caughtUp waits until a pipeline has posted all that its stream holds.
func (l *life) caughtUp(t *testing.T, name string) {
	t.Helper()
	var d pipeline.Detail
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		d, _ = l.pipes.Get(t.Context(), name)
		source, ok := l.log.Stream(d.Stream)
		if !ok {
			continue
		}
		done := map[string]string{}
		for _, s := range d.Shards {
			done[s.Shard] = s.Done
		}
		behind := 0
		for _, shard := range source.OpenShards() {
			n, err := stream.ParseSequenceNumber(done[shard.ID().String()])
			if end := shard.Durable(); end > 0 && (err != nil || n.Offset != end-1) {
				behind++
			}
		}
		if behind == 0 {
			return
		}
	}
	t.Fatalf("the pipeline has not caught up: %+v, %+v", d.Status, d.Shards)
}

// totals asks for the sum of a metric by shop.
func totals(t *testing.T, e *aggregate.Engine, metric string, at int64) map[string]float64 {
	t.Helper()
	from := at - at%3_600_000 - 3_600_000
	a, err := e.Query(t.Context(), aggregate.Query{
		Metric: metric, Agg: "sum", By: []string{"shop"}, From: aggregate.Time(from), To: aggregate.Time(from + 3*3_600_000), Step: "1h",
	})
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, s := range a.Series {
		for _, v := range s.Values {
			if v == v {
				all[s.Labels["shop"]] += v
			}
		}
	}
	return all
}

// TestEveryRecordCountsOnce feeds a stream while it and the stream of points are split and
// merged and the machine crashes, and compares what is counted with a count by hand.
func TestEveryRecordCountsOnce(t *testing.T) {
	repeated := uint64(0)
	for seed := range uint64(4) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			fs, store := vfs.NewMem(), kv.NewMem()
			at := time.Now().Add(-time.Minute).UnixMilli()
			for range 4 {
				l := start(t, fs, store, clickPipeline)
				l.feed(t.Context(), rng, at, 60)
				l.store.dead.Store(true)
				fs = fs.Crash(rng)
				l.stop()
			}
			l := start(t, fs, store, clickPipeline)
			defer l.stop()
			l.feed(t.Context(), rng, at, 20)
			time.Sleep(50 * time.Millisecond) // what was submitted becomes durable
			l.caughtUp(t, "clicks")
			weight, heavy := l.expect(t)
			if len(weight) < 20 {
				t.Fatalf("got %d shops in the log, want more: %v", len(weight), weight)
			}
			repeated += compare(t, l, at, map[string]map[string]float64{"clicks.weight": weight, "clicks.heavy": heavy})
		})
	}
	if repeated == 0 {
		t.Error("no crash made the pipeline post anything again: the test shows nothing")
	}
}

// compare folds the stream of points and compares sums by shop. It returns how many points
// were posted again and left out.
func compare(t *testing.T, l *life, at int64, want map[string]map[string]float64) uint64 {
	t.Helper()
	engine, err := aggregate.New(aggregate.Options{Stream: l.points})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(ctx) }()
	defer func() {
		cancel()
		<-ended
	}()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		folded := map[string]stream.Offset{}
		for _, s := range engine.Stats().Shards {
			folded[fmt.Sprint(s.ID)] = s.Folded
		}
		behind := 0
		for _, s := range l.points.Shards() {
			if folded[s.ID().String()] < s.Durable() {
				behind++
			}
		}
		if behind == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the points are not folded: %v", folded)
		}
	}
	for metric, sums := range want {
		got := totals(t, engine, metric, at)
		for shop, n := range sums {
			if got[shop] != n {
				t.Errorf("%s of shop %s: got %v, want %v", metric, shop, got[shop], n)
			}
			delete(got, shop)
		}
		if len(got) > 0 {
			t.Errorf("%s: got shops that are not in the log: %v", metric, got)
		}
	}
	return engine.Stats().Repeated
}
