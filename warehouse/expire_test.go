package warehouse_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/aggregate/window"
	"freshet/warehouse"
)

const dayMS = int64(86_400_000)

func TestKeepIsChecked(t *testing.T) {
	for _, c := range []struct {
		keep warehouse.Keep
		want string // in the error; empty for none
	}{
		{warehouse.Keep{}, ""},
		{warehouse.Keep{Points: 24 * time.Hour}, ""},
		{warehouse.Keep{Points: time.Hour, Minutes: time.Hour, Hours: 48 * time.Hour}, ""},
		{warehouse.Keep{Points: time.Minute}, "--keep-points 1m0s is less than 1h0m0s"},
		{warehouse.Keep{Points: 48 * time.Hour, Minutes: 24 * time.Hour}, "--keep-1m 24h0m0s is shorter than --keep-points 48h0m0s"},
		{warehouse.Keep{Days: 24 * time.Hour}, "--keep-1d 24h0m0s is shorter than --keep-1h 0s"},
	} {
		err := c.keep.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got %v, want %q", c.keep, err, c.want)
		}
	}
}

// What has expired at a level is gone from all that is said at this level, the tail
// included, and stands in the coarser ones.
func TestExpiry(t *testing.T) {
	l := newLine(t, newLog(t), filepath.Join(t.TempDir(), "w.duckdb"), warehouse.LoaderOptions{})
	today := time.UnixMilli(base).Truncate(24 * time.Hour).UnixMilli()
	for _, days := range []int64{40, 10, 3, 0} {
		l.post(t, gauge("m", "a", today-days*dayMS+1000, 1), gauge("m", "a", today-days*dayMS+2000, 1))
	}
	l.load(t)
	counts := `SELECT (SELECT count(*) FROM points), (SELECT count(*) FROM windows_1s), (SELECT count(*) FROM windows_1m),
		(SELECT count(*) FROM windows_1h), (SELECT count(*) FROM windows_1d)`
	if got, want := l.query(t, counts), "[[8 8 4 4 4]]"; got != want {
		t.Fatalf("before: got %s, want %s", got, want)
	}
	// Steps of 10 s come of points, and days of days; what is asked for is in the cache by then.
	asked := func(step string) (n float64) {
		t.Helper()
		for _, days := range []int64{40, 10, 3, 0} {
			from := today - days*dayMS
			a, err := l.engine.Query(t.Context(), aggregate.Query{Metric: "m", Agg: "count", Step: step, From: aggregate.Time(from), To: aggregate.Time(from + dayMS/24)})
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range a.Series {
				for _, x := range s.Values {
					if !math.IsNaN(x) {
						n += x
					}
				}
			}
		}
		return n
	}
	for step, want := range map[string]float64{"10s": 8, "1m": 8, "1h": 8, "1d": 8} {
		if got := asked(step); got != want {
			t.Errorf("before: steps of %s count %v, want %v", step, got, want)
		}
	}
	old, err := l.store.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	upkeep := l.store.Upkeep(warehouse.UpkeepOptions{
		Now:  func() time.Time { return time.UnixMilli(today + dayMS - 1) },
		Keep: warehouse.Keep{Points: 48 * time.Hour, Minutes: 5 * 24 * time.Hour, Hours: 20 * 24 * time.Hour},
	})
	if err := upkeep.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := "[[2 2 2 3 4]]"
	if got := l.query(t, counts); got != want {
		t.Errorf("after: got %s, want %s", got, want)
	}
	for step, want := range map[string]float64{"10s": 2, "1m": 4, "1h": 6, "1d": 8} {
		if got := asked(step); got != want {
			t.Errorf("after: steps of %s count %v, want %v", step, got, want)
		}
	}
	if n := upkeep.Stats().Expired; n != 6+2+1 {
		t.Errorf("%d rows were deleted, want 9", n)
	}
	if n := countRows(t, old, 60_000); n != 4 {
		t.Errorf("a snapshot from before has %d minutes, want 4", n)
	}
	// Points that come for expired windows count where these are still there.
	l.post(t, gauge("m", "a", today-10*dayMS+3000, 1))
	for _, when := range []string{"pending", "loaded"} {
		if got := l.query(t, counts); got != want {
			t.Errorf("%s: got %s, want %s", when, got, want)
		}
		if got, want := l.query(t, "SELECT count FROM windows_1d ORDER BY start"), "[[2] [3] [2] [2]]"; got != want {
			t.Errorf("%s: days count %s, want %s", when, got, want)
		}
		l.load(t)
	}
	again := newLine(t, l.stream, copied(t, l.path, filepath.Join(t.TempDir(), "again")), warehouse.LoaderOptions{})
	if got := again.query(t, counts); got != want {
		t.Errorf("after a restart: got %s, want %s", got, want)
	}
}

func countRows(t *testing.T, s aggregate.Snapshot, resolution int64) (n int) {
	t.Helper()
	if err := s.Rows(t.Context(), "m", resolution, 0, 1<<45, func(*aggregate.Row) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

// A series without any rows goes when the engine lets it go, and its id stays used.
func TestSeriesExpire(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.duckdb")
	l := newLine(t, newLog(t), path, warehouse.LoaderOptions{})
	today := time.UnixMilli(base).Truncate(24 * time.Hour).UnixMilli()
	l.post(t, gauge("m", "young", today, 1))
	l.query(t, totals) // it is known first
	l.post(t, gauge("m", "old", today-40*dayMS, 1), gauge("m", "held", today-40*dayMS, 1))
	l.load(t)
	ids := map[string]aggregate.SeriesID{}
	for _, s := range l.engine.SeriesAfter(0) {
		ids[s.Labels.Get("host")] = s.ID
	}
	asked := []aggregate.SeriesID{}
	keep := 30 * 24 * time.Hour
	upkeep := l.store.Upkeep(warehouse.UpkeepOptions{
		Now:    func() time.Time { return time.UnixMilli(today) },
		Keep:   warehouse.Keep{Points: keep, Minutes: keep, Hours: keep, Days: keep},
		Loader: l.loader,
		Forget: func(idle []aggregate.SeriesID) []aggregate.SeriesID {
			asked = slices.Clone(idle)
			return []aggregate.SeriesID{ids["old"]}
		},
	})
	if err := upkeep.Round(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []aggregate.SeriesID{ids["old"], ids["held"]}
	slices.Sort(want)
	if !slices.Equal(asked, want) {
		t.Errorf("asked to forget %v, want %v", asked, want)
	}
	if got, want := l.query(t, "SELECT labels['host'] FROM series ORDER BY 1"), "[[held] [young]]"; got != want {
		t.Errorf("series are %s, want %s", got, want)
	}
	r, err := open(t, warehouse.Options{Path: copied(t, path, filepath.Join(t.TempDir(), "again"))}).Restore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Series) != 2 || r.LastSeries != 3 {
		t.Errorf("restored %v, last id %d, want two series and 3", r.Series, r.LastSeries)
	}
}

// A daily generation is a day of made points and windows.
type daily struct{ made }

func (d *daily) start() int64 { return base + int64(d.generation)*dayMS }

func (d *daily) Points(ctx context.Context, yield func(*aggregate.Points) error) error {
	return d.made.Points(ctx, func(p *aggregate.Points) error {
		for i := range p.Time {
			p.Time[i] += d.start() - base
		}
		return yield(p)
	})
}

func (d *daily) Rows(_ context.Context, resolution int64, yield func(*aggregate.Row) error) error {
	for at := window.Floor(d.start(), resolution); at < d.start()+dayMS/8; at += resolution {
		for s := range 20 {
			st := &window.State{Count: 1, Sum: float64(at % 977), FirstTime: at, LastTime: at}
			if err := yield(&aggregate.Row{Series: aggregate.SeriesID(s + 1), Start: at, State: st}); err != nil {
				return err
			}
		}
	}
	return nil
}

type dailySource struct{ daily }

func (s *dailySource) Freeze(context.Context) (aggregate.Frozen, error) { return &s.daily, nil }
func (s *dailySource) Loaded(g aggregate.Generation)                    { s.generation = g + 1 }
func (s *dailySource) Full() <-chan struct{}                            { return nil }

// The file of a warehouse that keeps three days does not grow after some more.
func TestTheFileStopsGrowing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "w.duckdb")
	store := open(t, warehouse.Options{Path: path, Threads: 2})
	source := &dailySource{daily{made{generation: 1, points: 30_000}}}
	loader := store.Loader(warehouse.LoaderOptions{Source: source})
	keep := 3 * 24 * time.Hour
	upkeep := store.Upkeep(warehouse.UpkeepOptions{
		Keep: warehouse.Keep{Points: keep, Minutes: keep, Hours: keep, Days: keep},
		Now:  func() time.Time { return time.UnixMilli(base + int64(source.generation)*dayMS) },
	})
	var sizes []int64
	for range 24 {
		if _, err := loader.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := upkeep.Round(t.Context()); err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, size(t, path)+size(t, path+".wal"))
	}
	// The write-ahead log makes the sizes a saw: each part holds a whole tooth of it.
	early, late := slices.Max(sizes[:12]), slices.Max(sizes[12:])
	if late > early+early/4 {
		t.Errorf("the file has grown from %d to %d bytes: %v", early, late, sizes)
	}
	if n := upkeep.Stats().Expired; n < 18*30_000 {
		t.Errorf("only %d rows have expired", n)
	}
	t.Log(fmt.Sprint(sizes))
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if os.IsNotExist(err) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
