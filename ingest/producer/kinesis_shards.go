package producer

import (
	"bytes"
	"context"
	"slices"
	"time"
)

// listEvery is how often the shards are listed at most.
const listEvery = time.Second

// A shard is what the producer knows of one.
type shard struct {
	id          string
	first, last hash
}

// A shardMap foretells to which shard a record goes.
type shardMap struct {
	known   bool             // they were listed
	unknown bool             // the service does not let them be listed: records are not packed
	stale   bool             // they are to be listed
	listing bool             // they are being listed
	asked   time.Time        // when they were last asked for
	err     error            // why they could not be listed
	all     map[string]shard // open and closed ones
}

// wantListLocked reports whether the shards are to be listed now, or else after how long.
func (k *Kinesis) wantListLocked(now time.Time) (ask bool, wait time.Duration) {
	m := &k.shards
	if !m.stale || m.listing || m.unknown {
		return false, idle
	}
	if left := m.asked.Add(listEvery).Sub(now); left > 0 {
		return false, left
	}
	m.listing, m.asked = true, now
	return true, idle
}

// list asks for the shards and takes them over.
func (k *Kinesis) list(ctx context.Context) {
	all, open, err := k.api.listShards(ctx)
	k.mu.Lock()
	m := &k.shards
	m.listing, m.err = false, err
	var out []verdict
	switch {
	case err == nil:
		m.known, m.stale, m.all = true, false, all
		out = k.resolveLocked(time.Now())
		k.replaceLocked(open)
	case final(err) && !m.known:
		m.unknown = true
		k.o.Logger.Warn("the shards cannot be listed: records are sent one by one, without a rate limit", "error", err)
		all := k.newLane(shard{last: maxHash})
		all.bucket.rate = 0
		old := k.lanes
		k.lanes = []*lane{all}
		for _, l := range old {
			k.unpackLocked(l)
		}
	}
	k.mu.Unlock()
	k.complete(out)
	k.signal()
}

// replaceLocked prepares lanes for the open shards. Lanes of shards that are still open
// stay; the others leave when nothing is under way in them, so that the records of a
// partition key keep their order.
func (k *Kinesis) replaceLocked(open []shard) {
	slices.SortFunc(open, func(a, b shard) int { return bytes.Compare(a.last[:], b.last[:]) })
	k.next = make([]*lane, 0, len(open))
	for _, l := range k.lanes {
		l.leaves = true
	}
	for _, s := range open {
		i := slices.IndexFunc(k.lanes, func(l *lane) bool { return l.shard == s })
		if i < 0 {
			k.next = append(k.next, k.newLane(s))
			continue
		}
		k.lanes[i].leaves = false
		k.next = append(k.next, k.lanes[i])
	}
	k.applyLocked()
}

// applyLocked puts the prepared lanes in place if nothing is under way in those that
// leave. What waits in them moves.
func (k *Kinesis) applyLocked() {
	if k.next == nil {
		return
	}
	for _, l := range k.lanes {
		if l.leaves && l.sent > 0 {
			return
		}
	}
	old := k.lanes
	k.lanes, k.next = k.next, nil
	for _, l := range old {
		if l.leaves {
			k.unpackLocked(l)
		}
	}
}
