package warehouse_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/warehouse"
)

// mixed returns points of all types over some hours, in random order, so that a load of
// some of them has parts of most windows.
func mixed(rng *rand.Rand, n int) []point.Point {
	types := map[string]point.Type{"g": point.Gauge, "c": point.Counter, "u": point.Cumulative, "d": point.Distribution, "s": point.Set}
	names := []string{"g", "c", "u", "d", "s"}
	out := make([]point.Point, n)
	for i := range out {
		name := names[rng.IntN(len(names))]
		p := point.Point{Series: point.Series{Metric: name, Type: types[name], Labels: point.Labels{{Name: "n", Value: fmt.Sprint(rng.IntN(5))}}}}
		p.Time = base + rng.Int64N(3*3_600_000)
		if p.Type == point.Set {
			p.Member = fmt.Sprint(rng.IntN(40))
		} else {
			p.Value = float64(rng.IntN(1000)) / 8
		}
		out[i] = p
	}
	return out
}

var mixedQueries = []aggregate.Query{
	{Metric: "g", Agg: "sum", By: []string{"n"}, Step: "1m", Range: "8h"},
	{Metric: "g", Agg: "last", By: []string{"n"}, Step: "1h", Range: "8h"},
	{Metric: "c", Agg: "increase", Step: "1h", Range: "8h"},
	{Metric: "u", Agg: "increase", By: []string{"n"}, Step: "1h", Range: "8h"},
	{Metric: "u", Agg: "rate", By: []string{"n"}, Step: "1m", Range: "8h"},
	{Metric: "u", Agg: "increase", By: []string{"n"}, Step: "1d", Range: "2d"},
	{Metric: "d", Agg: "p90", By: []string{"n"}, Step: "1m", Range: "8h"},
	{Metric: "d", Agg: "p50", Step: "1d", Range: "2d"},
	{Metric: "s", Agg: "distinct", Step: "1h", Range: "8h"},
}

// answers returns all that is said of the mixed points: by an engine without a cache, and by SQL.
func (l *line) answers(t testing.TB) string {
	t.Helper()
	out := ""
	for _, q := range mixedQueries {
		a, err := l.engine.Query(t.Context(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		slices.SortFunc(a.Series, func(x, y aggregate.Values) int {
			return slices.Compare([]byte(fmt.Sprint(x.Labels)), []byte(fmt.Sprint(y.Labels)))
		})
		for _, s := range a.Series {
			out += fmt.Sprint(q.Metric, q.Agg, q.Step, s.Labels, s.Values, "\n")
		}
	}
	for _, view := range []string{"windows_1m", "windows_1h", "windows_1d"} {
		out += l.query(t, "SELECT start, metric, labels['n'], count, sum, min, max, first, last FROM "+view+" ORDER BY ALL") + "\n"
	}
	return out
}

// rowCount returns how many rows the tables of windows have.
func rowCount(t *testing.T, l *line) (n int) {
	t.Helper()
	s, err := l.store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, metric := range []string{"g", "c", "u", "d", "s"} {
		for _, resolution := range []int64{60_000, 3_600_000, 86_400_000} {
			if err := s.Rows(t.Context(), metric, resolution, 0, 1<<45, func(*aggregate.Row) error { n++; return nil }); err != nil {
				t.Fatal(err)
			}
		}
	}
	return n
}

// A compaction changes no answer, and at whatever step it is cut short, neither did it
// lose or add anything, nor will the next one.
func TestCompactionKeepsEveryAnswer(t *testing.T) {
	log := newLog(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "w.duckdb")
	l := newLine(t, log, path, warehouse.LoaderOptions{})
	rng := rand.New(rand.NewPCG(5, 6))
	for range 4 {
		l.post(t, mixed(rng, 2000)...)
		l.load(t)
	}
	want := newLine(t, log, copied(t, path, filepath.Join(dir, "before")), warehouse.LoaderOptions{}).answers(t)
	before := rowCount(t, l)
	old, err := l.store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	taken := map[string]int{}
	upkeep := l.store.Upkeep(warehouse.UpkeepOptions{Now: later, Step: func(name string) {
		if n := taken[name]; n == 0 { // of the first piece
			copied(t, path, filepath.Join(dir, fmt.Sprint(name, n)))
			taken[name]++
		}
	}})
	if err := upkeep.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := newLine(t, log, copied(t, path, filepath.Join(dir, "after")), warehouse.LoaderOptions{}).answers(t); got != want {
		t.Errorf("after the compaction: got\n%s\nwant\n%s", got, want)
	}
	after := rowCount(t, l)
	if merged := int(upkeep.Stats().Merged); before-after != merged || after >= before {
		t.Errorf("%d rows became %d, and %d went into others", before, after, merged)
	}
	n := 0
	if err := old.Rows(t.Context(), "g", 3_600_000, 0, 1<<45, func(r *aggregate.Row) error { n += int(r.State.Count); return nil }); err != nil || n == 0 {
		t.Errorf("a snapshot from before the compaction counts %d points, %v", n, err)
	}
	if err := upkeep.Round(t.Context()); err != nil || rowCount(t, l) != after {
		t.Errorf("a second compaction left %d rows of %d, %v", rowCount(t, l), after, err)
	}
	for _, step := range []string{"compact", "delete", "insert", "commit", "compacted"} {
		if taken[step] == 0 {
			t.Fatalf("there was no step %s", step)
		}
		for i := range taken[step] {
			again := newLine(t, log, filepath.Join(dir, fmt.Sprint(step, i)), warehouse.LoaderOptions{})
			if got := again.answers(t); got != want {
				t.Errorf("crash at %s: got\n%s\nwant\n%s", step, got, want)
			}
			if err := again.store.Upkeep(warehouse.UpkeepOptions{Now: later}).Round(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n := rowCount(t, again); n != after {
				t.Errorf("crash at %s, then a compaction: %d rows, want %d", step, n, after)
			}
		}
	}
}

func copied(t testing.TB, from, to string) string {
	t.Helper()
	copyDatabase(t, from, to)
	return to
}

// Loads, compactions and readers do not wait for each other, and none of them fails.
func TestCompactionDuringLoads(t *testing.T) {
	l := newLine(t, newLog(t), filepath.Join(t.TempDir(), "w.duckdb"), warehouse.LoaderOptions{})
	upkeep := l.store.Upkeep(warehouse.UpkeepOptions{Now: later})
	ctx, stop := context.WithCancel(context.Background())
	var g sync.WaitGroup
	g.Go(func() {
		for ctx.Err() == nil {
			if err := upkeep.Round(context.Background()); err != nil {
				t.Error(err)
				return
			}
		}
	})
	g.Go(func() {
		for ctx.Err() == nil {
			var r table
			if err := l.sql.Query(context.Background(), `SELECT (SELECT count(*) FROM points), (SELECT sum(count)::BIGINT FROM windows_1m),
				(SELECT sum(count)::BIGINT FROM windows_1h), (SELECT sum(count)::BIGINT FROM windows_1d)`, nil, &r); err != nil {
				t.Error(err)
				return
			}
			if row := r.rows[0]; row[1] != nil && (row[0] != row[1] || row[0] != row[2] || row[0] != row[3]) {
				t.Errorf("the counts of one query differ: %v", row)
				return
			}
		}
	})
	rng := rand.New(rand.NewPCG(7, 8))
	for range 20 {
		l.post(t, mixed(rng, 500)...)
		l.load(t)
	}
	stop()
	g.Wait()
	if merged := upkeep.Stats().Merged; merged == 0 {
		t.Error("nothing was compacted")
	}
}
