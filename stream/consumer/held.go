package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"freshet/stream"
	"freshet/stream/kv"
)

// held is a lease that this worker has. A goroutine of its own reads the shard.
type held struct {
	w     *Worker
	shard Shard
	log   *slog.Logger

	ctx     context.Context // ends when the lease is lost, with ErrLeaseLost as its cause
	lose    context.CancelCauseFunc
	reading context.Context // ends then, too, and when the shard is to be given up
	stop    context.CancelCauseFunc
	expiry  *time.Timer // calls lose when the lease has run out; reset by who has writing

	finished chan struct{} // closed when the goroutine has ended

	// writing holds a token while nobody writes the lease. Who has it owns the lease.
	writing chan struct{}
	lease   Lease
	written atomic.Int64 // when the last write began, nanoseconds since the worker was made
	taken   atomic.Bool  // another worker was seen to have the lease

	// Owned by the shard's goroutine.
	next         Position // where reading goes on
	checkpointed time.Time
	done         bool // Finish has returned nil
	unpacker     unpacker
	checkpointer Checkpointer

	mu        sync.Mutex
	processed Position // Process has returned nil up to here
	stored    Position // the last checkpoint
}

// newHeld makes a lease of this worker out of one that it took by a write that began at
// a time. It starts nothing but the timer.
func (w *Worker) newHeld(base context.Context, shard Shard, l Lease, began time.Time) *held {
	h := &held{
		w: w, shard: shard, log: w.log.With("shard", shard.ID.String()), lease: l,
		finished: make(chan struct{}), writing: make(chan struct{}, 1),
		next: l.Checkpoint, processed: l.Checkpoint, stored: l.Checkpoint, checkpointed: began,
	}
	h.unpacker = unpacker{shard: shard, counters: &w.counters}
	h.checkpointer.held = h
	h.ctx, h.lose = context.WithCancelCause(base)
	h.reading, h.stop = context.WithCancelCause(h.ctx)
	h.expiry = time.AfterFunc(w.o.LeaseDuration-time.Since(began), func() { h.lose(ErrLeaseLost) })
	h.written.Store(int64(began.Sub(w.made)))
	h.writing <- struct{}{}
	return h
}

// write changes the lease in the store. It is fenced by the revision: after another
// worker's takeover it changes nothing and returns ErrLeaseLost. After another error the
// change may be there.
func (h *held) write(ctx context.Context, change func(*Lease)) error {
	select {
	case <-h.writing:
		defer func() { h.writing <- struct{}{} }()
	case <-h.ctx.Done():
		return h.whyLost()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	for {
		if h.ctx.Err() != nil {
			return h.whyLost()
		}
		next := h.lease
		change(&next)
		next.Counter++
		began := time.Now()
		revision, err := h.w.swap(ctx, next)
		if err == nil {
			next.revision = revision
			h.adopt(next)
			h.written.Store(int64(began.Sub(h.w.made)))
			h.expiry.Reset(h.w.o.LeaseDuration - time.Since(began))
			return nil
		}
		if !errors.Is(err, kv.ErrConflict) {
			return fmt.Errorf("write lease of %s: %w", h.shard.ID, err)
		}
		// Another has asked for the lease, or has taken it, or one of our own writes of
		// which we did not know was done.
		if err := h.look(ctx); err != nil {
			return err
		}
	}
}

// look reads the lease again after a conflict.
func (h *held) look(ctx context.Context) error {
	ctx, cancel := h.w.callContext(ctx)
	defer cancel()
	e, err := h.w.o.Store.Get(ctx, leaseKey(h.w.o.Application, h.shard.ID))
	if errors.Is(err, kv.ErrNotFound) {
		h.takenAway("")
		return ErrLeaseLost
	}
	if err != nil {
		h.w.storeFailed(err)
		return fmt.Errorf("read lease of %s: %w", h.shard.ID, err)
	}
	l, err := decodeLease(h.w.o.Application, e)
	if err != nil {
		return err
	}
	if l.Owner != h.w.owner {
		h.takenAway(l.Owner)
		return ErrLeaseLost
	}
	h.adopt(l)
	return nil
}

// adopt takes a lease as it is in the store. The caller has the token of writing.
func (h *held) adopt(l Lease) {
	h.lease = l
	h.mu.Lock()
	if l.Checkpoint.Compare(h.stored) > 0 {
		h.stored = l.Checkpoint
	}
	h.mu.Unlock()
	if l.Wanted != "" {
		h.stop(errStopped)
	}
}

// takenAway notes that another worker has the lease.
func (h *held) takenAway(by string) {
	if !h.taken.Swap(true) {
		h.log.Warn("another worker has taken the lease", "owner", by)
	}
	h.lose(ErrLeaseLost)
}

// whyLost is the error of what needs the lease after it is lost. A worker whose time to
// end is up loses it for that reason.
func (h *held) whyLost() error {
	if cause := context.Cause(h.ctx); !errors.Is(cause, ErrLeaseLost) {
		return fmt.Errorf("%w: %w", ErrLeaseLost, cause)
	}
	return ErrLeaseLost
}

// checkpoint writes p, unless it is beyond what is processed.
func (h *held) checkpoint(ctx context.Context, p Position) error {
	if h.ctx.Err() != nil {
		return h.whyLost()
	}
	h.mu.Lock()
	processed, stored := h.processed, h.stored
	h.mu.Unlock()
	if p.Compare(processed) > 0 {
		return fmt.Errorf("checkpoint of %s at %s, processed is %s: %w", h.shard.ID, p, processed, ErrNotProcessed)
	}
	if p.Compare(stored) <= 0 {
		return nil
	}
	err := h.write(ctx, func(l *Lease) { l.advance(p) })
	if err == nil {
		h.w.counters.checkpoints.Add(1)
	}
	return err
}

// advance moves the checkpoint forward, never back.
func (l *Lease) advance(p Position) {
	if p.Compare(l.Checkpoint) > 0 {
		l.Checkpoint = p
	}
}

// automatic says whether the worker checkpoints by itself.
func (h *held) automatic() bool { return h.w.o.CheckpointEvery >= 0 }

// renew keeps the lease, and checkpoints on the way.
func (h *held) renew(ctx context.Context) error {
	return h.write(ctx, func(l *Lease) {
		if h.automatic() {
			l.advance(h.checkpointer.Processed())
		}
	})
}

// due says whether the lease has to be renewed.
func (h *held) due() bool {
	return time.Since(h.w.made)-time.Duration(h.written.Load()) >= h.w.o.renewEvery()
}

// advance notes that the records before p are processed.
func (h *held) advance(p Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.Compare(h.processed) > 0 {
		h.processed = p
	}
}

// run reads the shard until it ends, is to be given up, or the lease is lost.
func (h *held) run() {
	defer h.w.poke()
	defer close(h.finished)
	defer h.lose(ErrLeaseLost) // frees what the contexts hold
	defer h.expiry.Stop()
	err := h.read()
	if errors.Is(err, stream.ErrEnd) {
		err = h.end()
	}
	if errors.Is(err, errStopped) {
		err = h.release()
	}
	if err == nil {
		return
	}
	h.w.counters.lost.Add(1)
	if !h.done {
		h.finish(Lost)
	}
	h.giveBack()
}

// end has the processor finish a shard that was read to its end, and says so in the
// lease, which lets the children begin.
func (h *held) end() error {
	if err := h.retry("finish the shard", func() error { return h.finish(Ended) }); err != nil {
		return err
	}
	return h.retry("end the shard", func() error {
		err := h.write(h.ctx, func(l *Lease) {
			l.Checkpoint, l.Owner, l.Wanted = Position{Kind: ShardEnd}, "", ""
		})
		if err == nil {
			h.w.counters.ended.Add(1)
			h.log.Info("the shard is read to its end")
		}
		return err
	})
}

// release finishes and gives the lease up, so that another worker can go on at once.
func (h *held) release() error {
	done := h.checkpointer.Processed()
	if !h.done {
		if err := h.finish(Stopped); err != nil {
			h.log.Warn("the processor could not finish; what it has since the last checkpoint will be delivered again", "error", err)
			done = Position{}
		}
	}
	for wait := h.w.o.scanEvery(); ; wait = min(2*wait, h.w.o.RetryMax) {
		err := h.write(h.ctx, func(l *Lease) {
			l.advance(done)
			l.Owner = ""
		})
		if err == nil {
			h.w.counters.handedOver.Add(1)
			return nil
		}
		if h.ctx.Err() != nil {
			return err
		}
		h.log.Warn("the lease could not be given up", "error", err)
		select {
		case <-time.After(wait):
		case <-h.ctx.Done():
		}
	}
}

// giveBack gives up a lease that ran out, if nobody has taken it: this worker no longer
// reads the shard, so that others need not wait.
func (h *held) giveBack() {
	if h.taken.Load() {
		return
	}
	select {
	case <-h.writing:
	default:
		return // a write is stuck
	}
	next := h.lease
	next.Owner = ""
	h.w.swap(context.WithoutCancel(h.ctx), next) // when it fails, the lease is free later
}

// finish tells the processor, if it wants to know.
func (h *held) finish(why Reason) (err error) {
	f, ok := h.w.o.Processor.(Finisher)
	if !ok {
		h.done = true
		return nil
	}
	defer h.w.recovered(&err)
	err = f.Finish(h.ctx, h.shard, &h.checkpointer, why)
	if err != nil && why == Lost {
		h.log.Warn("the processor could not let go of a lost shard", "error", err)
	}
	h.done = err == nil
	return err
}

// retry does something until it succeeds, the lease is lost or the shard is to be given up.
func (h *held) retry(what string, do func() error) error {
	for wait := h.w.o.RetryWait; ; wait = min(2*wait, h.w.o.RetryMax) {
		err := do()
		if err == nil {
			return nil
		}
		if h.ctx.Err() != nil {
			return h.whyLost()
		}
		h.log.Error("could not "+what+"; trying again", "error", err)
		if !h.pause(wait) {
			if h.ctx.Err() != nil {
				return h.whyLost()
			}
			return errStopped
		}
	}
}

// pause waits, and returns false when the shard is to be given up, or is lost, before.
func (h *held) pause(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return h.reading.Err() == nil
	case <-h.reading.Done():
		return false
	}
}
