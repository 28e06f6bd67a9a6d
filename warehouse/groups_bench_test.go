//go:build linux || darwin

package warehouse_test

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"freshet/aggregate"
	"freshet/aggregate/window"
	"freshet/ingest/point"
	"freshet/warehouse"
)

// A grid is a generation without points that has a window of each series for each minute
// of a span of time, and then one for each hour.
type grid struct {
	aggregate.Frozen
	generation aggregate.Generation
	series     int
	windows    map[int64]int // how many of each
}

func (g *grid) Generation() aggregate.Generation { return g.generation }
func (g *grid) Ranges() []aggregate.Range        { return nil }

func (g *grid) NewSeries(known aggregate.SeriesID) []aggregate.Series {
	var out []aggregate.Series
	for i := int(known) + 1; i <= g.series; i++ {
		out = append(out, aggregate.Series{ID: aggregate.SeriesID(i), Series: point.Series{Metric: "m", Type: point.Distribution,
			Labels: point.Labels{{Name: "n", Value: fmt.Sprint(i)}}}})
	}
	return out
}

func (g *grid) Points(context.Context, func(*aggregate.Points) error) error { return nil }

func (g *grid) Rows(_ context.Context, resolution int64, yield func(*aggregate.Row) error) error {
	row := &aggregate.Row{State: &window.State{Count: 60, Sum: 60, Min: 1, Max: 2, First: 1, Last: 2}}
	for i := range 60 {
		row.State.Sketch.Add(10 + float64(i%30))
	}
	for i := range g.windows[60_000] + g.windows[3_600_000] {
		row.Start = base + int64(i)*resolution
		if n := i - g.windows[60_000]; n >= 0 {
			row.Start = base + int64(g.windows[60_000])*60_000 + int64(n)*3_600_000
		}
		row.State.FirstTime, row.State.LastTime = row.Start, row.Start+resolution-1000
		for s := range g.series {
			row.Series = aggregate.SeriesID(s + 1)
			row.State.Sum = float64(s)
			if err := yield(row); err != nil {
				return err
			}
		}
	}
	return nil
}

// A gridSource freezes grids, one after the other.
type gridSource struct{ grid }

func (m *gridSource) Freeze(context.Context) (aggregate.Frozen, error) { return &m.grid, nil }
func (m *gridSource) Loaded(g aggregate.Generation)                    { m.generation = g + 1 }
func (m *gridSource) Full() <-chan struct{}                            { return nil }

// BenchmarkGroups adds up a day of minutes and 30 days of hours of 1,000 series.
func BenchmarkGroups(b *testing.B) {
	store := open(b, warehouse.Options{Path: filepath.Join(b.TempDir(), "w.duckdb"), Threads: 2})
	source := &gridSource{grid{generation: 1, series: 1000, windows: map[int64]int{60_000: 1440, 3_600_000: 720 - 24}}}
	if _, err := store.Loader(warehouse.LoaderOptions{Source: source}).Load(b.Context()); err != nil {
		b.Fatal(err)
	}
	r := aggregate.GroupsRequest{Metric: "m", From: base}
	for i := range 1000 {
		r.Series, r.Groups = append(r.Series, aggregate.SeriesID(i+1)), append(r.Groups, int32(i%10))
	}
	for _, c := range []struct {
		name                   string
		resolution, step, span int64
		sketch                 bool
	}{
		{"minutes", 60_000, 300_000, 86_400_000, false}, {"hours", 3_600_000, 3_600_000, 30 * 86_400_000, false},
		{"hours/sketch", 3_600_000, 3_600_000, 30 * 86_400_000, true}, {"minutes/sketch", 60_000, 300_000, 86_400_000, true},
	} {
		r.Resolution, r.Step, r.To, r.WantSketch = c.resolution, c.step, base+c.span, c.sketch
		b.Run(c.name, func(b *testing.B) {
			before := cpu(b)
			for b.Loop() {
				s, err := store.Snapshot(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				cells := 0
				if err := s.Groups(b.Context(), r, func(*aggregate.GroupRow) error { cells++; return nil }); err != nil || cells == 0 {
					b.Fatal(cells, err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64((cpu(b)-before).Milliseconds())/float64(b.N), "cpu-ms/op")
		})
	}
}

// cpu returns the time that the process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
