package aggregate_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/stream"
)

// noon is the time that a lab's clock shows at first.
const noon = int64(1_767_225_600_000)

// A lab is a stream of two shards and an engine, on a clock of its own.
type lab struct {
	t      *testing.T
	stream *stream.Stream
	engine *aggregate.Engine
	clock  atomic.Int64 // epoch ms
}

func newLab(t *testing.T, o aggregate.Options) *lab {
	t.Helper()
	l := &lab{t: t}
	l.clock.Store(noon)
	log, err := stream.Open(stream.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if l.stream, err = log.Create("metrics", 2); err != nil {
		t.Fatal(err)
	}
	o.Stream, o.Now = l.stream, func() time.Time { return time.UnixMilli(l.clock.Load()) }
	if l.engine, err = aggregate.New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- log.Run(ctx) }()
	go func() { done <- l.engine.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// send appends points, a record each, in order.
func (l *lab) send(points ...point.Point) {
	l.t.Helper()
	for _, p := range points {
		var v point.View
		v.Set(&p)
		var b point.Builder
		b.Add(&v)
		l.append(p.Series, b.Encode(nil))
	}
}

// append appends a payload to the shard of a series.
func (l *lab) append(s point.Series, payload []byte) {
	l.t.Helper()
	key := stream.HashKey{Hi: point.HashOf(s)}
	if _, err := l.stream.ShardFor(key).Append(context.Background(), []stream.Entry{{HashKey: key, Explicit: true, Data: payload}}); err != nil {
		l.t.Fatal(err)
	}
}

// settle waits until all that was sent is folded.
func (l *lab) settle() {
	l.t.Helper()
	v, err := l.engine.View(context.Background())
	if err != nil {
		l.t.Fatal(err)
	}
	v.Close()
}

func (l *lab) ask(q aggregate.Query) *aggregate.Answer {
	l.t.Helper()
	a, err := l.engine.Query(context.Background(), q)
	if err != nil {
		l.t.Fatalf("%+v: %v", q, err)
	}
	return a
}

// at is a point of a metric with one label, seconds after noon less ten minutes.
func at(metric string, typ point.Type, host string, second, value float64) point.Point {
	p := point.Point{Series: point.Series{Metric: metric, Type: typ}, Time: noon - 600_000 + int64(second*1000), Value: value}
	if host != "" {
		p.Labels = point.Labels{{Name: "host", Value: host}}
	}
	return p
}

func member(host string, second float64, who string) point.Point {
	p := at("users", point.Set, host, second, 0)
	p.Member = who
	return p
}

// show writes the values of an answer's series from the tenth minute before noon on, one
// a step, "-" for none.
func show(a *aggregate.Answer) string {
	var out []string
	for _, s := range a.Series {
		name := s.Labels["host"]
		if s.Other {
			name = "other"
		}
		var values []string
		for i, v := range s.Values {
			switch {
			case a.Times[i] < noon-600_000:
			case math.IsNaN(v):
				values = append(values, "-")
			default:
				values = append(values, fmt.Sprintf("%.4g", v))
			}
		}
		for len(values) > 0 && values[len(values)-1] == "-" {
			values = values[:len(values)-1]
		}
		out = append(out, name+":"+strings.Join(values, ","))
	}
	return strings.Join(out, " ")
}

func TestAggregates(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	l.send(
		at("temp", point.Gauge, "a", 0, 10), at("temp", point.Gauge, "a", 5, 30), at("temp", point.Gauge, "b", 7, 50),
		at("temp", point.Gauge, "a", 61, 20), at("temp", point.Gauge, "b", 190, 1), at("temp", point.Gauge, "a", 3, 2), // the last one is late
		at("hits", point.Counter, "a", 1, 2), at("hits", point.Counter, "a", 30, 4), at("hits", point.Counter, "b", 62, 60),
		at("total", point.Cumulative, "a", 0, 100), at("total", point.Cumulative, "a", 50, 130), at("total", point.Cumulative, "a", 70, 190),
		at("total", point.Cumulative, "a", 125, 7), at("total", point.Cumulative, "a", 130, 10), // it began anew
		at("total", point.Cumulative, "a", 60, 150), // late, between two that are there
		member("a", 1, "x"), member("a", 2, "y"), member("b", 3, "x"), member("b", 65, "z"),
	)
	for i := 1; i <= 100; i++ {
		l.send(at("lat", point.Distribution, "a", float64(i)/2, float64(i)))
	}
	host := []string{"host"}
	for _, c := range []struct {
		metric, agg string
		by          []string
		want        string
	}{
		{"temp", "count", nil, ":4,1,-,1"},
		{"temp", "sum", nil, ":92,20,-,1"},
		{"temp", "avg", nil, ":23,20,-,1"},
		{"temp", "min", nil, ":2,20,-,1"},
		{"temp", "max", nil, ":50,20,-,1"},
		{"temp", "last", nil, ":50,20,-,1"},
		{"temp", "sum", host, "a:42,20 b:50,-,-,1"},
		{"temp", "last", host, "a:30,20 b:50,-,-,1"},
		{"hits", "increase", nil, ":6,60"},
		{"hits", "rate", nil, ":0.1,1"},
		{"total", "increase", nil, ":30,60,10"},
		{"total", "rate", nil, ":0.5,1,0.1667"},
		{"total", "max", nil, ":130,190,10"},
		{"users", "distinct", nil, ":2,1"},
		{"users", "distinct", host, "a:2 b:1,1"},
		{"users", "count", nil, ":3,1"},
		{"lat", "count", nil, ":100"},
		{"lat", "rate", nil, ":1.667"},
		{"lat", "p50", nil, ":49.9"},
		{"lat", "p99.9", nil, ":98.5"},
	} {
		q := aggregate.Query{Metric: c.metric, Agg: c.agg, By: c.by, Range: "10m", Step: "1m"}
		if got := show(l.ask(q)); got != c.want {
			t.Errorf("%s of %s by %v: got %q, want %q", c.agg, c.metric, c.by, got, c.want)
		}
	}
	where := map[string]aggregate.Filter{"host": aggregate.Is("b", "nobody")}
	if got := show(l.ask(aggregate.Query{Metric: "temp", Agg: "sum", Where: where, Range: "10m", Step: "1m"})); got != ":50,-,-,1" {
		t.Errorf("where: got %q", got)
	}
	if a := l.ask(aggregate.Query{Metric: "nothing", Agg: "sum", Range: "10m", Step: "1m"}); len(a.Series) != 0 || len(a.Times) != 11 {
		t.Errorf("a metric that is not there: got %d series and %d times, want 0 and 11", len(a.Series), len(a.Times))
	}
}

// The rest that top folds together is the aggregate of its points, not of its series.
func TestTopAndTheTrueRest(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	l.send(at("temp", point.Gauge, "a", 0, 100), at("temp", point.Gauge, "b", 0, 1), at("temp", point.Gauge, "b", 1, 1), at("temp", point.Gauge, "b", 2, 1), at("temp", point.Gauge, "c", 0, 9))
	for _, c := range []struct{ agg, want string }{
		{"avg", "a:100 other:3"}, // (1+1+1+9)/4
		{"max", "a:100 other:9"},
		{"sum", "a:100 other:12"},
		{"count", "b:3 other:2"},
	} {
		q := aggregate.Query{Metric: "temp", Agg: c.agg, By: []string{"host"}, Range: "10m", Step: "1m", Top: 1}
		if got := show(l.ask(q)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.agg, got, c.want)
		}
	}
}

func TestRefusalsNameTheField(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	l.send(at("temp", point.Gauge, "", 0, 1), at("lat", point.Distribution, "", 0, 1), member("", 0, "x"))
	for _, c := range []struct{ query, want string }{
		{`{"agg":"sum","range":"1m"}`, "metric is required"},
		{`{"metric":"temp","range":"1m"}`, "agg is required"},
		{`{"metric":"temp","agg":"p100","range":"1m"}`, `agg "p100" is not one of`},
		{`{"metric":"temp","agg":"sum"}`, "range or from is required"},
		{`{"metric":"temp","agg":"sum","range":"1m","from":1}`, "range and from/to exclude each other"},
		{`{"metric":"temp","agg":"sum","from":2000,"to":1000}`, "from must lie before to"},
		{`{"metric":"temp","agg":"sum","range":"soon"}`, `range "soon": not a duration`},
		{`{"metric":"temp","agg":"sum","range":"1m","step":"1500ms"}`, "not a multiple of the window of 1000 ms"},
		{`{"metric":"temp","agg":"sum","range":"24h","step":"1s"}`, "makes 86401 steps; the limit is 11000"},
		{`{"metric":"temp","agg":"sum","range":"1m","top":1001}`, "top is 1001; it must lie between 0 and 1000"},
		{`{"metric":"temp","agg":"sum","range":"1m","by":["1","2","3","4","5","6","7","8","9"]}`, "by has 9 labels; the limit is 8"},
		{`{"metric":"temp","agg":"p99","range":"1m"}`, "agg p99 needs a distribution; temp is a gauge"},
		{`{"metric":"temp","agg":"rate","range":"1m"}`, "agg rate needs a counter"},
		{`{"metric":"lat","agg":"distinct","range":"1m"}`, "agg distinct needs a set; lat is a distribution"},
		{`{"metric":"users","agg":"sum","range":"1m"}`, "agg sum needs numbers; users is a set"},
		{`{"metric":"temp","agg":"sum","range":"1m","wehre":{}}`, `unknown field "wehre"`},
		{`{"metric":"temp"} {}`, "there is more after the JSON object"},
	} {
		q, err := aggregate.ParseQuery([]byte(c.query))
		if err == nil {
			_, err = l.engine.Query(context.Background(), q)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", c.query, err, c.want)
		}
	}
}

func TestWatermarkIsTheLeastOverBusyShards(t *testing.T) {
	l := newLab(t, aggregate.Options{Lateness: -1})
	series := map[stream.ShardID]point.Series{} // one on each shard
	for i := 0; len(series) < 2; i++ {
		s := at("temp", point.Gauge, fmt.Sprint(i), 0, 0).Series
		series[l.stream.ShardFor(stream.HashKey{Hi: point.HashOf(s)}).ID()] = s
	}
	post := func(shard stream.ShardID, ms int64) {
		l.send(point.Point{Series: series[shard], Time: ms, Value: 1})
	}
	q := aggregate.Query{Metric: "temp", Agg: "sum", Range: "10m", Step: "10s"}
	check := func(what string, want int64) {
		t.Helper()
		a := l.ask(q)
		if a.Watermark != want || a.ProvisionalFrom != want-want%10_000 {
			t.Errorf("%s: got watermark %d, provisional from %d; want %d", what, a.Watermark, a.ProvisionalFrom, want)
		}
	}
	post(0, noon-5_000)
	check("one shard", noon-5_000)
	post(1, noon-9_000)
	check("the least of two", noon-9_000)
	post(1, noon-20_000)
	check("a late point", noon-9_000)
	post(1, noon+60_000)
	check("a clock that is ahead", noon-5_000)
	l.clock.Store(noon + 31_000)
	post(1, noon+30_000)
	check("the other is idle, this one is ahead", noon+31_000)
	if got := len(l.ask(q).Covers); got != 2 {
		t.Errorf("covers names %d shards, want 2", got)
	}
}

func TestSeriesBeyondTheLimitAreCountedTogether(t *testing.T) {
	l := newLab(t, aggregate.Options{MaxSeries: 3})
	for i := range 10 {
		l.send(at("temp", point.Gauge, fmt.Sprint(i), 0, 1))
	}
	l.send(at("other", point.Counter, "a", 0, 5)) // a metric that comes when all is full
	if got := show(l.ask(aggregate.Query{Metric: "temp", Agg: "count", Range: "10m", Step: "1m"})); got != ":10" {
		t.Errorf("got %q, want all ten points", got)
	}
	by := l.ask(aggregate.Query{Metric: "temp", Agg: "count", By: []string{aggregate.OverflowLabel}, Range: "10m", Step: "1m"})
	if len(by.Series) != 2 || by.Series[1].Labels[aggregate.OverflowLabel] != "true" {
		t.Fatalf("got %+v, want the known series and one for the rest", by.Series)
	}
	if got := show(l.ask(aggregate.Query{Metric: "other", Agg: "sum", Range: "10m", Step: "1m"})); got != ":5" {
		t.Errorf("a metric beyond the limit: got %q, want 5", got)
	}
	if s := l.engine.Stats(); s.Series != 5 || s.Overflowed == 0 {
		t.Errorf("got %d series and %d overflowed, want 3 and one for each metric, and more than 0", s.Series, s.Overflowed)
	}
}

func TestRecordsThatAreNotPointsStopNothing(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	s := at("temp", point.Gauge, "", 0, 0).Series
	for _, payload := range []string{"garbage", "\xfb\x01broken", "{", `{"metric":"temp"}`} {
		l.append(s, []byte(payload))
	}
	l.append(s, fmt.Appendf(nil, `{"metric":"temp","ts":%d,"value":2}`, noon-600_000))
	l.append(s, fmt.Appendf(nil, "{\"metric\":\"temp\",\"ts\":%d,\"value\":3}\n{\"metric\":\"temp\",\"ts\":%d,\"value\":4}", noon-600_000, noon-600_000))
	if got := show(l.ask(aggregate.Query{Metric: "temp", Agg: "sum", Range: "10m", Step: "1m"})); got != ":9" {
		t.Errorf("got %q, want the sum of the JSON records, 9", got)
	}
	if got := l.engine.Stats().Malformed; got != 4 {
		t.Errorf("%d records are counted as malformed, want 4", got)
	}
	if kept := l.engine.Quarantined(); len(kept) != 4 || string(kept[0].Head) != "garbage" || kept[0].Reason == "" {
		t.Errorf("kept %+v, want the four records with their reasons", kept)
	}
}

// A generation stays the same until it is loaded, and its memory until nobody can lack it.
func TestGenerationsAreFrozenLoadedAndFreed(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	ctx := context.Background()
	if _, err := l.engine.Freeze(ctx); err != aggregate.ErrNothingPending {
		t.Fatalf("got %v, want ErrNothingPending", err)
	}
	l.send(at("temp", point.Gauge, "a", 0, 1), at("temp", point.Gauge, "a", 70, 2), at("temp", point.Gauge, "b", 0, 3))
	f, err := l.engine.Freeze(ctx)
	if err != nil {
		t.Fatal(err)
	}
	l.send(at("temp", point.Gauge, "a", 71, 4))
	if again, err := l.engine.Freeze(ctx); err != nil || again.Generation() != f.Generation() {
		t.Fatalf("a second freeze gave %v, %v; want generation %d again", again, err, f.Generation())
	}
	points, sum := 0, 0.0
	if err := f.Points(ctx, func(p *aggregate.Points) error {
		points += len(p.Time)
		for _, v := range p.Value {
			sum += v
		}
		return nil
	}); err != nil || points != 3 || sum != 6 {
		t.Errorf("the generation has %d points, sum %v (%v); want 3 and 6", points, sum, err)
	}
	for resolution, want := range map[int64]string{60_000: "[1 3 2]", 3_600_000: "[3 3]"} {
		var sums []float64
		if err := f.Rows(ctx, resolution, func(r *aggregate.Row) error { sums = append(sums, r.State.Sum); return nil }); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(sums); got != want && !(resolution == 60_000 && got == "[3 1 2]") { // ids follow the order of arrival over two shards
			t.Errorf("windows of %d ms: got sums %s, want %s", resolution, got, want)
		}
	}
	if got := len(f.NewSeries(0)); got != 2 {
		t.Errorf("got %d series, want 2", got)
	}
	count := func() string {
		return show(l.ask(aggregate.Query{Metric: "temp", Agg: "count", Range: "10m", Step: "10m"}))
	}
	pin := l.engine.Pin()
	before := count()
	l.engine.Loaded(f.Generation())
	pin.Close()
	if s := l.engine.Stats(); s.Loaded != f.Generation() || s.Open != f.Generation()+1 {
		t.Errorf("got loaded %d, open %d; want %d and the next", s.Loaded, s.Open, f.Generation())
	}
	// There is no warehouse here, so what was loaded is gone from answers, and only that.
	if after := count(); before == after {
		t.Errorf("the loaded generation is still counted from memory: %q", after)
	}
}

// newEngine returns an engine without points that does not run.
func newEngine(t testing.TB) *aggregate.Engine {
	t.Helper()
	log, err := stream.Open(stream.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := log.Create("metrics", 1)
	if err != nil {
		t.Fatal(err)
	}
	e, err := aggregate.New(aggregate.Options{Stream: metrics})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := e.Run(ctx); err != nil { // it answers what it has from now on
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return e
}
