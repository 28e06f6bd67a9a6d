package aggregate

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of a query.
const (
	MaxSteps  = 11_000    // steps of an answer
	MaxBy     = 8         // labels to group by
	MaxTop    = 1000      // series that top keeps
	maxCells  = 4_000_000 // groups × steps that one evaluation holds
	autoSteps = 300       // steps that auto aims for at most
)

// A QueryError says what is wrong with a query.
type QueryError struct{ Reason string }

func (e *QueryError) Error() string { return e.Reason }

func refuse(format string, args ...any) error { return &QueryError{fmt.Sprintf(format, args...)} }

// aggKind says how cells are put together.
type aggKind uint8

const (
	aggCount aggKind = iota
	aggSum
	aggAvg
	aggMin
	aggMax
	aggLast
	aggRate
	aggIncrease
	aggDistinct
	aggQuantile
	aggHeatmap
)

var aggNames = map[string]aggKind{
	"count": aggCount, "sum": aggSum, "avg": aggAvg, "min": aggMin, "max": aggMax, "last": aggLast,
	"rate": aggRate, "increase": aggIncrease, "distinct": aggDistinct, "heatmap": aggHeatmap,
}

// parseAgg returns the kind that a name stands for, and q for a quantile.
func parseAgg(name string) (kind aggKind, q float64, err error) {
	if kind, ok := aggNames[name]; ok {
		return kind, 0, nil
	}
	if digits, ok := strings.CutPrefix(name, "p"); ok {
		if p, err := strconv.ParseFloat(digits, 64); err == nil && p > 0 && p < 100 {
			return aggQuantile, p / 100, nil
		}
	}
	return 0, 0, refuse("agg %q is not one of count, sum, avg, min, max, last, rate, increase, distinct, heatmap or pN with 0 < N < 100", name)
}

// A Plan is a checked query. It keeps which series match, and learns of new ones at
// each evaluation. It belongs to one goroutine at a time.
type Plan struct {
	Query Query
	// RangeMS is how far the query reaches back from now; 0 means From and To.
	RangeMS int64
	// StepMS is the length of a step, a multiple of the base window; 0 where the calendar
	// says it.
	StepMS int64

	engine  *Engine
	grid    grid
	sources []*source
	leaves  []leaf // what is read, of the sources
	calc    *calc  // what is made of it
	compare *calc  // the same, a period earlier; nil for none
	before  int    // steps before the first that are read
	steps   int    // of an answer, at most

	gap   int64 // of sessions, in milliseconds; 0 asks for steps
	limit int   // of the sessions that are listed
}

// A source is one metric's part of a query.
type source struct {
	*selection
	panes int // steps that a value covers: more than one where windows hop
	top   int
}

// A leaf is a source read earlier by a shift.
type leaf struct {
	*source
	shift shift
}

// Plan checks a query.
func (e *Engine) Plan(q Query) (*Plan, error) {
	p := &Plan{Query: q, engine: e}
	if err := p.planTime(); err != nil {
		return nil, err
	}
	var err error
	if q.Expr != "" || len(q.Queries) > 0 {
		err = p.planExpr()
	} else {
		err = p.planSource()
	}
	if err != nil {
		return nil, err
	}
	p.before = p.calc.reach()
	if n := p.steps + p.before; n > MaxSteps {
		return nil, refuse("expr reads %d steps before the first: with the range they make %d; the limit is %d", p.before, n, MaxSteps)
	}
	return p, nil
}

// planSource checks a query of one metric.
func (p *Plan) planSource() error {
	s, err := p.source(p.Query)
	if err != nil {
		return err
	}
	if p.calc, err = p.leafOf(s, shift{}); err != nil || p.Query.Compare == "" {
		return err
	}
	by, err := p.grid.parseShift(p.Query.Compare, p.width())
	if err != nil {
		return refuse("compare %q: %v", p.Query.Compare, err)
	}
	p.compare, err = p.leafOf(s, by)
	return err
}

// source checks the part of a query that is about one metric, and adds it to the sources.
func (p *Plan) source(q Query) (*source, error) {
	sel, err := p.engine.selection(q)
	if err != nil {
		return nil, err
	}
	s := &source{selection: sel, panes: 1, top: q.Top}
	if q.Window != "" {
		if s.panes, err = p.panesOf(q.Window); err != nil {
			return nil, err
		}
	}
	if p.gap > 0 && (s.kind == aggRate || s.kind == aggIncrease || s.kind == aggHeatmap) {
		return nil, refuse("agg %s does not go with session", q.Agg)
	}
	p.sources = append(p.sources, s)
	return s, nil
}

// panesOf returns of how many steps a window consists.
func (p *Plan) panesOf(text string) (int, error) {
	ms, err := parseDuration(text)
	switch {
	case err != nil:
		return 0, refuse("window %q: %v", text, err)
	case p.grid.unit != noUnit:
		return 0, refuse("window needs steps of one length; step is %s", unitNames[p.grid.unit])
	case ms%p.grid.step != 0:
		return 0, refuse("window %q is not a multiple of the step of %d ms", text, p.grid.step)
	case int64(p.steps)+ms/p.grid.step > MaxSteps:
		return 0, refuse("window %q has %d steps: with the range they make %d; the limit is %d", text, ms/p.grid.step, int64(p.steps)+ms/p.grid.step, MaxSteps)
	}
	return int(ms / p.grid.step), nil
}

func (p *Plan) width() int64 { return p.engine.options.Window.Milliseconds() }

// selection checks the parts of a query that say what is counted.
func (e *Engine) selection(q Query) (*selection, error) {
	p := &selection{engine: e, name: q.Metric, agg: q.Agg}
	if q.Metric == "" {
		return nil, refuse("metric is required")
	}
	if q.Agg == "" {
		return nil, refuse("agg is required: one of count, sum, avg, min, max, last, rate, increase, distinct, heatmap or pN")
	}
	var err error
	if p.kind, p.q, err = parseAgg(q.Agg); err != nil {
		return nil, err
	}
	if len(q.By) > MaxBy {
		return nil, refuse("by has %d labels; the limit is %d", len(q.By), MaxBy)
	}
	if q.Top < 0 || q.Top > MaxTop {
		return nil, refuse("top is %d; it must lie between 0 and %d", q.Top, MaxTop)
	}
	if p.kind == aggHeatmap && (len(q.By) > 0 || q.Top > 0) {
		return nil, refuse("agg heatmap shows one distribution: choose it by where; by and top do not go with it")
	}
	p.by = slices.Compact(slices.Sorted(slices.Values(q.By)))
	p.where, err = conditions(q.Where)
	return p, err
}

// planTime checks range, from, to, step and zone.
func (p *Plan) planTime() error {
	q := p.Query
	span := int64(q.To) - int64(q.From)
	switch {
	case q.Range != "" && (q.From != 0 || q.To != 0):
		return refuse("range and from/to exclude each other")
	case q.Range != "":
		d, err := parseDuration(q.Range)
		if err != nil {
			return refuse("range %q: %v", q.Range, err)
		}
		p.RangeMS = d
		span = d
	case q.From == 0:
		return refuse("range or from is required")
	case q.To == 0:
		span = p.engine.now().UnixMilli() - int64(q.From)
	}
	if span <= 0 {
		return refuse("the query covers %d ms; from must lie before to", span)
	}
	if q.Session != nil && q.Expr == "" {
		return p.planSession(span)
	}
	if err := p.planStep(span); err != nil {
		return err
	}
	least := p.grid.step
	if p.grid.unit != noUnit {
		least = []int64{1, 23 * hour, 6 * 24 * hour, 27 * 24 * hour}[p.grid.unit]
	}
	if n := span/least + 1; n > MaxSteps {
		return refuse("range over step makes %d steps; the limit is %d", n, MaxSteps)
	}
	p.steps = int(span/least + 1)
	return nil
}

// planStep checks step and zone.
func (p *Plan) planStep(span int64) error {
	q := p.Query
	p.grid.unit = parseUnit(q.Step)
	switch {
	case p.grid.unit != noUnit:
		zone, err := time.LoadLocation(q.Zone)
		if err != nil || q.Zone == "Local" {
			return refuse("zone %q is not a time zone such as Europe/Berlin", q.Zone)
		}
		p.grid.zone = zone
		if w := p.width(); hour%w != 0 {
			return refuse("step %s needs a window that an hour is a multiple of; it has %d ms", q.Step, w)
		}
		return nil
	case q.Zone != "":
		return refuse("zone is for steps of the calendar: day, week or month; step is %q", q.Step)
	case q.Step == "" || q.Step == "auto":
		p.StepMS = autoStep(span, p.width())
	default:
		d, err := parseDuration(q.Step)
		if err != nil {
			return refuse("step %q: %v", q.Step, err)
		}
		p.StepMS = d
	}
	if p.StepMS%p.width() != 0 {
		return refuse("step %q is not a multiple of the window of %d ms", q.Step, p.width())
	}
	p.grid.step = p.StepMS
	return nil
}

// parseDuration returns a positive number of milliseconds. Beside the units of
// time.ParseDuration it takes d and w.
func parseDuration(s string) (int64, error) {
	for unit, days := range map[string]int64{"d": 1, "w": 7} {
		digits, ok := strings.CutSuffix(s, unit)
		if !ok {
			continue
		}
		if n, err := strconv.ParseInt(digits, 10, 32); err == nil {
			if n < 1 || n*days > 36500 {
				return 0, fmt.Errorf("must lie between 1ms and 36500d")
			}
			return n * days * 24 * hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	switch {
	case err != nil:
		return 0, fmt.Errorf("not a duration such as 10s, 15m, 3h or 7d")
	case d < time.Millisecond || d > 36500*24*time.Hour:
		return 0, fmt.Errorf("must lie between 1ms and 36500d")
	case d%time.Millisecond != 0:
		return 0, fmt.Errorf("must be whole milliseconds")
	}
	return d.Milliseconds(), nil
}

// autoStep returns the least even length of step that cuts span into at most autoSteps.
func autoStep(span, width int64) int64 {
	const second = 1000
	for _, step := range []int64{
		second, 2 * second, 5 * second, 10 * second, 15 * second, 30 * second,
		minute, 2 * minute, 5 * minute, 10 * minute, 15 * minute, 30 * minute,
		hour, 2 * hour, 3 * hour, 6 * hour, 12 * hour,
	} {
		if step%width == 0 && span/step <= autoSteps {
			return step
		}
	}
	step := max(int64(day), width)
	for span/step > autoSteps {
		step += day
	}
	return step / width * width
}

// rank orders groups by score, best first, ties by key.
func rank(groups []group, score []float64) []int {
	order := make([]int, len(groups))
	for i := range order {
		order[i] = i
	}
	value := func(i int) float64 {
		if math.IsNaN(score[i]) {
			return math.Inf(-1)
		}
		return score[i]
	}
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(value(b), value(a)), cmp.Compare(groups[a].key, groups[b].key))
	})
	return order
}
