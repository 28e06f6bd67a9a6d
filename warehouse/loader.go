package warehouse

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/warehouse/duck"
)

// A Source has what is to be loaded; aggregate.Engine is one.
type Source interface {
	// Freeze returns the generation to load: the one frozen before if that has not been
	// loaded, and aggregate.ErrNothingPending if there is none.
	Freeze(ctx context.Context) (aggregate.Frozen, error)
	// Loaded is called once the generation is committed.
	Loaded(aggregate.Generation)
	// Full receives a value when a load should begin before its time.
	Full() <-chan struct{}
}

// LoaderOptions configure a Loader.
type LoaderOptions struct {
	Source Source
	Every  time.Duration // between loads; 0 means 1 h
	Retry  time.Duration // after a load that failed, doubled up to a minute; 0 means 1 s
	Logger *slog.Logger  // nil discards

	// Step is called as each step of a load begins, with its name: freeze, begin, points,
	// windows_1m, windows_1h, windows_1d, series, keys, positions, commit and, when all is done, committed.
	Step func(name string)
}

// A Loader writes generations into the warehouse, one at a time.
type Loader struct {
	store   *Warehouse
	options LoaderOptions

	demands atomic.Uint64
	loading chan struct{} // with room for one: held through a load
	// Guarded by loading.
	last   Loaded
	served uint64 // demands that the last load served

	// Written by load, read by anyone.
	points, loads, failures atomic.Uint64
}

// Loaded is what a load did.
type Loaded struct {
	Generation aggregate.Generation `json:"generation"` // the last loaded, also when there was nothing to load
	Points     uint64               `json:"points"`
	Seconds    float64              `json:"seconds"`
}

// Loader returns a loader. It starts nothing.
func (w *Warehouse) Loader(o LoaderOptions) *Loader {
	if o.Every == 0 {
		o.Every = time.Hour
	}
	if o.Retry == 0 {
		o.Retry = time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Step == nil {
		o.Step = func(string) {}
	}
	return &Loader{store: w, options: o, loading: make(chan struct{}, 1)}
}

// Run loads at every interval and whenever the source is full, until ctx ends; then it
// loads what is pending and returns.
func (l *Loader) Run(ctx context.Context) error {
	timer := time.NewTimer(l.options.Every)
	defer timer.Stop()
	retry := l.options.Retry
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Minute)
			defer cancel()
			_, err := l.Load(last)
			return err
		case <-timer.C:
		case <-l.options.Source.Full():
		}
		wait := l.options.Every
		if _, err := l.Load(ctx); err != nil && ctx.Err() == nil {
			l.options.Logger.Error("a load failed and will be tried again; nothing is lost", "in", retry, "error", err)
			wait, retry = retry, min(2*retry, time.Minute)
		} else {
			retry = l.options.Retry
		}
		timer.Reset(wait)
	}
}

// Load loads what is pending now. Callers that come while a load is under way share
// the next one. If ctx ends before the commit nothing is loaded; an error of the commit
// itself leaves that open, and the next load finds out.
func (l *Loader) Load(ctx context.Context) (Loaded, error) {
	mine := l.demands.Add(1)
	select {
	case l.loading <- struct{}{}:
		defer func() { <-l.loading }()
	case <-ctx.Done():
		return Loaded{}, fmt.Errorf("load: %w", context.Cause(ctx))
	}
	if l.served >= mine {
		return l.last, nil
	}
	now := l.demands.Load()
	done, err := l.load(ctx)
	if err != nil {
		l.failures.Add(1)
		return Loaded{}, fmt.Errorf("load: %w", err)
	}
	l.last, l.served = done, now
	return done, nil
}

func (l *Loader) load(ctx context.Context) (Loaded, error) {
	began := time.Now()
	s, err := l.store.db.Session(ctx)
	if err != nil {
		return Loaded{}, err
	}
	defer s.Close()
	have, err := lastLoaded(ctx, s)
	if err != nil {
		return Loaded{}, err
	}
	l.options.Step("freeze")
	f, err := l.options.Source.Freeze(ctx)
	if errors.Is(err, aggregate.ErrNothingPending) {
		return Loaded{Generation: have}, nil
	}
	if err != nil {
		return Loaded{}, err
	}
	if f.Generation() <= have { // a commit whose answer was lost had worked
		l.options.Source.Loaded(f.Generation())
		return Loaded{Generation: have}, nil
	}
	if f.Generation() != have+1 {
		return Loaded{}, fmt.Errorf("generation %d cannot follow generation %d", f.Generation(), have)
	}
	points, err := l.write(ctx, s, f, began)
	if err != nil {
		return Loaded{}, fmt.Errorf("generation %d: %w", f.Generation(), err)
	}
	if added := f.NewSeries(l.store.knownSeries()); len(added) > 0 {
		l.store.series.Store(uint32(added[len(added)-1].ID))
	}
	l.options.Source.Loaded(f.Generation())
	l.options.Step("committed")
	done := Loaded{Generation: f.Generation(), Points: points, Seconds: time.Since(began).Seconds()}
	l.points.Add(points)
	l.loads.Add(1)
	l.options.Logger.Info("loaded", "generation", done.Generation, "points", points, "seconds", done.Seconds)
	return done, nil
}

// write writes the generation in one transaction and returns how many points it has.
func (l *Loader) write(ctx context.Context, s *duck.Session, f aggregate.Frozen, began time.Time) (points uint64, err error) {
	l.options.Step("begin")
	if _, err := s.Exec(ctx, "BEGIN TRANSACTION"); err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			// A transaction that failed in its commit is over, which makes this fail.
			_, _ = s.Exec(context.WithoutCancel(ctx), "ROLLBACK")
		}
	}()
	reading, done := withPending(ctx, f, l.store.knownSeries())
	defer done()
	for _, step := range []struct{ name, sql string }{
		{"points", "INSERT INTO point_rows SELECT series, ts, value, member, shard, seq, generation, late FROM pending_points()"},
		{"series", "INSERT INTO series_rows SELECT * FROM pending_series() WHERE id > (SELECT coalesce(max(id), 0) FROM series_rows)"},
		{"windows_1m", fmt.Sprintf("INSERT INTO minute_rows BY NAME SELECT *, %d AS generation FROM frozen_minutes()", f.Generation())},
		{"windows_1h", rollup("hour_rows", anHour, "minute_rows", f.Generation())},
		{"windows_1d", rollup("day_rows", aDay, "hour_rows", f.Generation())},
		{"keys", "INSERT INTO key_rows SELECT * FROM frozen_keys()"},
	} {
		l.options.Step(step.name)
		started := time.Now()
		n, err := s.Exec(reading, step.sql)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", step.name, err)
		}
		l.options.Logger.Debug("load", "step", step.name, "rows", n, "seconds", time.Since(started).Seconds())
		if step.name == "points" {
			points = uint64(n)
		}
	}
	if err := forgetKeys(ctx, s, f); err != nil {
		return 0, fmt.Errorf("keys: %w", err)
	}
	l.options.Step("positions")
	for _, r := range f.Ranges() {
		var greatest any
		if r.MaxTime > 0 {
			greatest = duck.Millis(r.MaxTime)
		}
		if _, err := s.Exec(ctx, "INSERT INTO range_rows VALUES (?, ?, ?, ?, ?)", uint64(f.Generation()), uint32(r.Shard), uint64(r.From), uint64(r.To), greatest); err != nil {
			return 0, fmt.Errorf("positions: %w", err)
		}
	}
	if _, err := s.Exec(ctx, "INSERT INTO load_rows VALUES (?, ?, ?, ?)",
		uint64(f.Generation()), duck.Millis(began.UnixMilli()), duck.Millis(time.Now().UnixMilli()), points); err != nil {
		return 0, fmt.Errorf("positions: %w", err)
	}
	l.options.Step("commit")
	_, err = s.Exec(ctx, "COMMIT")
	return points, err
}

// rollup returns the statement that makes the windows of a generation of its shorter
// ones, which are disjoint: a fold in Go would take all cells into its hands again.
func rollup(to string, ms int64, from string, g aggregate.Generation) string {
	return fmt.Sprintf(`INSERT INTO %s BY NAME
		SELECT series, make_timestamptz(epoch_ms(start) // %d * %[2]d * 1000) AS start, sum(count)::UBIGINT AS count,
			sum(sum) AS sum, min(min) AS min, max(max) AS max, arg_min(first, first_ts) AS first, arg_max(last, last_ts) AS last,
			min(first_ts) AS first_ts, max(last_ts) AS last_ts,
			coalesce(climb(list(epoch_ms(first_ts)) FILTER (type = %[5]d), list(first) FILTER (type = %[5]d), list(epoch_ms(last_ts)) FILTER (type = %[5]d),
				list(last) FILTER (type = %[5]d), list(resets) FILTER (type = %[5]d)) - arg_max(last, last_ts) + arg_min(first, first_ts), 0) AS resets,
			merge_sketch(sketch) AS sketch, merge_members(members) AS members, sum(late)::UBIGINT AS late, %[4]d AS generation
		FROM %[3]s JOIN series_rows ON id = series WHERE generation = %[4]d GROUP BY 1, 2 ORDER BY 2, 1`, to, ms, from, g, point.Cumulative)
}

// LoaderStats are counts since the start.
type LoaderStats struct{ Points, Loads, Failures uint64 }

// Stats returns the counts.
func (l *Loader) Stats() LoaderStats {
	return LoaderStats{Points: l.points.Load(), Loads: l.loads.Load(), Failures: l.failures.Load()}
}
