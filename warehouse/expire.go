package warehouse

import (
	"context"
	"fmt"
	"time"

	"freshet/aggregate"
	"freshet/aggregate/window"
	"freshet/warehouse/duck"
)

// Keep says how long each level is kept, raw points and windows of a minute, an hour and
// a day; 0 means for ever. None is kept for less than the finer one before it.
type Keep struct {
	Points, Minutes, Hours, Days time.Duration
}

// A keep is how long one level is kept.
type keep struct {
	level, table, column string
	kept                 time.Duration
	unit                 int64 // what is deleted at once is a multiple of it, ms
}

const (
	anHour = int64(time.Hour / time.Millisecond)
	aDay   = 24 * anHour
)

func (k Keep) levels() []keep {
	return []keep{
		{"points", "point_rows", "ts", k.Points, anHour},
		{"1m", "minute_rows", "start", k.Minutes, anHour},
		{"1h", "hour_rows", "start", k.Hours, aDay},
		{"1d", "day_rows", "start", k.Days, aDay},
	}
}

// Check says what is wrong with the lengths, naming each as the flags do.
func (k Keep) Check() error {
	const least = time.Hour
	finer := keep{level: "points"}
	for i, l := range k.levels() {
		switch {
		case l.kept < 0 || l.kept > 0 && l.kept < least:
			return fmt.Errorf("--keep-%s %v is less than %v; 0 keeps for ever", l.level, l.kept, least)
		case i > 0 && l.kept > 0 && (finer.kept == 0 || l.kept < finer.kept):
			return fmt.Errorf("--keep-%s %v is shorter than --keep-%s %v: what is finer is never kept for longer", l.level, l.kept, finer.level, finer.kept)
		}
		finer = l
	}
	return nil
}

// A horizons says from when on each level is there, in epoch milliseconds, by its name;
// 0 means that nothing has expired.
type horizons map[string]int64

func readHorizons(ctx context.Context, s *duck.Session) (horizons, error) {
	h := horizons{}
	err := s.Read(ctx, "SELECT level, max(since) FROM horizon_rows GROUP BY level", nil, func(c *duck.Chunk) error {
		for i, us := range duck.Values[int64](c, 1) {
			h[string(c.Bytes(0, i))] = us / 1000
		}
		return nil
	})
	return h, err
}

// of returns the horizon of the level with windows of that length, or of the points.
func (h horizons) of(resolution int64) int64 {
	if name, ok := map[int64]string{60_000: "1m", anHour: "1h", aDay: "1d"}[resolution]; ok {
		return h[name]
	}
	return h["points"]
}

// expire deletes what is older than its level is kept, and then series that have nothing
// left.
func (u *Upkeep) expire(ctx context.Context, s *duck.Session) error {
	if u.options.Keep == (Keep{}) {
		return nil
	}
	if err := u.moveHorizons(ctx, s); err != nil {
		return fmt.Errorf("horizons: %w", err)
	}
	var deleted int64
	for _, l := range u.options.Keep.levels() {
		n, err := u.deleteExpired(ctx, s, l)
		deleted += n
		if err != nil {
			return fmt.Errorf("%s: %w", l.table, err)
		}
	}
	if deleted == 0 {
		return nil
	}
	u.expired.Add(uint64(deleted))
	u.options.Logger.Info("expired", "rows", deleted)
	if err := u.forget(ctx, s); err != nil {
		return fmt.Errorf("series: %w", err)
	}
	return nil
}

// moveHorizons makes what has expired invisible to all that begin to read from now on,
// at once and in all places, and deletes none of it.
func (u *Upkeep) moveHorizons(ctx context.Context, s *duck.Session) error {
	var h horizons
	err := u.transaction(ctx, s, func(ctx context.Context) (err error) {
		if h, err = readHorizons(ctx, s); err != nil {
			return err
		}
		moved := false
		for _, l := range u.options.Keep.levels() {
			if l.kept == 0 {
				continue
			}
			since := window.Floor(u.options.Now().Add(-l.kept).UnixMilli(), l.unit)
			if since <= h[l.level] {
				continue
			}
			if _, err := s.Exec(ctx, "INSERT INTO horizon_rows VALUES (?, ?)", l.level, duck.Millis(since)); err != nil {
				return err
			}
			h[l.level], moved = since, true
		}
		if !moved {
			return nil
		}
		u.options.Step("horizon")
		return makeViews(ctx, s, h)
	})
	if err == nil {
		u.store.since.Store(&h)
	}
	return err
}

// deletePiece is about how many rows one transaction deletes.
const deletePiece = 1 << 20

// deleteExpired deletes what lies before a level's horizon, oldest first.
func (u *Upkeep) deleteExpired(ctx context.Context, s *duck.Session, l keep) (deleted int64, err error) {
	h, err := readHorizons(ctx, s)
	if err != nil || h[l.level] == 0 {
		return 0, err
	}
	since := h[l.level]
	for ctx.Err() == nil {
		// The oldest stretch that has any, and how many rows.
		from, rows := int64(0), int64(0)
		err := s.Read(ctx, fmt.Sprintf("SELECT epoch_ms(%s) // %d * %[2]d, count(*) FROM %s WHERE %[1]s < ? GROUP BY 1 ORDER BY 1 LIMIT 1", l.column, l.unit, l.table),
			[]any{duck.Millis(since)}, func(c *duck.Chunk) error {
				from, rows = duck.Values[int64](c, 0)[0], duck.Values[int64](c, 1)[0]
				return nil
			})
		if err != nil || rows == 0 {
			return deleted, err
		}
		pieces := rows/deletePiece + 1
		for i := range pieces {
			u.options.Step("expire")
			err := u.transaction(ctx, s, func(ctx context.Context) error {
				n, err := s.Exec(ctx, fmt.Sprintf("DELETE FROM %s WHERE %s >= ? AND %[2]s < ?", l.table, l.column),
					duck.Millis(from+l.unit*i/pieces), duck.Millis(min(from+l.unit*(i+1)/pieces, since)))
				deleted += n
				return err
			})
			if err != nil {
				return deleted, err
			}
		}
	}
	return deleted, ctx.Err()
}

// forget deletes series that have no rows at any level and are not in memory. No load
// runs meanwhile: it might bring rows of them.
func (u *Upkeep) forget(ctx context.Context, s *duck.Session) error {
	if u.options.Loader == nil || u.options.Forget == nil || u.options.Keep.Days == 0 {
		return nil
	}
	select {
	case u.options.Loader.loading <- struct{}{}:
		defer func() { <-u.options.Loader.loading }()
	case <-ctx.Done():
		return ctx.Err()
	}
	var idle []aggregate.SeriesID
	err := s.Read(ctx, `SELECT id FROM series_rows ANTI JOIN (SELECT series FROM day_rows UNION ALL SELECT series FROM hour_rows
		UNION ALL SELECT series FROM minute_rows UNION ALL SELECT series FROM point_rows) ON series = id ORDER BY id`, nil, func(c *duck.Chunk) error {
		for _, id := range duck.Values[uint32](c, 0) {
			idle = append(idle, aggregate.SeriesID(id))
		}
		return nil
	})
	if err != nil || len(idle) == 0 {
		return err
	}
	gone := u.options.Forget(idle)
	if len(gone) == 0 {
		return nil
	}
	u.options.Step("forget")
	ctx = context.WithValue(ctx, wantedKey{}, wanted{series: gone, groups: make([]int32, len(gone))})
	err = u.transaction(ctx, s, func(ctx context.Context) error {
		// Ids are never used again, so the highest is remembered.
		if _, err := s.Exec(ctx, "INSERT INTO top_rows SELECT max(id) FROM series_rows"); err != nil {
			return err
		}
		_, err := s.Exec(ctx, "DELETE FROM series_rows WHERE id IN (SELECT series FROM wanted_series())")
		return err
	})
	if err == nil {
		u.options.Logger.Info("series expired", "series", len(gone))
	}
	return err
}

// shrink gives the blocks of deleted rows back to later loads. DuckDB does so itself
// once its write-ahead log is long enough; while a transaction writes it cannot, and the
// next round tries again.
func (u *Upkeep) shrink(ctx context.Context, s *duck.Session) {
	if done := u.merged.Load() + u.expired.Load(); done-u.shrunk >= u.options.Rows {
		if _, err := s.Exec(ctx, "CHECKPOINT"); err != nil {
			u.options.Logger.Warn("no checkpoint now; it will be tried again", "error", err)
			return
		}
		u.shrunk = done
	}
}
