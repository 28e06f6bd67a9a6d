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
)

var aggNames = map[string]aggKind{
	"count": aggCount, "sum": aggSum, "avg": aggAvg, "min": aggMin, "max": aggMax, "last": aggLast,
	"rate": aggRate, "increase": aggIncrease, "distinct": aggDistinct,
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
	return 0, 0, refuse("agg %q is not one of count, sum, avg, min, max, last, rate, increase, distinct or pN with 0 < N < 100", name)
}

// A Plan is a checked query. It keeps which series match, and learns of new ones at
// each evaluation. It belongs to one goroutine at a time.
type Plan struct {
	Query Query
	// RangeMS is how far the query reaches back from now; 0 means From and To.
	RangeMS int64
	// StepMS is the length of a step, a multiple of the base window.
	StepMS int64

	*selection
}

// Plan checks a query.
func (e *Engine) Plan(q Query) (*Plan, error) {
	p := &Plan{Query: q}
	var err error
	if p.selection, err = e.selection(q); err != nil {
		return nil, err
	}
	if err := p.planTime(); err != nil {
		return nil, err
	}
	return p, nil
}

// selection checks the parts of a query that say what is counted.
func (e *Engine) selection(q Query) (*selection, error) {
	p := &selection{engine: e, name: q.Metric, agg: q.Agg}
	if q.Metric == "" {
		return nil, refuse("metric is required")
	}
	if q.Agg == "" {
		return nil, refuse("agg is required: one of count, sum, avg, min, max, last, rate, increase, distinct or pN")
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
	p.by = slices.Compact(slices.Sorted(slices.Values(q.By)))
	p.where, err = conditions(q.Where)
	return p, err
}

// planTime checks range, from, to and step.
func (p *Plan) planTime() error {
	q, width := p.Query, p.engine.options.Window.Milliseconds()
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
	if q.Step == "" || q.Step == "auto" {
		p.StepMS = autoStep(span, width)
	} else {
		d, err := parseDuration(q.Step)
		if err != nil {
			return refuse("step %q: %v", q.Step, err)
		}
		p.StepMS = d
	}
	if p.StepMS%width != 0 {
		return refuse("step %q is not a multiple of the window of %d ms", q.Step, width)
	}
	if n := span/p.StepMS + 1; n > MaxSteps {
		return refuse("range over step makes %d steps; the limit is %d", n, MaxSteps)
	}
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
	const day = int64(24 * hour)
	step := max(day, width)
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
