package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"freshet/stream"
	"freshet/stream/kv"
)

// pass looks after the leases once: it renews this worker's own, makes those of new
// shards, and takes or asks for what belongs to its share. It returns the leases that it
// took, whose goroutines the caller starts.
func (w *Worker) pass(ctx context.Context) ([]*held, error) {
	w.reap()
	w.renew(ctx)
	if err := w.list(ctx); err != nil {
		return nil, err
	}
	leases, err := w.look(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.sync(ctx, leases); err != nil {
		return nil, err
	}
	return w.balance(ctx, leases), nil
}

// reap forgets the leases whose goroutines have ended.
func (w *Worker) reap() {
	for id, h := range w.held {
		select {
		case <-h.finished:
			delete(w.held, id)
			w.relist = true
		default:
		}
	}
	w.counters.held.Store(int64(len(w.held)))
}

// renew renews the leases that are due. One that fails is tried again at the next pass,
// until it runs out.
func (w *Worker) renew(ctx context.Context) {
	for _, h := range w.held {
		if !h.due() || h.ctx.Err() != nil {
			continue
		}
		if err := h.renew(ctx); err != nil && h.ctx.Err() == nil {
			h.log.Warn("the lease could not be renewed; trying again", "error", err)
		}
	}
}

// list brings the listing up to date when it may have changed.
func (w *Worker) list(ctx context.Context) error {
	if w.start != nil && !w.relist && time.Since(w.listed) < w.o.SyncEvery {
		return nil
	}
	ctx, cancel := w.callContext(ctx)
	defer cancel()
	listing, err := w.o.Source.List(ctx)
	if err != nil {
		return fmt.Errorf("list shards: %w", err)
	}
	if w.start == nil {
		s, err := begin(ctx, w.o.Store, w.o.Application, w.o.StartAt, listing)
		if err != nil {
			w.storeFailed(err)
			return err
		}
		w.start = &s
	} else if w.start.Stream != listing.Stream {
		return fmt.Errorf("application %s reads stream %s, this is %s: %w", w.o.Application, w.start.Stream, listing.Stream, ErrOtherStream)
	}
	w.listing, w.listed, w.relist = listing, time.Now(), false
	return nil
}

// look reads all leases, notes since when each has been as it is, and notices what others
// did to this worker's own.
func (w *Worker) look(ctx context.Context) (map[stream.ShardID]Lease, error) {
	ctx, cancel := w.callContext(ctx)
	defer cancel()
	all, err := Leases(ctx, w.o.Store, w.o.Application)
	if err != nil {
		w.storeFailed(err)
		return nil, fmt.Errorf("read leases: %w", err)
	}
	now := time.Now()
	leases := make(map[stream.ShardID]Lease, len(all))
	for _, l := range all {
		leases[l.Shard] = l
		if w.seen[l.Shard].revision != l.revision {
			w.seen[l.Shard] = sighting{l.revision, now}
		}
		h := w.held[l.Shard]
		switch {
		case h == nil:
		case l.Owner == w.owner && l.Wanted != "":
			h.stop(errStopped)
		case l.Owner != "" && l.Owner != w.owner:
			h.takenAway(l.Owner)
		}
	}
	for id := range w.seen {
		if _, ok := leases[id]; !ok {
			delete(w.seen, id)
		}
	}
	return leases, nil
}

// sync makes the leases of new shards, and deletes those of shards that are gone.
func (w *Worker) sync(ctx context.Context, leases map[stream.ShardID]Lease) error {
	create, remove := plan(*w.start, w.listing.Shards, leases)
	for _, l := range create {
		if tipper, ok := w.o.Source.(Tipper); ok && l.Checkpoint.Kind == Latest {
			tip, err := tipper.Tip(ctx, l.Shard)
			if err != nil {
				return fmt.Errorf("make lease: %w", err)
			}
			l.Checkpoint = tip
		}
		revision, err := w.swap(ctx, l)
		if errors.Is(err, kv.ErrConflict) {
			continue // another worker was first; seen at the next pass
		}
		if err != nil {
			return fmt.Errorf("make lease of %s: %w", l.Shard, err)
		}
		w.counters.leasesMade.Add(1)
		l.revision = revision
		leases[l.Shard] = l
		w.seen[l.Shard] = sighting{revision, time.Now()}
	}
	for _, l := range remove {
		ctx, cancel := w.callContext(ctx)
		_, err := w.o.Store.Swap(ctx, leaseKey(w.o.Application, l.Shard), l.revision, nil)
		cancel()
		w.storeFailed(err)
		if err == nil {
			w.counters.leasesGone.Add(1)
			delete(leases, l.Shard)
		}
	}
	return nil
}

// balance takes and asks for leases.
func (w *Worker) balance(ctx context.Context, leases map[stream.ShardID]Lease) []*held {
	shards := map[stream.ShardID]Shard{}
	for _, shard := range w.listing.Shards {
		shards[shard.ID] = shard
	}
	a := assign(w.owner, w.shares(leases), w.o.MaxLeases)
	var started []*held
	for _, id := range a.take {
		shard, ok := shards[id]
		if !ok {
			shard = Shard{ID: id, Closed: true} // past retention, as reading it will tell
		}
		if _, running := w.held[id]; running {
			continue // what is left of a lease that was lost
		}
		l := leases[id]
		l.Owner, l.Wanted = w.owner, ""
		l.Counter++
		began := time.Now()
		revision, err := w.swap(ctx, l)
		if err != nil {
			if !errors.Is(err, kv.ErrConflict) {
				w.log.Warn("a lease could not be taken", "shard", id.String(), "error", err)
			}
			continue // if it was taken all the same, that shows at the next pass
		}
		l.revision = revision
		h := w.newHeld(ctx, shard, l, began)
		w.held[id] = h
		w.seen[id] = sighting{revision, began}
		w.counters.taken.Add(1)
		h.log.Info("took the lease", "from", l.Checkpoint)
		started = append(started, h)
	}
	w.counters.held.Store(int64(len(w.held)))
	if a.ask != nil {
		l := leases[*a.ask]
		l.Wanted = w.owner
		if _, err := w.swap(ctx, l); err != nil && !errors.Is(err, kv.ErrConflict) {
			w.log.Warn("a lease could not be asked for", "shard", l.Shard.String(), "error", err)
		}
	}
	return started
}

// shares is the leases as the assigner sees them: those of shards that are at their end
// left out, those that have run out free. By rising shard.
func (w *Worker) shares(leases map[stream.ShardID]Lease) []share {
	shares := make([]share, 0, len(leases))
	for id, l := range leases {
		if l.Checkpoint.Kind == ShardEnd {
			continue
		}
		_, reading := w.held[id]
		idle := time.Since(w.seen[id].since)
		ranOut := idle >= w.o.LeaseDuration
		s := share{shard: id, owner: l.Owner, next: l.Wanted}
		switch {
		case reading:
			s.owner = w.owner
		case l.Owner == w.owner:
			s.owner, s.next = "", "" // lost, or taken by a write whose outcome was unknown
		case ranOut:
			s.owner, s.next = "", ""
		}
		s.stale = s.owner == "" && s.next == "" && idle >= 2*w.o.LeaseDuration
		shares = append(shares, s)
	}
	sortShares(shares)
	return shares
}
