package warehouse_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/warehouse"
)

var allSteps = []string{"freeze", "begin", "points", "series", "windows_1m", "windows_1h", "windows_1d", "keys", "positions", "commit", "committed"}

func TestLoadKeepsEveryAnswer(t *testing.T) {
	var seen steps
	l := newLine(t, newLog(t), filepath.Join(t.TempDir(), "w.duckdb"), warehouse.LoaderOptions{Step: seen.step})
	set := point.Point{Series: point.Series{Metric: "visitors", Type: point.Set}, Time: base + 500, Member: "ann"}
	bob := set
	bob.Member = "bob"
	l.post(t, gauge("m", "a", base, 1), gauge("m", "a", base+999, 5), gauge("m", "a", base+61_000, 3),
		gauge("m", "b", base+3_600_000, 7), gauge("m", "b", base-1, 2), set, bob)
	questions := []struct{ sql, want string }{
		{"SELECT epoch_ms(ts) - epoch_ms(now()) < 0, metric, type, value, member, labels['host'] FROM points ORDER BY metric, ts",
			"[[true m gauge 2 <nil> b] [true m gauge 1 <nil> a] [true m gauge 5 <nil> a] [true m gauge 3 <nil> a] [true m gauge 7 <nil> b] [true visitors set <nil> ann <nil>] [true visitors set <nil> bob <nil>]]"},
		{fmt.Sprintf("SELECT (epoch_ms(start) - %d)::BIGINT, labels['host'], count, sum, min, max, first, last FROM windows_1s WHERE metric = 'm' ORDER BY 1, 2", base),
			"[[-1000 b 1 2 2 2 2 2] [0 a 2 6 1 5 1 5] [61000 a 1 3 3 3 3 3] [3600000 b 1 7 7 7 7 7]]"},
		{fmt.Sprintf("SELECT (epoch_ms(start) - %d)::BIGINT, labels['host'], count, sum, min, max, first, last FROM windows_1m WHERE metric = 'm' ORDER BY 1, 2", base),
			"[[-60000 b 1 2 2 2 2 2] [0 a 2 6 1 5 1 5] [60000 a 1 3 3 3 3 3] [3600000 b 1 7 7 7 7 7]]"},
		{fmt.Sprintf("SELECT (epoch_ms(start) - %d)::BIGINT, labels['host'], count, sum, min, max, first, last FROM windows_1h WHERE metric = 'm' ORDER BY 1, 2", base),
			"[[-3600000 b 1 2 2 2 2 2] [0 a 3 9 1 5 1 3] [3600000 b 1 7 7 7 7 7]]"},
		{"SELECT count, sum, min, max, first, last FROM windows_1s WHERE metric = 'visitors'", "[[2 <nil> <nil> <nil> <nil> <nil>]]"},
		{"SELECT count, sum, min, max, first, last FROM windows_1m WHERE metric = 'visitors'", "[[2 <nil> <nil> <nil> <nil> <nil>]]"},
		{"SELECT metric, type, series FROM metrics ORDER BY 1", "[[m gauge 2] [visitors set 1]]"},
		{"SELECT metric, type, labels['host'] FROM series ORDER BY 1, 3", "[[m gauge a] [m gauge b] [visitors set <nil>]]"},
	}
	check := func(when string) {
		t.Helper()
		for _, q := range questions {
			if got := l.query(t, q.sql); got != q.want {
				t.Errorf("%s: %s\ngot  %s\nwant %s", when, q.sql, got, q.want)
			}
		}
	}
	check("before the load")
	if done := l.load(t); done.Generation != 1 || done.Points != 7 {
		t.Errorf("loaded %+v, want 7 points in generation 1", done)
	}
	if !slices.Equal(seen.names, allSteps) {
		t.Errorf("steps are %q, want %q", seen.names, allSteps)
	}
	check("after the load")
	if done := l.load(t); done.Generation != 1 || done.Points != 0 {
		t.Errorf("a load of nothing says %+v, want generation 1 and 0 points", done)
	}
	// Late points go to windows that are loaded already.
	l.post(t, gauge("m", "a", base+1, 10), gauge("m", "new", base, 100))
	for _, when := range []string{"late and pending", "late and loaded"} {
		got := l.query(t, fmt.Sprintf("SELECT labels['host'], count, sum, first, last FROM windows_1m WHERE metric = 'm' AND epoch_ms(start) = %d ORDER BY 1", base))
		if want := "[[a 3 16 1 5] [new 1 100 100 100]]"; got != want {
			t.Errorf("%s: got %s, want %s", when, got, want)
		}
		if when == "late and pending" {
			l.load(t)
		}
	}
	got := l.query(t, "SELECT generation, points, started <= finished, cardinality(from_seq), from_seq['shardId-000000000000'] <= to_seq['shardId-000000000000'] FROM loads ORDER BY 1")
	if want := "[[1 7 true 2 true] [2 2 true 2 true]]"; got != want {
		t.Errorf("loads are %s, want %s", got, want)
	}
}

// copyDatabase copies the files of a database that is in use: what a kill -9 leaves.
func copyDatabase(t testing.TB, from, to string) {
	t.Helper()
	for _, suffix := range []string{"", ".wal"} {
		b, err := os.ReadFile(from + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err == nil {
			err = os.WriteFile(to+suffix, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestCrashAtEveryStep restarts from the files as they were when each step of a load
// began: every point is counted once, then and after the next load.
func TestCrashAtEveryStep(t *testing.T) {
	for name, n := range map[string]int{"few": 10, "many": 130_000} {
		t.Run(name, func(t *testing.T) {
			if testing.Short() && n > 1000 {
				t.Skip("long")
			}
			s := newLog(t)
			dir := t.TempDir()
			path := filepath.Join(dir, "w.duckdb")
			second := false
			l := newLine(t, s, path, warehouse.LoaderOptions{Step: func(name string) {
				if second {
					copyDatabase(t, path, filepath.Join(dir, name))
				}
			}})
			postMany(t, l, 0, n)
			l.load(t)
			second = true
			postMany(t, l, n, n)
			l.load(t)
			want := fmt.Sprintf("[[%d %d %d %d %d]]", 2*n, 2*n, 2*n, 2*n, 2*n)
			if got := l.query(t, totals); got != want {
				t.Errorf("without a crash: got %s, want %s", got, want)
			}
			for _, step := range allSteps {
				again := newLine(t, s, filepath.Join(dir, step), warehouse.LoaderOptions{})
				if got := again.query(t, totals); got != want {
					t.Errorf("crash at %s: got %s, want %s", step, got, want)
				}
				restored := again.loaded(t)
				if wantLoaded := map[bool]aggregate.Generation{false: 1, true: 2}[step == "committed"]; restored != wantLoaded {
					t.Errorf("crash at %s: generation %d is loaded, want %d", step, restored, wantLoaded)
				}
				again.load(t)
				if got := again.query(t, totals); got != want {
					t.Errorf("crash at %s, then a load: got %s, want %s", step, got, want)
				}
			}
		})
	}
}

// loaded returns the last generation of the database.
func (l *line) loaded(t testing.TB) aggregate.Generation {
	t.Helper()
	s, err := l.store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	return s.Generation()
}

// postMany posts n points of the metric m, a millisecond apart, whose values are from,
// from+1 and so on, of 100 series.
func postMany(t testing.TB, l *line, from, n int) {
	t.Helper()
	batch := make([]point.Point, 0, 10_000)
	for i := from; i < from+n; i++ {
		batch = append(batch, gauge("m", fmt.Sprint(i%100), base+int64(i), float64(i)))
		if len(batch) == cap(batch) || i == from+n-1 {
			l.post(t, batch...)
			batch = batch[:0]
		}
	}
}

// TestReadersDuringLoads runs queries while points are posted and loaded, in one
// transaction before, beside and after each load: all of them count every point once.
func TestReadersDuringLoads(t *testing.T) {
	l := newLine(t, newLog(t), filepath.Join(t.TempDir(), "w.duckdb"), warehouse.LoaderOptions{})
	const total, readers = 60_000, 3
	var submitted, durable atomic.Int64
	var g sync.WaitGroup
	stop := make(chan struct{})
	g.Go(func() {
		defer close(stop)
		for i := 0; i < total; i += 300 {
			submitted.Add(300)
			batch := make([]point.Point, 300)
			for j := range batch {
				batch[j] = gauge("m", fmt.Sprint(j%30), base+int64(i), float64(i+j))
			}
			l.post(t, batch...)
			durable.Add(300)
		}
	})
	g.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := l.loader.Load(context.Background()); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range readers {
		g.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				low := durable.Load()
				var r table
				if err := l.sql.Query(context.Background(), totals, nil, &r); err != nil {
					t.Error(err)
					return
				}
				high := submitted.Load()
				n := r.rows[0][0].(int64)
				if n < low || n > high {
					t.Errorf("%d points, want between %d and %d", n, low, high)
				}
				for i, x := range r.rows[0] {
					if x != r.rows[0][0] {
						t.Errorf("the counts of one query differ: %v, number %d", r.rows[0], i)
						break
					}
				}
			}
		})
	}
	g.Wait()
	l.load(t)
	if got, want := l.query(t, totals), fmt.Sprintf("[[%d %d %d %d %d]]", total, total, total, total, total); got != want {
		t.Errorf("at the end: got %s, want %s", got, want)
	}
}

// A brokenSource fails as often as it is told to.
type brokenSource struct {
	warehouse.Source
	fails atomic.Int32
	full  chan struct{}
}

func (b *brokenSource) Full() <-chan struct{} { return b.full }

func (b *brokenSource) Freeze(ctx context.Context) (aggregate.Frozen, error) {
	f, err := b.Source.Freeze(ctx)
	if err == nil && b.fails.Add(-1) >= 0 {
		return brokenFrozen{f}, nil
	}
	return f, err
}

var errBroken = errors.New("the disk is on fire")

// A brokenFrozen breaks after the points, in the windows.
type brokenFrozen struct{ aggregate.Frozen }

func (b brokenFrozen) Rows(ctx context.Context, resolution int64, yield func(*aggregate.Row) error) error {
	if resolution == 60_000 {
		return errBroken
	}
	return b.Frozen.Rows(ctx, resolution, yield)
}

func TestFailedLoadIsRetried(t *testing.T) {
	l := newLine(t, newLog(t), filepath.Join(t.TempDir(), "w.duckdb"), warehouse.LoaderOptions{})
	broken := &brokenSource{Source: l.engine, full: make(chan struct{}, 1)}
	broken.fails.Store(4)
	loader := l.store.Loader(warehouse.LoaderOptions{Source: broken, Retry: time.Millisecond})
	postMany(t, l, 0, 10)
	l.query(t, totals) // waits until they are folded
	_, err := loader.Load(t.Context())
	if err == nil || !strings.Contains(err.Error(), errBroken.Error()) {
		t.Fatalf("the load ended with %v, want %v", err, errBroken)
	}
	if got, want := l.query(t, totals), "[[10 10 10 10 10]]"; got != want {
		t.Errorf("after a failed load: got %s, want %s", got, want)
	}
	if got := l.loaded(t); got != 0 {
		t.Errorf("a failed load left generation %d", got)
	}
	postMany(t, l, 10, 10)
	run(t, loader.Run)
	broken.full <- struct{}{}
	for deadline := time.Now().Add(10 * time.Second); loader.Stats().Loads < 1; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the load was not tried again")
		}
	}
	if got := loader.Stats(); got.Failures != 4 || got.Points != 10 {
		t.Errorf("stats are %+v, want 4 failures and the points of the first generation", got)
	}
	if got, want := l.query(t, totals), "[[20 20 20 20 20]]"; got != want {
		t.Errorf("after the retry: got %s, want %s", got, want)
	}
}

func TestRunLoadsWhenItStops(t *testing.T) {
	l := newLine(t, newLog(t), filepath.Join(t.TempDir(), "w.duckdb"), warehouse.LoaderOptions{})
	postMany(t, l, 0, 10)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.loader.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if got := l.loaded(t); got != 1 {
		t.Errorf("generation %d is loaded, want 1", got)
	}
}

func TestDemandsShareALoad(t *testing.T) {
	var freezes atomic.Int32
	hold, entered := make(chan struct{}), make(chan struct{}, 16)
	l := newLine(t, newLog(t), filepath.Join(t.TempDir(), "w.duckdb"), warehouse.LoaderOptions{Step: func(name string) {
		if name == "freeze" {
			freezes.Add(1)
			entered <- struct{}{}
			<-hold
		}
	}})
	postMany(t, l, 0, 10)
	const demands = 8
	var g sync.WaitGroup
	load := func() {
		if _, err := l.loader.Load(context.Background()); err != nil {
			t.Error(err)
		}
	}
	g.Go(load)
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := l.loader.Load(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a demand that gave up waiting ended with %v", err)
	}
	for range demands {
		g.Go(load)
	}
	time.Sleep(300 * time.Millisecond) // they wait for the load under way
	close(hold)
	g.Wait()
	if n := freezes.Load(); n != 2 {
		t.Errorf("%d loads for one demand and %d during it, want 2", n, demands)
	}
}
