package aggregate

import (
	"context"
	"slices"

	"freshet/aggregate/hot"
	"freshet/aggregate/window"
	"freshet/ingest/point"
	"freshet/stream"
)

// A frozen is the Frozen of an Engine.
type frozen struct {
	engine     *Engine
	number     Generation
	lastSeries SeriesID
	views      []*shardView      // as of the freeze, one a shard
	before     map[string]Extent // what earlier generations cover, of the metrics of this one
}

func (f *frozen) Generation() Generation { return f.number }

// rangeOf returns the positions that the generation covers in the view's shard.
func (f *frozen) rangeOf(v *shardView) Range {
	g := v.generation(f.number)
	return g.rangeIn(v.shard)
}

// generation returns the generation of that number, which the view holds.
func (v *shardView) generation(number Generation) *genView {
	for i := range v.gens {
		if v.gens[i].number == number {
			return &v.gens[i]
		}
	}
	return &genView{number: number, from: v.next, to: v.next, begun: v.maxTime, maxTime: v.maxTime}
}

func (f *frozen) Ranges() []Range {
	out := make([]Range, len(f.views))
	for i, v := range f.views {
		out[i] = f.rangeOf(v)
	}
	return out
}

func (f *frozen) NewSeries(known SeriesID) []Series {
	all := f.engine.dictionary.After(known)
	return all[:max(0, min(len(all), int(f.lastSeries)-int(known)))]
}

func (f *frozen) Points(ctx context.Context, yield func(*Points) error) error {
	for _, v := range f.views {
		if err := f.engine.readPoints(ctx, v.shard, v.generation(f.number), yield); err != nil {
			return err
		}
	}
	return nil
}

// metricViews returns the generation's windows of a metric, one view a shard.
func (f *frozen) metricViews(id int) []*window.View {
	var out []*window.View
	for _, v := range f.views {
		if w := v.generation(f.number).metric(id); w != nil {
			out = append(out, w)
		}
	}
	return out
}

func (f *frozen) Rows(ctx context.Context, resolution int64, yield func(*Row) error) error {
	base := f.engine.options.Window.Milliseconds()
	for _, m := range f.engine.dictionary.all() {
		views := f.metricViews(m.id)
		for i, v := range views {
			views[i] = v.At(resolution, base)
		}
		if len(views) == 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		entries := m.series()
		row := &Row{}
		err := window.Rollup(views, resolution, func(i uint32) point.Type { return entries[i].Type },
			func(i uint32, start int64, s *window.State) error {
				row.Series, row.Start, row.State = entries[i].ID, start, s
				return yield(row)
			})
		if err != nil {
			return err
		}
	}
	return nil
}

// rangeIn returns the positions of the generation in its shard.
func (g *genView) rangeIn(s *shard) Range {
	return Range{Shard: s.log.ID(), From: g.from, To: g.to, MaxTime: g.maxTime}
}

// eachTime calls visit with the time of every cell of a sealed view.
func eachTime(v *window.View, visit func(at int64)) {
	for _, s := range v.Singles {
		for i := range s.Offset {
			visit(s.Time(i))
		}
	}
	for _, c := range v.Fulls {
		for i := range c.Offset {
			visit(c.Start(i))
		}
	}
	for _, s := range v.Late {
		for i := range s.Offset {
			visit(s.Time(i))
		}
	}
}

// extents returns the span of time of the generation's windows by metric.
func (f *frozen) extents() map[string]Extent {
	width := f.engine.options.Window.Milliseconds()
	out := map[string]Extent{}
	for _, m := range f.engine.dictionary.all() {
		for _, v := range f.metricViews(m.id) {
			for _, s := range v.Singles {
				out[m.name] = out[m.name].union(Extent{s.First, s.Last})
			}
			for _, c := range v.Fulls {
				out[m.name] = out[m.name].union(Extent{c.First, c.Last + width - 1})
			}
			for _, s := range v.Late {
				out[m.name] = out[m.name].union(Extent{s.First, s.Last})
			}
		}
	}
	return out
}

// resolutions returns the lengths of window that blocks are kept in, in milliseconds, by
// rising length: the base window, its panes, and those that the warehouse stores.
func (e *Engine) resolutions() []int64 {
	base := e.options.Window.Milliseconds()
	out := []int64{base}
	if pane := window.PaneWidth(base); pane > 0 && pane < minute {
		out = append(out, pane)
	}
	return append(out, minute, hour, day)
}

const (
	minute = 60_000
	hour   = 60 * minute
	day    = 24 * hour
)

// touched returns the blocks that the generation adds to.
func (f *frozen) touched() map[hot.Key]struct{} {
	keys := map[hot.Key]struct{}{}
	for _, m := range f.engine.dictionary.all() {
		for _, v := range f.metricViews(m.id) {
			for _, res := range f.engine.resolutions() {
				span := hot.Span(res)
				last := int64(-1)
				eachTime(v, func(at int64) {
					if start := window.Floor(at, span); start != last {
						keys[hot.Key{Metric: m.id, Resolution: res, Start: start}] = struct{}{}
						last = start
					}
				})
			}
		}
	}
	return keys
}

// blocks returns the blocks of base windows and of panes that the generation's windows make
// together with what the cache holds, so that a load does not send the panels that
// watch the present to the warehouse. Only metrics that were ever asked for count.
func (f *frozen) blocks(touched map[hot.Key]struct{}) []*hot.Block {
	base := f.engine.options.Window.Milliseconds()
	filling := map[hot.Key]*window.Chunks{}
	old := map[hot.Key]*hot.Block{}
	type kind struct {
		metric     int
		resolution int64
	}
	kinds := map[kind]struct{}{}
	for key := range touched {
		if key.Resolution >= minute || !f.engine.dictionary.all()[key.Metric].asked.Load() {
			continue
		}
		length := hot.Span(key.Resolution)
		before := f.before[f.engine.dictionary.all()[key.Metric].name]
		b := f.engine.cache.Get(key, uint64(f.number-1))
		if b == nil && before != (Extent{}) && key.Start <= before.Last && key.Start+length > before.First {
			continue // there is more in the warehouse
		}
		filling[key], old[key] = &window.Chunks{}, b
		kinds[kind{key.Metric, key.Resolution}] = struct{}{}
	}
	for k := range kinds {
		for _, v := range f.metricViews(k.metric) {
			v.At(k.resolution, base).Divide(hot.Span(k.resolution), func(start int64) *window.Chunks {
				return filling[hot.Key{Metric: k.metric, Resolution: k.resolution, Start: start}]
			})
		}
	}
	out := make([]*hot.Block, 0, len(filling))
	for key, c := range filling {
		v := c.View()
		b := &hot.Block{Key: key, Generation: uint64(f.number), Bytes: c.Bytes()}
		if have := old[key]; have != nil { // in the order of the log
			b.Views = append(b.Views, have.Views...)
			b.Bytes += have.Bytes
		}
		b.Views = append(b.Views, &v)
		out = append(out, b)
	}
	return out
}

// readPoints reads the raw points of a generation from the log.
func (e *Engine) readPoints(ctx context.Context, s *shard, g *genView, yield func(*Points) error) error {
	if g.from >= g.to {
		return nil
	}
	reader := s.log.Reader(g.from)
	defer reader.Close()
	b := &batch{}
	c := e.clockFrom(g.begun)
	repeats := g.repeats
	out := &Points{Generation: g.number, Shard: s.log.ID()}
	for at := g.from; at < g.to; at = b.next {
		records, err := reader.Next(ctx, readBytes)
		if err != nil {
			return err
		}
		for len(records) > 0 && records[len(records)-1].Offset >= g.to {
			records = records[:len(records)-1]
		}
		if len(records) == 0 {
			return nil
		}
		for i := range records {
			b.decode(s.log, records[i:i+1], func(stream.Record, int, error) {}) // the folder counted it
			for n, p := range b.points[:b.n] {
				if repeats.again(p, b.from[n]); p.Len() == 0 {
					continue
				}
				e.fill(out, p, records[i].Offset, &c)
				if err := yield(out); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// fill makes out the points of one record.
func (e *Engine) fill(out *Points, p *point.Batch, at stream.Offset, c *eventClock) {
	ids := e.dictionary.resolve(p, nil)
	out.Offset, out.Series = out.Offset[:0], out.Series[:0]
	for i := range p.Runs {
		for range p.Runs[i].N {
			out.Series = append(out.Series, ids[i])
			out.Offset = append(out.Offset, at)
		}
	}
	out.Time, out.Value, out.Late, out.Member = p.Time, p.Value, nil, nil
	for j, t := range p.Time {
		if t < c.late {
			if out.Late == nil {
				out.Late = make([]bool, len(p.Time))
			}
			out.Late[j] = true
		}
	}
	c.see(p.Time)
	if slices.ContainsFunc(p.Runs, func(r point.Run) bool { return r.Type == point.Set }) {
		for j := range out.Time {
			out.Member = append(out.Member, string(p.Member(j)))
		}
	}
}

// A Tail is what the warehouse may lack, at one moment: the raw points and the series
// of the generations in memory. It pins those until Close. One goroutine at a time may
// use it, or several that only read.
type Tail struct {
	pin        *Pin
	shards     []*shardView
	lastSeries SeriesID
}

// Tail returns the tail that covers every record that was durable when it was called.
// A warehouse snapshot opened after it lacks no generation that the tail does not have.
func (e *Engine) Tail(ctx context.Context) (*Tail, error) {
	v, err := e.View(ctx)
	if err != nil {
		return nil, err
	}
	return &Tail{pin: v.pin, shards: v.shards, lastSeries: e.dictionary.last()}, nil
}

// Close lets the generations go. It may be called twice.
func (t *Tail) Close() { t.pin.Close() }

// Points reads the raw points of all generations that the tail has, each named, shard by
// shard in the order of the log.
func (t *Tail) Points(ctx context.Context, yield func(*Points) error) error {
	e := t.pin.engine
	for _, v := range t.shards {
		for i := range v.gens {
			g := &v.gens[i]
			if g.number <= t.pin.loaded {
				continue // every snapshot has it
			}
			if err := e.readPoints(ctx, v.shard, g, yield); err != nil {
				return err
			}
		}
	}
	return nil
}

// NewSeries returns the series with an id above known, by rising id.
func (t *Tail) NewSeries(known SeriesID) []Series {
	all := t.pin.engine.dictionary.After(known)
	return all[:max(0, min(len(all), int(t.lastSeries)-int(known)))]
}
