package warehouse

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"freshet/aggregate"
	"freshet/aggregate/window"
	"freshet/stream"
	"freshet/warehouse/duck"
)

// levels are the tables of the stored windows, by their length in milliseconds.
var levels = map[int64]string{60_000: "minute_rows", 3_600_000: "hour_rows", 86_400_000: "day_rows"}

// A snapshot is a read-only transaction on a connection of its own.
type snapshot struct {
	conn       *duck.Conn
	generation aggregate.Generation
}

// Snapshot opens a view of the loaded part that no later load changes.
func (w *Warehouse) Snapshot(ctx context.Context) (aggregate.Snapshot, error) {
	c, err := w.db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	s := &snapshot{conn: c}
	// The transaction sees the database as of its first read.
	err = c.Exec(ctx, "BEGIN TRANSACTION READ ONLY")
	if err == nil {
		err = c.Value(ctx, "SELECT coalesce(max(generation), 0) FROM load_rows", nil, &s.generation)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("snapshot: %w", err), s.Close())
	}
	return s, nil
}

// Generation returns the last generation that the snapshot holds.
func (s *snapshot) Generation() aggregate.Generation { return s.generation }

// Close ends the transaction.
func (s *snapshot) Close() error {
	s.conn.Rollback()
	return s.conn.Close()
}

// Rows yields the loaded windows of a metric.
func (s *snapshot) Rows(ctx context.Context, metric string, resolution, from, to int64, yield func(*aggregate.Row) error) error {
	table := levels[resolution]
	if table == "" {
		return fmt.Errorf("windows of %d ms are not stored", resolution)
	}
	row := &aggregate.Row{}
	query := "SELECT series, start, count, sum, min, max, first, last, first_ts, last_ts, resets, late, sketch, members FROM " + table +
		" WHERE start >= ? AND start < ? AND series IN (SELECT id FROM series_rows WHERE metric = ?)"
	return s.conn.Rows(ctx, query, []any{time.UnixMilli(from), time.UnixMilli(to), metric}, nil, func(v []driver.Value) error {
		st := &window.State{
			Count: v[2].(uint64), Sum: v[3].(float64), Min: v[4].(float64), Max: v[5].(float64), First: v[6].(float64), Last: v[7].(float64),
			FirstTime: v[8].(time.Time).UnixMilli(), LastTime: v[9].(time.Time).UnixMilli(), Resets: v[10].(float64), Late: v[11].(uint64),
		}
		row.Series, row.Start, row.State = aggregate.SeriesID(v[0].(uint32)), v[1].(time.Time).UnixMilli(), st
		if b, ok := v[12].([]byte); ok {
			if err := st.Sketch.MergeBinary(b); err != nil {
				return err
			}
		}
		if b, ok := v[13].([]byte); ok {
			if err := st.Distinct.MergeBinary(b); err != nil {
				return err
			}
		}
		return yield(row)
	})
}

// Points yields the loaded raw points of a metric, in the order of the log within a series.
func (s *snapshot) Points(ctx context.Context, metric string, from, to int64, yield func(*aggregate.Points) error) error {
	const run = 4096
	p := &aggregate.Points{Generation: s.generation}
	var members []string
	var lates []bool
	flush := func() error {
		if len(p.Time) == 0 {
			return nil
		}
		err := yield(p)
		p.Series, p.Time, p.Value, p.Offset, members = p.Series[:0], p.Time[:0], p.Value[:0], p.Offset[:0], members[:0]
		p.Member, p.Late, lates = nil, nil, lates[:0]
		return err
	}
	query := "SELECT series, ts, value, member, shard, seq, late FROM point_rows" +
		" WHERE ts >= ? AND ts < ? AND series IN (SELECT id FROM series_rows WHERE metric = ?)"
	err := s.conn.Rows(ctx, query, []any{time.UnixMilli(from), time.UnixMilli(to), metric}, nil, func(v []driver.Value) error {
		p.Series = append(p.Series, aggregate.SeriesID(v[0].(uint32)))
		p.Time = append(p.Time, v[1].(time.Time).UnixMilli())
		value, _ := v[2].(float64) // NULL for a set
		p.Value = append(p.Value, value)
		member, _ := v[3].(string)
		members = append(members, member)
		if member != "" || p.Member != nil {
			p.Member = members
		}
		late := v[6].(bool)
		lates = append(lates, late)
		if late || p.Late != nil {
			p.Late = lates
		}
		p.Shard = stream.ShardID(v[4].(uint32))
		p.Offset = append(p.Offset, stream.Offset(v[5].(uint64)))
		if len(p.Time) < run {
			return nil
		}
		return flush()
	})
	if err != nil {
		return err
	}
	return flush()
}
