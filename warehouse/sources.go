package warehouse

import (
	"context"

	"freshet/aggregate"
	"freshet/ingest/point"
	"freshet/warehouse/duck"
)

// batchRows is about how many rows pass at a time from the goroutine that produces
// them to the scan that writes them into DuckDB's chunks.
const batchRows = 16 << 10

// produce runs f in a goroutine of r that ends with ctx at the latest, and returns what
// it sends. The error is f's, and may be read once the channel is closed.
func produce[B any](ctx context.Context, r *reading, f func(send func(B) error) error) (<-chan B, *error) {
	out := make(chan B, 2)
	failed := new(error)
	r.scans.Go(func() {
		defer close(out)
		*failed = f(func(b B) error {
			select {
			case out <- b:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	return out, failed
}

// A pointSource writes raw points.
type pointSource struct {
	batches <-chan *aggregate.Points
	failed  *error
	now     *aggregate.Points
	next    int // row of now
}

func newPointSource(ctx context.Context, r *reading) *pointSource {
	s := &pointSource{}
	s.batches, s.failed = produce(ctx, r, func(send func(*aggregate.Points) error) error {
		b := &aggregate.Points{}
		flush := func() error {
			if len(b.Time) == 0 {
				return nil
			}
			full := b
			b = &aggregate.Points{}
			return send(full)
		}
		err := r.Points(ctx, func(p *aggregate.Points) error {
			if len(b.Time) >= batchRows || b.Shard != p.Shard || b.Generation != p.Generation {
				if err := flush(); err != nil {
					return err
				}
			}
			appendPoints(b, p)
			return nil
		})
		if err != nil {
			return err
		}
		return flush()
	})
	return s
}

// appendPoints copies p behind b, which is of the same shard and generation or empty.
func appendPoints(b, p *aggregate.Points) {
	if p.Member != nil && b.Member == nil {
		b.Member = make([]string, len(b.Time), len(b.Time)+len(p.Time))
	}
	if p.Late != nil && b.Late == nil {
		b.Late = make([]bool, len(b.Time), len(b.Time)+len(p.Time))
	}
	b.Shard, b.Generation = p.Shard, p.Generation
	b.Series = append(b.Series, p.Series...)
	b.Time = append(b.Time, p.Time...)
	b.Value = append(b.Value, p.Value...)
	b.Offset = append(b.Offset, p.Offset...)
	switch {
	case p.Member != nil:
		b.Member = append(b.Member, p.Member...)
	case b.Member != nil:
		b.Member = append(b.Member, make([]string, len(p.Time))...)
	}
	switch {
	case p.Late != nil:
		b.Late = append(b.Late, p.Late...)
	case b.Late != nil:
		b.Late = append(b.Late, make([]bool, len(p.Time))...)
	}
}

// Fill writes a chunk of points.
func (s *pointSource) Fill(c *duck.Chunk) (int, error) {
	n := 0
	for n < c.Cap() {
		if s.now == nil || s.next == len(s.now.Time) {
			b, ok := <-s.batches
			if !ok {
				return n, *s.failed
			}
			s.now, s.next = b, 0
		}
		take := min(c.Cap()-n, len(s.now.Time)-s.next)
		if err := s.write(c, n, take); err != nil {
			return n, err
		}
		n += take
		s.next += take
	}
	return n, nil
}

// write copies rows of the present batch to the chunk, column by column.
func (s *pointSource) write(c *duck.Chunk, at, n int) error {
	b, from := s.now, s.next
	return firstError(
		column(c, 0, n, func(i int) error { return duck.Set(c, 0, at+i, uint32(b.Series[from+i])) }),
		column(c, 1, n, func(i int) error { return c.SetTime(1, at+i, b.Time[from+i]) }),
		column(c, 2, n, func(i int) error {
			if b.Member != nil && b.Member[from+i] != "" {
				return duck.Set[any](c, 2, at+i, nil)
			}
			return duck.Set(c, 2, at+i, b.Value[from+i])
		}),
		column(c, 3, n, func(i int) error {
			if b.Member == nil || b.Member[from+i] == "" {
				return duck.Set[any](c, 3, at+i, nil)
			}
			return duck.Set(c, 3, at+i, b.Member[from+i])
		}),
		column(c, 4, n, func(i int) error { return duck.Set(c, 4, at+i, uint32(b.Shard)) }),
		column(c, 5, n, func(i int) error { return duck.Set(c, 5, at+i, uint64(b.Offset[from+i])) }),
		column(c, 6, n, func(i int) error { return duck.Set(c, 6, at+i, uint64(b.Generation)) }),
		column(c, 7, n, func(i int) error { return duck.Set(c, 7, at+i, b.Late != nil && b.Late[from+i]) }),
	)
}

// column calls set for n rows of a column that the query uses.
func column(c *duck.Chunk, col, n int, set func(i int) error) error {
	if !c.Wants(col) {
		return nil
	}
	for i := range n {
		if err := set(i); err != nil {
			return err
		}
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// A seriesSource writes series.
type seriesSource struct{ rest []aggregate.Series }

// Fill writes a chunk of series.
func (s *seriesSource) Fill(c *duck.Chunk) (int, error) {
	n := min(c.Cap(), len(s.rest))
	for i, e := range s.rest[:n] {
		err := firstError(
			column(c, 0, 1, func(int) error { return duck.Set(c, 0, i, uint32(e.ID)) }),
			column(c, 1, 1, func(int) error { return duck.Set(c, 1, i, e.Metric) }),
			column(c, 2, 1, func(int) error { return duck.Set(c, 2, i, uint8(e.Type)) }),
			column(c, 3, 1, func(int) error { return duck.Set(c, 3, i, labelMap(e.Labels)) }),
		)
		if err != nil {
			return i, err
		}
	}
	s.rest = s.rest[n:]
	return n, nil
}

func labelMap(labels point.Labels) duck.Map {
	var m duck.Map
	for _, l := range labels {
		m.Set(l.Name, l.Value)
	}
	return m
}

// A windowRow is a row of a generation's windows, with sketch and members encoded.
type windowRow struct {
	series              aggregate.SeriesID
	start               int64
	count               uint64
	numbers             [5]float64 // sum, min, max, first, last
	firstTime, lastTime int64
	resets              float64
	sketch, members     []byte
	late                uint64
}

// A rowSource writes the windows of one resolution.
type rowSource struct {
	batches <-chan []windowRow
	failed  *error
	now     []windowRow
}

func newRowSource(ctx context.Context, r *reading, f aggregate.Frozen, resolution int64) *rowSource {
	s := &rowSource{}
	s.batches, s.failed = produce(ctx, r, func(send func([]windowRow) error) error {
		var b []windowRow
		err := f.Rows(ctx, resolution, func(r *aggregate.Row) error {
			st := r.State
			w := windowRow{
				series: r.Series, start: r.Start, count: st.Count, numbers: [5]float64{st.Sum, st.Min, st.Max, st.First, st.Last},
				firstTime: st.FirstTime, lastTime: st.LastTime, resets: st.Resets, late: st.Late,
			}
			w.sketch = st.Sketch.AppendBinary(nil)
			w.members = st.Distinct.AppendBinary(nil)
			if b = append(b, w); len(b) < batchRows {
				return nil
			}
			full := b
			b = make([]windowRow, 0, batchRows)
			return send(full)
		})
		if err != nil || len(b) == 0 {
			return err
		}
		return send(b)
	})
	return s
}

// Fill writes a chunk of windows.
func (s *rowSource) Fill(c *duck.Chunk) (int, error) {
	if len(s.now) == 0 {
		b, ok := <-s.batches
		if !ok {
			return 0, *s.failed
		}
		s.now = b
	}
	n := min(c.Cap(), len(s.now))
	for i := range n {
		if err := s.now[i].write(c, i); err != nil {
			return i, err
		}
	}
	s.now = s.now[n:]
	return n, nil
}

// write writes all columns: a load uses them all.
func (w *windowRow) write(c *duck.Chunk, i int) error {
	err := firstError(duck.Set(c, 0, i, uint32(w.series)), c.SetTime(1, i, w.start), duck.Set(c, 2, i, w.count))
	for j, x := range w.numbers {
		err = firstError(err, duck.Set(c, 3+j, i, x))
	}
	return firstError(err, c.SetTime(8, i, w.firstTime), c.SetTime(9, i, w.lastTime), duck.Set(c, 10, i, w.resets),
		setBlob(c, 11, i, w.sketch), setBlob(c, 12, i, w.members), duck.Set(c, 13, i, w.late))
}

func setBlob(c *duck.Chunk, column, row int, b []byte) error {
	if len(b) == 0 {
		return duck.Set[any](c, column, row, nil)
	}
	return duck.Set(c, column, row, b)
}
