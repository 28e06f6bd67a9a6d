package aggregate

import (
	"context"
	"runtime"
	"sync"

	"freshet/aggregate/hot"
	"freshet/aggregate/window"
)

// accumulate adds up all cells of the span, those of the generations up to the one
// returned from the warehouse.
func (p *selection) accumulate(ctx context.Context, v *View, s span) (accumulator, Generation, error) {
	resolution := s.resolution(p.engine.resolutions())
	c := cells{span: s, groupOf: p.groupOf, kept: s.next(p.engine.since(resolution))}
	if p.climbing() {
		return p.climb(ctx, v, c, resolution)
	}
	acc := p.accumulator(c)
	ask := func(snapshot Snapshot) error { return p.addGroups(ctx, snapshot, acc, c, resolution) }
	blocks, loaded, err := v.blocks(ctx, p.metric, blockSpan{resolution, s.from, s.to()}, ask)
	if err != nil {
		return nil, 0, err
	}
	addAll(acc, func() accumulator { return p.accumulator(c) }, p.views(v, blocks, loaded, resolution))
	return acc, loaded, ctx.Err()
}

// accumulator returns an empty accumulator for what the query asks.
func (p *selection) accumulator(c cells) accumulator {
	switch p.kind {
	case aggQuantile, aggHeatmap:
		return newQuantiles(c, p.q, len(p.groups))
	case aggDistinct:
		return newDistincts(c, len(p.groups))
	}
	acc := newScalars(c, p.scalarKind(), len(p.groups))
	if p.kind == aggRate {
		acc.perSecond()
	}
	return acc
}

// views returns the windows to add up in the order of the log within a series: those of
// blocks, then those that the warehouse lacks.
func (p *selection) views(v *View, blocks []*hot.Block, loaded Generation, resolution int64) []*window.View {
	var out []*window.View
	for _, b := range blocks {
		out = append(out, b.Views...)
	}
	base := p.engine.options.Window.Milliseconds()
	v.pending(p.metric, loaded, func(w *window.View) {
		// The resets of a total are found in its order in time, which panes of points that
		// came out of order have lost.
		if at := w.At(resolution, base); !p.climbing() || at.Strays == 0 {
			w = at
		}
		out = append(out, w)
	})
	return out
}

// addGroups lets the warehouse add up the loaded part of the span.
func (p *selection) addGroups(ctx context.Context, snapshot Snapshot, acc accumulator, c cells, resolution int64) error {
	r := GroupsRequest{Metric: p.metric.name, Resolution: resolution, From: max(c.from, c.kept), To: c.to(), Step: c.step}
	if r.From >= r.To {
		return nil
	}
	if c.edges != nil {
		r.Edges = c.edges[c.index(r.From):c.steps]
	}
	r.WantSketch, r.WantDistinct = acc.wants()
	entries := p.metric.series()
	for i, g := range p.groupOf {
		if g >= 0 {
			r.Series = append(r.Series, entries[i].ID)
			r.Groups = append(r.Groups, g)
		}
	}
	return snapshot.Groups(ctx, r, func(row *GroupRow) error {
		step := c.index(row.Step)
		acc.row(int(row.Group)*c.steps+step, row)
		acc.bounds().countLate(step, row.Late)
		return nil
	})
}

// parallelCells is how many cells make a second core worth its while.
const parallelCells = 1 << 16

// addAll adds views up on several cores: each takes a stretch of their chunks, and what
// they come to is put together in order.
func addAll(acc accumulator, empty func() accumulator, views []*window.View) {
	chunks, total := chunksOf(acc.bounds(), views)
	workers := min(runtime.GOMAXPROCS(0), 1+total/parallelCells, len(chunks))
	if workers < 2 {
		for i := range chunks {
			chunks[i].add(acc)
		}
		return
	}
	parts := make([]accumulator, workers)
	var all sync.WaitGroup
	for n, own := range share(chunks, total, workers) {
		parts[n] = acc
		if n > 0 {
			parts[n] = empty()
		}
		all.Go(func() {
			for i := range own {
				own[i].add(parts[n])
			}
		})
	}
	all.Wait()
	for _, part := range parts[1:] {
		acc.absorb(part)
	}
}

// share divides chunks among workers, such that each has about as many cells.
func share(chunks []chunk, total, workers int) [][]chunk {
	out := make([][]chunk, workers)
	seen, from := 0, 0
	for n := range out {
		to := from
		for to < len(chunks) && (seen < total*(n+1)/workers || n == workers-1) {
			seen += chunks[to].cells()
			to++
		}
		out[n], from = chunks[from:to], to
	}
	return out
}

// A chunk is a part of a view: one of the three is not nil.
type chunk struct {
	fulls   *window.Fulls
	singles *window.Singles
	open    *window.Open
	late    bool // points that came after their window was final
}

func (c chunk) cells() int {
	switch {
	case c.fulls != nil:
		return len(c.fulls.Offset)
	case c.singles != nil:
		return len(c.singles.Offset)
	}
	return c.open.Rows.Len()
}

func (c chunk) add(acc accumulator) {
	switch {
	case c.fulls != nil:
		acc.fulls(c.fulls)
		acc.bounds().lateFulls(c.fulls)
	case c.singles != nil:
		acc.singles(c.singles)
		if c.late {
			acc.bounds().lateSingles(c.singles)
		}
	default:
		acc.open(c.open)
	}
}

// chunksOf returns the chunks of views that may hold something of the span and the
// series that count, and how many cells they have.
func chunksOf(c *cells, views []*window.View) (out []chunk, total int) {
	for _, v := range views {
		from := len(out)
		for _, f := range v.Fulls {
			if !c.outside(f.First, f.Last) && c.mayHold(f.Least, f.Greatest) {
				out = append(out, chunk{fulls: f})
			}
		}
		out = c.appendSingles(out, v.Singles, false)
		for i := range v.Open {
			if o := &v.Open[i]; c.inside(o.Start) {
				out = append(out, chunk{open: o})
			}
		}
		out = c.appendSingles(out, v.Late, true)
		for _, x := range out[from:] {
			total += x.cells()
		}
	}
	return out, total
}

func (c *cells) appendSingles(out []chunk, singles []*window.Singles, late bool) []chunk {
	for _, s := range singles {
		if !c.outside(s.First, s.Last) && c.mayHold(s.Least, s.Greatest) {
			out = append(out, chunk{singles: s, late: late})
		}
	}
	return out
}
