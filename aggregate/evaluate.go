package aggregate

import (
	"context"
	"math"
	"slices"
	"time"

	"freshet/aggregate/window"
)

// maxLag is how long a query waits for what was durable when it came to be folded.
const maxLag = 10 * time.Second

// Query answers a query from all that was durable when it was asked.
func (e *Engine) Query(ctx context.Context, q Query) (*Answer, error) {
	p, err := e.Plan(q)
	if err != nil {
		return nil, err
	}
	wait, cancel := context.WithTimeout(ctx, maxLag)
	defer cancel()
	v, err := e.View(wait)
	if err != nil {
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
	return window.Floor(from, p.StepMS), window.Floor(end-1, p.StepMS) + p.StepMS
}

// Evaluate answers the query for the steps from ≤ start < to, both multiples of the step.
func (p *Plan) Evaluate(ctx context.Context, v *View, from, to int64) (*Answer, error) {
	a := &Answer{StepMS: p.StepMS, Watermark: v.Watermark(), Covers: v.covers(v.pin.loaded), Series: []Values{}}
	s := span{from: from, step: p.StepMS, steps: int((to - from) / p.StepMS)}
	a.Times = make([]int64, s.steps)
	for i := range a.Times {
		a.Times[i] = from + int64(i)*p.StepMS
	}
	a.ProvisionalFrom = max(from, window.Floor(v.Head(), p.StepMS))
	if err := p.refresh(); err != nil {
		return nil, err
	}
	if len(p.groups) == 0 || s.steps == 0 {
		return a, nil
	}
	if n := len(p.groups) * s.steps; n > maxCells {
		return nil, refuse("%d series in %d steps make %d values; the limit is %d: narrow by or where, or take a longer step",
			len(p.groups), s.steps, n, maxCells)
	}
	acc, loaded, err := p.accumulate(ctx, v, s)
	if err != nil {
		return nil, err
	}
	a.Covers = v.covers(loaded)
	a.Series = p.series(acc, s)
	return a, nil
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

// series returns the groups that have any value, those with labels in order, or with
// top the greatest first and the rest as one.
func (p *Plan) series(acc accumulator, s span) []Values {
	groups := p.groups
	order := make([]int, 0, len(groups))
	other := -1
	if top := p.Query.Top; top > 0 && len(groups) > top {
		score := make([]float64, len(groups))
		for g := range groups {
			score[g] = acc.total(g)
		}
		ranked := rank(groups, score)
		order = append(order, ranked[:top]...)
		other = ranked[top]
		for _, g := range ranked[top+1:] {
			acc.merge(other, g)
		}
		order = append(order, other)
	} else {
		for g := range groups {
			order = append(order, g)
		}
		if top > 0 {
			score := make([]float64, len(groups))
			for g := range groups {
				score[g] = acc.total(g)
			}
			order = rank(groups, score)
		} else {
			slices.SortFunc(order, func(a, b int) int {
				if groups[a].key < groups[b].key {
					return -1
				}
				return 1
			})
		}
	}
	out := make([]Values, 0, len(order))
	for _, g := range order {
		values := make([]float64, s.steps)
		any := false
		for i := range values {
			values[i] = acc.value(g, i)
			any = any || !math.IsNaN(values[i])
		}
		switch {
		case !any:
		case g == other:
			out = append(out, Values{Labels: map[string]string{}, Other: true, Values: values})
		default:
			out = append(out, Values{Labels: p.labels(g), Values: values})
		}
	}
	return out
}
