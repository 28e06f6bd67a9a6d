package warehouse

import (
	"context"

	"freshet/aggregate"
	"freshet/aggregate/window"
	"freshet/stream"
	"freshet/warehouse/duck"
)

// batchRows is about how many rows pass at a time from the goroutine that produces
// them to the scan that writes them into DuckDB's chunks.
const batchRows = 16 << 10

// A feed carries batches from the goroutine that makes them to the scan that writes them,
// and back to be filled again.
type feed[B any] struct {
	full   chan B
	free   chan B
	failed error // may be read once full is closed
}

// feedBatches is how many batches are on their way at most, besides the one that is made
// and the one that is written.
const feedBatches = 2

// produce runs f in a goroutine of r that ends with ctx at the latest. It gets a batch to
// fill, which is the zero value or one that was used before, for each that it sends.
func produce[B any](ctx context.Context, r *reading, f func(empty func() B, send func(B) error) error) *feed[B] {
	d := &feed[B]{full: make(chan B, feedBatches), free: make(chan B, feedBatches+2)}
	r.scans.Go(func() {
		defer close(d.full)
		d.failed = f(func() (b B) {
			select {
			case b = <-d.free:
			default:
			}
			return b
		}, func(b B) error {
			select {
			case d.full <- b:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	return d
}

// done gives a batch back.
func (d *feed[B]) done(b B) {
	select {
	case d.free <- b:
	default:
	}
}

// A pointSource writes raw points.
type pointSource struct {
	batches *feed[*aggregate.Points]
	now     *aggregate.Points
	next    int // row of now
}

func newPointSource(ctx context.Context, r *reading) *pointSource {
	return &pointSource{batches: produce(ctx, r, func(empty func() *aggregate.Points, send func(*aggregate.Points) error) error {
		b := emptyPoints(empty())
		flush := func() error {
			if len(b.Time) == 0 {
				return nil
			}
			err := send(b)
			b = emptyPoints(empty())
			return err
		}
		err := r.Points(ctx, func(p *aggregate.Points) error {
			if len(b.Time)+len(p.Time) > batchRows || b.Shard != p.Shard || b.Generation != p.Generation {
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
	})}
}

// emptyPoints returns a batch that was used before, emptied, or a new one for nil.
func emptyPoints(b *aggregate.Points) *aggregate.Points {
	if b == nil {
		return &aggregate.Points{}
	}
	return &aggregate.Points{Series: b.Series[:0], Time: b.Time[:0], Value: b.Value[:0], Offset: b.Offset[:0]}
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
			if s.now != nil {
				s.batches.done(s.now)
				s.now = nil
			}
			b, ok := <-s.batches.full
			if !ok {
				return n, s.batches.failed
			}
			s.now, s.next = b, 0
		}
		take := min(c.Cap()-n, len(s.now.Time)-s.next)
		s.write(c, n, take)
		n += take
		s.next += take
	}
	return n, nil
}

// write copies rows of the present batch to the chunk, column by column.
func (s *pointSource) write(c *duck.Chunk, at, n int) {
	b, from, to := s.now, s.next, s.next+n
	fillWith(c, 0, at, b.Series[from:to], func(id aggregate.SeriesID) uint32 { return uint32(id) })
	fillWith(c, 1, at, b.Time[from:to], func(ms int64) int64 { return ms * 1000 })
	if values := duck.Values[float64](c, 2); values != nil {
		copy(values[at:], b.Value[from:to])
	}
	s.writeMembers(c, at, n)
	fillAll(c, 4, at, n, uint32(b.Shard))
	fillWith(c, 5, at, b.Offset[from:to], func(o stream.Offset) uint64 { return uint64(o) })
	fillAll(c, 6, at, n, uint64(b.Generation))
	if b.Late == nil {
		fillAll(c, 7, at, n, false)
	} else if late := duck.Values[bool](c, 7); late != nil {
		copy(late[at:], b.Late[from:to])
	}
}

// writeMembers writes what a point has: a value or a member.
func (s *pointSource) writeMembers(c *duck.Chunk, at, n int) {
	for i := range n {
		set := s.now.Member != nil && s.now.Member[s.next+i] != ""
		switch {
		case set && c.Wants(2):
			c.SetNull(2, at+i)
		case !set && c.Wants(3):
			c.SetNull(3, at+i)
		}
		if set && c.Wants(3) {
			c.SetString(3, at+i, s.now.Member[s.next+i])
		}
	}
}

// fillWith writes a column that the query uses from row at on, each value as as makes it.
func fillWith[F any, T uint32 | int64 | uint64 | float64](c *duck.Chunk, column, at int, from []F, as func(F) T) {
	to := duck.Values[T](c, column)
	if to == nil {
		return
	}
	to = to[at : at+len(from)]
	for i, x := range from {
		to[i] = as(x)
	}
}

// fillEach writes n rows of a column that the query uses.
func fillEach[T uint32 | int64 | uint64 | float64](c *duck.Chunk, column, n int, of func(row int) T) {
	to := duck.Values[T](c, column)
	if to == nil {
		return
	}
	for i := range to[:n] {
		to[i] = of(i)
	}
}

// fillAll writes one value into n rows of a column that the query uses.
func fillAll[T uint32 | uint64 | bool](c *duck.Chunk, column, at, n int, x T) {
	if to := duck.Values[T](c, column); to != nil {
		for i := range n {
			to[at+i] = x
		}
	}
}

// A seriesSource writes series.
type seriesSource struct{ rest []aggregate.Series }

// Fill writes a chunk of series.
func (s *seriesSource) Fill(c *duck.Chunk) (int, error) {
	n := min(c.Cap(), len(s.rest))
	fillWith(c, 0, 0, s.rest[:n], func(e aggregate.Series) uint32 { return uint32(e.ID) })
	types := duck.Values[uint8](c, 2)
	var names, values []string
	for i, e := range s.rest[:n] {
		if c.Wants(1) {
			c.SetString(1, i, e.Metric)
		}
		if types != nil {
			types[i] = uint8(e.Type)
		}
		if c.Wants(3) {
			names, values = names[:0], values[:0]
			for _, l := range e.Labels {
				names, values = append(names, l.Name), append(values, l.Value)
			}
			c.SetMap(3, i, names, values)
		}
	}
	s.rest = s.rest[n:]
	return n, nil
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
	generation          aggregate.Generation // of compacted rows
}

// rowOf encodes a window.
func rowOf(series aggregate.SeriesID, start int64, st *window.State, g aggregate.Generation) windowRow {
	return windowRow{
		series: series, start: start, count: st.Count, numbers: [5]float64{st.Sum, st.Min, st.Max, st.First, st.Last},
		firstTime: st.FirstTime, lastTime: st.LastTime, resets: st.Resets, late: st.Late, generation: g,
		sketch: st.Sketch.AppendBinary(nil), members: st.Distinct.AppendBinary(nil),
	}
}

// A rowSource writes the windows of one resolution.
type rowSource struct {
	batches *feed[[]windowRow]
	now     []windowRow
	next    int // row of now
}

func newRowSource(ctx context.Context, r *reading, f aggregate.Frozen, resolution int64) *rowSource {
	return &rowSource{batches: produce(ctx, r, func(empty func() []windowRow, send func([]windowRow) error) error {
		b := empty()[:0]
		err := f.Rows(ctx, resolution, func(r *aggregate.Row) error {
			if b = append(b, rowOf(r.Series, r.Start, r.State, 0)); len(b) < batchRows {
				return nil
			}
			err := send(b)
			b = empty()[:0]
			return err
		})
		if err != nil || len(b) == 0 {
			return err
		}
		return send(b)
	})}
}

// Fill writes a chunk of windows.
func (s *rowSource) Fill(c *duck.Chunk) (int, error) {
	if s.next == len(s.now) {
		if s.now != nil {
			s.batches.done(s.now)
		}
		b, ok := <-s.batches.full
		if !ok {
			s.now, s.next = nil, 0
			return 0, s.batches.failed
		}
		s.now, s.next = b, 0
	}
	n := min(c.Cap(), len(s.now)-s.next)
	writeWindows(c, s.now[s.next:s.next+n])
	s.next += n
	return n, nil
}

// A compactedSource writes the windows that a compaction has merged.
type compactedSource struct{ rest []windowRow }

// Fill writes a chunk of windows.
func (s *compactedSource) Fill(c *duck.Chunk) (int, error) {
	n := min(c.Cap(), len(s.rest))
	if n > 0 {
		writeWindows(c, s.rest[:n])
		fillEach(c, generationColumn, n, func(i int) uint64 { return uint64(s.rest[i].generation) })
	}
	s.rest = s.rest[n:]
	return n, nil
}

// generationColumn is where compacted_rows has the generation.
const generationColumn = 14

// writeWindows writes the columns that the query uses.
func writeWindows(c *duck.Chunk, rows []windowRow) {
	fillEach(c, 0, len(rows), func(i int) uint32 { return uint32(rows[i].series) })
	fillEach(c, 1, len(rows), func(i int) int64 { return rows[i].start * 1000 })
	fillEach(c, 2, len(rows), func(i int) uint64 { return rows[i].count })
	for j := range rows[0].numbers {
		fillEach(c, 3+j, len(rows), func(i int) float64 { return rows[i].numbers[j] })
	}
	fillEach(c, 8, len(rows), func(i int) int64 { return rows[i].firstTime * 1000 })
	fillEach(c, 9, len(rows), func(i int) int64 { return rows[i].lastTime * 1000 })
	fillEach(c, 10, len(rows), func(i int) float64 { return rows[i].resets })
	for i := range rows {
		if c.Wants(11) {
			c.SetBytes(11, i, rows[i].sketch)
		}
		if c.Wants(12) {
			c.SetBytes(12, i, rows[i].members)
		}
	}
	fillEach(c, 13, len(rows), func(i int) uint64 { return rows[i].late })
}
