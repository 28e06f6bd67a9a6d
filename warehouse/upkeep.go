package warehouse

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"freshet/aggregate"
	"freshet/warehouse/duck"
)

// UpkeepOptions configure an Upkeep.
type UpkeepOptions struct {
	Keep    Keep          // how long each level is kept
	Every   time.Duration // between rounds; 0 means 1 min
	Rows    uint64        // that were deleted are worth a checkpoint; 0 means 100,000
	Settled time.Duration // how old a stretch of time must be to be compacted; 0 means 10 min

	// Loader, when given, is kept from loading while series expire, and Forget is asked
	// which of those that have no rows are not in memory either, and forgets them. The ids
	// that it returns are never used again. Without both no series expires.
	Loader *Loader
	Forget func([]aggregate.SeriesID) []aggregate.SeriesID

	Now    func() time.Time // nil means time.Now
	Logger *slog.Logger     // nil discards

	// Step is called as each step begins, with its name: horizon, expire and forget; compact,
	// delete, insert and, when that is done, compacted; commit of any of them.
	Step func(name string)
}

// An Upkeep keeps the tables small and quick to read, in the background and in short
// transactions of its own: what many loads have brought of one window is merged into one
// row, and what is older than its level is kept is deleted. Loads and readers are not
// held up, since all of them work on snapshots and nobody else changes a row.
type Upkeep struct {
	store   *Warehouse
	options UpkeepOptions

	// Owned by the round under way.
	rounds  chan struct{} // with room for one: held through a round
	windows []*level
	shrunk  uint64 // rows merged and expired at the last checkpoint

	// Written by rounds, read by anyone.
	merged, expired, retries, failures atomic.Uint64
}

// Upkeep returns the upkeep of the warehouse. It starts nothing.
func (w *Warehouse) Upkeep(o UpkeepOptions) *Upkeep {
	if o.Every == 0 {
		o.Every = time.Minute
	}
	if o.Settled == 0 {
		o.Settled = 10 * time.Minute
	}
	if o.Rows == 0 {
		o.Rows = 100_000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Step == nil {
		o.Step = func(string) {}
	}
	return &Upkeep{store: w, options: o, rounds: make(chan struct{}, 1), windows: []*level{
		{table: "minute_rows", length: time.Minute.Milliseconds(), stretch: time.Hour.Milliseconds()},
		{table: "hour_rows", length: time.Hour.Milliseconds(), stretch: 24 * time.Hour.Milliseconds()},
		{table: "day_rows", length: 24 * time.Hour.Milliseconds(), stretch: 10 * 24 * time.Hour.Milliseconds()},
	}}
}

// Run does a round at every interval until ctx ends. What fails is tried again in the
// next one.
func (u *Upkeep) Run(ctx context.Context) error {
	ticker := time.NewTicker(u.options.Every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := u.Round(ctx); err != nil && ctx.Err() == nil {
			u.failures.Add(1)
			u.options.Logger.Error("the upkeep of the warehouse failed and will be tried again; nothing is lost", "error", err)
		}
	}
}

// Round deletes what has expired and compacts what has settled. Of several callers one
// at a time works.
func (u *Upkeep) Round(ctx context.Context) error {
	select {
	case u.rounds <- struct{}{}:
		defer func() { <-u.rounds }()
	case <-ctx.Done():
		return fmt.Errorf("upkeep: %w", context.Cause(ctx))
	}
	s, err := u.store.db.Session(ctx)
	if err != nil {
		return fmt.Errorf("upkeep: %w", err)
	}
	defer s.Close()
	if err := u.expire(ctx, s); err != nil {
		return fmt.Errorf("upkeep: %w", err)
	}
	for _, l := range u.windows {
		if err := u.compact(ctx, s, l); err != nil {
			return fmt.Errorf("upkeep: %s: %w", l.table, err)
		}
	}
	u.shrink(ctx, s)
	return nil
}

// maxRetries is how often a transaction is tried that meets another one.
const maxRetries = 5

// transaction runs f in a transaction of its own, again when another one has changed the
// same rows meanwhile.
func (u *Upkeep) transaction(ctx context.Context, s *duck.Session, f func(context.Context) error) error {
	for try := 1; ; try++ {
		err := u.try(ctx, s, f)
		if !duck.Conflict(err) || try == maxRetries {
			return err
		}
		u.retries.Add(1)
	}
}

func (u *Upkeep) try(ctx context.Context, s *duck.Session, f func(context.Context) error) error {
	if _, err := s.Exec(ctx, "BEGIN TRANSACTION"); err != nil {
		return err
	}
	err := f(ctx)
	if err == nil {
		u.options.Step("commit")
		_, err = s.Exec(ctx, "COMMIT")
	}
	if err != nil {
		// A transaction that failed in its commit is over, which makes this fail.
		_, _ = s.Exec(context.WithoutCancel(ctx), "ROLLBACK")
	}
	return err
}

// UpkeepStats are counts since the start.
type UpkeepStats struct {
	Merged   uint64 // rows that went into others
	Expired  uint64 // rows deleted for their age
	Retries  uint64 // transactions that met another
	Failures uint64 // rounds that failed
}

// Stats returns the counts.
func (u *Upkeep) Stats() UpkeepStats {
	return UpkeepStats{Merged: u.merged.Load(), Expired: u.expired.Load(), Retries: u.retries.Load(), Failures: u.failures.Load()}
}
