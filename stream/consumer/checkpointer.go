package consumer

import (
	"context"
	"fmt"
)

// Checkpointer writes how far a shard is processed into its lease. It may be used by
// several goroutines at once, also after Process has returned.
//
// A checkpoint never goes back: one at or before the last does nothing. The error is
// ErrNotProcessed beyond what Process has returned nil for (or was put aside),
// ErrLeaseLost when another worker has the shard, or that of the store: then the
// checkpoint may have been written.
type Checkpointer struct{ held *held }

// Checkpoint writes that all that was processed is done. Called from within Process, that
// is all before its batch.
func (c *Checkpointer) Checkpoint(ctx context.Context) error {
	return c.held.checkpoint(ctx, c.Processed())
}

// At writes that the records up to r, and r itself, are done.
func (c *Checkpointer) At(ctx context.Context, r Record) error {
	if r.Sequence.Shard != c.held.shard.ID {
		return fmt.Errorf("checkpoint of %s at %s: a record of %s", c.held.shard.ID, r.Sequence, r.Sequence.Shard)
	}
	return c.held.checkpoint(ctx, r.Position())
}

// Processed is how far Process has come.
func (c *Checkpointer) Processed() Position {
	c.held.mu.Lock()
	defer c.held.mu.Unlock()
	return c.held.processed
}
