package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/aggregate/window"
	"freshet/ingest/point"
	"freshet/stream"
)

// random returns points of every type, none twice at one time, in an order in which some are late.
func random(rng *rand.Rand, n int) []point.Point {
	types := []point.Type{point.Gauge, point.Counter, point.Cumulative, point.Distribution, point.Set}
	var out []point.Point
	for i := range n {
		typ := types[rng.IntN(len(types))]
		p := at("of."+typ.String(), typ, fmt.Sprint(rng.IntN(3)), float64(i)*31.057, float64(rng.IntN(1000))/8)
		p.Time -= 3_600_000
		if typ == point.Set {
			p.Value, p.Member = 0, fmt.Sprint(rng.IntN(9))
		}
		out = append(out, p)
	}
	for i := range out {
		if j := i + rng.IntN(30); rng.IntN(4) == 0 && j < n {
			out[i], out[j] = out[j], out[i]
		}
	}
	return out
}

// dictionary returns the series of a generation by id.
func dictionary(t *testing.T, series []aggregate.Series) map[aggregate.SeriesID]point.Series {
	t.Helper()
	out := map[aggregate.SeriesID]point.Series{}
	for i, s := range series {
		if s.ID != series[0].ID+aggregate.SeriesID(i) {
			t.Fatalf("ids are not without gaps: %v", series)
		}
		out[s.ID] = s.Series
	}
	return out
}

func spell(s point.Series, at int64, value float64, member string) string {
	return fmt.Sprint(s.Metric, s.Labels, " ", at, " ", value, " ", member)
}

func TestAGenerationHoldsWhatWasPostedInOrder(t *testing.T) {
	l := newLab(t, aggregate.Options{})
	posted := random(rand.New(rand.NewPCG(9, 10)), 400)
	l.send(posted...)
	f, err := l.engine.Freeze(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	series := dictionary(t, f.NewSeries(0))
	if len(series) != 15 || len(f.NewSeries(15)) != 0 || len(f.NewSeries(99)) != 0 || len(f.NewSeries(14)) != 1 {
		t.Errorf("got %d series, %d above 15 and %d above 14; want 15, 0 and 1", len(series), len(f.NewSeries(15)), len(f.NewSeries(14)))
	}
	want, got := map[stream.ShardID][]string{}, map[stream.ShardID][]string{}
	for _, p := range posted {
		shard := l.stream.ShardFor(stream.HashKey{Hi: point.HashOf(p.Series)}).ID()
		want[shard] = append(want[shard], spell(p.Series, p.Time, p.Value, p.Member))
	}
	for _, p := range pointsOf(t, f) {
		if int(p.offset) != len(got[p.shard]) || p.generation != f.Generation() {
			t.Fatalf("a point of record %d, generation %d came after %d records", p.offset, p.generation, len(got[p.shard]))
		}
		got[p.shard] = append(got[p.shard], spell(series[p.series], p.time, p.value, p.member))
	}
	for _, r := range f.Ranges() {
		if !slices.Equal(got[r.Shard], want[r.Shard]) {
			t.Errorf("%v: got %q, want %q", r.Shard, got[r.Shard], want[r.Shard])
		}
		if r.From != 0 || int(r.To) != len(want[r.Shard]) {
			t.Errorf("%v: covers %d to %d, want 0 to %d", r.Shard, r.From, r.To, len(want[r.Shard]))
		}
	}
	for _, resolution := range []int64{1000, 60_000, 3_600_000} {
		checkRows(t, rowsOf(t, f, resolution), resolution, series, posted)
	}
	cause := errors.New("full")
	if err := f.Points(context.Background(), func(*aggregate.Points) error { return cause }); !errors.Is(err, cause) {
		t.Errorf("points: got %v, want what the caller returned", err)
	}
	if err := f.Rows(context.Background(), 60_000, func(*aggregate.Row) error { return cause }); !errors.Is(err, cause) {
		t.Errorf("rows: got %v, want what the caller returned", err)
	}
}

// checkRows compares windows with what the points come to.
func checkRows(t *testing.T, rows []aggregate.Row, resolution int64, series map[aggregate.SeriesID]point.Series, points []point.Point) {
	t.Helper()
	type cell struct {
		series string
		start  int64
	}
	want := map[cell][]point.Point{}
	for _, p := range points {
		c := cell{spell(p.Series, 0, 0, ""), window.Floor(p.Time, resolution)}
		want[c] = append(want[c], p)
	}
	if len(rows) != len(want) {
		t.Errorf("%d ms: got %d windows, want %d", resolution, len(rows), len(want))
	}
	for i, r := range rows {
		s := series[r.Series]
		if i > 0 && s.Metric == series[rows[i-1].Series].Metric {
			if before := rows[i-1]; before.Start > r.Start || before.Start == r.Start && before.Series >= r.Series {
				t.Fatalf("%d ms: series %d at %d comes after series %d at %d", resolution, r.Series, r.Start, before.Series, before.Start)
			}
		}
		of := want[cell{spell(s, 0, 0, ""), r.Start}]
		if len(of) == 0 {
			t.Fatalf("%d ms: a window of %v at %d, which has no points", resolution, s, r.Start)
		}
		var sum float64
		least, greatest := of[0].Value, of[0].Value
		first, last := of[0], of[0]
		members := map[string]bool{}
		for _, p := range of {
			sum += p.Value
			least, greatest = min(least, p.Value), max(greatest, p.Value)
			members[p.Member] = true
			if p.Time < first.Time {
				first = p
			}
			if p.Time > last.Time {
				last = p
			}
		}
		x := r.State
		if x.Count != uint64(len(of)) || x.Sum != sum || x.Min != least || x.Max != greatest ||
			x.First != first.Value || x.Last != last.Value || x.FirstTime != first.Time || x.LastTime != last.Time {
			t.Errorf("%d ms, %v at %d: got %+v from %v", resolution, s, r.Start, x, of)
		}
		sketched, counted := uint64(0), uint64(0)
		switch s.Type {
		case point.Distribution:
			sketched = uint64(len(of))
		case point.Set:
			counted = uint64(len(members))
		case point.Cumulative:
			slices.SortFunc(of, func(a, b point.Point) int { return int(a.Time - b.Time) })
			rise := 0.0
			for i := 1; i < len(of); i++ {
				rise += of[i].Value - of[i-1].Value + window.Reset(of[i-1].Value, of[i].Value)
			}
			if x.Increase() != rise && resolution == 1000 { // a late fall within a longer window may go unseen
				t.Errorf("%d ms, %v at %d: rose by %v, want %v", resolution, s, r.Start, x.Increase(), rise)
			}
		}
		if x.Sketch.Count() != sketched || x.Distinct.Count() != counted {
			t.Errorf("%d ms, %v at %d: %d in the sketch and %d members, want %d and %d", resolution, s, r.Start, x.Sketch.Count(), x.Distinct.Count(), sketched, counted)
		}
	}
}

// Points that come in during a load are of the next generation, late or not.
func TestGenerationsFollowEachOther(t *testing.T) {
	s := newShelf()
	l, _ := openLab(t, t.TempDir(), 2, aggregate.Options{History: s})
	rng := rand.New(rand.NewPCG(11, 12))
	var posted []string
	for g := range 5 {
		for _, p := range random(rng, 40) {
			l.send(p)
			posted = append(posted, spell(p.Series, p.Time, p.Value, p.Member))
		}
		if f := s.load(t, l.engine, nil); f.Generation() != aggregate.Generation(g+1) {
			t.Fatalf("got generation %d, want %d", f.Generation(), g+1)
		}
		if _, err := l.engine.Freeze(context.Background()); !errors.Is(err, aggregate.ErrNothingPending) {
			t.Fatalf("after a load: got %v, want ErrNothingPending", err)
		}
	}
	l.engine.Loaded(5) // once more, and one that was never frozen
	l.engine.Loaded(9)
	if x := l.engine.Stats(); x.Open != 6 || x.Loaded != 5 {
		t.Errorf("open %d and loaded %d, want 6 and 5", x.Open, x.Loaded)
	}
	series := dictionary(t, s.restored.Series)
	var loaded []string
	for _, p := range s.points {
		loaded = append(loaded, spell(series[p.series], p.time, p.value, p.member))
	}
	slices.Sort(loaded)
	slices.Sort(posted)
	if !slices.Equal(loaded, posted) {
		t.Errorf("loaded %d points, posted %d, or others", len(loaded), len(posted))
	}
}

// A generation stays in memory while a snapshot older than its load may be open.
func TestMemoryIsFreedWhenNoOlderPinIsOpen(t *testing.T) {
	s := newShelf()
	l, _ := openLab(t, t.TempDir(), 2, aggregate.Options{History: s})
	l.send(random(rand.New(rand.NewPCG(13, 14)), 300)...)
	q := aggregate.Query{Metric: "of.gauge", Agg: "count", Range: "12h", Step: "1h"}
	want := l.ask(q)
	tail, err := l.engine.Tail(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	older, other := l.engine.Pin(), l.engine.Pin()
	s.load(t, l.engine, nil)
	younger := l.engine.Pin()
	defer younger.Close()
	bytes := func() int64 {
		l.send(at("tick", point.Gauge, "", 0, 1)) // a view is made anew when there are points
		l.ask(aggregate.Query{Metric: "tick", Agg: "sum", Range: "1m"})
		return l.engine.Stats().PendingBytes
	}
	full := bytes()
	older.Close()
	older.Close() // which counts once
	if got := bytes(); got < full/2 {
		t.Errorf("%d of %d bytes are left while a pin is open", got, full)
	}
	if got := l.ask(q); !alike(got.Series, want.Series) {
		t.Errorf("in memory and loaded: got %+v, want %+v", got.Series, want.Series)
	}
	points := 0
	if err := tail.Points(context.Background(), func(p *aggregate.Points) error { points += len(p.Time); return nil }); err != nil || points != 300 {
		t.Errorf("a tail from before the load has %d points (%v), want 300", points, err)
	}
	other.Close()
	if got := bytes(); got < full/2 {
		t.Errorf("%d of %d bytes are left while a tail is open", got, full)
	}
	tail.Close()
	tail.Close()
	left := bytes()
	for deadline := time.Now().Add(5 * time.Second); left >= full/2 && time.Now().Before(deadline); left = bytes() {
		time.Sleep(20 * time.Millisecond)
	}
	if left >= full/2 {
		t.Errorf("%d of %d bytes are left although nothing holds them", left, full)
	}
	if got := l.ask(q); !alike(got.Series, want.Series) {
		t.Errorf("freed: got %+v, want %+v", got.Series, want.Series)
	}
}

// A cut is a context that ends when it has been asked for Done a number of times.
type cut struct {
	context.Context
	left  atomic.Int32
	ended chan struct{}
}

func newCut(after int32) *cut {
	c := &cut{Context: context.Background(), ended: make(chan struct{})}
	c.left.Store(after)
	close(c.ended)
	return c
}

func (c *cut) Done() <-chan struct{} {
	if c.left.Add(-1) >= 0 {
		return nil
	}
	return c.ended
}

func (c *cut) Err() error {
	if c.left.Load() >= 0 {
		return nil
	}
	return context.Canceled
}

// A freeze of two shards asks each twice to catch up and once to end its generation: with
// five the first shard has ended its own when the context ends.
const afterTheFirstShard = 5

// cutShort freezes until that ends between the two shards; post brings what is to freeze.
func cutShort(t *testing.T, l *lab, s *shelf, post func()) {
	t.Helper()
	for range 100 {
		post()
		f, err := l.engine.Freeze(newCut(afterTheFirstShard))
		if errors.Is(err, context.Canceled) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		s.commit(t, f) // both shards were quick
		l.engine.Loaded(f.Generation())
	}
	t.Fatal("no freeze was cut short")
}

func TestAFreezeCutShortIsRepeated(t *testing.T) {
	s := newShelf()
	l, _ := openLab(t, t.TempDir(), 2, aggregate.Options{History: s})
	rng := rand.New(rand.NewPCG(15, 16))
	count := 0
	post := func() { l.send(random(rng, 50)...); count += 50 }
	all := func() (n float64) {
		t.Helper()
		for _, typ := range []string{"gauge", "counter", "cumulative", "distribution", "set"} {
			for _, x := range l.ask(aggregate.Query{Metric: "of." + typ, Agg: "count", Range: "12h", Step: "1h"}).Series {
				for _, v := range x.Values {
					if !math.IsNaN(v) {
						n += v
					}
				}
			}
		}
		return n
	}
	for range 5 {
		cutShort(t, l, s, post)
		post() // between the attempts: of two generations
		if got := all(); got != float64(count) {
			t.Fatalf("between the attempts: got %v points, want %d", got, count)
		}
		s.load(t, l.engine, nil)
		if got := all(); got != float64(count) {
			t.Fatalf("loaded: got %v points, want %d", got, count)
		}
	}
	if _, err := l.engine.Freeze(context.Background()); err == nil { // what the second shard got between the attempts is loaded
		s.load(t, l.engine, nil)
	}
	if got := len(s.points); got != count {
		t.Errorf("loaded %d points, want each of %d once", got, count)
	}
}

// What one shard had frozen when the freeze was cut short is still to load, although
// nothing came after it.
func TestAFreezeCutShortIsStillPending(t *testing.T) {
	s := newShelf()
	l, _ := openLab(t, t.TempDir(), 2, aggregate.Options{History: s})
	first := at("temp", point.Gauge, "a", 0, 1)
	for i := 0; l.stream.ShardFor(stream.HashKey{Hi: point.HashOf(first.Series)}).ID() != 0; i++ {
		first = at("temp", point.Gauge, fmt.Sprint(i), 0, 1)
	}
	count := 0
	cutShort(t, l, s, func() { l.send(first); count++ })
	f, err := l.engine.Freeze(context.Background())
	if err != nil {
		t.Fatalf("got %v, want the generation that the first shard has ended", err)
	}
	s.commit(t, f)
	l.engine.Loaded(f.Generation())
	if len(s.points) != count {
		t.Errorf("loaded %d points, want %d", len(s.points), count)
	}
	if _, err := l.engine.Freeze(context.Background()); !errors.Is(err, aggregate.ErrNothingPending) {
		t.Errorf("got %v, want ErrNothingPending", err)
	}
}
