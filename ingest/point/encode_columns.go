package point

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
)

// appendTimes writes the times in the shortest of the three ways.
func (e *encoder) appendTimes(dst []byte) []byte {
	if t, ok := same(e.times); ok {
		return binary.AppendVarint(append(dst, timesConstant), t)
	}
	e.ints = resize(e.ints, len(e.times))
	e.differences(e.ints)
	var size1, size2 int
	delta := int64(0)
	for _, d := range e.ints {
		size1 += varintSize(d)
		size2 += varintSize(d - delta)
		delta = d
	}
	if size1 <= size2 {
		return appendVarints(append(dst, timesDelta), e.ints)
	}
	delta = 0
	for i, d := range e.ints {
		e.ints[i] = d - delta
		delta = d
	}
	return appendVarints(append(dst, timesDelta2), e.ints)
}

// same returns the time that all times are, 0 if there are none.
func same(times []int64) (t int64, ok bool) {
	if len(times) == 0 {
		return 0, true
	}
	for _, t := range times {
		if t != times[0] {
			return 0, false
		}
	}
	return times[0], true
}

// differences fills to with the difference of each time from that of the point before it in its
// series, or else from that of the first point of the series before.
func (e *encoder) differences(to []int64) {
	head := int64(0)
	if e.single {
		for i, t := range e.times {
			to[i] = t - head
			head = t
		}
		return
	}
	i := 0
	for _, n := range e.counts {
		prev := head
		head = e.times[i]
		for end := i + int(n); i < end; i++ {
			to[i] = e.times[i] - prev
			prev = e.times[i]
		}
	}
}

// appendValues writes the values in the shortest of the four ways.
func (e *encoder) appendValues(dst []byte) []byte {
	var differ uint64
	for _, v := range e.vals {
		differ |= math.Float64bits(v) ^ math.Float64bits(e.vals[0])
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
	plain, delta := e.decimalSizes()
	if min(plain, delta)+10*len(e.rare) >= 8*len(e.vals) {
		return e.appendRaw(dst)
	}
	if delta < plain {
		e.subtract()
		dst = e.appendDecimalHead(append(dst, valuesDelta), exp)
	} else {
		dst = e.appendDecimalHead(append(dst, valuesDecimal), exp)
	}
	return e.appendRare(appendVarints(dst, e.ints))
}

// decimals turns vals into integers times 10^-exp. Those that are no such decimals are
// listed in rare, their integers are that of the value before. It gives up, with ok false,
// when more than half of the first 64 values, or of all, are rare.
func (e *encoder) decimals() (exp int, ok bool) {
	for _, v := range e.vals[:min(len(e.vals), 8)] { // most often the exponent of all
		if x, fits := exponent(v, exp); fits {
			exp = x
		}
	}
	e.ints = resize(e.ints, len(e.vals))
	for {
		more, ok := e.decimalsAt(exp)
		if more == exp {
			return exp, ok
		}
		exp = more
	}
}

// decimalsAt is decimals with a given exponent. It returns a greater one as soon as it finds that
// a value needs it.
func (e *encoder) decimalsAt(exp int) (_ int, ok bool) {
	e.rare = e.rare[:0]
	last := int64(0)
	for i, v := range e.vals {
		n, fits := decimal(v, exp)
		if fits {
			last = n
		} else if more, fits := exponent(v, exp+1); fits {
			return more, false
		} else {
			e.rare = append(e.rare, uint32(i))
			if i < 64 && len(e.rare) > 32 {
				return exp, false
			}
		}
		e.ints[i] = last
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
func (e *encoder) decimalSizes() (plain, delta int) {
	for _, n := range e.ints {
		plain += varintSize(n)
	}
	if e.single {
		return plain, plain
	}
	ints := e.ints
	for _, n := range e.valued {
		prev := int64(0)
		for _, i := range ints[:n] {
			delta += varintSize(i - prev)
			prev = i
		}
		ints = ints[n:]
	}
	return plain, delta
}

// subtract makes of each of ints its difference from the one before it in its series.
func (e *encoder) subtract() {
	ints := e.ints
	for _, n := range e.valued {
		prev := int64(0)
		for k, i := range ints[:n] {
			ints[k] = i - prev
			prev = i
		}
		ints = ints[n:]
	}
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

// appendVarints appends svarints.
func appendVarints(dst []byte, ints []int64) []byte {
	at := len(dst)
	dst = slices.Grow(dst, binary.MaxVarintLen64*len(ints))[:at+binary.MaxVarintLen64*len(ints)]
	for _, n := range ints {
		z := uint64(n)<<1 ^ uint64(n>>63)
		for z >= 0x80 {
			dst[at] = byte(z) | 0x80
			z >>= 7
			at++
		}
		dst[at] = byte(z)
		at++
	}
	return dst[:at]
}

// varintSize is how many bytes a svarint takes.
func varintSize(n int64) int {
	z := uint64(n)<<1 ^ uint64(n>>63)
	return (bits.Len64(z|1) + 6) / 7
}
