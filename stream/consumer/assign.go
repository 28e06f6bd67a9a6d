package consumer

import (
	"cmp"
	"hash/fnv"
	"slices"

	"freshet/stream"
)

// share is a lease as the assigner sees it.
type share struct {
	shard stream.ShardID
	owner string // a worker that lives; "" when the lease is free
	next  string // the worker that asked for it, and gets it once owner is ""
	stale bool   // free for so long that somebody should have taken it
}

// holder is the worker that a lease counts for.
func (s share) holder() string {
	if s.next != "" {
		return s.next
	}
	return s.owner
}

// assignment is what a worker does next.
type assignment struct {
	take []stream.ShardID // free leases
	ask  *stream.ShardID  // a lease of the most loaded worker
}

// assign decides what me, one of the workers, does for an even spread: it takes free
// leases up to its share, which is that of all workers that live, rounded up; it asks for
// one lease when another worker has at least two more. What was handed over to it, it takes. limit bounds
// what it has, 0 meaning nothing. A free lease that is stale it takes beyond its share,
// one at a time: the others may be at their limits.
func assign(me string, leases []share, limit int) assignment {
	load := map[string]int{me: 0}
	var free []share
	asked := false
	var a assignment
	for _, l := range leases {
		h := l.holder()
		switch {
		case h == "":
			free = append(free, l)
			continue
		case h == me && l.owner == "": // handed over
			a.take = append(a.take, l.shard)
		case l.next == me:
			asked = true
		}
		load[h]++
	}
	fair := (len(leases) + len(load) - 1) / len(load)
	if limit <= 0 {
		limit = len(leases)
	}
	for i := range free { // each worker begins elsewhere, so that they collide less
		l := free[(i+offset(me, len(free)))%len(free)]
		if load[me] < min(fair, limit) {
			a.take = append(a.take, l.shard)
			load[me]++
		}
	}
	for _, l := range free {
		if l.stale && load[me] < limit && len(a.take) == 0 {
			a.take = append(a.take, l.shard)
			load[me]++
		}
	}
	slices.Sort(a.take)
	if asked || len(a.take) > 0 || load[me] >= min(fair, limit) {
		return a
	}
	a.ask = mostLoaded(me, leases, load)
	return a
}

// mostLoaded picks a lease that me should ask for, or nil.
func mostLoaded(me string, leases []share, load map[string]int) *stream.ShardID {
	victim := ""
	for owner, n := range load {
		if c := cmp.Compare(n, load[victim]); victim == "" || c > 0 || c == 0 && owner < victim {
			victim = owner
		}
	}
	if load[victim]-load[me] < 2 {
		return nil
	}
	for _, l := range slices.Backward(leases) {
		if l.owner == victim && l.next == "" {
			return &l.shard
		}
	}
	return nil
}

func offset(me string, n int) int {
	h := fnv.New32a()
	h.Write([]byte(me))
	return int(h.Sum32() % uint32(n))
}

func sortShares(s []share) {
	slices.SortFunc(s, func(a, b share) int { return cmp.Compare(a.shard, b.shard) })
}
