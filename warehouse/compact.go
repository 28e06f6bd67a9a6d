package warehouse

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"freshet/aggregate"
	"freshet/aggregate/window"
	"freshet/ingest/point"
	"freshet/warehouse/duck"
)

// A level is a table of windows and what is known of its compaction.
type level struct {
	table   string
	length  int64 // of a window, ms
	stretch int64 // of time that is looked at at once, ms

	// Owned by the round under way.
	seen    aggregate.Generation // loads up to here have left their stretches in waiting
	waiting map[int64]struct{}   // starts of stretches that may have windows in parts
}

// pieceWindows is about how many rows one transaction reads.
const pieceWindows = 128 << 10

// sortShare: where one row in so many is part of a window in parts, the whole stretch is
// written anew, sorted by series and start.
const sortShare = 8

// compact merges the parts of windows in the stretches that have settled.
func (u *Upkeep) compact(ctx context.Context, s *duck.Session, l *level) error {
	if err := l.look(ctx, s); err != nil {
		return err
	}
	settled := u.options.Now().UnixMilli() - u.options.Settled.Milliseconds()
	for _, start := range slices.Sorted(maps.Keys(l.waiting)) {
		if start+l.stretch > settled {
			break
		}
		if err := u.compactStretch(ctx, s, l, start); err != nil {
			return err
		}
		delete(l.waiting, start)
	}
	return nil
}

// look adds the stretches that loads since the last look have written to.
func (l *level) look(ctx context.Context, s *duck.Session) error {
	if l.waiting == nil {
		l.waiting = map[int64]struct{}{}
	}
	query := fmt.Sprintf("SELECT epoch_ms(start) // %d * %[1]d, max(generation) FROM %s WHERE generation > ? GROUP BY 1", l.stretch, l.table)
	seen := l.seen
	err := s.Read(ctx, query, []any{uint64(l.seen)}, func(c *duck.Chunk) error {
		starts, generations := duck.Values[int64](c, 0), duck.Values[uint64](c, 1)
		for i := range c.Len() {
			l.waiting[starts[i]] = struct{}{}
			seen = max(seen, aggregate.Generation(generations[i]))
		}
		return nil
	})
	if err == nil {
		l.seen = seen
	}
	return err
}

// compactStretch compacts a stretch in pieces of some series each.
func (u *Upkeep) compactStretch(ctx context.Context, s *duck.Session, l *level, start int64) error {
	var rows, windows int64
	where := []any{duck.Millis(start), duck.Millis(start + l.stretch)}
	err := s.Read(ctx, "SELECT coalesce(sum(n), 0)::BIGINT, count(*) FROM (SELECT count(*) AS n FROM "+l.table+
		" WHERE start >= ? AND start < ? GROUP BY series, start)", where, func(c *duck.Chunk) error {
		rows, windows = duck.Values[int64](c, 0)[0], duck.Values[int64](c, 1)[0]
		return nil
	})
	if err != nil || rows == windows {
		return err
	}
	all := (rows-windows)*sortShare >= rows
	pieces := rows/pieceWindows + 1
	for piece := range pieces {
		if err := u.compactPiece(ctx, s, l, start, piece, pieces, all); err != nil {
			return err
		}
	}
	u.options.Logger.Debug("compacted", "table", l.table, "start", start, "rows", rows, "windows", windows)
	return nil
}

// compactPiece rewrites the windows of one series in so many in one transaction: all
// of them, or those that are in parts.
func (u *Upkeep) compactPiece(ctx context.Context, s *duck.Session, l *level, start, piece, pieces int64, all bool) error {
	u.options.Step("compact")
	before := 0
	var rows []windowRow
	err := u.transaction(ctx, s, func(ctx context.Context) (err error) {
		if rows, before, err = readParts(ctx, s, l, start, piece, pieces, all); err != nil || len(rows) == 0 {
			return err
		}
		ctx = context.WithValue(ctx, compactedKey{}, rows)
		u.options.Step("delete")
		// The transaction sees no more than what was read.
		_, err = s.Exec(ctx, "DELETE FROM "+l.table+" t USING compacted_rows() c WHERE t.start >= ? AND t.start < ? AND t.series = c.series AND t.start = c.start",
			duck.Millis(start), duck.Millis(start+l.stretch))
		if err != nil {
			return err
		}
		u.options.Step("insert")
		_, err = s.Exec(ctx, "INSERT INTO "+l.table+" BY NAME SELECT * FROM compacted_rows()")
		return err
	})
	if err != nil {
		return err
	}
	u.merged.Add(uint64(before - len(rows)))
	u.options.Step("compacted")
	return nil
}

// readParts reads the windows of a piece, merged and sorted by series and start, and
// returns how many rows they are made of. A window has the generation of its last part.
// Parts that cannot be merged stay as they are.
func readParts(ctx context.Context, s *duck.Session, l *level, start, piece, pieces int64, all bool) (out []windowRow, rows int, err error) {
	query := "SELECT " + windowColumns + ", generation, type FROM " + l.table + " JOIN series_rows ON id = series" +
		" WHERE start >= ? AND start < ? AND series % ? = ? QUALIFY ? OR count(*) OVER (PARTITION BY series, start) > 1 ORDER BY series, start, generation"
	choose := int64(0)
	if all {
		choose = 1
	}
	var parts []*window.State
	var loads []aggregate.Generation // of the parts
	var last windowRow
	flush := func(typ uint8) {
		if len(parts) == 0 {
			return
		}
		if st := window.Compact(parts, point.Type(typ) == point.Cumulative); st != nil {
			out = append(out, rowOf(last.series, last.start, st, last.generation))
		} else if all {
			for i, st := range parts {
				out = append(out, rowOf(last.series, last.start, st, loads[i]))
			}
		} else {
			rows -= len(parts)
		}
		parts, loads = parts[:0], loads[:0]
	}
	var typ uint8
	args := []any{duck.Millis(start), duck.Millis(start + l.stretch), pieces, piece, choose}
	err = s.Read(ctx, query, args, func(c *duck.Chunk) error {
		w := windowsOf(c)
		generations, types := duck.Values[uint64](c, 14), duck.Values[uint8](c, 15)
		for i := range c.Len() {
			series, at := aggregate.SeriesID(w.series[i]), w.start[i]/1000
			if series != last.series || at != last.start {
				flush(typ)
			}
			last.series, last.start, last.generation, typ = series, at, aggregate.Generation(generations[i]), types[i]
			st, err := w.state(i)
			if err != nil {
				return fmt.Errorf("series %d, window %d: %w", series, at, err)
			}
			parts, loads = append(parts, st), append(loads, last.generation)
			rows++
		}
		return nil
	})
	flush(typ)
	return out, rows, err
}
