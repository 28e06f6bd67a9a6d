package consumer

import "freshet/stream"

// The pure parts, for their tables.

type Share struct {
	Shard       stream.ShardID
	Owner, Next string
	Stale       bool
}

func Assign(me string, leases []Share, limit int) (take []stream.ShardID, ask *stream.ShardID) {
	var shares []share
	for _, l := range leases {
		shares = append(shares, share{shard: l.Shard, owner: l.Owner, next: l.Next, stale: l.Stale})
	}
	a := assign(me, shares, limit)
	return a.take, a.ask
}

func Plan(at Position, below stream.ShardID, shards []Shard, leases []Lease) (create, remove []Lease) {
	m := map[stream.ShardID]Lease{}
	for _, l := range leases {
		m[l.Shard] = l
	}
	return plan(start{At: at, Below: below}, shards, m)
}

func EncodeLease(l Lease) []byte { return l.encode() }

var DecodeLease = decodeLease
