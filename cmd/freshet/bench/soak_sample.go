package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A sample is the state of the server at one moment.
type sample struct {
	at      float64 // s since the beginning
	row     []float64
	differs error // what a check found, nil if answers were exact
}

// soakColumns are the figures of a sample, behind its time.
var soakColumns = []string{"points M", "points/s", "refused", "resident MiB", "heap MiB", "goroutines", "log MiB", "warehouse MiB",
	"series", "loads", "visits", "query p99 ms", "exact"}

// The columns that a verdict is about.
const (
	columnPoints     = 0
	columnResident   = 3
	columnHeap       = 4
	columnGoroutines = 5
	columnLog        = 6
	columnWarehouse  = 7
	columnExact      = 12
)

// watch takes a sample now and then until ctx ends.
func (s *soak) watch(ctx context.Context, p *process) error {
	s.show(append([]string{"s"}, soakColumns...))
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(s.began.Add(time.Duration(n) * s.load.Every))):
		}
		x, err := s.sample(ctx, p)
		if err != nil {
			return err
		}
		s.samples = append(s.samples, x)
		figures := []string{fmt.Sprintf("%.0f", x.at)}
		for _, v := range x.row {
			figures = append(figures, number(v))
		}
		s.show(figures)
		if x.differs != nil {
			s.show([]string{x.differs.Error()})
		}
	}
}

// show writes a line of progress.
func (s *soak) show(figures []string) {
	if s.load.Progress == nil {
		return
	}
	for i := range figures {
		figures[i] = fmt.Sprintf("%10s", figures[i])
	}
	fmt.Fprintln(s.load.Progress, strings.Join(figures, "  "))
}

func (s *soak) sample(ctx context.Context, p *process) (x sample, err error) {
	x.at = time.Since(s.began).Seconds()
	m, err := p.metrics(ctx)
	if err != nil {
		return x, err
	}
	resident, err := p.resident()
	if err != nil {
		return x, err
	}
	logSize, err := p.size("streams")
	if err != nil {
		return x, err
	}
	all, err := p.size("")
	if err != nil {
		return x, err
	}
	s.mu.Lock()
	took := s.took
	s.took = nil
	s.mu.Unlock()
	points, refused := s.book.total()
	const mib = 1 << 20
	x.row = []float64{
		float64(points) / 1e6, s.lately(x.at, float64(points)), float64(refused), float64(resident) / mib, m["go_heap_objects_bytes"] / mib, m["go_goroutines"],
		float64(logSize) / mib, float64(all-logSize) / mib, m["freshet_aggregate_series"], m["freshet_warehouse_loads_total"],
		float64(s.churn.visits.Load()), quantile(took, 0.99), 1,
	}
	err = s.check(ctx, p)
	if errors.Is(err, ErrDiffers) {
		x.differs, x.row[columnExact], err = err, 0, nil
	}
	return x, err
}

// lately returns the points a second since the last sample.
func (s *soak) lately(at, points float64) float64 {
	if n := len(s.samples); n > 0 {
		last := s.samples[n-1]
		return (points - last.row[columnPoints]*1e6) / (at - last.at)
	}
	return points / at
}

// total returns all that was acknowledged, and how many posts were refused for now.
func (l *ledger) total() (points, refused int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.buckets {
		points += b.points
		refused += b.refused
	}
	return points, refused
}

// table returns all samples.
func (s *soak) table() *Table {
	t := &Table{Name: "samples", Columns: append([]string{"s"}, soakColumns...)}
	for _, x := range s.samples {
		t.add(append([]float64{x.at}, x.row...)...)
	}
	return t
}

// steady is up to what part of its mean a figure may rise over the last half of a soak.
const steady = 0.1

// verdict says what rose over the last half.
func (s *soak) verdict(r *Report) {
	half := s.samples[len(s.samples)/2:]
	for _, c := range []int{columnResident, columnHeap, columnGoroutines, columnLog, columnWarehouse} {
		var xs, ys []float64
		for _, x := range half {
			xs, ys = append(xs, x.at), append(ys, x.row[c])
		}
		by := rise(xs, ys)
		note := "flat"
		if by > steady {
			note = "grows"
		}
		r.add("rise over the last half: "+soakColumns[c], by*100, "%", note)
	}
	var points, bytes []float64
	for _, x := range half {
		points, bytes = append(points, x.row[columnPoints]), append(bytes, x.row[columnWarehouse])
	}
	r.add("warehouse grows a point", slope(points, bytes)*(1<<20)/1e6, "bytes", "of the points of the last half")
	if n := len(s.samples); n > 0 {
		r.add("points acknowledged at the last sample", s.samples[n-1].row[columnPoints]*1e6, "", fmt.Sprintf("%.0f posts refused for now (429) and sent again", s.samples[n-1].row[2]))
	}
}
