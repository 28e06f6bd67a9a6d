package kinesis

import (
	"slices"

	"freshet/stream"
)

// route shares the records that have no group out to the open shards. All of a call go
// by one set of shards, so that those of one key stay together and in order.
func (s *Service) route(st *streamState, b *batch) {
	open := st.stream.OpenShards()
	b.byShard = slices.Grow(b.byShard[:0], len(open))[:len(open)]
	for i := range b.byShard {
		b.byShard[i] = unrouted
	}
	auto := st.auto()
	pick := func(p *put) int { return shardOf(open, p) }
	if auto {
		pick = s.nextShard(len(open), len(b.puts))
	}
	routed := 0
	for i := range b.puts {
		p := &b.puts[i]
		if p.group != unrouted {
			continue
		}
		at := pick(p)
		if b.byShard[at] == unrouted {
			b.byShard[at] = b.addGroup(open[at])
		}
		p.group = b.byShard[at]
		s.admit(st, b, p)
		if p.at != refused {
			routed++
		}
		if auto { // the key is stored, and the record stays with its shard
			p.hash, _ = open[at].Range()
			p.explicit = true
		}
	}
	b.lay(routed)
}

// nextShard takes the shards in turn, from where the records before have ended.
func (s *Service) nextShard(shards, records int) func(*put) int {
	next := s.spread.Add(uint64(records)) - uint64(records)
	return func(*put) int {
		at := next % uint64(shards)
		next++
		return int(at)
	}
}

// shardOf finds the shard that takes a record, among shards by rising hash keys.
func shardOf(open []*stream.Shard, p *put) int {
	if len(open) == 1 {
		return 0
	}
	h := p.hash
	if !p.explicit {
		h = stream.HashPartitionKey(p.key)
	}
	lo, hi := 0, len(open)-1
	for lo < hi {
		mid := (lo + hi) / 2
		if _, last := open[mid].Range(); last.Compare(h) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// admit gives a record its place in its group, unless the shard has no throughput left.
func (s *Service) admit(st *streamState, b *batch, p *put) {
	g := &b.groups[p.group]
	if st.limits() {
		now := s.options.Now()
		if !s.throttles.of(g.shard, now).put(now, p.size()) {
			if g.over == nil {
				g.over = s.rateExceeded(st, g.shard)
			}
			p.at = refused
			return
		}
	}
	p.at = int32(g.count)
	g.count++
}

// lay writes the entries of the groups that are new next to each other.
func (b *batch) lay(n int) {
	b.entries = slices.Grow(b.entries[:0], n)[:n]
	rest := b.entries
	for i := range b.groups {
		if g := &b.groups[i]; g.commit == nil && g.failed == nil && !g.moved && g.count > 0 {
			g.entries, rest = rest[:g.count:g.count], rest[g.count:]
		}
	}
	for i := range b.puts {
		p := &b.puts[i]
		if g := &b.groups[p.group]; g.entries != nil && p.at != refused {
			g.entries[p.at] = stream.Entry{PartitionKey: p.key, HashKey: p.hash, Explicit: p.explicit, Data: p.data}
		}
	}
}
