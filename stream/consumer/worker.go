package consumer

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"freshet/stream"
	"freshet/stream/kv"
)

// Worker reads a share of a stream's shards for an application.
type Worker struct {
	o     Options
	owner string // as in leases
	log   *slog.Logger
	made  time.Time
	ran   atomic.Bool
	wake  chan struct{} // holds a token when Run should look now

	counters counters

	// Owned by Run.
	held    map[stream.ShardID]*held
	seen    map[stream.ShardID]sighting
	start   *start // nil until it is read
	listing Listing
	listed  time.Time // when the listing was made
	relist  bool      // a shard has ended: there are others
}

// sighting is a lease as it was seen last, and since when it has been so.
type sighting struct {
	revision kv.Revision
	since    time.Time
}

// NewWorker checks the options. It starts nothing.
func NewWorker(o Options) (*Worker, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("new worker: %w", err)
	}
	o = o.withDefaults()
	var random [4]byte
	rand.Read(random[:])
	w := &Worker{
		o: o, owner: o.Owner + "/" + hex.EncodeToString(random[:]), made: time.Now(), wake: make(chan struct{}, 1),
		held: map[stream.ShardID]*held{}, seen: map[stream.ShardID]sighting{},
	}
	w.log = o.Logger.With("application", o.Application, "worker", w.owner)
	return w, nil
}

// Owner is the name of the worker in leases.
func (w *Worker) Owner() string { return w.owner }

// Run reads shards until ctx ends. Then it lets batches that are under way finish, for at
// most StopWithin, checkpoints, gives its leases up and returns nil. It ends before with
// ErrOtherStream, and goes on, after a while, through all other errors. It runs once.
//
// Run waits for Process to return, even of a shard that is lost.
func (w *Worker) Run(ctx context.Context) error {
	if w.ran.Swap(true) {
		return errors.New("run worker: it has run already")
	}
	base, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	var shards sync.WaitGroup
	defer shards.Wait()
	tick := time.NewTicker(w.o.scanEvery())
	defer tick.Stop()
	var failure error
	for ctx.Err() == nil && failure == nil {
		started, err := w.pass(base)
		for _, h := range started {
			shards.Go(h.run)
		}
		if errors.Is(err, ErrOtherStream) {
			failure = fmt.Errorf("run worker: %w", err)
		} else if err != nil {
			w.log.Warn("leases could not be looked after; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
		case <-tick.C:
		case <-w.wake:
		case <-w.listing.Changed:
			w.listing.Changed, w.relist = nil, true
		}
	}
	w.drain(base, cancel, tick.C)
	return failure
}

// drain gives all leases up, and keeps them until their shards have finished.
func (w *Worker) drain(base context.Context, cancel context.CancelCauseFunc, tick <-chan time.Time) {
	late := time.NewTimer(w.o.StopWithin)
	defer late.Stop()
	for {
		w.reap()
		if len(w.held) == 0 {
			return
		}
		for _, h := range w.held {
			h.stop(errStopped)
		}
		w.renew(base)
		select {
		case <-tick:
		case <-w.wake:
		case <-late.C:
			w.log.Warn("batches are still under way; their leases run out", "shards", len(w.held))
			cancel(errors.New("the worker ends"))
		}
	}
}

// poke has Run look now.
func (w *Worker) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// callContext bounds one call of the store, so that a lease can still be renewed after it.
func (w *Worker) callContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, w.o.renewEvery())
}

// swap writes a lease over the revision that it was read with.
func (w *Worker) swap(ctx context.Context, l Lease) (kv.Revision, error) {
	ctx, cancel := w.callContext(ctx)
	defer cancel()
	revision, err := w.o.Store.Swap(ctx, leaseKey(w.o.Application, l.Shard), l.revision, l.encode())
	w.storeFailed(err)
	return revision, err
}

// storeFailed counts an error of the store that is not a conflict.
func (w *Worker) storeFailed(err error) {
	if err != nil && !errors.Is(err, kv.ErrConflict) {
		w.counters.storeFailures.Add(1)
	}
}
