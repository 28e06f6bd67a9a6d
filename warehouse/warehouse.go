// Package warehouse keeps everything that ever arrived in DuckDB and answers SQL over
// it, the part that is not loaded yet included.
//
// The loader writes one generation in one transaction: its points, its minute and hour
// windows, its series and the positions in the log that it covers. From that commit on
// the generation counts as loaded; a crash before it leaves nothing of it, and the
// generation is folded from the log again. SQL reads views that join the loaded rows to
// the tail that the reader's own snapshot lacks, so a point is counted once whatever
// loads go on meanwhile.
//
// cmd/freshet calls it, and package aggregate reads history through [Warehouse.Snapshot].
// The loader's goroutine is the one that calls [Loader.Run]; each scan of the tail has a
// goroutine that ends before its query returns.
package warehouse

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/stream"
	"freshet/warehouse/duck"
)

// Options configure a Warehouse.
type Options struct {
	Path        string // of the database file
	MemoryBytes int64  // that DuckDB may use; 0 means 512 MiB
	Threads     int    // that one query may use; 0 means one a core
}

// A Warehouse is an open database. Its methods may be called by anyone at any time.
type Warehouse struct {
	db      *duck.DB
	exports string        // folder of results on their way out
	series  atomic.Uint32 // every snapshot opened from now on has the series up to this one
	since   atomic.Pointer[horizons]
}

func (w *Warehouse) knownSeries() aggregate.SeriesID { return aggregate.SeriesID(w.series.Load()) }

// Open opens the database, makes it if it is not there, and brings its schema up to date.
func Open(ctx context.Context, o Options) (*Warehouse, error) {
	path, err := filepath.Abs(o.Path)
	if err != nil {
		return nil, fmt.Errorf("warehouse: %w", err)
	}
	exports := path + ".exports"
	db, err := duck.Open(ctx, duck.Options{Path: path, MemoryBytes: o.MemoryBytes, Threads: o.Threads, Exports: exports, Prepare: prepare})
	if err != nil {
		return nil, fmt.Errorf("warehouse: %w", err)
	}
	w := &Warehouse{db: db, exports: exports}
	// A crash may have left results behind.
	if err := errors.Join(os.RemoveAll(exports), os.Mkdir(exports, 0o700)); err != nil {
		return nil, errors.Join(fmt.Errorf("warehouse: %w", err), db.Close())
	}
	if err := errors.Join(w.readKnown(ctx), w.readSince(ctx)); err != nil {
		return nil, errors.Join(fmt.Errorf("warehouse: %w", err), db.Close())
	}
	return w, nil
}

// prepare makes a database that has just been opened what the rest works with.
func prepare(ctx context.Context, db *duck.DB) error {
	for _, step := range []func(context.Context, *duck.DB) error{
		register, migrate, freshViews, func(ctx context.Context, db *duck.DB) error { return db.Lock(ctx) },
	} {
		if err := step(ctx, db); err != nil {
			return err
		}
	}
	return nil
}

// register makes the functions written in Go callable.
func register(ctx context.Context, db *duck.DB) error {
	for _, f := range functions() {
		if err := db.TableFunction(ctx, f); err != nil {
			return err
		}
	}
	for _, f := range scalars() {
		if err := db.Scalar(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// highestID asks for the highest id that a series ever had.
const highestID = "SELECT coalesce(max(id), 0) FROM (SELECT id FROM series_rows UNION ALL SELECT id FROM top_rows)"

func (w *Warehouse) readKnown(ctx context.Context) error {
	c, err := w.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	var last uint32
	if err := c.Value(ctx, highestID, nil, &last); err != nil {
		return err
	}
	w.series.Store(last)
	return nil
}

func (w *Warehouse) readSince(ctx context.Context) error {
	s, err := w.db.Session(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	h, err := readHorizons(ctx, s)
	w.since.Store(&h)
	return err
}

// Since returns from when on windows of a length in milliseconds are kept, the raw
// points for one that is not stored; 0 when none has expired.
func (w *Warehouse) Since(resolution int64) int64 { return w.since.Load().of(resolution) }

// Close closes the database. Nobody may use it any more.
func (w *Warehouse) Close() error { return w.db.Close() }

// Restore returns where the loaded part ends, for the engine to go on from there.
func (w *Warehouse) Restore(ctx context.Context) (aggregate.Restored, error) {
	r := aggregate.Restored{
		Positions: map[stream.ShardID]stream.Offset{}, MaxTimes: map[stream.ShardID]int64{}, Extents: map[string]aggregate.Extent{},
	}
	c, err := w.db.Conn(ctx)
	if err != nil {
		return r, err
	}
	defer c.Close()
	if err := c.Value(ctx, "SELECT coalesce(max(generation), 0) FROM load_rows", nil, &r.Generation); err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	if err := c.Value(ctx, highestID, nil, &r.LastSeries); err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	err = errors.Join(
		c.Rows(ctx, "SELECT shard, max(to_seq), max(max_ts) FROM range_rows GROUP BY shard", nil, nil, func(v []driver.Value) error {
			r.Positions[stream.ShardID(v[0].(uint32))] = stream.Offset(v[1].(uint64))
			if t, ok := v[2].(time.Time); ok {
				r.MaxTimes[stream.ShardID(v[0].(uint32))] = t.UnixMilli()
			}
			return nil
		}),
		c.Rows(ctx, "SELECT id, metric, type, labels FROM series_rows ORDER BY id", nil, nil, func(v []driver.Value) error {
			s := aggregate.Series{ID: aggregate.SeriesID(v[0].(uint32)), Series: point.Series{Metric: v[1].(string), Type: point.Type(v[2].(uint8))}}
			var err error
			s.Labels, err = labelsOf(v[3])
			if n := len(r.Series); n > 0 && s.ID <= r.Series[n-1].ID {
				return fmt.Errorf("series %d follows series %d", s.ID, r.Series[n-1].ID)
			}
			r.Series = append(r.Series, s)
			return err
		}),
		c.Rows(ctx, `SELECT metric, min(first_ts), max(last_ts) FROM day_rows JOIN series_rows ON id = series GROUP BY metric`, nil, nil, func(v []driver.Value) error {
			r.Extents[v[0].(string)] = aggregate.Extent{First: v[1].(time.Time).UnixMilli(), Last: v[2].(time.Time).UnixMilli()}
			return nil
		}))
	if err == nil {
		r.Keys, err = w.restoreKeys(ctx)
	}
	if err != nil {
		return r, fmt.Errorf("restore: %w", err)
	}
	return r, nil
}

// labelsOf reads a MAP(VARCHAR, VARCHAR), whose entries are in the order of their names.
func labelsOf(v driver.Value) (point.Labels, error) {
	m, ok := v.(duck.Map)
	if !ok {
		return nil, fmt.Errorf("labels are %T, not a map", v)
	}
	var out point.Labels
	names, values := m.Keys(), m.Values()
	for i := range names {
		out = append(out, point.Label{Name: names[i].(string), Value: values[i].(string)})
	}
	return out, nil
}
