package aggregate_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/aggregate/window"
	"freshet/ingest/point"
	"freshet/stream"
)

// seriesOf returns a series of temp on each shard.
func (l *lab) seriesOf() []point.Series {
	out := make([]point.Series, len(l.stream.Shards()))
	for i, left := 0, len(out); left > 0; i++ {
		s := at("temp", point.Gauge, fmt.Sprint(i), 0, 0).Series
		id := l.stream.ShardFor(stream.HashKey{Hi: point.HashOf(s)}).ID()
		if out[id].Metric == "" {
			out[id] = s
			left--
		}
	}
	return out
}

func TestTheWatermarkWaitsForBusyShardsOnly(t *testing.T) {
	const lateness = 2_000
	l, _ := openLab(t, t.TempDir(), 3, aggregate.Options{Lateness: lateness * time.Millisecond})
	series := l.seriesOf()
	type action struct {
		shard int   // -1 sends nothing
		at    int64 // of the point, ms after noon
		clock int64 // ms after noon
	}
	for _, c := range []struct {
		name string
		do   action
		want int64 // ms after noon
	}{
		{"shards that never had a point do not count", action{0, -1_000, 0}, -1_000 - lateness},
		{"the least of two", action{1, -40_000, 0}, -40_000 - lateness},
		{"the least of three", action{2, -9_000, 0}, -40_000 - lateness},
		{"the slowest goes on", action{1, -3_000, 1_000}, -9_000 - lateness},
		{"a late point takes nothing back", action{1, -300_000, 2_000}, -9_000 - lateness},
		{"30 s after the last points of a shard", action{0, 29_000, 30_000}, -9_000 - lateness},
		{"1 ms later it is idle, and the next is the least", action{-1, 0, 30_001}, -3_000 - lateness},
		{"one is left", action{-1, 0, 32_001}, 29_000 - lateness},
		{"all are idle: the greatest of all", action{-1, 0, 60_001}, 29_000 - lateness},
		{"an idle shard is back", action{2, -8_000, 60_002}, -8_000 - lateness},
		{"a clock ahead does not carry it into the future", action{2, 200_000, 60_003}, 60_003 - lateness},
		{"nor beyond what a clock may be ahead by", action{2, 90_000_000, 400_000}, 400_000 - lateness},
	} {
		l.clock.Store(noon + c.do.clock)
		if c.do.shard >= 0 {
			l.send(point.Point{Series: series[c.do.shard], Time: noon + c.do.at, Value: 1})
		}
		a := l.ask(aggregate.Query{Metric: "temp", Agg: "sum", Range: "1h", Step: "10s"})
		if a.Watermark != noon+c.want {
			t.Errorf("%s: got %d ms after noon, want %d", c.name, a.Watermark-noon, c.want)
		}
		if want := window.Floor(a.Watermark+lateness, 10_000); a.ProvisionalFrom != want {
			t.Errorf("%s: provisional from %d ms after noon, want %d", c.name, a.ProvisionalFrom-noon, want-noon)
		}
		if last := a.Times[len(a.Times)-1]; last > noon+c.do.clock || a.ProvisionalFrom > last {
			t.Errorf("%s: the last step is %d and provisional from %d, both must have begun", c.name, last-noon, a.ProvisionalFrom-noon)
		}
	}
	before := l.ask(aggregate.Query{Metric: "temp", Agg: "sum", From: aggregate.Time(noon + 395_000), Step: "1s"})
	if before.ProvisionalFrom < before.Times[0] {
		t.Errorf("provisional from %d lies before the first step, %d", before.ProvisionalFrom, before.Times[0])
	}
}

func TestNothingHasArrived(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	a := l.ask(aggregate.Query{Metric: "temp", Agg: "sum", Range: "1m", Step: "10s"})
	if a.Watermark != 0 || len(a.Covers) != 0 || len(a.Series) != 0 || a.ProvisionalFrom != a.Times[0] {
		t.Errorf("got %+v, want watermark 0 and all of it provisional", a)
	}
}

// Covers names the last record of each shard that has any, whether in memory, loaded or
// malformed, and right after a restart with nothing to fold.
func TestCoversNamesTheLastRecordOfEachShard(t *testing.T) {
	dir, s := t.TempDir(), newShelf()
	l, stop := openLab(t, dir, 3, aggregate.Options{History: s})
	series := l.seriesOf()
	q := aggregate.Query{Metric: "temp", Agg: "count", Range: "10m", Step: "1m"}
	check := func(when string, records ...int) map[string]string {
		t.Helper()
		a := l.ask(q)
		want := map[string]string{}
		for i, n := range records {
			if n == 0 {
				continue
			}
			shard := l.stream.Shards()[i]
			r := shard.Reader(stream.Offset(n - 1))
			got, err := r.Next(context.Background(), 1)
			if err != nil {
				t.Fatal(err)
			}
			want[shard.ID().String()] = shard.SequenceNumber(got[0].Offset, got[0].Arrived).String()
			r.Close()
		}
		if !maps.Equal(a.Covers, want) {
			t.Errorf("%s: got %v, want %v", when, a.Covers, want)
		}
		return a.Covers
	}
	send := func(shard int) { l.send(point.Point{Series: series[shard], Time: noon - 1000, Value: 1}) }
	send(0)
	send(0)
	check("one shard", 2, 0, 0)
	send(1)
	check("two shards", 2, 1, 0)
	s.load(t, l.engine, func() { check("in the warehouse", 2, 1, 0) })
	check("loaded", 2, 1, 0)
	send(1)
	l.append(series[0], []byte("not points"))
	before := check("loaded and more, the last one malformed", 3, 2, 0)
	s.load(t, l.engine, nil)
	stop()

	l, stop = openLab(t, dir, 3, aggregate.Options{History: s, Restored: s.restored, Lateness: -1})
	a := l.ask(q)
	if !maps.Equal(a.Covers, before) || a.Watermark != noon-1000 {
		t.Errorf("after a restart: covers %v, watermark %d; want %v and %d", a.Covers, a.Watermark, before, noon-1000)
	}
	if got := l.count("temp"); got != 4 {
		t.Errorf("after a restart: got %v points, want 4", got)
	}
	send(2)
	check("after a restart and one more", 3, 2, 1)
	send(0)
	stop() // without a load

	l, _ = openLab(t, dir, 3, aggregate.Options{History: s, Restored: s.restored})
	check("after a restart with records to fold", 4, 2, 1)
	if got := l.count("temp"); got != 6 {
		t.Errorf("after a restart with records to fold: got %v points, want 6", got)
	}
}
