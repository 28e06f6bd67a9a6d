package point

import "github.com/cespare/xxhash/v2"

// ContentType is the media type of a batch as the body of a post.
const ContentType = "application/vnd.freshet.batch"

// MaxBatchPoints is how many points one batch holds at most.
const MaxBatchPoints = 1 << 16

// A Builder gathers points, by series, for one or more batches. The zero Builder is empty
// and ready. It copies what it is given.
//
// A batch holds at most MaxBatchPoints; the caller looks at Len and Size, encodes and
// calls Reset in time.
type Builder struct {
	// The symbols, numbered from 0 as they are met. symbolSlots finds them by hash.
	symbols     []byte
	symbolEnd   []uint32
	symbolHash  []uint64
	symbolKind  []uint8 // what each may be used as
	symbolSlots table
	cached      *cachedSymbols // made when labels come from a Cache
	copied      copiedSymbols  // of the Batch that AddRun copies from

	// The series, numbered from 0 as they are met. seriesSlots finds them by hash.
	series      []seriesEntry
	labels      []uint32 // pairs of symbols: name, value
	seriesSlots table

	// The points as they came.
	of        []uint32 // the series of each
	times     []int64
	values    []float64
	members   []byte
	memberEnd []uint32

	// Scratch space.
	ids    []uint32 // symbols of the series being looked up: metric, then name and value of each label
	rising bool     // the names among ids rise
	enc    encoder
}

// A seriesEntry is a series in terms of symbols.
type seriesEntry struct {
	hash   uint64
	metric uint32
	first  uint32 // index of its first label's name in labels
	n      uint32 // labels
	points uint32
	typ    Type
}

// Add adds a point that has passed [View.Check].
func (b *Builder) Add(v *View) { b.AddTo(b.Series(v), v.Time, v.Value, v.Member) }

// Take is [View.Check] and Add in one, and faster: a string that b holds already is not
// checked again. now is in epoch milliseconds. The error is an *Error, and v is not added.
func (b *Builder) Take(v *View, now int64) error {
	if b.plainly(v, now) {
		b.AddTo(b.find(v.Type), v.Time, v.Value, v.Member)
		v.from.passed(v.Labels)
		return nil
	}
	if err := v.Check(now); err != nil {
		return err
	}
	b.Add(v)
	v.from.passed(v.Labels)
	return nil
}

// plainly reports whether v can be seen to pass Check from its symbols, which it leaves in
// b.ids. It is false for some points that pass, such as those with labels out of order.
func (b *Builder) plainly(v *View, now int64) bool {
	if v.Time < MinTime || v.Time > now+MaxAhead || len(v.Labels) > MaxLabels || !v.Type.Valid() || v.checkValue() != nil {
		return false
	}
	if c := v.cached(); c != nil {
		b.internCached(v.Metric, c)
		return b.symbolKind[b.ids[0]]&mayBeMetric != 0
	}
	if !b.intern(v) && !b.namesRise() {
		return false
	}
	if b.symbolKind[b.ids[0]]&mayBeMetric == 0 {
		return false
	}
	for i := 1; i < len(b.ids); i += 2 {
		if b.symbolKind[b.ids[i]]&mayBeName == 0 || b.symbolKind[b.ids[i+1]]&mayBeValue == 0 {
			return false
		}
	}
	return true
}

// namesRise works out b.rising.
func (b *Builder) namesRise() bool {
	b.rising = true
	for i := 3; i < len(b.ids); i += 2 {
		if string(b.text(b.ids[i-2])) >= string(b.text(b.ids[i])) {
			b.rising = false
			break
		}
	}
	return b.rising
}

// Series returns the number of v's series among those of b, from 0. The number is valid
// until the next Reset. Time, value and member of v do not matter.
func (b *Builder) Series(v *View) int {
	if !b.intern(v) {
		b.rising = true // or v has not passed Check
	}
	return b.find(v.Type)
}

// find returns the number of the series of type t with the symbols in b.ids.
func (b *Builder) find(t Type) int {
	h := hashHead(b.symbolHash[b.ids[0]], t)
	for _, id := range b.ids[1:] {
		h = mix(h, b.symbolHash[id])
	}
	return b.lookup(finish(h), t)
}

// AddTo adds a point to the series with the number that Series returned. value is left
// out for a set, member for the other types.
func (b *Builder) AddTo(series int, ts int64, value float64, member []byte) {
	s := &b.series[series]
	s.points++
	if s.typ == Set {
		value = 0
		b.members = append(b.members, member...)
	}
	b.of = append(b.of, uint32(series))
	b.times = append(b.times, ts)
	b.values = append(b.values, value)
	b.memberEnd = append(b.memberEnd, uint32(len(b.members)))
	b.enc.stale = true
}

// intern leaves the symbols of v's metric and labels in b.ids, and reports whether b.rising is
// known to hold for them. Successive points mostly have the same metric and the same label names,
// so each string is first compared with the one in its place before.
func (b *Builder) intern(v *View) (rising bool) {
	rising = b.rising && len(b.ids) > 2*len(v.Labels) // a front part of what rises does so too
	b.internMetric(v.Metric, len(v.Labels))
	for i := range v.Labels {
		l, at := &v.Labels[i], 1+2*i
		if !b.is(b.ids[at], l.Name) {
			b.ids[at] = b.symbol(l.Name)
			rising = false
		}
		if !b.is(b.ids[at+1], l.Value) {
			b.ids[at+1] = b.symbol(l.Value)
		}
	}
	return rising
}

// internMetric makes b.ids as long as a number of labels needs, and sets the first.
func (b *Builder) internMetric(metric []byte, labels int) {
	for len(b.ids) < 1+2*labels {
		b.ids = append(b.ids, noSymbol)
	}
	b.ids = b.ids[:1+2*labels]
	if !b.is(b.ids[0], metric) {
		b.ids[0] = b.symbol(metric)
	}
}

const noSymbol = ^uint32(0)

// is reports whether symbol id is s.
func (b *Builder) is(id uint32, s []byte) bool {
	return id != noSymbol && string(b.text(id)) == string(s)
}

// text returns the bytes of a symbol.
func (b *Builder) text(id uint32) []byte {
	start := uint32(0)
	if id > 0 {
		start = b.symbolEnd[id-1]
	}
	return b.symbols[start:b.symbolEnd[id]]
}

// symbol returns the number of s, new or not.
func (b *Builder) symbol(s []byte) uint32 {
	h := xxhash.Sum64(s)
	slot, id := b.findSymbol(h, s)
	if id != noSymbol {
		return id
	}
	return b.addSymbol(slot, h, s, kindOf(s))
}

// findSymbol returns the number of s, or noSymbol and the slot for a new one.
func (b *Builder) findSymbol(h uint64, s []byte) (slot, id uint32) {
	if b.symbolSlots.full(len(b.symbolHash)) {
		b.symbolSlots.grow(b.symbolHash)
	}
	slot = b.symbolSlots.slot(h)
	for {
		id, used := b.symbolSlots.at(slot)
		if !used {
			return slot, noSymbol
		}
		if b.symbolHash[id] == h && string(b.text(id)) == string(s) {
			return slot, id
		}
		slot = b.symbolSlots.next(slot)
	}
}

// addSymbol adds a string that is new.
func (b *Builder) addSymbol(slot uint32, hash uint64, s []byte, kind uint8) uint32 {
	id := uint32(len(b.symbolHash))
	b.symbols = append(b.symbols, s...)
	b.symbolEnd = append(b.symbolEnd, uint32(len(b.symbols)))
	b.symbolHash = append(b.symbolHash, hash)
	b.symbolKind = append(b.symbolKind, kind)
	b.symbolSlots.set(slot, id)
	return id
}

// lookup returns the number of the series with the symbols in b.ids, new or not.
func (b *Builder) lookup(h uint64, t Type) int {
	if b.seriesSlots.full(len(b.series)) {
		b.seriesSlots.growFunc(len(b.series), func(i int) uint64 { return b.series[i].hash })
	}
	slot := b.seriesSlots.slot(h)
	for {
		i, used := b.seriesSlots.at(slot)
		if !used {
			break
		}
		if b.series[i].hash == h && b.same(&b.series[i], t) {
			return int(i)
		}
		slot = b.seriesSlots.next(slot)
	}
	i := len(b.series)
	b.series = append(b.series, seriesEntry{
		hash: h, typ: t, metric: b.ids[0],
		first: uint32(len(b.labels)), n: uint32(len(b.ids) / 2),
	})
	b.labels = append(b.labels, b.ids[1:]...)
	b.seriesSlots.set(slot, uint32(i))
	return i
}

// same reports whether s has type t and the symbols in b.ids.
func (b *Builder) same(s *seriesEntry, t Type) bool {
	if s.typ != t || s.metric != b.ids[0] || int(s.n) != len(b.ids)/2 {
		return false
	}
	for i, id := range b.labels[s.first : s.first+2*s.n] {
		if id != b.ids[1+i] {
			return false
		}
	}
	return true
}

// Len returns how many points b holds.
func (b *Builder) Len() int { return len(b.of) }

// NumSeries returns how many series b holds.
func (b *Builder) NumSeries() int { return len(b.series) }

// Hash returns the hash of a series: HashOf the same series.
func (b *Builder) Hash(series int) uint64 { return b.series[series].hash }

// MaxPointBytes is what a point takes of a batch at most, beside its series and its member.
const MaxPointBytes = 10 + 8 + 2

// Size returns a number of bytes that the batch of all points in b does not exceed. It also grows
// by the strings of points that Take refused, which b may hold.
func (b *Builder) Size() int {
	const header, column, perSymbol, perSeries, perLabel = 17 + markSize, 22, 2, 9, 4
	return header + column + len(b.symbols) + perSymbol*len(b.symbolEnd) + perSeries*len(b.series) +
		perLabel*len(b.labels) + MaxPointBytes*len(b.of) + len(b.members)
}

// Reset empties b and keeps its memory.
func (b *Builder) Reset() {
	b.symbols, b.symbolEnd = b.symbols[:0], b.symbolEnd[:0]
	b.symbolHash, b.symbolKind = b.symbolHash[:0], b.symbolKind[:0]
	b.series, b.labels = b.series[:0], b.labels[:0]
	b.of, b.times, b.values = b.of[:0], b.times[:0], b.values[:0]
	b.members, b.memberEnd = b.members[:0], b.memberEnd[:0]
	b.symbolSlots.clear()
	b.seriesSlots.clear()
	b.ids, b.rising = b.ids[:0], false
	b.cached.forget()
	b.copied.from = nil
	b.enc.stale = true
}
