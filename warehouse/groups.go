package warehouse

import (
	"context"
	"fmt"
	"slices"

	"freshet/aggregate"
	"freshet/aggregate/window"
	"freshet/warehouse/duck"
)

// A wanted is what a push-down asks for: series, and the group of each. It travels in
// the context of the query as a reading does.
type wanted struct {
	series []aggregate.SeriesID
	groups []int32
}

type wantedKey struct{}

// wantedFunction returns the function that yields the series of a push-down.
func wantedFunction() duck.Function {
	return duck.Function{
		Name: "wanted_series", Rows: 1000,
		Fields: []duck.Field{{Name: "series", Type: duck.UInteger}, {Name: "grp", Type: duck.Integer}},
		Open: func(ctx context.Context) (duck.Source, error) {
			w, ok := ctx.Value(wantedKey{}).(wanted)
			if !ok {
				return nil, nil
			}
			return &w, nil
		},
	}
}

// Fill writes a chunk of wanted series.
func (w *wanted) Fill(c *duck.Chunk) (int, error) {
	n := min(c.Cap(), len(w.series))
	fillWith(c, 0, 0, w.series[:n], func(id aggregate.SeriesID) uint32 { return uint32(id) })
	if groups := duck.Values[int32](c, 1); groups != nil {
		copy(groups, w.groups[:n])
	}
	w.series, w.groups = w.series[n:], w.groups[n:]
	return n, nil
}

// A groupStep is one group in one step.
type groupStep struct {
	group int32
	step  int64
}

// Groups adds up loaded windows in DuckDB: a hash join with the wanted series, then one
// hash aggregate. Sketches and members are merged here.
func (s *snapshot) Groups(ctx context.Context, r aggregate.GroupsRequest, yield func(*aggregate.GroupRow) error) error {
	if len(r.Series) != len(r.Groups) {
		return fmt.Errorf("groups: %d series have %d groups", len(r.Series), len(r.Groups))
	}
	step, place := r.Step, func(at int64) int64 { return at }
	if r.Edges != nil {
		step = r.Resolution // put into steps here, which are few
		place = func(at int64) int64 {
			i, found := slices.BinarySearch(r.Edges, at)
			if !found {
				i--
			}
			return r.Edges[max(i, 0)]
		}
	}
	if step <= 0 {
		return fmt.Errorf("groups: the step is %d ms; it must be positive", step)
	}
	ctx = context.WithValue(ctx, wantedKey{}, wanted{r.Series, r.Groups})
	cells := map[groupStep]*aggregate.GroupRow{}
	cell := func(group int32, at int64) *aggregate.GroupRow {
		key := groupStep{group, place(at)}
		c := cells[key]
		if c == nil {
			c = &aggregate.GroupRow{Group: group, Step: key.step}
			cells[key] = c
		}
		return c
	}
	err := s.scalars(ctx, r, step, cell)
	if err == nil && (r.WantSketch || r.WantDistinct) {
		err = s.merge(ctx, r, step, cell)
	}
	if err != nil {
		return fmt.Errorf("groups: %w", err)
	}
	for _, c := range cells {
		if err := yield(c); err != nil {
			return err
		}
	}
	return nil
}

// bucket is the SQL of the start of the step of a time in microseconds: from, step, step, from.
const bucket = "((epoch_ms(%s) - ?::BIGINT) // ?::BIGINT * ?::BIGINT + ?::BIGINT)"

// bounds are the arguments of a query with a bucket and a span of time.
func (s *snapshot) bounds(r aggregate.GroupsRequest, step int64) []any {
	return []any{r.From, step, step, r.From, s.begin(r.Resolution, r.From), duck.Millis(r.To)}
}

// scalars adds all but sketches and members to the cells. Points of sets have no value;
// their numbers are 0, as those of stored windows are.
func (s *snapshot) scalars(ctx context.Context, r aggregate.GroupsRequest, step int64, cell func(int32, int64) *aggregate.GroupRow) error {
	query := fmt.Sprintf(`SELECT grp, `+bucket+` AS step, count(*)::UBIGINT, coalesce(sum(value), 0), coalesce(min(value), 0), coalesce(max(value), 0),
		coalesce(arg_max(value, ts), 0), max(ts), count_if(late)::UBIGINT
		FROM point_rows JOIN wanted_series() USING (series) WHERE ts >= ? AND ts < ? GROUP BY ALL`, "ts")
	if table := levels[r.Resolution]; table != "" {
		query = fmt.Sprintf(`SELECT grp, `+bucket+` AS step, sum(count)::UBIGINT, sum(sum), min(min), max(max),
			arg_max(last, last_ts), max(last_ts), sum(late)::UBIGINT
			FROM %s JOIN wanted_series() USING (series) WHERE start >= ? AND start < ? GROUP BY ALL`, "start", table)
	}
	return s.session.Read(ctx, query, s.bounds(r, step), func(c *duck.Chunk) error {
		groups, steps, counts, sums := duck.Values[int32](c, 0), duck.Values[int64](c, 1), duck.Values[uint64](c, 2), duck.Values[float64](c, 3)
		least, greatest, last := duck.Values[float64](c, 4), duck.Values[float64](c, 5), duck.Values[float64](c, 6)
		times, late := duck.Values[int64](c, 7), duck.Values[uint64](c, 8)
		for i := range c.Len() {
			g := cell(groups[i], steps[i])
			if g.Count == 0 {
				g.Min, g.Max = least[i], greatest[i]
			}
			if at := times[i] / 1000; g.Count == 0 || at >= g.LastTime {
				g.Last, g.LastTime = last[i], at
			}
			g.Sum, g.Min, g.Max = g.Sum+sums[i], min(g.Min, least[i]), max(g.Max, greatest[i])
			g.Count += counts[i]
			g.Late += late[i]
		}
		return nil
	})
}

// merge adds sketches and members to the cells.
func (s *snapshot) merge(ctx context.Context, r aggregate.GroupsRequest, step int64, cell func(int32, int64) *aggregate.GroupRow) error {
	if table := levels[r.Resolution]; table != "" {
		return s.mergeWindows(ctx, table, r, step, cell)
	}
	query := fmt.Sprintf(`SELECT grp, `+bucket+` AS step, value, member
		FROM point_rows JOIN wanted_series() USING (series) WHERE ts >= ? AND ts < ?`, "ts")
	return s.session.Read(ctx, query, s.bounds(r, step), func(c *duck.Chunk) error {
		groups, steps, values := duck.Values[int32](c, 0), duck.Values[int64](c, 1), duck.Values[float64](c, 2)
		for i := range c.Len() {
			g := cell(groups[i], steps[i])
			if m := c.Bytes(3, i); m != nil {
				if r.WantDistinct {
					g.Distinct.Add(aggregate.MemberHash(m))
				}
			} else if r.WantSketch && !c.Null(2, i) {
				g.Sketch.Add(values[i])
			}
		}
		return nil
	})
}

// pieceRows is about how many sketches are read at a time: DuckDB gathers a result before
// the first of it can be read.
const pieceRows = 256 << 10

// mergeWindows adds the sketches and members of stored windows, a piece of time at a time.
func (s *snapshot) mergeWindows(ctx context.Context, table string, r aggregate.GroupsRequest, step int64, cell func(int32, int64) *aggregate.GroupRow) error {
	columns := "NULL, NULL"
	switch {
	case r.WantSketch && r.WantDistinct:
		columns = "sketch, members"
	case r.WantSketch:
		columns = "sketch, NULL"
	case r.WantDistinct:
		columns = "NULL, members"
	}
	query := fmt.Sprintf(`SELECT grp, `+bucket+` AS step, %s
		FROM %s JOIN wanted_series() USING (series) WHERE start >= ? AND start < ? AND coalesce(%[2]s) IS NOT NULL`, "start", columns, table)
	length := max(int64(pieceRows/max(len(r.Series), 1))*r.Resolution/step, 1) * step
	for at := r.From; at < r.To; at += length {
		args := s.bounds(r, step)
		args[4], args[5] = s.begin(r.Resolution, at), duck.Millis(min(at+length, r.To))
		sums := map[*aggregate.GroupRow]*window.Histogram{}
		err := s.session.Read(ctx, query, args, func(c *duck.Chunk) error { return addEncoded(c, cell, sums) })
		if err != nil {
			return err
		}
		for g, h := range sums {
			h.AppendTo(&g.Sketch)
		}
	}
	return nil
}

// addEncoded adds the sketches of a chunk to sums, its members to the cells themselves.
func addEncoded(c *duck.Chunk, cell func(int32, int64) *aggregate.GroupRow, sums map[*aggregate.GroupRow]*window.Histogram) error {
	groups, steps := duck.Values[int32](c, 0), duck.Values[int64](c, 1)
	for i := range c.Len() {
		g := cell(groups[i], steps[i])
		if b := c.Bytes(2, i); b != nil {
			h := sums[g]
			if h == nil {
				h = &window.Histogram{}
				sums[g] = h
			}
			if err := h.MergeBinary(b); err != nil {
				return err
			}
		}
		if err := g.Distinct.MergeBinary(c.Bytes(3, i)); err != nil {
			return err
		}
	}
	return nil
}
