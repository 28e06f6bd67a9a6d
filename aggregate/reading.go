package aggregate

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"
)

// A reading is what a leaf has in the steps of an evaluation.
type reading struct {
	leaf
	acc    accumulator
	loaded Generation // what was taken from the warehouse
	late   []uint64   // points by step, the panes before the first among them; nil for none
	order  []int      // the groups that are shown
	other  int        // of those, the one that the rest was folded into; -1 for none
}

// gather reads all leaves as of one generation.
func (p *Plan) gather(ctx context.Context, v *View, full span) ([]*reading, error) {
	var out []*reading
	cells := 0
	for _, l := range p.leaves {
		steps := full.steps + l.panes - 1
		n := len(l.groups) * steps
		if cells += n; cells > maxCells {
			return nil, refuse("%d series in %d steps make %d values; the limit is %d: narrow by or where, or take a longer step", len(l.groups), steps, cells, maxCells)
		}
		out = append(out, &reading{leaf: l, other: -1})
	}
	for read := false; !read; {
		read = true
		for _, g := range out {
			if g.acc != nil && g.loaded == out[len(out)-1].loaded {
				continue
			}
			// A snapshot opened for a later leaf may be of a later generation: then what was
			// read before it is read again.
			if err := p.read(ctx, v, g, full); err != nil {
				return nil, err
			}
			read = false
		}
	}
	for _, g := range out {
		g.rank(out)
	}
	for _, g := range out {
		g.late = g.acc.bounds().late
		g.fold()
		if g.panes > 1 {
			g.acc.hop(g.panes)
		}
	}
	return out, nil
}

// read accumulates what a leaf has.
func (p *Plan) read(ctx context.Context, v *View, g *reading, full span) (err error) {
	s := p.grid.earlier(full, g.shift)
	if g.panes > 1 {
		s.from -= int64(g.panes-1) * s.step
		s.steps += g.panes - 1
	}
	if !s.dividedBy(p.width()) {
		return refuse("the steps do not begin where windows of %d ms do", p.width())
	}
	if g.metric == nil { // nothing of it has come yet
		g.acc, g.loaded = newScalars(cells{span: s}, aggCount, 0), v.taken()
		return nil
	}
	g.acc, g.loaded, err = g.accumulate(ctx, v, s)
	return err
}

// taken returns the generation up to which the view takes data from the warehouse.
func (v *View) taken() Generation {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.loaded
}

// rank puts the groups in order: those with labels as they sort, or with top the
// greatest first, by what they come to over all steps as they are now. The groups of a
// source read earlier stand as its present ones.
func (g *reading) rank(all []*reading) {
	n := len(g.groups)
	if g.top == 0 {
		g.order = make([]int, n)
		for i := range g.order {
			g.order[i] = i
		}
		slices.SortFunc(g.order, func(a, b int) int { return cmp.Compare(g.groups[a].key, g.groups[b].key) })
		return
	}
	of := g.acc
	for _, o := range all {
		if o.source == g.source && o.shift == (shift{}) {
			of = o.acc
		}
	}
	score := make([]float64, n)
	for i := range score {
		score[i] = of.total(i)
	}
	g.order = rank(g.groups, score)
	if n > g.top {
		g.other = g.order[g.top]
	}
}

// fold merges the groups from the one called other on into it.
func (g *reading) fold() {
	if g.other < 0 {
		return
	}
	at := slices.Index(g.order, g.other)
	for _, rest := range g.order[at+1:] {
		g.acc.merge(g.other, rest)
	}
	g.order = g.order[:at+1]
}

// rows returns the groups that have any value, with keys if they are to be matched.
func (g *reading) rows(steps int, keyed bool) []row {
	out := make([]row, 0, len(g.order))
	for _, i := range g.order {
		values := make([]float64, steps)
		any := false
		for at := range values {
			values[at] = g.acc.value(i, at)
			any = any || values[at] == values[at]
		}
		switch {
		case !any:
		case i == g.other:
			out = append(out, row{key: otherKey, labels: map[string]string{}, other: true, values: values})
		default:
			r := row{labels: g.labels(i), values: values}
			if keyed {
				r.key = labelKey(r.labels)
			}
			out = append(out, r)
		}
	}
	return out
}

// series makes the answer's series of what was read.
func (p *Plan) series(ctx context.Context, read []*reading, full span) ([]Values, error) {
	if p.sources[0].kind == aggHeatmap {
		rows := heatmap(read, full.steps)
		for i := range rows[1:] {
			for j := range rows[1+i] {
				rows[1+i][j].Compare = p.Query.Compare
			}
		}
		return slices.Concat(rows...), ctx.Err()
	}
	rows := p.rows(p.calc, read, full)
	var order []string // of the keys, where top says it
	if top := p.Query.Top; p.Query.Expr != "" && top > 0 {
		order = rankRows(rows)
		if len(order) > top {
			order = append(order[:top:top], otherKey)
			for _, g := range read {
				g.keep(order)
			}
			rows = p.rows(p.calc, read, full)
		}
	}
	out := show(rows, order, "")
	if p.compare != nil {
		out = append(out, show(p.rows(p.compare, read, full), order, p.Query.Compare)...)
	}
	return out, ctx.Err()
}

// rows evaluates an expression over what was read and cuts off the steps before the first.
func (p *Plan) rows(n *calc, read []*reading, full span) []row {
	if n.op == "leaf" && p.before == 0 {
		return read[n.leaf].rows(full.steps, p.Query.Expr != "")
	}
	e := evaluation{span: full, before: p.before, leaf: func(i int) []row {
		rows := read[i].rows(full.steps, true)
		slices.SortFunc(rows, func(a, b row) int { return strings.Compare(a.key, b.key) })
		return rows
	}}
	rows := e.run(n).rows
	for i := range rows {
		rows[i].values = rows[i].values[p.before:]
	}
	return rows
}

// rankRows returns the keys of rows by the mean of their values, the greatest first.
func rankRows(rows []row) []string {
	type ranked struct {
		key  string
		mean float64
	}
	all := make([]ranked, len(rows))
	for i, r := range rows {
		all[i] = ranked{r.key, mean(r.values)}
		if math.IsNaN(all[i].mean) {
			all[i].mean = math.Inf(-1)
		}
	}
	slices.SortFunc(all, func(a, b ranked) int { return cmp.Or(cmp.Compare(b.mean, a.mean), cmp.Compare(a.key, b.key)) })
	out := make([]string, len(all))
	for i, r := range all {
		out[i] = r.key
	}
	return out
}

// keep folds the groups whose keys are not among those given into one, unless there is
// but one without labels.
func (g *reading) keep(keys []string) {
	if len(g.by) == 0 {
		return
	}
	var kept, rest []int
	for _, i := range g.order {
		if slices.Contains(keys, labelKey(g.labels(i))) {
			kept = append(kept, i)
		} else {
			rest = append(rest, i)
		}
	}
	g.order = append(kept, rest...)
	if len(rest) > 0 {
		g.other = rest[0]
	}
	g.fold()
}

// show makes series of the rows that have any value, in the order of keys if there is one.
func show(rows []row, order []string, compare string) []Values {
	if order != nil {
		place := make(map[string]int, len(order))
		for i, key := range order {
			place[key] = i
		}
		slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(place[a.key], place[b.key]) })
	}
	out := make([]Values, 0, len(rows))
	for _, r := range rows {
		if slices.ContainsFunc(r.values, func(x float64) bool { return x == x }) {
			out = append(out, Values{Labels: r.labels, Other: r.other, Compare: compare, Values: r.values})
		}
	}
	return out
}
