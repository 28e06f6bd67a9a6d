package point

import (
	"encoding/binary"
	"slices"
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

// An encoder holds the scratch space for writing what a source holds: a Builder, or a Batch.
type encoder struct {
	// Of a Builder.
	stale bool     // points were added since order and start were made
	order []uint32 // points by series, in the order of Add within a series
	start []uint32 // where each series begins in order; one more than there are series
	all   []int    // 0, 1, 2, …

	// Of any source.
	remap []uint32 // symbol of the source → symbol of the batch + 1
	used  []uint32 // symbols of the batch, as symbols of the source

	body   []byte    // the series of the batch
	counts []uint32  // of the points of each
	single bool      // all have one
	sets   bool      // some are sets
	times  []int64   // the columns
	vals   []float64 // without those of sets
	valued []uint32  // counts without those of sets
	ints   []int64
	rare   []uint32 // positions of values that are no short decimals
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
	b.gather(series)
	dst = b.enc.append(dst, m, b.text)
	if b.enc.sets {
		dst = b.appendMembers(dst, series)
	}
	return dst
}

// append appends a batch but for its members. text returns the symbol with a number.
func (e *encoder) append(dst []byte, m Mark, text func(id uint32) []byte) []byte {
	dst = appendHead(dst, m)
	dst = binary.AppendUvarint(dst, uint64(len(e.used)))
	dst = binary.AppendUvarint(dst, uint64(len(e.counts)))
	dst = binary.AppendUvarint(dst, uint64(len(e.times)))
	for _, id := range e.used {
		dst = binary.AppendUvarint(dst, uint64(len(text(id))))
	}
	for _, id := range e.used {
		dst = append(dst, text(id)...)
	}
	dst = append(dst, e.body...)
	return e.appendValues(e.appendTimes(dst))
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

// gather makes e the series and columns of some series.
func (b *Builder) gather(series []int) {
	e := &b.enc
	e.begin(len(b.symbolEnd))
	for _, i := range series {
		s := &b.series[i]
		if s.points == 0 {
			continue
		}
		e.add(s.metric, s.typ, b.labels[s.first:s.first+2*s.n], s.points)
		for _, p := range b.run(i) {
			e.times = append(e.times, b.times[p])
		}
		if s.typ == Set {
			continue
		}
		for _, p := range b.run(i) {
			e.vals = append(e.vals, b.values[p])
		}
	}
}

// begin makes e an empty batch. Its symbols will be below a number.
func (e *encoder) begin(symbols int) {
	e.remap = resize(e.remap, symbols)
	clear(e.remap)
	e.used, e.body, e.counts, e.valued, e.times, e.vals = e.used[:0], e.body[:0], e.counts[:0], e.valued[:0], e.times[:0], e.vals[:0]
	e.single, e.sets = true, false
}

// add adds a series. The caller adds its points to the columns.
func (e *encoder) add(metric uint32, typ Type, labels []uint32, points uint32) {
	at, need := len(e.body), maxUvarint32*(3+len(labels))
	body := slices.Grow(e.body, need)[:at+need]
	at = putUvarint(body, at, e.use(metric))
	at = putUvarint(body, at, uint32(typ)|uint32(len(labels)/2)<<3)
	for _, id := range labels {
		n := e.remap[id]
		if n == 0 {
			n = e.use(id) + 1
		}
		at = putUvarint(body, at, n-1)
	}
	at = putUvarint(body, at, points)
	e.body = body[:at]
	e.counts = append(e.counts, points)
	e.single = e.single && points == 1
	if typ == Set {
		e.sets = true
	} else {
		e.valued = append(e.valued, points)
	}
}

// use returns the number in the batch of a symbol of the source.
func (e *encoder) use(id uint32) uint32 {
	if e.remap[id] == 0 {
		e.used = append(e.used, id)
		e.remap[id] = uint32(len(e.used))
	}
	return e.remap[id] - 1
}

// maxUvarint32 is how many bytes a uvarint of 32 bits takes at most.
const maxUvarint32 = 5

// putUvarint writes v at an index, with room behind it, and returns the next.
func putUvarint(buf []byte, at int, v uint32) int {
	for v >= 0x80 {
		buf[at] = byte(v) | 0x80
		v >>= 7
		at++
	}
	buf[at] = byte(v)
	return at + 1
}

// resize returns s with n elements, whatever they are.
func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, n+n/2)
	}
	return s[:n]
}
