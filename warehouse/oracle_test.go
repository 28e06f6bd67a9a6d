package warehouse_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/stream"
	"freshet/warehouse"
	"freshet/warehouse/duck"
)

// A rig is log, engine and warehouse on one data directory.
type rig struct {
	t      *testing.T
	log    *stream.Log
	stream *stream.Stream
	store  *warehouse.Warehouse
	engine *aggregate.Engine
	loader *warehouse.Loader
	sql    *warehouse.SQL
	upkeep *warehouse.Upkeep
	stop   func()

	// Called between the pin of a query and its warehouse snapshot; nil does nothing.
	between func()
}

// Snapshot makes the rig the engine's history.
func (r *rig) Snapshot(ctx context.Context) (aggregate.Snapshot, error) {
	if r.between != nil {
		r.between()
	}
	return r.store.Snapshot(ctx)
}

// tail is the engine's tail, with what comes between it and the snapshot.
func (r *rig) tail(ctx context.Context) (*aggregate.Tail, error) {
	t, err := r.engine.Tail(ctx)
	if r.between != nil {
		r.between()
	}
	return t, err
}

// start opens the directory and runs what has to run.
func start(t *testing.T, dir string, step func(string)) *rig {
	t.Helper()
	ctx := context.Background()
	r := &rig{t: t}
	var err error
	if r.log, err = stream.Open(stream.Options{Dir: filepath.Join(dir, "streams"), SegmentBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	var ok bool
	if r.stream, ok = r.log.Stream("metrics"); !ok {
		if r.stream, err = r.log.Create("metrics", 3); err != nil {
			t.Fatal(err)
		}
	}
	if r.store, err = warehouse.Open(ctx, warehouse.Options{Path: filepath.Join(dir, "warehouse.duckdb")}); err != nil {
		t.Fatal(err)
	}
	restored, err := r.store.Restore(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r.engine, err = aggregate.New(aggregate.Options{Stream: r.stream, History: r, Restored: restored, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	r.loader = r.store.Loader(warehouse.LoaderOptions{Source: r.engine, Step: step, Logger: slog.New(slog.DiscardHandler)})
	r.sql = r.store.SQL(warehouse.SQLOptions{Tail: r.tail})
	r.upkeep = r.store.Upkeep(warehouse.UpkeepOptions{Now: later})
	run, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, f := range []func(context.Context) error{r.log.Run, r.engine.Run} {
		running.Go(func() {
			if err := f(run); err != nil {
				t.Error(err)
			}
		})
	}
	r.stop = func() {
		cancel()
		running.Wait()
		if err := errors.Join(r.store.Close(), r.log.Close()); err != nil {
			t.Error(err)
		}
	}
	return r
}

// later is a clock by which every window has settled.
func later() time.Time { return time.Now().Add(30 * 24 * time.Hour) }

// A model remembers every record that was appended, by shard and offset.
type model struct {
	mu     sync.Mutex
	shards map[stream.ShardID]map[stream.Offset][]point.Point
	posts  [][]point.Point // that were acknowledged
	keys   []point.Key     // of those
	last   uint64          // number of the last key
}

// again returns a post that was acknowledged, with its key.
func (m *model) again(rng *rand.Rand) (points []point.Point, key point.Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.posts) == 0 {
		return nil, key
	}
	i := rng.IntN(len(m.posts))
	return m.posts[i], m.keys[i]
}

var oracleTypes = map[string]point.Type{
	"gauge": point.Gauge, "counter": point.Counter, "observed": point.Distribution, "visitors": point.Set,
}

// post appends a few random points, some of them late, and remembers them. Now and then it
// sends what was acknowledged before once more, which must not count.
func (m *model) post(r *rig, rng *rand.Rand) error {
	if rng.IntN(4) == 0 {
		if points, key := m.again(rng); points != nil {
			return m.appendAll(r, points, key, true)
		}
	}
	names := []string{"gauge", "counter", "observed", "visitors"}
	var points []point.Point
	for range 1 + rng.IntN(20) {
		name := names[rng.IntN(len(names))]
		p := point.Point{Series: point.Series{Metric: name, Type: oracleTypes[name], Labels: point.Labels{{Name: "host", Value: fmt.Sprint(rng.IntN(7))}}}}
		p.Time = time.Now().UnixMilli()
		switch rng.IntN(5) {
		case 0:
			p.Time -= rng.Int64N(120_000)
		case 1:
			p.Time -= rng.Int64N(3 * 3_600_000)
		}
		if p.Type == point.Set {
			p.Member = fmt.Sprint("m", rng.IntN(100))
		} else {
			p.Value = float64(rng.IntN(1000)) / 8 // sums of these are exact
		}
		points = append(points, p)
	}
	m.mu.Lock()
	m.last++
	key := point.KeyOf([16]byte{1}, m.last)
	m.mu.Unlock()
	if err := m.appendAll(r, points, key, false); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.posts, m.keys = append(m.posts, points), append(m.keys, key)
	return nil
}

// appendAll appends points, and again what a reshard refuses.
func (m *model) appendAll(r *rig, points []point.Point, key point.Key, repeated bool) (err error) {
	for len(points) > 0 && err == nil {
		points, err = m.append(r, points, key, repeated)
	}
	return err
}

// append appends points, a record a shard, and remembers them unless they are repeated. It
// returns those that a reshard has refused, when it is over.
func (m *model) append(r *rig, all []point.Point, key point.Key, repeated bool) (moved []point.Point, err error) {
	byShard := map[*stream.Shard][]point.Point{}
	open := r.stream.OpenShards() // all of a post by the same division
	for _, p := range all {
		hash := stream.HashKey{Hi: point.HashOf(p.Series)}
		shard := open[slices.IndexFunc(open, func(s *stream.Shard) bool { return s.Holds(hash) })]
		byShard[shard] = append(byShard[shard], p)
	}
	for shard, points := range byShard {
		var b point.Builder
		for i := range points {
			var v point.View
			v.Set(&points[i])
			b.Add(&v)
		}
		var series []int
		for i := range b.NumSeries() {
			series = append(series, i)
		}
		data := b.EncodeMarked(nil, series, point.Mark{Key: key, Home: uint32(shard.ID()) + 1})
		first, _ := shard.Range()
		offset, err := shard.Append(context.Background(), []stream.Entry{{HashKey: first, Explicit: true, Data: data}})
		if errors.Is(err, stream.ErrMoved) {
			moved = append(moved, points...)
			err = shard.Settled(context.Background())
			if err == nil {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		m.mu.Lock()
		if m.shards[shard.ID()] == nil {
			m.shards[shard.ID()] = map[stream.Offset][]point.Point{}
		}
		if repeated {
			points = nil
		}
		m.shards[shard.ID()][offset] = points
		m.mu.Unlock()
	}
	return moved, nil
}

// reshard splits a shard or merges two.
func reshard(r *rig, rng *rand.Rand) error {
	open := r.stream.OpenShards()
	i := rng.IntN(len(open))
	if len(open) > 4 && i > 0 {
		_, err := r.stream.Merge(context.Background(), open[i].ID(), open[i-1].ID())
		return err
	}
	first, last := open[i].Range()
	_, err := r.stream.Split(context.Background(), open[i].ID(), stream.HashKey{Hi: first.Hi + (last.Hi-first.Hi)/2 + 1})
	return err
}

// prefix returns the points below the given end of each shard. An append that is not
// remembered yet although it is covered is waited for.
func (m *model) prefix(t *testing.T, ends map[stream.ShardID]stream.Offset) []point.Point {
	t.Helper()
	var out []point.Point
	for shard, end := range ends {
		for o := stream.Offset(0); o < end; o++ {
			var points []point.Point
			ok := false
			for deadline := time.Now().Add(5 * time.Second); !ok; {
				m.mu.Lock()
				points, ok = m.shards[shard][o]
				m.mu.Unlock()
				if !ok && time.Now().After(deadline) {
					t.Fatalf("%v: record %d is counted, but was never acknowledged", shard, o)
				}
			}
			out = append(out, points...)
		}
	}
	return out
}

// ends returns the covered prefix of an answer.
func ends(t *testing.T, covers map[string]string) map[stream.ShardID]stream.Offset {
	t.Helper()
	out := map[stream.ShardID]stream.Offset{}
	for shard, number := range covers {
		n, err := strconv.ParseUint(strings.TrimPrefix(shard, "shardId-"), 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		seq, err := stream.ParseSequenceNumber(number)
		if err != nil {
			t.Fatal(err)
		}
		out[stream.ShardID(n)] = seq.Offset + 1
	}
	return out
}

var oracleQueries = []aggregate.Query{
	{Metric: "gauge", Agg: "count", Step: "1s", Range: "2m"},
	{Metric: "gauge", Agg: "sum", By: []string{"host"}, Step: "10s", Range: "10m"},
	{Metric: "gauge", Agg: "max", Step: "1m", Range: "4h"},
	{Metric: "gauge", Agg: "min", By: []string{"host"}, Where: map[string]aggregate.Filter{"host": aggregate.Is("1", "2")}, Step: "1h", Range: "5h"},
	{Metric: "counter", Agg: "increase", Step: "5m", Range: "4h"},
	{Metric: "counter", Agg: "avg", By: []string{"host"}, Step: "30s", Range: "3h"},
	{Metric: "observed", Agg: "p90", Step: "1m", Range: "4h"},
	{Metric: "observed", Agg: "count", By: []string{"host"}, Step: "1h", Range: "5h"},
	{Metric: "visitors", Agg: "distinct", By: []string{"host"}, Step: "1m", Range: "4h"},
	{Metric: "visitors", Agg: "distinct", Step: "1h", Range: "5h"},
	{Metric: "gauge", Agg: "sum", By: []string{"host"}, Step: "1d", Range: "2d"},
	{Metric: "observed", Agg: "p90", Step: "2d", Range: "4d"},
}

// checkQuery compares an answer with brute force over the prefix that it covers.
func (m *model) checkQuery(r *rig, q aggregate.Query) {
	r.t.Helper()
	a, err := r.engine.Query(context.Background(), q)
	if err != nil {
		r.t.Fatalf("%+v: %v", q, err)
	}
	type cell struct {
		host string
		step int64
	}
	want := map[cell][]point.Point{}
	for _, p := range m.prefix(r.t, ends(r.t, a.Covers)) {
		if p.Metric != q.Metric || p.Time < a.Times[0] || p.Time >= a.Times[len(a.Times)-1]+a.StepMS {
			continue
		}
		host := p.Labels.Get("host")
		if in := q.Where["host"].In; in != nil && !slices.Contains(in, host) {
			continue
		}
		if len(q.By) == 0 {
			host = ""
		}
		c := cell{host, p.Time - p.Time%a.StepMS}
		want[c] = append(want[c], p)
	}
	got := 0
	for _, s := range a.Series {
		for i, v := range s.Values {
			if math.IsNaN(v) {
				continue
			}
			got++
			points := want[cell{s.Labels["host"], a.Times[i]}]
			if err := agrees(q.Agg, v, points); err != nil {
				r.t.Fatalf("%+v: host %q, step %d: %v", q, s.Labels["host"], a.Times[i], err)
			}
		}
	}
	if got != len(want) {
		r.t.Fatalf("%+v: got %d values, want %d", q, got, len(want))
	}
}

// agrees compares a value with what the points of its cell come to.
func agrees(agg string, got float64, points []point.Point) error {
	if len(points) == 0 {
		return fmt.Errorf("got %v where there is no point", got)
	}
	var want, sum float64
	least, greatest := math.Inf(1), math.Inf(-1)
	members := map[string]bool{}
	var values []float64
	for _, p := range points {
		sum += p.Value
		least, greatest = min(least, p.Value), max(greatest, p.Value)
		members[p.Member] = true
		values = append(values, p.Value)
	}
	slack := 0.0
	switch agg {
	case "count":
		want = float64(len(points))
	case "sum", "increase":
		want = sum
	case "avg":
		want = sum / float64(len(points))
	case "min":
		want = least
	case "max":
		want = greatest
	case "distinct":
		want = float64(len(members))
	case "p90":
		slices.Sort(values)
		want = values[int(0.9*float64(len(values)-1))]
		slack = 0.01000001 * want
	}
	if math.Abs(got-want) > slack {
		return fmt.Errorf("got %v, want %v from %d points", got, want, len(points))
	}
	return nil
}

// rows collects a SQL result.
type rows struct{ all [][]any }

func (r *rows) Begin([]duck.Column) error { return nil }

func (r *rows) Row(v []driver.Value) error {
	row := make([]any, len(v))
	for i := range v {
		row[i] = v[i]
	}
	r.all = append(r.all, row)
	return nil
}

// checkSQL compares the relations with brute force over the prefix that points shows.
func (m *model) checkSQL(r *rig) {
	r.t.Helper()
	var out rows
	err := r.sql.Query(context.Background(), `
		SELECT shard, max(seq) AS seq, count(*), coalesce(sum(value), 0), count(DISTINCT member),
			(SELECT coalesce(sum(count), 0)::BIGINT FROM windows_1s), (SELECT coalesce(sum(count), 0)::BIGINT FROM windows_1m),
			(SELECT coalesce(sum(count), 0)::BIGINT FROM windows_1h), (SELECT coalesce(sum(sum), 0) FROM windows_1m),
			(SELECT coalesce(sum(count), 0)::BIGINT FROM windows_1d)
		FROM points GROUP BY shard`, nil, &out)
	if err != nil {
		r.t.Fatal(err)
	}
	ends := map[stream.ShardID]stream.Offset{}
	total, sum := int64(0), 0.0
	for _, row := range out.all {
		n, _ := strconv.ParseUint(strings.TrimPrefix(row[0].(string), "shardId-"), 10, 32)
		end := stream.Offset(row[1].(uint64)) + 1
		ends[stream.ShardID(n)] = end
		var points int64
		var value float64
		members := map[string]bool{}
		for _, p := range m.prefix(r.t, map[stream.ShardID]stream.Offset{stream.ShardID(n): end}) {
			points++
			value += p.Value
			if p.Type == point.Set {
				members[p.Member] = true
			}
		}
		if row[2].(int64) != points || row[3].(float64) != value || row[4].(int64) != int64(len(members)) {
			r.t.Fatalf("%s up to record %d: got %v points, sum %v, %v members; want %d, %v, %d", row[0], end-1, row[2], row[3], row[4], points, value, len(members))
		}
		total, sum = total+points, sum+value
	}
	for _, row := range out.all {
		if row[5].(int64) != total || row[6].(int64) != total || row[7].(int64) != total || row[8].(float64) != sum || row[9].(int64) != total {
			r.t.Fatalf("windows_1s, _1m, _1h and _1d count %v, %v, %v and %v points, sum %v; want %d, %v", row[5], row[6], row[7], row[9], row[8], total, sum)
		}
	}
}

// At random instants, during posts, late points, loads, compactions, reshards and restarts, queries and SQL
// equal brute force over the prefix that they cover: invariant 3.
func TestEveryRecordIsCountedOnceInEveryAnswer(t *testing.T) {
	dir := t.TempDir()
	m := &model{shards: map[stream.ShardID]map[stream.Offset][]point.Point{}}
	rounds := 4
	if testing.Short() {
		rounds = 2
	}
	var queries, selects, loads, reshards, merged atomic.Int64
	for round := range rounds {
		r := start(t, dir, nil)
		until := time.Now().Add(2500 * time.Millisecond)
		var actors sync.WaitGroup
		act := func(seed uint64, pause time.Duration, f func(*rand.Rand)) {
			actors.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(round), seed))
				for time.Now().Before(until) && !t.Failed() {
					f(rng)
					time.Sleep(time.Duration(rng.Int64N(int64(pause))))
				}
			})
		}
		for i := range uint64(3) {
			act(i, 3*time.Millisecond, func(rng *rand.Rand) {
				if err := m.post(r, rng); err != nil {
					t.Error(err)
				}
			})
		}
		act(10, 200*time.Millisecond, func(*rand.Rand) {
			if _, err := r.loader.Load(context.Background()); err != nil {
				t.Error(err)
			}
			loads.Add(1)
		})
		for i := range uint64(2) {
			act(20+i, 10*time.Millisecond, func(rng *rand.Rand) {
				m.checkQuery(r, oracleQueries[rng.IntN(len(oracleQueries))])
				queries.Add(1)
			})
		}
		act(30, 20*time.Millisecond, func(*rand.Rand) {
			m.checkSQL(r)
			selects.Add(1)
		})
		act(15, 100*time.Millisecond, func(*rand.Rand) {
			if err := r.upkeep.Round(context.Background()); err != nil {
				t.Error(err)
			}
		})
		act(40, 300*time.Millisecond, func(rng *rand.Rand) {
			if err := reshard(r, rng); err != nil {
				t.Error(err)
			}
			reshards.Add(1)
		})
		actors.Wait()
		for _, q := range oracleQueries {
			m.checkQuery(r, q)
		}
		m.checkSQL(r)
		merged.Add(int64(r.upkeep.Stats().Merged))
		r.stop() // without a last load: what is pending is folded again
		if t.Failed() {
			return
		}
	}
	t.Logf("%d queries and %d SQL queries checked during %d loads and %d reshards; %d rows went into others",
		queries.Load(), selects.Load(), loads.Load(), reshards.Load(), merged.Load())
	if merged.Load() < 100 || queries.Load() < 20 || selects.Load() < 5 || loads.Load() < 4 || reshards.Load() < 4 {
		t.Error("too little was checked to mean anything")
	}
}

// A load that commits after a query has pinned the memory and before it opens its
// snapshot is the narrowest place: the generation is in both.
func TestALoadBetweenPinAndSnapshot(t *testing.T) {
	m := &model{shards: map[stream.ShardID]map[stream.Offset][]point.Point{}}
	r := start(t, t.TempDir(), nil)
	defer r.stop()
	rng := rand.New(rand.NewPCG(3, 4))
	post := func() {
		for range 5 {
			if err := m.post(r, rng); err != nil {
				t.Fatal(err)
			}
		}
	}
	load := func() {
		if _, err := r.loader.Load(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	r.between = load
	for range 10 {
		post()
		m.checkSQL(r)
		for _, q := range oracleQueries {
			post()
			m.checkQuery(r, q)
		}
	}
	// And one that commits while the snapshot is older: the tail keeps what it lacks.
	r.between = func() { load(); post(); load() }
	post()
	m.checkSQL(r)
}
