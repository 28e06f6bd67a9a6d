package warehouse_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/aggregate/window"
	"freshet/ingest/point"
	"freshet/warehouse"
)

// A cellKey is a group in a step.
type cellKey struct {
	group int32
	step  int64
}

// groupsByHand adds up the rows or points of a snapshot as a GroupsRequest asks.
func groupsByHand(t *testing.T, s aggregate.Snapshot, r aggregate.GroupsRequest) map[cellKey]*window.State {
	t.Helper()
	groups := map[aggregate.SeriesID]int32{}
	for i, id := range r.Series {
		groups[id] = r.Groups[i]
	}
	out := map[cellKey]*window.State{}
	add := func(series aggregate.SeriesID, at int64, st *window.State) {
		group, ok := groups[series]
		if !ok {
			return
		}
		step := r.From + (at-r.From)/max(r.Step, 1)*r.Step
		for _, edge := range r.Edges {
			if edge <= at {
				step = edge
			}
		}
		key := cellKey{group, step}
		if out[key] == nil {
			out[key] = &window.State{}
		}
		out[key].Merge(st)
	}
	var err error
	if r.Resolution >= 60_000 {
		err = s.Rows(t.Context(), r.Metric, r.Resolution, r.From, r.To, func(x *aggregate.Row) error { add(x.Series, x.Start, x.State); return nil })
	} else {
		err = s.Points(t.Context(), r.Metric, r.From, r.To, func(p *aggregate.Points) error {
			for i, x := range p.Value {
				st := &window.State{Count: 1, Sum: x, Min: x, Max: x, First: x, Last: x, FirstTime: p.Time[i], LastTime: p.Time[i]}
				if p.Late != nil && p.Late[i] {
					st.Late = 1
				}
				if p.Member != nil {
					st.Distinct.Add(aggregate.MemberHash([]byte(p.Member[i])))
				} else {
					st.Sketch.Add(x)
				}
				add(p.Series[i], p.Time[i], st)
			}
			return nil
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Groups says what the same windows come to one by one, at every level, in even and in
// uneven steps, with sketches and members.
func TestGroupsAgreeWithRows(t *testing.T) {
	l := newLine(t, newLog(t), filepath.Join(t.TempDir(), "w.duckdb"), warehouse.LoaderOptions{})
	day := time.UnixMilli(base).Add(-48 * time.Hour).Truncate(24 * time.Hour).UnixMilli()
	rng := rand.New(rand.NewPCG(1, 2))
	for range 3 { // generations: the windows come in parts
		var points []point.Point
		for range 3000 {
			at := day + rng.Int64N(2*86_400_000)
			labels := point.Labels{{Name: "n", Value: fmt.Sprint(rng.IntN(20))}}
			points = append(points,
				point.Point{Series: point.Series{Metric: "d", Type: point.Distribution, Labels: labels}, Time: at, Value: float64(rng.IntN(1000)) / 8},
				point.Point{Series: point.Series{Metric: "s", Type: point.Set, Labels: labels}, Time: at, Member: fmt.Sprint(rng.IntN(50))})
		}
		l.post(t, points...)
		l.load(t)
	}
	s, err := l.store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, metric := range []string{"d", "s"} {
		r := aggregate.GroupsRequest{Metric: metric, From: day, To: day + 2*86_400_000, WantSketch: true, WantDistinct: true}
		for _, x := range l.engine.SeriesAfter(0) {
			if x.Metric == metric && x.ID%5 != 0 { // one in five is not wanted
				r.Series, r.Groups = append(r.Series, x.ID), append(r.Groups, int32(x.ID%3))
			}
		}
		edges := []int64{day, day + 3*3_600_000, day + 30*3_600_000}
		for _, c := range []struct {
			resolution, step int64
			edges            []int64
		}{
			{1000, 5000, nil}, {60_000, 60_000, nil}, {60_000, 1_800_000, nil}, {3_600_000, 7_200_000, nil}, {86_400_000, 86_400_000, nil},
			{3_600_000, 0, edges}, {1000, 0, edges},
		} {
			r.Resolution, r.Step, r.Edges = c.resolution, c.step, c.edges
			checkGroups(t, s, r)
		}
	}
}

func checkGroups(t *testing.T, s aggregate.Snapshot, r aggregate.GroupsRequest) {
	t.Helper()
	want := groupsByHand(t, s, r)
	seen := map[cellKey]bool{}
	err := s.Groups(context.Background(), r, func(g *aggregate.GroupRow) error {
		key := cellKey{g.Group, g.Step}
		w := want[key]
		if w == nil || seen[key] {
			return fmt.Errorf("group %d, step %d: yielded, and not wanted once", g.Group, g.Step)
		}
		seen[key] = true
		got := fmt.Sprint(g.Count, g.Min, g.Max, g.LastTime, g.Late, g.Sketch.Bins(), g.Distinct.Count())
		if want := fmt.Sprint(w.Count, w.Min, w.Max, w.LastTime, w.Late, w.Sketch.Bins(), w.Distinct.Count()); got != want {
			return fmt.Errorf("group %d, step %d: got %s, want %s", g.Group, g.Step, got, want)
		}
		if math.Abs(g.Sum-w.Sum) > 1e-9*math.Abs(w.Sum) {
			return fmt.Errorf("group %d, step %d: sum %v, want %v", g.Group, g.Step, g.Sum, w.Sum)
		}
		return nil
	})
	if err != nil {
		t.Errorf("%s by %d ms, step %d, edges %v: %v", r.Metric, r.Resolution, r.Step, r.Edges, err)
	}
	if len(seen) != len(want) || len(want) == 0 {
		t.Errorf("%s by %d ms, step %d, edges %v: %d cells, want %d (of %v)", r.Metric, r.Resolution, r.Step, r.Edges, len(seen), len(want), len(slices.Collect(maps.Keys(want))))
	}
}

// A database of the first schema gets days from its hours, and says that nothing was late.
func TestMigrationFromVersion1(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.duckdb")
	execOn(t, path, `
		CREATE TABLE schema_rows (version INTEGER NOT NULL, applied TIMESTAMPTZ NOT NULL);
		INSERT INTO schema_rows VALUES (1, now());
		CREATE TABLE series_rows (id UINTEGER NOT NULL, metric VARCHAR NOT NULL, type UTINYINT NOT NULL, labels MAP(VARCHAR, VARCHAR) NOT NULL);
		CREATE TABLE point_rows (series UINTEGER NOT NULL, ts TIMESTAMPTZ NOT NULL, value DOUBLE, member VARCHAR,
			shard UINTEGER NOT NULL, seq UBIGINT NOT NULL, generation UBIGINT NOT NULL);
		CREATE TABLE minute_rows (series UINTEGER NOT NULL, start TIMESTAMPTZ NOT NULL, count UBIGINT NOT NULL,
			sum DOUBLE NOT NULL, min DOUBLE NOT NULL, max DOUBLE NOT NULL, first DOUBLE NOT NULL, last DOUBLE NOT NULL,
			first_ts TIMESTAMPTZ NOT NULL, last_ts TIMESTAMPTZ NOT NULL, resets DOUBLE NOT NULL, sketch BLOB, members BLOB, generation UBIGINT NOT NULL);
		CREATE TABLE hour_rows AS FROM minute_rows;
		CREATE TABLE load_rows (generation UBIGINT NOT NULL, started TIMESTAMPTZ NOT NULL, finished TIMESTAMPTZ NOT NULL, points UBIGINT NOT NULL);
		CREATE TABLE range_rows (generation UBIGINT NOT NULL, shard UINTEGER NOT NULL, from_seq UBIGINT NOT NULL, to_seq UBIGINT NOT NULL);
		INSERT INTO series_rows VALUES (1, 'm', 1, MAP {'host': 'a'});
		INSERT INTO point_rows SELECT 1, t, 2, NULL, 0, 0, 1 FROM unnest(['2026-01-02 03:00:00+00'::TIMESTAMPTZ, '2026-01-02 05:30:00+00']) u(t);
		INSERT INTO hour_rows SELECT 1, date_trunc('hour', ts), 1, 2, 2, 2, 2, 2, ts, ts, 0, NULL, NULL, 1 FROM point_rows;
		INSERT INTO minute_rows SELECT * REPLACE (date_trunc('minute', first_ts) AS start) FROM hour_rows;
		INSERT INTO load_rows VALUES (1, now(), now(), 2);
		INSERT INTO range_rows VALUES (1, 0, 0, 0);`)
	l := newLine(t, newLog(t), path, warehouse.LoaderOptions{})
	if got, want := l.query(t, "SELECT start, metric, count, sum FROM windows_1d"), "[[2026-01-02T00:00:00Z m 2 4]]"; got != want {
		t.Errorf("days are %s, want %s", got, want)
	}
	l.post(t, gauge("m", "a", time.Date(2026, 1, 2, 9, 0, 0, 0, time.UTC).UnixMilli(), 5))
	l.load(t)
	if got, want := l.query(t, "SELECT count, sum, max FROM windows_1d"), "[[3 9 5]]"; got != want {
		t.Errorf("after a load days are %s, want %s", got, want)
	}
}
