package window

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/axiomhq/hyperloglog"
)

// exactMembers is how many distinct members are counted exactly before the
// HyperLogLog takes over.
const exactMembers = 256

// Distinct counts distinct members given by their 64-bit hashes: exactly up to 256,
// by HyperLogLog with 2^14 registers (0.8 % standard error) above. The zero Distinct
// is empty.
type Distinct struct {
	hashes []uint64 // rising; used while hll is nil
	hll    *hyperloglog.Sketch
}

// Add counts a member.
func (d *Distinct) Add(hash uint64) {
	if d.hll != nil {
		d.hll.InsertHash(hash)
		return
	}
	i, found := slices.BinarySearch(d.hashes, hash)
	if found {
		return
	}
	d.hashes = slices.Insert(d.hashes, i, hash)
	if len(d.hashes) > exactMembers {
		d.estimate()
	}
}

// AddSorted counts members given in rising order, none twice.
func (d *Distinct) AddSorted(hashes []uint64) {
	if d.hll == nil && len(d.hashes) == 0 && len(hashes) <= exactMembers {
		d.hashes = append(d.hashes, hashes...)
		return
	}
	for _, h := range hashes {
		d.Add(h)
	}
}

// Merge counts the members of o, which is unchanged.
func (d *Distinct) Merge(o *Distinct) {
	if o.hll == nil {
		d.AddSorted(o.hashes)
		return
	}
	d.estimate()
	// Both have the same precision, the only thing that Merge can refuse.
	_ = d.hll.Merge(o.hll)
}

func (d *Distinct) estimate() {
	if d.hll != nil {
		return
	}
	d.hll = hyperloglog.New14()
	for _, h := range d.hashes {
		d.hll.InsertHash(h)
	}
	d.hashes = nil
}

// Empty reports whether no member was counted.
func (d *Distinct) Empty() bool { return d.hll == nil && len(d.hashes) == 0 }

// Count returns the number of distinct members.
func (d *Distinct) Count() uint64 {
	if d.hll != nil {
		return d.hll.Estimate()
	}
	return uint64(len(d.hashes))
}

// Reset empties d and keeps its memory.
func (d *Distinct) Reset() { d.hashes, d.hll = d.hashes[:0], nil }

// The first byte of an encoded Distinct.
const (
	distinctExact    = 1 // then the hashes, 8 bytes each, little endian, rising
	distinctEstimate = 2 // then the HyperLogLog as axiomhq/hyperloglog writes it
)

var errCorruptDistinct = errors.New("window: damaged distinct count")

// AppendBinary appends d. An empty d is no bytes at all.
func (d *Distinct) AppendBinary(dst []byte) []byte {
	if d.hll != nil {
		b, err := d.hll.MarshalBinary()
		if err != nil { // it writes to memory only
			panic(err)
		}
		return append(append(dst, distinctEstimate), b...)
	}
	if len(d.hashes) == 0 {
		return dst
	}
	dst = append(dst, distinctExact)
	for _, h := range d.hashes {
		dst = binary.LittleEndian.AppendUint64(dst, h)
	}
	return dst
}

// MergeBinary counts the members that AppendBinary wrote to data.
func (d *Distinct) MergeBinary(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	body := data[1:]
	switch {
	case data[0] == distinctExact && len(body)%8 == 0 && len(body) <= 8*exactMembers:
		for ; len(body) > 0; body = body[8:] {
			d.Add(binary.LittleEndian.Uint64(body))
		}
		return nil
	case data[0] == distinctEstimate && len(body) > 0:
		var o hyperloglog.Sketch
		if err := o.UnmarshalBinary(body); err != nil {
			return errCorruptDistinct
		}
		d.estimate()
		if d.hll.Merge(&o) != nil {
			return errCorruptDistinct
		}
		return nil
	}
	return errCorruptDistinct
}

// bytes returns about how much memory d takes.
func (d *Distinct) bytes() int64 {
	if d.hll != nil {
		return 16 << 10
	}
	return int64(32 + 8*cap(d.hashes))
}
