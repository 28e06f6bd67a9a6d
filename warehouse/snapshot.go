package warehouse

import (
	"context"
	"fmt"

	"freshet/aggregate"
	"freshet/aggregate/window"
	"freshet/stream"
	"freshet/warehouse/duck"
)

// levels are the tables of the stored windows, by their length in milliseconds.
var levels = map[int64]string{60_000: "minute_rows", 3_600_000: "hour_rows", 86_400_000: "day_rows"}

// A snapshot is a read-only transaction on a session of its own.
type snapshot struct {
	session    *duck.Session
	generation aggregate.Generation
	horizons   horizons
}

// Snapshot opens a view of the loaded part that no later load changes.
func (w *Warehouse) Snapshot(ctx context.Context) (aggregate.Snapshot, error) {
	session, err := w.db.Session(ctx)
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	s := &snapshot{session: session}
	// The transaction sees the database as of its first read.
	_, err = session.Exec(ctx, "BEGIN TRANSACTION READ ONLY")
	if err == nil {
		s.generation, err = lastLoaded(ctx, session)
	}
	if err == nil {
		s.horizons, err = readHorizons(ctx, session)
	}
	if err != nil {
		session.Close()
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	return s, nil
}

// lastLoaded returns the last generation that the session's snapshot holds, 0 for none.
func lastLoaded(ctx context.Context, s *duck.Session) (g aggregate.Generation, err error) {
	err = s.Read(ctx, "SELECT coalesce(max(generation), 0) FROM load_rows", nil, func(c *duck.Chunk) error {
		g = aggregate.Generation(duck.Values[uint64](c, 0)[0])
		return nil
	})
	return g, err
}

// Generation returns the last generation that the snapshot holds.
func (s *snapshot) Generation() aggregate.Generation { return s.generation }

// Close ends the transaction.
func (s *snapshot) Close() error {
	s.session.Close()
	return nil
}

// begin returns where a read from a time on begins: what has expired is left out even
// while it is not deleted.
func (s *snapshot) begin(resolution, from int64) duck.Millis {
	return duck.Millis(max(from, s.horizons.of(resolution)))
}

// Rows yields the loaded windows of a metric.
func (s *snapshot) Rows(ctx context.Context, metric string, resolution, from, to int64, yield func(*aggregate.Row) error) error {
	table := levels[resolution]
	if table == "" {
		return fmt.Errorf("windows of %d ms are not stored", resolution)
	}
	query := "SELECT " + windowColumns + " FROM " + table +
		" WHERE start >= ? AND start < ? AND series IN (SELECT id FROM series_rows WHERE metric = ?)"
	return s.session.Read(ctx, query, []any{s.begin(resolution, from), duck.Millis(to), metric}, func(c *duck.Chunk) error {
		w := windowsOf(c)
		for i := range c.Len() {
			st, err := w.state(i)
			if err != nil {
				return err
			}
			if err := yield(&aggregate.Row{Series: aggregate.SeriesID(w.series[i]), Start: w.start[i] / 1000, State: st}); err != nil {
				return err
			}
		}
		return nil
	})
}

// windowColumns are the columns of a table of windows, as windowsOf reads them.
const windowColumns = "series, start, count, sum, min, max, first, last, first_ts, last_ts, resets, late, sketch, members"

// A windows is a chunk of windows.
type windows struct {
	chunk                              *duck.Chunk
	series                             []uint32
	start, firstTime, lastTime         []int64 // epoch µs
	count, late                        []uint64
	sum, min, max, first, last, resets []float64
}

func windowsOf(c *duck.Chunk) windows {
	return windows{
		chunk: c, series: duck.Values[uint32](c, 0), start: duck.Values[int64](c, 1), count: duck.Values[uint64](c, 2),
		sum: duck.Values[float64](c, 3), min: duck.Values[float64](c, 4), max: duck.Values[float64](c, 5),
		first: duck.Values[float64](c, 6), last: duck.Values[float64](c, 7),
		firstTime: duck.Values[int64](c, 8), lastTime: duck.Values[int64](c, 9), resets: duck.Values[float64](c, 10), late: duck.Values[uint64](c, 11),
	}
}

// state returns the window of a row, which keeps nothing of the chunk.
func (w *windows) state(i int) (*window.State, error) {
	st := w.scalars(i)
	if err := st.Sketch.MergeBinary(w.chunk.Bytes(12, i)); err != nil {
		return nil, err
	}
	return st, st.Distinct.MergeBinary(w.chunk.Bytes(13, i))
}

// scalars is state without sketch and members.
func (w *windows) scalars(i int) *window.State {
	return &window.State{
		Count: w.count[i], Sum: w.sum[i], Min: w.min[i], Max: w.max[i], First: w.first[i], Last: w.last[i],
		FirstTime: w.firstTime[i] / 1000, LastTime: w.lastTime[i] / 1000, Resets: w.resets[i], Late: w.late[i],
	}
}

// Points yields the loaded raw points of a metric, in the order of the log within a series.
func (s *snapshot) Points(ctx context.Context, metric string, from, to int64, yield func(*aggregate.Points) error) error {
	query := "SELECT series, ts, value, member, shard, seq, late FROM point_rows" +
		" WHERE ts >= ? AND ts < ? AND series IN (SELECT id FROM series_rows WHERE metric = ?)"
	p := &aggregate.Points{Generation: s.generation}
	return s.session.Read(ctx, query, []any{s.begin(0, from), duck.Millis(to), metric}, func(c *duck.Chunk) error {
		shards := duck.Values[uint32](c, 4)
		for at := 0; at < c.Len(); {
			end := at + 1
			for end < c.Len() && shards[end] == shards[at] {
				end++
			}
			p.Shard = stream.ShardID(shards[at])
			readPoints(p, c, at, end)
			if err := yield(p); err != nil {
				return err
			}
			at = end
		}
		return nil
	})
}

// readPoints makes p the rows from ≤ i < to of a chunk.
func readPoints(p *aggregate.Points, c *duck.Chunk, from, to int) {
	series, times, values := duck.Values[uint32](c, 0), duck.Values[int64](c, 1), duck.Values[float64](c, 2)
	offsets, late := duck.Values[uint64](c, 5), duck.Values[bool](c, 6)
	p.Series, p.Time, p.Value, p.Offset, p.Member, p.Late = p.Series[:0], p.Time[:0], p.Value[:0], p.Offset[:0], nil, nil
	for i := from; i < to; i++ {
		p.Series = append(p.Series, aggregate.SeriesID(series[i]))
		p.Time = append(p.Time, times[i]/1000)
		p.Offset = append(p.Offset, stream.Offset(offsets[i]))
		x := values[i]
		if c.Null(2, i) { // of a set
			x = 0
		}
		p.Value = append(p.Value, x)
		if m := c.Bytes(3, i); len(m) > 0 {
			if p.Member == nil {
				p.Member = make([]string, to-from)
			}
			p.Member[i-from] = string(m)
		}
		if late[i] {
			if p.Late == nil {
				p.Late = make([]bool, to-from)
			}
			p.Late[i-from] = true
		}
	}
}
