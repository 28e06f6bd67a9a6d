package producer

import (
	"bytes"
	"slices"
	"sort"
	"time"

	"freshet/stream/kpl"
)

// A user is a user record without its data, which stands in the entry.
type user struct {
	key, explicit string
	hash          hash
	size          int // of the data
	born          time.Time
	round         uint64 // of Flush
	sub           int    // among the user records of the entry
	done          func(Result)
	attempts      []Attempt // in entries before this one
	last          time.Time // when the last of those ended
}

// userOverhead is what a record costs beside its key and data.
const userOverhead = 200

func (u *user) bytes() int { return userOverhead + len(u.key) + len(u.explicit) + u.size }

// An entry is one record of the stream: a user record as it is, or several packed.
type entry struct {
	lane     *lane
	users    []user
	packed   bool
	payload  []byte
	born     time.Time // of its oldest user record
	due      time.Time // not to be sent later, if there is a choice
	after    time.Time // not to be sent before
	began    time.Time // when the attempt under way was made
	last     time.Time // when the attempt before ended
	attempts []Attempt
}

// size is what the entry takes of a request.
func (e *entry) size() int { return len(e.payload) + len(e.key()) }

// key is the partition key of the record. That of a packed one says nothing: the hash of
// its first user record places it.
func (e *entry) key() string {
	if e.packed {
		return "a"
	}
	return e.users[0].key
}

func (e *entry) explicit() string {
	if e.packed {
		return hashText(e.users[0].hash)
	}
	return e.users[0].explicit
}

// data returns the data of each user record. It is part of the payload.
func (e *entry) data() [][]byte {
	if !e.packed {
		return [][]byte{e.payload}
	}
	records, err := kpl.Decode(nil, e.payload)
	if err != nil || len(records) != len(e.users) {
		panic("producer: an aggregate of its own cannot be read") // memory was overwritten
	}
	out := make([][]byte, len(records))
	for i := range records {
		out[i] = records[i].Data
	}
	return out
}

// A lane holds what goes to one shard, in order: first what is to be sent again, then what
// is sealed, then what is being gathered.
type lane struct {
	shard
	again  []*entry
	queue  []*entry
	pack   kpl.Aggregator
	users  []user    // in pack
	born   time.Time // of the first of those
	bytes  int       // in queue
	sent   int       // entries under way
	leaves bool      // it is to be replaced when none is under way: nothing more is sent
	bucket bucket
}

func (k *Kinesis) newLane(s shard) *lane {
	l := &lane{shard: s, pack: kpl.Aggregator{MaxBytes: k.o.AggregateBytes, MaxCount: k.o.AggregateCount}}
	if k.o.RatePercent > 0 {
		l.bucket.rate = float64(k.o.RatePercent) / 100
	}
	return l
}

// laneLocked returns the lane in whose range h is.
func (k *Kinesis) laneLocked(h hash) *lane {
	i := sort.Search(len(k.lanes), func(i int) bool { return bytes.Compare(h[:], k.lanes[i].last[:]) <= 0 })
	return k.lanes[min(i, len(k.lanes)-1)]
}

// addLocked puts a record into its lane. data is copied.
func (k *Kinesis) addLocked(u user, data []byte) {
	l := k.laneLocked(u.hash)
	defer k.wakeLocked(l, k.ready)
	if k.o.Plain || k.shards.unknown {
		l.users = append(l.users, u)
		l.born = u.born
		k.sealLaneLocked(l, bytes.Clone(data))
		return
	}
	r := kpl.Record{PartitionKey: u.key, ExplicitHashKey: u.explicit, Data: data}
	// Records whose ages differ much are not packed: they expire together.
	if len(l.users) > 0 && u.born.Sub(l.born) > k.o.MaxAge || !l.pack.Add(r) {
		k.sealLaneLocked(l, nil)
		l.pack.Add(r)
	}
	if len(l.users) == 0 {
		l.born = u.born
	}
	l.users = append(l.users, u)
	if l.pack.Size() >= k.o.AggregateBytes || k.o.AggregateCount > 0 && l.pack.Len() >= k.o.AggregateCount {
		k.sealLaneLocked(l, nil)
	}
}

// wakeLocked wakes the driver if a record has filled a request, or is due before the
// driver looks by itself. before is how many entries were ready.
func (k *Kinesis) wakeLocked(l *lane, before int) {
	full := k.ready > before && (k.ready >= k.o.CollectCount || k.readyBytes >= k.o.CollectBytes)
	due := l.born.Add(k.o.MaxAge)
	if full || k.lookAt.IsZero() || due.Before(k.lookAt) {
		k.signal()
	}
}

// sealLaneLocked makes an entry of what a lane has gathered: of alone, a user record as it
// is, or of what is packed.
func (k *Kinesis) sealLaneLocked(l *lane, alone []byte) {
	if len(l.users) == 0 {
		return
	}
	var e *entry
	if l.pack.Len() > 0 {
		e = newEntry(l, l.users, &l.pack)
	} else {
		e = &entry{lane: l, users: l.users, payload: alone}
	}
	e.begin(k.o.MaxAge)
	l.users = make([]user, 0, min(len(l.users), 1024))
	l.queue = append(l.queue, e)
	l.bytes += e.size()
	k.ready++
	k.readyBytes += e.size()
}

// newEntry makes an entry of what is packed, and empties the pack. One that is alone is
// sent as it is, which is what the KPL does.
func newEntry(l *lane, users []user, pack *kpl.Aggregator) *entry {
	e := &entry{lane: l, users: users, packed: true}
	e.payload = pack.AppendTo(make([]byte, 0, pack.Size()))
	if len(users) == 1 {
		e.payload, e.packed = bytes.Clone(e.data()[0]), false
	}
	pack.Reset()
	return e
}

// begin gives a new entry its times, which are those of its first user record.
func (e *entry) begin(maxAge time.Duration) {
	first := &e.users[0]
	e.born, e.last, e.due = first.born, first.born, first.born.Add(maxAge)
	if !first.last.IsZero() {
		e.last = first.last
	}
	for i := range e.users {
		e.users[i].sub = i
	}
}

// sealLocked seals what every lane has gathered.
func (k *Kinesis) sealLocked() {
	for _, l := range k.lanes {
		k.sealLaneLocked(l, nil)
	}
}

// unpackLocked takes everything out of a lane, in order, and adds it to the lanes that
// there are now.
func (k *Kinesis) unpackLocked(old *lane) {
	k.sealLaneLocked(old, nil)
	entries := slices.Concat(old.again, old.queue)
	k.ready -= len(old.queue)
	k.readyBytes -= old.bytes
	old.again, old.queue, old.bytes = nil, nil, 0
	for _, e := range entries {
		data := e.data()
		for i, u := range e.users {
			k.addLocked(u.tried(e), data[i])
		}
	}
}

// tried returns u with the attempts of its entry, to go into another.
func (u user) tried(e *entry) user {
	if len(e.attempts) > 0 {
		u.attempts = slices.Concat(u.attempts, e.attempts)
		u.last = e.last
	}
	return u
}
