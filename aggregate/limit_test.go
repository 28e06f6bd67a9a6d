package aggregate_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"freshet/aggregate"
	"freshet/ingest/point"
)

// count returns how many points the engine answers for a metric.
func (l *lab) count(metric string) (n float64) {
	l.t.Helper()
	for _, s := range l.ask(aggregate.Query{Metric: metric, Agg: "count", Range: "10m", Step: "1h"}).Series {
		for _, v := range s.Values {
			if v == v {
				n += v
			}
		}
	}
	return n
}

// Folding the log again, with nothing loaded or part of it, gives the same series and
// loses no point.
func TestTheSeriesLimitHoldsOverARestart(t *testing.T) {
	for _, loads := range []int{0, 1, 2} {
		t.Run(fmt.Sprint("loads=", loads), func(t *testing.T) {
			dir, s := t.TempDir(), newShelf()
			o := aggregate.Options{MaxSeries: 3, History: s}
			l, stop := openLab(t, dir, 1, o)
			send := func(from, to int) {
				for i := from; i < to; i++ {
					l.send(at("temp", point.Gauge, fmt.Sprint(i), float64(i), 1), at("temp", point.Gauge, "0", float64(i)+0.5, 1))
				}
				l.send(at("late", point.Counter, fmt.Sprint(from), 0, 5)) // all is full when this metric comes
			}
			send(0, 10)
			if loads > 0 {
				s.load(t, l.engine, nil)
			}
			send(10, 20)
			if loads > 1 {
				s.load(t, l.engine, nil)
			}
			check := func(when string) {
				t.Helper()
				if temp, late := l.count("temp"), l.count("late"); temp != 40 || late != 2 {
					t.Errorf("%s: got %v and %v points, want 40 and 2", when, temp, late)
				}
				var got []string
				for _, x := range l.ask(aggregate.Query{Metric: "temp", Agg: "count", By: []string{"host", aggregate.OverflowLabel}, Range: "10m", Step: "1h"}).Series {
					got = append(got, fmt.Sprint(x.Labels["host"], x.Labels[aggregate.OverflowLabel], ":", x.Values[0]))
				}
				if want := []string{"0:21", "1:1", "2:1", "true:17"}; !slices.Equal(got, want) {
					t.Errorf("%s: got %v, want %v", when, got, want)
				}
				if x := l.engine.Stats(); x.Series != 5 || x.Metrics != 2 {
					t.Errorf("%s: got %d series of %d metrics, want 3 and an overflow for each of 2", when, x.Series, x.Metrics)
				}
			}
			check("at first")
			if got := l.engine.Stats().Overflowed; got != 19 { // 17 of temp, 2 of late
				t.Errorf("%d look-ups ended in an overflow series, want 19", got)
			}
			stop()
			o.Restored = s.restored
			l, _ = openLab(t, dir, 1, o)
			check("after a restart")
			if got, want := l.engine.Stats().Overflowed, []uint64{19, 11, 0}[loads]; got != want {
				t.Errorf("after a restart: %d look-ups ended in an overflow series, want %d", got, want)
			}
			if loads < 2 {
				s.load(t, l.engine, nil)
				check("after another load")
			}
			names := dictionary(t, s.restored.Series)
			n := 0
			for _, p := range s.points {
				if names[p.series].Metric == "temp" {
					n++
				}
			}
			if n != 40 {
				t.Errorf("loaded %d points of temp, want 40", n)
			}
		})
	}
}

// The overflow of a metric keeps its types apart: a load of it does not mix members and
// numbers.
func TestTheOverflowOfTwoTypes(t *testing.T) {
	for _, order := range [][]point.Type{{point.Set, point.Gauge}, {point.Gauge, point.Set}} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			l, _ := openLab(t, t.TempDir(), 1, aggregate.Options{MaxSeries: 1})
			l.send(at("first", point.Gauge, "", 0, 1))
			for i := range 3 {
				for j, typ := range order {
					p := at("m", typ, fmt.Sprint(i), float64(2*i+j), 7) // each in a window of its own
					if typ == point.Set {
						p.Member, p.Value = "x", 0
					}
					l.send(p)
				}
			}
			agg, want := "sum", ":21"
			if order[0] == point.Set {
				agg, want = "distinct", ":1"
			}
			if got := show(l.ask(aggregate.Query{Metric: "m", Agg: agg, Range: "10m", Step: "10m"})); got != want {
				t.Errorf("%s: got %q, want %q", agg, got, want)
			}
			f, err := l.engine.Freeze(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			names := dictionary(t, f.NewSeries(0))
			n := 0
			for _, r := range rowsOf(t, f, 60_000) {
				if names[r.Series].Metric == "m" {
					n += int(r.State.Count)
				}
				if set := names[r.Series].Type == point.Set; set != !r.State.Distinct.Empty() {
					t.Errorf("%v: a window with %d members", names[r.Series], r.State.Distinct.Count())
				}
			}
			if n != 6 {
				t.Errorf("the windows hold %d points, want 6", n)
			}
			for _, p := range pointsOf(t, f) {
				if set := names[p.series].Type == point.Set; set != (p.member != "") {
					t.Errorf("%v: a point with member %q", names[p.series], p.member)
				}
			}
		})
	}
}

func TestMalformedRecordsAreBounded(t *testing.T) {
	l, _ := openLab(t, t.TempDir(), 1, aggregate.Options{})
	s := at("temp", point.Gauge, "", 0, 0).Series
	var v point.View
	p := at("temp", point.Gauge, "", 0, 4)
	v.Set(&p)
	var b point.Builder
	b.Add(&v)
	whole := b.Encode(nil)
	for n := 1; n < len(whole); n++ { // every part of a batch is none
		l.append(s, whole[:n])
	}
	parts := uint64(len(whole) - 1)
	l.append(s, whole)
	if got := l.engine; l.count("temp") != 1 || got.Stats().Malformed != parts {
		t.Fatalf("got %v points and %d malformed records, want 1 and %d", l.count("temp"), got.Stats().Malformed, parts)
	}
	for i := range 150 {
		l.append(s, fmt.Appendf(nil, "%03d %s", i, strings.Repeat("x", 1000)))
	}
	l.send(p)
	if got := l.count("temp"); got != 2 {
		t.Errorf("got %v points, want 2", got)
	}
	if got := l.engine.Stats().Malformed; got != parts+150 {
		t.Errorf("%d records are counted as malformed, want %d", got, parts+150)
	}
	kept := l.engine.Quarantined()
	if len(kept) != 100 {
		t.Fatalf("%d malformed records are kept, want the last 100", len(kept))
	}
	for i, m := range kept {
		if want := fmt.Sprintf("%03d ", 50+i); !strings.HasPrefix(string(m.Head), want) || len(m.Head) != 256 || m.Size != 1004 || m.Reason == "" || uint64(m.Offset) != parts+51+uint64(i) {
			t.Fatalf("record %d of those kept: got offset %d, size %d, head %.8q… of %d, reason %q; want %q", i, m.Offset, m.Size, m.Head, len(m.Head), m.Reason, want)
		}
	}
	f, err := l.engine.Freeze(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got := pointsOf(t, f); len(got) != 2 || uint64(f.Ranges()[0].To) != parts+152 {
		t.Errorf("a load takes %d points up to record %d, want 2 up to %d", len(got), f.Ranges()[0].To, parts+152)
	}
	if got := l.engine.Stats().Malformed; got != parts+150 {
		t.Errorf("after reading them again %d records are counted as malformed, want %d", got, parts+150)
	}
}

// Of a record that is points only in part, the good ones count and the others are counted.
func TestGoodPointsOfABadRecord(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	s := at("temp", point.Gauge, "", 0, 0).Series
	ts := noon - 600_000
	l.append(s, fmt.Appendf(nil, `[{"metric":"temp","ts":%d,"value":2},{"metric":"","value":1},{"metric":"temp","ts":5,"value":1},{"metric":"temp","ts":%d,"value":3}]`, ts, ts))
	l.append(s, fmt.Appendf(nil, "{\"metric\":\"temp\",\"ts\":%d,\"value\":4}\n\n{\"metric\":\"temp\",\"type\":\"no\"}\n{\"metric\":\"temp\",\"ts\":%d,\"value\":5}\n", ts, ts))
	var b point.Builder
	for _, at := range []int64{ts, ts + 1000*365*24*3_600_000} { // the second is a thousand years ahead
		var v point.View
		v.Set(&point.Point{Series: s, Time: at, Value: 6})
		b.Add(&v)
	}
	l.append(s, b.Encode(nil))
	if got := show(l.ask(aggregate.Query{Metric: "temp", Agg: "sum", Range: "10m", Step: "10m"})); got != ":20" {
		t.Errorf("got %q, want 2 + 3 + 4 + 5 + 6", got)
	}
	if x := l.engine.Stats(); x.Points != 5 || x.Refused != 4 || x.Malformed != 0 {
		t.Errorf("got %d points, %d refused, %d malformed; want 5, 4, 0", x.Points, x.Refused, x.Malformed)
	}
	kept := l.engine.Quarantined()
	if len(kept) != 3 || kept[0].Refused != 2 || kept[1].Refused != 1 || kept[2].Refused != 1 || !strings.Contains(kept[2].Reason, "ts") {
		t.Errorf("got %+v, want the three records with 2, 1 and 1 points refused, and why", kept)
	}
}
