package aggregate

import (
	"context"
	"slices"
	"time"
)

// MaxLag is how long a query waits for what was durable when it came, and for what it
// names, to be folded.
const MaxLag = 10 * time.Second

// Query answers a query from all that was durable when it was asked.
func (e *Engine) Query(ctx context.Context, q Query) (*Answer, error) {
	p, err := e.Plan(q)
	if err != nil {
		return nil, err
	}
	reach, err := e.Reach(q.AtLeast)
	if err != nil {
		return nil, err
	}
	durable := e.durable()
	if err := e.await(ctx, reach); err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(ctx, MaxLag)
	defer cancel()
	v, err := e.View(wait)
	if err != nil {
		if lag := e.Lag(durable); lag != nil && ctx.Err() == nil {
			return nil, lag
		}
		return nil, err
	}
	defer v.Close()
	from, to := p.Steps(v.now)
	return p.Evaluate(ctx, v, from, to)
}

// Steps returns the start of the first step and the end of the last one for a query
// asked at now, epoch milliseconds. The step that now lies in is the last.
func (p *Plan) Steps(now int64) (from, to int64) {
	from, end := int64(p.Query.From), int64(p.Query.To)
	if p.RangeMS > 0 {
		from, end = now-p.RangeMS, now+1
	} else if end == 0 {
		end = now + 1
	}
	return p.grid.floor(from), p.grid.move(p.grid.floor(end-1), 1)
}

// Floor returns the start of the step that a time lies in.
func (p *Plan) Floor(at int64) int64 { return p.grid.floor(at) }

// Whole reports whether the answer is evaluated as a whole or not at all: its series
// are ranked, the buckets of its heatmap depend on all of it, or what a step shows on
// all steps before it.
func (p *Plan) Whole() bool {
	for _, s := range p.sources {
		if s.top > 0 || s.kind == aggHeatmap {
			return true
		}
	}
	return p.gap > 0 || p.Query.Top > 0 || p.calc.whole()
}

// ChangedSince returns the least time that a step shows other data of than in an earlier
// view of the same engine, and false if none does.
func (p *Plan) ChangedSince(v, before *View) (int64, bool) {
	var least int64
	changed := false
	for _, s := range p.sources {
		if at, ok := v.ChangedSince(before, s.name); ok && (!changed || at < least) {
			least, changed = at, true
		}
	}
	return least, changed
}

// Date returns an answer without series that says how far one of the view is complete
// whose first step starts at from.
func (p *Plan) Date(v *View, from int64) Answer {
	var a Answer
	p.date(&a, v, from)
	return a
}

// Times returns the starts of the steps from ≤ start < to.
func (p *Plan) Times(from, to int64) []int64 {
	s := p.grid.span(from, to, 0)
	times := make([]int64, s.steps)
	for i := range times {
		times[i] = s.start(i)
	}
	return times
}

// Evaluate answers the query for the steps from ≤ start < to, both where steps begin.
// Where Whole is true, from is that of Steps.
func (p *Plan) Evaluate(ctx context.Context, v *View, from, to int64) (*Answer, error) {
	if p.gap > 0 {
		return p.evaluateSessions(ctx, v, from, to)
	}
	a := &Answer{StepMS: p.StepMS, Step: unitNames[p.grid.unit], Times: p.Times(from, to), Series: []Values{}, Covers: v.covers(v.pin.loaded)}
	p.date(a, v, from)
	for _, s := range p.sources {
		if err := s.refresh(); err != nil {
			return nil, err
		}
	}
	if len(a.Times) == 0 {
		return a, nil
	}
	full := p.grid.span(from, to, p.before)
	read, err := p.gather(ctx, v, full)
	if err != nil {
		return nil, err
	}
	if len(read) > 0 {
		a.Covers = v.covers(read[0].loaded)
	}
	a.Revisions = p.revisions(read, full)
	a.Series, err = p.series(ctx, read, full)
	return a, err
}

// date says how far the answer is complete.
func (p *Plan) date(a *Answer, v *View, from int64) {
	a.Head, a.Watermark = v.Head(), v.Watermark()
	a.ProvisionalFrom = max(from, p.grid.floor(v.Head()))
	a.FinalUntil = p.grid.floor(a.Watermark)
}

// revisions returns how many late points each step has taken in, nil for none.
func (p *Plan) revisions(read []*reading, full span) []uint64 {
	var out []uint64
	for _, r := range read {
		if r.shift != (shift{}) || r.late == nil {
			continue
		}
		if out == nil {
			out = make([]uint64, full.steps)
		}
		for step := range out { // the last pane of its window is step+panes-1
			for _, n := range r.late[step : step+r.panes] {
				out[step] += n
			}
		}
	}
	if out = out[min(p.before, len(out)):]; slices.Max(append(out, 0)) == 0 {
		return nil
	}
	return out
}

// resolution returns the coarsest windows of which every step is made.
func (s span) resolution(of []int64) int64 {
	for _, res := range slices.Backward(of) {
		if res%of[0] == 0 && s.dividedBy(res) {
			return res
		}
	}
	return of[0]
}
