package continuous_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/aggregate/continuous"
	"freshet/ingest"
	"freshet/ingest/point"
	"freshet/stream"
	"freshet/stream/kv"
	"freshet/stream/vfs"
)

// base is the time of the tests' points: the start of a day of the past in Amsterdam, and
// dayLength how many seconds that day has.
var base, dayLength = day()

func day() (start int64, seconds int) {
	zone, err := time.LoadLocation("Europe/Amsterdam")
	if err != nil {
		panic(err) // the tests are made for a machine that knows it
	}
	y, m, d := time.Now().In(zone).AddDate(0, 0, -3).Date()
	at := time.Date(y, m, d, 0, 0, 0, 0, zone)
	return at.UnixMilli(), int(time.Date(y, m, d+1, 0, 0, 0, 0, zone).Sub(at).Seconds())
}

// A rig is a log whose points are folded.
type rig struct {
	log    *stream.Log
	in     *ingest.Ingest
	engine *aggregate.Engine
	store  kv.Store
}

func newRig(t *testing.T) *rig {
	t.Helper()
	log, err := stream.Open(stream.Options{Dir: "log", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := log.Create("metrics", 1)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{log: log, store: kv.NewMem()}
	if r.in, err = ingest.New(ingest.Options{Stream: metrics}); err != nil {
		t.Fatal(err)
	}
	if r.engine, err = aggregate.New(aggregate.Options{Stream: metrics, Lateness: 10 * time.Second}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	start(t, log.Run)
	start(t, r.engine.Run)
	return r
}

// start runs a stage until the test ends, or until the function that it returns is called.
func start(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stopped := false
	stop = func() {
		cancel()
		if !stopped {
			<-ended
		}
		stopped = true
	}
	t.Cleanup(stop)
	return stop
}

// post posts a counter of a shop at a second after base.
func (r *rig) post(t *testing.T, shop string, second int, value float64) {
	t.Helper()
	p := r.in.NewPost()
	defer p.Free()
	var v point.View
	v.Set(&point.Point{
		Series: point.Series{Metric: "orders", Type: point.Counter, Labels: point.Labels{{Name: "shop", Value: shop}}},
		Time:   base + int64(second)*1000, Value: value,
	})
	p.Add(0, &v)
	if _, err := p.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// open opens the queries of a text on the rig.
func (r *rig) open(t *testing.T, text string) *continuous.Queries {
	t.Helper()
	found, err := continuous.Read([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	q, err := continuous.Open(t.Context(), continuous.Options{Engine: r.engine, Log: r.log, Store: r.store, Queries: found, Every: 2 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// A row is a record as it is written.
type row struct {
	Query      string            `json:"query"`
	Start, End int64             `json:"-"`
	Labels     map[string]string `json:"labels"`
	Value      float64           `json:"value"`
	Revision   uint64            `json:"revision"`
}

// rows returns what a stream holds, a line for each record, sorted.
func (r *rig) rows(t *testing.T, name string) []string {
	t.Helper()
	s, ok := r.log.Stream(name)
	if !ok {
		return nil
	}
	var all []string
	for _, shard := range s.Shards() {
		reader := shard.Reader(0)
		for reader.Offset() < shard.Durable() {
			records, err := reader.Next(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, rec := range records {
				var got struct {
					row
					Start int64 `json:"start"`
					End   int64 `json:"end"`
				}
				if err := json.Unmarshal(rec.Data, &got); err != nil {
					t.Fatalf("%s: %v", rec.Data, err)
				}
				labels := slices.Sorted(maps.Values(got.Labels))
				all = append(all, fmt.Sprintf("%d-%d %s %v r%d key=%s", (got.Start-base)/1000, (got.End-base)/1000, strings.Join(labels, ","), got.Value, got.Revision, rec.PartitionKey))
			}
		}
		reader.Close()
	}
	slices.Sort(all)
	return all
}

// wants waits until a stream holds what it should.
func (r *rig) wants(t *testing.T, name string, want ...string) {
	t.Helper()
	slices.Sort(want)
	var got []string
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(2 * time.Millisecond) {
		if got = r.rows(t, name); slices.Equal(got, want) {
			return
		}
	}
	t.Fatalf("stream %s: got\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
}

const byShop = `
[[continuous]]
name = "orders-by-shop"
query = { metric = "orders", agg = "sum", by = ["shop"], step = "10s" }
to = "orders-10s"
shards = 2
`

func TestStepsAreWrittenOnceTheyAreFinal(t *testing.T) {
	r := newRig(t)
	stop := start(t, r.open(t, byShop).Run)
	r.post(t, "a", 15, 1) // the watermark is at 5 s: the step from 0 is the first
	waitFor(t, "the first look", func() bool { return r.next(t) == base })
	r.post(t, "a", 6, 2)
	r.post(t, "b", 12, 4)
	r.post(t, "a", 21, 8) // the watermark is at 11 s
	r.wants(t, "orders-10s", "0-10 a 2 r0 key=shop=a")
	r.post(t, "b", 52, 16) // at 42 s
	want := []string{"0-10 a 2 r0 key=shop=a", "10-20 a 1 r0 key=shop=a", "10-20 b 4 r0 key=shop=b", "20-30 a 8 r0 key=shop=a"}
	r.wants(t, "orders-10s", want...)

	// A point that is late: the whole step is written again.
	r.post(t, "c", 13, 32)
	want = append(want, "10-20 a 1 r1 key=shop=a", "10-20 b 4 r1 key=shop=b", "10-20 c 32 r1 key=shop=c")
	r.wants(t, "orders-10s", want...)

	// After a restart it goes on, and sees what came late in between.
	waitFor(t, "the steps without data", func() bool { return r.next(t) == base+40_000 })
	stop()
	r.post(t, "a", 3, 64)
	r.post(t, "a", 72, 128) // at 62 s
	start(t, r.open(t, byShop).Run)
	want = append(want, "0-10 a 66 r1 key=shop=a", "50-60 b 16 r0 key=shop=b")
	r.wants(t, "orders-10s", want...)
}

// next is where the stored state says that the query is.
func (r *rig) next(t *testing.T) int64 {
	t.Helper()
	e, err := r.store.Get(t.Context(), "continuous/orders-by-shop")
	if err != nil {
		return 0
	}
	var s struct{ Next int64 }
	if err := json.Unmarshal(e.Value, &s); err != nil {
		t.Fatal(err)
	}
	return s.Next
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s", what)
		}
	}
}

func TestCalendarStepsAndExpressions(t *testing.T) {
	r := newRig(t)
	start(t, r.open(t, `
[[continuous]]
name = "orders-by-shop"
query = { expr = "a / b", step = "10s", queries = { a = { metric = "orders", agg = "sum" }, b = { metric = "orders", agg = "count" } } }
to = "mean"
[[continuous]]
name = "days"
query = { metric = "orders", agg = "count", step = "day", zone = "Europe/Amsterdam" }
to = "days"
`).Run)
	r.post(t, "a", 15, 1)
	waitFor(t, "the first look", func() bool { return r.next(t) == base })
	r.post(t, "a", 6, 2)
	r.post(t, "b", 7, 4)
	r.post(t, "b", 25, 4)
	r.wants(t, "mean", "0-10  3 r0 key=orders-by-shop")
	if got := r.rows(t, "days"); len(got) > 0 {
		t.Errorf("got %v, want nothing of a day that is not over", got)
	}
	r.post(t, "b", dayLength+10, 1)
	r.wants(t, "days", fmt.Sprintf("0-%d  4 r0 key=days", dayLength))
}

func TestDefinitionsThatCannotBe(t *testing.T) {
	r := newRig(t)
	for text, want := range map[string]string{
		`name = "a"`: `to: must be the name of a stream`,
		`name = "a b"
to = "x"
query = { metric = "m", agg = "sum", step = "1m" }`: `name: must be 1 to 64 letters, digits and _ . -, got "a b"`,
		`name = "a"
to = "x/y"
query = { metric = "m", agg = "sum", step = "1m" }`: `to: must be the name of a stream`,
		`name = "a"
to = "x"
shards = 0
query = { metric = "m", agg = "sum", step = "1m" }`: "shards: must be 1 to 256, got 0",
		`name = "a"
to = "x"
query = { metrik = "m" }`: `unknown field "metrik"`,
		`name = "a"
too = "x"`: `unknown field "too"`,
		`name = "a"
to = "x"
query = { metric = "m", agg = "sum" }`: "query.step: it has one, such as 1m",
		`name = "a"
to = "x"
query = { metric = "m", agg = "sum", step = "1m", range = "1h" }`: "query.range: it has none",
		`name = "a"
to = "x"
query = { metric = "m", agg = "sum", step = "1m", by = ["x"], top = 3 }`: "query.top: ",
		`name = "a"
to = "x"
query = { metric = "m", agg = "heatmap", step = "1m" }`: "query.agg: ",
		`name = "a"
to = "x"
query = { metric = "m", agg = "mean", step = "1m" }`: `agg "mean" is not one of`,
	} {
		found, err := continuous.Read([]byte("[[continuous]]\n" + text))
		if err == nil {
			_, err = continuous.Open(t.Context(), continuous.Options{Engine: r.engine, Log: r.log, Store: r.store, Queries: found})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\ngot  %v\nwant %s", text, err, want)
		}
	}
}
