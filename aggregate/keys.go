package aggregate

import (
	"math/bits"
	"math/rand/v2"

	"freshet/ingest/point"
	"freshet/stream"
)

// Keys is a run of the keys of posts that a shard has folded, in the order of the log. It
// is valid until the function that it was given to returns.
type Keys struct {
	Shard   stream.ShardID
	First   uint64        // number of the first of them among all keys of the shard
	Key     []point.Key   // of equal length with Arrived
	Arrived []uint32      // when the record that brought the key arrived, epoch seconds
	Start   stream.Offset // of the unit that brought the last key of the shard, in the run that has it; else 0

	// Of a Frozen: keys of the shard with lower numbers are forgotten, and so are those of any
	// shard that arrived before a time, epoch seconds.
	Oldest  uint64
	Expired uint32
}

// A keySet holds the last keys of a shard in the order in which they came, and finds each of
// them. A key takes 20 bytes, and 8 to 16 to be found. Only its owner adds to it; once that has
// ended anyone may look in it.
type keySet struct {
	chunks      []*keyChunk // the first holds the key numbered oldest
	oldest, end uint64      // numbers oldest ≤ n < end are held

	slots []uint32  // a power of two of them: 0, or the low 31 bits of a number, and slotUsed
	seed  [2]uint64 // unknown outside, so that nobody can choose keys that collide
}

// A keyChunk is keysInChunk keys whose numbers follow each other. What is written in it
// never changes, so that a frozen generation can share it.
type keyChunk struct {
	key     [keysInChunk]point.Key
	arrived [keysInChunk]uint32
}

const keysInChunk = 1024

const slotUsed = 1 << 31

func newKeySet(first uint64) *keySet {
	return &keySet{oldest: first, end: first, seed: [2]uint64{rand.Uint64(), rand.Uint64()}}
}

// len returns how many keys are held.
func (s *keySet) len() int { return int(s.end - s.oldest) }

// at returns the place of a key that is held.
func (s *keySet) at(n uint64) (*keyChunk, int) {
	return s.chunks[n/keysInChunk-s.oldest/keysInChunk], int(n % keysInChunk)
}

func (s *keySet) key(n uint64) point.Key {
	c, i := s.at(n)
	return c.key[i]
}

func (s *keySet) arrived(n uint64) uint32 {
	c, i := s.at(n)
	return c.arrived[i]
}

// add puts a key, which is not held, behind the others.
func (s *keySet) add(k point.Key, arrived uint32) {
	if 2*(s.len()+1) > len(s.slots) {
		s.grow()
	}
	if s.end%keysInChunk == 0 || len(s.chunks) == 0 {
		s.chunks = append(s.chunks, &keyChunk{})
	}
	n := s.end
	s.end++
	c, i := s.at(n)
	c.key[i], c.arrived[i] = k, arrived
	s.place(n, k)
}

// forget takes the oldest key out.
func (s *keySet) forget() {
	n := s.oldest
	slot, _ := s.find(s.key(n))
	s.vacate(slot)
	s.oldest++
	if s.oldest%keysInChunk == 0 {
		s.chunks[0] = nil
		s.chunks = s.chunks[1:]
	}
}

// find returns the slot and the number of a key, and -1 if it is not held.
func (s *keySet) find(k point.Key) (slot int, n uint64) {
	if len(s.slots) == 0 {
		return -1, 0
	}
	mask := len(s.slots) - 1
	for i := s.home(k); s.slots[i] != 0; i = (i + 1) & mask {
		if n := s.number(i); s.key(n) == k {
			return i, n
		}
	}
	return -1, 0
}

// home returns the slot at which the search for a key begins.
func (s *keySet) home(k point.Key) int {
	hi, lo := bits.Mul64(k.Hi^s.seed[0], k.Lo^s.seed[1])
	return int((hi ^ lo) * 0x9e3779b97f4a7c15 >> 32 & uint64(len(s.slots)-1))
}

// number returns the number in a slot that is used.
func (s *keySet) number(slot int) uint64 {
	return s.oldest + uint64((s.slots[slot]-uint32(s.oldest))&(slotUsed-1))
}

// place puts the number of a key into the first free slot.
func (s *keySet) place(n uint64, k point.Key) {
	i, mask := s.home(k), len(s.slots)-1
	for s.slots[i] != 0 {
		i = (i + 1) & mask
	}
	s.slots[i] = uint32(n) | slotUsed
}

// vacate empties a slot, and moves up what was put behind it for lack of room.
func (s *keySet) vacate(hole int) {
	mask := len(s.slots) - 1
	for i := (hole + 1) & mask; s.slots[i] != 0; i = (i + 1) & mask {
		home := s.home(s.key(s.number(i)))
		if (i-home)&mask >= (i-hole)&mask { // the search for it passes the hole
			s.slots[hole] = s.slots[i]
			hole = i
		}
	}
	s.slots[hole] = 0
}

// grow doubles the slots.
func (s *keySet) grow() {
	s.slots = make([]uint32, max(64, 2*len(s.slots)))
	for n := s.oldest; n < s.end; n++ {
		s.place(n, s.key(n))
	}
}

// A keyRun is the keys that a shard has got in a generation, as of its end.
type keyRun struct {
	chunks    []*keyChunk
	from, end uint64 // numbers from ≤ n < end; chunks[0] holds from
	oldest    uint64 // keys with lower numbers are forgotten
	start     stream.Offset
}

// since returns the keys from a number on.
func (s *keySet) since(from uint64, start stream.Offset) keyRun {
	r := keyRun{from: max(from, s.oldest), end: s.end, oldest: s.oldest, start: start}
	if r.from < r.end {
		r.chunks = append(r.chunks, s.chunks[r.from/keysInChunk-s.oldest/keysInChunk:]...)
	}
	return r
}

// each yields the keys, at least once.
func (r keyRun) each(out Keys, yield func(*Keys) error) error {
	out.First, out.Oldest = r.from, r.oldest
	for _, c := range r.chunks {
		i := out.First % keysInChunk
		n := min(keysInChunk-i, r.end-out.First)
		out.Key, out.Arrived = c.key[i:i+n], c.arrived[i:i+n]
		if out.First+n == r.end {
			out.Start = r.start
		}
		if err := yield(&out); err != nil {
			return err
		}
		out.First += n
	}
	if len(r.chunks) == 0 {
		return yield(&out)
	}
	return nil
}
