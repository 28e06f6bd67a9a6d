package aggregate

import (
	"math"
	"time"

	"freshet/ingest/point"
	"freshet/stream"
)

// A post that is sent again is counted once. What is counted is decided by the folder of each
// shard, record by record in the order of the log:
//
//  1. The records that ingest wrote of one post on one shard are a unit, of which the log has all
//     or none; so is any other record with a key.
//  2. A unit whose key the shard has is dropped. Else the shard gets the key.
//  3. Of a unit that is not dropped, the series are taken out whose hash lies in the range of an
//     ancestor of the shard that has the key: the post was there before a reshard.
//  4. The shard has the last MaxKeys keys, those of its ancestors among them, that came at most
//     KeyAge before the record.
//
// For rule 3 the parents of a shard are folded to their ends before its first record is.
//
// So the decision is a function of the log, and of the keys that the warehouse gives back after a
// restart. Who reads records again, as a load does, is told what the folder dropped.

// The bounds of rule 4 when Options say nothing.
const (
	defaultMaxKeys = 1_000_000
	defaultKeyAge  = 24 * time.Hour
)

// An origin is where points come from.
type origin struct {
	offset  stream.Offset
	arrived int64 // epoch ms
	sub     int32 // which user record of an aggregate; notPacked for a record that is none
}

const notPacked = -1

// A ledger decides which records of a shard are counted. The folder owns it.
type ledger struct {
	shard *stream.Shard
	max   int    // keys
	age   uint32 // seconds

	own       *keySet
	inherited []inheritance
	count     int           // of the keys in both
	start     stream.Offset // of the unit that brought the last key of own
	cut       uint64        // number of the first key of the open generation
	unit      unit          // that of the last record
	left      bool          // nothing more is folded
	oldest    uint64        // number of the oldest key that was left
}

// A unit is what is counted or dropped as one.
type unit struct {
	key   point.Key // zero for none
	start stream.Offset
	fate
}

// A fate is what becomes of a record.
type fate struct {
	dropped bool
	strip   []hashRange // series in these are taken out
}

// An inheritance is the keys that an ancestor leaves for a range of hash keys.
type inheritance struct {
	hashRange
	set  *keySet
	from uint64 // keys with lower numbers are forgotten
}

func (h *inheritance) len() int { return int(h.set.end - h.from) }

// A hashRange is a range of hash keys, both ends included.
type hashRange struct{ first, last stream.HashKey }

func (r hashRange) holds(series uint64) bool {
	h := stream.HashKey{Hi: series}
	return r.first.Compare(h) <= 0 && h.Compare(r.last) <= 0
}

// within returns what r and o have in common, and false if that is nothing.
func (r hashRange) within(o hashRange) (hashRange, bool) {
	if r.first.Compare(o.first) < 0 {
		r.first = o.first
	}
	if r.last.Compare(o.last) > 0 {
		r.last = o.last
	}
	return r, r.first.Compare(r.last) <= 0
}

// newLedger returns the ledger of a shard that has these keys, by rising number.
func newLedger(shard *stream.Shard, o *Options, keys []Keys) *ledger {
	l := &ledger{shard: shard, max: o.MaxKeys, age: uint32(o.KeyAge / time.Second), own: newKeySet(0)}
	if len(keys) > 0 {
		l.own = newKeySet(keys[0].First)
	}
	for _, run := range keys {
		for i, k := range run.Key {
			l.add(k, run.Arrived[i], run.Start)
		}
	}
	l.cut = l.own.end
	return l
}

// judge decides on a record with a key.
func (l *ledger) judge(m point.Mark, at origin) fate {
	key, part := m.Key, uint64(m.Part)
	switch {
	case m.Home == 0:
	case m.Home != uint32(l.shard.ID())+1 || at.sub != notPacked:
		key = key.With(uint64(m.Home)).With(part) // somebody copied it: what was beside it may be missing here
	case part > 0:
		if l.unit.key == key && l.unit.start+stream.Offset(part) == at.offset {
			return l.unit.fate
		}
		key = key.With(uint64(m.Home)).With(part) // copied, too
	}
	l.unit = unit{key: key, start: at.offset}
	arrived := uint32(at.arrived / 1000)
	l.expire(arrived)
	if slot, _ := l.own.find(key); slot >= 0 {
		l.unit.dropped = true
	} else {
		l.unit.strip = l.known(key, arrived)
		l.add(key, arrived, at.offset)
	}
	return l.unit.fate
}

// known returns the ranges for which an ancestor has a key.
func (l *ledger) known(key point.Key, arrived uint32) (ranges []hashRange) {
	for i := range l.inherited {
		h := &l.inherited[i]
		if slot, n := h.set.find(key); slot >= 0 && n >= h.from && !l.expired(h.set.arrived(n), arrived) {
			ranges = append(ranges, h.hashRange)
		}
	}
	return ranges
}

func (l *ledger) expired(arrived, now uint32) bool { return now > arrived && now-arrived > l.age }

// add adds a key, and forgets the oldest if there are too many.
func (l *ledger) add(key point.Key, arrived uint32, start stream.Offset) {
	l.own.add(key, arrived)
	l.start = start
	l.count++
	l.bound()
}

// bound forgets the oldest keys until there are not too many. Those of ancestors are older
// than those of the shard.
func (l *ledger) bound() {
	for l.count > l.max {
		oldest, when := -1, uint32(math.MaxUint32)
		for i := range l.inherited {
			if h := &l.inherited[i]; oldest < 0 || h.set.arrived(h.from) < when {
				oldest, when = i, h.set.arrived(h.from)
			}
		}
		l.count--
		if oldest < 0 {
			l.own.forget()
			continue
		}
		l.inherited[oldest].from++
		if l.inherited[oldest].len() == 0 {
			l.inherited = append(l.inherited[:oldest:oldest], l.inherited[oldest+1:]...)
		}
	}
}

// expire forgets the keys that are too old for a record that arrived now.
func (l *ledger) expire(now uint32) {
	for i := 0; i < len(l.inherited); i++ {
		if h := &l.inherited[i]; l.expired(h.set.arrived(h.set.end-1), now) {
			l.count -= h.len()
			l.inherited = append(l.inherited[:i:i], l.inherited[i+1:]...)
			i--
		}
	}
	for l.own.len() > 0 && l.expired(l.own.arrived(l.own.oldest), now) {
		l.own.forget()
		l.count--
	}
}

// inherit takes over what the parents leave. arrived is when the last record arrived that was
// folded before, epoch ms.
func (l *ledger) inherit(from []inheritance, arrived int64) {
	if len(from) == 0 {
		return
	}
	first, last := l.shard.Range()
	for _, h := range from {
		var any bool
		if h.hashRange, any = h.within(hashRange{first, last}); any && h.len() > 0 {
			l.inherited = append(l.inherited, h)
			l.count += h.len()
		}
	}
	if l.unit.key != (point.Key{}) && !l.unit.dropped {
		l.unit.strip = l.known(l.unit.key, uint32(arrived/1000))
	}
	l.bound()
}

// leave returns what the children inherit. The shard folds nothing more.
func (l *ledger) leave() []inheritance {
	l.left, l.oldest = true, l.own.oldest
	first, last := l.shard.Range()
	out := append([]inheritance(nil), l.inherited...)
	if l.own.len() > 0 {
		out = append(out, inheritance{hashRange{first, last}, l.own, l.own.oldest})
	}
	return out
}

// resume says that m is the mark of the last record folded before a restart.
func (l *ledger) resume(m point.Mark, at stream.Offset) {
	if m.Home != uint32(l.shard.ID())+1 || l.own.len() == 0 {
		return
	}
	l.unit = unit{key: m.Key, start: at - stream.Offset(m.Part)}
	l.unit.dropped = l.own.key(l.own.end-1) != m.Key || l.start != l.unit.start
}

// cutKeys returns the keys of the generation that ends.
func (l *ledger) cutKeys() keyRun {
	r := l.own.since(l.cut, l.start)
	l.cut = l.own.end
	if l.left { // the children have them, or will have
		r.oldest = l.oldest
		l.own, l.inherited, l.count = newKeySet(l.cut), nil, 0
	}
	return r
}
