package ingest

import "freshet/ingest/point"

// AddBatch adds the points of a batch, counted in its own order, or refuses them. Decode has
// checked all of them but their times.
//
// A batch of usual size with nothing wrong is divided among the shards as it is; if all of it goes
// to one, its payload is copied. Of any other the builder makes batches again.
func (p *Post) AddBatch(b *point.Batch) {
	if p.builder.Len() == 0 && b.Size()+point.MaxPointBytes*b.Len() <= recordBytes && p.timely(b.Time) {
		p.writeBatch(b)
		p.accepted += b.Len()
		return
	}
	for r := range b.Runs {
		run := &b.Runs[r]
		if !fits(&p.builder, run) || !p.timely(b.Time[run.First:run.First+run.N]) {
			p.addOneByOne(b, r)
			continue
		}
		p.builder.AddRun(b, r)
		p.accepted += int(run.N)
		if enough(&p.builder) {
			p.write()
		}
	}
}

// timely reports whether points may have these times.
func (p *Post) timely(times []int64) bool {
	good := true
	for _, t := range times {
		good = good && t >= point.MinTime && t <= p.now+point.MaxAhead
	}
	return good
}

// addOneByOne adds the points of a run, or refuses them.
func (p *Post) addOneByOne(b *point.Batch, r int) {
	run := &b.Runs[r]
	series := -1 // its number in the builder, once it has one
	for i := int(run.First); i < int(run.First+run.N); i++ {
		if err := point.CheckTime(b.Time[i], p.now); err != nil {
			p.Refuse(i, err)
			continue
		}
		if series < 0 {
			series = p.builder.SeriesOf(b, r)
		}
		p.builder.AddTo(series, b.Time[i], b.Value[i], b.Member(i))
		p.accepted++
		if enough(&p.builder) {
			p.write()
			series = -1
		}
	}
}

// writeBatch makes records of the points of a batch, one a shard.
func (p *Post) writeBatch(b *point.Batch) {
	for r := range b.Runs {
		part := p.part(b.Runs[r].Hash)
		part.series = append(part.series, r)
	}
	for i := range p.parts {
		if part := &p.parts[i]; len(part.series) > 0 {
			start := len(p.payload)
			p.payload = b.EncodeRuns(p.payload, part.series, p.mark(part))
			part.written(start, len(p.payload))
		}
	}
}

// fits reports whether b has room for all points of a run before it is enough. Of a set, whose
// members have any length, it does not know.
func fits(b *point.Builder, run *point.Run) bool {
	return run.Type != point.Set && b.Len()+int(run.N) <= point.MaxBatchPoints && b.Size()+point.MaxPointBytes*int(run.N) <= recordBytes
}
