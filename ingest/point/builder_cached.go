package point

import "encoding/binary"

// cachedSymbols tells a Builder which of its symbols the strings of a Cache are. Strings meet in
// one place whose numbers end in the same bits; one that is not in its place is looked up by hash.
type cachedSymbols struct {
	table  *textTable // that the numbers are of
	now    uint32     // places of another time are free
	places [cachedPlaces]struct{ time, text, symbol uint32 }
}

const cachedPlaces = 2048

// forget makes all places free.
func (c *cachedSymbols) forget() {
	if c == nil {
		return
	}
	if c.now++; c.now == 0 {
		clear(c.places[:])
		c.now = 1
	}
	c.table = nil
}

// internCached is intern for labels from a Cache.
func (b *Builder) internCached(metric []byte, l *cachedLabels) {
	c := b.cached
	if c == nil {
		c = &cachedSymbols{now: 1}
		b.cached = c
	}
	if c.table != l.table {
		c.forget()
		c.table = l.table
	}
	b.internMetric(metric, entryLabels(l.entry))
	strings := entryStrings(l.entry)
	ids := b.ids[1:]
	for i := range ids {
		text := binary.LittleEndian.Uint32(strings[4*i:])
		p := &c.places[text%cachedPlaces]
		if p.text != text || p.time != c.now {
			p.time, p.text, p.symbol = c.now, text, b.cachedSymbol(l.table.string(text))
		}
		ids[i] = p.symbol
	}
	b.rising = true
}

// cachedSymbol returns the number of s, new or not.
func (b *Builder) cachedSymbol(s *cachedString) uint32 {
	slot, id := b.findSymbol(s.hash, s.text)
	if id != noSymbol {
		return id
	}
	return b.addSymbol(slot, s.hash, s.text, s.kind)
}
