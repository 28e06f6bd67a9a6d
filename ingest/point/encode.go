package point

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// The first two bytes of a batch. FORMAT.md describes the rest.
const (
	batchMagic    = 0xFB
	batchVersion  = 1
	markedVersion = 2 // with a Mark
)

// How the column of times is written.
const (
	timesConstant = 0
	timesDelta    = 1
	timesDelta2   = 2
)

// How the column of values is written.
const (
	valuesConstant = 0
	valuesRaw      = 1
	valuesDecimal  = 2
	valuesDelta    = 3
)

// maxExponent is the greatest number of decimals that are written as integers.
const maxExponent = 9

var pow10 = [maxExponent + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// An encoder holds the scratch space of Builder.Encode.
type encoder struct {
	stale bool     // points were added since order and start were made
	order []uint32 // points by series, in the order of Add within a series
	start []uint32 // where each series begins in order; one more than there are series

	remap []uint32 // symbol of the builder → symbol of the batch + 1
	used  []uint32 // symbols of the batch, as symbols of the builder
	all   []int    // 0, 1, 2, …

	vals []float64
	ints []int64
	rare []uint32 // positions of values that are no short decimals
}

// Encode appends the batch of all points of b to dst.
func (b *Builder) Encode(dst []byte) []byte { return b.EncodeMarked(dst, b.all(), Mark{}) }

// EncodeKeyed is Encode for a sender: key names the batch, which may be sent again.
func (b *Builder) EncodeKeyed(dst []byte, key Key) []byte {
	return b.EncodeMarked(dst, b.all(), Mark{Key: key})
}

// all returns the numbers of all series.
func (b *Builder) all() []int {
	for len(b.enc.all) < len(b.series) {
		b.enc.all = append(b.enc.all, len(b.enc.all))
	}
	return b.enc.all[:len(b.series)]
}

// EncodeSeries appends the batch of the points of some series of b to dst, the series in
// the order given. b keeps its points. Series that have no points are left out.
func (b *Builder) EncodeSeries(dst []byte, series []int) []byte {
	return b.EncodeMarked(dst, series, Mark{})
}

// EncodeMarked is EncodeSeries with a mark, which is zero or has a key.
func (b *Builder) EncodeMarked(dst []byte, series []int, m Mark) []byte {
	b.arrange()
	b.chooseSymbols(series)
	n, points := 0, 0
	for _, s := range series {
		if p := b.series[s].points; p > 0 {
			n++
			points += int(p)
		}
	}
	dst = appendHead(dst, m)
	dst = binary.AppendUvarint(dst, uint64(len(b.enc.used)))
	dst = binary.AppendUvarint(dst, uint64(n))
	dst = binary.AppendUvarint(dst, uint64(points))
	for _, id := range b.enc.used {
		dst = binary.AppendUvarint(dst, uint64(len(b.text(id))))
	}
	for _, id := range b.enc.used {
		dst = append(dst, b.text(id)...)
	}
	for _, s := range series {
		dst = b.appendSeries(dst, &b.series[s])
	}
	dst = b.appendTimes(dst, series)
	dst = b.appendValues(dst, series)
	return b.appendMembers(dst, series)
}

// arrange puts the points into the order of their series by a counting sort.
func (b *Builder) arrange() {
	e := &b.enc
	if !e.stale && len(e.start) == len(b.series)+1 {
		return
	}
	e.start = resize(e.start, len(b.series)+1)
	e.order = resize(e.order, len(b.of))
	at := uint32(0)
	for i := range b.series {
		e.start[i] = at
		at += b.series[i].points
	}
	for p, s := range b.of {
		e.order[e.start[s]] = uint32(p)
		e.start[s]++
	}
	at = 0
	for i := range b.series { // start has moved to the ends; move it back
		e.start[i] = at
		at += b.series[i].points
	}
	e.start[len(b.series)] = at
	e.stale = false
}

// run returns the points of a series.
func (b *Builder) run(series int) []uint32 {
	return b.enc.order[b.enc.start[series]:b.enc.start[series+1]]
}

// chooseSymbols numbers the symbols that series use.
func (b *Builder) chooseSymbols(series []int) {
	e := &b.enc
	e.remap = resize(e.remap, len(b.symbolEnd))
	clear(e.remap)
	e.used = e.used[:0]
	for _, i := range series {
		s := &b.series[i]
		if s.points == 0 {
			continue
		}
		e.use(s.metric)
		for _, id := range b.labels[s.first : s.first+2*s.n] {
			e.use(id)
		}
	}
}

func (e *encoder) use(id uint32) {
	if e.remap[id] == 0 {
		e.used = append(e.used, id)
		e.remap[id] = uint32(len(e.used))
	}
}

func (b *Builder) appendSeries(dst []byte, s *seriesEntry) []byte {
	if s.points == 0 {
		return dst
	}
	dst = binary.AppendUvarint(dst, uint64(b.enc.remap[s.metric]-1))
	dst = binary.AppendUvarint(dst, uint64(s.typ)|uint64(s.n)<<3)
	for _, id := range b.labels[s.first : s.first+2*s.n] {
		dst = binary.AppendUvarint(dst, uint64(b.enc.remap[id]-1))
	}
	return binary.AppendUvarint(dst, uint64(s.points))
}

// appendTimes gathers the times and writes them in the shortest of the three ways.
func (b *Builder) appendTimes(dst []byte, series []int) []byte {
	e := &b.enc
	e.ints = e.ints[:0]
	var size1, size2 int
	var head, delta int64 // first time of the series before, the difference before
	var differ int64
	for _, s := range series {
		prev := head
		for i, p := range b.run(s) {
			t := b.times[p]
			d := t - prev
			if i == 0 {
				head = t
			}
			if len(e.ints) > 0 {
				differ |= d
			}
			size1 += varintSize(d)
			size2 += varintSize(d - delta)
			e.ints = append(e.ints, d)
			prev, delta = t, d
		}
	}
	switch {
	case differ == 0:
		t := int64(0)
		if len(e.ints) > 0 {
			t = e.ints[0]
		}
		return binary.AppendVarint(append(dst, timesConstant), t)
	case size1 <= size2:
		dst = append(dst, timesDelta)
		for _, d := range e.ints {
			dst = binary.AppendVarint(dst, d)
		}
	default:
		dst = append(dst, timesDelta2)
		delta = 0
		for _, d := range e.ints {
			dst = binary.AppendVarint(dst, d-delta)
			delta = d
		}
	}
	return dst
}

// appendValues gathers the values and writes them in the shortest of the four ways.
func (b *Builder) appendValues(dst []byte, series []int) []byte {
	e := &b.enc
	e.vals = e.vals[:0]
	var differ uint64
	for _, s := range series {
		if b.series[s].typ == Set {
			continue
		}
		for _, p := range b.run(s) {
			v := b.values[p]
			e.vals = append(e.vals, v)
			differ |= math.Float64bits(v) ^ math.Float64bits(e.vals[0])
		}
	}
	if differ == 0 {
		v := 0.0
		if len(e.vals) > 0 {
			v = e.vals[0]
		}
		return appendFloat(append(dst, valuesConstant), v)
	}
	exp, ok := e.decimals()
	if !ok {
		return e.appendRaw(dst)
	}
	plain, delta := b.decimalSizes(series)
	if min(plain, delta)+10*len(e.rare) >= 8*len(e.vals) {
		return e.appendRaw(dst)
	}
	if delta < plain {
		return b.appendDelta(dst, series, exp)
	}
	dst = e.appendDecimalHead(append(dst, valuesDecimal), exp)
	for _, i := range e.ints {
		dst = binary.AppendVarint(dst, i)
	}
	return e.appendRare(dst)
}

// decimals turns vals into integers times 10^-exp. Those that are no such decimals are
// listed in rare, their integers are that of the value before. It gives up, with ok false,
// when more than half of the first 64 values, or of all, are rare.
func (e *encoder) decimals() (exp int, ok bool) {
	rare := 0
	for i, v := range e.vals {
		x, fits := exponent(v, exp)
		if fits {
			exp = x
		} else if rare++; i < 64 && rare > 32 {
			return 0, false
		}
	}
	e.ints, e.rare = e.ints[:0], e.rare[:0]
	last := int64(0)
	for i, v := range e.vals {
		n, fits := decimal(v, exp)
		if fits {
			last = n
		} else {
			e.rare = append(e.rare, uint32(i))
		}
		e.ints = append(e.ints, last)
	}
	return exp, 2*len(e.rare) <= len(e.vals)
}

// exponent returns the least exponent from least on at which v is an integer.
func exponent(v float64, least int) (int, bool) {
	for e := least; e <= maxExponent; e++ {
		if _, ok := decimal(v, e); ok {
			return e, true
		}
	}
	return 0, false
}

// decimal returns n with float64(n)/10^exp == v bit for bit, if there is one of at most
// 53 bits.
func decimal(v float64, exp int) (n int64, ok bool) {
	scaled := v * pow10[exp]
	if !(scaled > -(1<<53) && scaled < 1<<53) {
		return 0, false
	}
	if exp == 0 {
		n = int64(scaled)
	} else {
		n = int64(scaled + math.Copysign(0.5, scaled))
	}
	return n, math.Float64bits(float64(n)/pow10[exp]) == math.Float64bits(v)
}

// decimalSizes returns the bytes that ints take written plainly and as differences.
func (b *Builder) decimalSizes(series []int) (plain, delta int) {
	ints := b.enc.ints
	for _, s := range series {
		if b.series[s].typ == Set {
			continue
		}
		prev, n := int64(0), int(b.series[s].points)
		for _, i := range ints[:n] {
			plain += varintSize(i)
			delta += varintSize(i - prev)
			prev = i
		}
		ints = ints[n:]
	}
	return plain, delta
}

func (b *Builder) appendDelta(dst []byte, series []int, exp int) []byte {
	dst = b.enc.appendDecimalHead(append(dst, valuesDelta), exp)
	ints := b.enc.ints
	for _, s := range series {
		if b.series[s].typ == Set {
			continue
		}
		prev, n := int64(0), int(b.series[s].points)
		for _, i := range ints[:n] {
			dst = binary.AppendVarint(dst, i-prev)
			prev = i
		}
		ints = ints[n:]
	}
	return b.enc.appendRare(dst)
}

func (e *encoder) appendDecimalHead(dst []byte, exp int) []byte {
	return binary.AppendUvarint(append(dst, byte(exp)), uint64(len(e.rare)))
}

// appendRare writes the exceptions.
func (e *encoder) appendRare(dst []byte) []byte {
	next := uint32(0)
	for _, i := range e.rare {
		dst = binary.AppendUvarint(dst, uint64(i-next))
		dst = appendFloat(dst, e.vals[i])
		next = i + 1
	}
	return dst
}

func (e *encoder) appendRaw(dst []byte) []byte {
	dst = append(dst, valuesRaw)
	for _, v := range e.vals {
		dst = appendFloat(dst, v)
	}
	return dst
}

func appendFloat(dst []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
}

func (b *Builder) appendMembers(dst []byte, series []int) []byte {
	for _, s := range series {
		if b.series[s].typ == Set {
			for _, p := range b.run(s) {
				dst = binary.AppendUvarint(dst, uint64(len(b.member(p))))
			}
		}
	}
	for _, s := range series {
		if b.series[s].typ == Set {
			for _, p := range b.run(s) {
				dst = append(dst, b.member(p)...)
			}
		}
	}
	return dst
}

func (b *Builder) member(p uint32) []byte {
	start := uint32(0)
	if p > 0 {
		start = b.memberEnd[p-1]
	}
	return b.members[start:b.memberEnd[p]]
}

// varintSize is how many bytes a svarint takes.
func varintSize(n int64) int {
	z := uint64(n)<<1 ^ uint64(n>>63)
	return (bits.Len64(z|1) + 6) / 7
}

// resize returns s with n elements, whatever they are.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/2)
	}
	return s[:n]
}
