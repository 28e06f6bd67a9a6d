package consumer

import (
	"slices"

	"freshet/stream"
)

// plan says which leases are to be made and which can go, given where the application
// began, the shards that are kept and the leases that there are.
//
// A shard gets its lease when every parent is at its end, or is past retention. A shard
// that was there when the application began starts where it was told to; one that came
// later has a parent that was read to its end, and starts at its first record. A lease
// goes when its shard is past retention and all children have been begun.
func plan(s start, shards []Shard, leases map[stream.ShardID]Lease) (create []Lease, remove []Lease) {
	listed := map[stream.ShardID]bool{}
	for _, shard := range shards {
		listed[shard.ID] = true
	}
	made := map[stream.ShardID]Position{}
	ended := func(id stream.ShardID) bool {
		if !listed[id] {
			return true
		}
		if l, ok := leases[id]; ok {
			return l.Checkpoint.Kind == ShardEnd
		}
		p, ok := made[id]
		return ok && p.Kind == ShardEnd
	}
	// Parents have lower ids than their children.
	shards = slices.SortedFunc(slices.Values(shards), func(a, b Shard) int { return int(int64(a.ID) - int64(b.ID)) })
	for _, shard := range shards {
		if _, ok := leases[shard.ID]; ok || slices.ContainsFunc(shard.Parents, func(p stream.ShardID) bool { return !ended(p) }) {
			continue
		}
		made[shard.ID] = s.position(shard)
		create = append(create, Lease{Shard: shard.ID, Checkpoint: made[shard.ID]})
	}
	for id, l := range leases {
		if !listed[id] && l.Checkpoint.Kind == ShardEnd && childrenBegun(id, shards, leases) {
			remove = append(remove, l)
		}
	}
	slices.SortFunc(remove, func(a, b Lease) int { return int(int64(a.Shard) - int64(b.Shard)) })
	return create, remove
}

// position is where a shard without a lease starts.
func (s start) position(shard Shard) Position {
	switch {
	case shard.ID >= s.Below:
		return Position{Kind: TrimHorizon}
	case s.At.Kind == Latest && shard.Closed:
		return Position{Kind: ShardEnd} // nothing will come after its last record
	}
	return s.At
}

func childrenBegun(id stream.ShardID, shards []Shard, leases map[stream.ShardID]Lease) bool {
	for _, child := range shards {
		if !slices.Contains(child.Parents, id) {
			continue
		}
		if l, ok := leases[child.ID]; !ok || l.Owner == "" && l.Checkpoint.rank() == 0 {
			return false
		}
	}
	return true
}
