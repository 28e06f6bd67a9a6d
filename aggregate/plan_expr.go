package aggregate

import (
	"maps"
	"slices"
)

// planExpr checks an expression between queries.
func (p *Plan) planExpr() error {
	q := p.Query
	switch {
	case q.Expr == "":
		return refuse("queries needs expr, which says what is made of them")
	case len(q.Queries) == 0:
		return refuse("expr needs queries, which gives the queries that it names")
	case len(q.Queries) > MaxQueries:
		return refuse("queries has %d; the limit is %d", len(q.Queries), MaxQueries)
	case q.Metric != "" || q.Agg != "" || len(q.By) > 0 || len(q.Where) > 0 || q.Window != "":
		return refuse("metric, agg, by, where, and window belong to one query; beside expr stand range, from, to, step, zone, top, compare and at_least")
	case q.Top < 0 || q.Top > MaxTop:
		return refuse("top is %d; it must lie between 0 and %d", q.Top, MaxTop)
	}
	sources := map[string]*source{}
	for _, name := range slices.Sorted(maps.Keys(q.Queries)) {
		s, err := p.inner(name, q.Queries[name])
		if err != nil {
			return err
		}
		sources[name] = s
		if s.top > 0 { // its groups are ranked as they are now
			if _, err := p.leafOf(s, shift{}); err != nil {
				return err
			}
		}
	}
	tree, err := parseExpr(q.Expr)
	if err != nil {
		return refuse("expr: %v", err)
	}
	if p.calc, err = p.calcExpr(tree, sources, shift{}); err != nil {
		return err
	}
	if len(p.leaves) == 0 {
		return refuse("expr: it names no query")
	}
	if err := p.checkTop(); err != nil || q.Compare == "" {
		return err
	}
	by, err := p.grid.parseShift(q.Compare, p.width())
	if err != nil {
		return refuse("compare %q: %v", q.Compare, err)
	}
	p.compare, err = p.calcExpr(tree, sources, by)
	return err
}

// inner checks one query of an expression.
func (p *Plan) inner(name string, q Query) (*source, error) {
	if word := (&exprParser{text: name}).word(); word != name || name == "" || name[0] >= '0' && name[0] <= '9' {
		return nil, refuse("queries: %q is not a name of letters, digits and _", name)
	}
	if _, taken := arities[name]; taken {
		return nil, refuse("queries: %s is a function", name)
	}
	switch {
	case q.Range != "" || q.From != 0 || q.To != 0 || q.Step != "" || q.Zone != "" || len(q.AtLeast) > 0:
		return nil, refuse("queries.%s: range, from, to, step, zone and at_least stand beside expr", name)
	case q.Compare != "":
		return nil, refuse("queries.%s: compare stands beside expr; in it, shift(%s, %q) is what it was earlier", name, name, q.Compare)
	case q.Expr != "" || len(q.Queries) > 0 || q.Session != nil:
		return nil, refuse("queries.%s: has metric and agg, and none of expr, queries and session", name)
	}
	s, err := p.source(q)
	if err != nil {
		return nil, refuse("queries.%s: %v", name, err)
	}
	if s.kind == aggHeatmap {
		return nil, refuse("queries.%s: agg heatmap is no number to calculate with", name)
	}
	return s, nil
}

// checkTop refuses a top of an expression whose rest cannot be put together.
func (p *Plan) checkTop() error {
	if p.Query.Top == 0 {
		return nil
	}
	var by []string
	for _, s := range p.sources {
		switch {
		case s.top > 0:
			return refuse("top stands beside expr or in its queries, not both")
		case len(s.by) == 0 || slices.Equal(s.by, by):
		case by == nil:
			by = s.by
		default:
			return refuse("top beside expr needs queries with the same by: %v is not %v", s.by, by)
		}
	}
	return nil
}
