package point

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// A Key names a post, so that one that is sent again is counted once. The zero Key names none.
type Key struct{ Hi, Lo uint64 }

// KeyOf returns the key of the number-th post of a sender: their sum. Senders choose their
// ids at random, so that no two posts have the same key.
func KeyOf(sender [16]byte, number uint64) Key {
	lo, carry := bits.Add64(binary.BigEndian.Uint64(sender[8:]), number, 0)
	k := Key{binary.BigEndian.Uint64(sender[:8]) + carry, lo}
	if k == (Key{}) {
		k.Lo = 1 // 0 would name none
	}
	return k
}

// With returns the key of a thing that has a number within what k names.
func (k Key) With(number uint64) Key {
	k = Key{mix(k.Hi, number), mix(k.Lo, ^number)}
	if k == (Key{}) {
		k.Lo = 1
	}
	return k
}

// A Mark says of which post a batch is. The zero Mark is that of a batch whose post has no key.
type Mark struct {
	Key Key
	// Home is 0 in a batch as its sender made it. In a record that ingest wrote of a post it is 1
	// more than the number of the shard that it was written to.
	Home uint32
	Part uint32 // which of the records of the post on that shard, from 0; 0 without Home
}

// markSize is how many bytes a mark takes at most.
const markSize = 16 + 2*binary.MaxVarintLen32

// appendHead begins a batch.
func appendHead(dst []byte, m Mark) []byte {
	if m == (Mark{}) {
		return append(dst, batchMagic, batchVersion)
	}
	dst = append(dst, batchMagic, markedVersion)
	dst = binary.BigEndian.AppendUint64(dst, m.Key.Hi)
	dst = binary.BigEndian.AppendUint64(dst, m.Key.Lo)
	dst = binary.AppendUvarint(dst, uint64(m.Home))
	return binary.AppendUvarint(dst, uint64(m.Part))
}

// mark reads the mark of a batch.
func (d *decoder) mark() Mark {
	s := d.skip(16)
	m := Mark{Home: uint32(d.count("in the mark: shard", math.MaxUint32)), Part: uint32(d.count("in the mark: part", math.MaxUint32))}
	if d.err != nil {
		return Mark{}
	}
	m.Key = Key{binary.BigEndian.Uint64(d.buf[s.start:]), binary.BigEndian.Uint64(d.buf[s.start+8:])}
	switch {
	case m.Key == Key{}:
		d.fail("the mark has the key 0")
	case m.Home == 0 && m.Part > 0:
		d.fail("the mark has part %d and no shard", m.Part)
	}
	return m
}

// Strip takes the series out for whose hash drop is true, with their points, and returns
// how many points that were.
func (b *Batch) Strip(drop func(hash uint64) bool) int {
	before := len(b.Time)
	runs, to := b.Runs[:0], int32(0)
	for _, run := range b.Runs {
		if drop(run.Hash) {
			continue
		}
		first, end := run.First, run.First+run.N
		copy(b.Time[to:], b.Time[first:end])
		copy(b.Value[to:], b.Value[first:end])
		if len(b.member) > 0 {
			copy(b.member[to:], b.member[first:end])
		}
		run.First = to
		to += run.N
		runs = append(runs, run)
	}
	b.Runs, b.Time, b.Value, b.whole = runs, b.Time[:to], b.Value[:to], false
	if len(b.member) > 0 {
		b.member = b.member[:to]
	}
	return before - int(to)
}
