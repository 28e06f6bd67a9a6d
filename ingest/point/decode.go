package point

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// Decode makes b the batch in payload, which begins with the codec's magic byte. An error
// is a *Malformed, and b is then empty. Times are not looked at.
func (b *Batch) Decode(payload []byte) error { return b.decode(payload, MaxBatchPoints) }

// decode is Decode with another limit of points.
func (b *Batch) decode(payload []byte, limit int) error {
	b.Reset()
	if uint64(len(payload)) > math.MaxUint32 {
		return &Malformed{0, "longer than 4 GiB"}
	}
	b.text = payload
	d := decoder{buf: payload}
	d.batch(b, limit)
	if d.err != nil {
		b.Reset()
		return d.err
	}
	b.whole = true
	return nil
}

// A decoder reads a payload from front to back. The first error stays; from then on
// everything reads as 0.
type decoder struct {
	buf  []byte
	at   int
	err  error
	left int // series to come
}

func (d *decoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = &Malformed{Offset: d.at, Reason: fmt.Sprintf(format, args...)}
	}
}

// batch reads all of it.
func (d *decoder) batch(b *Batch, limit int) {
	if d.byte() != batchMagic {
		d.fail("does not begin with 0x%02X", batchMagic)
	}
	switch v := d.byte(); v {
	case batchVersion:
	case markedVersion:
		b.Mark = d.mark()
	default:
		d.fail("version %d, this reader knows %d and %d", v, batchVersion, markedVersion)
	}
	b.marked = d.at
	symbols := d.count("symbols", len(d.buf))
	series := d.count("series", len(d.buf))
	points := d.count("points", limit)
	d.symbols(b, symbols)
	sets := d.series(b, series, points)
	d.times(b, points)
	d.values(b, points-sets)
	if sets > 0 {
		d.members(b)
	}
	if d.err == nil && d.at != len(d.buf) {
		d.fail("%d bytes follow the batch", len(d.buf)-d.at)
	}
}

func (d *decoder) byte() byte {
	if d.err != nil || d.at >= len(d.buf) {
		d.fail("ends too early")
		return 0
	}
	c := d.buf[d.at]
	d.at++
	return c
}

func (d *decoder) uvarint() uint64 {
	if d.at < len(d.buf) && d.buf[d.at] < 0x80 && d.err == nil {
		d.at++
		return uint64(d.buf[d.at-1])
	}
	return d.longUvarint()
}

func (d *decoder) longUvarint() uint64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.buf[d.at:])
	if n <= 0 {
		d.fail("ends too early, or a number has more than 64 bits")
		return 0
	}
	d.at += n
	return v
}

func (d *decoder) varint() int64 {
	u := d.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// count reads a number of things, at most limit.
func (d *decoder) count(what string, limit int) int {
	n := d.uvarint()
	if n > uint64(limit) {
		d.fail("%d %s, at most %d", n, what, limit)
		return 0
	}
	return int(n)
}

func (d *decoder) float() float64 {
	if d.err != nil || len(d.buf)-d.at < 8 {
		d.fail("ends too early")
		return 0
	}
	v := math.Float64frombits(binary.LittleEndian.Uint64(d.buf[d.at:]))
	if v-v != 0 { // NaN or infinite
		d.fail("the value %v is not finite", v)
	}
	d.at += 8
	return v
}

// skip returns the span of the next n bytes.
func (d *decoder) skip(n int) span {
	if d.err != nil || len(d.buf)-d.at < n {
		d.fail("ends too early")
		return span{}
	}
	d.at += n
	return span{uint32(d.at - n), uint32(d.at)}
}

// symbols reads the symbol table, and works out of each symbol its hash and what it may
// be used as.
func (d *decoder) symbols(b *Batch, n int) {
	lengths := d.at
	total := 0
	for range n {
		total += d.count("bytes of a string", MaxLabelValue)
	}
	text := d.skip(total)
	if d.err != nil {
		return
	}
	b.symbols = resize(b.symbols, n)
	in := decoder{buf: d.buf, at: lengths}
	start := text.start
	for i := range b.symbols {
		s := span{start, start + uint32(in.uvarint())}
		start = s.end
		d.symbol(&b.symbols[i], s)
	}
}

func (d *decoder) symbol(to *symbol, s span) {
	text := d.buf[s.start:s.end]
	*to = symbol{span: s, hash: xxhash.Sum64(text), kind: kindOf(text)}
	if to.kind == 0 {
		d.fail("string %s %s", quote(text), cmp.Or(checkText(text), "is empty"))
	}
}

// series reads the series and returns how many points are of sets.
func (d *decoder) series(b *Batch, n, points int) (sets int) {
	if d.err != nil {
		return 0
	}
	b.Runs = slices.Grow(b.Runs, min(n, points, (len(d.buf)-d.at)/3)) // each takes three bytes at least
	first := 0
	for i := range n {
		d.left = n - i
		if d.plainSeries(b, first, points, &sets) {
			first += int(b.Runs[len(b.Runs)-1].N)
			continue
		}
		run := Run{First: int32(first), label: uint32(len(b.labels) / 2)}
		run.Metric = d.use(b, mayBeMetric, "metric")
		kind := d.uvarint()
		run.Type = Type(kind & 7)
		if !run.Type.Valid() {
			d.fail("type %d", kind&7)
		}
		if kind>>3 > MaxLabels {
			d.fail("%d labels, at most %d", kind>>3, MaxLabels)
		}
		if d.err != nil {
			return 0
		}
		run.labels = uint8(kind >> 3)
		run.Hash = d.seriesLabels(b, &run)
		count := d.uvarint()
		if count == 0 || count > uint64(points-first) {
			d.fail("%d points in a series, %d of the batch are left", count, points-first)
		}
		if d.err != nil {
			return 0
		}
		run.N = int32(count)
		first += int(count)
		if run.Type == Set {
			sets += int(count)
		}
		b.Runs = append(b.Runs, run)
	}
	if first != points {
		d.fail("%d points, the series have %d", points, first)
	}
	return sets
}

// seriesLabels reads the labels of a run and returns the hash of its series.
func (d *decoder) seriesLabels(b *Batch, run *Run) uint64 {
	h := uint64(0)
	if d.err == nil {
		h = hashHead(b.symbols[run.Metric].hash, run.Type)
	}
	for i := range run.Labels() {
		name := d.use(b, mayBeName, "label name")
		value := d.use(b, mayBeValue, "label value")
		if d.err != nil {
			return 0
		}
		if i > 0 {
			prev := b.labels[len(b.labels)-2]
			if string(b.Symbol(prev)) >= string(b.Symbol(name)) {
				d.fail("label %s follows %s", quote(b.Symbol(name)), quote(b.Symbol(prev)))
				return 0
			}
		}
		b.labels = append(b.labels, name, value)
		h = mix(mix(h, b.symbols[name].hash), b.symbols[value].hash)
	}
	return finish(h)
}

// use reads the number of a symbol that is used as kind.
func (d *decoder) use(b *Batch, kind uint8, what string) uint32 {
	id := d.uvarint()
	if id >= uint64(len(b.symbols)) {
		d.fail("symbol %d of %d", id, len(b.symbols))
		return 0
	}
	if b.symbols[id].kind&kind != kind {
		d.fail("%s is not a %s", quote(b.Symbol(uint32(id))), what)
	}
	return uint32(id)
}
