package aggregate

import (
	"context"
	"slices"

	"freshet/aggregate/window"
)

// lookBack is how far apart, in milliseconds, two values of a cumulative series may lie
// for the second to have risen from the first. So what a step shows does not depend on
// where an answer begins.
const lookBack = 24 * hour

// nearBack is how far before the first step a series is looked for at first, in
// milliseconds: far enough for one that is sent every minute or so.
const nearBack = 5 * minute

// A climber follows the cumulative series of each group through time: by how much they
// rose in each step, within it and on the way to it from the last value before. States
// of different series do not merge, so each series is followed on its own.
type climber struct {
	out  *scalars
	last []climbed // by series

	orphans bool    // some series begin in the span
	torn    []int64 // starts of windows that hold several stretches of a series, one begun before another ends
}

// climbed is the last value of a series.
type climbed struct {
	value float64
	at    int64
	seen  bool
}

func (p *selection) climber(c cells) *climber {
	return &climber{out: newScalars(c, p.kind, len(p.groups)), last: make([]climbed, len(c.groupOf))}
}

// A stretch is a span of time that is followed in windows of one resolution.
type stretch struct {
	views      []*window.View
	resolution int64
	from, to   int64
}

// walk follows a stretch, which begins where the one before has ended.
func (x *climber) walk(s stretch) {
	c := &x.out.cells
	window.InOrder(s.views, s.from, s.to, c.groupOf, func(series uint32, st *window.State) {
		p := &x.last[series]
		rise := st.Increase()
		switch {
		case !p.seen:
			x.orphans = x.orphans || st.FirstTime >= c.from
		case st.FirstTime-p.at > lookBack:
		case st.FirstTime >= p.at:
			rise += st.First - p.value + window.Reset(p.value, st.First)
		default:
			// The stretches interleave. That the total rose all along is the best guess, and
			// exact unless it was reset; finer windows tell.
			if at := window.Floor(st.FirstTime, s.resolution); len(x.torn) == 0 || x.torn[len(x.torn)-1] != at {
				x.torn = append(x.torn, at)
			}
			rise = 0
			if st.LastTime >= p.at {
				rise = st.Last - p.value + window.Reset(p.value, st.Last)
			}
		}
		if !p.seen || st.LastTime >= p.at {
			*p = climbed{st.Last, st.LastTime, true}
		}
		if c.inside(st.FirstTime) {
			step := c.index(st.FirstTime)
			c.countLate(step, st.Late)
			a := &x.out.acc[int(c.groupOf[series])*c.steps+step]
			a.count += st.Count
			a.value += rise
		}
	})
}

// climb returns the scalars of rate or increase over cumulative series. It looks a little
// back, and through windows of one resolution; where that does not tell it looks again,
// further back or through finer windows.
func (p *selection) climb(ctx context.Context, v *View, c cells, resolution int64) (accumulator, Generation, error) {
	for {
		main := stretch{resolution: resolution, from: window.Floor(c.from-nearBack, resolution), to: c.to()}
		loaded, err := p.load(ctx, v, &main)
		if err != nil {
			return nil, 0, err
		}
		x := p.climber(c)
		x.walk(main)
		if !x.orphans && (len(x.torn) == 0 || resolution == p.engine.resolutions()[0]) {
			return x.out, loaded, ctx.Err()
		}
		stretches, same, err := p.stretches(ctx, v, main, x, loaded)
		if err != nil {
			return nil, 0, err
		}
		if !same { // a snapshot of a later generation was opened: what was read before is of an earlier one
			continue
		}
		x = p.climber(c)
		for _, s := range stretches {
			x.walk(s)
		}
		return x.out, loaded, ctx.Err()
	}
}

// load fills in the views of a stretch and returns the generation up to which they are
// from the warehouse.
func (p *selection) load(ctx context.Context, v *View, s *stretch) (Generation, error) {
	blocks, loaded, err := v.blocks(ctx, p.metric, blockSpan{s.resolution, s.from, s.to}, nil)
	if err == nil {
		s.views = p.views(v, blocks, loaded, s.resolution)
	}
	return loaded, err
}

// stretches returns what has to be followed where a first look did not tell: as far back
// as a series that begins in the span may have its last value, and finer where windows
// are torn. Same is false when not all of it is of the generation loaded.
func (p *selection) stretches(ctx context.Context, v *View, main stretch, seen *climber, loaded Generation) (out []stretch, same bool, err error) {
	base := p.engine.resolutions()[0]
	if from := seen.out.from; seen.orphans && hour%base == 0 && minute%base == 0 {
		// Only the last value before the span matters, so long windows do.
		hours, minutes := window.Floor(from, hour), window.Floor(from, minute)
		out = append(out,
			stretch{resolution: hour, from: window.Floor(from-lookBack, hour), to: hours},
			stretch{resolution: minute, from: hours, to: minutes})
		main.from = minutes
		if main.resolution > minute {
			main.from = from
		}
	}
	for i := range out {
		if g, err := p.load(ctx, v, &out[i]); err != nil || g != loaded {
			return nil, false, err
		}
	}
	fine, same, err := p.refine(ctx, v, main, seen.torn, loaded)
	return append(out, fine...), same, err
}

// refine divides a stretch so that its torn windows are followed in finer ones.
func (p *selection) refine(ctx context.Context, v *View, s stretch, torn []int64, loaded Generation) (out []stretch, same bool, err error) {
	finer := int64(0)
	for _, r := range p.engine.resolutions() {
		if r < s.resolution && s.resolution%r == 0 {
			finer = r
		}
	}
	if finer == 0 {
		return []stretch{s}, true, nil
	}
	slices.Sort(torn)
	for _, at := range slices.Compact(torn) {
		if at < max(s.from, p.engine.since(finer)) { // where the finer ones have been given up, the guess is what is left
			continue
		}
		before := s
		before.to = at
		inner := stretch{resolution: finer, from: at, to: min(at+s.resolution, s.to)}
		if g, err := p.load(ctx, v, &inner); err != nil || g != loaded {
			return nil, false, err
		}
		look := p.climber(cells{span: span{from: inner.from, step: inner.to - inner.from, steps: 1}, groupOf: p.groupOf})
		look.walk(inner)
		parts, same, err := p.refine(ctx, v, inner, look.torn, loaded)
		if err != nil || !same {
			return nil, false, err
		}
		out = append(append(out, before), parts...)
		s.from = inner.to
	}
	return append(out, s), true, nil
}
