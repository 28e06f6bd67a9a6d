package warehouse_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/stream"
	"freshet/stream/vfs"
	"freshet/warehouse"
	"freshet/warehouse/duck"
)

// base is the time of the tests' points, at the start of an hour and in the past.
var base = time.Now().Add(-6 * time.Hour).Truncate(time.Hour).UnixMilli()

// newLog opens a log in memory with a stream of two shards, and runs it until the test ends.
func newLog(t testing.TB) *stream.Stream {
	t.Helper()
	log, err := stream.Open(stream.Options{Dir: "log", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	s, err := log.Create("metrics", 2)
	if err != nil {
		t.Fatal(err)
	}
	run(t, log.Run)
	return s
}

// run runs a stage until the test ends.
func run(t testing.TB, f func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("a stage ended with %v", err)
		}
	})
}

// A line is the stages from a log to SQL.
type line struct {
	path   string
	stream *stream.Stream
	store  *warehouse.Warehouse
	engine *aggregate.Engine
	loader *warehouse.Loader
	sql    *warehouse.SQL
}

// newLine starts the stages behind the log on a database file, as after a start of the program.
func newLine(t testing.TB, s *stream.Stream, path string, o warehouse.LoaderOptions) *line {
	t.Helper()
	l := newLineOn(t, s, open(t, warehouse.Options{Path: path, Threads: 2}), o)
	l.path = path
	return l
}

// newLineOn is newLine on a database that is open.
func newLineOn(t testing.TB, s *stream.Stream, store *warehouse.Warehouse, o warehouse.LoaderOptions) *line {
	t.Helper()
	restored, err := store.Restore(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	engine, err := aggregate.New(aggregate.Options{Stream: s, History: store, Restored: restored})
	if err != nil {
		t.Fatal(err)
	}
	run(t, engine.Run)
	o.Source = engine
	return &line{stream: s, store: store, engine: engine, loader: store.Loader(o), sql: store.SQL(warehouse.SQLOptions{Tail: engine.Tail})}
}

func open(t testing.TB, o warehouse.Options) *warehouse.Warehouse {
	t.Helper()
	if o.Path == "" {
		o.Path = filepath.Join(t.TempDir(), "warehouse.duckdb")
	}
	w, err := warehouse.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return w
}

func gauge(metric, host string, ts int64, value float64) point.Point {
	return point.Point{Series: point.Series{Metric: metric, Type: point.Gauge, Labels: point.Labels{{Name: "host", Value: host}}}, Time: ts, Value: value}
}

// post appends points, a record for each shard, and waits until they are durable.
func (l *line) post(t testing.TB, points ...point.Point) {
	t.Helper()
	builders := map[*stream.Shard]*point.Builder{}
	hashes := map[*stream.Shard]uint64{}
	var v point.View
	for i := range points {
		h := point.HashOf(points[i].Series)
		shard := l.stream.ShardFor(stream.HashKey{Hi: h})
		if builders[shard] == nil {
			builders[shard] = &point.Builder{}
		}
		v.Set(&points[i])
		builders[shard].Add(&v)
		hashes[shard] = h
	}
	for shard, b := range builders {
		entry := stream.Entry{HashKey: stream.HashKey{Hi: hashes[shard]}, Explicit: true, PartitionKey: "x", Data: b.Encode(nil)}
		if _, err := shard.Append(context.Background(), []stream.Entry{entry}); err != nil {
			t.Error(err)
		}
	}
}

func (l *line) load(t testing.TB) warehouse.Loaded {
	t.Helper()
	done, err := l.loader.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return done
}

// A table is a result kept in memory.
type table struct {
	columns []duck.Column
	rows    [][]any
}

func (r *table) Begin(c []duck.Column) error { r.columns = c; return nil }

func (r *table) Row(v []driver.Value) error {
	row := make([]any, len(v))
	for i, x := range v {
		row[i] = duck.Plain(x, r.columns[i].Type)
	}
	r.rows = append(r.rows, row)
	return nil
}

// query runs SQL and returns its rows as text.
func (l *line) query(t testing.TB, sql string, params ...any) string {
	t.Helper()
	out, err := rowsOf(l.sql, sql, params...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

func rowsOf(s *warehouse.SQL, sql string, params ...any) (string, error) {
	var r table
	if err := s.Query(context.Background(), sql, params, &r); err != nil {
		return "", err
	}
	return fmt.Sprint(r.rows), nil
}

// totals returns what the relations say of one metric: how many points, their sum, the
// number of different values, and the same counts by windows.
const totals = `SELECT
	(SELECT count(*) FROM points WHERE metric = 'm'),
	(SELECT count(DISTINCT value) FROM points WHERE metric = 'm'),
	(SELECT coalesce(sum(count), 0)::BIGINT FROM windows_1s WHERE metric = 'm'),
	(SELECT coalesce(sum(count), 0)::BIGINT FROM windows_1m WHERE metric = 'm'),
	(SELECT coalesce(sum(count), 0)::BIGINT FROM windows_1h WHERE metric = 'm')`

// steps records the names of a load's steps.
type steps struct {
	mu    sync.Mutex
	names []string
}

func (s *steps) step(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = append(s.names, name)
}

// execOn runs SQL on a database file that nobody has open.
func execOn(t testing.TB, path, sql string) {
	t.Helper()
	db, err := duck.Open(t.Context(), duck.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}
