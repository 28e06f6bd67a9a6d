package warehouse

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"time"

	"freshet/aggregate"
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
	err := firstError(
		column(c, 0, n, func(i int) error { return duck.Set(c, 0, i, uint32(w.series[i])) }),
		column(c, 1, n, func(i int) error { return duck.Set(c, 1, i, w.groups[i]) }),
	)
	w.series, w.groups = w.series[n:], w.groups[n:]
	return n, err
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
	args := []any{r.From, step, step, r.From, time.UnixMilli(r.From), time.UnixMilli(r.To)}
	err := s.conn.Rows(ctx, scalarsQuery(r.Resolution), args, nil, func(v []driver.Value) error {
		c := cell(v[0].(int32), v[1].(int64))
		count := v[2].(uint64)
		least, greatest, at := v[4].(float64), v[5].(float64), v[7].(time.Time).UnixMilli()
		if c.Count == 0 {
			c.Min, c.Max = least, greatest
		}
		c.Sum, c.Min, c.Max = c.Sum+v[3].(float64), min(c.Min, least), max(c.Max, greatest)
		if c.Count == 0 || at >= c.LastTime {
			c.Last, c.LastTime = v[6].(float64), at
		}
		c.Count += count
		c.Late += v[8].(uint64)
		return nil
	})
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

// bucket is the SQL of the start of a time's step: from, step, step, from.
const bucket = "((epoch_ms(%s) - ?::BIGINT) // ?::BIGINT * ?::BIGINT + ?::BIGINT)"

// scalarsQuery returns the query that adds up all but sketches and members. Points of
// sets have no value; their numbers are 0, as those of stored windows are.
func scalarsQuery(resolution int64) string {
	if table := levels[resolution]; table != "" {
		return fmt.Sprintf(`SELECT grp, `+bucket+` AS step, sum(count)::UBIGINT, sum(sum), min(min), max(max),
			arg_max(last, last_ts), max(last_ts), sum(late)::UBIGINT
			FROM %s JOIN wanted_series() USING (series) WHERE start >= ? AND start < ? GROUP BY ALL`, "start", table)
	}
	return fmt.Sprintf(`SELECT grp, `+bucket+` AS step, count(*)::UBIGINT, coalesce(sum(value), 0), coalesce(min(value), 0), coalesce(max(value), 0),
		coalesce(arg_max(value, ts), 0), max(ts), count_if(late)::UBIGINT
		FROM point_rows JOIN wanted_series() USING (series) WHERE ts >= ? AND ts < ? GROUP BY ALL`, "ts")
}

// merge adds sketches and members to the cells.
func (s *snapshot) merge(ctx context.Context, r aggregate.GroupsRequest, step int64, cell func(int32, int64) *aggregate.GroupRow) error {
	args := []any{r.From, step, step, r.From, time.UnixMilli(r.From), time.UnixMilli(r.To)}
	if table := levels[r.Resolution]; table != "" {
		query := fmt.Sprintf(`SELECT grp, `+bucket+` AS step, sketch, members
			FROM %s JOIN wanted_series() USING (series) WHERE start >= ? AND start < ? AND (sketch IS NOT NULL OR members IS NOT NULL)`, "start", table)
		return s.conn.Rows(ctx, query, args, nil, func(v []driver.Value) error {
			c := cell(v[0].(int32), v[1].(int64))
			if b, ok := v[2].([]byte); ok && r.WantSketch {
				if err := c.Sketch.MergeBinary(b); err != nil {
					return err
				}
			}
			if b, ok := v[3].([]byte); ok && r.WantDistinct {
				return c.Distinct.MergeBinary(b)
			}
			return nil
		})
	}
	query := fmt.Sprintf(`SELECT grp, `+bucket+` AS step, value, member
		FROM point_rows JOIN wanted_series() USING (series) WHERE ts >= ? AND ts < ?`, "ts")
	return s.conn.Rows(ctx, query, args, nil, func(v []driver.Value) error {
		c := cell(v[0].(int32), v[1].(int64))
		if m, ok := v[3].(string); ok {
			if r.WantDistinct {
				c.Distinct.Add(aggregate.MemberHash(m))
			}
		} else if x, ok := v[2].(float64); ok && r.WantSketch {
			c.Sketch.Add(x)
		}
		return nil
	})
}
