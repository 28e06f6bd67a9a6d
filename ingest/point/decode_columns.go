package point

import (
	"encoding/binary"
	"math"
)

// times reads the column of times.
func (d *decoder) times(b *Batch, points int) {
	how := d.byte()
	if d.err != nil {
		return
	}
	b.Time = resize(b.Time, points)
	switch how {
	case timesConstant:
		t := d.varint()
		for i := range b.Time {
			b.Time[i] = t
		}
	case timesDelta:
		d.deltas(b, false)
	case timesDelta2:
		d.deltas(b, true)
	default:
		d.fail("times are written in way %d, this reader knows 0 to 2", how)
	}
}

func (d *decoder) deltas(b *Batch, second bool) {
	head, delta := int64(0), int64(0)
	numbers := d.ints(b, len(b.Time))
	if d.err != nil {
		return
	}
	for r := range b.Runs {
		run := &b.Runs[r]
		column := b.Time[run.First : run.First+run.N]
		prev := head
		for i, n := range numbers[run.First : run.First+run.N] {
			if second {
				n += delta
				delta = n
			}
			prev += n
			column[i] = prev
		}
		head = column[0]
	}
}

// ints reads n svarints into b.ints.
func (d *decoder) ints(b *Batch, n int) []int64 {
	b.ints = resize(b.ints, n)
	buf, at := d.buf, d.at
	for i := range b.ints {
		u, next := uint32(maxSmall+1), 0
		if len(buf)-at >= 2 {
			u, next = small(buf, at)
		}
		if u > maxSmall {
			d.at = at
			b.ints[i] = d.varint()
			at = d.at
			continue
		}
		b.ints[i] = int64(u>>1) ^ -int64(u&1)
		at = next
	}
	d.at = at
	return b.ints
}

// values reads n values into the places of the points that have one.
func (d *decoder) values(b *Batch, n int) {
	how := d.byte()
	if d.err != nil {
		return
	}
	b.Value = resize(b.Value, len(b.Time))
	column := b.Value[:n]
	switch how {
	case valuesConstant:
		v := d.float()
		for i := range column {
			column[i] = v
		}
	case valuesRaw:
		d.floats(column)
	case valuesDecimal, valuesDelta:
		d.decimals(b, column, how == valuesDelta)
	default:
		d.fail("values are written in way %d, this reader knows 0 to 3", how)
	}
	if n < len(b.Value) && d.err == nil {
		spread(b, n)
	}
}

// floats reads a float64 for each of column.
func (d *decoder) floats(column []float64) {
	if len(d.buf)-d.at < 8*len(column) {
		d.fail("ends too early")
		return
	}
	from := d.buf[d.at : d.at+8*len(column)]
	odd := 0.0 // stays 0 while all are finite
	for i := range column {
		v := math.Float64frombits(binary.LittleEndian.Uint64(from[8*i:]))
		odd += v - v
		column[i] = v
	}
	if odd != 0 { // say which
		for range column {
			d.float()
		}
	}
	d.at += len(from)
}

// spread moves n values, which stand at the front, to the points that are not of sets.
func spread(b *Batch, n int) {
	for r := len(b.Runs) - 1; r >= 0; r-- {
		run := &b.Runs[r]
		column := b.Value[run.First : run.First+run.N]
		if run.Type == Set {
			clear(column)
			continue
		}
		n -= len(column)
		copy(column, b.Value[n:n+len(column)])
	}
}

func (d *decoder) decimals(b *Batch, column []float64, delta bool) {
	exp := d.byte()
	if exp > maxExponent {
		d.fail("%d decimals, at most %d", exp, maxExponent)
	}
	rare := d.count("exceptions", len(column))
	if d.err != nil {
		return
	}
	d.ints(b, len(column))
	if d.err != nil {
		return
	}
	if delta {
		sum(b)
	}
	if exp == 0 {
		for i, n := range b.ints {
			column[i] = float64(n)
		}
	} else {
		for i, n := range b.ints {
			column[i] = float64(n) / pow10[exp]
		}
	}
	at := 0
	for range rare {
		at += d.count("values up to an exception", len(column))
		v := d.float()
		if at >= len(column) {
			d.fail("an exception for value %d of %d", at, len(column))
			return
		}
		column[at] = v
		at++
	}
}

// sum adds up the differences in b.ints within each run.
func sum(b *Batch) {
	ints := b.ints
	for r := range b.Runs {
		run := &b.Runs[r]
		if run.Type == Set {
			continue
		}
		n := int64(0)
		for i := range ints[:run.N] {
			n += ints[i]
			ints[i] = n
		}
		ints = ints[run.N:]
	}
}

func (d *decoder) members(b *Batch) {
	if d.err != nil {
		return
	}
	b.member = resize(b.member, len(b.Time))
	clear(b.member)
	total := uint32(0)
	for r := range b.Runs {
		run := &b.Runs[r]
		if run.Type != Set {
			continue
		}
		for i := run.First; i < run.First+run.N; i++ {
			n := d.count("bytes of a member", MaxMember)
			if n == 0 {
				d.fail("an empty member")
				return
			}
			b.member[i] = span{total, total + uint32(n)}
			total += uint32(n)
		}
	}
	text := d.skip(int(total))
	if d.err != nil {
		return
	}
	for i, s := range b.member {
		if s.end == 0 {
			continue
		}
		s = span{text.start + s.start, text.start + s.end}
		b.member[i] = s
		if reason := checkText(d.buf[s.start:s.end]); reason != "" {
			d.fail("member %s %s", quote(d.buf[s.start:s.end]), reason)
			return
		}
	}
}
