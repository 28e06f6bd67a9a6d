package dashboard_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/dashboard"
	"freshet/ingest/point"
	"freshet/stream"
)

// A world is a stream, an engine and a hub that run until the test ends.
type world struct {
	t      *testing.T
	stream *stream.Stream
	engine *aggregate.Engine
	hub    *dashboard.Hub
}

func newWorld(t *testing.T) *world {
	t.Helper()
	log, err := stream.Open(stream.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := log.Create("metrics", 2)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := aggregate.New(aggregate.Options{Stream: metrics})
	if err != nil {
		t.Fatal(err)
	}
	hub := dashboard.NewHub(dashboard.HubOptions{Engine: engine, Tick: 10 * time.Millisecond, Rank: 30 * time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 3)
	for _, run := range []func(context.Context) error{hub.Run, engine.Run, log.Run} {
		go func() { done <- run(ctx) }()
	}
	t.Cleanup(func() {
		cancel()
		for range cap(done) {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{t, metrics, engine, hub}
}

// post appends points, each to the shard of its series, and waits until they are durable.
func (w *world) post(points ...point.Point) {
	w.t.Helper()
	for _, p := range points {
		var v point.View
		v.Set(&p)
		var b point.Builder
		b.Add(&v)
		hash := stream.HashKey{Hi: point.HashOf(p.Series)}
		entry := stream.Entry{HashKey: hash, Explicit: true, Data: b.Encode(nil)}
		if _, err := w.stream.ShardFor(hash).Append(context.Background(), []stream.Entry{entry}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func counter(route string, at time.Time, value float64) point.Point {
	return point.Point{
		Series: point.Series{Metric: "requests", Type: point.Counter, Labels: point.Labels{{Name: "route", Value: route}}},
		Time:   at.UnixMilli(), Value: value,
	}
}

// A picture is what a browser makes of the frames it got.
type picture struct {
	seq    uint64
	values map[string]map[int64]float64 // by route, then time
	last   frame
}

type frame struct {
	Op      string  `json:"op"`
	ID      string  `json:"id"`
	Seq     uint64  `json:"seq"`
	Skipped int     `json:"skipped"`
	Error   string  `json:"error"`
	Times   []int64 `json:"times"`
	Series  []struct {
		Labels map[string]string `json:"labels"`
		Other  bool              `json:"other"`
		Values []*float64        `json:"values"`
	} `json:"series"`
}

func (p *picture) take(t *testing.T, m *dashboard.Message) {
	t.Helper()
	var f frame
	if err := json.Unmarshal(m.JSON(), &f); err != nil {
		t.Fatalf("%v in %s", err, m.JSON())
	}
	switch f.Op {
	case "snapshot":
		p.values = map[string]map[int64]float64{}
	case "update":
		if f.Seq != p.seq+1 {
			t.Fatalf("update %d came after %d", f.Seq, p.seq)
		}
	default:
		t.Fatalf("got %s", m.JSON())
	}
	p.seq, p.last = f.Seq, f
	for _, s := range f.Series {
		route := s.Labels["route"]
		if s.Other {
			route = "other"
		}
		if p.values[route] == nil {
			p.values[route] = map[int64]float64{}
		}
		for i, v := range s.Values {
			if v != nil {
				p.values[route][f.Times[i]] = *v
			}
		}
	}
}

// within returns the picture's values from a time on.
func (p *picture) within(from int64) map[string]map[int64]float64 {
	out := map[string]map[int64]float64{}
	for route, values := range p.values {
		for at, v := range values {
			if at >= from {
				if out[route] == nil {
					out[route] = map[int64]float64{}
				}
				out[route][at] = v
			}
		}
	}
	return out
}

// next waits for messages, which must come within some seconds.
func next(t *testing.T, v *dashboard.Viewer) []dashboard.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	m, err := v.Next(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var requests = aggregate.Query{Metric: "requests", Agg: "sum", By: []string{"route"}, Range: "1m", Step: "1s"}

// fresh asks the engine for what the picture should show.
func (w *world) fresh(q aggregate.Query) (map[string]map[int64]float64, int64) {
	w.t.Helper()
	a, err := w.engine.Query(context.Background(), q)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[string]map[int64]float64{}
	for _, s := range a.Series {
		route := s.Labels["route"]
		if s.Other {
			route = "other"
		}
		for i, v := range s.Values {
			if v == v {
				if out[route] == nil {
					out[route] = map[int64]float64{}
				}
				out[route][a.Times[i]] = v
			}
		}
	}
	return out, a.Times[0]
}

// await takes frames until the picture shows what a fresh query does.
func (w *world) await(v *dashboard.Viewer, p *picture, q aggregate.Query) {
	w.t.Helper()
	var want map[string]map[int64]float64
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		messages, _ := v.Next(ctx, nil)
		cancel()
		for i := range messages {
			p.take(w.t, &messages[i])
		}
		var from int64
		if want, from = w.fresh(q); equal(p.within(from), want) {
			return
		}
	}
	w.t.Fatalf("the picture is %v, want %v", p.values, want)
}

func equal(a, b map[string]map[int64]float64) bool {
	return maps.EqualFunc(a, b, func(x, y map[int64]float64) bool { return maps.Equal(x, y) })
}

func TestUpdatesEndInWhatAFreshQueryShows(t *testing.T) {
	for _, top := range []int{0, 2} {
		t.Run(fmt.Sprintf("top=%d", top), func(t *testing.T) {
			w := newWorld(t)
			q := requests
			q.Top = top
			v := w.hub.Connect()
			defer v.Close()
			v.Subscribe("p1", q)
			p := &picture{}
			rng := rand.New(rand.NewPCG(1, 2))
			for range 150 {
				late := time.Duration(0)
				if rng.IntN(4) == 0 {
					late = time.Duration(rng.IntN(50)) * time.Second
				}
				w.post(counter(fmt.Sprint("/", rng.IntN(5)), time.Now().Add(-late), float64(1+rng.IntN(9))))
				if rng.IntN(10) == 0 {
					for _, m := range next(t, v) {
						p.take(t, &m)
					}
				}
			}
			w.await(v, p, q)
		})
	}
}

// A point whose time is ahead of the clock is shown when its step begins, although
// nothing new arrives then.
func TestAPointThatIsAheadIsShownInItsTime(t *testing.T) {
	w := newWorld(t)
	w.post(counter("/", time.Now(), 1))
	v := w.hub.Connect()
	defer v.Close()
	v.Subscribe("p1", requests)
	p := &picture{}
	for _, m := range next(t, v) {
		p.take(t, &m)
	}
	ahead := time.Now().Add(1200 * time.Millisecond)
	w.post(counter("/", ahead, 7))
	step := ahead.Truncate(time.Second).UnixMilli()
	for deadline := time.Now().Add(4 * time.Second); p.values["/"][step] != 7; {
		if time.Now().After(deadline) {
			t.Fatalf("got %v, want 7 at %d", p.values, step)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		messages, _ := v.Next(ctx, nil)
		cancel()
		for i := range messages {
			p.take(t, &messages[i])
		}
	}
}

func TestASlowViewerLosesUpdatesAndNeverTheLatestState(t *testing.T) {
	w := newWorld(t)
	slow, quick := w.hub.Connect(), w.hub.Connect()
	defer slow.Close()
	defer quick.Close()
	w.post(counter("/", time.Now(), 1))
	slow.Subscribe("p1", requests)
	quick.Subscribe("p1", requests)
	left, right := &picture{}, &picture{}
	for _, m := range next(t, slow) {
		left.take(t, &m)
	}
	for _, m := range next(t, quick) {
		right.take(t, &m)
	}
	updates := 0
	for updates < 200 {
		w.post(counter("/", time.Now(), 1))
		for _, m := range next(t, quick) {
			right.take(t, &m) // which fails on any gap
			updates++
		}
	}
	w.await(slow, left, requests)
	if left.last.Op == "snapshot" && left.last.Skipped < 100 {
		t.Fatalf("the slow viewer was told of %d skipped updates, want at least 100", left.last.Skipped)
	}
	if got := w.hub.Stats().Skips; got != 1 {
		t.Fatalf("%d viewers fell behind, want 1", got)
	}
}

func TestErrorsNameWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	w.post(counter("/", time.Now(), 1))
	v := w.hub.Connect()
	defer v.Close()
	for i, c := range []struct {
		query aggregate.Query
		want  string
	}{
		{aggregate.Query{Metric: "requests", Agg: "median", Range: "1m"}, `agg "median" is not one of`},
		{aggregate.Query{Metric: "requests", Agg: "sum"}, "range is required in a live query"},
		{aggregate.Query{Metric: "requests", Agg: "sum", Range: "1m", Step: "1500ms"}, "is not a multiple of the window of 1000 ms"},
		{aggregate.Query{Metric: "requests", Agg: "p99", Range: "1m"}, "agg p99 needs a distribution; requests is a counter"},
		{aggregate.Query{Metric: "requests", Agg: "sum", Range: "30d", Step: "1s"}, "the limit is 11000"},
	} {
		id := fmt.Sprint("p", i)
		v.Subscribe(id, c.query)
		m := next(t, v)
		if len(m) != 1 || m[0].ID != id || m[0].Frame != nil || !strings.Contains(m[0].Error, c.want) {
			t.Errorf("%+v: got %+v, want an error with %q", c.query, m, c.want)
		}
	}
}

// Equal queries share one evaluation and one encoding.
func TestEqualQueriesShareOneFeed(t *testing.T) {
	w := newWorld(t)
	var viewers []*dashboard.Viewer
	for range 10 {
		v := w.hub.Connect()
		defer v.Close()
		v.Subscribe("p1", requests)
		viewers = append(viewers, v)
	}
	var frames []*dashboard.Frame
	for _, v := range viewers {
		frames = append(frames, next(t, v)[0].Frame)
	}
	if got := w.hub.Stats().Feeds; got != 1 {
		t.Errorf("got %d feeds, want 1", got)
	}
	for _, f := range frames[1:] {
		if f.Seq == frames[0].Seq && f != frames[0] {
			t.Error("two viewers got different encodings of one state")
		}
	}
}
