package consumer

import (
	"errors"
	"slices"

	"freshet/stream"
	"freshet/stream/kpl"
)

// unpacker turns records as they were read into batches of user records. A batch may end
// in the middle of an aggregated record.
//
// User records whose hash key is outside the shard's range are dropped, and counted: a
// producer that aggregated them before a reshard sees that they did not get where they
// belong, and sends them again, so that they come from the other child. Amazon's consumer
// library does so too, but then gives up the whole aggregate; the producer library counts
// those of its user records which did get to their shard as delivered, so here they are.
//
// What looks like an aggregate and is none, or is a damaged one, is a plain record.
type unpacker struct {
	shard    Shard
	counters *counters
	skip     Position // user records up to here were processed before

	raw []Record // as read, those in front are done
	// Of raw[0] when it is an aggregate that is under way, else empty.
	users []kpl.Record
	subs  []uint32 // the sub-sequence number of each
	at    int      // the next of them

	decoded []kpl.Record
	keys    []byte
	out     []Record
}

// feed gives the records of a read, after next has returned all of the one before.
func (u *unpacker) feed(raw []Record) { u.raw = raw }

// next returns a batch, which may be empty, and the place after it. The records are valid
// until the next call. ok is false when all was returned.
func (u *unpacker) next(limit, maxBytes int) (batch []Record, end Position, ok bool) {
	u.out, u.keys = u.out[:0], u.keys[:0]
	size := 0
	for len(u.raw) > 0 && len(u.out) < limit && size < maxBytes {
		r := &u.raw[0]
		if u.at == 0 && !u.open(r) {
			u.out = append(u.out, *r)
			size += len(r.PartitionKey) + len(r.Data)
		}
		for u.at < len(u.users) && len(u.out) < limit && size < maxBytes {
			u.out = append(u.out, u.user(r))
			size += len(u.users[u.at].PartitionKey) + len(u.users[u.at].Data)
			u.at++
		}
		ok = true
		if u.at < len(u.users) {
			return u.out, u.out[len(u.out)-1].Position(), true
		}
		end = Position{Kind: AfterRecord, Sequence: r.Sequence}
		if len(u.out) > 0 && u.out[len(u.out)-1].Sequence == r.Sequence {
			end = u.out[len(u.out)-1].Position()
		}
		u.raw, u.users, u.subs, u.at = u.raw[1:], u.users[:0], u.subs[:0], 0
	}
	return u.out, end, ok
}

// user makes the record at u.at of an aggregate. Its key is copied, as bytes.
func (u *unpacker) user(r *Record) Record {
	k := &u.users[u.at]
	start := len(u.keys)
	u.keys = append(u.keys, k.PartitionKey...)
	out := Record{
		Sequence: r.Sequence, Sub: u.subs[u.at], Aggregated: true, Arrived: r.Arrived,
		PartitionKey: u.keys[start:len(u.keys):len(u.keys)], Data: k.Data,
		more: u.at < len(u.users)-1,
	}
	out.Last = r.Last && !out.more
	if k.ExplicitHashKey != "" {
		if h, err := stream.ParseHashKey(k.ExplicitHashKey); err == nil {
			out.HashKey, out.Explicit = h, true
		}
	}
	return out
}

// open takes a record apart, or returns false if it is a plain one.
func (u *unpacker) open(r *Record) bool {
	if !kpl.IsAggregated(r.Data) {
		return false
	}
	var err error
	u.decoded, err = kpl.Decode(u.decoded[:0], r.Data)
	if err != nil {
		if !errors.Is(err, kpl.ErrNotAggregate) {
			u.counters.badAggregates.Add(1)
		}
		return false
	}
	u.users, u.subs = u.users[:0], u.subs[:0]
	for i := range u.decoded {
		if u.skip.Within && u.skip.Sequence.Offset == r.Sequence.Offset && uint32(i) <= u.skip.Sub {
			continue
		}
		if !u.holds(&u.decoded[i]) {
			u.counters.outOfRange.Add(1)
			continue
		}
		u.users, u.subs = append(u.users, u.decoded[i]), append(u.subs, uint32(i))
	}
	return true
}

// holds says whether a user record belongs to the shard. One whose explicit hash key is
// no number is not dropped for it.
func (u *unpacker) holds(k *kpl.Record) bool {
	if u.shard.First == (stream.HashKey{}) && u.shard.Last == (stream.HashKey{Hi: ^uint64(0), Lo: ^uint64(0)}) {
		return true
	}
	h, err := stream.RecordHash(k.PartitionKey, k.ExplicitHashKey)
	if err != nil {
		return true
	}
	return u.shard.First.Compare(h) <= 0 && h.Compare(u.shard.Last) <= 0
}

// reset forgets what was not returned yet.
func (u *unpacker) reset(skip Position) {
	u.raw, u.users, u.subs, u.at, u.skip = nil, u.users[:0], u.subs[:0], 0, skip
	if cap(u.decoded) > 1<<16 { // after a giant
		u.decoded, u.users, u.subs = nil, nil, nil
	}
	u.out, u.keys = slices.Clip(u.out[:0]), u.keys[:0]
}
