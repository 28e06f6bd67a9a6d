package aggregate_test

import (
	"context"
	"slices"
	"testing"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/stream"
)

// A point is late when its window was final before its record came. The fold, the raw
// points and the windows of a load agree on which those are, also in a later generation.
func TestLatePoints(t *testing.T) {
	l, s := newLab(t, aggregate.Options{}), point.Series{}
	for i := 0; ; i++ { // one shard is enough
		s = at("temp", point.Gauge, string(rune('a'+i)), 0, 0).Series
		if l.stream.ShardFor(stream.HashKey{Hi: point.HashOf(s)}).ID() == 0 {
			break
		}
	}
	send := func(times ...int64) {
		var points []point.Point
		for _, ms := range times {
			points = append(points, point.Point{Series: s, Time: noon + ms, Value: 1})
		}
		l.send(points...)
	}
	freeze := func() (late []int64, counts map[int64]uint64) {
		f, err := l.engine.Freeze(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		err = f.Points(context.Background(), func(p *aggregate.Points) error {
			for i := range p.Time {
				if p.Late != nil && p.Late[i] {
					late = append(late, p.Time[i]-noon)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		counts = map[int64]uint64{}
		err = f.Rows(context.Background(), 60_000, func(r *aggregate.Row) error {
			if r.State.Late > 0 {
				counts[r.Start-noon] = r.State.Late
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		l.engine.Loaded(f.Generation())
		return late, counts
	}
	send(-1000)
	send(-302_000, -301_000) // the first window ended 5 min before -1000, the other one ends later
	send(0, -400_000)
	late, counts := freeze()
	if want := []int64{-302_000, -400_000}; !slices.Equal(late, want) {
		t.Errorf("got late %v, want %v", late, want)
	}
	if counts[-360_000] != 1 || counts[-420_000] != 1 || len(counts) != 2 {
		t.Errorf("got %v", counts)
	}
	send(-300_000, -300_001) // 0 is remembered from the generation before
	late, counts = freeze()
	if want := []int64{-300_001}; !slices.Equal(late, want) || counts[-360_000] != 1 || len(counts) != 1 {
		t.Errorf("got late %v and %v, want %v", late, counts, want)
	}
}
