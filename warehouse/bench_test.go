package warehouse_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/warehouse"
)

// A made generation has the given number of points of 10,000 series, a second apart, made
// while it is read: what a load costs without the log.
type made struct {
	aggregate.Frozen
	generation aggregate.Generation
	points     int
}

const madeSeries = 10_000

func (m *made) Generation() aggregate.Generation { return m.generation }
func (m *made) Ranges() []aggregate.Range        { return nil }

func (m *made) Keys(context.Context, func(*aggregate.Keys) error) error { return nil }

func (m *made) NewSeries(known aggregate.SeriesID) []aggregate.Series {
	var out []aggregate.Series
	for i := known + 1; i <= madeSeries; i++ {
		out = append(out, aggregate.Series{ID: i, Series: point.Series{Metric: "m", Type: point.Gauge,
			Labels: point.Labels{{Name: "host", Value: fmt.Sprint(i % 100)}, {Name: "n", Value: fmt.Sprint(i)}}}})
	}
	return out
}

func (m *made) Points(_ context.Context, yield func(*aggregate.Points) error) error {
	p := &aggregate.Points{Generation: m.generation}
	for i := 0; i < m.points; {
		p.Offset, p.Series, p.Time, p.Value = p.Offset[:0], p.Series[:0], p.Time[:0], p.Value[:0]
		for range 500 {
			p.Offset = append(p.Offset, 0)
			p.Series = append(p.Series, aggregate.SeriesID(i%madeSeries+1))
			p.Time = append(p.Time, base+int64(i/madeSeries)*1000)
			p.Value = append(p.Value, float64(i%977)/8)
			i++
		}
		if err := yield(p); err != nil {
			return err
		}
	}
	return nil
}

func (m *made) Rows(context.Context, int64, func(*aggregate.Row) error) error { return nil }

// A maker freezes made generations, the next after each load.
type maker struct{ next made }

func (m *maker) Freeze(context.Context) (aggregate.Frozen, error) { return &m.next, nil }
func (m *maker) Loaded(g aggregate.Generation)                    { m.next.generation = g + 1 }
func (m *maker) Full() <-chan struct{}                            { return nil }

func BenchmarkLoad(b *testing.B) {
	const points = 2_000_000
	for _, c := range []struct {
		name    string
		threads int
	}{{"threads=1", 1}, {"threads=2", 2}} {
		b.Run(c.name, func(b *testing.B) {
			store := open(b, warehouse.Options{Path: filepath.Join(b.TempDir(), "w.duckdb"), Threads: c.threads})
			loader := store.Loader(warehouse.LoaderOptions{Source: &maker{made{generation: 1, points: points}}})
			for b.Loop() {
				if done, err := loader.Load(b.Context()); err != nil || done.Points != points {
					b.Fatal(done, err)
				}
			}
			b.ReportMetric(float64(points)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkSQL asks a warehouse of two million points of 10,000 series, loaded and pending.
func BenchmarkSQL(b *testing.B) {
	const points = 2_000_000
	l := newLine(b, newLog(b), filepath.Join(b.TempDir(), "w.duckdb"), warehouse.LoaderOptions{})
	batch := make([]point.Point, 0, 50_000)
	for i := range points {
		p := gauge("m", fmt.Sprint(i%100), base+int64(i/madeSeries)*1000, float64(i%977)/8)
		p.Labels = append(p.Labels, point.Label{Name: "n", Value: fmt.Sprint(i % madeSeries)})
		if batch = append(batch, p); len(batch) == cap(batch) {
			l.post(b, batch...)
			batch = batch[:0]
		}
	}
	for _, where := range []string{"pending", "loaded"} {
		if where == "loaded" {
			l.query(b, totals)
			l.load(b)
		}
		for _, q := range []struct{ name, sql string }{
			{"count", "SELECT count(*) FROM points"},
			{"by-series", "SELECT count(*) FROM (SELECT labels, sum(value) FROM points GROUP BY labels)"},
			{"by-label", "SELECT labels['host'], sum(value) FROM points GROUP BY 1"},
			{"windows-1m", "SELECT start, labels['host'], sum(count), max(max) FROM windows_1m GROUP BY ALL"},
			{"series", "SELECT count(*) FROM series"},
			{"one", "SELECT 1"},
		} {
			b.Run(where+"/"+q.name, func(b *testing.B) {
				for b.Loop() {
					l.query(b, q.sql)
				}
				b.ReportMetric(float64(points)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
	snapshot := func(b *testing.B, f func(aggregate.Snapshot, func(int)) error) {
		n := 0
		for b.Loop() {
			s, err := l.store.Snapshot(b.Context())
			if err == nil {
				err = f(s, func(rows int) { n += rows })
			}
			if err != nil {
				b.Fatal(err)
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "rows/s")
	}
	b.Run("history/points", func(b *testing.B) {
		snapshot(b, func(s aggregate.Snapshot, add func(int)) error {
			return s.Points(b.Context(), "m", base, base+3_600_000, func(p *aggregate.Points) error { add(len(p.Time)); return nil })
		})
	})
	b.Run("history/rows", func(b *testing.B) {
		snapshot(b, func(s aggregate.Snapshot, add func(int)) error {
			return s.Rows(b.Context(), "m", 60_000, base, base+3_600_000, func(*aggregate.Row) error { add(1); return nil })
		})
	})
}
