package aggregate_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/aggregate/window"
	"freshet/stream"
)

// openLab opens a lab on a directory that may hold an earlier one's log. The function
// that it returns ends the lab; the end of the test calls it as well.
func openLab(t *testing.T, dir string, shards int, o aggregate.Options) (*lab, func()) {
	t.Helper()
	l := &lab{t: t}
	l.clock.Store(noon)
	log, err := stream.Open(stream.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	var ok bool
	if l.stream, ok = log.Stream("metrics"); !ok {
		if l.stream, err = log.Create("metrics", shards); err != nil {
			t.Fatal(err)
		}
	}
	o.Stream, o.Now = l.stream, func() time.Time { return time.UnixMilli(l.clock.Load()) }
	if l.engine, err = aggregate.New(o); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- log.Run(ctx) }()
	go func() { done <- l.engine.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := errors.Join(<-done, <-done, log.Close()); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return l, stop
}

// A shelf is a warehouse in memory.
type shelf struct {
	mu       sync.Mutex
	restored aggregate.Restored
	names    map[aggregate.SeriesID]string // the metric of each series
	rows     map[int64][]aggregate.Row     // by resolution
	points   []shelved
}

// A shelved is one point and the generation that brought it.
type shelved struct {
	generation aggregate.Generation
	offset     stream.Offset
	shard      stream.ShardID
	series     aggregate.SeriesID
	time       int64
	value      float64
	member     string
}

func newShelf() *shelf {
	return &shelf{
		restored: aggregate.Restored{Positions: map[stream.ShardID]stream.Offset{}, Extents: map[string]aggregate.Extent{}},
		names:    map[aggregate.SeriesID]string{}, rows: map[int64][]aggregate.Row{},
	}
}

// load freezes what is pending and puts it on the shelf. Before is called between the
// commit and the engine's learning of it; nil does nothing.
func (s *shelf) load(t *testing.T, e *aggregate.Engine, before func()) aggregate.Frozen {
	t.Helper()
	f, err := e.Freeze(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	s.commit(t, f)
	if before != nil {
		before()
	}
	e.Loaded(f.Generation())
	return f
}

func (s *shelf) commit(t *testing.T, f aggregate.Frozen) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := f.NewSeries(aggregate.SeriesID(len(s.restored.Series)))
	s.restored.Series = append(s.restored.Series, fresh...)
	for _, x := range fresh {
		s.names[x.ID] = x.Metric
	}
	for _, p := range pointsOf(t, f) {
		s.points = append(s.points, p)
		x, ok := s.restored.Extents[s.names[p.series]]
		if !ok {
			x = aggregate.Extent{First: p.time, Last: p.time}
		}
		s.restored.Extents[s.names[p.series]] = aggregate.Extent{First: min(x.First, p.time), Last: max(x.Last, p.time)}
	}
	for _, resolution := range []int64{60_000, 3_600_000, 86_400_000} {
		s.rows[resolution] = append(s.rows[resolution], rowsOf(t, f, resolution)...)
	}
	s.commitKeys(t, f)
	for _, r := range f.Ranges() {
		s.restored.Positions[r.Shard] = r.To
	}
	s.restored.Generation = f.Generation()
}

// commitKeys puts the keys of a generation behind the others of their shards.
func (s *shelf) commitKeys(t *testing.T, f aggregate.Frozen) {
	t.Helper()
	err := f.Keys(context.Background(), func(k *aggregate.Keys) error {
		run := *k
		run.Key, run.Arrived = slices.Clone(k.Key), slices.Clone(k.Arrived)
		if len(run.Key) > 0 {
			s.restored.Keys = append(s.restored.Keys, run)
		}
		kept := s.restored.Keys[:0:0]
		for _, x := range s.restored.Keys {
			if x.Shard == k.Shard && x.First < k.Oldest {
				n := min(uint64(len(x.Key)), k.Oldest-x.First)
				x.First, x.Key, x.Arrived = x.First+n, x.Key[n:], x.Arrived[n:]
			}
			if len(x.Key) > 0 {
				kept = append(kept, x)
			}
		}
		s.restored.Keys = kept
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(s.restored.Keys, func(a, b aggregate.Keys) int { return int(a.Shard) - int(b.Shard) })
}

// pointsOf returns the points of a generation as they come.
func pointsOf(t *testing.T, f aggregate.Frozen) []shelved {
	t.Helper()
	var out []shelved
	err := f.Points(context.Background(), func(p *aggregate.Points) error {
		for i := range p.Time {
			x := shelved{generation: p.Generation, offset: p.Offset[i], shard: p.Shard, series: p.Series[i], time: p.Time[i], value: p.Value[i]}
			if len(p.Member) > 0 {
				x.member = p.Member[i]
			}
			out = append(out, x)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// rowsOf returns copies of the windows of a generation as they come.
func rowsOf(t *testing.T, f aggregate.Frozen, resolution int64) []aggregate.Row {
	t.Helper()
	var out []aggregate.Row
	err := f.Rows(context.Background(), resolution, func(r *aggregate.Row) error {
		var state window.State
		state.Merge(r.State)
		out = append(out, aggregate.Row{Series: r.Series, Start: r.Start, State: &state})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A snapshot shows the first rows and points of a shelf, which only grow.
type snapshot struct {
	shelf      *shelf
	generation aggregate.Generation
	rows       map[int64][]aggregate.Row
	points     []shelved
}

func (s *shelf) Snapshot(context.Context) (aggregate.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rows := map[int64][]aggregate.Row{}
	for resolution, all := range s.rows {
		rows[resolution] = slices.Clip(all)
	}
	return &snapshot{s, s.restored.Generation, rows, slices.Clip(s.points)}, nil
}

func (s *snapshot) Generation() aggregate.Generation { return s.generation }
func (s *snapshot) Close() error                     { return nil }

func (s *snapshot) Rows(_ context.Context, metric string, resolution, from, to int64, yield func(*aggregate.Row) error) error {
	for _, r := range s.rows[resolution] {
		if s.shelf.names[r.Series] == metric && from <= r.Start && r.Start < to {
			if err := yield(&r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *snapshot) Groups(ctx context.Context, r aggregate.GroupsRequest, yield func(*aggregate.GroupRow) error) error {
	type cell struct {
		group int32
		step  int64
	}
	groups := map[aggregate.SeriesID]int32{}
	for i, id := range r.Series {
		groups[id] = r.Groups[i]
	}
	cells := map[cell]*window.State{}
	add := func(series aggregate.SeriesID, at int64, state *window.State) {
		group, ok := groups[series]
		if !ok {
			return
		}
		c := cell{group, at}
		if r.Edges == nil {
			c.step = at - (at-r.From)%r.Step
		}
		for _, edge := range r.Edges {
			if edge <= at {
				c.step = edge
			}
		}
		if cells[c] == nil {
			cells[c] = &window.State{}
		}
		cells[c].Merge(state)
	}
	var err error
	if s.rows[r.Resolution] != nil {
		err = s.Rows(ctx, r.Metric, r.Resolution, r.From, r.To, func(x *aggregate.Row) error { add(x.Series, x.Start, x.State); return nil })
	} else {
		err = s.Points(ctx, r.Metric, r.From, r.To, func(p *aggregate.Points) error {
			x := p.Value[0]
			state := &window.State{Count: 1, Sum: x, Min: x, Max: x, First: x, Last: x, FirstTime: p.Time[0], LastTime: p.Time[0]}
			if p.Member != nil {
				state.Distinct.Add(aggregate.MemberHash([]byte(p.Member[0])))
			} else {
				state.Sketch.Add(x)
			}
			add(p.Series[0], p.Time[0], state)
			return nil
		})
	}
	if err != nil {
		return err
	}
	for c, x := range cells {
		err := yield(&aggregate.GroupRow{
			Group: c.group, Step: c.step, Count: x.Count, Sum: x.Sum, Min: x.Min, Max: x.Max, Last: x.Last, LastTime: x.LastTime,
			Late: x.Late, Sketch: x.Sketch, Distinct: x.Distinct,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (s *snapshot) Points(_ context.Context, metric string, from, to int64, yield func(*aggregate.Points) error) error {
	for _, p := range s.points {
		if s.shelf.names[p.series] != metric || p.time < from || p.time >= to {
			continue
		}
		one := &aggregate.Points{
			Generation: p.generation, Shard: p.shard, Offset: []stream.Offset{p.offset},
			Series: []aggregate.SeriesID{p.series}, Time: []int64{p.time}, Value: []float64{p.value},
		}
		if p.member != "" {
			one.Member = []string{p.member}
		}
		if err := yield(one); err != nil {
			return err
		}
	}
	return nil
}
