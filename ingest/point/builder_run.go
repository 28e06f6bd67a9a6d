package point

// copiedSymbols tells a Builder which of its symbols those of a Batch are.
type copiedSymbols struct {
	from   *Batch
	serial uint32   // of what from held
	ids    []uint32 // by symbol of from: symbol of the Builder, or noSymbol
}

// AddRun adds the points of a run of a batch.
func (b *Builder) AddRun(from *Batch, run int) {
	r := &from.Runs[run]
	series := b.SeriesOf(from, run)
	s := &b.series[series]
	s.points += uint32(r.N)
	end := r.First + r.N
	for i := r.First; i < end; i++ {
		b.of = append(b.of, uint32(series))
		if s.typ == Set {
			b.members = append(b.members, from.Member(int(i))...)
		}
		b.memberEnd = append(b.memberEnd, uint32(len(b.members)))
	}
	b.times = append(b.times, from.Time[r.First:end]...)
	b.values = append(b.values, from.Value[r.First:end]...)
	b.enc.stale = true
}

// SeriesOf is [Builder.Series] for the series of a run of a batch.
func (b *Builder) SeriesOf(from *Batch, run int) int {
	r, c := &from.Runs[run], &b.copied
	if c.from != from || c.serial != from.serial {
		c.from, c.serial = from, from.serial
		c.ids = resize(c.ids, len(from.symbols))
		for i := range c.ids {
			c.ids[i] = noSymbol
		}
	}
	labels := from.labels[2*r.label : 2*(int(r.label)+r.Labels())]
	b.ids = resize(b.ids, 1+len(labels))
	b.ids[0] = b.copySymbol(r.Metric)
	for i, id := range labels {
		b.ids[1+i] = b.copySymbol(id)
	}
	b.rising = true
	return b.lookup(r.Hash, r.Type)
}

// copySymbol returns the number of a symbol of the batch that is copied from, new or not.
func (b *Builder) copySymbol(of uint32) uint32 {
	c := &b.copied
	if c.ids[of] == noSymbol {
		s, text := &c.from.symbols[of], c.from.Symbol(of)
		slot, id := b.findSymbol(s.hash, text)
		if id == noSymbol {
			id = b.addSymbol(slot, s.hash, text, s.kind)
		}
		c.ids[of] = id
	}
	return c.ids[of]
}
